//! `evenkeel validate`: checks a config file and tells every error in it.

use crate::config::{self, DEFAULT_PATH, Told};
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks a config file and tells every error in it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config, in words or as JSON. `-`: standard input.
    #[arg(default_value = DEFAULT_PATH)]
    file: PathBuf,
    /// Tells them as JSON, for editors and programs.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let (told, good) = match config::load(&args.file, None) {
        Ok(loaded) => (loaded.told, true),
        Err(told) => (told, false),
    };
    if args.json {
        super::show(&format!("{:#}\n", told.json()));
    } else {
        told.print();
        super::show(&(summary(&args.file.display().to_string(), &told, good) + "\n"));
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line that says it all: `web.conf: valid, 1 warning`.
fn summary(file: &str, told: &Told, good: bool) -> String {
    let (errors, warnings) = told.counts();
    let count = |number: usize, what: &str| match number {
        0 => String::new(),
        1 => format!(", 1 {what}"),
        _ => format!(", {number} {what}s"),
    };
    let verdict = if good { "valid" } else { "not valid" };
    format!("{file}: {verdict}{}{}", count(errors, "error"), count(warnings, "warning"))
}
