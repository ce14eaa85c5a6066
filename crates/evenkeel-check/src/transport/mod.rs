//! What carries a conversation: the only files with sockets. They own the deadline and never read an answer,
//! they hand its bytes to the dialogue.

mod half_open;
pub(crate) mod parting;
pub(crate) mod reasons;
pub(crate) mod record;
pub(crate) mod sockets;
pub(crate) mod stream;
pub(crate) mod tls;

use crate::dialogue::{End, Step, Turn};
use crate::engine::{Spec, Transport};
use evenkeel_core::Time;
use evenkeel_core::config::Address;
use evenkeel_core::evidence::Reason;
use rustls::ClientConfig;
use sockets::Lane;
use std::sync::Arc;

/// How to ask, made ready: files read, and what follows from the spec worked out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) spec: Arc<Spec>,
    /// What TLS needs, or why that could not be had.
    pub(crate) tls: Option<Result<Arc<ClientConfig>, Reason>>,
    /// Nothing is said and nothing is waited for.
    silent: bool,
}

/// What the loop knows of the time when it hands on an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Now.
    pub(crate) now: Time,
    /// The event may be older than a tick: the kernel must be asked when it really happened.
    pub(crate) doubt: bool,
}

impl Plan {
    /// Reads whatever files the spec names; may block for some milliseconds.
    pub(crate) fn new(spec: Arc<Spec>) -> Plan {
        let first = Turn { peer: None, sent: 0, heard: &[], end: End::Open };
        let silent = spec.dialogue.turn(first) == Step::Pass;
        let tls = match &spec.transport {
            Transport::Stream(stream) => stream.tls.as_ref().map(|words| tls::prepare(words)),
            Transport::HalfOpen => None,
        };
        Plan { spec, tls, silent }
    }

    /// Whether nothing follows the handshake.
    pub(crate) fn half_open(&self) -> bool {
        matches!(self.spec.transport, Transport::HalfOpen)
    }

    /// Whether the check's connection is kept between probes.
    pub(crate) fn reuse(&self) -> bool {
        matches!(&self.spec.transport, Transport::Stream(stream) if stream.reuse)
    }

    /// Whether an idle connection is held beside the probes.
    pub(crate) fn tripwire(&self) -> bool {
        matches!(&self.spec.transport, Transport::Stream(stream) if stream.tripwire)
    }

    fn lane(&self, address: &Address) -> Lane {
        match &self.spec.transport {
            _ if matches!(address, Address::Unix(_) | Address::Name(..)) => Lane::Plain,
            Transport::HalfOpen => Lane::Reset,
            Transport::Stream(stream) if stream.reuse => Lane::Plain,
            Transport::Stream(stream) if stream.close_rst => Lane::Reset,
            Transport::Stream(stream) if self.silent && stream.tls.is_none() => Lane::Quiet,
            Transport::Stream(_) => Lane::Plain,
        }
    }
}
