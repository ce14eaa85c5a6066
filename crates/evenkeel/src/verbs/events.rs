//! `evenkeel events`: prints what happened, and what happens.

use std::process::ExitCode;

/// Prints what happened, and what happens.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `events` is not built yet");
    ExitCode::from(2)
}
