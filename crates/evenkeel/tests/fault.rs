//! The fault server does what it is told: whoever tests with it must be able to rely on each way of failing.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[test]
fn it_answers_well_with_its_name_and_keeps_the_connection() {
    let mut server = Server::start();
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"POST /x HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc").unwrap();
        let text = read_until(&mut stream, b"rs1 OK\n");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nx-server: rs1\r\n"), "{text}");
    }
    assert_eq!(server.tell("counts"), "counts accepted 1 requests 3 answered 3 open 1");
}

#[test]
fn statuses_shares_and_texts() {
    let mut server = Server::start();
    server.done("status 503");
    assert!(server.ask().starts_with("HTTP/1.1 503 "));
    server.done("50% status 500");
    let bad = (0..10).filter(|_| server.ask().starts_with("HTTP/1.1 500 ")).count();
    assert_eq!(bad, 5);
    server.done("ok");
    server.done("say leaving");
    assert!(server.ask().ends_with("rs1 leaving\n"));
    assert!(server.tell("dance").starts_with("error unknown behaviour"));
}

#[test]
fn broken_answers() {
    let mut server = Server::start();
    server.done("close");
    assert_eq!(server.ask(), "");
    server.done("garbage");
    assert!(!server.ask().starts_with("HTTP/"));
    server.done("early");
    let early = server.ask();
    assert!(early.contains("content-length: 8000\r\n") && early.len() < 8_000);
    server.done("reset");
    let mut stream = server.connect();
    stream.write_all(REQUEST).unwrap();
    let mut heard = Vec::new();
    assert_eq!(stream.read_to_end(&mut heard).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(heard.len() > 4_000 && heard.len() < 8_000);
    server.done("drip 1ms");
    assert!(server.ask().ends_with("rs1 OK\n"));
}

#[test]
fn bodies_without_measure() {
    let mut server = Server::start();
    for (behaviour, length) in [("endless", None), ("huge", Some("content-length: 1073741824\r\n"))] {
        server.done(behaviour);
        let mut stream = server.connect();
        stream.write_all(REQUEST).unwrap();
        let mut heard = vec![0; 4 << 20];
        stream.read_exact(&mut heard).unwrap();
        let head = String::from_utf8_lossy(&heard[..200]).into_owned();
        assert_eq!(head.contains("content-length"), length.is_some());
        assert!(length.is_none_or(|length| head.contains(length)));
    }
}

#[test]
fn silence() {
    let mut server = Server::start();
    server.done("hang");
    let mut stream = server.connect();
    stream.write_all(REQUEST).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_closed_door_and_an_open_one() {
    let mut server = Server::start();
    let mut kept = server.connect();
    kept.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    read_until(&mut kept, b"rs1 OK\n");
    server.done("deaf");
    assert_eq!(TcpStream::connect(&server.address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    kept.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    read_until(&mut kept, b"rs1 OK\n");
    server.done("refuse");
    assert_eq!(kept.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(&server.address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    server.done("ok");
    assert!(server.ask().ends_with("rs1 OK\n"));
}

#[test]
fn an_upgraded_connection_says_what_it_hears() {
    let server = Server::start();
    let mut stream = server.connect();
    stream.write_all(b"GET /chat HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").unwrap();
    assert!(read_until(&mut stream, b"\r\n\r\n").starts_with("HTTP/1.1 101 "));
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_until(&mut stream, b"hello"), "hello");
}

#[test]
fn the_client_tells_what_became_of_each_request() {
    let mut server = Server::start();
    server.done("50% status 503");
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(["fault", "ask", &server.address, "--rate", "500"]);
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(client.stdout.take().unwrap()).lines().take(20);
    let lines: Vec<String> = lines.map(Result::unwrap).collect();
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
    let good = lines.iter().filter(|line| line.starts_with("200 rs1 ")).count();
    let bad = lines.iter().filter(|line| line.starts_with("503 rs1 ")).count();
    assert_eq!((good, bad), (10, 10), "{lines:?}");
}

struct Server {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start() -> Server {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.args(["fault", "serve", &address, "--name", "rs1", "--obey"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let replies = BufReader::new(child.stdout.take().unwrap());
        let mut server = Server { child, orders, replies, address };
        assert_eq!(server.reply(), "ready");
        server
    }

    fn tell(&mut self, words: &str) -> String {
        writeln!(self.orders, "{words}").unwrap();
        self.reply()
    }

    fn done(&mut self, words: &str) {
        assert_eq!(self.tell(words), format!("done {words}"));
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn ask(&self) -> String {
        let mut stream = self.connect();
        stream.write_all(REQUEST).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).map_or_else(|_| "no text".to_owned(), |_| text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _it_may_be_gone = self.child.kill();
        let _it_was_killed = self.child.wait();
    }
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
    String::from_utf8(heard).unwrap()
}
