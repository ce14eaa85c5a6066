//! One fact about one server: what a probe found, why, and how long each phase took.
//! How facts add up to health is `source`'s business, not this file's.

use crate::time::Span;
use std::borrow::Cow;
use std::fmt;

/// Where in the conversation it failed. The codes are HAProxy's (management.txt, "check_status"), because
/// operators already read them to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The transport: connect refused, unreachable, timed out.
    L4,
    /// TLS.
    L6,
    /// The protocol spoken over the connection.
    L7,
    /// An external command.
    X,
    /// Ourselves: a local errno, a starved loop, a lost link.
    Local,
}

/// What a failure means for the traffic. Every rule of the verdict depends on this distinction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody can be served there: refused, unreachable, connect timeout.
    Hard,
    /// Somebody perhaps can: wrong content, status, latency.
    Soft,
    /// Our own fault. Void: it says nothing about the server.
    Local,
}

/// An outcome as it is kept in a history and drawn in a timeline. Two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mark {
    /// `+`: passed.
    Pass = 0,
    /// `x`: refused, reset or unreachable.
    Refused = 1,
    /// `t`: a deadline passed.
    Timeout = 2,
    /// `w`: an answer came, and it was wrong.
    Wrong = 3,
}

/// Why a probe failed: `L4 refused`, `L7 status 503`, `local no free port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The layer that failed.
    pub layer: Layer,
    /// What it means for the traffic.
    pub kind: Kind,
    /// How it is drawn.
    pub mark: Mark,
    /// The cause in words, without the layer. At most 120 bytes, one line.
    pub text: Cow<'static, str>,
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server did what the check asks for.
    Pass,
    /// It did not.
    Fail(Reason),
}

/// How long each phase of a probe took, as the kernel's own clock tells where it can. `None`: not reached, or
/// no such phase in this check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name to address. Done off the probe's path, so mostly the age of the answer is more telling.
    pub resolve: Option<Span>,
    /// SYN to SYN/ACK.
    pub connect: Option<Span>,
    /// The TLS handshake.
    pub tls: Option<Span>,
    /// Handing the request to the kernel.
    pub send: Option<Span>,
    /// From the request to the first byte of the answer.
    pub first_byte: Option<Span>,
    /// From the first byte to the one that decided.
    pub body: Option<Span>,
}

/// One probe's result, with everything `why` needs to explain it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What was found.
    pub verdict: Verdict,
    /// The whole probe.
    pub took: Span,
    /// Its parts.
    pub phases: Phases,
    /// The local errno behind a failure, if there was one.
    pub errno: Option<i32>,
    /// The bytes that decided, at most 160 of them.
    pub sample: Box<[u8]>,
}

impl Reason {
    /// Nobody can be served there.
    pub fn hard(layer: Layer, mark: Mark, text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { layer, kind: Kind::Hard, mark, text: text.into() }
    }
    /// Somebody perhaps can.
    pub fn soft(layer: Layer, mark: Mark, text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { layer, kind: Kind::Soft, mark, text: text.into() }
    }
    /// A fault of our own.
    pub fn local(text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { layer: Layer::Local, kind: Kind::Local, mark: Mark::Wrong, text: text.into() }
    }
}

impl Verdict {
    /// Whether the server passed.
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Pass)
    }
    /// Why it did not.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Verdict::Pass => None,
            Verdict::Fail(reason) => Some(reason),
        }
    }
}

impl Evidence {
    /// Evidence with nothing but a verdict and a duration.
    pub fn plain(verdict: Verdict, took: Span) -> Evidence {
        Evidence { verdict, took, phases: Phases::default(), errno: None, sample: Box::default() }
    }
}

impl Mark {
    /// The letter it is drawn with.
    pub fn letter(self) -> char {
        match self {
            Mark::Pass => '+',
            Mark::Refused => 'x',
            Mark::Timeout => 't',
            Mark::Wrong => 'w',
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::L4 => "L4",
            Layer::L6 => "L6",
            Layer::L7 => "L7",
            Layer::X => "X",
            Layer::Local => "local",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.layer, self.text)
    }
}
