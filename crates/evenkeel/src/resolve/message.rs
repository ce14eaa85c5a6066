//! One question of the domain name system and its answer, as bytes and as data (RFC 1035 section 4; SRV is RFC
//! 2782). It takes only what answers the question that was asked, and touches no socket.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Records of an answer that are looked at. An answer with more is not an answer: taking a part of it would make
/// servers come and go with the order of the records.
const RECORDS_MAX: u16 = 512;
/// Names that may lead to one another.
pub(super) const CHAIN_MAX: usize = 8;
/// Bytes of a header (RFC 1035 section 4.1.1), and of the shortest record after it.
const HEADER: usize = 12;
const SHORTEST_RECORD: usize = 11;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    V4,
    V6,
    Service,
}

/// What a name server said to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What the name has of the kind that was asked for; perhaps nothing.
    Records(Records),
    /// There is no such name (NXDOMAIN).
    Missing,
    /// There is more than fits; to be asked over TCP.
    Truncated,
    /// The server cannot or will not tell: `SERVFAIL`.
    Unwilling(String),
}

/// What a name has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) services: Vec<Service>,
    /// The shortest of all records that led here, in seconds.
    pub(super) ttl: u32,
    /// The name is another name for this one, of which the answer says nothing.
    pub(super) alias: Option<String>,
}

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    /// Empty: decidedly no such service (RFC 2782: a target of `.`).
    pub(super) target: String,
}

/// The bytes of a question; `None` for what cannot be a name.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).ok()?, kind.qtype(), CLASS::IN.into(), false));
    packet.build_bytes_vec().ok()
}

/// Reads an answer to exactly this question. The error says why it is none: then it is not heard, for anybody
/// may send anything.
pub(super) fn read(bytes: &[u8], id: u16, name: &str, kind: Kind) -> Result<Said, &'static str> {
    let mut bytes = bytes.to_vec();
    let header = bytes.get_mut(..HEADER).ok_or("too short")?;
    // Only the answer section is of use. The others are not parsed, so nothing in them can do harm.
    header[8..].fill(0);
    let answers = u16::from_be_bytes([header[6], header[7]]);
    if answers > RECORDS_MAX || usize::from(answers) * SHORTEST_RECORD > bytes.len() {
        return Err("too many records");
    }
    let packet = match Packet::parse(&bytes) {
        Ok(packet) => packet,
        Err(_) => return truncated(bytes, id, name, kind),
    };
    mine(&packet, id, name, kind)?;
    Ok(match packet.rcode() {
        _ if packet.has_flags(PacketFlag::TRUNCATION) => Said::Truncated,
        RCODE::NoError => match follow(&packet.answers, name, kind) {
            Ok(records) => Said::Records(records),
            Err(why) => Said::Unwilling(why.to_owned()),
        },
        RCODE::NameError => Said::Missing,
        RCODE::ServerFailure => Said::Unwilling("SERVFAIL".into()),
        RCODE::Refused => Said::Unwilling("REFUSED".into()),
        RCODE::FormatError => Said::Unwilling("FORMERR".into()),
        RCODE::NotImplemented => Said::Unwilling("NOTIMP".into()),
        other => Said::Unwilling(format!("{other:?}")),
    })
}

/// A truncated answer may end in the middle of a record; its header and question say all there is to know.
fn truncated(mut bytes: Vec<u8>, id: u16, name: &str, kind: Kind) -> Result<Said, &'static str> {
    bytes[6..8].fill(0);
    let packet = Packet::parse(&bytes).map_err(|_| "not a message")?;
    mine(&packet, id, name, kind)?;
    if packet.has_flags(PacketFlag::TRUNCATION) { Ok(Said::Truncated) } else { Err("not a message") }
}

fn mine(packet: &Packet<'_>, id: u16, name: &str, kind: Kind) -> Result<(), &'static str> {
    if packet.id() != id {
        return Err("another id");
    }
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return Err("not an answer");
    }
    match &packet.questions[..] {
        [asked] if host(&asked.qname).as_deref() == Some(name) && asked.qtype == kind.qtype() => Ok(()),
        // RFC 1035 lets a server that could not read the question leave it out.
        [] if packet.rcode() != RCODE::NoError && packet.rcode() != RCODE::NameError => Ok(()),
        _ => Err("another question"),
    }
}

/// Follows the name through its aliases to the records asked for. Records of any other name are not looked at.
fn follow(answers: &[ResourceRecord<'_>], name: &str, kind: Kind) -> Result<Records, &'static str> {
    let records: Vec<(String, &ResourceRecord<'_>)> = answers
        .iter()
        .filter(|record| record.class == CLASS::IN)
        .filter_map(|record| Some((host(&record.name)?, record)))
        .collect();
    let mut found = Records { ttl: u32::MAX, ..Records::default() };
    let mut at = name.to_owned();
    for _ in 0..=CHAIN_MAX {
        let alias = records.iter().find_map(|(owner, record)| match &record.rdata {
            RData::CNAME(to) if *owner == at => Some((host(&to.0), record.ttl)),
            _ => None,
        });
        let Some((to, ttl)) = alias else {
            found.collect(&records, &at, kind);
            let nothing = found.addresses.is_empty() && found.services.is_empty();
            found.alias = (nothing && at != name).then_some(at);
            return Ok(found);
        };
        found.ttl = found.ttl.min(ttl);
        at = to.ok_or("an alias that is no host name")?;
    }
    Err("aliases lead in a circle")
}

impl Records {
    fn collect(&mut self, records: &[(String, &ResourceRecord<'_>)], of: &str, kind: Kind) {
        for (_, record) in records.iter().filter(|(owner, _)| owner == of) {
            match (&record.rdata, kind) {
                (RData::A(a), Kind::V4) => self.addresses.push(Ipv4Addr::from(a.address).into()),
                (RData::AAAA(a), Kind::V6) => self.addresses.push(Ipv6Addr::from(a.address).into()),
                (RData::SRV(srv), Kind::Service) => {
                    let Some(target) = host(&srv.target) else { continue };
                    let (priority, weight, port) = (srv.priority, srv.weight, srv.port);
                    self.services.push(Service { priority, weight, port, target });
                }
                _ => continue,
            }
            self.ttl = self.ttl.min(record.ttl);
        }
    }
}

impl Kind {
    fn qtype(self) -> QTYPE {
        match self {
            Kind::V4 => TYPE::A.into(),
            Kind::V6 => TYPE::AAAA.into(),
            Kind::Service => TYPE::SRV.into(),
        }
    }
}

/// A name in lower case without its last dot, if each label is made of letters, digits, `-` and `_`: any other
/// name is nothing that a server of a pool could have.
fn host(name: &Name<'_>) -> Option<String> {
    let mut text = String::new();
    for label in name.as_bytes() {
        if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return None;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|&byte| char::from(byte.to_ascii_lowercase())));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{A, CNAME, SRV};

    fn reply(name: &str, kind: Kind, records: &[(&str, u32, RData<'static>)]) -> Packet<'static> {
        let mut packet = Packet::new_reply(7);
        let name = Name::new(name).unwrap().into_owned();
        packet.questions.push(Question::new(name, kind.qtype(), CLASS::IN.into(), false));
        for (owner, ttl, data) in records {
            let owner = Name::new(owner).unwrap().into_owned();
            packet.answers.push(ResourceRecord::new(owner, CLASS::IN, *ttl, data.clone()));
        }
        packet
    }

    fn a(last: u8) -> RData<'static> {
        RData::A(A { address: u32::from(Ipv4Addr::new(10, 0, 0, last)) })
    }

    fn cname(to: &str) -> RData<'static> {
        RData::CNAME(CNAME(Name::new(to).unwrap().into_owned()))
    }

    fn heard(packet: &Packet<'_>) -> Result<Said, &'static str> {
        read(&packet.build_bytes_vec_compressed().unwrap(), 7, "app.test", Kind::V4)
    }

    fn records(said: Result<Said, &'static str>) -> Records {
        match said {
            Ok(Said::Records(records)) => records,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alias_is_followed_and_the_shortest_ttl_counts() {
        let chain = [
            ("App.Test", 300, cname("b.test")),
            ("b.test", 20, cname("c.test")),
            ("c.test", 60, a(1)),
            ("c.test", 60, a(2)),
            ("evil.test", 1, a(66)),
        ];
        let found = records(heard(&reply("APP.test", Kind::V4, &chain)));
        assert_eq!(found.addresses, ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!((found.ttl, found.alias), (20, None));
    }

    #[test]
    fn an_alias_without_its_records_is_told_as_such() {
        let found = records(heard(&reply("app.test", Kind::V4, &[("app.test", 30, cname("far.test"))])));
        assert_eq!((found.addresses.len(), found.alias.as_deref()), (0, Some("far.test")));
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let circle = [("app.test", 1, cname("b.test")), ("b.test", 1, cname("app.test"))];
        let said = Said::Unwilling("aliases lead in a circle".into());
        assert_eq!(heard(&reply("app.test", Kind::V4, &circle)), Ok(said));
    }

    #[test]
    fn only_an_answer_to_this_question_is_heard() {
        let good = reply("app.test", Kind::V4, &[("app.test", 30, a(1))]);
        let bytes = good.build_bytes_vec().unwrap();
        assert_eq!(read(&bytes, 8, "app.test", Kind::V4), Err("another id"));
        assert_eq!(read(&bytes, 7, "other.test", Kind::V4), Err("another question"));
        assert_eq!(read(&bytes, 7, "app.test", Kind::V6), Err("another question"));
        assert_eq!(
            read(&question(7, "app.test", Kind::V4).unwrap(), 7, "app.test", Kind::V4),
            Err("not an answer")
        );
        assert_eq!(read(b"short", 7, "app.test", Kind::V4), Err("too short"));
        let mut many = bytes.clone();
        many[6..8].fill(0xff);
        assert_eq!(read(&many, 7, "app.test", Kind::V4), Err("too many records"));
    }

    #[test]
    fn a_cut_answer_is_not_heard_and_a_bent_one_does_no_harm() {
        let chain = [("app.test", 30, cname("b.test")), ("b.test", 30, a(1))];
        let bytes = reply("app.test", Kind::V4, &chain).build_bytes_vec_compressed().unwrap();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end], 7, "app.test", Kind::V4).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for value in 0..=255 {
                let mut bent = bytes.clone();
                bent[at] = value;
                let _not_a_panic = read(&bent, 7, "app.test", Kind::V4);
            }
        }
    }

    #[test]
    fn what_a_server_says_instead_of_records() {
        let mut reply = reply("app.test", Kind::V4, &[]);
        assert_eq!(records(heard(&reply)).addresses, [] as [IpAddr; 0]);
        *reply.rcode_mut() = RCODE::ServerFailure;
        assert_eq!(heard(&reply), Ok(Said::Unwilling("SERVFAIL".into())));
        *reply.rcode_mut() = RCODE::NameError;
        assert_eq!(heard(&reply), Ok(Said::Missing));
        *reply.rcode_mut() = RCODE::NoError;
        reply.set_flags(PacketFlag::TRUNCATION);
        assert_eq!(heard(&reply), Ok(Said::Truncated));
    }

    #[test]
    fn a_truncated_answer_may_end_anywhere_after_its_question() {
        let mut reply = reply("app.test", Kind::V4, &[("app.test", 30, a(1))]);
        reply.set_flags(PacketFlag::TRUNCATION);
        let bytes = reply.build_bytes_vec().unwrap();
        assert_eq!(read(&bytes[..bytes.len() - 3], 7, "app.test", Kind::V4), Ok(Said::Truncated));
    }

    #[test]
    fn a_service_brings_its_ports_and_weights() {
        let target = Name::new("App1.test").unwrap().into_owned();
        let srv = RData::SRV(SRV { priority: 1, weight: 5, port: 8080, target });
        let packet = reply("_http._tcp.test", Kind::Service, &[("_http._tcp.test", 30, srv)]);
        let said = read(&packet.build_bytes_vec().unwrap(), 7, "_http._tcp.test", Kind::Service);
        let service = Service { priority: 1, weight: 5, port: 8080, target: "app1.test".into() };
        assert_eq!(records(said).services, [service]);
    }
}
