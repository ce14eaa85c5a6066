//! A relay on loopback with servers that do as they are told, for the tests beside it. Blocking and plain: the
//! readers here share no code with the relay, so that both cannot be wrong in the same way.
// Each test file uses its own part of the scene, and none of it is seen from outside.
#![allow(dead_code, unreachable_pub)]

use evenkeel_core::Span;
use evenkeel_core::config::{
    Address, Balance, Limits, Listen, PlaneKind, PoolId, Protocol, Retry, Route, ServerId, Service,
};
use evenkeel_core::table::{Duty, PoolTable, Row, Table};
use evenkeel_plane::Plane;
use evenkeel_plane::relay::{Counts, Options, Relay};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No wait of a test is longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An address on loopback that nobody else uses: ports of 127.0.0.1 are taken by other tests' clients, but the
/// net has sixteen million addresses.
pub fn free_address() -> SocketAddr {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let (count, pid) = (COUNT.fetch_add(1, Ordering::SeqCst), std::process::id() as usize);
    let ip = Ipv4Addr::new(127, (100 + pid % 100) as u8, (pid / 100 % 250) as u8, (1 + count % 250) as u8);
    SocketAddr::from((ip, 7000 + (count / 250) as u16))
}

/// What a server of the scene does with a connection.
pub type Script = dyn Fn(&mut Talk) -> io::Result<()> + Send + Sync;

/// A server, until the process ends.
pub struct Server {
    pub address: SocketAddr,
    /// Connections accepted so far.
    pub accepted: Arc<AtomicUsize>,
    /// Requests that scripts read with [`Talk::request`], in their order.
    pub seen: Arc<Mutex<Vec<Message>>>,
}

/// One side of a conversation.
pub struct Talk {
    pub stream: TcpStream,
    pub number: usize,
    seen: Arc<Mutex<Vec<Message>>>,
    rest: Vec<u8>,
}

/// A request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// First line and fields, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    }
    /// A field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Server {
    /// Listens on an address of its own and plays `script` with every connection.
    pub fn start(script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) -> Server {
        Server::at(free_address(), script)
    }

    pub fn at(
        address: SocketAddr,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(address).expect("a free port on loopback");
        let address = listener.local_addr().expect("it was just bound");
        let accepted = Arc::new(AtomicUsize::new(0));
        let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
        let server = Server { address, accepted: accepted.clone(), seen: seen.clone() };
        let script: Arc<Script> = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = accepted.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (script.clone(), seen.clone());
                std::thread::spawn(move || {
                    let mut talk = Talk::new(stream, number, seen);
                    // A script that fails has lost its peer; the test sees that from the other side.
                    let _ = script(&mut talk);
                });
            }
        });
        server
    }

    /// Answers every request with 200 and this body.
    pub fn plain(body: &'static str) -> Server {
        Server::start(move |talk| {
            while talk.request()?.is_some() {
                talk.answer(200, body)?;
            }
            Ok(())
        })
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<Message> {
        self.seen.lock().expect("no script panics").clone()
    }
}

impl Talk {
    fn new(stream: TcpStream, number: usize, seen: Arc<Mutex<Vec<Message>>>) -> Talk {
        stream.set_read_timeout(Some(PATIENCE)).expect("a nonzero timeout");
        stream.set_nodelay(true).expect("a connected socket");
        Talk { stream, number, seen, rest: Vec::new() }
    }

    /// A client's side.
    pub fn to(address: SocketAddr) -> Talk {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the relay listens");
        Talk::new(stream, 0, Arc::default())
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    pub fn answer(&mut self, status: u16, body: &str) -> io::Result<()> {
        self.send(format!("HTTP/1.1 {status} Word\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// The next request; `None` if the peer closed instead.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let body = self.body(&head, false)?;
        let message = Message { head, body };
        self.seen.lock().expect("no script panics").push(message.clone());
        Ok(Some(message))
    }

    /// The next answer; `None` if the peer closed instead.
    pub fn response(&mut self, to_head: bool) -> io::Result<Option<Message>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let mut message = Message { head, body: Vec::new() };
        let bodiless = to_head || matches!(message.status(), 100..=199 | 204 | 304);
        if !bodiless {
            message.body = self.body(&message.head, true)?;
        }
        Ok(Some(message))
    }

    /// Sends a request and takes its answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).expect("the relay reads");
        self.response(false).expect("the relay answers in time").expect("an answer")
    }

    pub fn get(&mut self, path: &str) -> Message {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    pub fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.rest.split_off(end + 4);
                let head = std::mem::replace(&mut self.rest, rest);
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if self.more()? == 0 {
                let early = io::Error::other(format!("closed amid a head: {:?}", self.rest));
                return if self.rest.is_empty() { Ok(None) } else { Err(early) };
            }
        }
    }

    /// So many bytes.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.rest.len() < count {
            if self.more()? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
        }
        let rest = self.rest.split_off(count);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    /// What was read from the stream and not asked for yet.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// Everything until the peer closes.
    pub fn all(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.rest))
    }

    fn body(&mut self, head: &str, answer: bool) -> io::Result<Vec<u8>> {
        let message = Message { head: head.to_owned(), body: Vec::new() };
        if message.field("transfer-encoding").is_some() {
            return self.chunks();
        }
        match message.field("content-length") {
            Some(length) => self.exactly(length.parse().map_err(io::Error::other)?),
            None if answer => self.all(),
            None => Ok(Vec::new()),
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.exactly(1)?);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).map_err(io::Error::other)
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.rest.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

/// A relay with one service and one pool.
pub struct World {
    pub relay: Relay,
    pub table: Table,
    pub listen: SocketAddr,
}

/// The only pool's.
pub const POOL: PoolId = PoolId(1);

pub fn row(number: u32, address: impl Into<Place>) -> Row {
    Row {
        server: ServerId(number),
        name: format!("s{number}").into(),
        address: address.into().0,
        duty: Duty::Serve,
        weight: 256,
        backup: false,
        spare: false,
        avoid: false,
    }
}

/// An address of the model, made from what tests have at hand.
pub struct Place(pub Address);
impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Place {
        Place(Address::Ip(address))
    }
}
impl From<&Server> for Place {
    fn from(server: &Server) -> Place {
        Place(Address::Ip(server.address))
    }
}

pub fn service(name: &str, listen: Address, protocol: Protocol, pool: PoolId) -> Service {
    Service {
        name: name.into(),
        listen: vec![Listen { address: listen, protocol, defer: false }],
        routes: vec![Route { prefix: "".into(), pool }],
        plane: PlaneKind::Relay,
        retry: Retry::default(),
        limits: Limits { drain: Span::from_secs(5), ..Limits::default() },
    }
}

pub fn pool(id: PoolId, rows: Vec<Row>) -> PoolTable {
    PoolTable { id, name: "servers".into(), balance: Balance::First, rows }
}

impl World {
    /// `change` is made to the service before it is applied.
    pub fn new(protocol: Protocol, rows: Vec<Row>, change: impl FnOnce(&mut Service)) -> World {
        World::with_workers(2, protocol, rows, change)
    }

    pub fn with_workers(
        workers: usize,
        protocol: Protocol,
        rows: Vec<Row>,
        change: impl FnOnce(&mut Service),
    ) -> World {
        World::with_options(Options { workers, ..Options::default() }, protocol, rows, change)
    }

    pub fn with_options(
        options: Options,
        protocol: Protocol,
        rows: Vec<Row>,
        change: impl FnOnce(&mut Service),
    ) -> World {
        let listen = free_address();
        let mut service = service("web", Address::Ip(listen), protocol, POOL);
        change(&mut service);
        let pools = vec![Arc::new(pool(POOL, rows))];
        let table = Table { version: 0, services: vec![Arc::new(service)], pools };
        let options = Options { finish_within: Duration::ZERO, ..options };
        let mut world = World { relay: Relay::start(options).expect("threads"), table, listen };
        world.apply();
        world
    }

    pub fn http(rows: Vec<Row>) -> World {
        World::new(Protocol::Http, rows, |_| {})
    }

    pub fn apply(&mut self) {
        self.table.version += 1;
        let applied = self.relay.apply(&Arc::new(self.table.clone()));
        assert_eq!(applied.failed, Vec::<String>::new());
    }

    /// Changes the pool's rows and applies them.
    pub fn change(&mut self, change: impl FnOnce(&mut Vec<Row>)) {
        let mut pool = PoolTable::clone(&self.table.pools[0]);
        change(&mut pool.rows);
        self.table.pools[0] = Arc::new(pool);
        self.apply();
    }

    pub fn client(&self) -> Talk {
        Talk::to(self.listen)
    }

    pub fn counts(&self, server: u32) -> Counts {
        self.relay.counts(ServerId(server))
    }
}

/// Waits until something is so.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
