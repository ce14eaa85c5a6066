//! Connections that outlive a probe: kept to be used again, or held idle because their loss is news.

use super::super::Plan;
use super::super::parting::Parting;
use super::super::sockets::{Lane, Sockets};
use super::super::tls::Session;
use super::super::{Clock, reasons};
use super::{Failure, Stage, Talk};
use crate::dialogue::End;
use crate::sys::{self, BROKEN, Errno, PEER_CLOSED, READABLE, WRITABLE};
use evenkeel_core::config::{Address, Timing};
use evenkeel_core::evidence::{Phases, Verdict};
use evenkeel_core::{Span, Time};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// A connection between two probes.
#[derive(Debug)]
pub(crate) struct Held {
    fd: OwnedFd,
    tls: Option<Box<Session>>,
    address: Address,
    /// Probes that used it.
    uses: u8,
    stands: bool,
}

/// What readiness of a held connection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It stands.
    Well,
    /// It stood, and was lost.
    Lost,
    /// It never stood.
    Stillborn,
}

/// Probes over one connection: the fresh one and two more, so that one in three is fresh.
const USES_MAX: u8 = 3;
/// What may lie unread on a kept connection, in bytes: the rest of the last answer.
const REST_MAX: usize = 256 * 1024;

impl Talk {
    /// Whether its connection can be used again, if it passed.
    pub(crate) fn keepable(&self) -> bool {
        let quiet = self.stage == Stage::Talking && self.end == End::Open && self.unsent.is_empty();
        quiet && self.uses + 1 < USES_MAX
    }

    /// Keeps the connection of a probe that is over.
    pub(crate) fn keep(self) -> Held {
        Held { fd: self.fd, tls: self.tls, address: self.address, uses: self.uses + 1, stands: true }
    }

    /// Whether its connection is an old one. Then a fail says nothing yet.
    pub(crate) fn reused(&self) -> bool {
        self.uses > 0
    }

    /// A probe over a connection that was kept. It is ready at once.
    pub(crate) fn resume(plan: &Arc<Plan>, held: Held, timing: &Timing) -> Talk {
        Talk {
            plan: plan.clone(),
            address: held.address,
            fd: held.fd,
            lane: Lane::Plain,
            stage: Stage::Resuming,
            timeout: timing.timeout,
            connect_timeout: timing.connect_timeout.min(timing.timeout),
            mark: sys::now(),
            charged: Span::ZERO,
            phases: Phases::default(),
            said: Span::ZERO,
            sent: 0,
            unsent: Vec::new(),
            heard: Vec::new(),
            end: End::Open,
            tls: held.tls,
            uses: held.uses,
            record: None,
        }
    }

    pub(super) fn resuming(&mut self, clock: Clock, scratch: &mut [u8]) -> Result<Option<Verdict>, Failure> {
        let lost = |errno| (reasons::broken_off(false, true, 0), Some(errno));
        let rest = rest_of(self.fd.as_raw_fd(), self.tls.as_deref_mut(), scratch);
        rest.map_err(lost)?;
        self.stage = Stage::Talking;
        self.mark = clock.now;
        self.converse()
    }
}

impl Held {
    /// Begins to hold an idle connection.
    pub(crate) fn hold(address: &Address, sockets: &mut Sockets) -> Result<Held, Errno> {
        let fd = sockets.take(Lane::Plain, address)?;
        let begun = match address {
            Address::Ip(to) => sys::connect(fd.as_raw_fd(), to),
            Address::Unix(path) => sys::connect_unix(fd.as_raw_fd(), path),
            Address::Name(..) => Err(libc::EHOSTUNREACH),
        };
        match begun {
            Ok(()) | Err(libc::EINPROGRESS) => {
                let stands = begun.is_ok();
                Ok(Held { fd, tls: None, address: address.clone(), uses: 0, stands })
            }
            Err(errno) => Err(errno),
        }
    }

    /// Its socket.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Its socket is ready: what that means.
    pub(crate) fn ready(&mut self, events: u32, scratch: &mut [u8]) -> Sign {
        let lost = if self.stands { Sign::Lost } else { Sign::Stillborn };
        if events & BROKEN != 0 {
            return lost;
        }
        self.stands |= events & WRITABLE != 0;
        let news = events & (READABLE | PEER_CLOSED) != 0;
        if news && rest_of(self.fd(), self.tls.as_deref_mut(), scratch).is_err() {
            return lost;
        }
        Sign::Well
    }

    /// Ends it, without a fuss.
    pub(crate) fn leave(self, now: Time) -> Option<Parting> {
        if self.stands { Parting::plain(self.fd, self.address, false, now) } else { None }
    }
}

/// Reads and forgets. An error if the connection has ended, or there is no end of it.
fn rest_of(fd: RawFd, mut tls: Option<&mut Session>, scratch: &mut [u8]) -> Result<(), Errno> {
    let mut room = REST_MAX;
    loop {
        match sys::recv(fd, scratch) {
            Ok(0) => return Err(libc::EPIPE),
            Ok(count) if count > room => return Err(libc::EMSGSIZE),
            Ok(count) => {
                room -= count;
                if let Some(session) = &mut tls
                    && (session.feed(&scratch[..count], &mut Vec::new()).is_err() || session.closed())
                {
                    return Err(libc::EPIPE);
                }
            }
            Err(libc::EAGAIN) => return Ok(()),
            Err(libc::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
