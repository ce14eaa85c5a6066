//! `evenkeel demo`: shows what evenkeel does: servers that fail, traffic that does not.

use std::process::ExitCode;

/// Shows what evenkeel does: servers that fail, traffic that does not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Does it.
pub(super) fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `demo` is not built yet");
    ExitCode::from(2)
}
