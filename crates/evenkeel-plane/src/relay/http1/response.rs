//! Answer heads: whether one is whole, how its body is framed, and the edit, in place, that makes it ours.

use super::head::{self, FIELDS_MAX, Lengths, Limits, Name, Options};
use super::{Framing, Refusal, Version};
use std::mem::MaybeUninit;

/// An answer head that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Bytes of the server's that it took.
    pub len: usize,
    /// 100 to 999.
    pub status: u16,
    /// How long its body is.
    pub body: Framing,
    /// The server will take another request on this connection.
    pub keep_alive: bool,
    /// The server's version.
    pub version: Version,
    /// Where the first field begins, and the fields that are left out; ranges of bytes.
    fields: u32,
    cuts: [(u32, u32); CUTS_MAX],
    cut_count: u8,
}

/// What was asked, as far as the framing of the answer depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// By HEAD: the answer has no body whatever it says.
    pub head: bool,
    /// For another protocol: 101 is an answer.
    pub upgrade: bool,
    /// By an HTTP/1.0 client, who does not know chunks.
    pub http10: bool,
}

const CUTS_MAX: usize = 12;
const START: &[u8] = b"HTTP/1.";

/// Reads an answer head. `None`: more bytes are needed. `seen` bytes of `bytes` were given before. Every refusal
/// means that the server's answer cannot be trusted to end where it seems to.
pub fn parse(bytes: &[u8], seen: usize, limits: Limits, asked: Asked) -> Result<Option<Response>, Refusal> {
    let start = &bytes[..bytes.len().min(START.len())];
    if !START.starts_with(start) {
        return Err(Refusal::bad("an answer that is not HTTP/1"));
    }
    let Some(end) = head::end(bytes, seen)? else {
        return if bytes.len() >= limits.size { Err(TOO_LARGE) } else { Ok(None) };
    };
    if end > limits.size {
        return Err(TOO_LARGE);
    }
    let bytes = &bytes[..end];
    let mut slots = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let slots = &mut slots[..limits.fields.min(FIELDS_MAX)];
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, bytes, slots) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        Ok(_) => return Err(Refusal::bad("a head that ends before its empty line")),
        Err(error) => return Err(head::refusal(error)),
    }
    let version = if parsed.version == Some(0) { Version::Http10 } else { Version::Http11 };
    let mut response = Response {
        len: end,
        status: parsed.code.unwrap_or_default(),
        body: Framing::None,
        keep_alive: false,
        version,
        fields: parsed.headers.first().map_or(end - 2, |field| offset(field, bytes)) as u32,
        cuts: [(0, 0); CUTS_MAX],
        cut_count: 0,
    };
    response.judge(&parsed, bytes, asked)?;
    Ok(Some(response))
}

const TOO_LARGE: Refusal = Refusal { status: 502, why: "a head larger than the limit" };

fn offset(field: &httparse::Header<'_>, bytes: &[u8]) -> usize {
    field.name.as_ptr().addr() - bytes.as_ptr().addr()
}

impl Response {
    /// Not the answer yet (RFC 9110 section 15.2).
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    fn judge(
        &mut self,
        parsed: &httparse::Response<'_, '_>,
        bytes: &[u8],
        asked: Asked,
    ) -> Result<(), Refusal> {
        let mut lengths = Lengths::default();
        let mut options = Options::default();
        for field in parsed.headers.iter() {
            match Name::of(field.name) {
                Name::Connection => options.note(field.value)?,
                name => lengths.note(name, field.value)?,
            }
        }
        let told = lengths.framing();
        if self.version == Version::Http10 && told == Some(Framing::Chunked) {
            return Err(Refusal::bad("Transfer-Encoding in an HTTP/1.0 answer"));
        }
        if self.status < 100 || (self.status == 101 && !asked.upgrade) {
            return Err(Refusal::bad("a status that nobody asked for"));
        }
        let bodiless = matches!(self.status, 100..=199 | 204 | 304) || asked.head;
        self.body = if bodiless { Framing::None } else { told.unwrap_or(Framing::UntilClose) };
        let persistent = match self.version {
            Version::Http11 => !options.close,
            Version::Http10 => options.keep_alive && !options.close,
        };
        // A server that announces a body where none can be may send it all the same.
        let silent = !matches!(self.status, 100..=199 | 204)
            || matches!(told, None | Some(Framing::None | Framing::Length(0)));
        self.keep_alive = persistent && silent && self.body != Framing::UntilClose;
        self.mark_cuts(parsed, bytes, asked, &options)
    }

    fn mark_cuts(
        &mut self,
        parsed: &httparse::Response<'_, '_>,
        bytes: &[u8],
        asked: Asked,
        options: &Options<'_>,
    ) -> Result<(), Refusal> {
        let fields = &parsed.headers;
        for (at, field) in fields.iter().enumerate() {
            let cut = match Name::of(field.name) {
                Name::Connection | Name::Hop => true,
                Name::Upgrade => self.status != 101,
                Name::ContentLength => matches!(self.status, 100..=199 | 204),
                Name::TransferEncoding => asked.http10 || matches!(self.status, 100..=199 | 204),
                _ => options.lists(field.name),
            };
            if !cut {
                continue;
            }
            let from = offset(field, bytes) as u32;
            let to = fields.get(at + 1).map_or(bytes.len() - 2, |next| offset(next, bytes)) as u32;
            match self.cuts[..usize::from(self.cut_count)].last_mut() {
                Some(last) if last.1 == from => last.1 = to,
                _ if usize::from(self.cut_count) == CUTS_MAX => {
                    return Err(Refusal::bad("too many fields for the next hop only"));
                }
                _ => {
                    self.cuts[usize::from(self.cut_count)] = (from, to);
                    self.cut_count += 1;
                }
            }
        }
        Ok(())
    }

    /// Edits the head, which begins at `at` in `buffer`, in place: cuts what is not for the client, inserts
    /// `insert` (whole lines) before the first field, says HTTP/1.1. Its end stays where it is; the answer is
    /// its new beginning, which is before `at` by at most `insert.len()`, so there must be as much room.
    pub fn edit(&self, buffer: &mut [u8], at: usize, insert: &[u8]) -> usize {
        buffer[at + 7] = b'1';
        let cuts = &self.cuts[..usize::from(self.cut_count)];
        if cuts.is_empty() && insert.is_empty() {
            return at;
        }
        let mut end = at + self.fields as usize;
        let mut write = end;
        if let Some(last) = cuts.last() {
            end = at + last.0 as usize;
            write = at + last.1 as usize;
            for pair in cuts.windows(2).rev() {
                let from = at + pair[0].1 as usize;
                write -= end - from;
                buffer.copy_within(from..end, write);
                end = at + pair[0].0 as usize;
            }
            let from = at + self.fields as usize;
            write -= end - from;
            buffer.copy_within(from..end, write);
            end = from;
        }
        // The status line goes first, for the new lines may come to lie where it was.
        let inserted = write - insert.len();
        let start = inserted - (end - at);
        buffer.copy_within(at..end, start);
        buffer[inserted..write].copy_from_slice(insert);
        start
    }
}
