//! A check line, from its words over the engine to a change of opinion, against a server that falls ill and
//! recovers.

mod servers;

use evenkeel_check::engine::{Changes, Engine, Target};
use evenkeel_check::words::{self, CheckWords, Defaults};
use evenkeel_core::config::{CheckId, ServerId, Timing};
use evenkeel_core::{Change, Health, Span};
use servers::Server;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

const PATIENCE: Span = Span::from_secs(10);

/// What the server says to its next visitors, and what the check says of that. `None`: it passes.
const DAYS: [(&str, Option<&str>); 6] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall is OK", None),
    ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Some("L7 status 503")),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\nO\r\n1\r\nK\r\n0\r\n\r\n",
        None,
    ),
    ("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nunder repair", Some("L7 no \"OK\"")),
    ("HTTP/1.0 200 fine\r\n\r\nOK", None),
    ("", Some("L7 closed without an answer")),
];

fn check(text: &str) -> CheckWords {
    let (tree, mut errors) = evenkeel_syntax::parse("test", text.as_bytes());
    let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
    let check = lines.first().and_then(|line| words::read(line, &Defaults::default(), &mut errors));
    check.unwrap_or_else(|| panic!("{}", evenkeel_syntax::render(&errors, &tree.files)))
}

fn next(changes: &Receiver<Change>, health: Health) -> Change {
    loop {
        let change = changes.recv_timeout(Duration::from_secs(20)).expect("the engine reports");
        if change.opinion.health == health {
            return change;
        }
    }
}

#[test]
fn a_server_falls_ill_and_recovers_and_each_time_the_reason_is_right() {
    let day = Arc::new(AtomicUsize::new(0));
    let today = day.clone();
    let server = Server::doing(move |mut stream| {
        let mut request = Vec::new();
        let mut piece = [0; 256];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
                _ => return,
            }
        }
        let host = format!("Host: {}\r\n", stream.local_addr().unwrap());
        let text = String::from_utf8(request).unwrap();
        let asked = text.starts_with("GET /.health HTTP/1.1\r\n") && text.contains(&host);
        let answer =
            if asked { DAYS[today.load(SeqCst)].0 } else { "HTTP/1.1 400 not what was to be asked\r\n\r\n" };
        let _ = stream.write_all(answer.as_bytes());
    });
    let check = check(
        "check http /.health every 50ms fast 20ms {
            expect status 200
            expect body OK
            down after 1 fail
            up after 1 pass
        }",
    );
    let (queue, changes) = sync_channel(64);
    let tell: Changes =
        Box::new(move |change| queue.try_send(change).err().map(|_| panic!("the queue is full")));
    let engine = Engine::start(tell).unwrap();
    engine.set(vec![Target {
        server: ServerId(1),
        check: CheckId(1),
        key: 1,
        address: server.address(),
        spec: check.spec.clone(),
        // A busy machine must not be taken for a sick server.
        timing: Timing { timeout: PATIENCE, connect_timeout: PATIENCE, ..check.timing },
        rule: check.rule,
    }]);
    for (number, (_, reason)) in DAYS.iter().enumerate() {
        day.store(number, SeqCst);
        let change = next(&changes, if reason.is_some() { Health::Down } else { Health::Up });
        let told = change.evidence.verdict.reason().map(ToString::to_string);
        assert_eq!(told.as_deref(), *reason, "day {number}");
    }
}
