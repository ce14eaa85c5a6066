//! HTTP/1 exchanges written down in `http1/*.txt`, most of them malformed or hostile, played through a running
//! relay: what the client gets, and exactly what the server saw. The words are told in `http1/README.md`.

mod scene;
mod written;

use evenkeel_core::config::{Address, PoolId, Protocol};
use evenkeel_core::table::Table;
use evenkeel_plane::Plane;
use evenkeel_plane::relay::{Options, Relay};
use scene::{Server, Talk, free_address, pool, row, service};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use written::{Case, cases};

/// A connection on which nothing comes for so long is taken to stay open.
const QUIET: Duration = Duration::from_millis(400);

#[test]
fn every_exchange_ends_as_it_is_written() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} exchanges", cases.len());
    let mut table = Table { version: 1, ..Table::default() };
    let mut places: Vec<(SocketAddr, Server)> = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let server = scripted(case.server.clone());
        let listen = free_address();
        let id = PoolId(at as u32);
        table.pools.push(Arc::new(pool(id, vec![row(at as u32, &server)])));
        let name = format!("case{at}");
        table.services.push(Arc::new(service(&name, Address::Ip(listen), Protocol::Http, id)));
        places.push((listen, server));
    }
    let options = Options { workers: 2, finish_within: Duration::ZERO, ..Options::default() };
    let mut relay = Relay::start(options).expect("threads");
    assert_eq!(relay.apply(&Arc::new(table)).failed, Vec::<String>::new());
    let players: Vec<_> = cases
        .into_iter()
        .zip(places)
        .map(|(case, (listen, server))| std::thread::spawn(move || play(&case, listen, &server)))
        .collect();
    let wrong: Vec<String> =
        players.into_iter().filter_map(|player| player.join().expect("a player ends")).collect();
    assert!(wrong.is_empty(), "{} went otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

/// A server that answers every request alike: with these bytes, after which it closes, or with a plain 200.
fn scripted(answer: Vec<u8>) -> Server {
    Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            if !answer.is_empty() {
                return talk.send(&answer);
            }
            match request.head.starts_with("HEAD ") {
                true => talk.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")?,
                false => talk.answer(200, "ok")?,
            }
        }
        Ok(())
    })
}

/// Plays a case; the answer is what went otherwise than written.
fn play(case: &Case, listen: SocketAddr, server: &Server) -> Option<String> {
    let mut client = Talk::to(listen);
    client.stream.set_read_timeout(Some(QUIET)).expect("a nonzero timeout");
    // A relay that refuses early may close before it was told everything.
    let _ = client.send(&case.client);
    let mut got = Vec::new();
    let ending = loop {
        let mut buffer = [0; 16 * 1024];
        match client.stream.read(&mut buffer) {
            Ok(0) => break "close",
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break "open",
            Err(_) => break "cut",
        }
    };
    let text = String::from_utf8_lossy(&got);
    let statuses: Vec<u16> =
        text.match_indices("HTTP/1.").filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok()).collect();
    let saw: Vec<String> = server.seen().iter().map(|it| brief(&it.head, &it.body)).collect();
    let heads: String = server.seen().iter().map(|it| it.head.clone()).collect();
    let mut wrong = Vec::new();
    if statuses != case.statuses || ending != case.ending {
        wrong.push(format!("got {statuses:?} {ending}, wanted {:?} {}", case.statuses, case.ending));
    }
    if saw != case.saw {
        wrong.push(format!("the server saw {saw:?}, wanted {:?}", case.saw));
    }
    let all = |words: &[String], text: &str, there: bool| {
        words.iter().filter(|word| text.contains(word.as_str()) != there).cloned().collect::<Vec<_>>()
    };
    wrong.extend(all(&case.server_has, &heads, true).iter().map(|it| format!("server lacks {it:?}")));
    wrong.extend(all(&case.server_lacks, &heads, false).iter().map(|it| format!("server has {it:?}")));
    wrong.extend(all(&case.client_has, &text, true).iter().map(|it| format!("client lacks {it:?}")));
    wrong.extend(all(&case.client_lacks, &text, false).iter().map(|it| format!("client has {it:?}")));
    (!wrong.is_empty()).then(|| format!("{}: {}\n    {text:?}\n    {heads:?}", case.title, wrong.join("; ")))
}

fn brief(head: &str, body: &[u8]) -> String {
    let line: Vec<&str> = head.split(' ').take(2).collect();
    match body {
        [] => line.join(" "),
        body if body.len() > 64 => format!("{} {} bytes", line.join(" "), body.len()),
        body => format!("{} {}", line.join(" "), String::from_utf8_lossy(body)),
    }
}
