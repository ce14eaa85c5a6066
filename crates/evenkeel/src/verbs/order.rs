//! `evenkeel drain`, `ready`, `maint`, `force`, `weight`, and HAProxy's wording of the same: tells a running daemon
//! what is wanted of a server.

use crate::api::client::{self, Door, Error};
use crate::api::model::{Ordered, Refusal, Server};
use crate::api::order::Body;
use crate::screen;
use crate::until;
use std::process::ExitCode;

/// What all of these verbs take.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// POOL/SERVER, or SERVER if no other pool has one of that name
    server: String,
    #[command(flatten)]
    more: More,
}

/// Which way, and what all of these verbs take.
#[derive(Debug, clap::Args)]
pub struct Force {
    /// Whatever the checks say, it counts as
    #[arg(value_enum)]
    way: Way,
    #[command(flatten)]
    of: Args,
}

/// What a server counts as.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Way {
    /// Up
    Up,
    /// Down
    Down,
}

/// How much, and what all of these verbs take.
#[derive(Debug, clap::Args)]
pub struct Weight {
    /// POOL/SERVER, or SERVER if no other pool has one of that name
    server: String,
    /// 0 to 256, or `config` for what the config says
    weight: String,
    #[command(flatten)]
    more: More,
}

/// HAProxy's wording: `set server web/rs1 state drain|maint|ready`, `set server web/rs1 weight 50`.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// `server POOL/SERVER state drain|maint|ready`, or `server POOL/SERVER weight NUMBER`
    #[arg(required = true, num_args = 1..)]
    words: Vec<String>,
    #[command(flatten)]
    more: More,
}

#[derive(Debug, clap::Args)]
struct More {
    /// Why, for whoever reads the log or asks `why`
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// When it ends by itself: `10m`, `2h`, or a date and time here such as `2026-11-21T18:00`
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// In whose name; your own is told beside it
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Even if nobody serves in the pool after that
    #[arg(long)]
    force: bool,
    /// As the API says it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// `drain`, `ready` or `maint`.
pub fn wish(args: Args, wish: &str) -> ExitCode {
    order(&args.server, Some(wish), None, args.more)
}

/// `force up` or `force down`.
pub fn force(args: Force) -> ExitCode {
    let wish = match args.way {
        Way::Up => "force up",
        Way::Down => "force down",
    };
    order(&args.of.server, Some(wish), None, args.of.more)
}

/// `weight`.
pub fn weight(args: Weight) -> ExitCode {
    match number(&args.weight) {
        Ok(weight) => order(&args.server, None, weight, args.more),
        Err(error) => misspelt(&error),
    }
}

/// HAProxy's wording (management.txt, "set server").
pub fn set(args: Set) -> ExitCode {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match words[..] {
        ["server", server, "state", state @ ("drain" | "maint" | "ready")] => {
            order(server, Some(state), None, args.more)
        }
        ["server", _, "state", other] => {
            let advice = evenkeel_syntax::closest(other, ["drain", "maint", "ready"]);
            let advice = advice.map_or(String::new(), |name| format!(", did you mean \"{name}\"?"));
            misspelt(&format!("a state is drain, maint or ready, not \"{other}\"{advice}"))
        }
        ["server", server, "weight", weight] | ["weight", server, weight] => match number(weight) {
            Ok(weight) => order(server, None, weight, args.more),
            Err(error) => misspelt(&error),
        },
        _ => misspelt(
            "this is known: set server POOL/SERVER state drain|maint|ready, set server POOL/SERVER weight NUMBER",
        ),
    }
}

fn number(word: &str) -> Result<Option<u16>, String> {
    match word {
        "config" => Ok(None),
        _ => match word.parse() {
            Ok(weight @ 0..=256) => Ok(Some(weight)),
            _ => Err(format!("a weight is a number from 0 to 256, or `config`, not \"{word}\"")),
        },
    }
}

fn misspelt(error: &str) -> ExitCode {
    eprintln!("evenkeel: {error}");
    ExitCode::from(2)
}

fn order(server: &str, wish: Option<&str>, weight: Option<u16>, more: More) -> ExitCode {
    let until = match more.until.as_deref().map(|words| until::read(words, crate::clock::wall())).transpose()
    {
        Ok(until) => until,
        Err(error) => return misspelt(&error),
    };
    let (More { reason, by, force, json, door, .. }, wish) = (more, wish.map(str::to_owned));
    let path = match server.split_once('/') {
        Some((pool, server)) => {
            format!("/v1/pools/{}/servers/{}", client::segment(pool), client::segment(server))
        }
        None => format!("/v1/servers/{}", client::segment(server)),
    };
    let path = format!("{path}/{}", if wish.is_some() { "intent" } else { "weight" });
    let body = Body { wish, weight, reason, until, by, force };
    let answer = door.put(&path, &body).and_then(|text| {
        if json {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        let ordered = serde_json::from_slice(&text);
        ordered.map(|ordered| draw(&ordered)).map_err(|error| Error::Broken(error.to_string()))
    });
    super::print(answer.map_err(advise))
}

/// The API knows no options; people do.
fn advise(error: Error) -> Error {
    match error {
        Error::Refused(refusal) if refusal.status == 409 && !refusal.error.contains("--force") => {
            Error::Refused(Refusal { error: format!("{}; name it POOL/SERVER", refusal.error), ..refusal })
        }
        error => error,
    }
}

/// `web/rs1: draining, 3 active. Serving: rs2`.
fn draw(ordered: &Ordered) -> String {
    let Ordered { changed, pool, server, serving } = ordered;
    let Server { name, duty, health, active, .. } = server;
    let same = if *changed { "" } else { " (as before)" };
    let weight = match &server.weighing {
        Some(weighing) => format!(", weight {} (the config says {})", server.weight, weighing.configured),
        None => String::new(),
    };
    let left = match (duty.as_str(), active) {
        ("serving", _) => String::new(),
        (_, 0) => ", nothing under way there".into(),
        (_, 1) => ", 1 session still under way there".into(),
        (_, many) => format!(", {many} sessions still under way there"),
    };
    let serving = if serving.is_empty() { "nobody".into() } else { serving.join(", ") };
    let mut out = format!("{pool}/{name}: {duty}{same}, {health}{weight}{left}; serving: {serving}\n");
    for intent in &server.intents {
        let until = intent.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
        let reason = if intent.reason.is_empty() { String::new() } else { format!(": {}", intent.reason) };
        let line = format!("  {} by {}{reason}{until}", intent.wish, intent.author);
        out.push_str(&screen::paint(&line, screen::Tone::Dim, screen::coloured()));
        out.push('\n');
    }
    out
}
