//! A relay without checks, for benches and for looking at its system calls:
//! `relay http|tcp LISTEN SERVER[,SERVER…] [WORKERS]`. Ends when its standard input does.

use evenkeel_core::Span;
use evenkeel_core::config::{
    Address, Balance, Limits, Listen, PlaneKind, PoolId, Protocol, Retry, Route, ServerId, Service,
};
use evenkeel_core::table::{Duty, PoolTable, Row, Table};
use evenkeel_plane::Plane;
use evenkeel_plane::relay::{Options, Relay};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, listen, servers, rest @ ..] = &words[..] else {
        return Err("usage: relay http|tcp LISTEN SERVER[,SERVER…] [WORKERS]".into());
    };
    let protocol = if kind == "tcp" { Protocol::Tcp } else { Protocol::Http };
    let workers = rest.first().map_or(Ok(1), |word| word.parse())?;
    let service = Service {
        name: "relay".into(),
        listen: vec![Listen { address: address(listen)?, protocol, defer: false }],
        routes: vec![Route { prefix: "".into(), pool: PoolId(1) }],
        plane: PlaneKind::Relay,
        retry: Retry::default(),
        limits: Limits { client_idle: Span::from_secs(3600), ..Limits::default() },
    };
    let rows = servers.split(',').enumerate().map(|(at, server)| {
        Ok::<_, Box<dyn std::error::Error>>(Row {
            server: ServerId(at as u32),
            name: format!("s{at}").into(),
            address: address(server)?,
            duty: Duty::Serve,
            weight: 256,
            backup: false,
            spare: false,
            avoid: false,
        })
    });
    let pool = PoolTable {
        id: PoolId(1),
        name: "servers".into(),
        balance: Balance::Weighted,
        rows: rows.collect::<Result<_, _>>()?,
    };
    let table = Table { version: 1, services: vec![Arc::new(service)], pools: vec![Arc::new(pool)] };
    let mut relay = Relay::start(Options { workers, ..Options::default() })?;
    let applied = relay.apply(&Arc::new(table));
    if !applied.failed.is_empty() {
        return Err(applied.failed.join("; ").into());
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    relay.stop(Duration::from_secs(1));
    Ok(())
}

fn address(word: &str) -> Result<Address, Box<dyn std::error::Error>> {
    match word.strip_prefix("unix:") {
        Some(path) => Ok(Address::Unix(path.into())),
        None => Ok(Address::Ip(word.parse()?)),
    }
}
