//! Where sockets come from and where they go: some are closed, some are taken back to the beginning and used
//! again, which saves making, registering and destroying one per probe. It decides nothing about servers.

use crate::sys::{self, Errno, Poll};
use evenkeel_core::config::Address;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// How a socket is made, and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Ended by RST, then used again.
    Reset,
    /// Says FIN, does not hear the peer's, and is ended by RST when that is due: no TIME_WAIT. Used again.
    Quiet,
    /// Closed as others close theirs.
    Plain,
}

/// The sockets of one thread.
///
/// The kernel picks the source port of every connect anew: it walks the port range per destination in steps
/// of two (`__inet_hash_connect`, `inet_hashinfo.table_perturb`), so a pair of port and server comes back
/// after some 14,000 connects to that server, not within the minute in which a lost RST could still matter.
#[derive(Debug)]
pub(crate) struct Sockets {
    poll: Option<Arc<Poll>>,
    /// By lane and family.
    idle: [Vec<OwnedFd>; 4],
    filters: bool,
}

/// Idle sockets that are kept per lane and family.
const KEPT: usize = 4_096;

impl Sockets {
    /// Sockets that are watched by `poll`, if there is one.
    pub(crate) fn new(poll: Option<Arc<Poll>>) -> Sockets {
        Sockets { poll, idle: Default::default(), filters: true }
    }

    /// A socket that is ready to connect.
    pub(crate) fn take(&mut self, lane: Lane, to: &Address) -> Result<OwnedFd, Errno> {
        let family = family(to);
        if let Some(fd) = shelf(lane, family).and_then(|shelf| self.idle[shelf].pop()) {
            return Ok(fd);
        }
        let fd = sys::socket(family)?;
        match lane {
            Lane::Reset => sys::linger_zero(fd.as_raw_fd())?,
            Lane::Quiet => {
                sys::linger_zero(fd.as_raw_fd())?;
                // A sandbox may forbid filters; then TIME_WAIT must be borne.
                self.filters &= sys::ignore_fin(fd.as_raw_fd()).is_ok();
            }
            Lane::Plain if family != libc::AF_UNIX => sys::no_delay(fd.as_raw_fd())?,
            Lane::Plain => {}
        }
        if let Some(poll) = &self.poll {
            poll.add(fd.as_raw_fd())?;
        }
        Ok(fd)
    }

    /// Ends whatever connection it has, and keeps it for another one if its lane does that.
    pub(crate) fn give(&mut self, lane: Lane, to: &Address, fd: OwnedFd) {
        let Some(shelf) = shelf(lane, family(to)) else { return };
        if sys::disconnect(fd.as_raw_fd()).is_ok() && self.idle[shelf].len() < KEPT {
            self.idle[shelf].push(fd);
        }
    }
}

fn family(of: &Address) -> libc::c_int {
    match of {
        Address::Ip(SocketAddr::V6(_)) => libc::AF_INET6,
        Address::Ip(SocketAddr::V4(_)) => libc::AF_INET,
        Address::Unix(_) | Address::Name(..) => libc::AF_UNIX,
    }
}

fn shelf(lane: Lane, family: libc::c_int) -> Option<usize> {
    let six = usize::from(family == libc::AF_INET6);
    match (lane, family) {
        (_, libc::AF_UNIX) | (Lane::Plain, _) => None,
        (Lane::Reset, _) => Some(six),
        (Lane::Quiet, _) => Some(2 + six),
    }
}
