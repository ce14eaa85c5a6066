//! `evenkeel config`: prints the config as the daemon understands it.

use crate::config::{self, DEFAULT_PATH, Spelling};
use std::path::PathBuf;
use std::process::ExitCode;

/// Prints the config as the daemon understands it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config, in words or as JSON. `-`: standard input.
    #[arg(default_value = DEFAULT_PATH)]
    file: PathBuf,
    /// As JSON, which `run` and `validate` take too.
    #[arg(long, group = "spelling")]
    json: bool,
    /// In words, with every default filled in.
    #[arg(long, group = "spelling")]
    effective: bool,
    /// The JSON schema of all configs; reads none.
    #[arg(long, group = "spelling")]
    schema: bool,
    /// The reference of all configs, in Markdown; reads none.
    #[arg(long, group = "spelling")]
    reference: bool,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    if args.schema {
        super::show(&format!("{:#}\n", config::json_schema()));
        return ExitCode::SUCCESS;
    }
    if args.reference {
        super::show(&config::reference());
        return ExitCode::SUCCESS;
    }
    let spelling = match (args.json, args.effective) {
        (true, _) => Spelling::Json,
        (_, true) => Spelling::Effective,
        _ => Spelling::Words,
    };
    match config::print(&args.file, spelling) {
        Ok(text) => {
            super::show(&text);
            ExitCode::SUCCESS
        }
        Err(told) => {
            told.print();
            ExitCode::FAILURE
        }
    }
}
