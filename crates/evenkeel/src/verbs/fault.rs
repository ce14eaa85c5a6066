//! `evenkeel fault`: a server that fails on demand, for the demo, the stories and the benches.

use std::process::ExitCode;

/// A server that fails on demand, for the demo, the stories and the benches.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `fault` is not built yet");
    ExitCode::from(2)
}
