//! `evenkeel status`: shows services, pools and servers of a running daemon.

use std::process::ExitCode;

/// Shows services, pools and servers of a running daemon.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it.
pub fn main(_args: Args) -> ExitCode {
    eprintln!("evenkeel: `status` is not built yet");
    ExitCode::from(2)
}
