//! The engine over real loopback sockets: what it reports, and that it asks no more than it should.

mod servers;

use evenkeel_check::engine::{Engine, Spec, Stream, Target, Transport};
use evenkeel_core::config::{Address, CheckId, Down, Rule, ServerId, Timing};
use evenkeel_core::{Change, Health, Span};
use servers::{Ask, Server};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

fn target(server: u32, check: u32, address: Address, spec: &Arc<Spec>) -> Target {
    Target {
        server: ServerId(server),
        check: CheckId(check),
        key: u64::from(server) << 32 | u64::from(check),
        address,
        spec: spec.clone(),
        timing: Timing {
            every: Span::from_millis(100),
            timeout: Span::from_millis(80),
            connect_timeout: Span::from_millis(80),
            fast: Span::from_millis(20),
            fast_refused: Span::from_millis(20),
        },
        rule: Rule { down: Down::Fails { count: 2, spread: Span::ZERO }, up_passes: 2 },
    }
}

fn spec(transport: Transport) -> Arc<Spec> {
    Arc::new(Spec { kind: "ask", transport, dialogue: Arc::new(Ask) })
}

fn into(queue: SyncSender<Change>) -> evenkeel_check::engine::Changes {
    Box::new(move |change| match queue.try_send(change) {
        Err(TrySendError::Full(change)) => Some(change),
        _ => None,
    })
}

fn next(changes: &Receiver<Change>) -> Change {
    changes.recv_timeout(Duration::from_secs(10)).expect("the engine reports")
}

#[test]
fn a_healthy_server_is_up_a_refusing_one_down_and_a_killed_one_goes_down() {
    let (queue, changes) = sync_channel(64);
    let engine = Engine::start(into(queue)).unwrap();
    let mut good = Server::answering(b"OK\n");
    let refusing = servers::refusing();
    let spec = spec(Transport::Stream(Stream::default()));
    engine.set(vec![target(1, 1, good.address(), &spec), target(2, 1, refusing, &spec)]);
    let mut seen = [Health::Unknown; 3];
    while seen[1] != Health::Up || seen[2] != Health::Down {
        let change = next(&changes);
        seen[change.server.0 as usize] = change.opinion.health;
        if change.opinion.health == Health::Down {
            assert_eq!(change.evidence.verdict.reason().unwrap().to_string(), "L4 refused");
            assert!(change.opinion.avoid && change.opinion.hard);
        }
    }
    good.kill();
    let begin = Instant::now();
    loop {
        let change = next(&changes);
        if change.server == ServerId(1) && change.opinion.health == Health::Down {
            break;
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(2));
    let sights = engine.inspect(Duration::from_secs(5)).unwrap();
    assert_eq!(sights.len(), 2);
    assert!(sights[0].history.len() >= 3, "{}", sights[0].history);
    assert!(sights[0].last_fail.is_some());
}
