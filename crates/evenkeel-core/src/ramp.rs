//! A server that comes back begins with a tenth of its weight and has all of it after the pool's slow start: its
//! caches are cold, and what broke it may have been the load.

use crate::time::{Span, Time};

/// From so much of its weight.
const FROM_PERCENT: u128 = 10;
/// A ramp climbs on the full seconds of the clock, so that all ramps climb together and the table changes once.
const STEP: Span = Span::from_secs(1);

/// One server's way back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ramp {
    /// It was down, or out by somebody's word, since it served last.
    cold: bool,
    start: Option<Time>,
}

impl Ramp {
    /// It does not serve; `chills` if for a reason that makes it cold.
    pub(crate) fn rests(&mut self, chills: bool) {
        self.cold |= chills;
        self.start = None;
    }

    /// It serves; with all of its weight at once if others are in need of it.
    pub(crate) fn serves(&mut self, now: Time, needed: bool) {
        if std::mem::take(&mut self.cold) && !needed {
            self.start = Some(now);
        }
    }

    /// The share of the work at `now`, in 256ths of a unit of weight. Alone it is all of it. The climb goes on
    /// meanwhile: the next one to come back is as cold, and must not find the first with ten times its weight.
    pub(crate) fn share(&mut self, now: Time, weight: u16, slow_start: Span, alone: bool) -> u32 {
        let full = u64::from(weight) * 256;
        self.start = self.start.filter(|&start| now.since(start) < slow_start);
        let Some(start) = self.start.filter(|_| !alone) else { return full as u32 };
        // In u128, because a slow start of weeks times a weight of 65535 does not fit into less.
        let way = u128::from(slow_start.as_nanos());
        let climbed = u128::from(full_second(now).since(start).as_nanos());
        let parts = way * FROM_PERCENT + climbed * (100 - FROM_PERCENT);
        let share = u128::from(full) * parts / (way * 100);
        (share as u32).max(u32::from(weight > 0))
    }

    /// When the share is another one.
    pub(crate) fn wake(&self, now: Time, slow_start: Span) -> Time {
        self.start.map_or(Time::NEVER, |start| (full_second(now) + STEP).min(start + slow_start))
    }
}

fn full_second(now: Time) -> Time {
    Time::from_nanos(now.as_nanos() / STEP.as_nanos() * STEP.as_nanos())
}
