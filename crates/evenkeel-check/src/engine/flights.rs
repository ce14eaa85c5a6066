//! The life of a probe inside the engine: launched when its turn has come, landed with evidence, and told to
//! every source that asked for it. How it is carried is the transport's business.

use super::asker::{Asker, Flight, Owner};
use super::roster::{NONE, State};
use super::stats::add;
use crate::sys;
use crate::sys::WRITABLE;
use crate::transport::Clock;
use crate::transport::parting::Parting;
use crate::transport::stream::Talk;
use evenkeel_core::config::Address;
use evenkeel_core::evidence::{Evidence, Kind, Layer, Mark, Reason, Verdict};
use evenkeel_core::{Change, Span, Time};
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;

/// Fails whose evidence is kept.
const FAILS_KEPT: usize = 4_096;
/// Who was away for so long may find that a server has lost patience, and must not blame it.
const ABSENT: Span = Span::from_millis(250);
/// A probe is asked again because of our own fault so often in a row.
const REPEATS: u8 = 1;

impl Asker {
    /// Asks, unless the place is being asked already.
    pub(super) fn launch(&mut self, entry: u32) {
        let place = self.roster.entries[entry as usize].place;
        let at = &mut self.roster.places[place as usize];
        if at.flight != NONE {
            self.roster.entries[entry as usize].state = State::Queued;
            at.queue.get_or_insert_default().push(entry);
            return;
        }
        let now = sys::now();
        let mut member = Some(entry);
        while let Some(this) = member {
            let timing = self.roster.class(this).timing;
            let source = &mut self.roster.entries[this as usize];
            source.probe.started(now, &timing);
            source.state = State::Flying;
            self.wheel.clear(this);
            member = self.roster.next_twin(entry, this);
        }
        add(&self.counters.probes, 1);
        let class = self.roster.class(entry);
        if class.plan.reuse()
            && let Some(held) = self.kept(entry)
        {
            let class = self.roster.class(entry);
            let talk = Talk::resume(&class.plan, held, &class.timing);
            let index = self.board(Flight { talk, entry, began: now });
            self.advance(index, WRITABLE, Clock { now: sys::now(), doubt: false });
            return;
        }
        self.launch_fresh(entry, now);
    }

    fn launch_fresh(&mut self, entry: u32, now: Time) {
        let class = self.roster.class(entry);
        let address = &self.roster.place(entry).address;
        match Talk::begin(&class.plan, address, &class.timing, &mut self.sockets, false) {
            Ok(talk) => {
                // A unix socket connects at once, and no edge tells of it.
                let at_once = matches!(address, Address::Unix(_));
                let index = self.board(Flight { talk, entry, began: now });
                if at_once {
                    self.advance(index, WRITABLE, Clock { now: sys::now(), doubt: false });
                }
            }
            Err(evidence) => self.conclude(entry, *evidence, sys::now()),
        }
    }

    /// A probe has its evidence.
    pub(super) fn finish(&mut self, index: u32, evidence: Evidence, now: Time) {
        let Some(Flight { talk, entry, began }) = self.disembark(index) else { return };
        let passed = evidence.verdict.passed();
        let (reused, plan) = (talk.reused(), self.roster.class(entry).plan.clone());
        let over = if passed && plan.reuse() { self.keep(entry, talk) } else { Some(talk) };
        if let Some(parting) = over.and_then(|talk| talk.leave(passed, now, &mut self.sockets)) {
            self.park(parting);
        }
        let source = &mut self.roster.entries[entry as usize];
        let absent = began < self.stall.until && self.stall.length >= ABSENT;
        let excused = absent && source.repeats < REPEATS && doubtful(&evidence);
        if !passed && (reused || excused) {
            source.repeats += u8::from(!reused);
            source.state = State::Ready;
            add(&self.counters.repeated, 1);
            self.ready.push_front(entry);
            return;
        }
        if passed && plan.tripwire() {
            self.stretch(entry, now);
        }
        self.conclude(entry, evidence, now);
    }

    /// Tells the sources, and lets the next one ask at this place.
    fn conclude(&mut self, first: u32, evidence: Evidence, now: Time) {
        match evidence.verdict.reason() {
            None => add(&self.counters.passes, 1),
            Some(reason) if reason.kind == Kind::Local => add(&self.counters.void, 1),
            Some(_) => add(&self.counters.fails, 1),
        }
        let mut member = Some(first);
        while let Some(this) = member {
            member = self.roster.next_twin(first, this);
            // A source that was added while the probe was under way did not ask for it.
            if matches!(self.roster.entries[this as usize].state, State::Flying) {
                self.tell(this, &evidence, now);
            }
        }
        let place = self.roster.entries[first as usize].place;
        self.release(place);
    }

    /// Nobody asks at this place any more: whoever waited may.
    fn release(&mut self, place: u32) {
        let queue = self.roster.places[place as usize].queue.take();
        for next in queue.into_iter().flat_map(|queue| *queue) {
            self.make_ready(next, State::Queued);
        }
    }

    fn make_ready(&mut self, entry: u32, if_it_is: State) {
        let state = &mut self.roster.entries[entry as usize].state;
        if *state == if_it_is {
            *state = State::Ready;
            self.ready.push_back(entry);
        }
    }

    fn tell(&mut self, entry: u32, evidence: &Evidence, now: Time) {
        let class = self.roster.class(entry);
        let (timing, rule) = (class.timing, class.rule);
        let source = &mut self.roster.entries[entry as usize];
        source.repeats = 0;
        source.took = evidence.took.as_micros().min(u64::from(NONE - 1)) as u32;
        let news = source.probe.observe(now, &timing, &rule, &evidence.verdict, evidence.took);
        source.state = State::Idle;
        let deadline = source.probe.deadline(&rule).unwrap_or(Time::NEVER);
        self.wheel.set(entry, source.probe.due().min(deadline));
        if let Some(opinion) = news {
            let change =
                Change { server: source.server, check: source.check, opinion, evidence: evidence.clone() };
            self.outbox.push(change, &self.counters);
        }
        if !evidence.verdict.passed() {
            if self.fails.len() >= FAILS_KEPT && !self.fails.contains_key(&entry) {
                // Any of them will do; the newer one explains more.
                let one = self.fails.keys().next().copied();
                one.map(|one| self.fails.remove(&one));
            }
            self.fails.insert(entry, evidence.clone());
        }
    }

    /// An entry is no longer wanted.
    pub(super) fn end(&mut self, entry: u32) {
        let this = &self.roster.entries[entry as usize];
        let (state, place) = (this.state, this.place);
        self.outbox.forget(this.server, this.check);
        self.wheel.clear(entry);
        self.fails.remove(&entry);
        self.let_go(entry);
        let index = self.roster.places[place as usize].flight;
        let lead = self.flights.get(index as usize).is_some_and(|flight| {
            flight.as_ref().is_some_and(|flight| state == State::Flying && flight.entry == entry)
        });
        if lead {
            let now = sys::now();
            let parting =
                self.disembark(index).and_then(|flight| flight.talk.leave(false, now, &mut self.sockets));
            parting.into_iter().for_each(|parting| self.park(parting));
            self.release(place);
        }
        if self.roster.places[place as usize].flight == NONE {
            // Whoever asked the same is asked again, which is cheap and rare.
            let mut member = self.roster.next_twin(entry, entry);
            while let Some(this) = member {
                member = self.roster.next_twin(entry, this);
                self.make_ready(this, State::Flying);
            }
        }
        self.roster.remove(entry);
    }

    pub(super) fn part_further(&mut self, fd: RawFd, events: u32) {
        let over = self.partings.get_mut(&fd).is_some_and(|parting| parting.ready(events, &mut self.scratch));
        if over && let Some(parting) = self.partings.remove(&fd) {
            self.farewells.remove(&(parting.until(), fd));
            self.owners[fd as usize] = Owner::Nobody;
        }
    }

    pub(super) fn bid_farewell(&mut self, now: Time) {
        while let Some((until, fd)) = self.farewells.first().copied().filter(|(until, _)| *until <= now) {
            self.farewells.remove(&(until, fd));
            self.owners[fd as usize] = Owner::Nobody;
            let parting = self.partings.remove(&fd);
            if let Some(parting) = parting.and_then(|parting| parting.expire(now, &mut self.sockets)) {
                self.park(parting);
            }
        }
    }

    pub(super) fn park(&mut self, parting: Parting) {
        let fd = parting.fd();
        self.own(fd, Owner::Parting);
        self.farewells.insert((parting.until(), fd));
        self.partings.insert(fd, parting);
    }

    fn board(&mut self, flight: Flight) -> u32 {
        let index = self.free_flights.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() as u32 - 1
        });
        let place = self.roster.entries[flight.entry as usize].place;
        self.roster.places[place as usize].flight = index;
        self.own(flight.talk.fd(), Owner::Flight(index));
        self.wheel.set(flight.entry, flight.talk.deadline());
        self.flights[index as usize] = Some(flight);
        self.count_flights();
        index
    }

    fn disembark(&mut self, index: u32) -> Option<Flight> {
        let flight = self.flights.get_mut(index as usize)?.take()?;
        self.free_flights.push(index);
        self.owners[flight.talk.fd() as usize] = Owner::Nobody;
        self.wheel.clear(flight.entry);
        let place = self.roster.entries[flight.entry as usize].place;
        self.roster.places[place as usize].flight = NONE;
        self.count_flights();
        Some(flight)
    }

    pub(super) fn own(&mut self, fd: RawFd, owner: Owner) {
        let fd = fd as usize;
        if self.owners.len() <= fd {
            self.owners.resize(fd + 1, Owner::Nobody);
        }
        self.owners[fd] = owner;
    }

    fn count_flights(&self) {
        let count = self.flights.len() - self.free_flights.len();
        self.counters.in_flight.store(count as u64, Relaxed);
    }
}

/// What a change without an outcome says if no fail is kept that would explain it.
pub(super) fn nothing_heard() -> Evidence {
    let reason = Reason::soft(Layer::L7, Mark::Timeout, "no pass for too long");
    Evidence::plain(Verdict::Fail(reason), Span::ZERO)
}

/// What a tripped wire says.
pub(super) fn wire_lost() -> Evidence {
    let reason = Reason::hard(Layer::L4, Mark::Refused, "held connection lost");
    Evidence::plain(Verdict::Fail(reason), Span::ZERO)
}

/// Whether a fail may be due to our having been away. A refused connect is not: whoever refuses us was asked,
/// and answered.
fn doubtful(evidence: &Evidence) -> bool {
    evidence.verdict.reason().is_some_and(|reason| match reason.kind {
        Kind::Hard => reason.mark == Mark::Timeout,
        Kind::Soft => true,
        Kind::Local => false,
    })
}
