//! `evenkeel probe`: runs one probe by hand and shows the conversation.

use std::process::ExitCode;

/// Runs one probe by hand and shows the conversation.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `probe` is not built yet");
    ExitCode::from(2)
}
