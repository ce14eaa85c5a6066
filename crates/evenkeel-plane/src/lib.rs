//! Acts. The only crate that moves user traffic or touches the kernel's tables.

pub mod none;
pub mod relay;

use evenkeel_core::config::ServerId;
use evenkeel_core::table::Table;
use std::sync::Arc;

/// Makes a table true.
pub trait Plane: Send {
    /// Makes the world equal to this. Twice is the same as once. What it could not do is in the answer, and is
    /// tried again with the next call.
    fn apply(&mut self, table: &Arc<Table>) -> Applied;
    /// How many sessions a server still has.
    fn sessions(&mut self, server: ServerId) -> Sessions;
}

/// What a plane found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Things that were already there and were taken over, in words.
    pub found: Vec<String>,
    /// Things that somebody else had changed, in words.
    pub drift: Vec<String>,
    /// What could not be done, and why: `listen 10.0.0.1:80: address already in use`.
    pub failed: Vec<String>,
}

/// A server's sessions at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Connections or requests under way.
    pub active: u64,
}
