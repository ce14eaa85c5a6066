//! SYN, SYN/ACK, RST, without root: the ACK is held back, and before its time comes the connection is gone.
//! The server's `accept` never fires. It proves that somebody listens, not that somebody works.
//!
//! If we come too late (Linux holds an ACK back for 40 ms, `TCP_DELACK_MIN`) the handshake completes and the
//! server accepts a connection that is then reset: more noise, the same verdict.

use crate::sys::{self, Errno};
use std::os::fd::RawFd;

/// Before the connect, every time: ending a connection forgets it.
pub(super) fn prepare(fd: RawFd) -> Result<(), Errno> {
    sys::delay_ack(fd)
}

/// Whether an error of the socket still means that the SYN was answered by SYN/ACK.
pub(super) fn answered(error: Errno) -> bool {
    // A refused SYN is ECONNREFUSED; these two are given only once a connection stood (`tcp_reset`).
    matches!(error, 0 | libc::ECONNRESET | libc::EPIPE)
}
