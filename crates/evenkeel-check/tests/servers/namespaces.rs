//! Two network namespaces joined by a wire, and a tap on it. Needs root and iproute2.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Whether tests that need the whole system run; says so if not.
pub(crate) fn wanted(test: &str) -> bool {
    let wanted = std::env::var_os("EVENKEEL_SYSTEM").is_some();
    if !wanted {
        println!("{test}: not run: needs cargo xtask test as root");
    }
    wanted
}

/// The checker's end (10.77.0.1) and the servers' end (10.77.0.2, and all of 10.78.0.0/16).
pub(crate) struct Wire {
    pub(crate) checker: String,
    pub(crate) servers: String,
}

impl Wire {
    pub(crate) fn new() -> Wire {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let wire = Wire { checker: format!("ek-c-{id}"), servers: format!("ek-s-{id}") };
        let Wire { checker, servers } = &wire;
        ip(&format!("netns add {checker}"));
        ip(&format!("netns add {servers}"));
        ip(&format!("link add name wire netns {checker} type veth peer name wire netns {servers}"));
        for (at, address) in [(checker, "10.77.0.1/24"), (servers, "10.77.0.2/24")] {
            ip(&format!("-n {at} address add {address} dev wire"));
            ip(&format!("-n {at} link set wire up"));
            ip(&format!("-n {at} link set lo up"));
        }
        ip(&format!("-n {checker} route add 10.78.0.0/16 via 10.77.0.2"));
        ip(&format!("-n {servers} route add local 10.78.0.0/16 dev lo"));
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for at in [&self.checker, &self.servers] {
            let _ = Command::new("ip").args(["netns", "delete", at]).status();
        }
    }
}

/// From now on this thread, and every thread it starts, is in that namespace.
pub(crate) fn enter(name: &str) {
    let place = File::open(format!("/run/netns/{name}")).unwrap();
    // SAFETY: takes a descriptor and a flag.
    assert_eq!(unsafe { libc::setns(place.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
}

/// TIME_WAIT sockets in this thread's namespace.
pub(crate) fn time_wait() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/sockstat").unwrap();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "tw").unwrap();
    words[at + 1].parse().unwrap()
}

/// One TCP segment as it came by.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) at: Instant,
    pub(crate) from: u16,
    pub(crate) to: u16,
    flags: u8,
}

impl Segment {
    /// `SYN`, `SYN,ACK`, `RST` and so on; the ACK of anything but a SYN is not told.
    pub(crate) fn name(&self) -> &'static str {
        match self.flags & 0x17 {
            0x02 => "SYN",
            0x12 => "SYN,ACK",
            flags if flags & 0x04 != 0 => "RST",
            flags if flags & 0x01 != 0 => "FIN",
            _ => "ACK",
        }
    }
}

/// A tap on the wire, in this thread's namespace (packet(7)).
pub(crate) struct Tap(OwnedFd);

impl Tap {
    pub(crate) fn new() -> Tap {
        // What leaves is seen only by whoever asks for everything.
        let everything = i32::from((libc::ETH_P_ALL as u16).to_be());
        // SAFETY: takes three numbers, returns a descriptor or an error, which is looked at.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, everything) };
        assert!(fd >= 0, "a packet socket");
        let patience = libc::timeval { tv_sec: 0, tv_usec: 50_000 };
        let size = size_of::<libc::timeval>() as libc::socklen_t;
        let value = std::ptr::from_ref(&patience).cast();
        // SAFETY: `patience` is valid for reading for its size; the descriptor is new and ours.
        unsafe {
            assert_eq!(libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value, size), 0);
            Tap(OwnedFd::from_raw_fd(fd))
        }
    }

    /// All TCP segments that come by from now on, for so long.
    pub(crate) fn listen(&self, span: Duration) -> Vec<Segment> {
        let begin = Instant::now();
        let mut segments = Vec::new();
        let mut packet = [0u8; 2_048];
        while begin.elapsed() < span {
            // SAFETY: `packet` is valid for writing for its length.
            let count =
                unsafe { libc::recv(self.0.as_raw_fd(), packet.as_mut_ptr().cast(), packet.len(), 0) };
            let Some(packet) = usize::try_from(count).ok().map(|count| &packet[..count]) else { continue };
            if packet.len() < 40 {
                continue;
            }
            let head = usize::from(packet[0] & 15) * 4;
            if packet.len() >= head + 20 && packet[0] >> 4 == 4 && packet[9] == 6 {
                let port = |at: usize| u16::from_be_bytes([packet[head + at], packet[head + at + 1]]);
                let flags = packet[head + 13];
                segments.push(Segment { at: Instant::now(), from: port(0), to: port(2), flags });
            }
        }
        segments
    }
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split_whitespace()).output().expect("iproute2");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}
