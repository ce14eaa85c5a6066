//! One server: the votes of its checks add up to health, health changes add up to flapping, and a server that
//! comes back begins with a small share. Whether it serves depends on its peers, and is `pool`'s business.

use crate::config::{self, Require};
use crate::director::{Change, Restored};
use crate::event::Cause;
use crate::flap::Flap;
use crate::intent::{Intents, Weighing, Wish};
use crate::ramp::Ramp;
use crate::source::{Health, Opinion};
use crate::time::{Span, Time};
use crate::why::{Remedy, Vote};

/// Everything known of one server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// One per check of the pool, in its order.
    pub(crate) votes: Vec<Vote>,
    pub(crate) intents: Intents,
    /// Somebody's word on its weight.
    pub(crate) weighing: Option<Weighing>,
    /// The sum of the votes.
    pub(crate) health: Health,
    pub(crate) since: Time,
    pub(crate) flap: Flap,
    pub(crate) ramp: Ramp,
}

/// What a server is fit for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Up,
    /// Up, but it changed its mind too often.
    Flapping,
    Unknown,
    /// Down, and somebody perhaps could be served there.
    Soft,
    /// Down, and nobody can be served there.
    Hard,
    /// It has a name but no address yet.
    Homeless,
    /// Somebody's word.
    Ordered(Wish),
}

impl Server {
    pub(crate) fn new(now: Time, checks: &[config::Check]) -> Server {
        let mut server = Server {
            votes: Vec::new(),
            intents: Intents::default(),
            weighing: None,
            health: Health::Unknown,
            since: now,
            flap: Flap::default(),
            ramp: Ramp::default(),
        };
        server.keep_votes_of(checks);
        server
    }

    /// After a reload: checks that are gone lose their vote, new ones know nothing.
    pub(crate) fn keep_votes_of(&mut self, checks: &[config::Check]) {
        let mut old = std::mem::take(&mut self.votes);
        self.votes = checks
            .iter()
            .map(|check| match old.iter().position(|vote| vote.check == check.id) {
                Some(at) => old.swap_remove(at),
                None => Vote { check: check.id, opinion: Opinion::default(), decided: None },
            })
            .collect();
    }

    /// Takes an opinion; the answer is whether it is different from the one before, and which vote it was.
    pub(crate) fn vote(&mut self, now: Time, change: Change) -> Option<usize> {
        let at = self.votes.iter().position(|vote| vote.check == change.check)?;
        let vote = &mut self.votes[at];
        let (before, after) = (vote.opinion, change.opinion);
        vote.opinion = after;
        if (before.health, before.hard) != (after.health, after.hard) {
            vote.decided = Some((change.evidence, after.streak, now));
        }
        let same = Opinion { streak: after.streak, ..before } == after;
        (!same).then_some(at)
    }

    /// Takes what a run before this one knew, unless something was heard since. Nothing has turned: it is as it was.
    pub(crate) fn restore(&mut self, restored: Restored, require: Require) {
        let vote = self.votes.iter_mut().find(|vote| vote.check == restored.check);
        let Some(vote) = vote.filter(|vote| vote.decided.is_none()) else { return };
        let Restored { opinion, since, evidence, .. } = restored;
        vote.opinion = opinion;
        vote.decided = Some((evidence, opinion.streak, since));
        let health = self.sum(require);
        if health != self.health {
            self.health = health;
            self.since = since;
        }
    }

    /// What it weighs: somebody's word, else the config's.
    pub(crate) fn weight(&self, of: &config::Server) -> u16 {
        self.weighing.as_ref().and_then(|weighing| weighing.weight).unwrap_or(of.weight)
    }

    /// Takes somebody's word on its weight. Tells whether anything is different now.
    pub(crate) fn weigh(&mut self, weighing: Weighing) -> bool {
        let next = weighing.weight.is_some().then_some(weighing);
        let different = self.weighing != next;
        self.weighing = next;
        different
    }

    /// Adds up the votes. The answer is the health before, if it is another one now.
    pub(crate) fn settle(&mut self, now: Time, require: Require) -> Option<Health> {
        let health = self.sum(require);
        if health == self.health {
            return None;
        }
        let before = std::mem::replace(&mut self.health, health);
        self.since = now;
        if before != Health::Unknown && health != Health::Unknown {
            self.flap.turned(now);
        }
        Some(before)
    }

    pub(crate) fn standing(&self, now: Time, address: &config::Address) -> Standing {
        let wish = self.intents.wish();
        match (wish, self.health) {
            (Wish::Maint | Wish::Drain | Wish::ForceDown, _) => Standing::Ordered(wish),
            _ if matches!(address, config::Address::Name(..)) => Standing::Homeless,
            (Wish::ForceUp, _) => Standing::Up,
            (Wish::Ready, Health::Up) if self.flap.holds(now) => Standing::Flapping,
            (Wish::Ready, Health::Up) => Standing::Up,
            (Wish::Ready, Health::Unknown) => Standing::Unknown,
            (Wish::Ready, Health::Down) if self.hard() => Standing::Hard,
            (Wish::Ready, Health::Down) => Standing::Soft,
        }
    }

    /// A check's latest connect was refused, or a wire tripped.
    pub(crate) fn avoid(&self) -> bool {
        self.votes.iter().any(|vote| vote.opinion.avoid)
    }

    /// The check that decided, with its evidence.
    pub(crate) fn cause(&self, checks: &[config::Check], at: usize) -> Option<Cause> {
        let (evidence, streak, _) = self.votes[at].decided.clone()?;
        let check = &checks[at];
        Some(Cause { check: check.id, check_name: check.name.clone(), evidence, streak })
    }

    /// What each check that is not up wants.
    pub(crate) fn missing_passes(&self, checks: &[config::Check]) -> Vec<Remedy> {
        let missing = checks.iter().zip(&self.votes).filter(|(_, vote)| vote.opinion.health != Health::Up);
        let passes = |health, rule: &config::Rule| if health == Health::Down { rule.up_passes } else { 1 };
        missing
            .map(|(check, vote)| Remedy::Passes {
                check: check.id,
                check_name: check.name.clone(),
                passes: passes(vote.opinion.health, &check.rule),
            })
            .collect()
    }

    /// When something changes here without an input.
    pub(crate) fn wake(&self, now: Time, slow_start: Span) -> Time {
        self.ramp.wake(now, slow_start).min(self.flap.wake(now))
    }

    fn sum(&self, require: Require) -> Health {
        let count = |health| self.votes.iter().filter(|vote| vote.opinion.health == health).count();
        let needed = match require {
            Require::All => self.votes.len(),
            Require::Any => self.votes.len().min(1),
            Require::AtLeast(needed) => usize::from(needed).min(self.votes.len()),
        };
        let (up, unknown) = (count(Health::Up), count(Health::Unknown));
        if up >= needed {
            Health::Up
        } else if up + unknown >= needed {
            Health::Unknown
        } else {
            Health::Down
        }
    }

    fn hard(&self) -> bool {
        self.votes.iter().any(|vote| vote.opinion.hard)
    }
}
