//! The engine over real loopback sockets: what it reports, and that it asks no more than it should.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its engine fails")]

mod servers;

use evenkeel_check::engine::{Engine, Sight, Spec, Stream, Target, Transport};
use evenkeel_core::config::{Address, CheckId, Down, Rule, ServerId, Timing};
use evenkeel_core::evidence::Mark;
use evenkeel_core::{Change, Health, Span};
use servers::{Ask, Server};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
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
            // Longer than the interval, for a machine that is busy with other things.
            timeout: Span::from_secs(5),
            connect_timeout: Span::from_secs(5),
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
    let one = engine.inspect_server(ServerId(2), Duration::from_secs(5)).unwrap();
    assert_eq!(one.iter().map(|sight| sight.server).collect::<Vec<_>>(), [ServerId(2)]);
    assert!(sights[0].history.len() >= 3, "{}", sights[0].history);
    assert!(sights[0].last_fail.is_some());
}

/// Waits until something is true of what the engine sees.
fn until(engine: &Engine, what: &str, done: impl Fn(&[Sight]) -> bool) -> Vec<Sight> {
    let begin = Instant::now();
    loop {
        let sights = engine.inspect(Duration::from_secs(5)).unwrap();
        if done(&sights) {
            return sights;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}: {sights:?} {:?}", engine.stats());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn asked(times: usize) -> impl Fn(&[Sight]) -> bool {
    move |sights| sights.iter().all(|sight| sight.history.len() >= times)
}

fn all_passes(sights: &[Sight]) -> bool {
    sights.iter().all(|sight| sight.history.iter().all(|mark| mark == Mark::Pass))
}

/// Gives every change away.
fn heedless() -> Engine {
    Engine::start(Box::new(|_| None)).unwrap()
}

#[test]
fn what_is_asked_twice_is_asked_once() {
    let server = Server::answering(b"OK\n");
    let engine = heedless();
    let spec = spec(Transport::Stream(Stream::default()));
    engine.set((0..4).map(|id| target(id, 1, server.address(), &spec)).collect());
    let sights = until(&engine, "asked", asked(6));
    assert!(all_passes(&sights), "{sights:?}");
    let outcomes: usize = sights.iter().map(|sight| sight.history.len()).sum();
    let probes = engine.stats().probes as usize;
    assert!(probes * 3 <= outcomes, "{probes} probes gave {outcomes} outcomes to 4 sources");
}

#[test]
fn an_address_is_never_asked_twice_at_once() {
    let server = Server::doing(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
        std::thread::sleep(Duration::from_millis(15));
        let _ = stream.write_all(b"OK\n");
        let _ = stream.read(&mut [0; 64]);
    });
    let engine = heedless();
    let different = |id| target(id, 1, server.address(), &spec(rst()));
    engine.set((0..5).map(different).collect());
    let sights = until(&engine, "asked", asked(5));
    assert!(all_passes(&sights), "{sights:?}");
    // The server hears of the end of one connection and of the next one in no particular order.
    assert!(server.at_once.load(SeqCst) <= 2, "{} at once", server.at_once.load(SeqCst));
}

fn rst() -> Transport {
    Transport::Stream(Stream { close_rst: true, ..Stream::default() })
}

#[test]
fn a_full_queue_keeps_the_last_word_of_everybody() {
    let server = Server::answering(b"OK\n");
    let (queue, changes) = sync_channel(64);
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let engine = Engine::start(Box::new(move |change: Change| {
        if !gate.load(SeqCst) {
            return Some(change);
        }
        queue.send(change).err().map(|lost| lost.0)
    }))
    .unwrap();
    let spec = spec(Transport::Stream(Stream::default()));
    let mut targets: Vec<Target> = (0..8).map(|id| target(id, 1, server.address(), &spec)).collect();
    targets.push(target(8, 1, servers::refusing(), &spec));
    engine.set(targets);
    until(&engine, "asked", asked(4));
    open.store(true, SeqCst);
    let mut last = [None; 9];
    while last.iter().any(Option::is_none) {
        let change = next(&changes);
        assert!(last[change.server.0 as usize].is_none(), "one word each: the newest");
        last[change.server.0 as usize] = Some(change.opinion.health);
    }
    assert_eq!(last[..8], [Some(Health::Up); 8]);
    assert_eq!(last[8], Some(Health::Down));
    assert!(engine.stats().held_back >= 1);
}

#[test]
fn a_new_set_keeps_what_is_known_of_those_that_stay() {
    let (one, other) = (Server::answering(b"OK\n"), Server::answering(b"OK\n"));
    let engine = heedless();
    let words = spec(Transport::Stream(Stream::default()));
    engine.set(vec![target(1, 1, one.address(), &words), target(2, 1, one.address(), &words)]);
    until(&engine, "asked", asked(4));
    // A reload brings new allocations of the same words, and server 2 a new address.
    let words = spec(Transport::Stream(Stream::default()));
    engine.set(vec![target(1, 1, one.address(), &words), target(2, 1, other.address(), &words)]);
    let sights = engine.inspect(Duration::from_secs(5)).unwrap();
    assert!(sights[0].history.len() >= 4 && sights[1].history.len() < 4, "{sights:?}");
    until(&engine, "asked there", |sights| sights[1].opinion.health == Health::Up);
    engine.set(Vec::new());
    // Commands are taken in turn: when this one is answered, the set was taken.
    assert!(engine.inspect(Duration::from_secs(5)).unwrap().is_empty());
    let before = engine.stats().probes;
    assert_eq!(engine.stats().targets, 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(engine.stats().probes, before);
}

#[test]
fn a_fault_of_our_own_is_void() {
    let engine = heedless();
    let nowhere = Address::Ip(([127, 255, 255, 255], 80).into());
    engine.set(vec![target(1, 1, nowhere, &spec(Transport::HalfOpen))]);
    let sights = until(&engine, "void", |sights| sights[0].voids >= 3);
    assert_eq!(sights[0].opinion.health, Health::Unknown);
    assert!(sights[0].history.is_empty());
    assert!(sights[0].last_fail.is_some() && engine.stats().void >= 3);
}

/// Answers every question on a connection, not only the first, and counts them.
fn talkative(questions: Arc<AtomicUsize>, at_most: usize) -> Server {
    Server::doing(move |mut stream| {
        for _ in 0..at_most {
            match stream.read(&mut [0; 64]) {
                Ok(1..) => drop(stream.write_all(b"OK\n")),
                _ => return,
            }
            questions.fetch_add(1, SeqCst);
        }
    })
}

#[test]
fn a_connection_is_used_three_times() {
    let questions = Arc::new(AtomicUsize::new(0));
    let server = talkative(questions.clone(), 100);
    let engine = heedless();
    let transport = Transport::Stream(Stream { reuse: true, ..Stream::default() });
    engine.set(vec![target(1, 1, server.address(), &spec(transport))]);
    let sights = until(&engine, "asked", asked(12));
    assert!(all_passes(&sights), "{sights:?}");
    let (questions, accepted) = (questions.load(SeqCst), server.accepted.load(SeqCst));
    assert!((questions / 3..=questions / 3 + 2).contains(&accepted), "{accepted} for {questions}");
    assert_eq!(engine.stats().repeated, 0);
}

#[test]
fn a_lost_kept_connection_means_nothing() {
    let questions = Arc::new(AtomicUsize::new(0));
    // Answers once, and hangs up when asked again.
    let server = Server::doing(move |mut stream| {
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"OK\n");
        questions.fetch_add(1, SeqCst);
        let _ = stream.read(&mut [0; 64]);
    });
    let engine = heedless();
    let transport = Transport::Stream(Stream { reuse: true, ..Stream::default() });
    engine.set(vec![target(1, 1, server.address(), &spec(transport))]);
    let sights = until(&engine, "asked", asked(10));
    assert!(all_passes(&sights), "{sights:?}");
    assert!(engine.stats().repeated >= 3, "{:?}", engine.stats());
}

#[test]
fn a_tripwire_does_not_wait_for_the_next_slot() {
    let (queue, changes) = sync_channel(64);
    let engine = Engine::start(into(queue)).unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    let clones = held.clone();
    let mut server = Server::doing(move |mut stream| {
        clones.lock().unwrap().push(stream.try_clone().unwrap());
        if stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            let _ = stream.write_all(b"OK\n");
        }
    });
    let transport = Transport::Stream(Stream { tripwire: true, ..Stream::default() });
    let mut seldom = target(1, 1, server.address(), &spec(transport));
    seldom.timing.every = Span::from_secs(60);
    engine.set(vec![seldom]);
    assert_eq!(next(&changes).opinion.health, Health::Up);
    // The probe's connection and the wire.
    let begin = Instant::now();
    while server.accepted.load(SeqCst) < 2 || held.lock().unwrap().len() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(10), "the wire is stretched");
        std::thread::sleep(Duration::from_millis(10));
    }
    server.kill();
    let died = Instant::now();
    for stream in held.lock().unwrap().drain(..) {
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    let tripped = next(&changes);
    assert!(tripped.opinion.avoid && tripped.opinion.health == Health::Up, "{tripped:?}");
    while next(&changes).opinion.health != Health::Down {}
    assert!(died.elapsed() < Duration::from_secs(5), "long before the next slot");
}
