//! Why a server does what it does, as values; `Display` gives the sentence.

use crate::config::CheckId;
use crate::evidence::Evidence;
use crate::intent::{Intent, Weighing};
use crate::source::{Health, Opinion};
use crate::table::{Duty, Sessions};
use crate::time::Time;
use std::fmt;
use std::sync::Arc;

/// All that the director knows of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Account<'a> {
    /// The sum of its checks.
    pub health: Health,
    /// Since when.
    pub since: Time,
    /// Why it does what it does.
    pub because: Because,
    /// It flaps, and is held until then.
    pub held_until: Option<Time>,
    /// What people and agents want of it.
    pub intents: Vec<&'a Intent>,
    /// What it weighs: somebody's word, else the config's.
    pub weight: u16,
    /// Somebody's word on its weight.
    pub weighing: Option<&'a Weighing>,
    /// One per check of its pool, in its order.
    pub votes: &'a [Vote],
    /// What would make it serve, each of these being needed; empty if it does.
    pub remedies: Vec<Remedy>,
}

/// Something that would bring a server back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// So many passes of this check in a row. (Under `require any` another check's will do as well.)
    Passes {
        /// Which check.
        check: CheckId,
        /// Its name.
        check_name: Arc<str>,
        /// How many.
        passes: u16,
    },
    /// The end of the hold for flapping.
    HoldEnds(Time),
    /// Whoever said so takes his word back.
    Ready(Intent),
    /// An address for its name.
    Address,
    /// A weight above 0.
    Weight,
    /// It is a backup: the servers of its pool would have to fail.
    NoServer,
}

/// What one check says of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// Which check.
    pub check: CheckId,
    /// What it says.
    pub opinion: Opinion,
    /// What decided it, how many like it in a row, and since when it holds. `None`: nothing heard yet.
    pub decided: Option<(Evidence, u32, Time)>,
}

/// Why a server does what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// Serves: it is up.
    Up,
    /// Serves: somebody's word.
    ForcedUp,
    /// Serves although it flaps: without it there would be nobody, or fewer than `min-serving`.
    NeededThoughFlapping,
    /// Serves: nothing is known of it yet, and nobody is known to be up.
    NobodyKnownToBeUp,
    /// Serves although nothing is known of it yet: `min-serving` asks for it.
    NeededThoughUnknown,
    /// Serves although its checks fail: `min-serving` asks for it, and it may yet serve somebody.
    LeastBad,
    /// Serves: it is a backup, and no server can.
    BackupServes,
    /// Rests: it is a backup, and servers serve.
    BackupRests,
    /// Out: nothing is known of it yet, and others are up.
    NotYetKnown,
    /// Out: up, but held for a while because it changed its mind too often.
    Flapping,
    /// Out: nobody can be served there.
    DownHard,
    /// Out: its checks fail.
    DownSoft,
    /// Out: its name has no address yet.
    NoAddress,
    /// No new work: its weight is 0.
    NoWeight,
    /// No new work: somebody's word.
    Drain,
    /// Out: somebody's word.
    Maint,
    /// Out: somebody's word.
    ForcedDown,
}

impl Because {
    /// What it does.
    pub fn duty(self) -> Duty {
        match self {
            Because::Up
            | Because::ForcedUp
            | Because::NeededThoughFlapping
            | Because::NobodyKnownToBeUp
            | Because::NeededThoughUnknown
            | Because::LeastBad
            | Because::BackupServes => Duty::Serve,
            Because::NoWeight | Because::Drain => Duty::Drain,
            Because::DownHard => Duty::Out(Sessions::Cut),
            Because::BackupRests
            | Because::NotYetKnown
            | Because::Flapping
            | Because::DownSoft
            | Because::NoAddress
            | Because::Maint
            | Because::ForcedDown => Duty::Out(Sessions::Keep),
        }
    }

    /// Whether it gets new work.
    pub fn serves(self) -> bool {
        self.duty() == Duty::Serve
    }

    /// Whether this is only what one does with a server that was not heard of yet.
    pub(crate) fn is_awaiting(self) -> bool {
        matches!(self, Because::NobodyKnownToBeUp | Because::NeededThoughUnknown | Because::NotYetKnown)
    }

    /// Whether it serves on its own merits or by somebody's word, and not because others fail.
    pub(crate) fn is_return(self) -> bool {
        matches!(self, Because::Up | Because::ForcedUp)
    }

    /// Whether it should begin with a small share when it serves again.
    pub(crate) fn chills(self) -> bool {
        matches!(
            self,
            Because::Flapping
                | Because::DownHard
                | Because::DownSoft
                | Because::Drain
                | Because::Maint
                | Because::ForcedDown
        )
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Because::Up => "it is up",
            Because::ForcedUp => "somebody forced it up",
            Because::NeededThoughFlapping => "it flaps, but is needed",
            Because::NobodyKnownToBeUp => "nobody is known to be up yet",
            Because::NeededThoughUnknown => "nothing is known of it yet, but min-serving needs it",
            Because::LeastBad => "its checks fail, but min-serving needs it",
            Because::BackupServes => "no server can",
            Because::BackupRests => "it is a backup, and servers serve",
            Because::NotYetKnown => "it was not heard of yet, and others are up",
            Because::Flapping => "it changed too often and is held for a while",
            Because::DownHard => "nobody can be served there",
            Because::DownSoft => "its checks fail",
            Because::NoAddress => "its name has no address yet",
            Because::NoWeight => "its weight is 0",
            Because::Drain => "somebody drains it",
            Because::Maint => "somebody has it in maintenance",
            Because::ForcedDown => "somebody forced it down",
        })
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::Passes { check_name, passes: 1, .. } => write!(f, "1 pass of check {check_name}"),
            Remedy::Passes { check_name, passes, .. } => {
                write!(f, "{passes} passes in a row of check {check_name}")
            }
            Remedy::HoldEnds(_) => f.write_str("the end of its hold"),
            Remedy::Ready(intent) => write!(f, "ready, in answer to {intent}"),
            Remedy::Address => f.write_str("an address for its name"),
            Remedy::Weight => f.write_str("a weight above 0"),
            Remedy::NoServer => f.write_str("nothing: it serves when no server can"),
        }
    }
}
