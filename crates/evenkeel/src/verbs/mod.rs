//! The verbs, one file each.

mod ask;
pub mod config;
pub mod demo;
pub mod events;
pub mod fault;
pub mod fmt;
pub mod order;
pub mod probe;
pub mod run;
pub mod status;
pub mod try_once;
pub mod validate;
pub mod why;

use crate::api::client;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, about = "Keeps traffic on healthy servers")]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the daemon.
    Run(run::Args),
    /// Checks a config file and tells every error in it.
    Validate(validate::Args),
    /// Prints or rewrites a config file in the one style.
    Fmt(fmt::Args),
    /// Prints the config as the daemon understands it.
    Config(config::Args),
    /// Runs every check of a config once against the real servers; changes nothing.
    Try(try_once::Args),
    /// Runs one probe by hand and shows the conversation.
    Probe(probe::Args),
    /// Shows what evenkeel does: servers that fail, traffic that does not.
    Demo(demo::Args),
    /// Shows services, pools and servers of a running daemon.
    Status(status::Args),
    /// Explains the verdict on one server.
    Why(why::Args),
    /// No new work for a server; what it has, it keeps.
    Drain(order::Args),
    /// Takes drain, maint and force back: the checks decide again.
    Ready(order::Args),
    /// Takes a server out.
    Maint(order::Args),
    /// Counts a server as up or down, whatever its checks say.
    Force(order::Force),
    /// Gives a server another weight than the config does.
    Weight(order::Weight),
    /// The same in HAProxy's words: set server web/rs1 state drain
    Set(order::Set),
    /// Prints what happened, and what happens.
    Events(events::Args),
    /// A server that fails on demand, for the demo, the stories and the benches.
    #[command(hide = true)]
    Fault(fault::Args),
}

/// Reads the command line and does what it says. Exit code 0: done; 1: the answer is no (an invalid config, a
/// failed probe); 2: it could not be done.
pub fn main() -> ExitCode {
    match Line::parse().verb {
        Verb::Run(args) => run::main(args),
        Verb::Validate(args) => validate::main(args),
        Verb::Fmt(args) => fmt::main(args),
        Verb::Config(args) => config::main(args),
        Verb::Try(args) => try_once::main(args),
        Verb::Probe(args) => probe::main(args),
        Verb::Demo(args) => demo::main(args),
        Verb::Status(args) => status::main(args),
        Verb::Why(args) => why::main(args),
        Verb::Drain(args) => order::wish(args, "drain"),
        Verb::Ready(args) => order::wish(args, "ready"),
        Verb::Maint(args) => order::wish(args, "maint"),
        Verb::Force(args) => order::force(args),
        Verb::Weight(args) => order::weight(args),
        Verb::Set(args) => order::set(args),
        Verb::Events(args) => events::main(args),
        Verb::Fault(args) => fault::main(args),
    }
}

/// Prints a whole text.
fn show(text: &str) {
    // A closed pipe (`| head`) is a reader that has had enough.
    let _closed = std::io::stdout().write_all(text.as_bytes());
}

/// Prints what the daemon said.
fn print(text: Result<String, client::Error>) -> ExitCode {
    match text {
        Ok(text) => {
            show(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// Says why there is nothing to print: 1 if the daemon said no, 2 if it could not be asked.
fn fail(error: &client::Error) -> ExitCode {
    eprintln!("evenkeel: {error}");
    ExitCode::from(if matches!(error, client::Error::Refused(_)) { 1 } else { 2 })
}
