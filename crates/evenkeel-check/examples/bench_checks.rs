//! The two ends of the bench of checks: `serve PORT…` answers every HTTP request at every local address,
//! keeping connections at the first port and closing them at the second; `ask LINE COUNT PORT SECONDS` runs
//! the engine with that check line over COUNT addresses from 10.78.0.1 on; `tap SECONDS` tells the mean time
//! from one SYN to the next of every address. `cargo xtask bench checks` joins and measures them.

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
        ["tap", seconds] => tap(Duration::from_secs(number(seconds)?)),
        _ => Err("serve KEEP CLOSE | ask LINE COUNT PORT SECONDS | tap SECONDS".into()),
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

/// Listens to every SYN at the wire: prints the mean interval in seconds, over all addresses.
fn tap(span: Duration) -> Result<(), String> {
    let everything = i32::from((libc::ETH_P_IP as u16).to_be());
    // SAFETY: takes three numbers, returns a descriptor or an error, which is looked at.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM, everything) };
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // IPv4 without options, TCP, flags exactly SYN: the kernel drops the rest before it costs anything.
    let mut program = [
        op(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 9),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, 6),
        op(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 33),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 2),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 64),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let size = size_of::<libc::sock_fprog>() as libc::socklen_t;
    let value = std::ptr::from_ref(&program).cast();
    // SAFETY: `program` is valid for reading for its size and points to a live array.
    if fd < 0 || unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, value, size) } != 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    let room: libc::c_int = 64 << 20;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    let value = std::ptr::from_ref(&room).cast();
    // SAFETY: `room` is valid for reading for its size. Without root it fails, and the room is smaller.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, size) };
    let begin = Instant::now();
    // Of every address the first SYN, and the first one that comes at least this much after the tap was
    // opened. Both are chosen alike, so that jitter near the edges of the window favours neither.
    let mut seen: HashMap<[u8; 4], (f64, Option<f64>)> = HashMap::new();
    let (mut opened, second) = (None, span.as_secs_f64() - 2.0);
    let mut packet = [0u8; 64];
    while begin.elapsed() < span {
        // SAFETY: `packet` is valid for writing for its length.
        let count = unsafe { libc::recv(fd, packet.as_mut_ptr().cast(), packet.len(), 0) };
        if count >= 40 {
            let to = [packet[16], packet[17], packet[18], packet[19]];
            let at = came(fd);
            let opened = *opened.get_or_insert(at);
            let one = seen.entry(to).or_insert((at, None));
            if at >= opened + second {
                one.1.get_or_insert(at);
            }
        }
    }
    // A SYN that was sent twice, or that the tap lost, does not change how many intervals there were.
    let spans = seen.values().filter_map(|(first, later)| later.map(|later| later - first));
    let spans = spans.filter(|span| *span > 0.5);
    let (time, intervals) = spans.fold((0.0, 0.0), |sum, span| (sum.0 + span, sum.1 + span.round()));
    println!("mean {} over {} addresses", time / intervals, seen.len());
    Ok(())
}

/// When the packet that was read last came, in seconds, by the kernel (packet(7); asm-generic/sockios.h).
fn came(fd: i32) -> f64 {
    const SIOCGSTAMPNS: libc::c_ulong = 0x8907;
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, for which `at` has room.
    unsafe { libc::ioctl(fd, SIOCGSTAMPNS, &mut at) };
    at.tv_sec as f64 + at.tv_nsec as f64 / 1e9
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
