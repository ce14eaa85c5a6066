//! The end of a connection after the verdict, done so that the server's log stays clean and neither side is
//! left with more than it must: no RST over unread data, no TIME_WAIT of ours. It judges nothing any more.
//!
//! Whoever closes first waits in TIME_WAIT for a minute (RFC 9293, 3.6). So the server may close first where
//! its protocol does that (`Connection: close`). Otherwise we send FIN, stay deaf to the server's FIN, and a
//! moment later, when the server has read its end of file and closed, give the connection up with an RST that
//! no program ever sees: the server's kernel is in LAST-ACK, and this ends it.

use super::sockets::{Lane, Sockets};
use crate::sys::{self, BROKEN, PEER_CLOSED, READABLE};
use evenkeel_core::config::Address;
use evenkeel_core::{Span, Time};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// A connection that is coming to its end.
#[derive(Debug)]
pub(crate) struct Parting {
    fd: OwnedFd,
    lane: Lane,
    address: Address,
    stage: Stage,
    room: usize,
    until: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The server may close first.
    AfterYou,
    /// We have sent FIN.
    Quiet,
}

/// How long a server that closes by itself may take to do so.
const AFTER_YOU: Span = Span::from_millis(200);
/// How long a server may take to read our FIN.
const QUIET: Span = Span::from_millis(100);
/// What a server may still send after the verdict, in bytes.
const ROOM: usize = 256 * 1024;

impl Parting {
    /// FIN now, the rest later. `None`: it is closed already.
    pub(crate) fn quiet(fd: OwnedFd, lane: Lane, address: Address, now: Time) -> Option<Parting> {
        sys::finish_sending(fd.as_raw_fd()).ok()?;
        Some(Parting { fd, lane, address, stage: Stage::Quiet, room: 0, until: now + QUIET })
    }

    /// The server may close first, if it was well.
    pub(crate) fn plain(fd: OwnedFd, address: Address, patient: bool, now: Time) -> Option<Parting> {
        if matches!(address, Address::Unix(_)) {
            return None;
        }
        let until = now + AFTER_YOU;
        let mut parting =
            Parting { fd, lane: Lane::Plain, address, stage: Stage::AfterYou, room: ROOM, until };
        if !patient {
            return parting.turn_quiet(now).then_some(parting);
        }
        (!parting.drain(&mut [0; 4_096])).then_some(parting)
    }

    /// Its socket.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// When to [`Parting::expire`] it.
    pub(crate) fn until(&self) -> Time {
        self.until
    }

    /// Its socket is ready. Whether it is over.
    pub(crate) fn ready(&mut self, events: u32, scratch: &mut [u8]) -> bool {
        let news = events & (READABLE | PEER_CLOSED | BROKEN) != 0;
        news && self.stage == Stage::AfterYou && self.drain(scratch)
    }

    /// Its time is up. `Some`: it goes on, until its next time.
    pub(crate) fn expire(mut self, now: Time, sockets: &mut Sockets) -> Option<Parting> {
        if self.stage == Stage::AfterYou && self.turn_quiet(now) {
            return Some(self);
        }
        sockets.give(self.lane, &self.address, self.fd);
        None
    }

    fn turn_quiet(&mut self, now: Time) -> bool {
        let fd = self.fd.as_raw_fd();
        self.stage = Stage::Quiet;
        self.until = now + QUIET;
        // Where filters are forbidden the FIN is sent all the same, and TIME_WAIT borne.
        let deaf = sys::ignore_fin(fd).is_ok() && sys::linger_zero(fd).is_ok();
        sys::finish_sending(fd).is_ok() && deaf
    }

    /// Reads and forgets. Whether the end was reached: then closing sends FIN, and nothing is left of it
    /// here.
    fn drain(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            match sys::recv(self.fd.as_raw_fd(), scratch) {
                Ok(0) => return true,
                Ok(count) if count < self.room => self.room -= count,
                Ok(_) => return sys::linger_zero(self.fd.as_raw_fd()).is_ok(),
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN) => return false,
                Err(_) => return true,
            }
        }
    }
}
