//! `balance weighted`: round robin, each as often as its weight says and as evenly as possible. Everybody earns
//! his weight with each pick; the richest is picked and pays what all have earned. With weights 5, 1, 1:
//! a a b a c a a. (nginx, which found this in 2012, calls it smooth weighted round robin.)

use super::{Ask, Seat};

pub(super) fn pick<'a>(seats: &'a mut [Seat], ask: &Ask<'_>) -> Option<&'a Seat> {
    let mut earned = 0;
    let mut richest: Option<usize> = None;
    for at in 0..seats.len() {
        if !ask.free(&seats[at]) {
            continue;
        }
        let wage = i64::from(seats[at].weight);
        earned += wage;
        seats[at].credit += wage;
        if richest.is_none_or(|best| seats[at].credit > seats[best].credit) {
            richest = Some(at);
        }
    }
    let seat = &mut seats[richest?];
    seat.credit -= earned;
    Some(seat)
}
