//! `balance least`: the least work under way for its weight. Among equals the search begins at one drawn by
//! weight, so that idle servers share the work as their weights say.

use super::{Ask, Seat, draw};

pub(super) fn pick<'a>(seats: &'a [Seat], ask: &Ask<'_>) -> Option<&'a Seat> {
    let mut best = &seats[draw(seats, ask, None, ask.random)?];
    for seat in seats.iter().filter(|seat| ask.free(seat)) {
        if ask.is_idler(seat, best) {
            best = seat;
        }
    }
    Some(best)
}
