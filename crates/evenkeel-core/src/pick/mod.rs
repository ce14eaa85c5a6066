//! Balancing: which of the servers that serve gets this piece of work. One file for each word of `balance`.
//! It chooses among rows of a table; who is in the table is not its business. A pick allocates nothing.

mod first;
mod hash;
mod least;
mod maglev;
mod two;
mod weighted;

use crate::config::Balance;
use crate::hash::{below, of_names};
use crate::table::{Duty, PoolTable};

/// Chooses among the serving rows of one [`PoolTable`]. It belongs to one thread; a clone is cheap, and a new
/// table needs a new one.
#[derive(Clone, Debug)]
pub struct Picker {
    /// Those to avoid come last.
    seats: Vec<Seat>,
    /// How many are not to be avoided.
    fit: usize,
    how: How,
}

/// What a pick may depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// The hash of the client's address, path or header ([`crate::hash::of_bytes`]), for `hash` and `maglev`.
    pub key: u64,
    /// A random number, for `two` and `least`: the core draws none.
    pub random: u64,
    /// Work under way, by row of the table; what is missing counts as none. For `least` and `two`.
    pub busy: &'a [u32],
    /// Rows that this piece of work has already been to.
    pub tried: &'a [usize],
}

/// One row that gets work.
#[derive(Clone, Debug)]
struct Seat {
    row: usize,
    /// At least 1.
    weight: u32,
    /// Of its name, so that several directors send a key to the same server.
    hash: u64,
    /// What it has waited up; `weighted` only.
    credit: i64,
}

#[derive(Clone, Debug)]
enum How {
    Weighted,
    Least,
    Two,
    Hash,
    Maglev(maglev::Slots),
    First,
}

impl Picker {
    /// A picker for this table. `before`, the picker of the version before, hands on whose turn it is.
    pub fn new(pool: &PoolTable, before: Option<&Picker>) -> Picker {
        let serves = |avoid| {
            let rows = pool.rows.iter().enumerate();
            rows.filter(move |(_, r)| r.duty == Duty::Serve && r.weight > 0 && r.avoid == avoid).map(
                move |(row, r)| {
                    let hash = of_names(&[&r.name]);
                    let old = before.and_then(|b| b.seats.iter().find(|seat| seat.hash == hash));
                    Seat { row, weight: r.weight, hash, credit: old.map_or(0, |seat| seat.credit) }
                },
            )
        };
        let mut seats: Vec<Seat> = serves(false).collect();
        let fit = seats.len();
        seats.extend(serves(true));
        let how = match &pool.balance {
            Balance::Weighted => How::Weighted,
            Balance::Least => How::Least,
            Balance::Two => How::Two,
            Balance::Hash(_) => How::Hash,
            Balance::Maglev(_) => How::Maglev(maglev::Slots::new(&seats, pool.rows.len())),
            Balance::First => How::First,
        };
        Picker { seats, fit, how }
    }

    /// The row that gets this piece of work: one not to be avoided if possible, never one it has been to.
    /// `None`: there is none left.
    pub fn pick(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let fit = self.fit;
        let best = self.pick_among(ask, 0, fit);
        if best.is_some() || fit == self.seats.len() {
            return best;
        }
        self.pick_among(ask, fit, self.seats.len())
    }

    fn pick_among(&mut self, ask: &Ask<'_>, from: usize, to: usize) -> Option<usize> {
        let seats = &mut self.seats[from..to];
        let seat = match &self.how {
            How::Weighted => weighted::pick(seats, ask),
            How::Least => least::pick(seats, ask),
            How::Two => two::pick(seats, ask),
            How::Hash => hash::pick(seats, ask),
            How::Maglev(slots) => slots.pick(&self.seats, from..to, ask),
            How::First => first::pick(seats, ask),
        };
        seat.map(|seat| seat.row)
    }
}

impl Ask<'_> {
    fn free(&self, seat: &Seat) -> bool {
        !self.tried.contains(&seat.row)
    }

    fn busy(&self, seat: &Seat) -> u64 {
        u64::from(self.busy.get(seat.row).copied().unwrap_or(0))
    }

    /// Whether `a` has less to do for its weight than `b`.
    fn is_idler(&self, a: &Seat, b: &Seat) -> bool {
        self.busy(a) * u64::from(b.weight) < self.busy(b) * u64::from(a.weight)
    }
}

/// A free seat but `not` this one, drawn by weight with the bits of `random`; its index.
fn draw(seats: &[Seat], ask: &Ask<'_>, not: Option<usize>, random: u64) -> Option<usize> {
    let candidates = || {
        let free = seats.iter().enumerate().filter(|(_, seat)| ask.free(seat));
        free.filter(|(at, _)| Some(*at) != not).map(|(at, seat)| (at, u64::from(seat.weight)))
    };
    let mut left = below(random, candidates().map(|(_, weight)| weight).sum());
    for (at, weight) in candidates() {
        if left < weight {
            return Some(at);
        }
        left -= weight;
    }
    None
}

#[cfg(test)]
mod tests;
