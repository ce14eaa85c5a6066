//! Events in words: what the log, `evenkeel events` and the API say about what happened. Names stand here in
//! place of ids, so that a line still means something when the config has changed.

use crate::clock;
use evenkeel_core::event::Event;
use evenkeel_core::evidence::Kind;
use evenkeel_core::{Span, Time};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// One event as people and programs get it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Counts from 1, without gaps, since the daemon's start.
    pub seq: u64,
    /// Wall time, RFC 3339, UTC.
    pub at: String,
    /// How loud it is.
    pub level: Level,
    /// The line of the log.
    pub text: String,
    /// The same in parts.
    #[serde(flatten)]
    pub fact: Fact,
    /// When, since boot; for ages.
    #[serde(skip)]
    pub when: Time,
}

/// How loud an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Follows from something already told.
    Debug,
    /// A change an operator cares about.
    Info,
    /// Worth waking someone.
    Warn,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Fact {
    /// A server's health changed.
    Health {
        /// Its pool.
        pool: String,
        /// Which one.
        server: String,
        /// Before: `unknown`, `up` or `down`.
        from: String,
        /// After.
        to: String,
        /// The check that decided.
        #[serde(skip_serializing_if = "Option::is_none")]
        check: Option<String>,
        /// Where it failed: `L4`, `L6`, `L7`, `X`.
        #[serde(skip_serializing_if = "Option::is_none")]
        layer: Option<String>,
        /// Why it failed, without the layer.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// `hard` or `soft`.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// How long the deciding probe took, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        took_ms: Option<f64>,
        /// How many outcomes like it in a row.
        streak: u32,
        /// Who serves in the pool now.
        serving: Vec<String>,
    },
    /// A server does something else than before.
    Duty {
        /// Its pool.
        pool: String,
        /// Which one.
        server: String,
        /// Before: `serving`, `draining` or `out`; absent for a new server.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// After.
        to: String,
        /// Why.
        because: String,
    },
    /// Somebody wants something else of a server.
    Intent {
        /// Its pool.
        pool: String,
        /// Which one.
        server: String,
        /// `ready`, `drain`, `maint`, `force up` or `force down`.
        wish: String,
        /// Who.
        author: String,
        /// Why; may be empty.
        reason: String,
    },
    /// Somebody wants a server to weigh something else.
    Weight {
        /// Its pool.
        pool: String,
        /// Which one.
        server: String,
        /// 0 to 256; absent: what the config says.
        #[serde(skip_serializing_if = "Option::is_none")]
        weight: Option<u16>,
        /// What the config says.
        configured: u16,
        /// Who.
        author: String,
        /// Why; may be empty.
        reason: String,
    },
    /// A pool's backups serve from now on.
    BackupStarted {
        /// Which pool.
        pool: String,
    },
    /// A pool's backups rest from now on.
    BackupStopped {
        /// Which pool.
        pool: String,
    },
    /// Nobody serves in a pool.
    PoolEmpty {
        /// Which pool.
        pool: String,
    },
    /// Somebody serves in a pool that was empty, or is new.
    PoolServes {
        /// Which pool.
        pool: String,
    },
    /// What is known of a name changed.
    Resolved {
        /// As it stands in the config.
        name: String,
        /// Its addresses, by the last good answer; those with a port came with one.
        addresses: Vec<String>,
        /// Why the latest question brought nothing. The addresses are kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// A name has a new address. It is probed before it serves.
    Arrives {
        /// Its pool.
        pool: String,
        /// As it stands in the config.
        server: String,
        /// The name that was asked for.
        name: String,
        /// The address, with its port.
        address: String,
    },
    /// Another address has taken the place of one, which is drained.
    Moved {
        /// Its pool.
        pool: String,
        /// As it stands in the config.
        server: String,
        /// The name that was asked for.
        name: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// A name no longer has an address. It is drained.
    Leaves {
        /// Its pool.
        pool: String,
        /// As it stands in the config.
        server: String,
        /// The name that was asked for.
        name: String,
        /// The address, with its port.
        address: String,
    },
    /// An answer would take more than half of a pool out: it has to be given twice.
    Doubted {
        /// Its pool.
        pool: String,
        /// As it stands in the config.
        server: String,
        /// The name that was asked for.
        name: String,
        /// So many servers would go.
        going: usize,
        /// So many are there.
        present: usize,
    },
    /// A name has more addresses than the config allows servers.
    TooMany {
        /// Its pool.
        pool: String,
        /// As it stands in the config.
        server: String,
        /// The name that was asked for.
        name: String,
        /// So many addresses.
        found: usize,
        /// So many are taken.
        max: usize,
    },
    /// A reload took a new config.
    Reloaded {
        /// Servers that are new, `POOL/NAME`; one whose address changed is new and gone.
        added: Vec<String>,
        /// Servers that are gone.
        removed: Vec<String>,
    },
    /// A reload was refused; everything is as it was.
    ReloadRefused {
        /// Every error.
        errors: Vec<String>,
    },
    /// A plane could not do what the table says.
    PlaneFailed {
        /// Which one.
        plane: String,
        /// What, and why.
        failed: Vec<String>,
    },
    /// The daemon runs.
    Started {
        /// Where users are served: `web on 192.168.1.100:80`.
        listens: Vec<String>,
    },
    /// Nobody asks any more: the check engine has died of a fault of our own. Traffic follows the last verdicts.
    Frozen,
    /// What a run before this one knew and people wanted is known again.
    Restored {
        /// So many checks were up.
        up: usize,
        /// So many were down.
        down: usize,
        /// So many words of people and agents hold.
        words: usize,
        /// How old the news is; absent if it is of another boot.
        #[serde(skip_serializing_if = "Option::is_none")]
        age_s: Option<f64>,
    },
    /// A word of somebody ended while no daemon ran.
    Lapsed {
        /// Its pool.
        pool: String,
        /// Of which server.
        server: String,
        /// `drain by ann: new disk`.
        word: String,
    },
    /// The state file could not be read.
    StateSetAside {
        /// What is wrong with it.
        error: String,
        /// Where it is now; absent if it could not be moved.
        #[serde(skip_serializing_if = "Option::is_none")]
        aside: Option<String>,
    },
    /// The state cannot be written: a restart would know nothing. It is tried again.
    StateUnwritten {
        /// Why.
        error: String,
    },
    /// The state can be written again.
    StateWritten,
    /// The daemon was told to stop.
    Stopping,
}

impl From<&Event> for Fact {
    fn from(event: &Event) -> Fact {
        match event {
            Event::Health { who, from, to, cause, now_serving, .. } => {
                let reason = cause.as_ref().and_then(|cause| cause.evidence.verdict.reason());
                Fact::Health {
                    pool: who.pool_name.to_string(),
                    server: who.server_name.to_string(),
                    from: from.to_string(),
                    to: to.to_string(),
                    check: cause.as_ref().map(|cause| cause.check_name.to_string()),
                    layer: reason.map(|reason| reason.layer.to_string()),
                    reason: reason.map(|reason| reason.text.to_string()),
                    kind: reason.map(|reason| kind(reason.kind).to_owned()),
                    took_ms: cause.as_ref().map(|cause| ms(cause.evidence.took)),
                    streak: cause.as_ref().map_or(0, |cause| cause.streak),
                    serving: now_serving.iter().map(|name| name.to_string()).collect(),
                }
            }
            Event::Duty { who, from, to, because } => Fact::Duty {
                pool: who.pool_name.to_string(),
                server: who.server_name.to_string(),
                from: from.map(|duty| duty.to_string()),
                to: to.to_string(),
                because: because.to_string(),
            },
            Event::Intent { who, intent } => Fact::Intent {
                pool: who.pool_name.to_string(),
                server: who.server_name.to_string(),
                wish: intent.wish.to_string(),
                author: intent.author.to_string(),
                reason: intent.reason.to_string(),
            },
            Event::Weight { who, weighing, configured } => Fact::Weight {
                pool: who.pool_name.to_string(),
                server: who.server_name.to_string(),
                weight: weighing.weight,
                configured: *configured,
                author: weighing.author.to_string(),
                reason: weighing.reason.to_string(),
            },
            Event::BackupStarted { pool_name, .. } => Fact::BackupStarted { pool: pool_name.to_string() },
            Event::BackupStopped { pool_name, .. } => Fact::BackupStopped { pool: pool_name.to_string() },
            Event::PoolEmpty { pool_name, .. } => Fact::PoolEmpty { pool: pool_name.to_string() },
            Event::PoolServes { pool_name, .. } => Fact::PoolServes { pool: pool_name.to_string() },
        }
    }
}

impl Fact {
    /// How loud it is. A server that goes is told; a pool without its servers is worth waking someone.
    pub fn level(&self) -> Level {
        match self {
            Fact::BackupStarted { .. } | Fact::PoolEmpty { .. } => Level::Warn,
            Fact::StateSetAside { .. } | Fact::StateUnwritten { .. } => Level::Warn,
            Fact::ReloadRefused { .. } | Fact::PlaneFailed { .. } | Fact::Frozen => Level::Warn,
            Fact::Resolved { trouble: Some(_), .. } | Fact::Doubted { .. } | Fact::TooMany { .. } => {
                Level::Warn
            }
            _ => Level::Info,
        }
    }

    /// The line of the log, without time and level, for what the daemon itself does.
    fn text(&self) -> String {
        match self {
            Fact::Resolved { name, addresses, trouble } => resolved(name, addresses, trouble.as_deref()),
            Fact::Arrives { pool, server, name, address } => {
                format!(
                    "pool {pool} server {server}: new address {address} (dns {name}), probed before it serves"
                )
            }
            Fact::Moved { pool, server, name, from, to } => {
                format!(
                    "pool {pool} server {server}: address {from} -> {to} (dns {name}), the old one drains"
                )
            }
            Fact::Leaves { pool, server, name, address } => {
                format!("pool {pool} server {server}: address {address} is gone (dns {name}) and drains")
            }
            Fact::Doubted { pool, server, name, going, present } => format!(
                "pool {pool} server {server}: dns {name} takes {going} of {present} servers out; it must say so twice"
            ),
            Fact::TooMany { pool, server, name, found, max } => {
                format!("pool {pool} server {server}: dns {name} has {found} addresses, {max} are taken")
            }
            Fact::Reloaded { added, removed } => {
                let part = |word: &str, servers: &[String]| match servers {
                    [] => String::new(),
                    _ => format!(", {word} {}", servers.join(" ")),
                };
                format!("config reloaded{}{}", part("new:", added), part("gone:", removed))
            }
            Fact::ReloadRefused { errors } => {
                format!("reload refused, nothing changed: {}", errors.join("; "))
            }
            Fact::PlaneFailed { plane, failed } => format!("plane {plane}: {}", failed.join("; ")),
            Fact::Started { listens } => {
                let listens =
                    if listens.is_empty() { String::new() } else { format!(": {}", listens.join(", ")) };
                format!("evenkeel {} runs{listens}", env!("CARGO_PKG_VERSION"))
            }
            Fact::Frozen => {
                "the check engine has died, verdicts are frozen: restart evenkeel, and report this".into()
            }
            Fact::Restored { up, down, words, age_s } => {
                let age = age_s.map_or("of another boot".to_owned(), |age| {
                    format!("{} old", Span::from_secs(age as u64))
                });
                format!("state restored, {age}: {up} checks up, {down} down, {words} words of people")
            }
            Fact::Lapsed { pool, server, word } => {
                format!("pool {pool} server {server}: {word} ended while no evenkeel ran")
            }
            Fact::StateSetAside { error, aside } => {
                let aside =
                    aside.as_ref().map_or("it stays where it is".into(), |path| format!("it is now {path}"));
                format!("the state cannot be read, nothing is restored: {error}; {aside}")
            }
            Fact::StateUnwritten { error } => {
                format!("the state cannot be written, a restart would know nothing: {error}")
            }
            Fact::StateWritten => "the state is written again".into(),
            Fact::Stopping => "stopping".into(),
            _ => unreachable!("the director's events bring their own line"),
        }
    }
}

impl Told {
    /// A fact with its place in the sequence, as of now. `text` is the line of the log, if the fact has one of
    /// its own (the director's events do).
    pub fn new(seq: u64, when: Time, fact: Fact, text: Option<String>) -> Told {
        let at = clock::rfc3339(SystemTime::now());
        Told { seq, at, level: fact.level(), text: text.unwrap_or_else(|| fact.text()), fact, when }
    }

    /// Writes it to the log.
    pub fn log(&self) {
        let object = serde_json::to_string(&self.fact).unwrap_or_default();
        match self.level {
            Level::Debug => tracing::debug!(object, "{}", self.text),
            Level::Info => tracing::info!(object, "{}", self.text),
            Level::Warn => tracing::warn!(object, "{}", self.text),
        }
    }
}

fn resolved(name: &str, addresses: &[String], trouble: Option<&str>) -> String {
    const SHOWN: usize = 8;
    let mut list = addresses.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if addresses.len() > SHOWN {
        list.push_str(&format!(" and {} more", addresses.len() - SHOWN));
    }
    match trouble {
        None => format!("dns {name}: {list}"),
        Some(trouble) if addresses.is_empty() => format!("dns {name}: {trouble}"),
        Some(trouble) => format!("dns {name}: {trouble}; keeps {list}"),
    }
}

/// The word for a kind of evidence.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Hard => "hard",
        Kind::Soft => "soft",
        Kind::Local => "local",
    }
}

/// A span as the API writes it, in milliseconds.
pub fn ms(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e6
}
