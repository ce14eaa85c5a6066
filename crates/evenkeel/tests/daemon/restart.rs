//! What outlives the daemon: health, words of people, and what becomes of a state that cannot be read or written.

use crate::config;
use crate::world::{Daemon, Mood, Server, free_address, get, until};
use std::path::PathBuf;
use std::thread;

/// A folder for the state, and the words that name it.
struct Shelf {
    dir: tempfile::TempDir,
}

impl Shelf {
    fn new() -> Shelf {
        Shelf { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.json")
    }

    fn words(&self) -> [String; 2] {
        ["--state".to_owned(), self.path().display().to_string()]
    }

    fn start(&self, config: &str) -> Daemon {
        let [option, path] = self.words();
        let daemon = Daemon::spawn(config, &[&option, &path]);
        daemon.ready();
        daemon
    }

    /// kill -9, and once more.
    fn kill_and_restart(&self, daemon: &mut Daemon) {
        daemon.signal(libc::SIGKILL);
        daemon.end();
        let [option, path] = self.words();
        daemon.restart_with(&[&option, &path]);
    }

    /// Waits until the file says this.
    fn until_kept(&self, text: &str) {
        until(&format!("{text} is kept"), || {
            std::fs::read_to_string(self.path()).is_ok_and(|kept| kept.contains(text))
        });
    }
}

/// A round of checking takes seconds, so that a daemon that had forgotten would not know in time.
fn slow(listen: std::net::SocketAddr, servers: &[(&str, &Server)]) -> String {
    config(listen, servers, "").replace("timeout 90ms", "timeout 2s").replace("every 100ms", "every 2s")
}

#[test]
fn after_kill_9_nothing_goes_to_a_server_known_dead_and_the_living_serve_at_once() {
    let (shelf, hung, well, listen) =
        (Shelf::new(), Server::start("hung"), Server::start("well"), free_address());
    hung.mood(Mood::Silent);
    let mut daemon = shelf.start(&slow(listen, &[("server hung", &hung), ("server well", &well)]));
    daemon.until_server("web", "hung", "down", "out");
    daemon.until_server("web", "well", "up", "serving");
    shelf.until_kept("\"up\":false");
    shelf.until_kept("\"up\":true");
    // Whoever asks it now learns nothing for longer than the requests below wait to be sent.
    well.mood(Mood::Slow);
    shelf.kill_and_restart(&mut daemon);
    until("users are let in", || std::net::TcpStream::connect(listen).is_ok());
    let requests: Vec<_> = (0..8).map(|_| thread::spawn(move || get(listen, "/"))).collect();
    let served: Vec<_> = requests.into_iter().map(|request| request.join().unwrap()).collect();
    for answer in served {
        assert_eq!(answer.map(|(status, server, _)| (status, server)), Some((200, "well".into())));
    }
    let row = daemon.json(&["status", "web"])["servers"][0].clone();
    assert_eq!((&row["name"], &row["health"], &row["total"]), (&"hung".into(), &"down".into(), &0.into()));
    assert!(row["reason"].as_str().unwrap().contains("timeout"), "{row}");
    daemon.until_log("state restored, ");
    // It is asked, and comes back by the usual rule.
    hung.mood(Mood::Well);
    daemon.until_server("web", "hung", "up", "serving");
}

#[test]
fn words_of_people_hold_over_a_restart_and_those_whose_time_passed_meanwhile_do_not() {
    let (shelf, a, b, listen) = (Shelf::new(), Server::start("a"), Server::start("b"), free_address());
    let mut daemon = shelf.start(&config(listen, &[("server a", &a), ("server b", &b)], ""));
    daemon.until_server("web", "a", "up", "serving");
    daemon.until_server("web", "b", "up", "serving");
    daemon.says(&["drain", "a", "--reason", "new disk", "--until", "1h"]);
    daemon.says(&["weight", "b", "7", "--until", "1s"]);
    shelf.until_kept("new disk");
    shelf.until_kept("\"weight\":7");
    daemon.signal(libc::SIGKILL);
    daemon.end();
    thread::sleep(std::time::Duration::from_millis(1100));
    let [option, path] = shelf.words();
    daemon.restart_with(&[&option, &path]);
    daemon.ready();
    let rows = daemon.json(&["status", "web"])["servers"].clone();
    assert_eq!((&rows[0]["duty"], &rows[0]["health"]), (&"draining".into(), &"up".into()));
    assert_eq!((&rows[0]["intents"][0]["reason"], &rows[1]["weight"]), (&"new disk".into(), &1.into()));
    daemon.until_log("ended while no evenkeel ran");
    daemon.says(&["ready", "a"]);
    daemon.until_server("web", "a", "up", "serving");
}

#[test]
fn a_state_that_is_none_is_put_aside_and_the_daemon_starts() {
    let (shelf, a, listen) = (Shelf::new(), Server::start("a"), free_address());
    for (n, text, told) in [
        (1, "{\"version\":1,", "no state"),
        (2, "{\"version\":99}", "its version is 99"),
        (3, "\u{0}\u{0}", "no state"),
    ] {
        std::fs::write(shelf.path(), text).unwrap();
        let daemon = shelf.start(&config(listen, &[("server a", &a)], ""));
        daemon.until_log("the state cannot be read, nothing is restored: ");
        assert!(daemon.log().contains(told), "{}", daemon.log());
        let bad = shelf.dir.path().join(format!("state.json.bad-{n}"));
        assert_eq!(std::fs::read_to_string(bad).unwrap(), text);
        daemon.until_server("web", "a", "up", "serving");
        shelf.until_kept("\"version\":1");
    }
}

#[test]
fn two_daemons_do_not_share_a_state() {
    let (shelf, a) = (Shelf::new(), Server::start("a"));
    let _first = shelf.start(&config(free_address(), &[("server a", &a)], ""));
    let [option, path] = shelf.words();
    let mut second = Daemon::spawn(&config(free_address(), &[("server a", &a)], ""), &[&option, &path]);
    assert_eq!(second.end(), Some(2));
    second.until_log("another evenkeel (process ");
    second.until_log(&path);
}

#[test]
fn a_state_that_cannot_be_written_is_told_once_and_written_when_it_can_be() {
    let (shelf, a, listen) = (Shelf::new(), Server::start("a"), free_address());
    let way = shelf.dir.path().join("way");
    std::fs::write(&way, "in the way").unwrap();
    let path = way.join("state.json");
    let words = config(listen, &[("server a", &a)], "");
    let daemon = Daemon::spawn(&words, &["--state", path.to_str().unwrap()]);
    daemon.ready();
    daemon.until_log("the state cannot be written, a restart would know nothing: ");
    a.mood(Mood::Broken);
    daemon.until_server("web", "a", "down", "out");
    a.mood(Mood::Well);
    daemon.until_server("web", "a", "up", "serving");
    assert_eq!(get(listen, "/").map(|answer| answer.0), Some(200));
    assert_eq!(daemon.log().matches("the state cannot be written").count(), 1, "{}", daemon.log());
    std::fs::remove_file(&way).unwrap();
    daemon.until_log("the state is written again");
    assert!(path.exists());
}
