//! A hierarchical timer wheel over small numbers, on an absolute grid of [`TICK`]. One timer per number;
//! setting and clearing cost the same whatever it holds. It never fires early (unless more than a year is
//! asked for), and at most one tick late.

use evenkeel_core::{Span, Time};

/// The grid.
pub(super) const TICK: Span = Span::from_millis(1);

const NONE: u32 = u32::MAX;
const UNSET: u16 = u16::MAX;
const EXPIRED: u16 = UNSET - 1;
const SLOTS: usize = 64;
/// 64^6 ticks of 1 ms are two years; what is more than one away fires then, and is set again.
const LEVELS: usize = 6;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Wheel {
    links: Vec<Link>,
    heads: [u32; SLOTS * LEVELS],
    filled: [u64; LEVELS],
    expired: u32,
    elapsed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    at: u64,
    next: u32,
    before: u32,
    slot: u16,
}

impl Wheel {
    /// What one timer costs.
    #[cfg(test)]
    pub(super) const BYTES_PER_TIMER: usize = size_of::<Link>();

    pub(super) fn new(now: Time) -> Wheel {
        Wheel {
            links: Vec::new(),
            heads: [NONE; SLOTS * LEVELS],
            filled: [0; LEVELS],
            expired: NONE,
            elapsed: now.as_nanos() / TICK.as_nanos(),
        }
    }

    /// Makes room for the timers `0..count`.
    pub(super) fn grow(&mut self, count: usize) {
        if count > self.links.len() {
            self.links.reserve_exact(count - self.links.len());
            self.links.resize(count, Link { at: 0, next: NONE, before: NONE, slot: UNSET });
        }
    }

    /// Sets a timer, wherever it was before.
    pub(super) fn set(&mut self, timer: u32, at: Time) {
        self.clear(timer);
        let far = self.elapsed + (1 << (6 * LEVELS - 1));
        self.links[timer as usize].at = at.as_nanos().div_ceil(TICK.as_nanos()).min(far);
        self.file(timer);
    }

    /// Clears a timer, if it was set.
    pub(super) fn clear(&mut self, timer: u32) {
        let link = self.links[timer as usize];
        if link.slot == UNSET {
            return;
        }
        match link.before {
            NONE => *self.head(link.slot) = link.next,
            before => self.links[before as usize].next = link.next,
        }
        if link.next != NONE {
            self.links[link.next as usize].before = link.before;
        }
        if link.slot != EXPIRED && *self.head(link.slot) == NONE {
            self.filled[link.slot as usize / SLOTS] &= !(1 << (link.slot as usize % SLOTS));
        }
        self.links[timer as usize].slot = UNSET;
    }

    /// A timer that is over at `now`, cleared. `None`: no more of them.
    pub(super) fn pop(&mut self, now: Time) -> Option<u32> {
        let now = now.as_nanos() / TICK.as_nanos();
        loop {
            if self.expired != NONE {
                let timer = self.expired;
                self.clear(timer);
                return Some(timer);
            }
            match self.first() {
                Some((slot, from)) if from <= now => self.open(slot, from),
                _ => {
                    self.elapsed = self.elapsed.max(now);
                    return None;
                }
            }
        }
    }

    /// When to look again. It may be too early when the next timer is far away, never too late.
    pub(super) fn next(&self) -> Option<Time> {
        let tick = if self.expired != NONE { self.elapsed } else { self.first()?.1 };
        Some(Time::from_nanos(tick.saturating_mul(TICK.as_nanos())))
    }

    /// The filled slot whose time comes first, and when that is.
    fn first(&self) -> Option<(u16, u64)> {
        for level in 0..LEVELS {
            let filled = self.filled[level];
            if filled == 0 {
                continue;
            }
            let width = 6 * level as u32;
            let here = (self.elapsed >> width) & 63;
            let ahead = u64::from(filled.rotate_right(here as u32).trailing_zeros());
            let slot = (here + ahead) & 63;
            let from = ((self.elapsed >> width) + ahead) << width;
            return Some(((level * SLOTS) as u16 + slot as u16, from.max(self.elapsed)));
        }
        None
    }

    /// Time has come to a slot: what is in it is over, or belongs to a finer level now.
    fn open(&mut self, slot: u16, from: u64) {
        self.elapsed = from;
        let mut timer = std::mem::replace(&mut self.heads[slot as usize], NONE);
        self.filled[slot as usize / SLOTS] &= !(1 << (slot as usize % SLOTS));
        while timer != NONE {
            let next = self.links[timer as usize].next;
            self.file(timer);
            timer = next;
        }
    }

    /// Puts an unlinked timer where it belongs.
    fn file(&mut self, timer: u32) {
        let at = self.links[timer as usize].at;
        let slot = if at <= self.elapsed {
            EXPIRED
        } else {
            let apart = (at ^ self.elapsed) | (SLOTS as u64 - 1);
            let level = ((63 - apart.leading_zeros()) / 6) as usize;
            let level = level.min(LEVELS - 1);
            let slot = level * SLOTS + ((at >> (6 * level)) & 63) as usize;
            self.filled[level] |= 1 << (slot % SLOTS);
            slot as u16
        };
        let next = std::mem::replace(self.head(slot), timer);
        if next != NONE {
            self.links[next as usize].before = timer;
        }
        let link = &mut self.links[timer as usize];
        link.next = next;
        link.before = NONE;
        link.slot = slot;
    }

    fn head(&mut self, slot: u16) -> &mut u32 {
        if slot == EXPIRED { &mut self.expired } else { &mut self.heads[slot as usize] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    /// Against the obvious: a list of (time, timer), in a fixed pseudo-random order of operations.
    #[test]
    fn fires_what_a_plain_list_fires() {
        let mut wheel = Wheel::new(at(1_000_003));
        wheel.grow(500);
        let mut plain: Vec<Option<u64>> = vec![None; 500];
        let (mut now, mut dice) = (1_000_003u64, 0x2545_f491_4f6c_dd1du64);
        let mut draw = |below: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % below
        };
        let mut fired_in_all = 0;
        for _ in 0..20_000 {
            let timer = draw(500) as usize;
            match draw(8) {
                0 => {
                    wheel.clear(timer as u32);
                    plain[timer] = None;
                }
                far @ 1..=5 => {
                    let when = now + draw(10u64.pow(far as u32));
                    wheel.set(timer as u32, at(when));
                    plain[timer] = Some(when);
                }
                _ => {
                    now += draw(3_000);
                    let mut fired = Vec::new();
                    while let Some(timer) = wheel.pop(at(now)) {
                        fired.push(timer as usize);
                    }
                    fired.sort_unstable();
                    let over = |timer: &usize| plain[*timer].is_some_and(|when| when <= now);
                    let expected: Vec<usize> = (0..500).filter(over).collect();
                    assert_eq!(fired, expected, "at {now}");
                    fired_in_all += fired.len();
                    fired.iter().for_each(|timer| plain[*timer] = None);
                    let first = plain.iter().flatten().min();
                    match (wheel.next(), first) {
                        (None, None) => {}
                        (Some(next), Some(first)) => assert!(next <= at(*first) && next > at(now)),
                        other => panic!("{other:?} at {now}"),
                    }
                }
            }
        }
        assert!(fired_in_all > 1_000, "{fired_in_all} timers fired");
    }

    #[test]
    fn never_early_and_at_most_a_tick_late() {
        let mut wheel = Wheel::new(at(0));
        wheel.grow(1);
        wheel.set(0, Time::from_nanos(5_000_001));
        assert_eq!(wheel.pop(at(5)), None);
        assert_eq!(wheel.next(), Some(at(6)));
        assert_eq!(wheel.pop(at(6)), Some(0));
        assert_eq!(wheel.pop(at(7)), None);
        assert_eq!(wheel.next(), None);
    }
}
