//! Two readers of the same bytes: the relay's framing, and hyper, which shares no code with it above `httparse`.
//! Whatever the first forwards the second must count and read alike, or refuse.

// Each test file uses its own part, and none of it is seen from outside.
#![allow(dead_code, unreachable_pub)]

use evenkeel_plane::relay::http1::request::{self, Forwarded};
use evenkeel_plane::relay::http1::response::{self, Asked};
use evenkeel_plane::relay::http1::{Body, Limits};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// A request or an answer: its first line's two telling words, and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub what: String,
    pub content: Vec<u8>,
}

/// What the relay would do with a client's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// What goes to the server, all on one connection.
    pub out: Vec<u8>,
    /// The requests in it that are whole.
    pub requests: Vec<Read>,
    /// The status of the refusal that ended it.
    pub refused: Option<u16>,
}

/// Passes a client's bytes as the relay does, when they come `step` at a time.
pub fn pass(client: &[u8], step: usize) -> Passed {
    let add = Forwarded { client: "192.0.2.1", proto: "http", host: "service" };
    let mut passed = Passed::default();
    let mut at = 0;
    loop {
        let mut head = Vec::new();
        let mut seen = 0;
        let request = loop {
            let here = &client[at..client.len().min(at + seen + step)];
            head.clear();
            match request::parse(here, seen, Limits::default(), &add, &mut head) {
                Ok(Some(request)) => break request,
                Ok(None) if at + here.len() == client.len() => return passed,
                Ok(None) => seen = here.len(),
                Err(refusal) => {
                    passed.refused = Some(refusal.status);
                    return passed;
                }
            }
        };
        at += request.len;
        let (method, target) = (head.split(|b| *b == b' ').next(), &head[request.target.clone()]);
        let method = String::from_utf8_lossy(method.unwrap_or_default()).into_owned();
        let what = format!("{method} {}", String::from_utf8_lossy(target));
        passed.out.extend_from_slice(&head);
        let mut body = Body::new(request.body);
        let mut content = Vec::new();
        while !body.is_done() && at < client.len() {
            let mut piece = client[at..client.len().min(at + step)].to_vec();
            let raw = piece.clone();
            let mut same = body.clone();
            let (Ok(taken), Ok((again, count))) = (same.take(&raw), body.take_content(&mut piece)) else {
                passed.refused = Some(400);
                return passed;
            };
            assert_eq!(taken, again, "both ways of taking a body agree");
            passed.out.extend_from_slice(&raw[..taken]);
            content.extend_from_slice(&piece[..count]);
            at += taken;
        }
        if !body.is_done() {
            return passed;
        }
        passed.requests.push(Read { what, content });
        if !request.keep_alive || request.upgrade {
            return passed;
        }
    }
}

/// The requests that hyper's server reads from one connection, and whether it was content to the end.
pub fn hyper_requests(bytes: &[u8]) -> (Vec<Read>, bool) {
    let seen: Arc<Mutex<Vec<Read>>> = Arc::default();
    let note = seen.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let note = note.clone();
        async move {
            let what = format!("{} {}", request.method(), request.uri());
            if let Ok(body) = request.into_body().collect().await {
                let content = body.to_bytes().to_vec();
                note.lock().expect("nobody panics").push(Read { what, content });
            }
            Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::new())))
        }
    });
    let io = TokioIo::new(tokio::io::join(std::io::Cursor::new(bytes.to_vec()), tokio::io::sink()));
    let mut server = hyper::server::conn::http1::Builder::new();
    let served = run(server.half_close(true).max_headers(256).serve_connection(io, service));
    let seen = seen.lock().expect("nobody panics").clone();
    (seen, served.is_ok())
}

/// Says in what the two disagree about a client's bytes; `None` if they do not. The second number of the answer
/// is how many requests both read.
pub fn disagreement(client: &[u8]) -> (Option<String>, usize) {
    let passed = pass(client, usize::MAX / 2);
    for step in [1, 7, 100] {
        let pieces = pass(client, step);
        // Pieces may let out a little more of a body before a refusal; the requests are the same.
        if pieces.requests != passed.requests || pieces.refused != passed.refused {
            return (Some(format!("in pieces of {step}: {pieces:?}, whole: {passed:?}")), 0);
        }
    }
    let (hyper, content) = hyper_requests(&passed.out);
    let same = hyper == passed.requests;
    // What one refuses, or cannot read as a URL, goes no further: nobody is fooled. More, or other, requests
    // than were passed is what must not be.
    let prefix = passed.requests.starts_with(&hyper) && !content;
    match same || prefix {
        true => (None, hyper.len()),
        false => (Some(format!("passed {:?}, hyper read {hyper:?}", passed.requests)), 0),
    }
}

/// What the relay makes of an answer to a GET: its status and content, if it is whole.
pub fn answer(server: &[u8]) -> Option<Read> {
    let asked = Asked { head: false, upgrade: false, http10: false };
    let mut at = 0;
    let response = loop {
        let response = response::parse(&server[at..], 0, Limits::default(), asked).ok()??;
        at += response.len;
        if !response.is_interim() {
            break response;
        }
    };
    let mut content = server[at..].to_vec();
    let mut body = Body::new(response.body);
    let (_, count) = body.take_content(&mut content).ok()?;
    content.truncate(count);
    body.may_end().then(|| Read { what: response.status.to_string(), content })
}

/// What hyper's client makes of the same bytes.
pub fn hyper_answer(server: &[u8]) -> Option<Read> {
    let io = TokioIo::new(tokio::io::join(Late::new(server), tokio::io::sink()));
    run(async move {
        let mut client = hyper::client::conn::http1::Builder::new();
        let (mut sender, connection) = client.max_headers(256).handshake(io).await.ok()?;
        let request = hyper::Request::get("/").header("host", "a").body(Empty::<Bytes>::new()).ok()?;
        let answer = async {
            let response = sender.send_request(request).await.ok()?;
            let what = response.status().as_u16().to_string();
            let content = response.into_body().collect().await.ok()?.to_bytes().to_vec();
            Some(Read { what, content })
        };
        let (answer, _) = tokio::join!(answer, connection);
        answer
    })
}

/// Says in what the two disagree about an answer.
pub fn answer_disagreement(server: &[u8]) -> Option<String> {
    let ours = answer(server)?;
    let hyper = hyper_answer(server)?;
    (ours != hyper).then(|| format!("passed {ours:?}, hyper read {hyper:?}"))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

/// Bytes that come only once something was asked for: hyper's client takes an early answer for an error.
struct Late {
    bytes: std::io::Cursor<Vec<u8>>,
    asked: usize,
}

impl Late {
    fn new(bytes: &[u8]) -> Late {
        Late { bytes: std::io::Cursor::new(bytes.to_vec()), asked: 0 }
    }
}

impl tokio::io::AsyncRead for Late {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.asked += 1;
        if self.asked < 4 {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        std::pin::Pin::new(&mut self.bytes).poll_read(cx, into)
    }
}
