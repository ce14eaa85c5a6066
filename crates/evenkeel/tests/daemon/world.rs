//! What a test of the daemon needs: servers that behave as told, the daemon itself as a process, a client, and
//! patience with an end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    /// 200, body `OK`.
    Well,
    /// 500.
    Broken,
    /// 200, body `NO`.
    Lying,
    /// Accepts, and never says a word.
    Silent,
    /// 200, body `OK`, one and a half seconds after the request.
    Slow,
    /// 200, body `OK`, a third of a second after the request.
    Late,
    /// 200, and a reset amid the body.
    Torn,
}

/// An HTTP server on loopback that names itself in a header. Dropped, its port refuses.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    name: &'static str,
    mood: Arc<AtomicU8>,
    open: Option<Arc<()>>,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Server {
        Server::at(free_address(), name)
    }

    pub(crate) fn at(address: SocketAddr, name: &'static str) -> Server {
        let mut server = Server::closed_at(address, name);
        server.open();
        server
    }

    /// One whose port refuses until it is opened.
    pub(crate) fn closed(name: &'static str) -> Server {
        Server::closed_at(free_address(), name)
    }

    pub(crate) fn closed_at(address: SocketAddr, name: &'static str) -> Server {
        Server { address, name, mood: Arc::new(AtomicU8::new(Mood::Well as u8)), open: None }
    }

    pub(crate) fn open(&mut self) {
        let mut bound = None;
        until("its port is free", || {
            bound = TcpListener::bind(self.address).ok();
            bound.is_some()
        });
        let listener = bound.unwrap();
        let (name, mood, open) = (self.name, self.mood.clone(), Arc::new(()));
        let alive = Arc::downgrade(&open);
        self.open = Some(open);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if alive.strong_count() == 0 {
                    return;
                }
                let (mood, stream) = (mood.clone(), stream.unwrap());
                thread::spawn(move || serve(name, &mood, stream));
            }
        });
    }

    /// From now on its port refuses.
    pub(crate) fn close(&mut self) {
        if self.open.take().is_some() {
            // Wakes the accept loop, which then drops its listener.
            let _woken = TcpStream::connect(self.address);
            until("the port refuses", || TcpStream::connect(self.address).is_err());
        }
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(name: &str, mood: &AtomicU8, stream: TcpStream) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => {}
            }
        }
        let now = mood.load(Ordering::Relaxed);
        let (status, body) = match now {
            _ if now == Mood::Silent as u8 => {
                thread::sleep(PATIENCE);
                return;
            }
            _ if now == Mood::Broken as u8 => ("500 Broken", "OK"),
            _ if now == Mood::Lying as u8 => ("200 OK", "NO"),
            _ => ("200 OK", "OK"),
        };
        if now == Mood::Slow as u8 {
            thread::sleep(Duration::from_millis(1500));
        }
        if now == Mood::Late as u8 {
            thread::sleep(Duration::from_millis(333));
        }
        if now == Mood::Torn as u8 {
            tear(writer);
            return;
        }
        let head = format!("HTTP/1.1 {status}\r\nserver: {name}\r\ncontent-length: {}\r\n\r\n", body.len());
        if writer.write_all((head + body).as_bytes()).is_err() {
            return;
        }
    }
}

/// A head, half of a body, and an RST.
fn tear(mut stream: TcpStream) {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").unwrap();
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of_val(&linger) as libc::socklen_t;
    // SAFETY: the option's value is a live `linger` of the size given; the descriptor is the stream's own.
    let code = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    assert_eq!(code, 0);
    // A reset overtakes what the peer has not read yet.
    thread::sleep(Duration::from_millis(20));
    stream.shutdown(std::net::Shutdown::Read).unwrap();
}

/// A listener that accepts nobody any more: its backlog is full, so that the kernel drops every further SYN.
pub(crate) struct Deaf {
    listener: TcpListener,
    _inside: Vec<TcpStream>,
}

impl Deaf {
    pub(crate) fn start() -> Deaf {
        let listener = TcpListener::bind(free_address()).unwrap();
        // SAFETY: listen(2) on a listening socket of our own only changes its backlog.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let inside = std::iter::from_fn(|| connect().ok()).collect();
        Deaf { listener, _inside: inside }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// The daemon as a process. Dropped, it is killed.
pub(crate) struct Daemon {
    child: Child,
    dir: tempfile::TempDir,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts it and waits until it answers on its admin socket.
    pub(crate) fn start(config: &str) -> Daemon {
        let daemon = Daemon::spawn(config, &[]);
        daemon.ready();
        daemon
    }

    pub(crate) fn spawn(config: &str, more: &[&str]) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("evenkeel.conf"), config).unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let child = run(dir.path(), more, &log);
        Daemon { child, dir, log }
    }

    /// The same once more, when the one before has ended.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
    }

    pub(crate) fn restart_with(&mut self, more: &[&str]) {
        self.child = run(self.dir.path(), more, &self.log);
    }

    pub(crate) fn ready(&self) {
        until("the daemon answers", || self.ask(&["status"]).status.success());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Runs a verb against it.
    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.args(words).arg("--socket").arg(self.path("s")).output().unwrap()
    }

    /// What a verb prints; it must succeed.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        let output = self.ask(words);
        assert!(
            output.status.success(),
            "{words:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.log()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a verb prints with `--json`.
    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.says(&[words, &["--json"]].concat())).unwrap()
    }

    /// Waits until a server's row of the status has these values.
    pub(crate) fn until_server(&self, pool: &str, server: &str, health: &str, duty: &str) {
        let what = format!("{pool}/{server} is {health} and {duty}");
        until_or(
            &what,
            || self.log() + &String::from_utf8_lossy(&self.ask(&["status"]).stdout),
            || {
                let status = self.json(&["status", pool]);
                let rows = status["servers"].as_array().unwrap();
                let row = rows.iter().find(|row| row["name"] == server).unwrap();
                row["health"] == health && row["duty"] == duty
            },
        );
    }

    /// Waits until the log holds a text.
    pub(crate) fn until_log(&self, text: &str) {
        until_or(&format!("the log says {text:?}"), || self.log(), || self.log().contains(text));
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill(2) takes two numbers; the child was not waited for yet, so its id is still its own.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, signal) }, 0);
    }

    /// Waits for its end; its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let mut code = None;
        until_or(
            "the daemon ends",
            || self.log.lock().unwrap().clone(),
            || {
                code = self.child.try_wait().unwrap();
                code.is_some()
            },
        );
        code.unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped_before = self.child.wait();
    }
}

fn run(dir: &Path, more: &[&str], log: &Arc<Mutex<String>>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.arg("run").arg(dir.join("evenkeel.conf")).arg("--socket").arg(dir.join("s"));
    let mut child = command.args(["--workers", "1"]).args(more).stderr(Stdio::piped()).spawn().unwrap();
    let (mut lines, copy) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
    thread::spawn(move || {
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            copy.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    child
}

/// A loopback address of this test's own, whose port is free. Each call takes another host of 127.0.0.0/8, so that
/// neither tests nor ephemeral ports of clients (which are on 127.0.0.1) meet.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = std::process::id() as u8 | 1;
    let listener = TcpListener::bind((std::net::Ipv4Addr::new(127, process, host[0], host[1]), 0)).unwrap();
    listener.local_addr().unwrap()
}

/// One request on a connection of its own: status, `server` header, body. `None`: no whole answer came.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let server = head.lines().find_map(|line| line.strip_prefix("server: ")).unwrap_or_default();
    Some((status, server.to_owned(), body.to_owned()))
}

/// One exchange with the admin socket: all that came back until it was closed.
pub(crate) fn admin(daemon: &Daemon, request: &str) -> String {
    let mut stream = UnixStream::connect(daemon.path("s")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    let _reset_after_the_answer = stream.read_to_string(&mut text);
    text
}

/// Polls until it is true.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    until_or(what, String::new, &mut done);
}

fn until_or(what: &str, context: impl Fn() -> String, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", context());
        thread::sleep(Duration::from_millis(10));
    }
}
