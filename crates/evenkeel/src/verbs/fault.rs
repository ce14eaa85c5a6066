//! `evenkeel fault`: a server that fails on demand and a client that tells what became of every request, for
//! the demo, the stories and the benches. Nobody needs either in production, so the verb is hidden.

pub(crate) mod ask;
mod behaviour;
mod serve;
mod talk;

pub(crate) use behaviour::duration;
use std::process::ExitCode;
use tokio::sync::mpsc;

/// A server that fails on demand, and a client that counts.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Serves HTTP/1.1, and does what the lines on its standard input say.
    Serve(serve::Args),
    /// Asks at a steady rate and prints a line for every answer.
    Ask(ask::Args),
}

/// Does it.
pub(super) fn main(args: Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match (runtime, args.part) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(runtime), Part::Serve(args)) => {
            tokio::task::LocalSet::new().block_on(&runtime, serve::main(args))
        }
        (Ok(runtime), Part::Ask(args)) => tokio::task::LocalSet::new().block_on(&runtime, ask::main(args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel fault: {error}");
            ExitCode::from(2)
        }
    }
}

/// The lines of standard input. A thread of its own reads them, because a read of a terminal cannot be
/// abandoned; it ends with the process.
fn input_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
