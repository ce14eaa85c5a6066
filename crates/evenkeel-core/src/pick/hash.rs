//! `balance hash KEY`: the same key goes to the same server, and a server that leaves moves nobody's keys but
//! its own. Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): each server draws a lot that depends
//! on it and the key, and the best lot wins.

use super::{Ask, Seat};
use crate::hash::mix;

pub(super) fn pick<'a>(seats: &'a [Seat], ask: &Ask<'_>) -> Option<&'a Seat> {
    let mut best: Option<(&Seat, f64)> = None;
    for seat in seats.iter().filter(|seat| ask.free(seat)) {
        let lot = lot(seat, ask.key);
        if best.is_none_or(|(_, other)| lot > other) {
            best = Some((seat, lot));
        }
    }
    best.map(|(seat, _)| seat)
}

/// weight / -ln(u), u even in (0, 1): the best of such lots is each server's as often as its weight says.
fn lot(seat: &Seat, key: u64) -> f64 {
    // 52 bits and a half: exact in an f64, and neither 0 nor 1.
    let even = ((mix(seat.hash ^ key) >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
    f64::from(seat.weight) / -even.ln()
}
