//! The last 64 outcomes of a source, at two bits each, for people to look at. No rule reads it.

use crate::evidence::Mark;
use std::fmt;

/// The last 64 outcomes. Drawn oldest first: `+++xxt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The low and the high bits of the marks, the latest in bit 0.
    low: u64,
    high: u64,
    len: u8,
}

impl History {
    /// How many outcomes are kept.
    pub const MAX: usize = 64;

    /// Adds the latest outcome; the oldest of 65 is forgotten.
    pub fn push(&mut self, mark: Mark) {
        let bits = mark as u64;
        self.low = self.low << 1 | bits & 1;
        self.high = self.high << 1 | bits >> 1;
        self.len = (self.len + 1).min(Self::MAX as u8);
    }

    /// The latest outcome.
    pub fn last(&self) -> Option<Mark> {
        (self.len > 0).then(|| self.mark(0))
    }

    /// How many outcomes are in it.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there was no outcome yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Mark> + '_ {
        (0..self.len).rev().map(|age| self.mark(age))
    }

    fn mark(&self, age: u8) -> Mark {
        match (self.high >> age & 1, self.low >> age & 1) {
            (0, 0) => Mark::Pass,
            (0, _) => Mark::Refused,
            (_, 0) => Mark::Timeout,
            (_, _) => Mark::Wrong,
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|mark| write!(f, "{}", mark.letter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_last_64_oldest_first() {
        let mut history = History::default();
        assert_eq!((history.to_string().as_str(), history.last()), ("", None));
        for mark in [Mark::Pass, Mark::Refused, Mark::Timeout, Mark::Wrong] {
            history.push(mark);
            assert_eq!(history.last(), Some(mark));
        }
        assert_eq!(history.to_string(), "+xtw");
        for _ in 0..62 {
            history.push(Mark::Pass);
        }
        assert_eq!(history.len(), 64);
        assert_eq!(history.to_string(), format!("tw{}", "+".repeat(62)));
    }
}
