//! When a check is due. Slots lie on an absolute grid that is a pure function of the check's key and interval:
//! nothing drifts, a restart changes nothing, no dice are needed, and checks of one interval are spread over it.

use crate::config::Timing;
use crate::evidence::Mark;
use crate::hash;
use crate::time::{Span, Time};

/// Down for so long, a server is asked less often.
pub const LONG_DEAD_AFTER: Span = Span::from_secs(600);
/// How often a long-dead server is asked, unless its interval is longer anyway.
pub const LONG_DEAD_EVERY: Span = Span::from_secs(30);

/// When one probe is due. 16 bytes; the timing is the caller's and the same in every call.
#[derive(Clone, Debug)]
pub struct Schedule {
    key: u64,
    due: Time,
}

/// What the outcome of a probe means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The next slot will do.
    Calm,
    /// One more outcome may settle something; the latest was this mark and took so long.
    Pending(Mark, Span),
    /// Down for longer than [`LONG_DEAD_AFTER`].
    LongDead,
}

impl Schedule {
    /// Due at once. `key` is the hash of the names of pool, server and check ([`hash::of_names`]).
    pub fn new(now: Time, key: u64) -> Schedule {
        Schedule { key, due: now }
    }

    /// When the next probe starts.
    pub fn due(&self) -> Time {
        self.due
    }

    /// A probe starts now; slots that were missed are skipped.
    pub fn started(&mut self, now: Time, timing: &Timing) {
        self.due = slot_after(self.key, timing.every, self.due.max(now) + half(timing.every));
    }

    /// That probe is over. A slot that passed meanwhile is skipped.
    pub fn finished(&mut self, now: Time, timing: &Timing, pace: Pace) {
        if self.due <= now {
            self.due = slot_after(self.key, timing.every, now);
        }
        match pace {
            Pace::Calm => {}
            Pace::Pending(mark, took) => self.hurry(now + wait(timing, mark, took)),
            Pace::LongDead => {
                self.due = slot_after(self.key, timing.every.max(LONG_DEAD_EVERY), now);
            }
        }
    }

    /// Due at `at` at the latest.
    pub fn hurry(&mut self, at: Time) {
        self.due = self.due.min(at);
    }
}

/// How long to wait while a change is pending. A server that refuses costs nothing and is asked again soon; one
/// that hangs or apologizes may be overloaded, and must not get more of it from us.
fn wait(timing: &Timing, mark: Mark, took: Span) -> Span {
    match mark {
        Mark::Refused => timing.fast_refused,
        Mark::Pass => timing.fast,
        Mark::Timeout | Mark::Wrong => timing.fast.max(took.times(2)),
    }
}

/// The first slot after `time`. Slot n is at `n * every + phase`, and a jitter of its own within ±5 %, moved
/// by half its width so that it is never negative.
fn slot_after(key: u64, every: Span, time: Time) -> Time {
    let every = every.as_nanos().max(1);
    let phase = hash::below(key, every);
    let slot = |n: u64| {
        let jitter = hash::below(hash::mix(key ^ hash::mix(n)), every / 10 + 1);
        Time::from_nanos(n.saturating_mul(every).saturating_add(phase).saturating_add(jitter))
    };
    let mut n = time.as_nanos().saturating_sub(phase) / every;
    n = n.saturating_sub(1);
    while slot(n) <= time && slot(n) < Time::NEVER {
        n += 1;
    }
    slot(n)
}

/// No slot is taken that is nearer than this to the start before: a probe that was late is not followed by
/// another at its heels.
fn half(every: Span) -> Span {
    Span::from_nanos(every.as_nanos() / 2)
}
