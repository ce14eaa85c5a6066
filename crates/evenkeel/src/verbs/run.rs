//! `evenkeel run`: runs the daemon.

use crate::api::client::Door;
use crate::config;
use crate::log;
use crate::run::{self, Options};
use crate::state;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the daemon. SIGHUP reads the config again; SIGTERM lets requests finish and ends, a second one ends at
/// once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config
    #[arg(default_value = config::DEFAULT_PATH)]
    file: PathBuf,
    #[command(flatten)]
    door: Door,
    /// Keeps what is known and wanted over a restart [default: /var/lib/evenkeel/state.json as root, else in
    /// $XDG_STATE_HOME or ~/.local/state; none for a daemon with a --socket of its own]
    #[arg(long, value_name = "PATH", conflicts_with = "no_state")]
    state: Option<PathBuf>,
    /// Forgets everything at the end
    #[arg(long)]
    no_state: bool,
    /// How log lines look, on standard error; EVENKEEL_LOG=debug shows more of them
    #[arg(long, value_enum, default_value_t, value_name = "SHAPE")]
    log: log::Shape,
    /// Also writes lines as the shell script of old did: `2024-01-01 12:00:00, 192.168.1.102 is gone.`
    #[arg(long, value_name = "FILE")]
    seed_log: Option<PathBuf>,
    /// Threads that carry traffic [default: one per core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

/// Does it. Exit code 1: the config is invalid; 2: the daemon could not start.
pub fn main(args: Args) -> ExitCode {
    if args.file.as_os_str() == "-" {
        eprintln!("evenkeel: run needs a config file: it is read again on SIGHUP, and standard input is not");
        return ExitCode::from(2);
    }
    let lines = match log::start(args.log) {
        Ok(lines) => lines,
        Err(error) => {
            eprintln!("evenkeel: no log: {error}");
            return ExitCode::from(2);
        }
    };
    // A daemon beside the usual one must not fight with it over its state.
    let usual = || if args.door.socket.is_none() { state::default_path() } else { None };
    let state = if args.no_state { None } else { args.state.clone().or_else(usual) };
    let options = Options {
        state,
        file: args.file,
        socket: args.door.path(),
        seed_log: args.seed_log,
        workers: args.workers.map(usize::from),
        log: lines.clone(),
    };
    let ended = run::run(&options);
    lines.flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if matches!(error, run::Error::Config(_)) { 1 } else { 2 })
        }
    }
}
