//! Random numbers from a seed, for the tests: the core itself has none.

use evenkeel_core::Span;
use evenkeel_core::hash::{below, mix};

#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(mix(seed))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        below(self.roll(), limit)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Between nothing and twice this.
    pub(crate) fn about(&mut self, span: Span) -> Span {
        Span::from_nanos(self.below(span.as_nanos().saturating_mul(2)) + 1)
    }
}
