//! A schedule and the source it feeds: all that the thread which asks must keep of one check on one server, so
//! that a pass that changes nothing crosses no thread. It opens no socket; it says when, and what follows.

use crate::config::{Rule, Timing};
use crate::evidence::{Mark, Verdict};
use crate::schedule::{LONG_DEAD_AFTER, Pace, Schedule};
use crate::source::{Health, Opinion, Seed, Source};
use crate::time::{Span, Time};

/// One check on one server. Timing and rule belong to the check, are shared by all its servers, and are
/// therefore given in every call.
#[derive(Clone, Debug)]
pub struct Probe {
    schedule: Schedule,
    source: Source,
    /// A wire tripped after the latest start: its outcome may be older news than that.
    tripped: bool,
}

impl Probe {
    /// A probe that is due at once. `key` is the hash of the names of pool, server and check
    /// ([`crate::hash::of_names`]).
    pub fn new(now: Time, key: u64) -> Probe {
        Probe { schedule: Schedule::new(now, key), source: Source::new(now), tripped: false }
    }

    /// The same, going on where a run before this one ended.
    pub fn restored(now: Time, key: u64, seed: &Seed) -> Probe {
        Probe { source: Source::restored(now, seed), ..Probe::new(now, key) }
    }

    /// When it starts next.
    pub fn due(&self) -> Time {
        self.schedule.due()
    }

    /// It starts now. [`Probe::due`] is the start after this one, unless the outcome brings that forward.
    pub fn started(&mut self, now: Time, timing: &Timing) {
        self.schedule.started(now, timing);
        self.tripped = false;
    }

    /// It ended now, and took so long. The answer is the opinion to tell the director, if there is a new one. It
    /// must arrive, late or not, unless a newer one takes its place: nothing repeats it.
    pub fn observe(
        &mut self,
        now: Time,
        timing: &Timing,
        rule: &Rule,
        verdict: &Verdict,
        took: Span,
    ) -> Option<Opinion> {
        let news = self.source.observe(now, rule, verdict);
        self.schedule.finished(now, timing, self.pace(now, rule, verdict, took));
        if self.tripped {
            self.schedule.hurry(now);
        }
        news
    }

    /// A held connection was lost: avoid the server, and ask at once.
    pub fn trip(&mut self, now: Time) -> Option<Opinion> {
        self.schedule.hurry(now);
        self.tripped = true;
        self.source.trip()
    }

    /// Lets time pass without an outcome; see [`Probe::deadline`].
    pub fn expire(&mut self, now: Time, rule: &Rule) -> Option<Opinion> {
        self.source.expire(now, rule)
    }

    /// When [`Probe::expire`] will have something to say, if no outcome comes before.
    pub fn deadline(&self, rule: &Rule) -> Option<Time> {
        self.source.deadline(rule)
    }

    /// What it knows.
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn pace(&self, now: Time, rule: &Rule, verdict: &Verdict, took: Span) -> Pace {
        let source = &self.source;
        let long_dead = now.since(source.since()) >= LONG_DEAD_AFTER;
        match (source.pending(rule), source.history().last()) {
            // A fault of our own is not mended by asking more often.
            _ if is_local(verdict) => Pace::Calm,
            (true, Some(mark)) => Pace::Pending(mark, took),
            (true, None) => Pace::Pending(Mark::Pass, took),
            (false, _) if long_dead && source.opinion().health == Health::Down => Pace::LongDead,
            (false, _) => Pace::Calm,
        }
    }
}

fn is_local(verdict: &Verdict) -> bool {
    verdict.reason().is_some_and(|reason| reason.kind == crate::evidence::Kind::Local)
}
