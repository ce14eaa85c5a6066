//! Who is asked: entries (one per source), the places they are asked at (one per address) and the classes
//! they share (spec, timing, rule). Plain book-keeping in a slab; it knows neither sockets nor timers.

use super::{Seeds, Target};
use crate::transport::Plan;
use evenkeel_core::config::{Address, CheckId, Rule, ServerId, Timing};
use evenkeel_core::{Probe, Span, Time};
use std::collections::HashMap;
use std::sync::Arc;

/// No entry, no flight.
pub(super) const NONE: u32 = u32::MAX;

/// One source. The slab of these, with the wheel's links and the places, is what a target costs.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) server: ServerId,
    pub(super) check: CheckId,
    pub(super) class: u32,
    pub(super) place: u32,
    pub(super) probe: Probe,
    /// The next one that asks the same at the same place; in a ring, often of one.
    pub(super) twin: u32,
    /// How long the last probe took, in microseconds; `NONE` before the first.
    pub(super) took: u32,
    pub(super) state: State,
    /// Probes given up through our own fault since the last one that counted.
    pub(super) repeats: u8,
    /// It was too late for its slot and was given another place.
    pub(super) moved: bool,
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The slab's slot is free.
    Free,
    /// Its time.
    Idle,
    /// Its turn among those whose time has come.
    Ready,
    /// Another probe at the same place to end.
    Queued,
    /// The end of its own probe.
    Flying,
}

/// One address. It is never asked twice at the same time.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: Address,
    /// The probe under way there.
    pub(super) flight: u32,
    pub(super) entries: u32,
    /// Entries that wait for that probe to end. Rarely any, hence the box.
    #[expect(clippy::box_collection, reason = "a place is counted in bytes")]
    pub(super) queue: Option<Box<Vec<u32>>>,
}

/// What the targets of a check share.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) plan: Arc<Plan>,
    pub(super) timing: Timing,
    pub(super) rule: Rule,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    pub(super) entries: Vec<Entry>,
    pub(super) places: Vec<Place>,
    pub(super) classes: Vec<Class>,
    /// Live entries by server and check.
    order: Vec<u32>,
    free_entries: Vec<u32>,
    free_places: Vec<u32>,
}

/// What a new set of targets means.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Entries that are no longer wanted; the caller ends their business, then calls [`Roster::remove`].
    pub(super) gone: Vec<u32>,
    /// Targets that were not there.
    pub(super) new: Vec<Target>,
}

impl Roster {
    /// Compares what is wanted with what there is. Entries that stay are given their new class.
    pub(super) fn compare(
        &mut self,
        mut wanted: Vec<Target>,
        plans: &HashMap<usize, Arc<Plan>>,
    ) -> Difference {
        wanted.retain(|target| !matches!(target.address, Address::Name(..)));
        wanted.sort_by_key(|target| (target.server, target.check));
        wanted.dedup_by_key(|target| (target.server, target.check));
        let mut difference = Difference::default();
        let mut old = std::mem::take(&mut self.order).into_iter().peekable();
        // Classes are few, and found anew; indices of old ones stay good until the entries have moved.
        let mut classes = Vec::new();
        for target in wanted {
            let key = (target.server, target.check);
            while let Some(entry) = old.next_if(|entry| self.key(*entry) < key) {
                difference.gone.push(entry);
            }
            let same = old.next_if(|entry| self.key(*entry) == key);
            match same {
                Some(entry) if self.place(entry).address == target.address => {
                    let known = &self.classes[self.entries[entry as usize].class as usize];
                    let class = class_of(&mut classes, &target, Some(known), plans);
                    self.entries[entry as usize].class = class;
                    self.order.push(entry);
                }
                other => {
                    difference.gone.extend(other);
                    difference.new.push(target);
                }
            }
        }
        difference.gone.extend(old);
        self.classes = classes;
        difference
    }

    /// Adds targets that are asked first at the time given with each.
    pub(super) fn add(
        &mut self,
        new: Vec<(Target, Time)>,
        plans: &HashMap<usize, Arc<Plan>>,
        seeds: &mut Seeds,
    ) -> Vec<u32> {
        let mut at: HashMap<Address, u32> = HashMap::with_capacity(self.places.len() + new.len());
        let live = self.places.iter().enumerate().filter(|(_, place)| place.entries > 0);
        at.extend(live.map(|(index, place)| (place.address.clone(), index as u32)));
        self.entries.reserve_exact(new.len().saturating_sub(self.free_entries.len()));
        self.places.reserve_exact(new.len().saturating_sub(self.free_places.len()));
        let mut added = Vec::with_capacity(new.len());
        for (target, first) in new {
            let place = *at.entry(target.address.clone()).or_insert_with(|| self.open_place(&target.address));
            self.places[place as usize].entries += 1;
            let class = class_of(&mut self.classes, &target, None, plans);
            let entry = Entry {
                server: target.server,
                check: target.check,
                class,
                place,
                probe: match seeds.remove(&(target.server, target.check)) {
                    Some(seed) => Probe::restored(first, target.key, &seed),
                    None => Probe::new(first, target.key),
                },
                twin: NONE,
                took: NONE,
                state: State::Idle,
                repeats: 0,
                moved: true,
            };
            added.push(self.store(entry));
        }
        self.order.reserve_exact(added.len());
        self.order.extend(&added);
        let entries = &self.entries;
        self.order.sort_unstable_by_key(|entry| {
            let entry = &entries[*entry as usize];
            (entry.server, entry.check)
        });
        self.shrink();
        added
    }

    /// Frees an entry's slot, and its place's if it was the last one there.
    pub(super) fn remove(&mut self, entry: u32) {
        let gone = &mut self.entries[entry as usize];
        gone.state = State::Free;
        let place = gone.place;
        self.free_entries.push(entry);
        let at = &mut self.places[place as usize];
        at.entries -= 1;
        if at.entries == 0 {
            at.queue = None;
            self.free_places.push(place);
        }
    }

    /// Ties those together that ask the same at the same place.
    pub(super) fn tie(&mut self) {
        let mut sorted = self.order.clone();
        let key = |entry: &u32| {
            let entry = &self.entries[*entry as usize];
            let class = &self.classes[entry.class as usize];
            let timing = [class.timing.every, class.timing.timeout, class.timing.connect_timeout];
            (entry.place, Arc::as_ptr(&class.plan.spec) as usize, timing)
        };
        sorted.sort_by_cached_key(key);
        let rings: Vec<std::ops::Range<usize>> = {
            let mut rings = Vec::new();
            let mut from = 0;
            for ring in sorted.chunk_by(|one, other| key(one) == key(other)) {
                rings.push(from..from + ring.len());
                from += ring.len();
            }
            rings
        };
        for ring in rings {
            let ring = &sorted[ring];
            for (at, entry) in ring.iter().enumerate() {
                self.entries[*entry as usize].twin = ring[(at + 1) % ring.len()];
            }
        }
    }

    /// The next of those that ask the same at the same place, until it comes round to `first`.
    pub(super) fn next_twin(&self, first: u32, entry: u32) -> Option<u32> {
        Some(self.entries[entry as usize].twin).filter(|twin| *twin != first && *twin != NONE)
    }

    /// Live entries by server and check.
    pub(super) fn live(&self) -> &[u32] {
        &self.order
    }

    pub(super) fn class(&self, entry: u32) -> &Class {
        &self.classes[self.entries[entry as usize].class as usize]
    }

    pub(super) fn place(&self, entry: u32) -> &Place {
        &self.places[self.entries[entry as usize].place as usize]
    }

    /// Probes per second that the timings ask for.
    pub(super) fn rate(&self) -> u64 {
        let rate =
            |entry: &u32| 1e9 / self.class(*entry).timing.every.max(Span::from_millis(1)).as_nanos() as f64;
        self.order.iter().map(rate).sum::<f64>() as u64
    }

    fn key(&self, entry: u32) -> (ServerId, CheckId) {
        let entry = &self.entries[entry as usize];
        (entry.server, entry.check)
    }

    fn open_place(&mut self, address: &Address) -> u32 {
        let place = Place { address: address.clone(), flight: NONE, entries: 0, queue: None };
        match self.free_places.pop() {
            Some(index) => {
                self.places[index as usize] = place;
                index
            }
            None => {
                self.places.push(place);
                self.places.len() as u32 - 1
            }
        }
    }

    fn store(&mut self, entry: Entry) -> u32 {
        match self.free_entries.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        }
    }

    fn shrink(&mut self) {
        self.free_entries.shrink_to_fit();
        self.free_places.shrink_to_fit();
    }
}

/// Targets of one check stand together, so it is nearly always the class before.
fn class_of(
    classes: &mut Vec<Class>,
    target: &Target,
    known: Option<&Class>,
    plans: &HashMap<usize, Arc<Plan>>,
) -> u32 {
    let same = |class: &Class| {
        let words = (class.timing, class.rule) == (target.timing, target.rule);
        words && Arc::ptr_eq(&class.plan.spec, &target.spec)
    };
    if let Some(index) = classes.iter().rposition(same) {
        return index as u32;
    }
    let plan = match known {
        Some(known) if Arc::ptr_eq(&known.plan.spec, &target.spec) => known.plan.clone(),
        _ => {
            let key = Arc::as_ptr(&target.spec) as usize;
            plans.get(&key).cloned().unwrap_or_else(|| Arc::new(Plan::new(target.spec.clone())))
        }
    };
    classes.push(Class { plan, timing: target.timing, rule: target.rule });
    classes.len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a further target costs at most, beside the allocator's own book-keeping. The promise is 0.3 KiB.
    #[test]
    fn a_target_is_small() {
        let place = size_of::<Place>();
        let entry = size_of::<Entry>();
        let timer = super::super::wheel::Wheel::BYTES_PER_TIMER;
        let in_all = place + entry + timer + size_of::<u32>();
        assert!(in_all <= 224, "place {place}, entry {entry}, timer {timer}: {in_all}");
    }
}
