//! `evenkeel why`: explains the verdict on one server.

use std::process::ExitCode;

/// Explains the verdict on one server.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `why` is not built yet");
    ExitCode::from(2)
}
