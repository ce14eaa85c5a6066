//! What people and agents want of a server, whatever its health. Wishes of different origins stand side by
//! side; the most drastic one holds: maint > drain > force > evidence.

use std::fmt;
use std::sync::Arc;

/// Somebody wants something of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What.
    pub wish: Wish,
    /// Whose word it is. A later word of the same origin replaces this one, and `Ready` takes it back.
    pub origin: Origin,
    /// Who, for people: `ann`.
    pub author: Arc<str>,
    /// Why, for people. May be empty.
    pub reason: Arc<str>,
    /// Until when, in seconds since 1970, for people. When it comes, the edge sends `Ready`: the core knows no
    /// calendar.
    pub until: Option<u64>,
}

/// Somebody wants a server to weigh something else than its config says, over reloads too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// 0 to 256; 0 is listed but gets no new work. `None`: what the config says.
    pub weight: Option<u16>,
    /// Who, for people.
    pub author: Arc<str>,
    /// Why, for people. May be empty.
    pub reason: Arc<str>,
    /// Until when, in seconds since 1970. When it comes, the edge sends `None`.
    pub until: Option<u64>,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Nothing any more: the evidence decides.
    Ready,
    /// It counts as up.
    ForceUp,
    /// It counts as down.
    ForceDown,
    /// No new work; what it has, it keeps.
    Drain,
    /// Out.
    Maint,
}

/// Where an intent comes from. Each has one standing wish per server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A person, by a verb or the API.
    Operator,
    /// The agent on the server's host.
    Agent,
    /// The resolver: the server's name leads elsewhere. Never kept over a restart, for nobody would take it back.
    Names,
}

/// The standing wishes for one server, one per origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intents([Option<Intent>; 3]);

impl Intents {
    /// Takes a wish. Tells whether anything is different now.
    pub(crate) fn set(&mut self, intent: Intent) -> bool {
        let slot = &mut self.0[intent.origin as usize];
        let next = (intent.wish != Wish::Ready).then_some(intent);
        let different = *slot != next;
        *slot = next;
        different
    }

    /// The one that holds.
    pub(crate) fn holds(&self) -> Option<&Intent> {
        self.iter().max_by_key(|intent| intent.wish.force())
    }

    pub(crate) fn wish(&self) -> Wish {
        self.holds().map_or(Wish::Ready, |intent| intent.wish)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Intent> {
        self.0.iter().flatten()
    }
}

impl Wish {
    /// Greater is more drastic. Of two that force, the one that keeps users away from a server wins.
    fn force(self) -> u8 {
        match self {
            Wish::Ready => 0,
            Wish::ForceUp => 1,
            Wish::ForceDown => 2,
            Wish::Drain => 3,
            Wish::Maint => 4,
        }
    }
}

impl fmt::Display for Wish {
    /// The words of the verbs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wish::Ready => "ready",
            Wish::ForceUp => "force up",
            Wish::ForceDown => "force down",
            Wish::Drain => "drain",
            Wish::Maint => "maint",
        })
    }
}

impl fmt::Display for Intent {
    /// `maint by ann: new disk`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.wish, self.author)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

impl fmt::Display for Weighing {
    /// `weight 50 by ann: cold caches`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.weight {
            Some(weight) => write!(f, "weight {weight} by {}", self.author)?,
            None => write!(f, "weight as configured by {}", self.author)?,
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}
