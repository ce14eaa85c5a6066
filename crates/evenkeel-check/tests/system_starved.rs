//! A checker that is stopped or starved must not blame the servers, and must still find the dead ones. The
//! checker and the servers are processes of their own: this test's own program, started again with a part to
//! play. Needs root (for a control group): `cargo xtask test` as root runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its processes fails")]

mod servers;

use evenkeel_check::engine::{Engine, Spec, Stream, Target, Transport};
use evenkeel_core::config::{Address, CheckId, Down, Rule, ServerId, Timing};
use evenkeel_core::{Health, Span, hash};
use servers::Ask;
use servers::namespaces::wanted;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Servers that are well all the time.
const HEALTHY: u32 = 1_000;
/// Servers that die, one after another: each a process of its own.
const MORTAL: u32 = 3;
/// A server thinks for so long.
const THINKS: Duration = Duration::from_millis(50);

#[test]
fn a_stopped_or_starved_checker_blames_nobody_and_finds_the_dead() {
    if !wanted("a_stopped_or_starved_checker_blames_nobody_and_finds_the_dead") {
        return;
    }
    let (_healthy, port) = servers();
    let mut mortal: Vec<(Part, u16)> = (0..MORTAL).map(|_| servers()).collect();
    let ports: Vec<String> = mortal.iter().map(|(_, port)| port.to_string()).collect();
    let mut checker = Part::start("checker", &[port.to_string(), ports.join(",")].join(" "));
    let mut view = View::new(checker.lines());
    view.wait(Duration::from_secs(60), |view| view.up() == HEALTHY + MORTAL);

    // Stopped for 3 seconds. Meanwhile one dies (its port refuses) and one freezes (it accepts and says
    // nothing).
    checker.signal(libc::SIGSTOP);
    std::thread::sleep(Duration::from_secs(1));
    mortal[0].0.end();
    mortal[1].0.signal(libc::SIGSTOP);
    std::thread::sleep(Duration::from_secs(2));
    checker.signal(libc::SIGCONT);
    view.wait(Duration::from_secs(20), |view| view.is_down(HEALTHY) && view.is_down(HEALTHY + 1));
    view.look(Duration::from_secs(3));
    println!("stopped for 3 s: down {:?}", view.down());
    assert_eq!(view.down(), [HEALTHY, HEALTHY + 1], "and nobody else");

    // Stopped again and again, for longer than the timeout.
    for _ in 0..8 {
        checker.signal(libc::SIGSTOP);
        std::thread::sleep(Duration::from_millis(800));
        checker.signal(libc::SIGCONT);
        view.look(Duration::from_millis(400));
    }
    view.look(Duration::from_secs(2));
    println!("stopped 8 times for 0.8 s: down {:?}", view.down());
    assert_eq!(view.down(), [HEALTHY, HEALTHY + 1], "and nobody else");

    // Squeezed to a few percent of a core.
    let squeeze = Squeeze::begin(checker.id());
    println!("squeezed by {}", squeeze.how());
    view.look(Duration::from_secs(2));
    mortal[2].0.end();
    view.wait(Duration::from_secs(30), |view| view.is_down(HEALTHY + 2));
    view.look(Duration::from_secs(8));
    drop(squeeze);
    view.look(Duration::from_secs(3));
    println!("squeezed: down {:?}", view.down());
    assert_eq!(view.down(), [HEALTHY, HEALTHY + 1, HEALTHY + 2], "and nobody else");
    checker.signal(libc::SIGTERM);
    println!("{}", view.stats());
}

/// Plays the part that the parent asks for; in an ordinary run there is none, and nothing to do.
#[test]
fn part() {
    match std::env::var("EVENKEEL_PART").as_deref() {
        Ok("servers") => play_servers(),
        Ok("checker") => play_checker(&std::env::var("EVENKEEL_WORDS").unwrap()),
        _ => {}
    }
}

/// Answers every question, at every local address, a moment after it came. Never returns.
fn play_servers() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    // The standard library asks for a queue of 128; a burst on a busy machine must not look like a dead
    // server. SAFETY: takes two numbers; listening again changes the length of the queue (listen(2)).
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 4_096) }, 0);
    println!("\nport {}", listener.local_addr().unwrap().port());
    let waiting = Arc::new((Mutex::new(VecDeque::new()), Condvar::new()));
    let queue = waiting.clone();
    std::thread::spawn(move || {
        loop {
            let (lock, bell) = &*queue;
            let mut connections = lock.lock().unwrap();
            while connections.is_empty() {
                connections = bell.wait(connections).unwrap();
            }
            let (came, mut stream): (Instant, std::net::TcpStream) = connections.pop_front().unwrap();
            drop(connections);
            std::thread::sleep((came + THINKS).saturating_duration_since(Instant::now()));
            stream.set_nonblocking(true).unwrap();
            // A checker that is stopped between connect and question is answered when it asks.
            match stream.read(&mut [0; 64]) {
                Ok(1..) => drop(stream.write_all(b"OK\n")),
                Ok(0) => {}
                Err(_) if came.elapsed() > Duration::from_secs(10) => {}
                Err(_) => lock.lock().unwrap().push_back((Instant::now(), stream)),
            }
        }
    });
    for stream in listener.incoming() {
        let (lock, bell) = &*waiting;
        lock.lock().unwrap().push_back((Instant::now(), stream.unwrap()));
        bell.notify_one();
    }
}

/// Asks all of them every second, at `down after 1 fail`, and tells every change. Never returns.
fn play_checker(words: &str) {
    let (port, mortal) = words.split_once(' ').unwrap();
    let port: u16 = port.parse().unwrap();
    let (tell, changes) = std::sync::mpsc::sync_channel(64);
    let spec = Arc::new(Spec {
        kind: "ask",
        transport: Transport::Stream(Stream::default()),
        dialogue: Arc::new(Ask),
    });
    let target = |server: u32, ip: [u8; 4], port: u16| Target {
        server: ServerId(server),
        check: CheckId(0),
        key: hash::of_names(&["starved", &server.to_string()]),
        address: Address::Ip((ip, port).into()),
        spec: spec.clone(),
        timing: Timing {
            every: Span::from_secs(1),
            timeout: Span::from_millis(500),
            connect_timeout: Span::from_millis(500),
            fast: Span::from_millis(200),
            fast_refused: Span::from_millis(200),
        },
        rule: Rule { down: Down::Fails { count: 1, spread: Span::ZERO }, up_passes: 2 },
    };
    let healthy = (0..HEALTHY).map(|n| target(n, [127, 1, (n / 250) as u8, (n % 250) as u8 + 1], port));
    let mortal = mortal.split(',').zip(HEALTHY..);
    let mortal = mortal.map(|(port, n)| target(n, [127, 2, 0, 1], port.parse().unwrap()));
    let engine = Engine::start(Box::new(move |change| {
        tell.try_send(change).err().map(|refused| match refused {
            std::sync::mpsc::TrySendError::Full(change) => change,
            std::sync::mpsc::TrySendError::Disconnected(change) => change,
        })
    }))
    .unwrap();
    println!();
    engine.set(healthy.chain(mortal).collect());
    loop {
        match changes.recv_timeout(Duration::from_millis(500)) {
            Ok(change) => {
                let reason = change.evidence.verdict.reason().map(ToString::to_string);
                println!("{} {:?} {}", change.server.0, change.opinion.health, reason.unwrap_or_default());
            }
            Err(_) => println!("stats {:?}", engine.stats()),
        }
    }
}

/// What the checker thinks of every server, and why it last thought one down.
struct View {
    lines: Receiver<String>,
    health: BTreeMap<u32, Health>,
    reasons: BTreeMap<u32, String>,
    stats: String,
}

impl View {
    fn new(lines: Receiver<String>) -> View {
        View { lines, health: BTreeMap::new(), reasons: BTreeMap::new(), stats: String::new() }
    }

    fn look(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.read(&line);
        }
    }

    fn wait(&mut self, patience: Duration, done: impl Fn(&View) -> bool) {
        let until = Instant::now() + patience;
        while !done(self) {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line =
                line.unwrap_or_else(|_| panic!("up {}, down {:?}, {}", self.up(), self.reasons, self.stats));
            self.read(&line);
        }
    }

    fn read(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if first == "stats" {
            self.stats = line.to_owned();
        }
        let Ok(server) = first.parse::<u32>() else { return };
        let health = if second == "Up" { Health::Up } else { Health::Down };
        // A healthy server that was ever down stays in the list: a false down is not mended by the next pass.
        if health == Health::Down {
            self.reasons.insert(server, words.next().unwrap_or_default().to_owned());
        }
        self.health.insert(server, health);
    }

    fn up(&self) -> u32 {
        self.health.values().filter(|health| **health == Health::Up).count() as u32
    }

    fn is_down(&self, server: u32) -> bool {
        self.health.get(&server) == Some(&Health::Down)
    }

    /// Everybody who was ever down.
    fn down(&self) -> Vec<u32> {
        if self.reasons.len() > MORTAL as usize {
            println!("{:?}\n{}", self.reasons, self.stats);
        }
        self.reasons.keys().copied().collect()
    }

    fn stats(&self) -> &str {
        &self.stats
    }
}

/// A process that plays a part, and ends with the test.
struct Part(Child);

impl Part {
    fn start(part: &str, words: &str) -> Part {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "part", "--nocapture"]);
        command.env("EVENKEEL_PART", part).env("EVENKEEL_WORDS", words);
        command.stdout(Stdio::piped()).stdin(Stdio::null());
        // SAFETY: between fork and exec only prctl is called, which touches no memory.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        Part(command.spawn().unwrap())
    }

    fn lines(&mut self) -> Receiver<String> {
        let (tell, lines) = channel();
        let output = self.0.stdout.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        lines
    }

    fn id(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn signal(&self, signal: i32) {
        // SAFETY: takes two numbers; the child has not been waited for, so its number is its own.
        assert_eq!(unsafe { libc::kill(self.id(), signal) }, 0);
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process full of servers, and their port.
fn servers() -> (Part, u16) {
    let mut part = Part::start("servers", "");
    let lines = part.lines();
    loop {
        let line = lines.recv_timeout(Duration::from_secs(30)).unwrap();
        if let Some(port) = line.strip_prefix("port ") {
            return (part, port.parse().unwrap());
        }
    }
}

/// Holds a process down to 4 % of a core until it is dropped.
enum Squeeze {
    /// A control group, of which version, and where its processes came from.
    Group(&'static str, PathBuf),
    /// Stopped and continued by a thread, where control groups are out of reach.
    Turns(std::sync::mpsc::Sender<()>, Option<std::thread::JoinHandle<()>>),
}

impl Squeeze {
    fn begin(process: i32) -> Squeeze {
        let name = format!("evenkeel-{process}");
        let old = Path::new("/sys/fs/cgroup/cpu").join(&name);
        let new = Path::new("/sys/fs/cgroup").join(&name);
        let ways = [
            ("cgroup v2 cpu.max 4 %", new, "cpu.max", "4000 100000"),
            ("cgroup v1 cpu.cfs_quota_us 4 %", old, "cpu.cfs_quota_us", "4000"),
        ];
        for (how, group, file, words) in ways {
            let put = |file: &str, words: &str| {
                std::fs::OpenOptions::new()
                    .write(true)
                    .open(group.join(file))
                    .and_then(|mut file| file.write_all(words.as_bytes()))
            };
            let made = std::fs::create_dir(&group).is_ok();
            if made && put(file, words).is_ok() && put("cgroup.procs", &process.to_string()).is_ok() {
                return Squeeze::Group(how, group);
            }
            let _ = std::fs::remove_dir(&group);
        }
        let (stop, stopped) = channel();
        let turns = move || {
            let signal = |signal| {
                // SAFETY: takes two numbers; the process is a child that is waited for only later.
                unsafe { libc::kill(process, signal) }
            };
            let pause = Duration::from_millis(96);
            while stopped.recv_timeout(Duration::from_millis(4)).is_err() {
                signal(libc::SIGSTOP);
                let over = stopped.recv_timeout(pause).is_ok();
                signal(libc::SIGCONT);
                if over {
                    return;
                }
            }
        };
        Squeeze::Turns(stop, Some(std::thread::spawn(turns)))
    }

    fn how(&self) -> &'static str {
        match self {
            Squeeze::Group(how, _) => how,
            Squeeze::Turns(..) => "SIGSTOP and SIGCONT in turns, 4 %",
        }
    }
}

impl Drop for Squeeze {
    fn drop(&mut self) {
        match self {
            Squeeze::Group(_, group) => {
                let above = group.parent().unwrap().join("cgroup.procs");
                for process in std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines()
                {
                    let _ = std::fs::write(&above, process);
                }
                let _ = std::fs::remove_dir(group);
            }
            Squeeze::Turns(stop, thread) => {
                let _ = stop.send(());
                thread.take().map(std::thread::JoinHandle::join);
            }
        }
    }
}
