//! The whole wanted state, versioned: what every server does at this moment. It is all that a plane is told.
//! It says nothing of why.

use crate::config::{Address, Balance, PoolId, ServerId, Service};
use std::fmt;
use std::sync::Arc;

/// What should be true of the traffic. Immutable once made; a change makes a new one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Grows by one with every change.
    pub version: u64,
    /// Every service of the config.
    pub services: Vec<Arc<Service>>,
    /// Every pool of the config. A pool that did not change is the same allocation as in the version before.
    pub pools: Vec<Arc<PoolTable>>,
}

/// One pool's part of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolTable {
    /// Which pool.
    pub id: PoolId,
    /// Its name.
    pub name: Arc<str>,
    /// How work is shared out.
    pub balance: Balance,
    /// Every server of the pool, in the order of the config, backups too.
    pub rows: Vec<Row>,
}

/// One server's duty.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which server.
    pub server: ServerId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// What it does.
    pub duty: Duty,
    /// Its share of the work while it serves: 256 times the configured weight, less during slow start.
    pub weight: u32,
    /// A sorry server.
    pub backup: bool,
    /// A backup that rests and could serve. A request that finds nobody alive may go to it before the verdict
    /// does; backups that fail, or that somebody took out, are no spares.
    pub spare: bool,
    /// A connect was refused or a held connection reset a moment ago. The relay skips it while another server
    /// serves; kernel planes do not look.
    pub avoid: bool,
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duty {
    /// Gets new work.
    Serve,
    /// Keeps what it has, gets nothing new.
    Drain,
    /// Gets nothing; what it still has is kept or cut.
    Out(Sessions),
}

/// What happens to the sessions of a server that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sessions {
    /// They go on for as long as they can.
    Keep,
    /// They are cut: nobody can be served there.
    Cut,
}

impl Table {
    /// One pool's part.
    pub fn pool(&self, id: PoolId) -> Option<&Arc<PoolTable>> {
        self.pools.iter().find(|pool| pool.id == id)
    }
}

impl PoolTable {
    /// The rows that get new work.
    pub fn serving(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.duty == Duty::Serve)
    }

    /// Their names.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.serving().map(|row| row.name.clone()).collect()
    }
}

impl fmt::Display for Duty {
    /// The words of `status`: `serving`, `draining`, `out`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Duty::Serve => "serving",
            Duty::Drain => "draining",
            Duty::Out(_) => "out",
        })
    }
}
