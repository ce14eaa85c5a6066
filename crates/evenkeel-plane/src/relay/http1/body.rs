//! Where a body ends, and that its chunks are what they say. Knows nothing of what is in it.

use super::{Framing, Refusal};

/// The rest of a body that is being passed on.
#[derive(Clone, Debug)]
pub struct Body(State);

#[derive(Clone, Debug)]
enum State {
    Length(u64),
    UntilClose,
    Chunked(Chunked),
}

/// RFC 9112 section 7.1, without the latitude: the size is hexadecimal digits right up to `;` or CRLF.
#[derive(Clone, Debug)]
struct Chunked {
    step: Step,
    /// Of the chunk, not yet seen.
    left: u64,
    /// Of the size's digits, then of the field name's letters in `name`.
    count: u8,
    /// Bytes of extensions and trailers so far.
    extra: u16,
    fields: u8,
    /// The start of a trailer's name, in lower case.
    name: [u8; NAME_MAX],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Size,
    Extension,
    SizeFeed,
    Data,
    DataReturn,
    DataFeed,
    LineStart,
    Name,
    Value,
    ValueFeed,
    EndFeed,
    Done,
}

/// Extensions and trailers of one body, all together. Nobody uses them except to hide something.
const EXTRA_MAX: u16 = 8 * 1024;
const TRAILERS_MAX: u8 = 64;
/// As long as the longest name in [`FORBIDDEN`] and one more.
const NAME_MAX: usize = 18;
/// Fields that would change a message after it was framed and routed (RFC 9110 section 6.5.1).
const FORBIDDEN: [&[u8]; 8] = [
    b"transfer-encoding",
    b"content-length",
    b"host",
    b"connection",
    b"trailer",
    b"te",
    b"upgrade",
    b"expect",
];

impl Body {
    /// A body at its start.
    pub fn new(framing: Framing) -> Body {
        Body(match framing {
            Framing::None => State::Length(0),
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose => State::UntilClose,
            Framing::Chunked => State::Chunked(Chunked {
                step: Step::Size,
                left: 0,
                count: 0,
                extra: 0,
                fields: 0,
                name: [0; NAME_MAX],
            }),
        })
    }

    /// All of it was seen.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            State::Length(left) => *left == 0,
            State::UntilClose => false,
            State::Chunked(chunked) => chunked.step == Step::Done,
        }
    }

    /// It may end here because the sender closed.
    pub fn may_end(&self) -> bool {
        matches!(self.0, State::UntilClose) || self.is_done()
    }

    /// How many of these bytes, the next ones on the connection, belong to it. Fewer than all only if it ends.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match &mut self.0 {
            State::UntilClose => Ok(bytes.len()),
            State::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            State::Chunked(chunked) => chunked.take(bytes, |_, _| {}),
        }
    }

    /// Like [`Body::take`], for a receiver who does not know chunks: moves the content to the front of `bytes`.
    /// The answer is how many bytes were taken, and how many of content there are.
    pub fn take_content(&mut self, bytes: &mut [u8]) -> Result<(usize, usize), Refusal> {
        let State::Chunked(chunked) = &mut self.0 else {
            let taken = self.take(bytes)?;
            return Ok((taken, taken));
        };
        let mut spans = Vec::new();
        let taken = chunked.take(bytes, |from, to| spans.push((from, to)))?;
        let mut content = 0;
        for (from, to) in spans {
            bytes.copy_within(from..to, content);
            content += to - from;
        }
        Ok((taken, content))
    }
}

impl Chunked {
    fn take(&mut self, bytes: &[u8], mut content: impl FnMut(usize, usize)) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < bytes.len() && self.step != Step::Done {
            if self.step == Step::Data {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - at);
                content(at, at + here);
                at += here;
                self.left -= here as u64;
                if self.left == 0 {
                    self.step = Step::DataReturn;
                }
            } else {
                self.step = self.byte(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn byte(&mut self, byte: u8) -> Result<Step, Refusal> {
        match (self.step, byte) {
            (Step::Size, _) => self.size(byte),
            (Step::Extension, b'\r') => Ok(Step::SizeFeed),
            (Step::Extension, _) if is_text(byte) => self.extra(Step::Extension),
            (Step::SizeFeed, b'\n') if self.left > 0 => Ok(Step::Data),
            (Step::SizeFeed, b'\n') => Ok(Step::LineStart),
            (Step::DataReturn, b'\r') => Ok(Step::DataFeed),
            (Step::DataFeed, b'\n') => {
                self.count = 0;
                Ok(Step::Size)
            }
            (Step::LineStart, b'\r') => Ok(Step::EndFeed),
            (Step::LineStart, _) => {
                self.count = 0;
                self.fields += 1;
                if self.fields > TRAILERS_MAX {
                    return Err(Refusal { status: 431, why: "too many trailers" });
                }
                self.name(byte)
            }
            (Step::Name, b':') => self.name_end(),
            (Step::Name, _) => self.name(byte),
            (Step::Value, b'\r') => Ok(Step::ValueFeed),
            (Step::Value, _) if is_text(byte) => self.extra(Step::Value),
            (Step::ValueFeed, b'\n') => Ok(Step::LineStart),
            (Step::EndFeed, b'\n') => Ok(Step::Done),
            _ => Err(Refusal::bad("a byte that does not belong into a chunk's framing")),
        }
    }

    fn size(&mut self, byte: u8) -> Result<Step, Refusal> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.count > 0 => return Ok(Step::SizeFeed),
            b';' if self.count > 0 => return self.extra(Step::Extension),
            _ => return Err(Refusal::bad("a chunk size that is no hexadecimal number")),
        };
        // Fifteen digits hold any size there can be, and no arithmetic of any reader overflows on them.
        if self.count == 15 {
            return Err(Refusal::bad("a chunk size that overflows"));
        }
        self.count += 1;
        self.left = self.left * 16 + u64::from(digit);
        Ok(Step::Size)
    }

    fn extra(&mut self, next: Step) -> Result<Step, Refusal> {
        self.extra += 1;
        if self.extra > EXTRA_MAX {
            return Err(Refusal { status: 431, why: "too much beside the chunks" });
        }
        Ok(next)
    }

    fn name(&mut self, byte: u8) -> Result<Step, Refusal> {
        if !is_token(byte) {
            return Err(Refusal::bad("a trailer's name that is no token"));
        }
        if let Some(slot) = self.name.get_mut(usize::from(self.count)) {
            *slot = byte.to_ascii_lowercase();
            self.count += 1;
        }
        self.extra(Step::Name)
    }

    fn name_end(&mut self) -> Result<Step, Refusal> {
        let name = &self.name[..usize::from(self.count)];
        if FORBIDDEN.contains(&name) {
            return Err(Refusal::bad("a trailer that would change the message's framing"));
        }
        Ok(Step::Value)
    }
}

/// `field-vchar`, space and tab (RFC 9110 section 5.5).
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=0x7e | 0x80..)
}

/// `tchar` (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
