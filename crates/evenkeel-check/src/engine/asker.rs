//! The loop of the engine's thread: sleep, hear what came, let time pass, ask. Below some hundred probes a
//! second it wakes for every event; above, it wakes on a tick and does everything that came up since the last
//! one.
//!
//! The rule that keeps a starved checker honest: a deadline is judged only after a poll that *began after*
//! the deadline, succeeded, and was drained. Then silence is the server's and not ours.

use super::holds::Holds;
use super::outbox::Outbox;
use super::roster::{NONE, Roster, State};
use super::stats::{Counters, add};
use super::wheel::{TICK, Wheel};
use super::{Changes, Command, Seeds, Sight, Target};
use crate::dialogue::HEARD_MAX;
use crate::sys::{self, Bell, NOT_READY, Poll, Ready};
use crate::transport::parting::Parting;
use crate::transport::sockets::Sockets;
use crate::transport::stream::Talk;
use crate::transport::{Clock, Plan};
use evenkeel_core::config::ServerId;
use evenkeel_core::evidence::Evidence;
use evenkeel_core::{Change, Span, Time, hash};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError};

/// Everything that belongs to the thread.
pub(super) struct Asker {
    pub(super) poll: Arc<Poll>,
    pub(super) bell: Arc<Bell>,
    pub(super) inbox: Receiver<Command>,
    pub(super) outbox: Outbox,
    pub(super) counters: Arc<Counters>,
    pub(super) sockets: Sockets,
    pub(super) roster: Roster,
    /// One timer per entry: when it is due or, while its probe is under way, that probe's deadline.
    pub(super) wheel: Wheel,
    pub(super) flights: Vec<Option<Flight>>,
    pub(super) free_flights: Vec<u32>,
    /// Whose a descriptor is, by its number.
    pub(super) owners: Vec<Owner>,
    pub(super) holds: Holds,
    pub(super) partings: HashMap<RawFd, Parting>,
    pub(super) farewells: BTreeSet<(Time, RawFd)>,
    /// Entries whose time has come.
    pub(super) ready: VecDeque<u32>,
    /// Entries whose probe's deadline has passed and waits to be judged.
    pub(super) overdue: Vec<u32>,
    /// The latest fail of entries, as many as are kept.
    pub(super) fails: HashMap<u32, Evidence>,
    /// What sources that are yet to come begin with.
    seeds: Seeds,
    pub(super) scratch: Box<[u8]>,
    pub(super) stall: Stall,
    events: Box<[Ready]>,
    pace: Pace,
    /// When the last drained poll began.
    drained: Time,
    stopping: bool,
}

/// A probe under way.
pub(super) struct Flight {
    pub(super) talk: Talk,
    /// The entry whose timer is the deadline.
    pub(super) entry: u32,
    pub(super) began: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    Flight(u32),
    Parting,
    /// Kept between two probes of an entry.
    Kept(u32),
    /// Held idle for an entry.
    Wire(u32),
}

/// The last time that we came late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stall {
    pub(super) until: Time,
    pub(super) length: Span,
}

/// How often to wake.
struct Pace {
    /// Probes per second that the timings ask for.
    planned: u64,
    /// Probes begun in the present window.
    begun: u64,
    window: Time,
    /// Probes per second in the last window.
    measured: u64,
}

/// Probes begun in one round of the loop; a burst of our own making looks like a fault of the network.
const ROUND: usize = 64;
/// Events taken from the kernel at once.
const EVENTS: usize = 1_024;
/// Later than this is a stall.
const STALL: Span = Span::from_millis(50);
/// From so many probes a second on, the loop wakes on a tick.
const BUSY: u64 = 700;
/// From so many on, on the shortest.
const VERY_BUSY: u64 = 4_000;
/// The tick between the two.
const SLACK: Span = Span::from_millis(4);
/// A set of so many targets leaves memory behind that is worth giving back.
const MANY: usize = 1_000;
/// Probes are counted over windows of this length.
const WINDOW: Span = Span::from_millis(250);
/// How often a full queue is tried again.
const RETRY: Span = Span::from_millis(10);

impl Asker {
    pub(super) fn new(
        inbox: Receiver<Command>,
        bell: Arc<Bell>,
        changes: Changes,
        counters: Arc<Counters>,
    ) -> io::Result<Asker> {
        let poll = Arc::new(Poll::new()?);
        poll.add(bell.fd()).map_err(io::Error::from_raw_os_error)?;
        let now = sys::now();
        Ok(Asker {
            sockets: Sockets::new(Some(poll.clone())),
            poll,
            bell,
            inbox,
            outbox: Outbox::new(changes),
            counters,
            roster: Roster::default(),
            wheel: Wheel::new(now),
            flights: Vec::new(),
            free_flights: Vec::new(),
            owners: Vec::new(),
            holds: Holds::default(),
            partings: HashMap::new(),
            seeds: Seeds::new(),
            farewells: BTreeSet::new(),
            ready: VecDeque::new(),
            overdue: Vec::new(),
            fails: HashMap::new(),
            scratch: vec![0; HEARD_MAX].into_boxed_slice(),
            stall: Stall::default(),
            events: vec![NOT_READY; EVENTS].into_boxed_slice(),
            pace: Pace { planned: 0, begun: 0, window: now, measured: 0 },
            drained: now,
            stopping: false,
        })
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) {
        sys::sharpen_timers();
        let mut woken = sys::now();
        while !self.stopping {
            let before = sys::now();
            self.note_stall(before, before.since(woken));
            woken = self.rest(before);
            self.take_commands();
            let now = sys::now();
            self.let_time_pass(now);
            self.judge();
            self.ask();
            self.bid_farewell(now);
            self.outbox.retry();
            self.pace.count(now);
        }
    }

    /// Sleeps until something is to be done, hears what came meanwhile, and says when it woke.
    fn rest(&mut self, now: Time) -> Time {
        let due = self.next_wake(now);
        let woken;
        match self.pace.tick() {
            Some(tick) if due > now => {
                let slot = Time::from_nanos((now.as_nanos() / tick.as_nanos() + 1) * tick.as_nanos());
                sys::sleep_until(slot);
                woken = sys::now();
                self.note_stall(woken, woken.since(slot));
                self.drain(woken);
            }
            _ => {
                let patience = (due != Time::NEVER).then(|| due.since(now));
                let heard = self.poll.wait(&mut self.events, patience);
                woken = sys::now();
                self.note_stall(woken, woken.since(due));
                match heard {
                    Ok(count) if count < EVENTS => {
                        self.hear(count, woken);
                        self.drained = now;
                    }
                    Ok(count) => {
                        self.hear(count, woken);
                        self.drain(woken);
                    }
                    Err(_) => {}
                }
            }
        }
        woken
    }

    fn next_wake(&self, now: Time) -> Time {
        if !self.overdue.is_empty() {
            return now;
        }
        let mut due = self.wheel.next().unwrap_or(Time::NEVER);
        if let Some((until, _)) = self.farewells.first() {
            due = due.min(*until);
        }
        if !self.outbox.is_empty() {
            due = due.min(now + RETRY);
        }
        if !self.ready.is_empty() {
            due = due.min(now + TICK);
        }
        due
    }

    /// Hears everything that there is. Whether a poll that began at `began` got to the end of it.
    fn drain(&mut self, began: Time) -> bool {
        loop {
            match self.poll.wait(&mut self.events, Some(Span::ZERO)) {
                Ok(count) => {
                    self.hear(count, sys::now());
                    if count < EVENTS {
                        self.drained = began;
                        return true;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    fn hear(&mut self, count: usize, now: Time) {
        // On the tick, events are at most one tick old unless we were late; without it, who knows.
        let doubt = self.pace.tick().is_none_or(|tick| now.since(self.drained) > tick + STALL);
        let clock = Clock { now, doubt };
        for at in 0..count {
            let Ready { events, u64: fd } = self.events[at];
            let fd = fd as usize;
            match self.owners.get(fd).copied().unwrap_or(Owner::Nobody) {
                Owner::Flight(flight) => self.advance(flight, events, clock),
                Owner::Parting => self.part_further(fd as RawFd, events),
                Owner::Kept(entry) => self.kept_ready(entry, fd as RawFd, events),
                Owner::Wire(entry) => self.wire_ready(entry, fd as RawFd, events),
                Owner::Nobody if fd as RawFd == self.bell.fd() => self.bell.hush(),
                // A socket that waits for its next use tells of the end of its last one.
                Owner::Nobody => {}
            }
        }
    }

    pub(super) fn advance(&mut self, flight: u32, events: u32, clock: Clock) {
        let Some(Flight { talk, entry, .. }) = &mut self.flights[flight as usize] else { return };
        let before = talk.deadline();
        match talk.ready(events, clock, &mut self.scratch) {
            Some(evidence) => self.finish(flight, evidence, clock.now),
            None if talk.deadline() != before => self.wheel.set(*entry, talk.deadline()),
            None => {}
        }
    }

    fn let_time_pass(&mut self, now: Time) {
        while let Some(entry) = self.wheel.pop(now) {
            match self.roster.entries[entry as usize].state {
                State::Flying => self.overdue.push(entry),
                State::Idle => self.come_due(entry, now),
                State::Free | State::Ready | State::Queued => {}
            }
        }
    }

    fn come_due(&mut self, entry: u32, now: Time) {
        let class = self.roster.class(entry);
        let (timing, rule) = (class.timing, class.rule);
        let this = &mut self.roster.entries[entry as usize];
        if let Some(opinion) = this.probe.expire(now, &rule) {
            let evidence = self.fails.get(&entry).cloned().unwrap_or_else(super::flights::nothing_heard);
            let change = Change { server: this.server, check: this.check, opinion, evidence };
            self.outbox.push(change, &self.counters);
        }
        let due = this.probe.due();
        if due > now {
            let deadline = this.probe.deadline(&rule).unwrap_or(Time::NEVER);
            self.wheel.set(entry, due.min(deadline));
            return;
        }
        let late = now.since(due);
        if late > lateness(timing.every) && !this.moved {
            // Everybody who missed a slot while we were away would be asked at once. They take turns instead,
            // like at the start, and whole slots that were missed stay missed.
            add(&self.counters.skipped, late.as_nanos() / timing.every.as_nanos().max(1) + 1);
            this.moved = true;
            let key = u64::from(entry) ^ now.as_nanos();
            self.wheel.set(entry, now + Span::from_nanos(hash::below(key, spread(timing.every))));
            return;
        }
        this.moved = false;
        this.state = State::Ready;
        self.ready.push_back(entry);
    }

    /// Judges deadlines that have passed, if a poll that begins now finds nothing more.
    fn judge(&mut self) {
        if self.overdue.is_empty() {
            return;
        }
        let began = sys::now();
        if !self.drain(began) {
            return;
        }
        for entry in std::mem::take(&mut self.overdue) {
            if self.roster.entries[entry as usize].state != State::Flying {
                continue;
            }
            let index = self.roster.place(entry).flight;
            let Some(Some(flight)) = self.flights.get_mut(index as usize) else { continue };
            if flight.entry != entry {
                continue;
            }
            if flight.talk.deadline() > began {
                self.wheel.set(entry, flight.talk.deadline());
                continue;
            }
            let evidence = flight.talk.expire(began);
            self.finish(index, evidence, began);
        }
    }

    fn ask(&mut self) {
        for _ in 0..ROUND {
            let Some(entry) = self.ready.pop_front() else { return };
            if self.roster.entries[entry as usize].state == State::Ready {
                self.pace.begun += 1;
                self.launch(entry);
            }
        }
    }

    fn take_commands(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Set(targets, plans)) => self.set(targets, &plans),
                Ok(Command::Seed(seeds)) => self.seeds.extend(seeds),
                Ok(Command::Inspect(server, reply)) => {
                    // Whoever asked may have lost patience.
                    let _ = reply.try_send(self.sights(server));
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    self.stopping = true;
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn set(&mut self, targets: Vec<Target>, plans: &HashMap<usize, Arc<Plan>>) {
        let many = targets.len() > MANY;
        let difference = self.roster.compare(targets, plans);
        for entry in &difference.gone {
            self.end(*entry);
        }
        let now = sys::now();
        let few = difference.new.len() <= ROUND;
        let first = |target: &Target| {
            let spread = if few { 1 } else { spread(target.timing.every) };
            now + Span::from_nanos(hash::below(target.key, spread))
        };
        let new = difference.new.into_iter().map(|target| (first(&target), target));
        let new = new.map(|(first, target)| (target, first)).collect();
        let added = self.roster.add(new, plans, &mut self.seeds);
        self.wheel.grow(self.roster.entries.len());
        for entry in added {
            self.wheel.set(entry, self.roster.entries[entry as usize].probe.due());
        }
        self.roster.tie();
        self.pace.planned = self.roster.rate();
        self.counters.targets.store(self.roster.live().len() as u64, Relaxed);
        if many {
            sys::tidy_memory();
        }
        // What took the time was ours to do; it is no stall.
        self.drained = sys::now();
    }

    fn sights(&self, server: Option<ServerId>) -> Vec<Sight> {
        let sight = |entry: &u32| {
            let this = &self.roster.entries[*entry as usize];
            let source = this.probe.source();
            Sight {
                server: this.server,
                check: this.check,
                opinion: source.opinion(),
                since: source.since(),
                history: *source.history(),
                voids: source.voids(),
                took: (this.took != NONE).then(|| Span::from_micros(u64::from(this.took))),
                due: this.probe.due(),
                asking: this.state == State::Flying,
                last_fail: self.fails.get(entry).cloned(),
            }
        };
        let wanted =
            |entry: &&u32| server.is_none_or(|it| self.roster.entries[**entry as usize].server == it);
        self.roster.live().iter().filter(wanted).map(sight).collect()
    }

    fn note_stall(&mut self, now: Time, length: Span) {
        if length > STALL {
            self.stall = Stall { until: now, length };
            self.counters.stall(length);
        }
    }
}

impl Pace {
    /// The grid to wake on, if there is enough to do.
    fn tick(&self) -> Option<Span> {
        match self.planned.max(self.measured) {
            ..BUSY => None,
            BUSY..VERY_BUSY => Some(SLACK),
            VERY_BUSY.. => Some(TICK),
        }
    }

    fn count(&mut self, now: Time) {
        let passed = now.since(self.window);
        if passed >= WINDOW {
            self.measured = self.begun * 1_000_000_000 / passed.as_nanos();
            self.begun = 0;
            self.window = now;
        }
    }
}

/// How late a probe may be and still keep its slot.
fn lateness(every: Span) -> Span {
    Span::from_nanos(every.as_nanos() / 4).min(Span::from_millis(250))
}

/// Over how many nanoseconds probes are spread that would otherwise start together.
fn spread(every: Span) -> u64 {
    every.min(Span::from_secs(1)).as_nanos().max(1)
}
