//! Making a connection to a server, and charging what went wrong to whom it belongs.

use super::io::Socket;
use super::slots::{Slot, Stop};
use super::upstream::Server;
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmade {
    /// This server will not have us; another may.
    Failed,
    /// The relay ends.
    Quit,
}

/// Connects to `server` until `due` on the worker's clock.
pub(super) async fn connect(slot: &Slot, server: &Rc<Server>, due: u64) -> Result<Socket, Unmade> {
    let numbers = server.numbers();
    let fault = |error: &io::Error| {
        tracing::debug!("connect {}: {error}", server.address);
        if is_local(error) {
            numbers.local_faults.add()
        } else {
            numbers.connects_failed.add()
        }
        Unmade::Failed
    };
    let socket = Socket::connect(&server.address).map_err(|error| fault(&error))?;
    slot.until(due);
    let made = std::future::poll_fn(|cx| match socket.poll_connected(cx) {
        Poll::Ready(result) => Poll::Ready(Ok(result)),
        Poll::Pending => slot.stop().map_or(Poll::Pending, |stop| Poll::Ready(Err(stop))),
    });
    match made.await {
        Ok(Ok(())) => Ok(socket),
        Ok(Err(error)) => Err(fault(&error)),
        Err(Stop::Quit) => Err(Unmade::Quit),
        Err(Stop::Cut) => Err(Unmade::Failed),
        Err(Stop::Deadline) => {
            tracing::debug!("connect {}: timeout", server.address);
            numbers.connects_timed_out.add();
            Err(Unmade::Failed)
        }
    }
}

/// Faults of our own host: no server is to blame for them.
fn is_local(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EADDRNOTAVAIL
                | libc::EMFILE
                | libc::ENFILE
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::EACCES
                | libc::EPERM
                | libc::EAGAIN
        )
    )
}
