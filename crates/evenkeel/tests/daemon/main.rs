//! The daemon as a process, between real sockets on loopback: what users, operators and signals get from it.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

#[path = "../authority/mod.rs"]
mod authority;
mod certificates;
#[path = "../dns/mod.rs"]
#[allow(dead_code)] // The resolver's own tests use the rest of it.
mod dns;
mod first_round;
mod names;
mod orders;
mod restart;
#[path = "../../../evenkeel-check/tests/servers/mod.rs"]
mod servers;
mod world;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use world::{Daemon, Mood, Server, free_address, get, until};

/// A pool `web` of these servers behind the relay, checked often.
fn config(listen: SocketAddr, servers: &[(&str, &Server)], more: &str) -> String {
    let mut pool = String::new();
    for (word, server) in servers {
        pool.push_str(&format!("    {word} {}\n", server.address));
    }
    format!(
        "service web {{\n    listen {listen} http\n    pool web\n}}\npool web {{\n{pool}    slow-start 0s\n    \
         check http /health every 1s timeout 950ms fast 100ms {{\n        expect body OK\n        \
         down after 1 fail\n        up after 2 passes\n    }}\n{more}}}\n"
    )
}

#[test]
fn a_dead_server_goes_out_and_comes_back() {
    let (mut a, b, listen) = (Server::start("a"), Server::start("b"), free_address());
    let daemon = Daemon::start(&config(listen, &[("server a", &a), ("server b", &b)], ""));
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_server("web", "b", "up", "serving");
    let names: Vec<String> = (0..8).map(|_| get(listen, "/").unwrap().1).collect();
    assert!(names.contains(&"a".to_owned()) && names.contains(&"b".to_owned()), "{names:?}");

    a.close();
    daemon.until_server("web", "a", "down", "out");
    daemon.until_log("pool web server a: down (check http, L4 refused, ");
    for _ in 0..8 {
        assert_eq!(get(listen, "/").map(|answer| (answer.0, answer.1)), Some((200, "b".into())));
    }
    a.open();
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_log("pool web server a: up (check http, passed, ");
}

#[test]
fn a_server_that_is_dead_at_the_start_is_added_when_it_comes() {
    let (a, mut late, listen) = (Server::start("a"), Server::closed("late"), free_address());
    let daemon = Daemon::start(&config(listen, &[("server late", &late), ("server a", &a)], ""));
    for _ in 0..4 {
        assert_eq!(get(listen, "/").map(|answer| (answer.0, answer.1)), Some((200, "a".into())));
    }
    daemon.until_server("web", "late", "down", "out");
    late.open();
    daemon.until_server("web", "late", "up", "serving");
}

#[test]
fn when_all_are_dead_the_backup_serves_without_a_gap_and_rests_when_one_is_back() {
    let (a, sorry, listen) = (Server::start("a"), Server::start("sorry"), free_address());
    let config = config(listen, &[("server a", &a), ("backup sorry", &sorry)], "");
    let seed_log = tempfile::NamedTempFile::new().unwrap();
    let daemon = Daemon::spawn(&config, &["--seed-log", seed_log.path().to_str().unwrap()]);
    daemon.ready();
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_server("web", "sorry", "unknown", "out");
    a.mood(Mood::Broken);
    daemon.until_server("web", "sorry", "unknown", "serving");
    assert_eq!(get(listen, "/").unwrap().1, "sorry");
    a.mood(Mood::Well);
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_server("web", "sorry", "unknown", "out");
    assert_eq!(get(listen, "/").unwrap().1, "a");
    let lines = std::fs::read_to_string(seed_log.path()).unwrap();
    let said: Vec<&str> = lines.lines().map(|line| &line["2024-01-01 12:00:00, ".len()..]).collect();
    let host = a.address.ip();
    let wanted = [
        format!("{host} is gone."),
        "FAIL_BACK is start.".into(),
        format!("{host} is back."),
        "FAIL_BACK is stop.".into(),
    ];
    assert_eq!(said, wanted);
}

#[test]
fn why_names_the_cause() {
    let [mut refused, broken, lying, silent, torn] =
        ["refused", "broken", "lying", "silent", "torn"].map(Server::start);
    let deaf = world::Deaf::start();
    let names = ["refused", "broken", "lying", "silent", "torn"];
    let words = names.map(|name| format!("server {name}"));
    let servers: Vec<(&str, &Server)> =
        words.iter().map(String::as_str).zip([&refused, &broken, &lying, &silent, &torn]).collect();
    let more = format!("    server deaf {}\n", deaf.address());
    let daemon = Daemon::start(&config(free_address(), &servers, &more));
    for name in names {
        daemon.until_server("web", name, "up", "serving");
    }
    refused.close();
    broken.mood(Mood::Broken);
    lying.mood(Mood::Lying);
    silent.mood(Mood::Silent);
    torn.mood(Mood::Torn);
    let causes: [(&str, &[&str]); 6] = [
        (
            "refused",
            &[
                "L4 refused (hard)",
                "Connection refused (os error 111)",
                "phases      connect ",
                "+x",
                "fired       down after 1 fail: ",
            ],
        ),
        ("broken", &["L7 status 500 (soft)", "connect ", "first byte ", "HTTP/1.1 500 Broken", "+w"]),
        ("lying", &["L7 ", "OK", "+w", "to serve it needs 2 passes in a row of check http"]),
        ("silent", &["timeout", "connect ", "send ", "+t", "back up after 2 passes in a row"]),
        ("torn", &["reset", "first byte ", "+x"]),
        ("deaf", &["L4 connect timeout (hard)", "history     t", "asks        every 1s, timeout 950ms"]),
    ];
    for (name, parts) in causes {
        daemon.until_server("web", name, "down", "out");
        let said = daemon.says(&["why", name]);
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in\n{said}");
        }
    }
    let json = daemon.json(&["why", "web/broken"]);
    assert_eq!(json["checks"][0]["decided"]["outcome"], "L7 status 500");
}

#[test]
fn names_that_do_not_exist_get_advice() {
    let a = Server::start("rs1");
    let daemon = Daemon::start(&config(free_address(), &[("server rs1", &a)], ""));
    for (words, advice) in [
        (vec!["status", "wev"], "no pool \"wev\", did you mean \"web\"?"),
        (vec!["why", "web/rs2"], "no server \"rs2\", did you mean \"rs1\"?"),
        (vec!["why", "web"], "\"web\" is a pool, not a server; its servers: web/rs1"),
        (vec!["why", "wed/rs1"], "no pool \"wed\", did you mean \"web\"?"),
    ] {
        let output = daemon.ask(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(advice)), (Some(1), true), "{words:?}: {said}");
    }
}

#[test]
fn events_are_numbered_kept_and_followed() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let daemon = Daemon::start(&config(free_address(), &[("server a", &a), ("server b", &b)], ""));
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_server("web", "b", "up", "serving");
    let lines = daemon.says(&["events", "--json"]);
    let events: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let last = numbers.len().to_string();

    let socket = daemon.path("s");
    let follower = thread::spawn(move || {
        use std::io::{BufRead, BufReader};
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args(["events", "--follow", "--json", "--since", &last, "--socket"])
            .arg(socket)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
        let found = events.into_iter().find(|event| event["event"] == "health" && event["to"] == "down");
        child.kill().unwrap();
        child.wait().unwrap();
        found.unwrap()
    });
    b.mood(Mood::Broken);
    let event = follower.join().unwrap();
    assert_eq!(
        (&event["server"], &event["check"], &event["layer"]),
        (&"b".into(), &"http".into(), &"L7".into())
    );
    assert_eq!((&event["reason"], &event["serving"]), (&"status 500".into(), &serde_json::json!(["a"])));
    let text = daemon.says(&["events"]);
    assert!(text.contains("pool web server b: down (check http, L7 status 500, "), "{text}");
}

#[test]
fn a_reload_with_a_broken_config_changes_nothing_and_says_every_error() {
    let (a, b, listen) = (Server::start("a"), Server::start("b"), free_address());
    let good = config(listen, &[("server a", &a)], "");
    let daemon = Daemon::start(&good);
    daemon.until_server("web", "a", "up", "serving");
    std::fs::write(
        daemon.path("evenkeel.conf"),
        good.replace("slow-start 0s", "slow-star 0\n    balnce two"),
    )
    .unwrap();
    daemon.signal(libc::SIGHUP);
    daemon.until_log("reload refused, nothing changed: ");
    let log = daemon.log();
    assert!(log.contains("slow-star") && log.contains("balnce"), "{log}");
    assert_eq!(get(listen, "/").unwrap().1, "a");

    std::fs::write(daemon.path("evenkeel.conf"), config(listen, &[("server a", &a), ("server b", &b)], ""))
        .unwrap();
    daemon.signal(libc::SIGHUP);
    daemon.until_log("config reloaded");
    daemon.until_server("web", "b", "up", "serving");
    let log = daemon.log();
    assert_eq!(log.matches("pool web server a: ").count(), 1, "a reload forgets no health:\n{log}");
}

#[test]
fn a_reload_onto_an_address_in_use_is_refused() {
    let (a, listen, taken) = (Server::start("a"), free_address(), Server::start("taken"));
    let good = config(listen, &[("server a", &a)], "");
    let daemon = Daemon::start(&good);
    let more = format!("service more {{\n    listen {} http\n    pool web\n}}\n", taken.address);
    std::fs::write(daemon.path("evenkeel.conf"), good + &more).unwrap();
    daemon.signal(libc::SIGHUP);
    daemon.until_log("reload refused, nothing changed: ");
    assert!(daemon.log().contains(&taken.address.to_string()), "{}", daemon.log());
    assert_eq!(daemon.json(&["status"])["services"].as_array().unwrap().len(), 1);
    assert_eq!(get(listen, "/").unwrap().1, "a");
}

#[test]
fn every_error_of_a_config_is_told_at_the_start() {
    let a = Server::start("a");
    let words = config(free_address(), &[("server a", &a)], "")
        .replace("slow-start 0s", "slow-star 0s\n    balnce two");
    let mut daemon = Daemon::spawn(&words, &[]);
    assert_eq!(daemon.end(), Some(1));
    daemon.until_log("slow-start");
    daemon.until_log("balance");
}

#[test]
fn a_listen_address_in_use_is_named() {
    let (a, taken) = (Server::start("a"), Server::start("taken"));
    let mut daemon = Daemon::spawn(&config(taken.address, &[("server a", &a)], ""), &[]);
    assert_eq!(daemon.end(), Some(2));
    daemon.until_log(&taken.address.to_string());
    daemon.until_log("in use");
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused_and_a_stale_socket_is_not_in_the_way() {
    let a = Server::start("a");
    let words = config(free_address(), &[("server a", &a)], "");
    let mut first = Daemon::start(&words);
    let socket = first.path("s");
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .arg("run")
        .arg(first.path("evenkeel.conf"))
        .arg("--socket")
        .arg(&socket)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("another evenkeel") && said.contains(socket.to_str().unwrap()), "{said}");

    first.signal(libc::SIGKILL);
    first.end();
    assert!(socket.exists(), "nobody could remove it");
    let refused = first.ask(&["status"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains(socket.to_str().unwrap()) && said.contains("evenkeel run"), "{said}");
    first.restart();
    first.ready();
}

#[test]
fn a_stop_lets_the_request_under_way_finish() {
    let (a, listen) = (Server::start("a"), free_address());
    let mut daemon = Daemon::start(
        &config(listen, &[("server a", &a)], "")
            .replace("timeout 950ms", "timeout 5s")
            .replace("every 1s", "every 6s"),
    );
    daemon.until_server("web", "a", "up", "serving");
    a.mood(Mood::Slow);
    let request = thread::spawn(move || get(listen, "/"));
    world::until("the request is under way", || daemon.json(&["status", "web"])["servers"][0]["active"] == 1);
    let start = Instant::now();
    daemon.signal(libc::SIGTERM);
    assert_eq!(request.join().unwrap().map(|answer| answer.0), Some(200));
    assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(!daemon.path("s").exists(), "its socket goes with it");
}

#[test]
fn a_name_in_the_hosts_file_is_served_at_its_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (here, listen) = (Server::at(free, "here"), free_address());
    let more = format!(
        "    server here localhost:{}
",
        free.port()
    );
    let daemon = Daemon::start(&config(listen, &[], &more));
    daemon.until_server("web", "here", "up", "serving");
    assert_eq!(get(listen, "/").unwrap().1, "here");
    let row = daemon.json(&["status", "web"])["servers"][0].clone();
    assert_eq!(row["address"], format!("localhost:{}", free.port()));
    assert_eq!(row["resolved"], here.address.to_string());
}

#[test]
fn a_stop_waits_for_no_idle_connection_and_a_second_signal_for_nothing() {
    use std::io::{Read, Write};
    let (a, listen) = (Server::start("a"), free_address());
    let slow = |words: String| words.replace("timeout 950ms", "timeout 5s").replace("every 1s", "every 6s");
    let words = slow(config(listen, &[("server a", &a)], ""));
    let mut daemon = Daemon::start(&words);
    daemon.until_server("web", "a", "up", "serving");
    let mut idle = std::net::TcpStream::connect(listen).unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 512]).unwrap() > 0);
    let start = Instant::now();
    daemon.signal(libc::SIGTERM);
    assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());

    daemon.restart();
    daemon.ready();
    daemon.until_server("web", "a", "up", "serving");
    a.mood(Mood::Silent);
    let request = thread::spawn(move || get(listen, "/"));
    world::until("the request is under way", || daemon.json(&["status", "web"])["servers"][0]["active"] == 1);
    daemon.signal(libc::SIGINT);
    daemon.until_log("stopping");
    assert!(daemon.ask(&["status"]).status.success(), "it answers while it stops");
    daemon.signal(libc::SIGINT);
    assert_eq!(daemon.end(), Some(143));
    assert_eq!(request.join().unwrap(), None);
}

#[test]
fn json_log_lines_have_the_events_parts() {
    let a = Server::start("a");
    let daemon = Daemon::spawn(&config(free_address(), &[("server a", &a)], ""), &["--log", "json"]);
    daemon.until_log("\"event\":\"health\"");
    let log = daemon.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["event"] == "health").unwrap();
    assert_eq!((&line["pool"], &line["server"], &line["to"]), (&"web".into(), &"a".into(), &"up".into()));
    assert_eq!((&line["level"], &line["serving"]), (&"INFO".into(), &serde_json::json!(["a"])));
    assert!(
        line["text"].as_str().unwrap().starts_with("pool web server a: up (check http, passed, "),
        "{line}"
    );
}

#[test]
fn the_admin_socket_refuses_what_it_does_not_know_and_waits_for_nobody() {
    let a = Server::start("a");
    let daemon = Daemon::start(&config(free_address(), &[("server a", &a)], ""));
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n");
    for (request, status, part) in [
        (head("GET /v1/statuss"), "404", "\"did_you_mean\":\"/v1/status\""),
        (head("POST /v1/status"), "405", "\"error\":"),
        (head("GET /v1/events?since=yesterday"), "400", "since"),
        (head("GET /v1/pools/%2e%2e"), "404", "no pool"),
        (head(&format!("GET /{}", "x".repeat(64 * 1024))), "4", ""),
        ("SSH-2.0-OpenSSH\r\n\r\n".into(), "400", ""),
        (head("GET /livez"), "200", "ok"),
    ] {
        let answer = world::admin(&daemon, &request);
        let short = &request[..request.len().min(60)];
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(part),
            "{short}: {answer}"
        );
    }
    let answer = world::admin(&daemon, &head("GET /v1/config"));
    let held: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let mut printed = std::process::Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let printed = printed.args(["config", "--json"]).arg(daemon.path("evenkeel.conf")).output().unwrap();
    assert_eq!(held, serde_json::from_slice::<serde_json::Value>(&printed.stdout).unwrap());
    let start = Instant::now();
    world::admin(&daemon, "GET /v1/status HTT");
    assert!(start.elapsed() < Duration::from_secs(8), "half a head is not waited for: {:?}", start.elapsed());
}

#[test]
fn it_takes_all_the_descriptors_it_may_have_and_names_a_service_that_listens_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (service, pool) =
        ("service silent {\n plane none\n pool p\n}\n", "pool p {\n server a 127.0.0.1:9\n");
    let config = format!("{service}{pool} check none\n}}\n");
    std::fs::write(dir.path().join("few.conf"), config).unwrap();
    // The shell lowers the soft limit below the hard one; what counts is that the daemon raises it again.
    let script = "ulimit -S -n 128 && ulimit -H -n 300 && exec \"$0\" run \"$1\" --socket \"$2\"";
    let mut child = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_evenkeel")])
        .args([dir.path().join("few.conf"), dir.path().join("s")])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().unwrap()), &mut first)
        .unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let open = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(open.split_whitespace().nth(3), Some("300"), "{open}");
    assert!(first.contains("runs: silent without an address"), "{first}");
}

#[test]
fn with_all_the_clients_it_may_have_it_says_so_now_and_then_and_takes_the_waiting_when_it_can() {
    let server = Server::start("one");
    let listen = free_address();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("few.conf"), config(listen, &[("server one", &server)], "")).unwrap();
    let script =
        "ulimit -S -n 48 && ulimit -H -n 48 && exec \"$0\" run \"$1\" --socket \"$2\" --workers 1 2>\"$3\"";
    let mut child = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_evenkeel")])
        .args([dir.path().join("few.conf"), dir.path().join("s"), dir.path().join("log")])
        .spawn()
        .unwrap();
    let log = || std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    until("it serves", || get(listen, "/").is_some_and(|(status, ..)| status == 200));
    let crowd: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(listen).unwrap()).collect();
    let full = "more of them wait: the limit of open descriptors allows no more";
    until("it says that it has no place left", || log().contains(full));
    std::thread::sleep(Duration::from_millis(450));
    let told = log().matches(full).count();
    drop(crowd);
    until("it takes others again", || get(listen, "/").is_some_and(|(status, ..)| status == 200));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told, 1, "{}", log());
}
