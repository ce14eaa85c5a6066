//! HTTP/1.x framing as RFC 9112 has it, and stricter: bytes in, decisions out. No sockets, no clock, no policy.
//!
//! Everything another reader could read in two ways is refused, because whoever forwards what he and the next
//! reader count differently lets one client speak in another's name (request smuggling, RFC 9112 section 11.2).
//! `httparse` splits the tokens; what they mean is decided here.

mod body;
mod head;
pub mod page;
pub mod request;
pub mod response;

pub use body::Body;
pub use head::Limits;

/// Why a message is not taken. For a request this becomes the answer, for an answer a 502.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status a client gets for it.
    pub status: u16,
    /// For the log, in words.
    pub why: &'static str,
}

/// How long a message's body is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Answers only: until the server closes.
    UntilClose,
}

/// The minor version of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Refusal {
    const fn bad(why: &'static str) -> Refusal {
        Refusal { status: 400, why }
    }
}
