//! Decides: evidence about servers comes in, a table of what every server should do comes out.
//!
//! No I/O, no clock, no randomness, no threads, no dependencies. Two machines: a `Probe` per server and check,
//! owned by the thread that asks, turns outcomes into opinions; the one [`Director`] turns opinions, intents and
//! time into the [`table::Table`] and the [`event::Event`]s.

pub mod config;
pub mod director;
pub mod event;
pub mod evidence;
pub mod table;
pub mod time;

pub use director::{Change, Director, Health, Input};
pub use time::{Span, Time};
