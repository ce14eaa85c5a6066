//! What the engine counts about itself, readable from any thread. Nothing here is about a single server.

use evenkeel_core::Span;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the engine has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sources in its care.
    pub targets: u64,
    /// Probes begun.
    pub probes: u64,
    /// Of them still under way.
    pub in_flight: u64,
    /// Probes that passed.
    pub passes: u64,
    /// Probes that failed.
    pub fails: u64,
    /// Outcomes that were void: our own fault.
    pub void: u64,
    /// Probes asked again because we were stopped or starved while they were under way.
    pub repeated: u64,
    /// Slots that were skipped because we came too late for them.
    pub skipped: u64,
    /// Times that the loop came more than 50 ms late.
    pub stalls: u64,
    /// The longest of these.
    pub longest_stall: Span,
    /// Changes that found the queue full and were offered again.
    pub held_back: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) targets: AtomicU64,
    pub(super) probes: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) passes: AtomicU64,
    pub(super) fails: AtomicU64,
    pub(super) void: AtomicU64,
    pub(super) repeated: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) longest_stall: AtomicU64,
    pub(super) held_back: AtomicU64,
}

/// Adds to a counter. Only the engine's thread writes, so no locked instruction is needed.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

impl Counters {
    pub(super) fn read(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            targets: get(&self.targets),
            probes: get(&self.probes),
            in_flight: get(&self.in_flight),
            passes: get(&self.passes),
            fails: get(&self.fails),
            void: get(&self.void),
            repeated: get(&self.repeated),
            skipped: get(&self.skipped),
            stalls: get(&self.stalls),
            longest_stall: Span::from_nanos(get(&self.longest_stall)),
            held_back: get(&self.held_back),
        }
    }

    pub(super) fn stall(&self, length: Span) {
        add(&self.stalls, 1);
        self.longest_stall.fetch_max(length.as_nanos(), Relaxed);
    }
}
