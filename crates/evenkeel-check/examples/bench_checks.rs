//! The two ends of the bench of checks: `serve PORT…` answers every HTTP request at every local address, keeping
//! connections at the first port and closing them at the second; `ask LINE COUNT PORT SECONDS` runs the engine with
//! that check line over COUNT addresses from 10.78.0.1 on. `cargo xtask bench checks` joins and measures them.

use evenkeel_check::engine::{Engine, Target};
use evenkeel_check::words::{self, Defaults};
use evenkeel_core::config::{Address, CheckId, ServerId};
use evenkeel_core::hash;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

fn main() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", keep, close] => serve(number(keep)?, number(close)?),
        ["ask", line, count, port, seconds] => ask(line, number(count)?, number(port)?, number(seconds)?),
        _ => Err("serve KEEP CLOSE | ask LINE COUNT PORT SECONDS".into()),
    }
}

fn ask(line: &str, count: u32, port: u16, seconds: u64) -> Result<(), String> {
    let (tree, mut errors) = evenkeel_syntax::parse("line", line.as_bytes());
    let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
    let check = lines.first().and_then(|line| words::read(line, &Defaults::default(), &mut errors));
    let check = check.ok_or_else(|| format!("{errors:?}"))?;
    let engine = Engine::start(Box::new(|_| None)).map_err(|error| error.to_string())?;
    let before = resident();
    let target = |server: u32| Target {
        server: ServerId(server),
        check: CheckId(0),
        key: hash::of_names(&["bench", &server.to_string(), "check"]),
        address: Address::Ip((Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 78, 0, 1)) + server), port).into()),
        spec: check.spec.clone(),
        timing: check.timing,
        rule: check.rule,
    };
    engine.set((0..count).map(target).collect());
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("resident {before} {}", resident());
    println!("{:?}", engine.stats());
    Ok(())
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn serve(keep: u16, close: u16) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let bind = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(said);
    let listeners = [bind(keep)?, bind(close)?];
    // SAFETY: takes a flag.
    let poll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    for listener in &listeners {
        listener.set_nonblocking(true).map_err(said)?;
        // SAFETY: takes two numbers; the queue of the standard library's listeners is too short for this.
        unsafe { libc::listen(listener.as_raw_fd(), 65_535) };
        watch(poll, listener.as_raw_fd());
    }
    println!("listening");
    let mut open: HashMap<i32, (TcpStream, bool)> = HashMap::new();
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1_024];
    loop {
        // SAFETY: the array is valid for its length.
        let count = unsafe { libc::epoll_wait(poll, events.as_mut_ptr(), 1_024, -1) };
        for event in &events[..count.max(0) as usize] {
            let fd = event.u64 as i32;
            if let Some(which) = listeners.iter().position(|listener| listener.as_raw_fd() == fd) {
                while let Ok((stream, _)) = listeners[which].accept() {
                    let _ = stream.set_nonblocking(true);
                    watch(poll, stream.as_raw_fd());
                    open.insert(stream.as_raw_fd(), (stream, which == 1));
                }
            } else if let Some((stream, close)) = open.get_mut(&fd)
                && !answer(stream, *close)
            {
                open.remove(&fd);
            }
        }
    }
}

/// Whether the connection stays.
fn answer(stream: &mut TcpStream, close: bool) -> bool {
    match stream.read(&mut [0; 2_048]) {
        Ok(0) => false,
        Ok(_) => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok() && !close,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

fn watch(poll: i32, fd: i32) {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: fd as u64 };
    // SAFETY: `event` is valid for reading for the length of the call.
    unsafe { libc::epoll_ctl(poll, libc::EPOLL_CTL_ADD, fd, &mut event) };
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no number"))
}
