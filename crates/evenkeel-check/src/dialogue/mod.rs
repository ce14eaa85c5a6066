//! A monitor is a conversation, not a connection: bytes in, bytes out, never a socket. One file per protocol.

pub mod expect;
pub mod http;
pub mod pattern;
pub mod silence;
pub mod transcript;

use evenkeel_core::evidence::Reason;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;

/// One side of a conversation. It keeps no state: everything it may know is in the [`Turn`], so it can be cut
/// anywhere, replayed, fuzzed, and shared by every probe of a check.
pub trait Dialogue: Send + Sync + std::fmt::Debug {
    /// What to do next. Called once when the connection stands, again whenever more was heard or the end has
    /// come, and again after each `Send` whose bytes are on their way.
    ///
    /// The verdict must not depend on how the bytes were cut: whatever is answered to some bytes must be what
    /// would be answered if they had come together with all that follows them.
    fn turn(&self, turn: Turn<'_>) -> Step<'_>;

    /// After the last turn: which of the bytes heard decided. They are kept as the sample of the evidence.
    fn decided_by(&self, turn: Turn<'_>) -> Range<usize> {
        0..turn.heard.len()
    }
}

/// All that a dialogue may know.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// Whom it speaks with; `None` on a unix socket. (What HTTP's `Host` says unless told otherwise.)
    pub peer: Option<SocketAddr>,
    /// How many `Send`s were done so far.
    pub sent: usize,
    /// All bytes heard so far, at most [`HEARD_MAX`].
    pub heard: &'a [u8],
    /// Whether more can come.
    pub end: End,
}

/// Whether more can be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// More may come.
    #[default]
    Open,
    /// The peer closed its side.
    Closed,
    /// The connection broke: a reset. What was heard before it still counts.
    Reset,
    /// The deadline has passed. Whoever still wants `More` has timed out.
    Deadline,
    /// As many bytes were heard as are ever kept.
    Full,
}

/// What a dialogue wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Send these bytes, then ask again.
    Send(Cow<'a, [u8]>),
    /// Wait for more. At an end: nothing to say to it; the transport's own words for it stand.
    More,
    /// The server did what was asked of it.
    Pass,
    /// It did not.
    Fail(Reason),
}

/// Bytes of an answer that are kept for a dialogue to look at.
pub const HEARD_MAX: usize = 64 * 1024 + 32 * 1024;
