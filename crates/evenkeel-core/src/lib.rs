//! Decides: evidence about servers comes in, a table of what every server should do comes out.
//!
//! No I/O, no clock, no randomness, no threads, no dependencies. Two machines: a `Probe` per server and check,
//! owned by the thread that asks, turns outcomes into opinions; the one [`Director`] turns opinions, intents and
//! time into the [`table::Table`] and the [`event::Event`]s.

pub mod config;
pub mod director;
pub mod event;
pub mod evidence;
mod flap;
pub mod hash;
pub mod history;
pub mod intent;
pub mod pick;
mod pool;
pub mod probe;
pub mod schedule;
mod server;
pub mod source;
pub mod table;
pub mod time;
pub mod why;

pub use director::{Change, Director, Input};
pub use probe::Probe;
pub use source::{Health, Opinion, Source};
pub use time::{Span, Time};
