//! `balance first`: the first that serves, in the order of the config.

use super::{Ask, Seat};

pub(super) fn pick<'a>(seats: &'a [Seat], ask: &Ask<'_>) -> Option<&'a Seat> {
    seats.iter().find(|seat| ask.free(seat))
}
