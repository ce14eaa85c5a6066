//! The daemon: one bounded queue, one reader.

pub mod signals;

use crate::api::Asked;
use crate::resolve;
use evenkeel_core::Change;

/// Places in the queue of the loop.
pub const QUEUE: usize = 4096;

/// Everything that can reach the loop.
#[derive(Debug)]
pub enum Message {
    /// A check changed its mind.
    Change(Change),
    /// A name has an address, or a reason for having none.
    Resolved(resolve::Answer),
    /// Somebody asks.
    Asked(Asked),
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT. The second one does not come here; it ends the process.
    Stop,
}
