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
use crate::words::{COMMON_BLOCK, COMMON_KEYS, Carried, Kind};
use evenkeel_syntax::form::{Count, Form};
use std::sync::Arc;

/// `check half-open`.
pub const HALF_OPEN: Kind = Kind {
    name: "half-open",
    form: Form {
        head: "check half-open",
        names: &[],
        keys: &[COMMON_KEYS],
        block: Some(&[COMMON_BLOCK]),
        count: Count::Any,
        doc: "SYN, SYN/ACK, RST: the port listens. Needs no root, and the server's `accept` never sees it.",
    },
    source: include_str!("silence.rs"),
    transport: Carried::HalfOpen,
    read: |_, _, _| Some(Arc::new(Silence)),
};

/// Says nothing, waits for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silence;

impl Dialogue for Silence {
    fn turn(&self, _turn: Turn<'_>) -> Step<'_> {
        Step::Pass
    }
}
