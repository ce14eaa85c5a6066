//! One connection of the fault server: reads requests and answers them as its plan says, well or badly.

use super::behaviour::{Behaviour, Door};
use super::serve::Shared;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

/// A connection that came in.
pub(super) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a socket in the file system.
    Unix(UnixStream),
}

/// What is kept of a request.
struct Request {
    head_only: bool,
    path: String,
    upgrade: bool,
    close: bool,
}

/// Whether the connection may carry another request.
#[derive(PartialEq)]
enum After {
    Keep,
    Close,
    Reset,
}

const HEAD_MAX: usize = 64 * 1024;
/// How much of an endless answer is written at a time.
const BLOCK: [u8; 16 * 1024] = [b'e'; 16 * 1024];

/// Serves one connection to its end, or until the door is shut.
pub(super) async fn talk(mut stream: Stream, shared: Rc<Shared>, mut door: watch::Receiver<Door>) {
    shared.open.set(shared.open.get() + 1);
    let after = tokio::select! {
        after = converse(&mut stream, &shared) => after.unwrap_or(After::Close),
        _ = door.wait_for(|door| *door == Door::Shut) => After::Reset,
    };
    if after == After::Reset {
        stream.reset();
    } else {
        let _gone_already_is_fine = stream.shutdown().await;
    }
    shared.open.set(shared.open.get() - 1);
}

async fn converse(stream: &mut Stream, shared: &Shared) -> io::Result<After> {
    let mut heard = Vec::new();
    while let Some(request) = read_request(stream, &mut heard).await? {
        let nth = shared.requests.get() + 1;
        shared.requests.set(nth);
        let behaviour = shared.plan.borrow().choose(&request.path, nth);
        if request.upgrade && matches!(behaviour, Behaviour::Ok | Behaviour::Deaf) {
            return echo(stream, shared, &heard).await;
        }
        let says = shared.plan.borrow().says.clone();
        let after = answer(stream, &behaviour, &request, &shared.name, &says).await?;
        if after != After::Reset {
            shared.answered.set(shared.answered.get() + 1);
        }
        if after != After::Keep || request.close {
            return Ok(after);
        }
    }
    Ok(After::Close)
}

async fn answer(
    stream: &mut Stream,
    behaviour: &Behaviour,
    request: &Request,
    name: &str,
    says: &str,
) -> io::Result<After> {
    let good = page(200, name, &format!("{name} {says}\n"), request);
    match behaviour {
        Behaviour::Ok | Behaviour::Share(..) | Behaviour::Refuse | Behaviour::Deaf => {
            stream.write_all(&good).await?
        }
        Behaviour::Status(code) => {
            let bad = page(*code, name, &format!("{name} answers {code}\n"), request);
            stream.write_all(&bad).await?;
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Slow(span) => {
            tokio::time::sleep(*span).await;
            stream.write_all(&good).await?;
        }
        Behaviour::Drip(span) => {
            for byte in good {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(*span).await;
            }
        }
        Behaviour::Reset | Behaviour::Early => {
            stream.write_all(&head(200, name, 8_000)).await?;
            stream.write_all(&BLOCK[..4_000]).await?;
            // An RST overtakes what the peer has not read: it gets the time to read the half.
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Ok(if *behaviour == Behaviour::Reset { After::Reset } else { After::Close });
        }
        Behaviour::Close => return Ok(After::Close),
        Behaviour::Garbage => {
            stream.write_all(b"\x16\x03\x01\x02\x00 220 +OK \xff\xfe\x00 this is not HTTP\r\n\r\n").await?;
            return Ok(After::Close);
        }
        Behaviour::Endless => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\nx-server: {name}\r\n\r\n").as_bytes()).await?;
            loop {
                stream.write_all(&BLOCK).await?;
            }
        }
        Behaviour::Huge => {
            let size = 1usize << 30;
            stream.write_all(&head(200, name, size)).await?;
            for _ in 0..size / BLOCK.len() {
                stream.write_all(&BLOCK).await?;
            }
        }
    }
    Ok(After::Keep)
}

/// `101` and then everything heard is said again, until the peer has enough.
async fn echo(stream: &mut Stream, shared: &Shared, heard: &[u8]) -> io::Result<After> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\nx-server: {}\r\n\r\n",
        shared.name
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(heard).await?;
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(After::Close);
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn page(code: u16, name: &str, body: &str, request: &Request) -> Vec<u8> {
    let mut bytes = head(code, name, body.len());
    if !request.head_only && code != 204 && code != 304 {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

fn head(code: u16, name: &str, length: usize) -> Vec<u8> {
    let phrase = if code < 400 { "OK" } else { "Failed on demand" };
    let length = if code == 204 { String::new() } else { format!("content-length: {length}\r\n") };
    format!("HTTP/1.1 {code} {phrase}\r\nx-server: {name}\r\ncontent-type: text/plain\r\n{length}\r\n")
        .into_bytes()
}

/// Reads one request to the end of its body. `None`: the peer has closed. What was heard beyond it stays in
/// `heard`.
async fn read_request(stream: &mut Stream, heard: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(at) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if heard.len() > HEAD_MAX || !fill(stream, heard).await? {
            return Ok(None);
        }
    };
    let head: Vec<u8> = heard.drain(..end).collect();
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let path = first.next().unwrap_or_default().to_owned();
    let old = first.next() == Some("HTTP/1.0");
    let mut request = Request { head_only: method == "HEAD", path, upgrade: false, close: old };
    let mut length = 0;
    let mut chunked = false;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim().to_ascii_lowercase();
        match name.to_ascii_lowercase().as_str() {
            "connection" if value.contains("close") => request.close = true,
            "upgrade" => request.upgrade = true,
            "content-length" => length = value.parse().unwrap_or(0),
            "transfer-encoding" => chunked = value.contains("chunked"),
            _ => {}
        }
    }
    skip_body(stream, heard, length, chunked).await?;
    Ok(Some(request))
}

/// Bodies are of no interest; trailers are not understood, and nothing here sends any.
async fn skip_body(
    stream: &mut Stream,
    heard: &mut Vec<u8>,
    mut length: usize,
    chunked: bool,
) -> io::Result<()> {
    if chunked {
        return skip_chunks(stream, heard).await;
    }
    loop {
        let part = length.min(heard.len());
        heard.drain(..part);
        length -= part;
        if length == 0 || !fill(stream, heard).await? {
            return Ok(());
        }
    }
}

async fn skip_chunks(stream: &mut Stream, heard: &mut Vec<u8>) -> io::Result<()> {
    const LAST: &[u8] = b"0\r\n\r\n";
    loop {
        if let Some(at) = heard.windows(LAST.len()).position(|part| part == LAST) {
            heard.drain(..at + LAST.len());
            return Ok(());
        }
        heard.drain(..heard.len().saturating_sub(LAST.len() - 1));
        if !fill(stream, heard).await? {
            return Ok(());
        }
    }
}

async fn fill(stream: &mut Stream, heard: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).await?;
    heard.extend_from_slice(&buffer[..count]);
    Ok(count > 0)
}

impl Stream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer).await,
            Stream::Unix(stream) => stream.read(buffer).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown().await,
            Stream::Unix(stream) => stream.shutdown().await,
        }
    }

    /// Ends it by RST; a socket in the file system knows nothing harder than an end.
    fn reset(self) {
        if let Stream::Tcp(stream) = &self {
            let _a_dead_socket_is_fine = stream.set_zero_linger();
        }
    }
}
