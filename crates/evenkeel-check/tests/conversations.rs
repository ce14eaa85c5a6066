//! Every way in which a server answers, does not answer or misbehaves, over real loopback sockets: the reason
//! must be the right one, and time and memory bounded.

mod servers;

use evenkeel_check::dialogue::{Dialogue, HEARD_MAX, Step, Turn};
use evenkeel_check::engine::{Spec, Stream, Transport};
use evenkeel_check::once::{Conversation, probe_once};
use evenkeel_core::Span;
use evenkeel_core::config::{Address, Timing};
use evenkeel_core::evidence::{Kind, Mark};
use servers::{Ask, Server};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TIMEOUT: Span = Span::from_millis(400);

fn timing() -> Timing {
    Timing { timeout: TIMEOUT, connect_timeout: Span::from_millis(200), ..Timing::default() }
}

fn ask_over(transport: Transport, address: &Address) -> Conversation {
    let spec = Arc::new(Spec { kind: "ask", transport, dialogue: Arc::new(Ask) });
    let begin = Instant::now();
    let conversation = probe_once(&spec, address, &timing());
    // The deadline, the goodbye, and a busy machine.
    assert!(begin.elapsed() < Duration::from_secs(2), "took {:?}", begin.elapsed());
    conversation
}

fn ask(address: &Address) -> Conversation {
    ask_over(Transport::Stream(Stream::default()), address)
}

/// Layer and text, kind and mark of the failure.
fn why(conversation: &Conversation) -> (String, Kind, Mark) {
    let reason = conversation.evidence.verdict.reason().expect("it failed");
    (reason.to_string(), reason.kind, reason.mark)
}

fn misbehaving(act: impl Fn(std::net::TcpStream) + Send + Sync + 'static) -> (String, Kind, Mark) {
    let server = Server::doing(act);
    why(&ask(&server.address()))
}

fn hear_question(stream: &mut std::net::TcpStream) {
    let _ = stream.read(&mut [0; 64]);
}

#[test]
fn a_good_answer_passes_and_is_recorded_with_its_phases() {
    let server = Server::answering(b"OK\nand more\n");
    let conversation = ask(&server.address());
    assert!(conversation.evidence.verdict.passed());
    assert_eq!(conversation.sent(), b"how are you?\n");
    assert_eq!(conversation.heard(), b"OK\nand more\n");
    assert!(conversation.local.is_some_and(|local| local.ip().is_loopback()));
    let phases = conversation.evidence.phases;
    assert!(phases.connect.is_some() && phases.send.is_some() && phases.first_byte.is_some());
    assert!(conversation.evidence.took < TIMEOUT);
}

#[test]
fn half_open_passes_where_somebody_listens_and_only_there() {
    let server = Server::answering(b"OK\n");
    assert!(ask_over(Transport::HalfOpen, &server.address()).evidence.verdict.passed());
    let refused = ask_over(Transport::HalfOpen, &servers::refusing());
    assert_eq!(why(&refused), ("L4 refused".into(), Kind::Hard, Mark::Refused));
}

#[test]
fn refused() {
    let conversation = ask(&servers::refusing());
    assert_eq!(why(&conversation), ("L4 refused".into(), Kind::Hard, Mark::Refused));
    assert_eq!(conversation.evidence.errno, Some(libc::ECONNREFUSED));
}

/// A listener whose queue is full drops the SYN, as a host that is gone does.
#[test]
fn connect_timeout() {
    let (_full, address) = servers::deaf();
    let begin = Instant::now();
    let conversation = ask(&address);
    assert_eq!(why(&conversation), ("L4 connect timeout".into(), Kind::Hard, Mark::Timeout));
    assert!(begin.elapsed() < Duration::from_millis(350), "the connect phase has its own limit");
}

#[test]
fn our_own_routing_table_is_not_the_servers_fault() {
    // The broadcast address of the loopback network: no TCP goes there, and the kernel says so at once.
    let conversation = ask(&Address::Ip(([127, 255, 255, 255], 80).into()));
    assert_eq!(why(&conversation).1, Kind::Local);
    assert_eq!(conversation.evidence.errno, Some(libc::ENETUNREACH));
}

#[test]
fn accepted_but_silent() {
    let (text, kind, mark) = misbehaving(|mut stream| {
        hear_question(&mut stream);
        hear_question(&mut stream);
    });
    assert_eq!(text, "L7 timeout: accepts, does not answer within 400ms");
    assert_eq!((kind, mark), (Kind::Soft, Mark::Timeout));
}

#[test]
fn closed_without_an_answer() {
    let (text, kind, mark) = misbehaving(|mut stream| hear_question(&mut stream));
    assert_eq!((text.as_str(), kind, mark), ("L7 closed without an answer", Kind::Soft, Mark::Wrong));
}

#[test]
fn closed_in_the_middle() {
    let (text, ..) = misbehaving(|mut stream| {
        hear_question(&mut stream);
        let _ = stream.write_all(b"OK");
    });
    assert_eq!(text, "L7 closed after 2 bytes of the answer");
}

#[test]
fn reset_in_the_middle() {
    let (text, kind, mark) = misbehaving(|mut stream| {
        hear_question(&mut stream);
        let _ = stream.write_all(b"MORE");
        std::thread::sleep(Duration::from_millis(20));
        servers::reset(stream);
    });
    assert_eq!(text, "L7 reset after 4 bytes of the answer");
    assert_eq!((kind, mark), (Kind::Soft, Mark::Refused));
}

#[test]
fn reset_without_an_answer() {
    let (text, kind, _) = misbehaving(servers::reset);
    assert_eq!((text.as_str(), kind), ("L7 reset without an answer", Kind::Soft));
}

#[test]
fn garbage() {
    let server = Server::answering(b"\0\xff\xfe garbage \x1b[2J");
    let conversation = ask(&server.address());
    assert_eq!(why(&conversation).0, "L7 no \"OK\"");
    assert_eq!(&*conversation.evidence.sample, b"\0\xff\xfe garbage \x1b[2J");
}

/// It must end when as much was heard as is ever kept, long before the deadline, and keep no more than that.
#[test]
fn an_endless_answer() {
    let server = Server::doing(|mut stream| {
        hear_question(&mut stream);
        let _ = stream.write_all(b"MORE");
        while stream.write_all(&[b'x'; 16 * 1024]).is_ok() {}
    });
    let conversation = ask(&server.address());
    assert_eq!(why(&conversation).0, format!("L7 no verdict within {} KiB of answer", HEARD_MAX / 1024));
    assert!(conversation.heard().len() <= 192 * 1024 && conversation.evidence.sample.len() <= 160);
    assert!(conversation.evidence.took < TIMEOUT);
}

/// A byte now and then does not move the deadline.
#[test]
fn one_byte_at_a_time() {
    let (text, _, mark) = misbehaving(|mut stream| {
        hear_question(&mut stream);
        let _ = stream.write_all(b"MORE");
        while stream.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    assert!(text.starts_with("L7 timeout: answer not complete within 400ms ("), "{text}");
    assert_eq!(mark, Mark::Timeout);
}

/// Says so much that the server's and our buffers are full, and hears that it was not wanted.
#[derive(Debug)]
struct Chatterbox;

impl Dialogue for Chatterbox {
    fn turn(&self, turn: Turn<'_>) -> Step<'_> {
        match turn.sent {
            0..64 => Step::Send(vec![b'a'; 256 * 1024].into()),
            _ => Step::More,
        }
    }
}

#[test]
fn a_server_that_does_not_listen() {
    let server = Server::doing(|stream| {
        std::thread::sleep(Duration::from_millis(800));
        drop(stream);
    });
    let transport = Transport::Stream(Stream::default());
    let spec = Arc::new(Spec { kind: "chatter", transport, dialogue: Arc::new(Chatterbox) });
    let conversation = probe_once(&spec, &server.address(), &timing());
    assert_eq!(why(&conversation).0, "L7 timeout: accepts, does not answer within 400ms");
    assert!(conversation.sent().len() <= 192 * 1024);
}

#[test]
fn a_large_question_is_sent_whole() {
    #[derive(Debug)]
    struct Large;
    impl Dialogue for Large {
        fn turn(&self, turn: Turn<'_>) -> Step<'_> {
            match turn {
                Turn { sent: 0, .. } => Step::Send(vec![b'a'; 8 << 20].into()),
                Turn { heard: b"8388608", .. } => Step::Pass,
                _ => Step::More,
            }
        }
    }
    let server = Server::doing(|mut stream| {
        let mut left = 8 << 20;
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            left -= stream.read(&mut buffer).unwrap();
        }
        let _ = stream.write_all(b"8388608");
    });
    let transport = Transport::Stream(Stream::default());
    let spec = Arc::new(Spec { kind: "large", transport, dialogue: Arc::new(Large) });
    let timing = Timing { timeout: Span::from_secs(20), ..timing() };
    assert!(probe_once(&spec, &server.address(), &timing).evidence.verdict.passed());
}

#[test]
fn unix_sockets() {
    let place = servers::Scratch::new("unix");
    let path = place.0.join("socket");
    let missing = ask(&Address::Unix(path.clone()));
    assert_eq!(why(&missing), ("L4 no such socket".into(), Kind::Hard, Mark::Refused));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
        stream.write_all(b"OK\n").unwrap();
    });
    assert!(ask(&Address::Unix(path.clone())).evidence.verdict.passed());
    thread.join().unwrap();
    assert_eq!(why(&ask(&Address::Unix(path))).0, "L4 refused");
}

#[test]
fn ipv6() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else {
        // A host without IPv6 cannot show this, and has no use for it.
        return;
    };
    let at = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
        stream.write_all(b"OK\n").unwrap();
    });
    assert!(ask(&Address::Ip(at)).evidence.verdict.passed());
    thread.join().unwrap();
}
