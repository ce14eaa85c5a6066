//! What is wrong with a config as a whole: things that each is fine by itself.

use super::model::{Known, Served};
use evenkeel_core::config::{Address, PlaneKind};
use evenkeel_syntax::{Diagnostic, Place, Severity};
use std::net::IpAddr;

/// Judges services and pools together.
pub(super) fn whole(pools: &[Known], services: &[Served], errors: &mut Vec<Diagnostic>) {
    if services.is_empty() && !errors.iter().any(Diagnostic::is_error) {
        let error = Diagnostic::new(Severity::Error, None, "the config has no service");
        errors.push(error.help(
            "a service says where users come to: `service web {`, `listen *:80 http`, `pool web`, `}`",
        ));
    }
    // What could not be read may have named any of them.
    let all_read = !errors.iter().any(Diagnostic::is_error);
    for known in pools.iter().filter(|known| !known.used && all_read) {
        let warning = Diagnostic::warning(known.place, format!("nobody uses the pool `{}`", known.pool.name));
        errors.push(warning.label("no service and no route names it"));
    }
    for known in pools {
        idle(known, errors);
    }
    listens(services, errors);
    circles(pools, services, errors);
}

/// A pool whose servers get no work.
fn idle(known: &Known, errors: &mut Vec<Diagnostic>) {
    let mut servers = known.pool.servers.iter().filter(|server| !server.backup).peekable();
    if servers.peek().is_some() && servers.all(|server| server.weight == 0) {
        let message = format!("every server of the pool `{}` has weight 0", known.pool.name);
        errors.push(Diagnostic::warning(known.place, message).label("none of them gets any work"));
    }
}

/// Complains about listeners that cannot be opened beside each other.
fn listens(services: &[Served], errors: &mut Vec<Diagnostic>) {
    let all: Vec<_> = services
        .iter()
        .filter(|served| served.service.plane == PlaneKind::Relay)
        .flat_map(|served| served.service.listen.iter().zip(&served.listens))
        .collect();
    // `*` is two addresses and one mistake.
    let mut told: Vec<&Place> = Vec::new();
    for (at, (listen, place)) in all.iter().enumerate() {
        let taken = all[..at]
            .iter()
            .find(|(other, other_place)| other_place != place && overlap(&other.address, &listen.address));
        let Some((other, first)) = taken.filter(|_| !told.contains(place)) else { continue };
        told.push(place);
        let wide = |address: &Address| address.ip().is_some_and(|ip| ip.is_unspecified());
        let (message, note) = match (other.address == listen.address, wide(&other.address)) {
            (true, _) => (format!("`{}` is taken twice", listen.address), "the first one is here"),
            (false, true) => (
                format!("`{}` is taken by `{}`", listen.address, other.address),
                "this one takes the port on every address",
            ),
            (false, false) => (
                format!("`{}` takes the port on every address", listen.address),
                "and this one wants it on its own",
            ),
        };
        let error = Diagnostic::error(**place, message).note(**first, note);
        errors.push(error.label("only one can listen there"));
    }
}

/// Whether two addresses cannot be listened on at the same time: bind(2), EADDRINUSE. A listener on `::` takes
/// IPv6 only.
fn overlap(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Ip(a), Address::Ip(b)) => {
            a.port() == b.port()
                && a.is_ipv4() == b.is_ipv4()
                && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
        }
        _ => a == b,
    }
}

/// Complains about servers that are a listener of a service that uses them.
fn circles(pools: &[Known], services: &[Served], errors: &mut Vec<Diagnostic>) {
    for served in services.iter().filter(|served| served.service.plane == PlaneKind::Relay) {
        let uses = |known: &&Known| served.service.routes.iter().any(|route| route.pool == known.pool.id);
        for known in pools.iter().filter(uses) {
            for (server, place) in known.pool.servers.iter().zip(&known.addresses) {
                let mut listens = served.service.listen.iter().zip(&served.listens);
                let Some((_, listen)) = listens.find(|(listen, _)| reaches(&server.address, &listen.address))
                else {
                    continue;
                };
                let message = format!("`{}` is the service `{}` itself", server.name, served.service.name);
                let error = Diagnostic::error(*place, message).label("connections would go in a circle");
                errors.push(error.note(*listen, "it listens here"));
            }
        }
    }
}

/// Whether a connection to `server` surely ends at `listen`.
fn reaches(server: &Address, listen: &Address) -> bool {
    match (server, listen) {
        (Address::Ip(server), Address::Ip(listen)) => {
            let any = |ip: IpAddr| ip.is_unspecified() && ip.is_ipv4() == server.is_ipv4();
            server == listen
                || server.port() == listen.port() && any(listen.ip()) && server.ip().is_loopback()
        }
        _ => server == listen,
    }
}
