//! The binary's `probe` and `try` against servers on loopback that fail in every way there is: the reason
//! must be exactly the right one, and the exit code too.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its server fails")]

mod authority;
#[path = "../../evenkeel-check/tests/servers/mod.rs"]
mod servers;

use authority::Authority;
use evenkeel_check::dialogue::transcript::{Line, Transcript};
use serde_json::Value;
use servers::{Scratch, Server};
use std::io::{Read, Write};
use std::net::ToSocketAddrs;
use std::process::Command;
use std::time::Duration;

/// Exit code, standard output and standard error.
fn evenkeel(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_evenkeel")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The JSON of one failed probe.
fn failed(args: &[&str]) -> Value {
    let (code, out, err) = evenkeel(&[&["probe", "--json"], args].concat());
    assert_eq!(code, 1, "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

/// The reason of one failed probe.
fn reason(args: &[&str]) -> String {
    failed(args)["reason"].as_str().unwrap().to_string()
}

/// A server that hears a request, says this, and closes.
fn saying(answer: impl Into<Vec<u8>>) -> (Server, String) {
    let answer = answer.into();
    let server = Server::doing(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&answer);
    });
    let at = server.at.to_string();
    (server, at)
}

#[test]
fn a_pass_shows_phases_and_what_was_found() {
    let (_server, at) = saying("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall is OK");
    let (code, out, err) = evenkeel(&["probe", &at, "http", "/.health", "expect", "body", "OK"]);
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(out.starts_with(&format!("{at}  http /.health expect body OK\nfrom 127.0.0.1:")), "{out}");
    for part in ["\n  connect ", "\n  send ", "\n  first byte ", "\n  in all ", "all is OK\n", "\npass\n"] {
        assert!(out.contains(part), "no {part:?} in\n{out}");
    }
    let (_, json, _) = evenkeel(&["probe", "--json", &format!("http://{at}/x")]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["verdict"], &json["reason"]), (&Value::from("pass"), &Value::Null));
    assert!(json["phases_ns"]["connect"].as_u64().unwrap() > 0, "{json}");
    assert!(json["took_ns"].as_u64() >= json["phases_ns"]["connect"].as_u64());
}

#[test]
fn refused() {
    let found = failed(&["127.0.0.1:1", "http"]);
    assert_eq!((&found["reason"], &found["kind"]), (&Value::from("L4 refused"), &Value::from("hard")));
    assert_eq!(found["errno"], libc::ECONNREFUSED);
    assert!(found["took_ns"].as_u64().unwrap() > 0, "{found}");
    let (code, out, _) = evenkeel(&["probe", "127.0.0.1:1"]);
    assert_eq!(code, 1);
    assert!(out.ends_with(
        "fail  L4 refused\n      hard: nobody can be served there\n      errno 111: Connection refused\n"
    ));
}

/// The broadcast address of the loopback network: the kernel refuses to route TCP there, and nothing leaves.
#[test]
fn no_route_from_here() {
    let found = failed(&["127.255.255.255:80", "tcp"]);
    assert_eq!(found["reason"], "local no route from here");
    assert_eq!((&found["kind"], &found["errno"]), (&Value::from("local"), &Value::from(libc::ENETUNREACH)));
}

#[test]
fn connect_timeout() {
    let (_full, address) = servers::deaf();
    let found = failed(&[&address.to_string(), "http", "connect", "200ms"]);
    assert_eq!(
        (&found["reason"], &found["kind"]),
        (&Value::from("L4 connect timeout"), &Value::from("hard"))
    );
    assert_eq!(found["phases_ns"]["connect"], Value::Null);
}

#[test]
fn accepted_but_silent() {
    let server =
        Server::doing(|mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {});
    let at = server.at.to_string();
    let silent = "L7 timeout: accepts, does not answer within 300ms";
    assert_eq!(reason(&[&at, "http", "timeout", "300ms"]), silent);
    assert_eq!(reason(&[&at, "tcp", "timeout", "300ms", "send", "PING", "expect", "PONG"]), silent);
}

#[test]
fn statuses_and_bodies() {
    let (_sick, sick) = saying("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nOK");
    let found = failed(&[&sick, "http"]);
    assert_eq!((&found["reason"], &found["kind"]), (&Value::from("L7 status 500"), &Value::from("soft")));
    assert!(found["sample"].as_str().unwrap().starts_with("HTTP/1.1 500 Internal"), "{found}");
    let (_other, other) = saying("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall down");
    let found = failed(&[&other, "http", "/", "expect", "status", "200", "expect", "body", "OK"]);
    assert_eq!(
        (&found["reason"], &found["sample"]),
        (&Value::from("L7 no \"OK\""), &Value::from("all down"))
    );
    assert_eq!(reason(&[&other, "http", "/", "expect", "body", "not", "down"]), "L7 has \"down\"");
    let (_ssh, ssh) = saying("SSH-2.0-OpenSSH_9.7\r\n");
    assert_eq!(reason(&[&ssh, "http"]), "L7 not HTTP");
    let (_mute, mute) = saying("");
    assert_eq!(reason(&[&mute, "http"]), "L7 closed without an answer");
}

#[test]
fn reset_in_the_body() {
    let server = Server::doing(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall is");
        // The bytes must be read before the RST throws them away.
        std::thread::sleep(Duration::from_millis(50));
        servers::reset(stream);
    });
    let at = server.at.to_string();
    assert_eq!(reason(&[&at, "http", "/", "expect", "body", "OK"]), "L7 reset in the body");
}

#[test]
fn certificates() {
    let authority = Authority::new("probe-tls");
    let good = authority.server("web.test", 2100);
    let tls = |server: &Server, name: &str| {
        let (ca, at) = (authority.ca.to_str().unwrap(), server.at.to_string());
        // Keys are made and signed by a build that may not be optimized.
        let words = ["--json", &*at, "http", "/", "timeout", "5s", "tls", "name", name, "ca", ca];
        let (_, out, _) = evenkeel(&[&["probe"][..], &words].concat());
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let found = tls(&good, "web.test");
    assert_eq!(found["verdict"], "pass", "{found}");
    assert!(found["phases_ns"]["tls"].as_u64().unwrap() > 0);
    let found = tls(&good, "shop.test");
    assert_eq!(found["reason"], "L6 certificate is not for shop.test but for web.test");
    let found = tls(&authority.server("web.test", 2022), "web.test");
    let reason = found["reason"].as_str().unwrap();
    assert!(reason.starts_with("L6 certificate expired"), "{reason}");
    assert_eq!(found["kind"], "soft");
}

#[test]
fn a_dump_is_a_transcript_that_can_be_replayed() {
    let (_server, at) = saying("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
    let (code, out, _) = evenkeel(&["probe", "--dump", &at, "http", "/x?y", "host", "shop.test"]);
    assert_eq!(code, 1);
    let transcript = &Transcript::parse(&out).unwrap()[0];
    assert_eq!(
        (&*transcript.words, &*transcript.verdict),
        ("check http /x?y host shop.test\n", "L7 status 404")
    );
    let request =
        b"GET /x?y HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: evenkeel\r\nConnection: close\r\n\r\n";
    assert_eq!(transcript.lines[0], Line::Sent(request.to_vec()));
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone";
    assert!(matches!(&transcript.lines[1], Line::Heard(heard) if answer.starts_with(heard)));
}

#[test]
fn words_that_mean_nothing_are_told_and_nobody_is_asked() {
    for (words, told) in [
        (&["127.0.0.1:1", "http", "/", "expect", "status", "2xx"][..], "`2xx` is no status"),
        (&["127.0.0.1:1", "ping"], "unknown kind of check `ping`"),
        (&["127.0.0.1", "tcp"], "has no port"),
        (&["ftp://127.0.0.1/"], "unknown scheme `ftp://`"),
        (&["web/rs1", "--config", "/no/such/file"], "cannot read /no/such/file"),
        (&["127.0.0.1:1", "http", "/", "timeout", "5"], "`5` has no unit"),
    ] {
        let (code, out, err) = evenkeel(&[&["probe"], words].concat());
        assert_eq!((code, &*out), (2, ""), "{words:?}");
        assert!(err.contains(told), "{words:?}: {err}");
    }
}

#[test]
fn a_config_is_tried_and_its_servers_probed() {
    let (_good, good) = saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
    let (_sick, sick) = saying("HTTP/1.1 503 No\r\n\r\n");
    let files = Scratch::new("try");
    let file = files.0.join("evenkeel.conf");
    let pool = |first: &str| {
        let text = format!(
            "service web {{\n listen 127.0.0.1:18443\n pool web\n}}\npool web {{\n server rs1 {first}\n \
             server rs2 {sick}\n check http /health\n check half-open\n}}\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let name = file.to_str().unwrap();
    pool(&good);
    let (code, out, err) = evenkeel(&["try", name]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("pool web: would serve: rs1\n"), "{out}");
    assert!(out.contains("out") && out.contains("L7 status 503"), "{out}");
    let (code, out, _) = evenkeel(&["probe", "web/rs2", "--config", name]);
    assert_eq!(
        (code, out.matches("\nfail  L7 status 503\n").count(), out.matches("\npass\n").count()),
        (1, 1, 1)
    );
    let (code, ..) = evenkeel(&["probe", "web/rs2", "--config", name, "--check", "half-open"]);
    assert_eq!(code, 0);
    pool("127.0.0.1:1");
    let (code, out, _) = evenkeel(&["try", "--json", name]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["pools"][0]["serving"]), (1, &Value::Array(Vec::new())));
    assert_eq!(json["pools"][0]["servers"][0]["checks"][0]["reason"], "L4 refused");
    let (code, _, err) = evenkeel(&["try", "/no/such/file"]);
    assert_eq!(code, 1);
    assert!(err.contains("cannot read /no/such/file"), "{err}");
}

#[test]
fn a_server_given_by_name_is_asked_by_its_name() {
    let server = Server::doing(|mut stream| {
        let mut request = [0; 1024];
        let count = stream.read(&mut request).unwrap_or(0);
        let host = format!("\r\nHost: localhost:{}\r\n", stream.local_addr().unwrap().port());
        let named = String::from_utf8_lossy(&request[..count]).contains(&host);
        let answer = if named { "HTTP/1.1 200 OK\r\n\r\n" } else { "HTTP/1.1 400 another host\r\n\r\n" };
        let _ = stream.write_all(answer.as_bytes());
    });
    let (files, port) = (Scratch::new("named"), server.at.port());
    if ("localhost", port).to_socket_addrs().ok().and_then(|mut all| all.next()) != Some(server.at) {
        println!("not run: localhost is not 127.0.0.1 here");
        return;
    }
    let file = files.0.join("evenkeel.conf");
    let text = format!(
        "service web {{\n listen 127.0.0.1:18443\n pool web\n}}\npool web {{\n \
         server name localhost:{port}\n \
         server number 127.0.0.1:{port}\n check http\n}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let (code, out, err) = evenkeel(&["try", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("pool web: would serve: name\n") && out.contains("L7 status 400"), "{out}");
    let (code, out, _) = evenkeel(&["probe", &format!("localhost:{port}"), "http"]);
    assert_eq!(code, 0, "{out}");
}
