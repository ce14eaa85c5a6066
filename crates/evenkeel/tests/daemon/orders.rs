//! Words of people: drain, ready, maint, force and weight, over the verbs and the API.

use crate::config;
use crate::world::{Daemon, Server, admin, free_address, get, until};

/// Two servers that are up.
fn two() -> (Server, Server, Daemon, std::net::SocketAddr) {
    let (a, b, listen) = (Server::start("rs1"), Server::start("rs2"), free_address());
    let daemon = Daemon::start(&config(listen, &[("server rs1", &a), ("server rs2", &b)], ""));
    daemon.until_server("web", "rs1", "up", "serving");
    daemon.until_server("web", "rs2", "up", "serving");
    (a, b, daemon, listen)
}

fn row(daemon: &Daemon, server: &str) -> serde_json::Value {
    let status = daemon.json(&["status", "web"]);
    status["servers"].as_array().unwrap().iter().find(|row| row["name"] == server).unwrap().clone()
}

/// Exit code and standard error of a verb.
fn refused(daemon: &Daemon, words: &[&str]) -> (Option<i32>, String) {
    let output = daemon.ask(words);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_drained_server_gets_nothing_new_and_everybody_sees_who_said_so() {
    let (_a, _b, daemon, listen) = two();
    let said = daemon.says(&["drain", "web/rs1", "--reason", "new disk", "--by", "ann", "--until", "10m"]);
    assert!(said.starts_with("web/rs1: draining, up, nothing under way there; serving: rs2\n"), "{said}");
    for _ in 0..8 {
        assert_eq!(get(listen, "/").map(|answer| answer.1), Some("rs2".into()));
    }
    let user =
        String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let word = format!("drain by ann ({}): new disk", user.trim());
    for verb in [vec!["status"], vec!["why", "rs1"], vec!["events"]] {
        let said = daemon.says(&verb);
        assert!(said.contains(&word), "{verb:?}: {said}");
    }
    let intent = &row(&daemon, "rs1")["intents"][0];
    assert_eq!((&intent["wish"], &intent["origin"]), (&"drain".into(), &"operator".into()));
    assert!(intent["until"].as_str().unwrap().ends_with('Z'), "{intent}");
    assert!(daemon.says(&["drain", "rs1", "--reason", "new disk", "--by", "ann"]).contains("draining"));
    assert!(daemon.says(&["ready", "rs1"]).contains("web/rs1: serving, up; serving: rs1, rs2"));
    assert!(daemon.says(&["ready", "rs1"]).contains("(as before)"));
    assert!(row(&daemon, "rs1").get("intents").is_none());
}

#[test]
fn haproxys_words_do_the_same() {
    let (_a, _b, daemon, _) = two();
    daemon.says(&["set", "server", "web/rs1", "state", "maint"]);
    daemon.until_server("web", "rs1", "up", "out");
    daemon.says(&["set", "server", "web/rs1", "state", "drain"]);
    daemon.until_server("web", "rs1", "up", "draining");
    daemon.says(&["set", "server", "web/rs1", "state", "ready"]);
    daemon.until_server("web", "rs1", "up", "serving");
    daemon.says(&["set", "server", "web/rs1", "weight", "50"]);
    assert_eq!(row(&daemon, "rs1")["weight"], 50);
    let (code, said) = refused(&daemon, &["set", "server", "web/rs1", "state", "mainf"]);
    assert!(code == Some(2) && said.contains("did you mean \"maint\"?"), "{said}");
    let (code, said) = refused(&daemon, &["set", "server", "web/rs1", "weight", "257"]);
    assert!(code == Some(2) && said.contains("0 to 256"), "{said}");
}

#[test]
fn a_weight_stands_over_a_reload_and_is_shown_beside_the_files() {
    let (_a, _b, daemon, listen) = two();
    assert!(daemon.says(&["weight", "rs1", "0", "--reason", "cold"]).contains("draining"));
    for _ in 0..4 {
        assert_eq!(get(listen, "/").map(|answer| answer.1), Some("rs2".into()));
    }
    daemon.signal(libc::SIGHUP);
    daemon.until_log("config reloaded");
    let row = row(&daemon, "rs1");
    assert_eq!((&row["weight"], &row["weighing"]["configured"]), (&0.into(), &1.into()));
    let why = daemon.says(&["why", "rs1"]);
    assert!(why.contains("told: weight 0 by ") && why.contains("cold; the config says 1"), "{why}");
    assert!(daemon.says(&["weight", "rs1", "config"]).contains("web/rs1: serving"));
}

#[test]
fn a_word_ends_at_its_time() {
    let (_a, _b, daemon, _) = two();
    daemon.says(&["maint", "rs1", "--until", "2s"]);
    daemon.says(&["weight", "rs2", "7", "--until", "1s"]);
    daemon.until_server("web", "rs1", "up", "out");
    daemon.until_server("web", "rs1", "up", "serving");
    daemon.until_log("ready by evenkeel: the time of \"maint by ");
    until("the weight is the file's again", || row(&daemon, "rs2")["weight"] == 1);
    assert!(row(&daemon, "rs2").get("weighing").is_none());
}

#[test]
fn nobody_empties_a_pool_by_mistake() {
    let (_a, _b, daemon, _) = two();
    daemon.says(&["force", "down", "web/rs1"]);
    daemon.until_server("web", "rs1", "up", "out");
    for words in
        [vec!["drain", "rs2"], vec!["maint", "rs2"], vec!["force", "down", "rs2"], vec!["weight", "rs2", "0"]]
    {
        let (code, said) = refused(&daemon, &words);
        assert!(code == Some(1) && said.contains("nobody would serve in pool \"web\""), "{words:?}: {said}");
    }
    daemon.until_server("web", "rs2", "up", "serving");
    assert!(daemon.says(&["maint", "rs2", "--force"]).contains("serving: nobody"));
    daemon.until_log("pool web: nobody serves");
    daemon.says(&["force", "up", "rs1"]);
    daemon.until_server("web", "rs1", "up", "serving");
}

#[test]
fn what_is_wrong_with_an_order_is_told_as_json() {
    let (_a, _b, daemon, _) = two();
    let put = |path: &str, body: &str| {
        let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        admin(&daemon, &(head + body))
    };
    let intent = "/v1/pools/web/servers/rs1/intent";
    for (answer, status, part) in [
        (put(intent, "{}"), 400, "needs a wish"),
        (put(intent, "drain"), 400, "no JSON object"),
        (put(intent, r#"{"wish":"drian"}"#), 400, "\"did_you_mean\":\"drain\""),
        (put(intent, &"x".repeat(64 * 1024)), 413, "\"error\":"),
        (put("/v1/pools/web/servers/rs3/intent", r#"{"wish":"drain"}"#), 404, "\"did_you_mean\":\"rs"),
        (put("/v1/pools/wep/servers/rs1/weight", r#"{"weight":3}"#), 404, "\"did_you_mean\":\"web\""),
        (put("/v1/servers/rs1/weight", r#"{"weight":300}"#), 400, "0 to 256"),
        (put("/v1/pools/web/servers/rs1", "{}"), 405, "PUT or POST changes"),
        (admin(&daemon, &format!("GET {intent} HTTP/1.1\r\nhost: x\r\n\r\n")), 405, "GET reads"),
    ] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(part), "{answer}");
        assert!(answer.contains("\r\n\r\n{"), "not JSON: {answer}");
    }
    let (code, said) = refused(&daemon, &["drain", "web/rs3"]);
    assert!(code == Some(1) && said.contains("no server \"rs3\", did you mean"), "{said}");
    let (code, said) = refused(&daemon, &["drain", "web/rs1", "--until", "yesterday"]);
    assert!(code == Some(2) && said.contains("is no time"), "{said}");
    daemon.until_server("web", "rs1", "up", "serving");
}
