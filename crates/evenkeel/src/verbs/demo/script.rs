//! What happens in a demo, and when: faults one after another, drawn from a seed and stretched to the length.

use std::time::Duration;

/// One fault, from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// What it is.
    pub(super) kind: Kind,
    /// Which servers, by their number.
    pub(super) whom: Vec<usize>,
    /// When it begins.
    pub(super) from: Duration,
    /// When it is mended.
    pub(super) to: Duration,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// SIGSTOP: connects succeed, nothing is answered.
    Freeze,
    /// SIGKILL: connections are reset, connects refused.
    Kill,
    /// Half of the answers are 503, and so is the health page.
    Break,
}

/// Beginnings and ends as shares of the whole length. Between them is time to come back.
const SLOTS: [(f64, f64); 4] = [(0.05, 0.20), (0.26, 0.41), (0.46, 0.61), (0.66, 0.90)];

/// Three servers, each with another fault, in an order that the seed decides; then all of them at once.
pub(super) fn plan(length: Duration, seed: u64) -> Vec<Fault> {
    let mut dice = Dice(seed);
    let mut servers = [0, 1, 2];
    let mut kinds = [Kind::Freeze, Kind::Kill, Kind::Break];
    // The first seed is the order in which they are told.
    if seed != 1 {
        dice.shuffle(&mut servers);
        dice.shuffle(&mut kinds);
    }
    let single = (0..3).map(|at| (kinds[at], vec![servers[at]]));
    let faults = single.chain([(Kind::Kill, vec![0, 1, 2])]).zip(SLOTS);
    let faults = faults.map(|((kind, whom), (from, to))| Fault {
        kind,
        whom,
        from: length.mul_f64(from),
        to: length.mul_f64(to),
    });
    faults.collect()
}

impl Fault {
    /// `app1 frozen`, `all killed`.
    pub(super) fn words(&self, names: &[&str]) -> String {
        let whom = if self.whom.len() == 1 { names[self.whom[0]] } else { "all three" };
        let what = match self.kind {
            Kind::Freeze => "frozen",
            Kind::Kill if self.whom.len() > 1 => "killed, 1s apart",
            Kind::Kill => "killed",
            Kind::Break => "broken: 503 to half",
        };
        format!("{whom} {what}")
    }

    /// The letter that marks it in the picture.
    pub(super) fn letter(&self) -> char {
        match self.kind {
            Kind::Freeze => 'f',
            Kind::Kill => 'k',
            Kind::Break => 'b',
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to shuffle three things.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % sides
    }

    fn shuffle<const N: usize, T>(&mut self, things: &mut [T; N]) {
        for at in (1..N).rev() {
            things.swap(at, self.roll(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_shows_every_fault_on_every_server_in_order() {
        for seed in 0..50 {
            let faults = plan(Duration::from_secs(60), seed);
            let mut whom: Vec<usize> = faults[..3].iter().map(|fault| fault.whom[0]).collect();
            let kinds = [Kind::Freeze, Kind::Kill, Kind::Break];
            assert!(kinds.iter().all(|kind| faults[..3].iter().any(|fault| fault.kind == *kind)));
            whom.sort();
            assert_eq!(whom, [0, 1, 2]);
            assert!(faults.windows(2).all(|pair| pair[0].to < pair[1].from));
        }
    }
}
