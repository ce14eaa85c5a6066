//! The only door: inputs in, events out, and a table to read. Pure: the same inputs give the same outputs.

use crate::config::{CheckId, Config, ServerId};
use crate::event::Event;
use crate::evidence::Evidence;
use crate::source::Opinion;
use crate::table::Table;
use crate::time::Time;
use std::sync::Arc;

/// Everything that can happen to the director.
#[derive(Clone, Debug)]
pub enum Input {
    /// A source changed its mind, or its server is to be avoided or no longer.
    Change(Change),
    /// A new config. Ids that it shares with the old one keep what is known of them.
    Config(Arc<Config>),
    /// Nothing but that time went by.
    Tick,
}

/// A source's new opinion. It is a whole opinion, so that a later one replaces an earlier one and a lost one
/// does no lasting harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which server.
    pub server: ServerId,
    /// By which check.
    pub check: CheckId,
    /// What it thinks.
    pub opinion: Opinion,
    /// What decided. For a change without an outcome (`down after 16s`, a tripped wire): the latest fail, or if
    /// none is kept, one made up to say so.
    pub evidence: Evidence,
}

/// Decides. See the module's text.
#[derive(Debug, Default)]
pub struct Director {
    table: Arc<Table>,
}

impl Director {
    /// A director that knows nothing but its config.
    pub fn new(now: Time, config: Arc<Config>) -> Director {
        let mut director = Director::default();
        director.handle(now, Input::Config(config));
        director
    }

    /// Takes one input at `now`, which is never before the last one's, and tells what is worth telling.
    pub fn handle(&mut self, _now: Time, _input: Input) -> Vec<Event> {
        Vec::new()
    }

    /// When `Tick` is due if nothing happens before.
    pub fn deadline(&self) -> Option<Time> {
        None
    }

    /// What should be true of the traffic.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }
}
