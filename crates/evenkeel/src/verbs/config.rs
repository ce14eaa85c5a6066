//! `evenkeel config`: prints the config as the daemon understands it.

use std::process::ExitCode;

/// Prints the config as the daemon understands it.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `config` is not built yet");
    ExitCode::from(2)
}
