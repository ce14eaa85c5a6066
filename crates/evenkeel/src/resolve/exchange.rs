//! One question to one name server, over the net: UDP from a port of its own each time, then TCP if the answer
//! does not fit. It waits no longer than it is told to, and hears only answers to what it asked.

use super::message::{self, Kind, Said};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

/// Bytes of a UDP answer. 512 were asked for (RFC 1035 section 2.3.4); some servers send more all the same.
const UDP_MAX: usize = 4096;
/// Datagrams that are looked at before a question is given up: whoever sends rubbish does not keep us busy.
const DATAGRAMS_MAX: usize = 64;

/// Numbers that nobody can guess: a keyed hash (SipHash) over a counter.
#[derive(Debug, Default)]
pub(super) struct Ids {
    key: RandomState,
    count: AtomicU64,
}

impl Ids {
    pub(super) fn next(&self) -> u16 {
        self.key.hash_one(self.count.fetch_add(1, Ordering::Relaxed)) as u16
    }
}

/// Asks, for at most `wait` over UDP and as long again over TCP. The error is for people: `timeout`.
pub(super) async fn ask(
    ids: &Ids,
    server: SocketAddr,
    (name, kind): (&str, Kind),
    wait: Duration,
    only_tcp: bool,
) -> Result<Said, String> {
    if !only_tcp {
        match over_udp(ids.next(), server, (name, kind), Instant::now() + wait).await {
            Ok(Said::Truncated) => {}
            other => return other,
        }
    }
    let answer = over_tcp(ids.next(), server, (name, kind));
    match timeout_at(Instant::now() + wait, answer).await {
        Ok(Ok(Said::Truncated)) => Err("truncated over TCP".to_owned()),
        Ok(other) => other,
        Err(_) => Err("timeout over TCP".to_owned()),
    }
}

async fn over_udp(
    id: u16,
    server: SocketAddr,
    (name, kind): (&str, Kind),
    until: Instant,
) -> Result<Said, String> {
    let question = message::question(id, name, kind).ok_or("not a name")?;
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    // The kernel draws the port; the connected socket hears only this server (udp(7)).
    let socket = UdpSocket::bind(any).await.map_err(spoken)?;
    socket.connect(server).await.map_err(spoken)?;
    socket.send(&question).await.map_err(spoken)?;
    let mut heard = vec![0; UDP_MAX];
    let mut wrong = None;
    for _ in 0..DATAGRAMS_MAX {
        match timeout_at(until, socket.recv(&mut heard)).await {
            Ok(Ok(length)) => match message::read(&heard[..length], id, name, kind) {
                Ok(said) => return Ok(said),
                Err(why) => wrong = Some(why),
            },
            Ok(Err(error)) => return Err(spoken(error)),
            Err(_) => break,
        }
    }
    Err(wrong.map_or_else(|| "timeout".to_owned(), |why| format!("no usable answer ({why})")))
}

/// RFC 1035 section 4.2.2: two bytes of length, then the message.
async fn over_tcp(id: u16, server: SocketAddr, (name, kind): (&str, Kind)) -> Result<Said, String> {
    let question = message::question(id, name, kind).ok_or("not a name")?;
    let length = u16::try_from(question.len()).map_err(|_| "not a name")?;
    let mut stream = TcpStream::connect(server).await.map_err(spoken)?;
    stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).await.map_err(spoken)?;
    let length = stream.read_u16().await.map_err(spoken)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(spoken)?;
    message::read(&answer, id, name, kind).map_err(|why| format!("no usable answer ({why})"))
}

fn spoken(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::UnexpectedEof => "closed early".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_spread_over_all_that_there_are() {
        let ids = Ids::default();
        let drawn: BTreeSet<u16> = (0..1000).map(|_| ids.next()).collect();
        // 1,000 of 65,536 drawn at random have about 8 doubles.
        assert!(drawn.len() > 960, "{}", drawn.len());
        assert!(drawn.iter().any(|id| *id < 8192) && drawn.iter().any(|id| *id > 57344));
    }
}
