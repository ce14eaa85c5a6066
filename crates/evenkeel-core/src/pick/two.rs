//! `balance two`: of two different servers drawn by weight, the one with less to do. Nearly as even as `least`,
//! without many directors running after the same idle server. (Mitzenmacher, "The Power of Two Choices", 2001.)

use super::{Ask, Seat, draw};
use crate::hash::mix;

pub(super) fn pick<'a>(seats: &'a [Seat], ask: &Ask<'_>) -> Option<&'a Seat> {
    let first = draw(seats, ask, None, ask.random)?;
    let Some(second) = draw(seats, ask, Some(first), mix(ask.random)) else { return Some(&seats[first]) };
    let second_wins = ask.is_idler(&seats[second], &seats[first]);
    Some(&seats[if second_wins { second } else { first }])
}
