//! Servers given by name: what users get while the name server fails, empties an answer, or leads elsewhere.

use super::dns::{Dns, Mood};
use super::world::{self, Daemon, Server, free_address, get};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A pool `web` with this line, checked ten times a second, and a resolver that asks the test's name server.
fn config(listen: SocketAddr, dns: &Dns, line: &str) -> String {
    format!(
        "resolver {{\n    nameserver {}\n    timeout 100ms\n    attempts 1\n}}\n\
         service web {{\n    listen {listen} http\n    pool web\n}}\n\
         pool web {{\n    {line}\n    slow-start 0s\n    check http /health every 100ms timeout 90ms {{\n        \
         down after 1 fail\n        up after 2 passes\n    }}\n}}\n",
        dns.address
    )
}

/// Loopback addresses at one port.
fn at_one_port<const COUNT: usize>() -> [SocketAddr; COUNT] {
    let first = free_address();
    std::array::from_fn(|at| match at {
        0 => first,
        _ => SocketAddr::new(free_address().ip(), first.port()),
    })
}

/// A client that asks without a pause. Its answers must all be good; `end` tells how many there were.
struct Client {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Client {
    fn start(address: SocketAddr) -> Client {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = stop.clone();
        let thread = thread::spawn(move || {
            let mut count = 0;
            while !ended.load(Ordering::Relaxed) {
                let answer = get(address, "/").map(|answer| answer.0);
                assert_eq!(answer, Some(200), "after {count} good answers");
                count += 1;
                thread::sleep(Duration::from_millis(2));
            }
            count
        });
        Client { stop, thread }
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn by(listen: SocketAddr) -> String {
    get(listen, "/").unwrap().1
}

#[test]
fn a_name_server_that_fails_or_empties_its_answer_takes_no_server_out() {
    let (a, dns, listen) = (Server::start("a"), Dns::start(), free_address());
    dns.set("app.test", 1, &[&a.address.ip().to_string()]);
    let daemon = Daemon::start(&config(listen, &dns, &format!("server app app.test:{}", a.address.port())));
    daemon.until_server("web", "app", "up", "serving");
    let client = Client::start(listen);
    let kept = format!("; keeps {}", a.address.ip());
    dns.mood(Mood::Silent);
    daemon.until_log(&format!("WARN dns app.test: timeout from {}{kept}", dns.address));
    let row = &daemon.json(&["status"])["names"][0];
    assert_eq!(row["addresses"][0], a.address.ip().to_string());
    assert!(row["trouble"].as_str().unwrap().starts_with("timeout"), "{row}");
    dns.empty("app.test");
    dns.mood(Mood::Answer);
    daemon.until_log(&format!("WARN dns app.test: no address{kept}"));
    assert!(daemon.says(&["status"]).contains("no address"));
    dns.set("app.test", 1, &[&a.address.ip().to_string()]);
    let good = format!("INFO dns app.test: {}\n", a.address.ip());
    world::until("it is told that the name is well again", || daemon.log().matches(&good).count() == 2);
    assert!(client.end() > 100);
    let turns = daemon.log().matches("server app: ").count();
    assert_eq!(turns, 1, "it came up once and nothing else happened to it:\n{}", daemon.log());
}

#[test]
fn a_changed_address_is_probed_before_it_serves_and_the_old_one_drains() {
    let (dns, listen) = (Dns::start(), free_address());
    let [old, new] = at_one_port();
    let (_a, mut b) = (Server::at(old, "a"), Server::closed_at(new, "b"));
    dns.set("app.test", 1, &[&old.ip().to_string()]);
    let daemon = Daemon::start(&config(listen, &dns, &format!("server app app.test:{}", old.port())));
    daemon.until_server("web", "app", "up", "serving");
    let client = Client::start(listen);
    dns.set("app.test", 1, &[&new.ip().to_string()]);
    daemon.until_log(&format!(
        "pool web server app: new address {new} (dns app.test), probed before it serves"
    ));
    let other = format!("app@{}", new.ip());
    daemon.until_server("web", &other, "down", "out");
    // Longer than it takes to confirm the answer: that alone moves nobody.
    thread::sleep(Duration::from_millis(2500));
    daemon.until_server("web", "app", "up", "serving");
    assert_eq!(by(listen), "a");
    // A reload that changes nothing forgets nothing either.
    daemon.signal(libc::SIGHUP);
    daemon.until_log("config reloaded");
    let row = &daemon.json(&["status"])["pools"][0]["servers"][0];
    assert_eq!((row["name"].as_str(), row["health"].as_str()), (Some("app"), Some("up")));
    b.open();
    daemon.until_log(&format!(
        "pool web server app: address {old} -> {new} (dns app.test), the old one drains"
    ));
    daemon.until_log(&format!("drain by dns: app.test is {} now", new.ip()));
    world::until("the old one is gone", || {
        let status = daemon.json(&["status"]);
        let servers = status["pools"][0]["servers"].as_array().unwrap();
        servers.len() == 1 && servers[0]["name"] == "app" && servers[0]["resolved"] == new.to_string()
    });
    assert_eq!(by(listen), "b");
    assert!(client.end() > 100);
}

#[test]
fn the_servers_of_a_name_come_and_go_and_most_of_them_only_when_it_is_said_twice() {
    let (dns, listen) = (Dns::start(), free_address());
    let all: [SocketAddr; 3] = at_one_port();
    let ips = all.map(|address| address.ip().to_string());
    let ips = ips.each_ref().map(String::as_str);
    let names = ips.map(|ip| format!("app-{ip}"));
    let _servers = [("a", all[0]), ("b", all[1]), ("c", all[2])].map(|(name, at)| Server::at(at, name));
    dns.set("app.test", 1, &ips[..2]);
    let daemon = Daemon::start(&config(listen, &dns, &format!("servers app app.test:{}", all[0].port())));
    daemon.until_server("web", &names[0], "up", "serving");
    daemon.until_server("web", &names[1], "up", "serving");
    let client = Client::start(listen);
    dns.set("app.test", 1, &ips);
    world::until("the third serves", || by(listen) == "c");
    dns.set("app.test", 1, &ips[2..]);
    daemon.until_log("WARN pool web server app: dns app.test takes 2 of 3 servers out; it must say so twice");
    world::until("the others are gone", || {
        let status = daemon.json(&["status"]);
        let servers = status["pools"][0]["servers"].as_array().unwrap();
        servers.len() == 1 && servers[0]["name"] == names[2]
    });
    assert!((0..5).all(|_| by(listen) == "c"));
    assert!(client.end() > 100);
}

#[test]
fn a_name_that_does_not_exist_leaves_its_server_unknown_and_the_others_serving() {
    let (a, dns, listen) = (Server::start("a"), Dns::start(), free_address());
    let line = format!("server gone gone.test:80\n    server a {}", a.address);
    let daemon = Daemon::start(&config(listen, &dns, &line));
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_log("WARN dns gone.test: no such name");
    daemon.until_server("web", "gone", "unknown", "out");
    let why = daemon.says(&["why", "web/gone"]);
    assert!(why.contains("gone.test does not resolve: no such name"), "{why}");
    assert_eq!(by(listen), "a");
}

#[test]
fn try_and_probe_ask_the_name_server_of_the_config() {
    let (a, dns) = (Server::start("a"), Dns::start());
    dns.set("web.test", 60, &[&a.address.ip().to_string()]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("evenkeel.conf");
    let line = format!("server a web.test:{}", a.address.port());
    std::fs::write(
        &file,
        config(free_address(), &dns, &line).replace("every 100ms timeout 90ms", "every 9s timeout 8s"),
    )
    .unwrap();
    for words in [&["try"][..], &["probe", "web/a", "--config"]] {
        let mut evenkeel = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        let output = evenkeel.args(words).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}
