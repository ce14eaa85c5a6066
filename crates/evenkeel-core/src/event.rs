//! Everything worth telling a person, one enum.

use crate::config::{CheckId, PoolId, ServerId};
use crate::evidence::Evidence;
use crate::source::Health;
use crate::table::Duty;
use std::sync::Arc;

/// Something happened that an operator cares about.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A server's health, summed over its checks, changed.
    Health {
        /// Its pool.
        pool: PoolId,
        /// Which one.
        server: ServerId,
        /// Before.
        from: Health,
        /// After.
        to: Health,
        /// The check whose vote decided.
        check: Option<CheckId>,
        /// What that check saw.
        evidence: Option<Evidence>,
        /// How many like it in a row.
        streak: u32,
        /// Who serves in the pool after this.
        now_serving: Vec<Arc<str>>,
    },
    /// A server does something else than before.
    Duty {
        /// Its pool.
        pool: PoolId,
        /// Which one.
        server: ServerId,
        /// Before.
        from: Duty,
        /// After.
        to: Duty,
    },
    /// No server of a pool can serve; its backups do, from this moment.
    BackupStarted {
        /// Which pool.
        pool: PoolId,
    },
    /// A server serves again; the backups rest.
    BackupStopped {
        /// Which pool.
        pool: PoolId,
    },
    /// Nobody serves in a pool, not even a backup.
    PoolEmpty {
        /// Which pool.
        pool: PoolId,
    },
}
