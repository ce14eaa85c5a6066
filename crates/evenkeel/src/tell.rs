//! Events in words: what the log, `evenkeel events` and the API say about what happened. Names stand here in
//! place of ids, so that a line still means something when the config has changed.

use crate::clock;
use evenkeel_core::config::{CheckId, Config, PoolId, ServerId};
use evenkeel_core::event::Event;
use evenkeel_core::evidence::Kind;
use evenkeel_core::{Health, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
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
        /// A sorry server.
        backup: bool,
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
        /// Before: `serving`, `draining` or `out`.
        from: String,
        /// After.
        to: String,
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
    /// A name's address changed, or why it has none.
    Resolved {
        /// As it stands in the config, with its port.
        name: String,
        /// Its address.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// Why it has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A reload took a new config.
    Reloaded,
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
    Started,
    /// The daemon was told to stop.
    Stopping,
}

/// The names behind the ids of a config.
#[derive(Debug, Default)]
pub struct Names {
    pools: HashMap<PoolId, Arc<str>>,
    servers: HashMap<ServerId, (Arc<str>, bool)>,
    checks: HashMap<CheckId, Arc<str>>,
}

impl Names {
    /// Of this config.
    pub fn new(config: &Config) -> Names {
        let mut names = Names::default();
        for pool in &config.pools {
            names.pools.insert(pool.id, pool.name.clone());
            names.servers.extend(pool.servers.iter().map(|one| (one.id, (one.name.clone(), one.backup))));
            names.checks.extend(pool.checks.iter().map(|check| (check.id, check.name.clone())));
        }
        names
    }

    fn pool(&self, id: PoolId) -> String {
        self.pools.get(&id).map_or_else(|| format!("#{}", id.0), |name| name.to_string())
    }

    fn server(&self, id: ServerId) -> (String, bool) {
        match self.servers.get(&id) {
            Some((name, backup)) => (name.to_string(), *backup),
            None => (format!("#{}", id.0), false),
        }
    }

    /// The fact behind an event of the director.
    pub fn fact(&self, event: &Event) -> Fact {
        match event {
            Event::Health { pool, server, from, to, check, evidence, streak, now_serving } => {
                let reason = evidence.as_ref().and_then(|evidence| evidence.verdict.reason());
                let (server, backup) = self.server(*server);
                Fact::Health {
                    pool: self.pool(*pool),
                    server,
                    from: health(*from).into(),
                    to: health(*to).into(),
                    backup,
                    check: check.and_then(|check| self.checks.get(&check)).map(|name| name.to_string()),
                    layer: reason.map(|reason| reason.layer.to_string()),
                    reason: reason.map(|reason| reason.text.to_string()),
                    kind: reason.map(|reason| kind(reason.kind).into()),
                    took_ms: evidence.as_ref().map(|evidence| evidence.took.as_micros() as f64 / 1e3),
                    streak: *streak,
                    serving: now_serving.iter().map(|name| name.to_string()).collect(),
                }
            }
            Event::Duty { pool, server, from, to } => Fact::Duty {
                pool: self.pool(*pool),
                server: self.server(*server).0,
                from: from.to_string(),
                to: to.to_string(),
            },
            Event::BackupStarted { pool } => Fact::BackupStarted { pool: self.pool(*pool) },
            Event::BackupStopped { pool } => Fact::BackupStopped { pool: self.pool(*pool) },
            Event::PoolEmpty { pool } => Fact::PoolEmpty { pool: self.pool(*pool) },
        }
    }
}

impl Fact {
    /// How loud it is. A server that goes is told; a pool without its servers is worth waking someone.
    pub fn level(&self) -> Level {
        match self {
            Fact::Duty { .. } => Level::Debug,
            Fact::BackupStarted { .. } | Fact::PoolEmpty { .. } => Level::Warn,
            Fact::ReloadRefused { .. } | Fact::PlaneFailed { .. } => Level::Warn,
            Fact::Resolved { address, .. } if address.is_none() => Level::Warn,
            _ => Level::Info,
        }
    }

    /// The line of the log, without time and level.
    pub fn text(&self) -> String {
        match self {
            Fact::Health { pool, server, to, serving, .. } => {
                let serving = if serving.is_empty() { "nobody".into() } else { serving.join(", ") };
                format!("pool {pool} server {server}: {to}{}, now serving: {serving}", self.cause())
            }
            Fact::Duty { pool, server, from, to } => {
                format!("pool {pool} server {server}: {to} (was {from})")
            }
            Fact::BackupStarted { pool } => format!("pool {pool}: no server is left, the backup serves"),
            Fact::BackupStopped { pool } => format!("pool {pool}: a server is back, the backup rests"),
            Fact::PoolEmpty { pool } => format!("pool {pool}: nobody serves"),
            Fact::Resolved { name, address: Some(address), .. } => format!("name {name}: is {address}"),
            Fact::Resolved { name, reason, .. } => {
                format!("name {name}: {}", reason.as_deref().unwrap_or("?"))
            }
            Fact::Reloaded => "config reloaded".into(),
            Fact::ReloadRefused { errors } => {
                format!("reload refused, nothing changed: {}", errors.join("; "))
            }
            Fact::PlaneFailed { plane, failed } => format!("plane {plane}: {}", failed.join("; ")),
            Fact::Started => format!("evenkeel {} runs", env!("CARGO_PKG_VERSION")),
            Fact::Stopping => "stopping".into(),
        }
    }

    /// ` (check http, L7 status 503, 12ms, 3rd in a row)`, as far as it is known.
    fn cause(&self) -> String {
        let Fact::Health { check, layer, reason, took_ms, streak, .. } = self else { return String::new() };
        let mut parts = Vec::new();
        parts.extend(check.as_ref().map(|check| format!("check {check}")));
        match (layer, reason) {
            (Some(layer), Some(reason)) => parts.push(format!("{layer} {reason}")),
            _ if took_ms.is_some() => parts.push("passed".into()),
            _ => {}
        }
        let span = |ms: &f64| evenkeel_core::Span::from_micros((ms * 1e3) as u64).to_string();
        parts.extend(took_ms.as_ref().map(span));
        if *streak > 1 {
            parts.push(format!("{} in a row", ordinal(*streak)));
        }
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    /// The event with its place in the sequence, as of now.
    pub fn told(self, seq: u64, when: Time) -> Told {
        let at = clock::rfc3339(SystemTime::now());
        Told { seq, at, level: self.level(), text: self.text(), fact: self, when }
    }
}

impl Told {
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

/// The word for a health.
pub fn health(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Down => "down",
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

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`.
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
