//! Connections that outlive a probe: `reuse` keeps the check's own for the next probe, `tripwire` holds an
//! idle one whose loss asks at once. Neither is ever evidence: a fail over an old connection is void and
//! asked again afresh.

use super::asker::{Asker, Owner};
use super::flights::wire_lost;
use super::roster::State;
use crate::sys;
use crate::transport::stream::{Held, Sign, Talk};
use evenkeel_core::{Change, Health, Time};
use std::collections::HashMap;
use std::os::fd::RawFd;

/// The held connections, by entry.
#[derive(Debug, Default)]
pub(super) struct Holds {
    kept: HashMap<u32, Held>,
    wires: HashMap<u32, Held>,
    /// A wire that tripped is not stretched again before this: a server that hangs up on idlers is not sick.
    rest: HashMap<u32, Time>,
}

/// A wire that tripped is stretched again after so many intervals.
const REST: u64 = 10;

impl Asker {
    /// The connection that was kept for this entry, if its next probe may use it: every pass that makes a
    /// server up is a fresh one.
    pub(super) fn kept(&mut self, entry: u32) -> Option<Held> {
        let held = self.holds.kept.remove(&entry)?;
        self.owners[held.fd() as usize] = Owner::Nobody;
        let up = self.roster.entries[entry as usize].probe.source().opinion().health == Health::Up;
        if up {
            return Some(held);
        }
        self.leave(held);
        None
    }

    /// A probe passed: its connection is kept, if its check wants that.
    pub(super) fn keep(&mut self, entry: u32, talk: Talk) -> Option<Talk> {
        if !talk.keepable() {
            return Some(talk);
        }
        let held = talk.keep();
        self.own(held.fd(), Owner::Kept(entry));
        self.holds.kept.insert(entry, held);
        None
    }

    /// A probe passed: an idle connection is held from now on, if there is none.
    pub(super) fn stretch(&mut self, entry: u32, now: Time) {
        let holds = &mut self.holds;
        let resting = holds.rest.get(&entry).is_some_and(|until| *until > now);
        if resting || holds.wires.contains_key(&entry) {
            return;
        }
        holds.rest.remove(&entry);
        let address = &self.roster.place(entry).address;
        if let Ok(held) = Held::hold(address, &mut self.sockets) {
            self.own(held.fd(), Owner::Wire(entry));
            self.holds.wires.insert(entry, held);
        }
    }

    /// A kept connection is ready: it has more to say, or is lost, which means nothing.
    pub(super) fn kept_ready(&mut self, entry: u32, fd: RawFd, events: u32) {
        let Some(held) = self.holds.kept.get_mut(&entry) else { return };
        if held.ready(events, &mut self.scratch) != Sign::Well {
            self.owners[fd as usize] = Owner::Nobody;
            self.holds.kept.remove(&entry);
        }
    }

    /// A wire is ready: it stands, or has tripped.
    pub(super) fn wire_ready(&mut self, entry: u32, fd: RawFd, events: u32) {
        let Some(held) = self.holds.wires.get_mut(&entry) else { return };
        let sign = held.ready(events, &mut self.scratch);
        if sign == Sign::Well {
            return;
        }
        self.owners[fd as usize] = Owner::Nobody;
        self.holds.wires.remove(&entry);
        let now = sys::now();
        let every = self.roster.class(entry).timing.every;
        self.holds.rest.insert(entry, now + every.times(REST));
        if sign == Sign::Lost {
            let mut member = Some(entry);
            while let Some(this) = member {
                member = self.roster.next_twin(entry, this);
                self.trip(this, now);
            }
        }
    }

    fn trip(&mut self, entry: u32, now: Time) {
        let source = &mut self.roster.entries[entry as usize];
        if let Some(opinion) = source.probe.trip(now) {
            let change =
                Change { server: source.server, check: source.check, opinion, evidence: wire_lost() };
            self.outbox.push(change, &self.counters);
        }
        if source.state == State::Idle {
            self.wheel.set(entry, now);
        }
    }

    /// An entry is no more, or its connections are no longer wanted.
    pub(super) fn let_go(&mut self, entry: u32) {
        self.holds.rest.remove(&entry);
        for held in [self.holds.kept.remove(&entry), self.holds.wires.remove(&entry)].into_iter().flatten() {
            self.owners[held.fd() as usize] = Owner::Nobody;
            self.leave(held);
        }
    }

    fn leave(&mut self, held: Held) {
        if let Some(parting) = held.leave(sys::now()) {
            self.park(parting);
        }
    }
}
