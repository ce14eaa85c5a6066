//! Decides: evidence about servers comes in, a table of what every server should do comes out.
//!
//! No I/O, no clock, no randomness, no threads, no dependencies; nothing here can fail. Two machines, both driven
//! by whoever owns them, both told the time with every call:
//!
//! ```text
//! outcome ─▶ Probe ─┬─ nothing new: stop       one per server and check, owned by the thread that asks:
//!                   │                          schedule (when to ask) + source (what the answers mean)
//!                   │ opinion
//! intent, config, ──▼                          one, owned by the daemon's loop:
//! time ────────▶ Director ─▶ events, table     server (votes × intents, flapping, ramp) ─▶ pool (who serves)
//!                               │
//!                               └▶ Picker      one per worker and pool: which of those who serve
//! ```
//! To see it at work, read the drawings in `tests/timelines/`.

mod choose;
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
mod ramp;
pub mod schedule;
mod server;
pub mod source;
pub mod table;
pub mod time;
pub mod why;

pub use director::{Change, Director, Input, Restored};
pub use probe::Probe;
pub use source::{Health, Opinion, Source};
pub use time::{Span, Time};
