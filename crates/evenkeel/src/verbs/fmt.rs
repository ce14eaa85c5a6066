//! `evenkeel fmt`: prints or rewrites a config file in the one style.

use std::process::ExitCode;

/// Prints or rewrites a config file in the one style.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `fmt` is not built yet");
    ExitCode::from(2)
}
