//! A TCP connection of a client: a server is found for it, and then bytes go both ways.

use super::connect::{Unmade, connect};
use super::io::Socket;
use super::pump::{End, Patience, pump};
use super::slots::Slot;
use super::upstream::{Active, Server};
use super::worker::{Local, Worker};
use evenkeel_core::hash::of_bytes;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// So that a peer which vanished is noticed long before the idle limit.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Serves one client of a TCP service.
pub(super) async fn serve(
    worker: Rc<Worker>,
    slot: Slot,
    local: Rc<Local>,
    client: Socket,
    from: Option<SocketAddr>,
) {
    slot.adopt().await;
    let Some((server, socket, active)) = find(&worker, &slot, &local, from).await else {
        return client.reset();
    };
    for side in [&client, &socket] {
        // Unix sockets have no such option, and need none.
        let _ = side.keep_alive(KEEP_ALIVE);
    }
    let limits = &local.service.limits;
    let patience = Patience { idle: limits.tcp_idle, half_closed: limits.half_closed };
    let end = pump(&worker, &slot, &client, &socket, (None, None), patience).await;
    drop(active);
    match end {
        End::Closed | End::Idle => {}
        End::Broken | End::Cut => {
            tracing::trace!("session with {} ended: {end:?}", server.address);
            client.reset();
            socket.reset();
        }
    }
}

/// A connection to the first server that takes one. Nothing was sent yet, so every one may be asked.
async fn find(
    worker: &Worker,
    slot: &Slot,
    local: &Local,
    from: Option<SocketAddr>,
) -> Option<(Rc<Server>, Socket, Active)> {
    let limits = &local.service.limits;
    let overall = slot.after(limits.overall);
    let key = from.map_or(0, |from| of_address(&from));
    let mut tried = Vec::new();
    while worker.slots.now() < overall {
        let picture = worker.picture();
        let now = worker.service(&picture, &local.service.name);
        let pool = now.as_deref().unwrap_or(local).route(b"")?.clone();
        let server = pool.pick(key, worker.random(), &tried, false)?.clone();
        let active = server.begin();
        slot.talks_to(Some(server.id));
        match connect(slot, &server, slot.after(limits.connect).min(overall)).await {
            Ok(socket) => return Some((server, socket, active)),
            Err(Unmade::Quit) => return None,
            Err(Unmade::Failed) => tried.push(server.id),
        }
    }
    None
}

/// The key of a client for the balancing methods that keep it at one server.
pub(super) fn of_address(from: &SocketAddr) -> u64 {
    match from.ip() {
        std::net::IpAddr::V4(ip) => of_bytes(&ip.octets()),
        std::net::IpAddr::V6(ip) => of_bytes(&ip.octets()),
    }
}
