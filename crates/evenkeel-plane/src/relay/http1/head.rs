//! What request and answer heads have in common: where they end, and what their framing fields say.

use super::{Framing, Refusal};

/// More fields than this cannot be configured: the parser's table stands on the stack.
pub(super) const FIELDS_MAX: usize = 256;

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, the empty line included.
    pub size: usize,
    /// Fields.
    pub fields: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { size: 32 * 1024, fields: 100 }
    }
}

/// Field names that mean something to a relay. All others pass as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    /// Meant for the next hop only whatever `Connection` says: `Keep-Alive`, `Proxy-Connection`, `TE`,
    /// `HTTP2-Settings`.
    Hop,
    Upgrade,
    Expect,
    ForwardedFor,
    ForwardedProto,
    IdempotencyKey,
    /// A framing field spelt with an underscore: gateways that turn names into variables read it as the real one.
    Confusable,
}

impl Name {
    pub(super) fn of(name: &str) -> Name {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name.len() {
            2 if is("te") => Name::Hop,
            4 if is("host") => Name::Host,
            6 if is("expect") => Name::Expect,
            7 if is("upgrade") => Name::Upgrade,
            10 if is("connection") => Name::Connection,
            10 if is("keep-alive") => Name::Hop,
            14 if is("content-length") => Name::ContentLength,
            14 if is("http2-settings") => Name::Hop,
            14 if is("content_length") => Name::Confusable,
            15 if is("x-forwarded-for") => Name::ForwardedFor,
            15 if is("idempotency-key") => Name::IdempotencyKey,
            16 if is("proxy-connection") => Name::Hop,
            17 if is("transfer-encoding") => Name::TransferEncoding,
            17 if is("transfer_encoding") => Name::Confusable,
            17 if is("x-forwarded-proto") => Name::ForwardedProto,
            _ => Name::Other,
        }
    }

    /// Fields that no `Connection` may take away, since the message would then mean something else.
    pub(super) fn is_protected(self) -> bool {
        matches!(self, Name::Host | Name::ContentLength | Name::TransferEncoding)
    }
}

/// The offset behind the empty line that ends a head, if it is there. `seen` bytes were looked at before, which
/// keeps a head that comes byte by byte from costing its square.
pub(super) fn end(bytes: &[u8], seen: usize) -> Result<Option<usize>, Refusal> {
    let mut at = seen;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        let feed = at + found;
        if feed == 0 || bytes[feed - 1] != b'\r' {
            return Err(Refusal::bad("a line that ends without a carriage return"));
        }
        if feed >= 3 && bytes[feed - 3..feed - 1] == *b"\r\n" {
            return Ok(Some(feed + 1));
        }
        at = feed + 1;
    }
    Ok(None)
}

/// What a head's framing fields add up to.
#[derive(Default)]
pub(super) struct Lengths {
    length: Option<u64>,
    chunked: bool,
}

impl Lengths {
    /// Takes one more field's word.
    pub(super) fn note(&mut self, name: Name, value: &[u8]) -> Result<(), Refusal> {
        match name {
            Name::ContentLength if self.length.is_some() => {
                return Err(Refusal::bad("two Content-Length fields"));
            }
            Name::ContentLength => self.length = Some(content_length(value)?),
            Name::TransferEncoding if self.chunked => {
                return Err(Refusal::bad("two Transfer-Encoding fields"));
            }
            Name::TransferEncoding => {
                transfer_encoding(value)?;
                self.chunked = true;
            }
            Name::Confusable => return Err(Refusal::bad("a framing field spelt with an underscore")),
            _ => return Ok(()),
        }
        if self.chunked && self.length.is_some() {
            return Err(Refusal::bad("both Content-Length and Transfer-Encoding"));
        }
        Ok(())
    }

    /// The framing, if a field told one.
    pub(super) fn framing(&self) -> Option<Framing> {
        if self.chunked { Some(Framing::Chunked) } else { self.length.map(Framing::Length) }
    }
}

/// `1*DIGIT` and nothing else (RFC 9110 section 8.6): no sign, no list, no empty value.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    const WRONG: Refusal = Refusal::bad("a Content-Length that is not one number");
    let value = trim(value);
    if value.is_empty() || value.len() > 19 {
        return Err(WRONG);
    }
    value.iter().try_fold(0u64, |sum, &byte| match byte {
        b'0'..=b'9' => Ok(sum * 10 + u64::from(byte - b'0')),
        _ => Err(WRONG),
    })
}

/// `chunked` alone. Other codings known to the standard are 501 (RFC 9112 section 6.1), the rest is an attempt to
/// be read in two ways.
fn transfer_encoding(value: &[u8]) -> Result<(), Refusal> {
    let value = trim(value);
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let known = |coding: &[u8]| {
        let coding = trim(coding);
        [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"]
            .iter()
            .any(|name| coding.eq_ignore_ascii_case(name))
    };
    let mut codings: Vec<&[u8]> = value.split(|&byte| byte == b',').collect();
    if codings.last().is_some_and(|last| trim(last).eq_ignore_ascii_case(b"chunked")) {
        codings.pop();
    }
    if !codings.is_empty() && codings.iter().all(|coding| known(coding)) {
        return Err(Refusal { status: 501, why: "a transfer coding other than chunked" });
    }
    Err(Refusal::bad("a Transfer-Encoding that is not exactly chunked"))
}

/// Without the spaces and tabs around it (OWS, RFC 9110 section 5.6.3).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What `Connection` fields say. Names of fields for the next hop only are kept to be cut.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    listed: [&'a [u8]; Options::MAX],
    count: usize,
}

impl<'a> Options<'a> {
    const MAX: usize = 16;

    /// Takes the value of one more `Connection` field.
    pub(super) fn note(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        for token in value.split(|&byte| byte == b',').map(trim).filter(|token| !token.is_empty()) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.list(token)?;
            }
        }
        Ok(())
    }

    /// Whether a field with this name is for the next hop only.
    pub(super) fn lists(&self, name: &str) -> bool {
        self.listed[..self.count].iter().any(|listed| listed.eq_ignore_ascii_case(name.as_bytes()))
    }

    fn list(&mut self, token: &'a [u8]) -> Result<(), Refusal> {
        let Ok(name) = std::str::from_utf8(token) else {
            return Err(Refusal::bad("a Connection option that is not a token"));
        };
        if Name::of(name).is_protected() {
            return Err(Refusal::bad("a Connection field that would take away the framing or the host"));
        }
        if self.count == Options::MAX {
            return Err(Refusal { status: 431, why: "too many Connection options" });
        }
        self.listed[self.count] = token;
        self.count += 1;
        Ok(())
    }
}

/// What `httparse` found wrong.
pub(super) fn refusal(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal { status: 431, why: "too many fields" },
        httparse::Error::HeaderName => Refusal::bad("a field name that is no token"),
        httparse::Error::HeaderValue => Refusal::bad("a control character in a field value"),
        httparse::Error::NewLine => Refusal::bad("a carriage return without a line feed"),
        httparse::Error::Status => Refusal::bad("a status that is no number"),
        httparse::Error::Token => Refusal::bad("a first line that is not HTTP"),
        httparse::Error::Version => Refusal::bad("not HTTP/1"),
    }
}
