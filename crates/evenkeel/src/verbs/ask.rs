//! What `probe` and `try` share: addresses out of words and names, at once and with a deadline.

use crate::resolve::{self, Ask, Question, Source};
use evenkeel_core::Span;
use evenkeel_core::config::Address;
use evenkeel_syntax::AddressWords;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// A lookup that takes longer is given up. (The system's resolver may go on for half a minute.)
const PATIENCE: Duration = Duration::from_secs(5);

/// The address that words mean, at another port if that is given.
pub(super) fn address(words: AddressWords<'_>, port: Option<u16>) -> Address {
    match words {
        AddressWords::Unix(path) => Address::Unix(path.into()),
        AddressWords::Host(host, own) => match host.parse::<IpAddr>() {
            Ok(address) => Address::Ip(SocketAddr::new(address, port.unwrap_or(own))),
            Err(_) => Address::Name(Arc::from(host), port.unwrap_or(own)),
        },
    }
}

/// The same with a name of a config replaced by its first address, asked for as the daemon would: with its
/// `resolver`.
pub(super) fn resolve_by(
    source: &Source,
    address: &Address,
) -> Result<(Address, Option<(Span, String)>), String> {
    let Address::Name(name, port) = address else { return Ok((address.clone(), None)) };
    let question = Question { name: name.clone(), ask: Ask::Addresses };
    let began = Instant::now();
    let found = resolve::once(source.clone(), &question, Span::from_secs(PATIENCE.as_secs()));
    let found = found.map_err(|why| format!("{name} does not resolve: {why}"))?;
    let addresses: Vec<SocketAddr> =
        found.iter().map(|end| SocketAddr::new(end.ip, end.port.unwrap_or(*port))).collect();
    first(name, &addresses, began)
}

/// The same with a name replaced by its first address; with how long that took, and what came of it.
pub(super) fn resolve(address: &Address) -> Result<(Address, Option<(Span, String)>), String> {
    let Address::Name(name, port) = address else { return Ok((address.clone(), None)) };
    let (done, wait) = sync_channel(1);
    let (asked, port) = (name.clone(), *port);
    let began = Instant::now();
    // The thread is left alone when it takes too long: getaddrinfo(3) cannot be interrupted.
    std::thread::spawn(move || {
        let addresses = (&*asked, port).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>);
        let _nobody_waits_any_more = done.send(addresses);
    });
    let addresses = match wait.recv_timeout(PATIENCE) {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => {
            let text = error.to_string();
            let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
            return Err(format!("{name} does not resolve: {text}"));
        }
        Err(_) => {
            return Err(format!("{name} does not resolve within {}", Span::from_secs(PATIENCE.as_secs())));
        }
    };
    first(name, &addresses, began)
}

fn first(
    name: &str,
    addresses: &[SocketAddr],
    began: Instant,
) -> Result<(Address, Option<(Span, String)>), String> {
    let took = Span::from_nanos(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let Some(first) = addresses.first() else { return Err(format!("{name} has no address")) };
    let others = match addresses.len() - 1 {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Ok((Address::Ip(*first), Some((took, format!("{}{others}", first.ip())))))
}
