//! The check engine: one thread, one epoll, a slab of targets. It asks, and sends on only what changed.

use crate::dialogue::Dialogue;
use evenkeel_core::config::{Address, CheckId, Rule, ServerId, Timing};
use std::sync::Arc;

/// One check on one server: what to ask, when, and what the answers mean.
#[derive(Clone, Debug)]
pub struct Target {
    /// Of which server.
    pub server: ServerId,
    /// By which check.
    pub check: CheckId,
    /// A hash of pool, server and check names: its phase in the interval. Stable over restarts.
    pub key: u64,
    /// Where to ask. A `Name` is not asked.
    pub address: Address,
    /// How to ask. Targets with the same allocation and address share one probe.
    pub spec: Arc<Spec>,
    /// When to ask.
    pub timing: Timing,
    /// What the answers mean.
    pub rule: Rule,
}

/// How to ask.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For people: `http`, `half-open`.
    pub kind: &'static str,
    /// What carries the conversation.
    pub transport: Transport,
    /// The conversation.
    pub dialogue: Arc<dyn Dialogue>,
}

/// What carries a conversation.
#[derive(Clone, Debug)]
pub enum Transport {
    /// SYN, SYN/ACK, RST.
    HalfOpen,
    /// A connection.
    Stream(Stream),
}

/// How a connection is made and ended.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Spoken over TLS.
    pub tls: Option<Arc<Tls>>,
    /// Ended by RST instead of FIN.
    pub close_rst: bool,
    /// The check's connection is kept between probes; at least one probe in three is fresh.
    pub reuse: bool,
    /// An idle connection is held; its loss triggers a probe at once.
    pub tripwire: bool,
}

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The name asked for and verified. `None`: the address.
    pub name: Option<String>,
    /// `false`: any certificate will do.
    pub verify: bool,
    /// PEM file of authorities; `None`: the system's.
    pub authorities: Option<std::path::PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client: Option<(std::path::PathBuf, std::path::PathBuf)>,
}
