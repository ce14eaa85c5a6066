//! Counts the system calls of a busy relay with strace: two receives and two sends per kept request, and next to
//! nothing beside them. A number that does not depend on the machine.

mod scene;

use evenkeel_core::config::Protocol;
use scene::{Server, World, eventually, row};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const CLIENTS: usize = 64;
const REQUESTS: usize = 300;
/// Receives and sends per request, both sides together. Two of each are what it takes; the rest is for reads that
/// find the next request not yet there.
const MOST: f64 = 4.05;

#[test]
fn a_kept_request_costs_four_calls() {
    if std::env::var_os("EVENKEEL_SYSTEM").is_none() {
        println!("not run: needs cargo xtask test as root");
        return;
    }
    let server = Server::plain("0123456789");
    let world = World::with_workers(1, Protocol::Http, vec![row(1, &server)], |_| {});
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| world.client()).collect();
    let before = run(&mut clients, 20);
    assert_eq!(before, CLIENTS * 20);
    let (text, requests) = traced(&worker(), || run(&mut clients, REQUESTS));
    let calls = |names: &[&str]| -> f64 {
        let counted = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words.last()?;
            names.contains(name).then(|| words.get(3)?.parse::<f64>().ok()).flatten()
        });
        counted.sum::<f64>() / requests as f64
    };
    let moved = calls(&["recvfrom", "recvmsg", "read", "sendto", "sendmsg", "write", "writev"]);
    let waited = calls(&["epoll_wait", "epoll_pwait", "epoll_pwait2"]);
    println!("{moved:.3} receives and sends, {waited:.3} waits per request");
    assert!(moved > 3.9, "the count counts:\n{text}");
    assert!(moved <= MOST, "{moved:.3} receives and sends per request:\n{text}");
    assert!(calls(&["futex", "epoll_ctl", "close", "getpeername", "setsockopt"]) < 0.01, "{text}");
}

/// Every client asks so often, all at the same time; the answer is how many requests that were.
fn run(clients: &mut [scene::Talk], times: usize) -> usize {
    let played: Vec<usize> = std::thread::scope(|scope| {
        let players: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(move || (0..times).filter(|_| client.get("/").status() == 200).count()))
            .collect();
        players.into_iter().map(|player| player.join().expect("no panic")).collect()
    });
    played.iter().sum()
}

/// The thread of the relay's only worker.
fn worker() -> String {
    let mut found = None;
    eventually("the worker runs", || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("procfs").flatten();
        let named = |task: &std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "relay-0")
        };
        found = tasks.into_iter().find(named).map(|task| task.file_name().to_string_lossy().into_owned());
        found.is_some()
    });
    found.expect("it was waited for")
}

/// What `strace -c` counts in a thread while `work` is done.
fn traced<T>(thread: &str, work: impl FnOnce() -> T) -> (String, T) {
    let out = std::env::temp_dir().join(format!("evenkeel-strace-{}", std::process::id()));
    let mut strace = Command::new("strace")
        .args(["-c", "-p", thread, "-o"])
        .arg(&out)
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is installed");
    let mut said = String::new();
    let mut err = BufReader::new(strace.stderr.take().expect("it is piped"));
    err.read_line(&mut said).expect("it speaks when it is attached");
    assert!(said.contains("attached"), "{said}");
    let result = work();
    let ended = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    assert!(ended.expect("a shell command").success());
    strace.wait().expect("it ends when it is told to");
    let text = std::fs::read_to_string(&out).expect("it wrote its count");
    std::fs::remove_file(&out).expect("it was just read");
    (text, result)
}
