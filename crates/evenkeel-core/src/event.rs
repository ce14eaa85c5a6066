//! Everything worth telling a person, one enum. `Display` gives the line of the log.

use crate::config::{CheckId, PoolId, ServerId};
use crate::evidence::{Evidence, Verdict};
use crate::intent::{Intent, Weighing};
use crate::source::Health;
use crate::table::Duty;
use crate::why::Because;
use std::fmt;
use std::sync::Arc;

/// Something happened that an operator cares about.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A server's health, summed over its checks, changed.
    Health {
        /// Whose.
        who: Who,
        /// Before.
        from: Health,
        /// After.
        to: Health,
        /// The check whose vote decided. `None`: a config or a forgotten check did.
        cause: Option<Cause>,
        /// Why it does what it does after this.
        because: Because,
        /// Who serves in the pool after this, by name.
        now_serving: Vec<Arc<str>>,
    },
    /// A server does something else than before, and not only because of a `Health`, `BackupStarted` or
    /// `BackupStopped` in the same answer, nor only because it was not heard of yet.
    Duty {
        /// Whose.
        who: Who,
        /// Before; `None` for a server that is new.
        from: Option<Duty>,
        /// After.
        to: Duty,
        /// Why.
        because: Because,
    },
    /// Somebody wants something else of a server than before.
    Intent {
        /// Of which.
        who: Who,
        /// What, who says so, and why.
        intent: Intent,
    },
    /// Somebody wants a server to weigh something else than before.
    Weight {
        /// Of which.
        who: Who,
        /// What, who says so, and why.
        weighing: Weighing,
        /// What the config says.
        configured: u16,
    },
    /// No server of a pool can serve; its backups do, from this moment.
    BackupStarted {
        /// Which pool.
        pool: PoolId,
        /// Its name.
        pool_name: Arc<str>,
        /// Which backups, by name.
        now_serving: Vec<Arc<str>>,
    },
    /// A server serves again; the backups rest.
    BackupStopped {
        /// Which pool.
        pool: PoolId,
        /// Its name.
        pool_name: Arc<str>,
    },
    /// Nobody serves in a pool, not even a backup.
    PoolEmpty {
        /// Which pool.
        pool: PoolId,
        /// Its name.
        pool_name: Arc<str>,
    },
    /// Somebody serves in a pool that was empty, or is new.
    PoolServes {
        /// Which pool.
        pool: PoolId,
        /// Its name.
        pool_name: Arc<str>,
    },
}

/// A server, by id for programs and by name for people: a name may be gone from the config when it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its pool.
    pub pool: PoolId,
    /// Its pool's name.
    pub pool_name: Arc<str>,
    /// Which one.
    pub server: ServerId,
    /// Its name.
    pub server_name: Arc<str>,
}

/// The check that decided, and what it saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// Which check.
    pub check: CheckId,
    /// Its name.
    pub check_name: Arc<str>,
    /// What it saw.
    pub evidence: Evidence,
    /// How many like it in a row.
    pub streak: u32,
}

impl fmt::Display for Event {
    /// `pool web server rs1: down (check http, L7 status 503, 12ms, 3rd in a row), now serving: rs2`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Health { who, to, cause, because, now_serving, .. } => {
                write!(f, "{who}: {to}")?;
                if let Some(cause) = cause {
                    write!(f, " ({cause})")?;
                }
                let rests = *because == Because::BackupRests;
                if (*to == Health::Up) != because.serves() && *to != Health::Unknown && !rests {
                    write!(f, ", but {}, because {because}", because.duty())?;
                }
                write!(f, ", now serving: {}", names(now_serving))
            }
            Event::Duty { who, to, because, .. } => write!(f, "{who}: {to}, because {because}"),
            Event::Intent { who, intent } => write!(f, "{who}: {intent}"),
            Event::Weight { who, weighing, configured } => {
                write!(f, "{who}: {weighing} (the config says {configured})")
            }
            Event::BackupStarted { pool_name, now_serving, .. } => {
                write!(f, "pool {pool_name}: no server can serve, backup does: {}", names(now_serving))
            }
            Event::BackupStopped { pool_name, .. } => write!(f, "pool {pool_name}: backup rests"),
            Event::PoolEmpty { pool_name, .. } => write!(f, "pool {pool_name}: nobody serves"),
            Event::PoolServes { pool_name, .. } => write!(f, "pool {pool_name}: serves"),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool {} server {}", self.pool_name, self.server_name)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check {}, ", self.check_name)?;
        match &self.evidence.verdict {
            Verdict::Pass => f.write_str("passed")?,
            Verdict::Fail(reason) => write!(f, "{reason}")?,
        }
        write!(f, ", {}, {} in a row", self.evidence.took, Ordinal(self.streak))
    }
}

/// `1st`, `2nd`, `3rd`, `11th`.
struct Ordinal(u32);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{ending}", self.0)
    }
}

fn names(serving: &[Arc<str>]) -> String {
    if serving.is_empty() { "nobody".to_owned() } else { serving.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Layer, Mark, Reason};
    use crate::time::Span;

    #[test]
    fn prints_the_line_of_the_log() {
        let reason = Reason::soft(Layer::L7, Mark::Wrong, "status 503");
        let event = Event::Health {
            who: Who {
                pool: PoolId(1),
                pool_name: "web".into(),
                server: ServerId(1),
                server_name: "rs1".into(),
            },
            from: Health::Up,
            to: Health::Down,
            cause: Some(Cause {
                check: CheckId(1),
                check_name: "http".into(),
                evidence: Evidence::plain(Verdict::Fail(reason), Span::from_millis(12)),
                streak: 3,
            }),
            because: Because::DownSoft,
            now_serving: vec!["rs2".into()],
        };
        let line =
            "pool web server rs1: down (check http, L7 status 503, 12ms, 3rd in a row), now serving: rs2";
        assert_eq!(event.to_string(), line);
    }

    #[test]
    fn counts_as_people_do() {
        let spoken: Vec<String> =
            [1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(|n| Ordinal(n).to_string()).into();
        assert_eq!(spoken.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th");
    }
}
