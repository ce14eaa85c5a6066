//! Reads an HTTP/1 answer out of the bytes heard so far: its head, and as much of its body as is looked at.
//! It judges framing, never meaning.

use super::bad;
use evenkeel_core::evidence::Reason;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Bytes of one head; more is a fault of the server's.
const HEAD_MAX: usize = 32 * 1024;
/// Fields of one head.
const FIELDS_MAX: usize = 128;
/// Interim answers (1xx) before the real one.
const INTERIM_MAX: usize = 16;
/// Bytes of a body that are searched.
pub(super) const BODY_MAX: usize = 64 * 1024;
/// Bytes of a chunk's size line or of one trailer field.
const CHUNK_LINE_MAX: usize = 4096;

/// A whole head.
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) fields: Vec<(&'a str, &'a [u8])>,
    pub(super) framing: Framing,
    /// Whether the server keeps the connection after this answer.
    pub(super) keeps: bool,
    /// Where the head begins and the body begins in what was heard.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How the end of the body is known (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

/// The body, decoded, up to [`BODY_MAX`] bytes.
pub(super) struct Body<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) state: BodyState,
}

/// Whether more of a body can come.
pub(super) enum BodyState {
    /// Yes.
    Going,
    /// It ended here, an offset in what was heard.
    Ended(usize),
    /// More than is ever looked at.
    Cut,
    /// The framing is broken.
    Bad(Reason),
}

impl<'a> Head<'a> {
    /// The first final head at or after `start`; `None`: not all of it is there yet.
    pub(super) fn read(heard: &'a [u8], start: usize, to_head: bool) -> Result<Option<Head<'a>>, Reason> {
        let mut at = start;
        for _ in 0..INTERIM_MAX {
            let Some(head) = Head::one(heard, at, to_head)? else { return Ok(None) };
            // 101 is final: what follows is no longer HTTP/1.
            if head.status >= 200 || head.status == 101 {
                return Ok(Some(head));
            }
            at = head.end;
        }
        Err(bad("too many interim answers"))
    }

    fn one(heard: &'a [u8], start: usize, to_head: bool) -> Result<Option<Head<'a>>, Reason> {
        let rest = &heard[start..];
        let window = &rest[..rest.len().min(HEAD_MAX)];
        let mut space = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            window,
            &mut space,
        );
        match parsed {
            Ok(httparse::Status::Complete(length)) => {
                let fields: Vec<_> = response.headers.iter().map(|field| (field.name, field.value)).collect();
                let status = response.code.unwrap_or(0);
                let framing = framing(status, &fields, to_head)?;
                let keeps = keeps(response.version == Some(1), &fields) && framing != Framing::UntilClose;
                Ok(Some(Head { status, fields, framing, keeps, start, end: start + length }))
            }
            Ok(httparse::Status::Partial) if window.len() == HEAD_MAX => Err(bad("head too long")),
            Ok(httparse::Status::Partial) => Ok(None),
            Err(httparse::Error::TooManyHeaders) => Err(bad("more than 128 header fields")),
            Err(httparse::Error::Version) => Err(bad("not HTTP")),
            Err(httparse::Error::Status) => Err(bad("bad status line")),
            Err(_) if !window.starts_with(b"HTTP/1.") => Err(bad("not HTTP")),
            Err(_) => Err(bad("bad header")),
        }
    }

    /// Every value of a field, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, name).collect::<Vec<_>>().into_iter()
    }

    /// The body in what was heard; `ended`: no more will come.
    pub(super) fn body(&self, heard: &'a [u8], ended: bool) -> Body<'a> {
        let rest = &heard[self.end..];
        match self.framing {
            Framing::Empty => Body { bytes: Cow::Borrowed(&[]), state: BodyState::Ended(self.end) },
            Framing::Chunked => chunked(rest, self.end),
            Framing::Length(length) => {
                let whole = usize::try_from(length).unwrap_or(usize::MAX);
                let bytes = &rest[..rest.len().min(whole).min(BODY_MAX)];
                let state = match () {
                    () if rest.len() >= whole => BodyState::Ended(self.end + whole),
                    () if bytes.len() == BODY_MAX => BodyState::Cut,
                    () => BodyState::Going,
                };
                Body { bytes: Cow::Borrowed(bytes), state }
            }
            Framing::UntilClose => {
                let bytes = &rest[..rest.len().min(BODY_MAX)];
                let state = match () {
                    () if bytes.len() == BODY_MAX => BodyState::Cut,
                    () if ended => BodyState::Ended(heard.len()),
                    () => BodyState::Going,
                };
                Body { bytes: Cow::Borrowed(bytes), state }
            }
        }
    }
}

fn values<'a>(fields: &[(&'a str, &'a [u8])], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// The elements of a list field (RFC 9110, section 5.6.1).
fn elements<'a>(fields: &[(&'a str, &'a [u8])], name: &str) -> impl Iterator<Item = &'a [u8]> {
    values(fields, name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn framing(status: u16, fields: &[(&str, &[u8])], to_head: bool) -> Result<Framing, Reason> {
    let mut length = None;
    for value in elements(fields, "content-length") {
        let number = std::str::from_utf8(value)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or_else(|| bad("bad content-length"))?;
        if length.is_some_and(|other| other != number) {
            return Err(bad("two content-lengths"));
        }
        length = Some(number);
    }
    let coding = elements(fields, "transfer-encoding").last();
    if to_head || status < 200 || status == 204 || status == 304 {
        return Ok(Framing::Empty);
    }
    match (coding, length) {
        (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (Some(_), _) | (None, None) => Ok(Framing::UntilClose),
        (None, Some(length)) => Ok(Framing::Length(length)),
    }
}

fn keeps(version_1_1: bool, fields: &[(&str, &[u8])]) -> bool {
    let says = |word: &[u8]| elements(fields, "connection").any(|element| element.eq_ignore_ascii_case(word));
    if version_1_1 { !says(b"close") } else { says(b"keep-alive") && !says(b"close") }
}

/// Decodes chunks (RFC 9112, section 7.1); `offset` is where `rest` begins in what was heard.
fn chunked<'a>(rest: &'a [u8], offset: usize) -> Body<'a> {
    let mut bytes = Vec::new();
    let mut at = 0;
    let state = loop {
        let (size, data) = match size_line(&rest[at..]) {
            Ok(Some((size, line))) => (size, at + line),
            Ok(None) => break BodyState::Going,
            Err(reason) => break BodyState::Bad(reason),
        };
        if size == 0 {
            break trailers(&rest[data..], offset + data);
        }
        let there = rest.len() - data;
        let take = there.min(size).min(BODY_MAX - bytes.len());
        bytes.extend_from_slice(&rest[data..data + take]);
        if bytes.len() == BODY_MAX {
            break BodyState::Cut;
        }
        if there < size {
            break BodyState::Going;
        }
        at = data + size;
        match &rest[at..] {
            [b'\r', b'\n', ..] => at += 2,
            [] | [b'\r'] => break BodyState::Going,
            _ => break BodyState::Bad(bad("bad chunk")),
        }
    };
    Body { bytes: Cow::Owned(bytes), state }
}

/// A chunk's size and the length of its line; extensions are skipped.
fn size_line(rest: &[u8]) -> Result<Option<(usize, usize)>, Reason> {
    let mut size = 0_usize;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > 15 {
        return Err(bad("bad chunk size"));
    }
    for digit in &rest[..digits] {
        size = size * 16 + char::from(*digit).to_digit(16).unwrap_or(0) as usize;
    }
    match rest.get(digits) {
        None => return Ok(None),
        Some(b'\r' | b';' | b' ' | b'\t') if digits > 0 => {}
        Some(_) => return Err(bad("bad chunk size")),
    }
    match line_end(&rest[digits..]) {
        Ok(end) => Ok(end.map(|end| (size, digits + end))),
        Err(()) => Err(bad("bad chunk size")),
    }
}

/// Skips trailer fields to the empty line that ends the answer.
fn trailers(rest: &[u8], offset: usize) -> BodyState {
    let mut at = 0;
    loop {
        match line_end(&rest[at..]) {
            Ok(None) => return BodyState::Going,
            Ok(Some(2)) => return BodyState::Ended(offset + at + 2),
            Ok(Some(end)) => at += end,
            Err(()) => return BodyState::Bad(bad("bad trailer")),
        }
    }
}

/// The length of the line at the beginning, its CRLF included.
fn line_end(rest: &[u8]) -> Result<Option<usize>, ()> {
    let window = &rest[..rest.len().min(CHUNK_LINE_MAX)];
    match window.iter().position(|byte| *byte == b'\n') {
        Some(at) if at > 0 && window[at - 1] == b'\r' => Ok(Some(at + 1)),
        Some(_) => Err(()),
        None if window.len() == CHUNK_LINE_MAX => Err(()),
        None => Ok(None),
    }
}
