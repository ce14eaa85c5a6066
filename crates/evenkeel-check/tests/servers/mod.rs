//! Small servers on loopback that behave and misbehave, and a dialogue to ask them with.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot have its server fails")]

pub(crate) mod namespaces;

use evenkeel_check::dialogue::{Dialogue, Step, Turn};
use evenkeel_core::config::Address;
use evenkeel_core::evidence::{Layer, Mark, Reason};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

/// Sends a line and wants to hear `OK\n`; anything else of that length or more is wrong.
#[derive(Debug)]
pub(crate) struct Ask;

impl Dialogue for Ask {
    fn turn(&self, turn: Turn<'_>) -> Step<'_> {
        match turn {
            Turn { sent: 0, .. } => Step::Send(b"how are you?\n".into()),
            Turn { heard: [b'O', b'K', b'\n', ..], .. } => Step::Pass,
            Turn { heard, .. } if heard.len() < 3 || heard.starts_with(b"OK") => Step::More,
            Turn { heard: [b'M', b'O', b'R', b'E', ..], .. } => Step::More,
            _ => Step::Fail(Reason::soft(Layer::L7, Mark::Wrong, "no \"OK\"")),
        }
    }
}

/// A server with a thread per connection.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    pub(crate) accepted: Arc<AtomicUsize>,
    pub(crate) at_once: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers every line with `answer`, then closes.
    pub(crate) fn answering(answer: &'static [u8]) -> Server {
        Server::doing(move |mut stream| {
            let mut line = [0; 64];
            if stream.read(&mut line).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(answer);
            }
        })
    }

    /// Does something with every connection; the connection is closed after it.
    pub(crate) fn doing(act: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
        Server::at("127.0.0.1:0", act)
    }

    /// The same at a place of one's own choice.
    pub(crate) fn at(place: &str, act: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind(place).unwrap();
        let at = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let at_once = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, busiest, halt) = (accepted.clone(), at_once.clone(), stop.clone());
        let act = Arc::new(act);
        let now = Arc::new(AtomicUsize::new(0));
        let held = listener.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if halt.load(SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                let _ = stream.set_write_timeout(Some(Duration::from_secs(10)));
                count.fetch_add(1, SeqCst);
                let (act, now, busiest) = (act.clone(), now.clone(), busiest.clone());
                std::thread::spawn(move || {
                    busiest.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    act(stream);
                    now.fetch_sub(1, SeqCst);
                });
            }
        });
        Server { at, accepted, at_once, stop, listener: held, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Ip(self.at)
    }

    /// From now on connects to it are refused.
    pub(crate) fn kill(&mut self) {
        self.stop.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            // From whatever namespace it is called: this wakes the thread that accepts.
            // SAFETY: takes two numbers; the descriptor is ours.
            unsafe { libc::shutdown(self.listener.as_raw_fd(), libc::SHUT_RDWR) };
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address that nobody listens at: the port of tcpmux (RFC 1078).
pub(crate) fn refusing() -> Address {
    Address::Ip(([127, 0, 0, 1], 1).into())
}

/// A listener that lets nobody in: its queue is full, so the kernel drops every further SYN.
pub(crate) fn deaf() -> ((TcpListener, Vec<TcpStream>), Address) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: takes two numbers; listening again changes the length of the queue (listen(2)).
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let at = listener.local_addr().unwrap();
    let patience = Duration::from_millis(100);
    let connect = || TcpStream::connect_timeout(&at, patience);
    let inside: Vec<TcpStream> = std::iter::repeat_with(connect).map_while(Result::ok).take(8).collect();
    assert!(inside.len() < 8, "the queue was filled");
    ((listener, inside), Address::Ip(at))
}

/// Ends a connection by RST.
pub(crate) fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    let (fd, value) = (stream.as_raw_fd(), std::ptr::from_ref(&linger).cast());
    // SAFETY: `linger` is valid for reading for its size.
    assert_eq!(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, size) }, 0);
}

/// A directory that is gone with the value.
pub(crate) struct Scratch(pub(crate) std::path::PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("evenkeel-check-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
