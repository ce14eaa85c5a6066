//! What happened with each server: plain numbers that one worker writes and anybody may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A server's numbers, summed over the workers. All but `active` only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests or TCP connections given to it, retries included.
    pub attempts: u64,
    /// Connects that were refused or found no way.
    pub connects_failed: u64,
    /// Connects that took too long.
    pub connects_timed_out: u64,
    /// Attempts that failed for a fault of our own (no port, no descriptor); never the server's.
    pub local_faults: u64,
    /// Connections that the server closed or reset before or amid an answer, kept ones closed idle excepted.
    pub resets: u64,
    /// Answers that did not begin, or go on, in time.
    pub timeouts: u64,
    /// Answers that were no HTTP, or could be read in two ways.
    pub invalid: u64,
    /// Kept connections that the server had closed when the next request came; replayed where that is safe.
    pub stale: u64,
    /// Answers by class: 1xx, 2xx, 3xx, 4xx, 5xx and above.
    pub statuses: [u64; 5],
    /// Requests and TCP connections under way.
    pub active: u64,
}

/// One worker's numbers of one server, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Cell {
    pub(super) attempts: Number,
    pub(super) connects_failed: Number,
    pub(super) connects_timed_out: Number,
    pub(super) local_faults: Number,
    pub(super) resets: Number,
    pub(super) timeouts: Number,
    pub(super) invalid: Number,
    pub(super) stale: Number,
    pub(super) statuses: [Number; 5],
    pub(super) active: Number,
}

/// A number with one writer.
#[derive(Debug, Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    /// One more. Not an atomic addition: nobody else writes.
    pub(super) fn add(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
    /// One less.
    pub(super) fn subtract(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(1), Relaxed);
    }
    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Cell {
    pub(super) fn status(&self, status: u16) {
        self.statuses[usize::from((status / 100).clamp(1, 5)) - 1].add();
    }
}

/// The sum of one server's cells.
pub(super) fn sum(cells: &[Cell]) -> Counts {
    cells.iter().fold(Counts::default(), |mut sum, cell| {
        sum.attempts += cell.attempts.get();
        sum.connects_failed += cell.connects_failed.get();
        sum.connects_timed_out += cell.connects_timed_out.get();
        sum.local_faults += cell.local_faults.get();
        sum.resets += cell.resets.get();
        sum.timeouts += cell.timeouts.get();
        sum.invalid += cell.invalid.get();
        sum.stale += cell.stale.get();
        for (total, status) in sum.statuses.iter_mut().zip(&cell.statuses) {
            *total += status.get();
        }
        sum.active += cell.active.get();
        sum
    })
}
