//! `evenkeel why`: explains the verdict on one server.

use crate::api::client::{self, Door};
use crate::api::model::{Check, Evidence, Intent, Server, Weighing, Why};
use crate::screen::{self, Columns, Tone};
use std::process::ExitCode;

/// Explains the verdict on one server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// POOL/SERVER, or SERVER if no other pool has one of that name
    server: String,
    /// As the API says it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let path = match args.server.split_once('/') {
        Some((pool, server)) => {
            format!("/v1/pools/{}/servers/{}", client::segment(pool), client::segment(server))
        }
        None => format!("/v1/servers/{}", client::segment(&args.server)),
    };
    super::print(if args.json {
        args.door.text(&path).map(|text| String::from_utf8_lossy(&text).into_owned())
    } else {
        args.door.get(&path).map(|why| draw(&why, screen::coloured()))
    })
}

fn draw(why: &Why, coloured: bool) -> String {
    let server = &why.server;
    let since = server.since_s.map(|age| format!(" for {}", screen::age(age))).unwrap_or_default();
    let health = screen::paint(&server.health, screen::tone(&server.health), coloured);
    let duty = screen::paint(&server.duty, screen::tone(&server.duty), coloured);
    let backup = if server.backup { ", a backup" } else { "" };
    let resolved = server.resolved.as_ref().map(|address| format!(" = {address}")).unwrap_or_default();
    let mut out = format!(
        "pool {} server {} ({}{resolved}{backup}): {health}{since}, {duty}\n",
        why.pool, server.name, server.address
    );
    match &why.decided {
        Some(decided) => {
            out.push_str(&format!(
                "  {} ago, {}: {}\n",
                screen::age(decided.ago_s),
                decided.at,
                decided.text
            ));
        }
        None => out.push_str(&format!("  {}\n", server.reason)),
    }
    if server.duty != "serving" || server.health != "up" {
        out.push_str(&format!("  {}: {}\n", server.duty, why.because));
    }
    out.push_str(&draw_words(server));
    if !why.needs.is_empty() {
        out.push_str(&format!("  to serve it needs {}\n", why.needs.join(", and ")));
    }
    if why.checks.len() > 1 {
        out.push_str(&format!("  of its checks must pass: {}\n", why.require));
    }
    for check in &why.checks {
        out.push_str(&draw_check(check, coloured));
    }
    if !why.checks.is_empty() {
        let legend = "  oldest outcome left: + pass  x refused  t timeout  w wrong answer\n";
        out.push_str(&screen::paint(legend.trim_end(), Tone::Dim, coloured));
        out.push('\n');
    }
    out
}

/// What people and agents have said of it.
fn draw_words(server: &Server) -> String {
    let more = |reason: &str, until: &Option<String>| {
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        format!("{reason}{}", until.as_ref().map(|at| format!(", until {at}")).unwrap_or_default())
    };
    let mut out = String::new();
    for Intent { wish, author, reason, until, .. } in &server.intents {
        out.push_str(&format!("  told: {wish} by {author}{}\n", more(reason, until)));
    }
    if let Some(Weighing { configured, author, reason, until }) = &server.weighing {
        let more = more(reason, until);
        out.push_str(&format!(
            "  told: weight {} by {author}{more}; the config says {configured}\n",
            server.weight
        ));
    }
    out
}

fn draw_check(check: &Check, coloured: bool) -> String {
    let health = screen::paint(&check.health, screen::tone(&check.health), coloured);
    let mut out = format!("\ncheck {}: {health}\n", check.name);
    let mut columns = Columns::default();
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            columns.row([(name.to_owned(), Tone::Dim), (text.to_owned(), Tone::Plain)]);
        }
    };
    line("asks", &check.timing);
    line("rule", &check.rule);
    line("history", &check.history);
    line("fired", &check.fired);
    line("next", &check.next);
    if let Some(decided) = &check.decided {
        explain("decided by", decided, &mut line);
    }
    if let Some(last) = &check.last_fail {
        explain("last fail", last, &mut line);
    }
    out.push_str(&columns.draw("  ", coloured));
    out
}

fn explain(name: &str, evidence: &Evidence, line: &mut dyn FnMut(&str, &str)) {
    let ago = evidence.ago_s.map(|age| format!(", {} ago", screen::age(age))).unwrap_or_default();
    let kind = evidence.kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
    let took = screen::span(evidence.took_ms / 1e3);
    line(name, &format!("{}{kind}, took {took}{ago}", evidence.outcome));
    let phase = |phase: &crate::api::model::Phase| format!("{} {}", phase.name, screen::span(phase.ms / 1e3));
    let phases: Vec<String> = evidence.phases.iter().map(phase).collect();
    line("phases", &phases.join(", "));
    line("errno", evidence.errno.as_deref().unwrap_or_default());
    if !evidence.sample.is_empty() {
        line("heard", &format!("\"{}\"", evidence.sample));
    }
}
