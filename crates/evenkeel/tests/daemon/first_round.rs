//! The first second of a daemon's life: who comes then waits for the first verdicts and is not refused.

use super::config;
use super::world::{Daemon, Mood, Server, free_address, get, until};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Waits until the address takes connections, and not for anything else.
fn until_bound(listen: SocketAddr) {
    until("the door stands", || TcpStream::connect(listen).is_ok());
}

#[test]
fn nobody_meets_a_server_that_hangs_from_the_start() {
    let (a, hung, listen) = (Server::start("a"), Server::start("hung"), free_address());
    a.mood(Mood::Late);
    hung.mood(Mood::Silent);
    let daemon = Daemon::spawn(&config(listen, &[("server hung", &hung), ("server a", &a)], ""), &[]);
    until_bound(listen);
    for _ in 0..6 {
        assert_eq!(get(listen, "/").map(|answer| (answer.0, answer.1)), Some((200, "a".into())));
    }
    daemon.until_server("web", "hung", "down", "out");
    let rows = daemon.json(&["status", "web"])["servers"].clone();
    assert_eq!((&rows[0]["name"], &rows[0]["total"]), (&"hung".into(), &0.into()));
    assert!(rows[1]["total"].as_u64() >= Some(6), "{rows}");
}

#[test]
fn a_first_round_without_an_answer_holds_nobody_longer_than_a_second() {
    let (a, listen) = (Server::start("a"), free_address());
    a.mood(Mood::Silent);
    let words = config(listen, &[("server a", &a)], "");
    let start = Instant::now();
    let daemon =
        Daemon::spawn(&words.replace("timeout 950ms", "timeout 14s").replace("every 1s", "every 15s"), &[]);
    until_bound(listen);
    let request = thread::spawn(move || get(listen, "/"));
    daemon.ready();
    until("the request is under way", || daemon.json(&["status", "web"])["servers"][0]["active"] == 1);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    daemon.until_server("web", "a", "unknown", "serving");
    assert!(start.elapsed() < Duration::from_secs(14), "before the verdict: {:?}", start.elapsed());
    drop(daemon);
    assert_eq!(request.join().unwrap(), None);
}

#[test]
fn a_reload_holds_nobody() {
    let (a, new, listen) = (Server::start("a"), Server::start("new"), free_address());
    let daemon = Daemon::start(&config(listen, &[("server a", &a)], ""));
    daemon.until_server("web", "a", "up", "serving");
    new.mood(Mood::Silent);
    let words = config(listen, &[("server a", &a), ("server new", &new)], "");
    let words = words.replace("timeout 950ms", "timeout 14s").replace("every 1s", "every 15s");
    // A busy machine may be slow once, but it would be a second late each time if clients were held.
    until("a new door lets somebody in at once", || {
        let door = free_address();
        let more = format!("listen {door} http\n    pool web");
        std::fs::write(daemon.path("evenkeel.conf"), words.replacen("pool web", &more, 1)).unwrap();
        daemon.signal(libc::SIGHUP);
        until("the door stands", || TcpStream::connect(door).is_ok());
        let start = Instant::now();
        assert_eq!(get(door, "/").map(|answer| (answer.0, answer.1)), Some((200, "a".into())));
        start.elapsed() < Duration::from_millis(500)
    });
    daemon.until_server("web", "new", "unknown", "out");
}
