//! A server that changes its mind too often is held out for a while, unless it is needed: each change costs its
//! users a moment, and the next one is near.

use crate::time::{Span, Time};

/// So many changes …
const CHANGES: usize = 4;
/// … within so long are flapping.
const WITHIN: Span = Span::from_secs(120);
/// The first hold.
const HOLD: Span = Span::from_secs(30);
/// Holds double up to this.
const HOLD_MAX: Span = Span::from_secs(300);
/// So long after a hold the next one is the first again.
const FORGIVEN: Span = Span::from_secs(600);

/// A server's latest changes of health, and what follows from them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flap {
    /// Oldest first; cleared by a hold.
    turns: Vec<Time>,
    until: Time,
    /// Zero: none yet.
    latest: Span,
}

impl Flap {
    /// Up became down, or down up.
    pub(crate) fn turned(&mut self, now: Time) {
        self.turns.retain(|&turn| now.since(turn) < WITHIN);
        self.turns.push(now);
        if self.turns.len() < CHANGES {
            return;
        }
        self.turns.clear();
        let forgiven = self.latest == Span::ZERO || now.since(self.until) >= FORGIVEN;
        self.latest = if forgiven { HOLD } else { self.latest.times(2).min(HOLD_MAX) };
        self.until = now + self.latest;
    }

    /// Whether it is held.
    pub(crate) fn holds(&self, now: Time) -> bool {
        now < self.until
    }

    /// When the hold ends, if there is one.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        self.holds(now).then_some(self.until)
    }

    pub(crate) fn wake(&self, now: Time) -> Time {
        self.until(now).unwrap_or(Time::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    #[test]
    fn four_turns_in_two_minutes_hold_and_holds_double() {
        let mut flap = Flap::default();
        for secs in [1_000, 1_040, 1_080] {
            flap.turned(at(secs));
            assert!(!flap.holds(at(secs)));
        }
        flap.turned(at(1_119));
        assert_eq!(flap.until(at(1_119)), Some(at(1_149)));
        let mut now = 1_119;
        for hold in [60, 120, 240, 300, 300] {
            for _ in 0..4 {
                now += 5;
                flap.turned(at(now));
            }
            assert_eq!(flap.until(at(now)), Some(at(now + hold)));
        }
        now += 300 + 600;
        for _ in 0..4 {
            flap.turned(at(now));
        }
        assert_eq!(flap.until(at(now)), Some(at(now + 30)), "forgiven");
    }

    #[test]
    fn slow_turns_never_hold() {
        let mut flap = Flap::default();
        for turn in 0..100 {
            flap.turned(at(1_000 + turn * 41));
            assert!(!flap.holds(at(1_000 + turn * 41)));
        }
    }
}
