//! Request heads: whether one is whole, what it asks, and the head that goes to the server in its place.

use super::head::{self, FIELDS_MAX, Lengths, Limits, Name, Options, trim};
use super::{Framing, Refusal, Version};
use std::mem::MaybeUninit;
use std::ops::Range;

/// What is told to the server beside what the client said.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// Appended to `X-Forwarded-For`.
    pub client: &'a str,
    /// `X-Forwarded-Proto` for a client that did not bring one.
    pub proto: &'a str,
    /// `Host` for an HTTP/1.0 client that did not bring one.
    pub host: &'a str,
}

/// A request head that was taken. The rewritten head is in the buffer given to [`parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes of the client's that it took.
    pub len: usize,
    /// What it wants done.
    pub method: Method,
    /// The client's version. The head that goes to the server says 1.1.
    pub version: Version,
    /// How long its body is.
    pub body: Framing,
    /// The client can send another request on this connection.
    pub keep_alive: bool,
    /// It waits for `100 Continue` before it sends its body.
    pub expect: bool,
    /// It wants another protocol (RFC 9110 section 7.8).
    pub upgrade: bool,
    /// It carries `Idempotency-Key`, so that doing it twice is doing it once.
    pub idempotency_key: bool,
    /// Where in the rewritten head the target is.
    pub target: Range<usize>,
}

/// The methods that a relay tells apart (RFC 9110 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Answers to it have no body.
    Head,
    /// Safe.
    Get,
    /// OPTIONS or TRACE: safe.
    Safe,
    /// PUT or DELETE: idempotent.
    Idempotent,
    /// May do something each time.
    Other,
}

impl Method {
    /// Doing it twice is doing it once (RFC 9110 section 9.2.2).
    pub fn is_idempotent(self) -> bool {
        self != Method::Other
    }

    fn of(method: &str) -> Method {
        match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" | "TRACE" => Method::Safe,
            "PUT" | "DELETE" => Method::Idempotent,
            _ => Method::Other,
        }
    }
}

impl Request {
    /// Doing it twice is doing it once, by its method or by its key.
    pub fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() || self.idempotency_key
    }

    /// The path of the target in the rewritten head, without its query.
    pub fn path<'a>(&self, rewritten: &'a [u8]) -> &'a [u8] {
        let target = &rewritten[self.target.clone()];
        target.split(|&byte| byte == b'?').next().unwrap_or(target)
    }
}

/// The value of a field of a rewritten head; the first, if there are several.
pub fn field<'a>(rewritten: &'a [u8], name: &str) -> Option<&'a [u8]> {
    rewritten.split(|&byte| byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let value = line[colon + 1..].strip_suffix(b"\r").unwrap_or(&line[colon + 1..]);
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| trim(value))
    })
}

/// Reads a request head. `None`: more bytes are needed. `seen` bytes of `bytes` were given before. What goes to
/// the server is appended to `out`, which holds something of use only if a request is returned.
pub fn parse(
    bytes: &[u8],
    seen: usize,
    limits: Limits,
    add: &Forwarded<'_>,
    out: &mut Vec<u8>,
) -> Result<Option<Request>, Refusal> {
    // RFC 9112 section 2.2: empty lines before a request are ignored.
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") {
        start += 2;
    }
    let Some(end) = head::end(bytes, seen.max(start))? else {
        return if bytes.len() >= limits.size { Err(TOO_LARGE) } else { Ok(None) };
    };
    if end > limits.size {
        return Err(TOO_LARGE);
    }
    let bytes = &bytes[start..end];
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let slots = &mut slots[..limits.fields.min(FIELDS_MAX)];
    match parsed.parse_with_uninit_headers(bytes, slots) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        Ok(_) => return Err(Refusal::bad("a head that ends before its empty line")),
        Err(httparse::Error::Version) => return Err(version_refusal(bytes)),
        Err(error) => return Err(head::refusal(error)),
    }
    let facts = Facts::read(&parsed)?;
    let request = facts.request(&parsed, end)?;
    facts.write(&parsed, bytes, add, request, out).map(Some)
}

const TOO_LARGE: Refusal = Refusal { status: 431, why: "a head larger than the limit" };

/// A version is well formed and not ours, or the line is no request line at all (as HTTP/0.9's).
fn version_refusal(bytes: &[u8]) -> Refusal {
    let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or(bytes);
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    match words[..] {
        [_, _, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']] => {
            Refusal { status: 505, why: "an HTTP version other than 1.0 and 1.1" }
        }
        _ => Refusal::bad("a first line that is not HTTP/1"),
    }
}

/// What the fields of a head say, before any of it is believed.
#[derive(Default)]
struct Facts<'a> {
    lengths: Lengths,
    options: Options<'a>,
    host: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
    expect: bool,
    forwarded_for: bool,
    forwarded_proto: bool,
    idempotency_key: bool,
}

impl<'a> Facts<'a> {
    fn read(parsed: &httparse::Request<'_, 'a>) -> Result<Facts<'a>, Refusal> {
        let mut facts = Facts::default();
        for field in parsed.headers.iter() {
            let name = Name::of(field.name);
            match name {
                Name::Other | Name::Hop => {}
                Name::Host if facts.host.is_some() => return Err(Refusal::bad("two Host fields")),
                Name::Host => facts.host = Some(check_host(field.value)?),
                Name::Connection => facts.options.note(field.value)?,
                Name::Upgrade if facts.upgrade.is_some() => return Err(Refusal::bad("two Upgrade fields")),
                Name::Upgrade => facts.upgrade = Some(trim(field.value)),
                Name::Expect if !trim(field.value).eq_ignore_ascii_case(b"100-continue") => {
                    return Err(Refusal { status: 417, why: "an expectation other than 100-continue" });
                }
                Name::Expect => facts.expect = true,
                Name::ForwardedFor => facts.forwarded_for = true,
                Name::ForwardedProto => facts.forwarded_proto = true,
                Name::IdempotencyKey => facts.idempotency_key = true,
                Name::ContentLength | Name::TransferEncoding | Name::Confusable => {
                    facts.lengths.note(name, field.value)?;
                }
            }
        }
        Ok(facts)
    }

    fn request(&self, parsed: &httparse::Request<'_, '_>, len: usize) -> Result<Request, Refusal> {
        let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
        let name = parsed.method.unwrap_or_default();
        let body = self.lengths.framing().unwrap_or(Framing::None);
        if name == "CONNECT" {
            return Err(Refusal { status: 501, why: "CONNECT: this is no forward proxy" });
        }
        if version == Version::Http11 && self.host.is_none() {
            return Err(Refusal::bad("no Host field"));
        }
        // RFC 9112 section 6.1: an HTTP/1.0 message with a transfer coding is faulty.
        if version == Version::Http10 && body == Framing::Chunked {
            return Err(Refusal::bad("Transfer-Encoding in an HTTP/1.0 request"));
        }
        let method = Method::of(name);
        // `h2c` would let a client speak past everything that is decided per request.
        let upgradable = self.upgrade.is_some_and(|to| {
            !to.is_empty()
                && to.split(|&byte| byte == b',').all(|one| !trim(one).eq_ignore_ascii_case(b"h2c"))
        });
        let upgrade = upgradable
            && self.options.upgrade
            && version == Version::Http11
            && method == Method::Get
            && body == Framing::None;
        let keep_alive = !self.options.close && (version == Version::Http11 || self.options.keep_alive);
        Ok(Request {
            len,
            method,
            version,
            body,
            keep_alive,
            expect: self.expect && version == Version::Http11,
            upgrade,
            idempotency_key: self.idempotency_key,
            target: 0..0,
        })
    }

    /// Writes the head that goes to the server and puts the target's place into `request`.
    fn write(
        &self,
        parsed: &httparse::Request<'_, '_>,
        bytes: &[u8],
        add: &Forwarded<'_>,
        mut request: Request,
        out: &mut Vec<u8>,
    ) -> Result<Request, Refusal> {
        let method = parsed.method.unwrap_or_default();
        let (slash, target) = self.target(method, parsed.path.unwrap_or_default().as_bytes())?;
        out.extend_from_slice(method.as_bytes());
        out.push(b' ');
        let from = out.len();
        out.extend_from_slice(slash);
        out.extend_from_slice(target);
        request.target = from..out.len();
        out.extend_from_slice(b" HTTP/1.1\r\n");
        self.write_fields(parsed, bytes, &request, out);
        self.write_own(parsed, add, &request, out);
        out.extend_from_slice(b"\r\n");
        Ok(request)
    }

    /// Copies the fields that pass, in runs as long as they come.
    fn write_fields(
        &self,
        parsed: &httparse::Request<'_, '_>,
        bytes: &[u8],
        request: &Request,
        out: &mut Vec<u8>,
    ) {
        let fields = &parsed.headers;
        let start = |at: usize| match fields.get(at) {
            Some(field) => field.name.as_ptr().addr() - bytes.as_ptr().addr(),
            None => bytes.len() - 2,
        };
        let mut run = start(0);
        for (at, field) in fields.iter().enumerate() {
            let cut = match Name::of(field.name) {
                Name::Host | Name::ContentLength => false,
                Name::Connection | Name::Hop | Name::TransferEncoding | Name::ForwardedFor => true,
                Name::Upgrade => !request.upgrade,
                Name::Expect => !request.expect,
                _ => self.options.lists(field.name),
            };
            if cut {
                out.extend_from_slice(&bytes[run..start(at)]);
                run = start(at + 1);
            }
        }
        out.extend_from_slice(&bytes[run..start(fields.len())]);
    }

    /// Appends the fields that are the relay's own.
    fn write_own(
        &self,
        parsed: &httparse::Request<'_, '_>,
        add: &Forwarded<'_>,
        request: &Request,
        out: &mut Vec<u8>,
    ) {
        if self.host.is_none() {
            line(out, b"Host: ", add.host.as_bytes());
        }
        if request.body == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        if request.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\n");
        }
        out.extend_from_slice(b"X-Forwarded-For: ");
        if self.forwarded_for && !self.options.lists("x-forwarded-for") {
            let before = parsed.headers.iter().filter(|field| Name::of(field.name) == Name::ForwardedFor);
            for value in before.map(|field| trim(field.value)).filter(|value| !value.is_empty()) {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(add.client.as_bytes());
        out.extend_from_slice(b"\r\n");
        if !self.forwarded_proto || self.options.lists("x-forwarded-proto") {
            line(out, b"X-Forwarded-Proto: ", add.proto.as_bytes());
        }
    }

    /// The target in origin form, as a prefix and the rest (RFC 9112 section 3.2).
    fn target<'t>(&self, method: &str, target: &'t [u8]) -> Result<(&'static [u8], &'t [u8]), Refusal> {
        if target.iter().any(|&byte| byte == b'#' || byte >= 0x80) {
            return Err(Refusal::bad("a target with a fragment or bytes outside ASCII"));
        }
        if target.first() == Some(&b'/') || (target == b"*" && method == "OPTIONS") {
            return Ok((b"", target));
        }
        // Absolute form must be understood. It and Host naming different things is how caches are poisoned.
        let Some(rest) = strip_scheme(target) else {
            return Err(Refusal::bad("a target that is neither a path nor an http URL"));
        };
        let split = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if !self.host.is_some_and(|host| host.eq_ignore_ascii_case(authority)) {
            return Err(Refusal::bad("a target and a Host field that disagree"));
        }
        match path {
            [] if method == "OPTIONS" => Ok((b"*", b"")),
            [b'/', ..] => Ok((b"", path)),
            _ => Ok((b"/", path)),
        }
    }
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"http://").then_some(rest)
}

/// `uri-host [":" port]` (RFC 9110 section 7.2), by its characters, and never empty.
fn check_host(value: &[u8]) -> Result<&[u8], Refusal> {
    let host = trim(value);
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte);
    if host.is_empty() || !host.iter().all(fits) {
        return Err(Refusal::bad("a Host field that names no host"));
    }
    Ok(host)
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
