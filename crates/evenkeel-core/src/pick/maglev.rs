//! `balance maglev KEY`: like `hash`, by one look into a table, and more even; a server that leaves moves a few
//! keys of others too. (Eisenbud et al., "Maglev", NSDI 2016, section 3.4; the weights are ours.)

use super::{Ask, Seat};
use crate::hash::{below, mix};
use std::ops::Range;
use std::sync::Arc;

/// Which seat has which slot. Shared by clones.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<[u16]>);

/// Primes, for so many servers in the config. The paper wants 100 slots a server to be even within 1 %. It is the
/// config that counts and not who serves, or a server's leaving could change the size and move every key.
const SIZES: [(usize, usize); 4] = [(16, 4_099), (128, 16_411), (640, 65_537), (usize::MAX, 655_373)];

const EMPTY: u16 = u16::MAX;

impl Slots {
    pub(super) fn new(seats: &[Seat], servers: usize) -> Slots {
        let size = SIZES.iter().find(|(most, _)| servers <= *most).map_or(655_373, |(_, size)| *size) as u64;
        // More seats than a u16 can tell apart get no slot; no pool has them.
        let seats = &seats[..seats.len().min(usize::from(EMPTY))];
        let mut slots = vec![EMPTY; if seats.is_empty() { 0 } else { size as usize }];
        let heaviest = seats.iter().map(|seat| u64::from(seat.weight)).max().unwrap_or(1);
        let mut turns: Vec<Turn> = seats.iter().map(|seat| Turn::new(seat, size)).collect();
        let mut empty = slots.len();
        while empty > 0 {
            for (at, (seat, turn)) in seats.iter().zip(&mut turns).enumerate() {
                turn.credit += u64::from(seat.weight);
                if turn.credit < heaviest || empty == 0 {
                    continue;
                }
                turn.credit -= heaviest;
                let slot = turn.next_empty(&slots, size);
                slots[slot] = at as u16;
                empty -= 1;
            }
        }
        Slots(slots.into())
    }

    /// The key's own slot; if its server does not qualify, the next slot whose server does.
    pub(super) fn pick<'a>(&self, seats: &'a [Seat], among: Range<usize>, ask: &Ask<'_>) -> Option<&'a Seat> {
        let slots = &self.0;
        let start = below(mix(ask.key), slots.len() as u64) as usize;
        let (after, before) = (slots.get(start..)?, slots.get(..start)?);
        let mut order = after.iter().chain(before).map(|&at| usize::from(at));
        let at = order.find(|at| among.contains(at) && ask.free(&seats[*at]))?;
        Some(&seats[at])
    }
}

/// One server's walk through the slots: every slot once, in an order of its own.
struct Turn {
    at: u64,
    step: u64,
    credit: u64,
}

impl Turn {
    fn new(seat: &Seat, size: u64) -> Turn {
        Turn { at: below(seat.hash, size), step: below(mix(seat.hash), size - 1) + 1, credit: 0 }
    }

    fn next_empty(&mut self, slots: &[u16], size: u64) -> usize {
        while slots[self.at as usize] != EMPTY {
            self.at = (self.at + self.step) % size;
        }
        self.at as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_prime_so_that_every_walk_meets_every_slot() {
        for (_, size) in SIZES {
            assert!((2..size).take_while(|d| d * d <= size).all(|d| size % d != 0), "{size}");
        }
    }
}
