//! Asks. The only crate that opens sockets to servers to judge them.

pub mod dialogue;
pub mod engine;
pub mod once;
mod sys;
mod transport;
pub mod words;

pub use sys::now;
