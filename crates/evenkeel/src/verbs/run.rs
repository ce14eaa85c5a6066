//! `evenkeel run`: runs the daemon.

use std::process::ExitCode;

/// Runs the daemon.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `run` is not built yet");
    ExitCode::from(2)
}
