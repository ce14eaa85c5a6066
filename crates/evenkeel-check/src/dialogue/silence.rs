//! # Silence
//! Connecting is enough: nothing is said and nothing is waited for. This is what `check half-open` does (SYN,
//! SYN/ACK, RST: the server's `accept` never sees it), and `check tcp` as long as its block asks for nothing
//! (a whole handshake, closed with FIN).
//!
//! It proves that the port listens, not that the application behind it works. Ask it often, and ask the real
//! question beside it, seldom:
//!
//! ```text
//! check half-open every 5s {
//!     down after 16s
//! }
//! check http /health every 30s
//! ```
//!
//! With `tls`, `check tcp` ends after the TLS handshake: the certificate was good, nothing was asked.

use super::{Dialogue, Step, Turn};

/// Says nothing, waits for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl Dialogue for Silence {
    fn turn(&self, _turn: Turn<'_>) -> Step<'_> {
        Step::Pass
    }
}
