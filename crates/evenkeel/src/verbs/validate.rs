//! `evenkeel validate`: checks a config file and tells every error in it.

use std::process::ExitCode;

/// Checks a config file and tells every error in it.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `validate` is not built yet");
    ExitCode::from(2)
}
