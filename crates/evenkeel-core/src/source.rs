//! One check on one server: its outcomes become [`Health`] by a [`Rule`]. It asks nothing and plans nothing;
//! when to ask is `schedule`'s business.
//!
//! ```text
//!             1 pass                    `down after` holds
//! unknown ──────────────▶ up ─────────────────────────────────▶ down
//!    │                     ▲                                     │ ▲
//!    │                     └───────── `up after` passes ─────────┘ │
//!    └── 1 fail and its confirmation ──────────────────────────────┘
//! ```
//! A local outcome is void: it is counted, and nothing else happens.

use crate::config::{Down, Rule};
use crate::evidence::{Kind, Mark, Reason, Verdict};
use crate::history::History;
use crate::time::Time;
use std::fmt;

/// What is thought of a server, by one source or by all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Health {
    /// Nothing heard yet.
    #[default]
    Unknown,
    /// It serves.
    Up,
    /// It does not.
    Down,
}

/// A source's whole opinion of its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opinion {
    /// What it thinks.
    pub health: Health,
    /// Down, and the latest fail was hard: nobody can be served there.
    pub hard: bool,
    /// A connect was refused or a held connection lost since the last pass: skip it while another serves.
    pub avoid: bool,
    /// How many passes or fails in a row, the latest included.
    pub streak: u32,
}

/// What a run before this one knew, for a source to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// What it thought.
    pub health: Health,
    /// Down, and the latest fail was hard.
    pub hard: bool,
    /// Since when; may be before this run's beginning.
    pub since: Time,
    /// It is old news: down, but the first pass makes it up, as if it were unknown.
    pub stale: bool,
}

/// One check on one server. 64 bytes; the rule is the caller's and the same in every call.
#[derive(Clone, Debug)]
pub struct Source {
    history: History,
    /// Since when the health is what it is.
    since: Time,
    /// The first outcome of the present streak.
    streak_since: Time,
    /// The last pass, or the beginning.
    last_pass: Time,
    streak: u32,
    voids: u32,
    health: Health,
    avoid: bool,
    /// Whether the latest fail was hard.
    hard: bool,
    /// Down by old news: the first pass makes it up.
    stale: bool,
}

impl Source {
    /// A source that has heard nothing.
    pub fn new(now: Time) -> Source {
        Source {
            history: History::default(),
            since: now,
            streak_since: now,
            last_pass: now,
            streak: 0,
            voids: 0,
            health: Health::Unknown,
            avoid: false,
            hard: false,
            stale: false,
        }
    }

    /// A source that goes on where one of a run before this one ended.
    pub fn restored(now: Time, seed: &Seed) -> Source {
        let Seed { health, hard, since, stale } = *seed;
        Source { health, hard, since, stale, ..Source::new(now) }
    }

    /// Takes an outcome that was known at `now`. The answer is the new opinion, if it is a new one (a longer
    /// streak alone is not).
    pub fn observe(&mut self, now: Time, rule: &Rule, verdict: &Verdict) -> Option<Opinion> {
        let before = self.opinion();
        match verdict {
            Verdict::Pass => self.pass(now, rule),
            Verdict::Fail(reason) if reason.kind == Kind::Local => self.voids = self.voids.saturating_add(1),
            Verdict::Fail(reason) => self.fail(now, rule, reason),
        }
        self.news(before)
    }

    /// Something other than a probe says that nobody is there at this moment: a held connection was lost.
    pub fn trip(&mut self) -> Option<Opinion> {
        let before = self.opinion();
        self.avoid = true;
        self.news(before)
    }

    /// Lets time pass without an outcome. Does something only at or after [`Source::deadline`].
    pub fn expire(&mut self, now: Time, rule: &Rule) -> Option<Opinion> {
        let before = self.opinion();
        if self.deadline(rule).is_some_and(|deadline| deadline <= now) {
            self.turn(now, Health::Down);
        }
        self.news(before)
    }

    /// When the health changes without another outcome: `down after 16s` ends an up server then. Two fails in a
    /// row are needed even so, because time in which nobody could ask is not the server's fault.
    pub fn deadline(&self, rule: &Rule) -> Option<Time> {
        match rule.down {
            Down::NoPassFor(span) if self.health == Health::Up && self.fails() >= CONFIRMED => {
                Some(self.last_pass + span)
            }
            Down::NoPassFor(_) | Down::Fails { .. } => None,
        }
    }

    /// Whether more outcomes, soon, would settle something. Not for `down after 16s`: asking more often brings
    /// that moment no nearer.
    pub fn pending(&self, rule: &Rule) -> bool {
        match self.health {
            Health::Unknown => self.fails() > 0,
            Health::Up => self.fails() > 0 && matches!(rule.down, Down::Fails { .. }),
            Health::Down => self.passes() > 0,
        }
    }

    /// The opinion at this moment.
    pub fn opinion(&self) -> Opinion {
        Opinion {
            health: self.health,
            hard: self.hard && self.health == Health::Down,
            avoid: self.avoid,
            streak: self.streak,
        }
    }

    /// Since when the health is what it is.
    pub fn since(&self) -> Time {
        self.since
    }

    /// The last outcomes.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many outcomes were void.
    pub fn voids(&self) -> u32 {
        self.voids
    }

    fn pass(&mut self, now: Time, rule: &Rule) {
        self.push(now, Mark::Pass);
        self.last_pass = now;
        self.avoid = false;
        match self.health {
            Health::Up => {}
            Health::Unknown => self.turn(now, Health::Up),
            Health::Down if self.stale || self.streak >= u32::from(rule.up_passes) => {
                self.turn(now, Health::Up)
            }
            Health::Down => {}
        }
    }

    fn fail(&mut self, now: Time, rule: &Rule, reason: &Reason) {
        // A reason drawn as a pass would be the caller's slip; what failed must not look as if it had passed.
        let mark = if reason.mark == Mark::Pass { Mark::Wrong } else { reason.mark };
        self.push(now, mark);
        self.hard = reason.kind == Kind::Hard;
        self.avoid |= mark == Mark::Refused;
        self.stale = false;
        if self.health != Health::Down && self.failed_enough(now, rule) {
            self.turn(now, Health::Down);
        }
    }

    fn failed_enough(&self, now: Time, rule: &Rule) -> bool {
        let needed = match rule.down {
            Down::Fails { count, .. } => u32::from(count),
            Down::NoPassFor(_) => CONFIRMED,
        };
        if self.health == Health::Unknown {
            return self.streak >= needed.min(CONFIRMED);
        }
        let long_enough = match rule.down {
            Down::Fails { spread, .. } => now.since(self.streak_since) >= spread,
            Down::NoPassFor(span) => now.since(self.last_pass) >= span,
        };
        self.streak >= needed && long_enough
    }

    fn push(&mut self, now: Time, mark: Mark) {
        let same = self.history.last().is_some_and(|last| (last == Mark::Pass) == (mark == Mark::Pass));
        if same {
            self.streak = self.streak.saturating_add(1);
        } else {
            self.streak = 1;
            self.streak_since = now;
        }
        self.history.push(mark);
    }

    fn turn(&mut self, now: Time, health: Health) {
        self.health = health;
        self.since = now;
        self.stale = false;
    }

    fn news(&self, before: Opinion) -> Option<Opinion> {
        let opinion = self.opinion();
        let same = Opinion { streak: before.streak, ..opinion } == before;
        (!same).then_some(opinion)
    }

    fn passes(&self) -> u32 {
        if self.history.last() == Some(Mark::Pass) { self.streak } else { 0 }
    }

    fn fails(&self) -> u32 {
        self.streak - self.passes()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        })
    }
}

/// A fail and its confirmation.
const CONFIRMED: u32 = 2;
