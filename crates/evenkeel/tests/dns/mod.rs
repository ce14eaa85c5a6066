//! A name server for tests, on a loopback port, over UDP and TCP. It answers from a zone that a test changes, and
//! misbehaves on request.

use simple_dns::rdata::{A, AAAA, CNAME, RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Answer,
    /// Hears and says nothing.
    Silent,
    Servfail,
    /// First an answer with another id, one to another question and some rubbish, each with a wrong address; then
    /// the right one.
    Rubbish,
    /// Rubbish, and nothing else.
    OnlyRubbish,
    /// Over UDP it says only that the answer does not fit.
    Truncate,
}

/// The server; its threads end with the process.
#[derive(Clone)]
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    mood: Mood,
    zone: Vec<(String, u32, RData<'static>)>,
    asked: Vec<(String, QTYPE)>,
    over_tcp: usize,
}

impl Dns {
    pub(crate) fn start() -> Dns {
        let (udp, tcp) = sockets();
        let dns = Dns { address: udp.local_addr().unwrap(), state: Arc::default() };
        let (one, other) = (dns.clone(), dns.clone());
        thread::spawn(move || one.serve_udp(&udp));
        thread::spawn(move || other.serve_tcp(&tcp));
        dns
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// These addresses and no others are a name's from now on.
    pub(crate) fn set(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let data = addresses.iter().map(|text| match text.parse().unwrap() {
            IpAddr::V4(ip) => RData::A(A { address: ip.into() }),
            IpAddr::V6(ip) => RData::AAAA(AAAA { address: ip.into() }),
        });
        self.replace(name, ttl, data.collect());
    }

    /// A name is another name.
    pub(crate) fn alias(&self, name: &str, ttl: u32, to: &str) {
        self.replace(name, ttl, vec![RData::CNAME(CNAME(owned(to)))]);
    }

    /// Services as `(priority, weight, port, target)`.
    pub(crate) fn services(&self, name: &str, ttl: u32, of: &[(u16, u16, u16, &str)]) {
        let srv = |&(priority, weight, port, target): &(u16, u16, u16, &str)| {
            RData::SRV(SRV { priority, weight, port, target: owned(target) })
        };
        self.replace(name, ttl, of.iter().map(srv).collect());
    }

    /// A name is known and has nothing.
    pub(crate) fn empty(&self, name: &str) {
        self.replace(name, 1, vec![RData::TXT(simple_dns::rdata::TXT::new())]);
    }

    /// There is no such name.
    pub(crate) fn remove(&self, name: &str) {
        self.replace(name, 1, Vec::new());
    }

    pub(crate) fn asked(&self, name: &str, kind: TYPE) -> usize {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|(of, asked)| of == name && *asked == kind.into()).count()
    }

    pub(crate) fn asked_over_tcp(&self) -> usize {
        self.state.lock().unwrap().over_tcp
    }

    fn replace(&self, name: &str, ttl: u32, data: Vec<RData<'static>>) {
        let zone = &mut self.state.lock().unwrap().zone;
        zone.retain(|(owner, ..)| owner != name);
        zone.extend(data.into_iter().map(|data| (name.to_owned(), ttl, data)));
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut bytes = [0; 1500];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
            for answer in self.answers(&bytes[..length], false) {
                let _gone = socket.send_to(&answer, from);
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut length = [0; 2];
            let mut question = vec![0; 1500];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            question.truncate(usize::from(u16::from_be_bytes(length)));
            if stream.read_exact(&mut question).is_err() {
                continue;
            }
            self.state.lock().unwrap().over_tcp += 1;
            for answer in self.answers(&question, true) {
                let length = u16::try_from(answer.len()).unwrap();
                let _gone = stream.write_all(&[&length.to_be_bytes()[..], &answer].concat());
            }
        }
    }

    fn answers(&self, question: &[u8], over_tcp: bool) -> Vec<Vec<u8>> {
        let state = &mut *self.state.lock().unwrap();
        let Ok(asked) = Packet::parse(question) else { return Vec::new() };
        let name = asked.questions[0].qname.to_string().to_lowercase();
        state.asked.push((name.clone(), asked.questions[0].qtype));
        let right = state.answer(&asked, &name);
        match state.mood {
            Mood::Silent => Vec::new(),
            Mood::Answer => vec![bytes(&right)],
            Mood::Servfail => {
                let mut said = right;
                said.answers.clear();
                *said.rcode_mut() = RCODE::ServerFailure;
                vec![bytes(&said)]
            }
            Mood::Truncate if over_tcp => vec![bytes(&right)],
            Mood::Truncate => {
                let mut said = right;
                said.set_flags(PacketFlag::TRUNCATION);
                let whole = bytes(&said);
                vec![whole[..whole.len() - 2].to_vec()]
            }
            Mood::Rubbish => rubbish(&right).into_iter().chain([bytes(&right)]).collect(),
            Mood::OnlyRubbish => rubbish(&right),
        }
    }
}

impl State {
    fn answer(&self, asked: &Packet<'_>, name: &str) -> Packet<'static> {
        let mut said = Packet::new_reply(asked.id());
        said.questions = asked.questions.iter().cloned().map(|question| question.into_owned()).collect();
        if !self.zone.iter().any(|(owner, ..)| owner == name) {
            *said.rcode_mut() = RCODE::NameError;
            return said;
        }
        let mut at = name.to_owned();
        for _ in 0..4 {
            let mut next = None;
            for (owner, ttl, data) in self.zone.iter().filter(|(owner, ..)| *owner == at) {
                let alias = matches!(data, RData::CNAME(_));
                if alias || QTYPE::from(data.type_code()) == asked.questions[0].qtype {
                    said.answers.push(ResourceRecord::new(owned(owner), CLASS::IN, *ttl, data.clone()));
                }
                if let RData::CNAME(to) = data {
                    next = Some(to.0.to_string());
                }
            }
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        said
    }
}

fn rubbish(right: &Packet<'static>) -> Vec<Vec<u8>> {
    let mut lie = right.clone();
    for record in &mut lie.answers {
        record.rdata = RData::A(A { address: u32::from_be_bytes([6, 6, 6, 6]) });
    }
    let mut stranger = lie.clone();
    stranger.set_id(right.id().wrapping_add(1));
    lie.questions[0].qname = owned("other.test");
    vec![bytes(&stranger), bytes(&lie), b"\0\0rubbish that is long enough for a header".to_vec(), Vec::new()]
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().unwrap()
}

fn owned(name: &str) -> Name<'static> {
    Name::new(name).unwrap().into_owned()
}

/// Both at one port.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
    panic!("no port that is free for UDP and TCP");
}
