//! `evenkeel events`: prints what happened, and what happens.

use crate::api::client::Door;
use crate::screen::{self, Tone};
use crate::tell::{Level, Told};
use std::io::Write;
use std::process::ExitCode;

/// Prints what happened, and what happens.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Goes on with every new event, until it is interrupted or the daemon ends
    #[arg(long, short)]
    follow: bool,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    since: u64,
    /// Also what follows from what was already told
    #[arg(long)]
    all: bool,
    /// One JSON object a line, as the API says it (everything)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let follow = if args.follow { "&follow=1" } else { "" };
    let path = format!("/v1/events?since={}{follow}", args.since);
    let coloured = screen::coloured();
    let mut out = std::io::stdout().lock();
    let mut print = |line: &[u8]| {
        let text = if args.json {
            Some(String::from_utf8_lossy(line).into_owned())
        } else {
            show(line, &args, coloured)
        };
        // A closed pipe (`| head`) is a reader that has had enough.
        text.is_none_or(|text| writeln!(out, "{text}").and_then(|()| out.flush()).is_ok())
    };
    match args.door.lines(&path, &mut print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error),
    }
}

fn show(line: &[u8], args: &Args, coloured: bool) -> Option<String> {
    let Ok(told) = serde_json::from_slice::<Told>(line) else {
        return Some(String::from_utf8_lossy(line).into_owned());
    };
    let (word, tone) = match told.level {
        Level::Debug if !args.all => return None,
        Level::Debug => ("DEBUG", Tone::Dim),
        Level::Info => ("INFO", Tone::Plain),
        Level::Warn => ("WARN", Tone::Bad),
    };
    Some(format!("{} {} {} {}", told.seq, told.at, screen::paint(word, tone, coloured), told.text))
}
