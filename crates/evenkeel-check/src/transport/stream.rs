//! One conversation over one connection (TCP, TLS over it, or a unix socket), from the connect to the
//! verdict. It is driven from outside, by readiness and by the clock; it never waits, and never reads an
//! answer itself.
//!
//! Time is charged only while the ball is in the server's court. What the kernel noted (`TCP_INFO`) is
//! believed more than the moment at which we got round to looking. (Timestamps on every segment,
//! `SO_TIMESTAMPNS`, would be finer, but every probe would pay for them; `TCP_INFO` is asked only when there
//! is doubt, and its 10 ms will do.)

mod account;
mod keeping;

pub(crate) use keeping::{Held, Sign};

use super::parting::Parting;
use super::record::Record;
use super::sockets::{Lane, Sockets};
use super::tls::Session;
use super::{Clock, Plan, half_open, reasons};
use crate::dialogue::transcript::Line;
use crate::dialogue::{End, HEARD_MAX, Step, Turn};
use crate::sys::{self, BROKEN, Errno, PEER_CLOSED, READABLE, WRITABLE};
use account::JIFFY;
use evenkeel_core::config::{Address, Timing};
use evenkeel_core::evidence::{Evidence, Phases, Reason, Verdict};
use evenkeel_core::{Span, Time};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// A probe under way.
#[derive(Debug)]
pub(crate) struct Talk {
    plan: Arc<Plan>,
    address: Address,
    fd: OwnedFd,
    lane: Lane,
    stage: Stage,
    timeout: Span,
    connect_timeout: Span,
    /// Since when the ball is in the server's court.
    mark: Time,
    /// How long it was there before.
    charged: Span,
    phases: Phases,
    /// When the last thing we said was said, on the scale of `charged`.
    said: Span,
    sent: usize,
    unsent: Vec<u8>,
    heard: Vec<u8>,
    end: End,
    tls: Option<Box<Session>>,
    /// Probes that used this connection before.
    uses: u8,
    record: Option<Box<Record>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// The connection is an old one.
    Resuming,
    Shaking,
    Talking,
}

/// Why it failed, and the errno behind it.
type Failure = (Reason, Option<Errno>);

/// Sends in one conversation; more is a dialogue that runs in a circle.
const SENDS_MAX: usize = 1_000;

impl Talk {
    /// Begins to connect. An error is the whole finding.
    pub(crate) fn begin(
        plan: &Arc<Plan>,
        address: &Address,
        timing: &Timing,
        sockets: &mut Sockets,
        record: bool,
    ) -> Result<Talk, Box<Evidence>> {
        let mark = sys::now();
        let failed = |errno| {
            let verdict = Verdict::Fail(reasons::not_sent(errno));
            Box::new(Evidence { errno: Some(errno), ..Evidence::plain(verdict, sys::now().since(mark)) })
        };
        let lane = plan.lane(address);
        let fd = sockets.take(lane, address).map_err(failed)?;
        match start_connect(fd.as_raw_fd(), lane, address) {
            Ok(()) | Err(libc::EINPROGRESS) => {}
            Err(errno) => {
                sockets.give(lane, address, fd);
                return Err(failed(errno));
            }
        }
        Ok(Talk {
            plan: plan.clone(),
            address: address.clone(),
            fd,
            lane,
            stage: Stage::Connecting,
            timeout: timing.timeout,
            connect_timeout: timing.connect_timeout.min(timing.timeout),
            mark,
            charged: Span::ZERO,
            phases: Phases::default(),
            said: Span::ZERO,
            sent: 0,
            unsent: Vec::new(),
            heard: Vec::new(),
            end: End::Open,
            tls: None,
            uses: 0,
            record: record.then(|| Box::new(Record::new())),
        })
    }

    /// Its socket.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether it waits for room to write (or for the connection).
    pub(crate) fn wants_write(&self) -> bool {
        self.stage == Stage::Connecting || !self.unsent.is_empty()
    }

    /// When the server has had all its time, if nothing comes before.
    pub(crate) fn deadline(&self) -> Time {
        let limit = if self.stage == Stage::Connecting { self.connect_timeout } else { self.timeout };
        self.mark + (limit - self.charged)
    }

    /// Its socket is ready, or perhaps not: it looks for itself. The evidence, if that decides.
    pub(crate) fn ready(&mut self, events: u32, clock: Clock, scratch: &mut [u8]) -> Option<Evidence> {
        let failed = match self.stage {
            Stage::Connecting => match self.connecting(events, clock) {
                // Whoever speaks first may have spoken already, and its edge is this one.
                Ok(None) if self.stage != Stage::Connecting => self.talking(events, clock, scratch),
                other => other,
            },
            Stage::Resuming => self.resuming(clock, scratch),
            Stage::Shaking | Stage::Talking => self.talking(events, clock, scratch),
        };
        match failed {
            Ok(verdict) => verdict.map(|verdict| self.evidence(verdict, None)),
            Err((reason, errno)) => Some(self.evidence(Verdict::Fail(reason), errno)),
        }
    }

    /// Its deadline has passed, and a poll that began after it found nothing.
    pub(crate) fn expire(&mut self, now: Time) -> Evidence {
        self.charge(now);
        let verdict = match self.stage {
            Stage::Connecting => Verdict::Fail(reasons::connect_timeout()),
            Stage::Shaking => Verdict::Fail(reasons::silent(true, 0, self.timeout)),
            Stage::Resuming | Stage::Talking => {
                self.end = End::Deadline;
                let verdict = self.converse().unwrap_or_else(|(reason, _)| Some(Verdict::Fail(reason)));
                let silent = reasons::silent(false, self.heard.len(), self.timeout);
                verdict.unwrap_or(Verdict::Fail(silent))
            }
        };
        self.evidence(verdict, None)
    }

    /// Ends the connection as its check wishes. What is not over at once goes on as a [`Parting`].
    pub(crate) fn leave(mut self, passed: bool, now: Time, sockets: &mut Sockets) -> Option<Parting> {
        let connected = self.stage != Stage::Connecting && self.end != End::Reset;
        match self.lane {
            Lane::Reset => sockets.give(self.lane, &self.address, self.fd),
            Lane::Quiet if connected => return Parting::quiet(self.fd, self.lane, self.address, now),
            Lane::Quiet => sockets.give(self.lane, &self.address, self.fd),
            Lane::Plain if !connected => {}
            Lane::Plain => {
                if let Some(mut session) = self.tls.take() {
                    let mut bytes = Vec::new();
                    session.bye(&mut bytes);
                    // Courtesy; a peer that is gone will not miss it.
                    let _ = sys::send(self.fd.as_raw_fd(), &bytes);
                }
                if self.end != End::Closed {
                    return Parting::plain(self.fd, self.address, passed, now);
                }
            }
        }
        None
    }

    /// What was said, if it was to be recorded.
    pub(crate) fn take_record(&mut self) -> Record {
        let mut record = self.record.take().map(|record| *record).unwrap_or_default();
        (record.end, record.decided) = (self.end, self.decided());
        record
    }

    fn connecting(&mut self, events: u32, clock: Clock) -> Result<Option<Verdict>, Failure> {
        if events & BROKEN != 0 {
            match sys::take_error(self.fd()) {
                error if half_open::answered(error) && self.plan.half_open() => {}
                0 => {}
                error => {
                    // Of a connection that never was the kernel keeps no times.
                    self.charge(clock.now);
                    self.phases.connect = Some(self.charged);
                    let reason = match error {
                        libc::ECONNRESET | libc::EPIPE => reasons::broken_off(false, true, 0),
                        _ => reasons::connect_failed(error),
                    };
                    return Err((reason, Some(error)));
                }
            }
        }
        if events & WRITABLE == 0 {
            return Ok(None);
        }
        let arrived = self.arrived(clock, true);
        self.charge(arrived);
        self.phases.connect = Some(self.charged);
        if self.charged > self.connect_timeout {
            return Err((reasons::connect_timeout(), None));
        }
        self.mark = clock.now;
        self.said = self.charged;
        if let Some(record) = &mut self.record {
            record.local = sys::local_address(self.fd.as_raw_fd());
        }
        if self.plan.half_open() {
            return Ok(Some(Verdict::Pass));
        }
        match &self.plan.tls {
            None => {
                self.stage = Stage::Talking;
                self.converse()
            }
            Some(Err(reason)) => Err((reason.clone(), None)),
            Some(Ok(config)) => {
                self.stage = Stage::Shaking;
                let session = Session::start(config, &self.plan.spec.transport, &self.address);
                let session = self.tls.insert(Box::new(session.map_err(|reason| (reason, None))?));
                session.pull(&mut self.unsent);
                self.flush().map(|()| None)
            }
        }
    }

    fn talking(&mut self, events: u32, clock: Clock, scratch: &mut [u8]) -> Result<Option<Verdict>, Failure> {
        if !self.unsent.is_empty() && events & WRITABLE != 0 {
            self.flush()?;
            if self.unsent.is_empty() && self.stage == Stage::Talking {
                self.note_sent(clock.now);
                if let Some(verdict) = self.converse()? {
                    return Ok(Some(verdict));
                }
            }
        }
        if events & (READABLE | PEER_CLOSED | BROKEN) == 0 {
            return Ok(None);
        }
        let arrived = self.arrived(clock, false);
        loop {
            let count = match sys::recv(self.fd(), scratch) {
                Ok(0) => {
                    self.end = End::Closed;
                    0
                }
                Ok(count) => count,
                Err(libc::EAGAIN) => return Ok(None),
                Err(libc::EINTR) => continue,
                Err(_) => {
                    self.end = End::Reset;
                    0
                }
            };
            self.charge(arrived);
            self.mark = clock.now;
            if let Some(verdict) = self.take_in(&scratch[..count])? {
                return Ok(Some(verdict));
            }
            // A short read leaves nothing behind; what comes later is a new edge (epoll(7), question 9).
            if count < scratch.len() && (events & (PEER_CLOSED | BROKEN) == 0 || self.end != End::Open) {
                return Ok(None);
            }
        }
    }

    /// New bytes, or an end.
    fn take_in(&mut self, bytes: &[u8]) -> Result<Option<Verdict>, Failure> {
        let before = self.heard.len();
        match &mut self.tls {
            None => self.heard.extend_from_slice(bytes),
            Some(session) => {
                let fed = session.feed(bytes, &mut self.heard);
                session.pull(&mut self.unsent);
                let closed = session.closed();
                // An alert of ours may be among it: the server should learn why.
                self.flush()?;
                fed.map_err(|reason| (reason, None))?;
                if closed && self.end == End::Open {
                    self.end = End::Closed;
                }
            }
        }
        self.heard.truncate(HEARD_MAX);
        if self.heard.len() == HEARD_MAX && self.end == End::Open {
            self.end = End::Full;
        }
        if self.heard.len() > before {
            if self.phases.first_byte.is_none() {
                self.phases.first_byte = Some(self.charged - self.said);
            }
            if let Some(record) = &mut self.record {
                record.note(&self.heard[before..], Line::Heard);
            }
        }
        if self.charged > self.timeout + JIFFY {
            // It came, but too late; that we were later still is no excuse.
            self.end = End::Deadline;
            return Err((reasons::silent(self.stage == Stage::Shaking, before, self.timeout), None));
        }
        if self.stage == Stage::Shaking {
            if self.tls.as_ref().is_some_and(|session| session.shaking()) {
                return match self.end {
                    End::Open => Ok(None),
                    end => Err((reasons::broken_off(true, end == End::Reset, 0), None)),
                };
            }
            self.stage = Stage::Talking;
            self.phases.tls = Some(self.charged - self.said);
            self.said = self.charged;
        }
        if !self.unsent.is_empty() && self.end == End::Open {
            return Ok(None);
        }
        self.converse()
    }

    /// Lets the dialogue speak until it waits for something.
    fn converse(&mut self) -> Result<Option<Verdict>, Failure> {
        let plan = self.plan.clone();
        let peer = match &self.address {
            Address::Ip(address) => Some(*address),
            Address::Unix(_) | Address::Name(..) => None,
        };
        loop {
            let heard = std::mem::take(&mut self.heard);
            let step = plan.spec.dialogue.turn(Turn { peer, sent: self.sent, heard: &heard, end: self.end });
            self.heard = heard;
            match step {
                Step::Pass => return Ok(Some(Verdict::Pass)),
                Step::Fail(reason) => return Ok(Some(Verdict::Fail(reason))),
                Step::More => return self.more(),
                Step::Send(_) if self.end != End::Open => return self.more(),
                Step::Send(_) if self.sent == SENDS_MAX => return Err((reasons::talkative(), None)),
                Step::Send(bytes) => {
                    self.sent += 1;
                    self.say(&bytes)?;
                    if !self.unsent.is_empty() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The dialogue wants to hear more. Whether there can be more is not its business.
    fn more(&self) -> Result<Option<Verdict>, Failure> {
        let heard = self.heard.len();
        match self.end {
            End::Open => Ok(None),
            End::Closed => Err((reasons::broken_off(false, false, heard), None)),
            End::Reset => Err((reasons::broken_off(false, true, heard), Some(libc::ECONNRESET))),
            End::Deadline => Err((reasons::silent(false, heard, self.timeout), None)),
            End::Full => Err((reasons::endless(), None)),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(record) = &mut self.record {
            record.note(bytes, Line::Sent);
        }
        match &mut self.tls {
            None => {
                let taken = match sys::send(self.fd.as_raw_fd(), bytes) {
                    Ok(count) => count,
                    Err(libc::EAGAIN | libc::EINTR) => 0,
                    Err(errno) => return self.unheard(errno),
                };
                self.unsent.extend_from_slice(&bytes[taken..]);
            }
            Some(session) => {
                session.say(bytes);
                session.pull(&mut self.unsent);
                self.flush()?;
            }
        }
        if self.unsent.is_empty() {
            self.note_sent(sys::now());
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        while !self.unsent.is_empty() {
            match sys::send(self.fd.as_raw_fd(), &self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(libc::EAGAIN) => break,
                Err(libc::EINTR) => {}
                Err(errno) => return self.unheard(errno),
            }
        }
        Ok(())
    }

    /// It can no longer be sent to. What it said before may explain that, and is read when the loop comes to
    /// it.
    fn unheard(&mut self, errno: Errno) -> Result<(), Failure> {
        self.unsent.clear();
        match errno {
            libc::EPIPE | libc::ECONNRESET => Ok(()),
            libc::ENOBUFS | libc::ENOMEM => Err((reasons::not_sent(errno), Some(errno))),
            _ => {
                Err((reasons::broken_off(self.stage == Stage::Shaking, true, self.heard.len()), Some(errno)))
            }
        }
    }
}

fn start_connect(fd: RawFd, lane: Lane, address: &Address) -> Result<(), Errno> {
    match address {
        Address::Ip(to) => {
            if lane != Lane::Quiet {
                half_open::prepare(fd)?;
            }
            sys::connect(fd, to)
        }
        Address::Unix(path) => sys::connect_unix(fd, path),
        // Nobody asks a name: it has no address yet.
        Address::Name(..) => Err(libc::EHOSTUNREACH),
    }
}
