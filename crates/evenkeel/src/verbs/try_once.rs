//! `evenkeel try`: runs every check of a config once against the real servers; changes nothing.

use std::process::ExitCode;

/// Runs every check of a config once against the real servers; changes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `try` is not built yet");
    ExitCode::from(2)
}
