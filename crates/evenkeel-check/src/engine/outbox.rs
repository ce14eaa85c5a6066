//! Changes on their way to whoever decides. A full queue neither blocks the loop nor loses the last word: a
//! change is a whole opinion, so only the newest of each source has to wait.

use super::Changes;
use super::stats::{Counters, add};
use evenkeel_core::Change;
use evenkeel_core::config::{CheckId, ServerId};
use std::collections::BTreeMap;

pub(super) struct Outbox {
    queue: Changes,
    waiting: BTreeMap<(ServerId, CheckId), Change>,
}

impl Outbox {
    pub(super) fn new(queue: Changes) -> Outbox {
        Outbox { queue, waiting: BTreeMap::new() }
    }

    /// Sends it, or keeps it in place of an older one of the same source.
    pub(super) fn push(&mut self, change: Change, counters: &Counters) {
        let key = (change.server, change.check);
        if !self.waiting.is_empty() {
            self.waiting.insert(key, change);
        } else if let Some(change) = (self.queue)(change) {
            add(&counters.held_back, 1);
            self.waiting.insert(key, change);
        }
    }

    /// Offers what waits.
    pub(super) fn retry(&mut self) {
        while let Some((key, change)) = self.waiting.pop_first() {
            if let Some(change) = (self.queue)(change) {
                self.waiting.insert(key, change);
                return;
            }
        }
    }

    /// A source is no more; what it thought does not matter.
    pub(super) fn forget(&mut self, server: ServerId, check: CheckId) {
        self.waiting.remove(&(server, check));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
