//! What a probe looks like on the wire, from a tap between two network namespaces, and what it leaves behind.
//! Needs root: `cargo xtask test` as root runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its network fails")]

mod servers;

use evenkeel_check::dialogue::silence::Silence;
use evenkeel_check::engine::{Engine, Spec, Stream, Target, Transport};
use evenkeel_core::config::{Address, CheckId, Rule, ServerId, Timing};
use evenkeel_core::{Span, hash};
use servers::namespaces::{Segment, Tap, Wire, enter, time_wait, wanted};
use servers::{Ask, Server};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::JoinHandle;
use std::time::Duration;

fn half_open() -> Arc<Spec> {
    Arc::new(Spec { kind: "half-open", transport: Transport::HalfOpen, dialogue: Arc::new(Silence) })
}

fn tcp() -> Arc<Spec> {
    let transport = Transport::Stream(Stream::default());
    Arc::new(Spec { kind: "tcp", transport, dialogue: Arc::new(Silence) })
}

fn question(close_rst: bool) -> Arc<Spec> {
    let transport = Transport::Stream(Stream { close_rst, ..Stream::default() });
    Arc::new(Spec { kind: "ask", transport, dialogue: Arc::new(Ask) })
}

/// `count` servers of 10.78.0.0/16, each asked every `every`.
fn targets(spec: &Arc<Spec>, count: u16, every: Span) -> Vec<Target> {
    let timing = Timing { every, timeout: every, connect_timeout: every, fast: every, fast_refused: every };
    let target = |server: u16| Target {
        server: ServerId(u32::from(server)),
        check: CheckId(0),
        key: hash::of_names(&["wire", &server.to_string()]),
        address: Address::Ip(([10, 78, (server / 250) as u8, (server % 250) as u8 + 1], 80).into()),
        spec: spec.clone(),
        timing,
        rule: Rule::default(),
    };
    (0..count).map(target).collect()
}

/// Starts a thread in a namespace.
fn inside<T: Send + 'static>(namespace: &str, act: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let namespace = namespace.to_owned();
    std::thread::spawn(move || {
        enter(&namespace);
        act()
    })
}

/// A server at every address of the far end that does this with every connection.
fn serve(wire: &Wire, act: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
    inside(&wire.servers, move || Server::at("0.0.0.0:80", act)).join().unwrap()
}

fn read_to_end(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Asks one server 50 times in 5 seconds: what came by, in order, by the port of the checker.
fn watch(wire: &Wire, spec: Arc<Spec>) -> BTreeMap<u16, Vec<Segment>> {
    let tap = inside(&wire.servers, || Tap::new().listen(Duration::from_secs(6)));
    std::thread::sleep(Duration::from_millis(200));
    let asking = inside(&wire.checker, move || {
        let engine = Engine::start(Box::new(|_| None)).unwrap();
        engine.set(targets(&spec, 1, Span::from_millis(100)));
        std::thread::sleep(Duration::from_secs(5));
        engine.set(Vec::new());
        // The last goodbyes are said before the namespace goes.
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(engine.stats().fails + engine.stats().void, 0);
    });
    asking.join().unwrap();
    let mut probes = BTreeMap::<u16, Vec<Segment>>::new();
    for segment in tap.join().unwrap() {
        let port = if segment.to == 80 { segment.from } else { segment.to };
        probes.entry(port).or_default().push(segment);
    }
    assert!(probes.len() >= 30, "{} probes", probes.len());
    probes
}

/// `> SYN`, `< SYN,ACK` and so on, seen from the checker.
fn drawn(probe: &[Segment]) -> Vec<String> {
    let arrow = |segment: &Segment| if segment.to == 80 { '>' } else { '<' };
    probe.iter().map(|segment| format!("{} {}", arrow(segment), segment.name())).collect()
}

/// Linux holds an ACK back for at least this long.
const ACK_DELAY: Duration = Duration::from_millis(40);

#[test]
fn half_open_is_syn_syn_ack_rst_and_nobody_accepts() {
    if !wanted("half_open_is_syn_syn_ack_rst_and_nobody_accepts") {
        return;
    }
    let wire = Wire::new();
    let server = serve(&wire, read_to_end);
    let probes = watch(&wire, half_open());
    // A machine that is busy with other things may come too late to say RST before the kernel says ACK.
    let late = |probe: &&Vec<Segment>| probe.last().unwrap().at - probe[0].at >= ACK_DELAY;
    let lates = probes.values().filter(late).count();
    let on_time: Vec<_> = probes.values().filter(|probe| !late(probe)).collect();
    assert!(on_time.len() >= 20, "{} of {} probes on time", on_time.len(), probes.len());
    for probe in on_time {
        assert_eq!(drawn(probe), ["> SYN", "< SYN,ACK", "> RST"]);
    }
    assert!(server.accepted.load(SeqCst) <= lates, "only late probes were accepted");
}

#[test]
fn tcp_is_a_whole_handshake_and_fin() {
    if !wanted("tcp_is_a_whole_handshake_and_fin") {
        return;
    }
    let wire = Wire::new();
    let server = serve(&wire, read_to_end);
    let probes = watch(&wire, tcp());
    for probe in probes.values() {
        let drawn = drawn(probe);
        assert_eq!(drawn[..4], ["> SYN", "< SYN,ACK", "> ACK", "> FIN"], "{drawn:?}");
        // Our RST comes only after the server has closed too, when no program can see it.
        let reset = drawn.iter().position(|segment| segment == "> RST");
        let closed = drawn.iter().position(|segment| segment == "< FIN");
        assert!(closed.is_some() && reset.is_none_or(|reset| Some(reset) > closed), "{drawn:?}");
        assert!(!drawn.contains(&"< RST".to_owned()), "{drawn:?}");
    }
    assert!(server.accepted.load(SeqCst) >= probes.len() - 1);
}

#[test]
fn a_question_ends_with_fin_on_both_sides_and_no_rst() {
    if !wanted("a_question_ends_with_fin_on_both_sides_and_no_rst") {
        return;
    }
    let wire = Wire::new();
    let _server = serve(&wire, |mut stream| {
        use std::io::Write;
        let _ = stream.read(&mut [0; 64]);
        let _ = stream.write_all(b"OK\n");
    });
    for probe in watch(&wire, question(false)).values() {
        let drawn = drawn(probe);
        assert!(drawn.contains(&"> FIN".to_owned()) && drawn.contains(&"< FIN".to_owned()), "{drawn:?}");
        assert!(!drawn.iter().any(|segment| segment.ends_with("RST")), "{drawn:?}");
    }
}

#[test]
fn nothing_piles_up_at_a_thousand_a_second() {
    if !wanted("nothing_piles_up_at_a_thousand_a_second") {
        return;
    }
    let wire = Wire::new();
    let _server = serve(&wire, |mut stream| {
        use std::io::Write;
        if stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
            let _ = stream.write_all(b"OK\n");
        }
    });
    for spec in [half_open(), tcp(), question(true), question(false)] {
        let asking = inside(&wire.checker, move || {
            let engine = Engine::start(Box::new(|_| None)).unwrap();
            engine.set(targets(&spec, 500, Span::from_millis(500)));
            std::thread::sleep(Duration::from_secs(6));
            let left = time_wait();
            let stats = engine.stats();
            (spec, left, stats)
        });
        let (spec, left, stats) = asking.join().unwrap();
        println!("{:?}: {left} sockets in TIME_WAIT after {} probes", spec.transport, stats.probes);
        assert!(stats.probes >= 4_000, "{stats:?}");
        // Without care it would be one per probe.
        assert!(left <= stats.probes / 50, "{left} in TIME_WAIT after {} probes of {spec:?}", stats.probes);
    }
}

#[test]
fn no_route_is_told_from_silence() {
    if !wanted("no_route_is_told_from_silence") {
        return;
    }
    let wire = Wire::new();
    // A router that says no: the far end answers with ICMP host unreachable.
    let route = format!("ip -n {} route add unreachable 10.79.0.0/16", wire.servers);
    let forward = format!("ip netns exec {} sysctl -qw net.ipv4.ip_forward=1", wire.servers);
    let way = format!("ip -n {} route add 10.79.0.0/16 via 10.77.0.2", wire.checker);
    for line in [route, forward, way] {
        let mut words = line.split_whitespace();
        let done = std::process::Command::new(words.next().unwrap()).args(words).status().unwrap();
        assert!(done.success(), "{line}");
    }
    let asking = inside(&wire.checker, || {
        let timing = Timing::default();
        let ask = |ip: [u8; 4]| {
            let found = evenkeel_check::once::probe_once(&tcp(), &Address::Ip((ip, 80).into()), &timing);
            found.evidence.verdict.reason().map(ToString::to_string)
        };
        assert_eq!(ask([10, 79, 0, 1]).as_deref(), Some("L4 no route to host"));
        assert_eq!(ask([198, 51, 100, 1]).as_deref(), Some("local no route from here"));
    });
    asking.join().unwrap();
}
