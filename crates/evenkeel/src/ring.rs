//! The last events, in a ring of bounded length, and those who want to hear the next ones.

use crate::tell::{Fact, Told};
use evenkeel_core::Time;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Events that are kept.
pub const KEPT: usize = 4096;
/// Events that a slow listener may lag behind before it loses some.
const LAG: usize = 256;

/// The events of this run of the daemon.
#[derive(Debug)]
pub struct Ring {
    kept: VecDeque<Arc<Told>>,
    next: u64,
    listeners: broadcast::Sender<Arc<Told>>,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring { kept: VecDeque::new(), next: 1, listeners: broadcast::Sender::new(LAG) }
    }
}

impl Ring {
    /// Keeps a fact (and its line, if it brings one), tells the listeners, and returns it with its number.
    pub fn push(&mut self, now: Time, fact: Fact, text: Option<String>) -> Arc<Told> {
        let told = Arc::new(Told::new(self.next, now, fact, text));
        self.next += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(told.clone());
        // Nobody listens: fine.
        let _heard_by_none = self.listeners.send(told.clone());
        told
    }

    /// The kept events whose number is above `since`, oldest first.
    pub fn since(&self, since: u64) -> Vec<Arc<Told>> {
        let first = self.kept.partition_point(|told| told.seq <= since);
        self.kept.range(first..).cloned().collect()
    }

    /// Those after `since`, and from there on every new one, without a gap between the two.
    pub fn follow(&self, since: u64) -> (Vec<Arc<Told>>, broadcast::Receiver<Arc<Told>>) {
        (self.since(since), self.listeners.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_keeps_the_newest() {
        let mut ring = Ring::default();
        for _ in 0..KEPT + 10 {
            ring.push(Time::ZERO, Fact::Stopping, None);
        }
        let all = ring.since(0);
        assert_eq!((all.len(), all[0].seq, all[KEPT - 1].seq), (KEPT, 11, KEPT as u64 + 10));
        assert_eq!(ring.since(KEPT as u64 + 8).len(), 2);
        assert!(ring.since(u64::MAX).is_empty());
    }

    #[test]
    fn a_follower_misses_nothing_between_the_past_and_the_future() {
        let mut ring = Ring::default();
        ring.push(Time::ZERO, Fact::Stopping, None);
        let (past, mut future) = ring.follow(0);
        ring.push(Time::ZERO, Fact::Stopping, None);
        assert_eq!((past.len(), past[0].seq), (1, 1));
        assert_eq!(future.try_recv().unwrap().seq, 2);
    }
}
