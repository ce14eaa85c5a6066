//! `evenkeel probe`: runs one probe by hand and shows the conversation.

mod line;
mod show;

use super::ask;
use crate::config::{self, DEFAULT_PATH};
use crate::screen;
use evenkeel_check::engine::Spec;
use evenkeel_check::once::probe_once;
use evenkeel_check::words;
use evenkeel_core::Span;
use evenkeel_core::config::{Address, Timing};
use evenkeel_syntax::AddressWords;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What the words of the command line are.
const EXAMPLES: &str = "The words are those of a check in a config, block and all:
  evenkeel probe 10.0.0.1:80 http /health timeout 1s expect status 200 expect body OK
  evenkeel probe https://shop.example/health
  evenkeel probe 10.0.0.1:38001 tcp send 'PING\\r\\n' expect PONG
  evenkeel probe 10.0.0.1:443 half-open
  evenkeel probe web/rs1 --config evenkeel.conf --check http

Exit code 0: passed; 1: failed; 2: could not be asked.";

/// Runs one probe by hand and shows the conversation.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// An address, a URL, or POOL/SERVER of a config.
    target: String,
    /// The kind of check and its words. Without them: `tcp`.
    words: Vec<String>,
    /// The config that knows POOL/SERVER.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Which of the server's checks, by its name. Without it: all of them, one after another.
    #[arg(long, value_name = "NAME")]
    check: Option<String>,
    /// Prints the conversation as a transcript.
    #[arg(long)]
    dump: bool,
    /// Prints one JSON object a probe, times in nanoseconds; with --dump the conversation in it.
    #[arg(long)]
    json: bool,
}

/// What is asked of whom.
#[derive(Clone, Debug)]
struct Question {
    /// As the user calls it.
    server: String,
    /// For people: `http /health`.
    check: String,
    /// The check as a config has it.
    text: String,
    address: Address,
    /// How long a name took, and what came of it.
    resolved: Option<(Span, String)>,
    spec: Arc<Spec>,
    timing: Timing,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let questions = match questions(&args) {
        Ok(questions) => questions,
        Err(why) => {
            eprint!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut passed = true;
    for (at, question) in questions.iter().enumerate() {
        let found = probe_once(&question.spec, &question.address, &question.timing);
        passed &= found.evidence.verdict.passed();
        let between = match (at, args.json, args.dump) {
            (0, ..) | (_, true, _) => "",
            (_, _, true) => "====\n",
            (_, _, false) => "\n",
        };
        let shown = match (args.json, args.dump) {
            (true, dump) => format!("{}\n", show::json(question, &found, dump)),
            (false, true) => show::transcript(question, &found),
            (false, false) => show::page(question, &found, screen::coloured()),
        };
        // A closed pipe (`| head`) is a reader that has had enough.
        let _closed = write!(std::io::stdout(), "{between}{shown}");
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn questions(args: &Args) -> Result<Vec<Question>, String> {
    let is_kind = |word: &str| words::kinds().iter().any(|kind| kind.name == word);
    let mut target = args.target.clone();
    let mut words = args.words.clone();
    // `probe http 10.0.0.1:80 /health` is what a config line sounds like; it is understood too.
    if is_kind(&target) && !words.is_empty() {
        std::mem::swap(&mut target, &mut words[0]);
    }
    if let Some(url) = Url::read(&target) {
        return Ok(vec![from_url(&url, words)?]);
    }
    if target.contains('/') && !target.starts_with('/') && !target.starts_with("unix:") {
        return from_config(args, &target);
    }
    let kind = if words.is_empty() { "tcp".to_string() } else { words.remove(0) };
    let tls = kind == "http" && words.iter().any(|word| word == "tls");
    if kind == "http" && !has_port(&target) {
        target += if tls { ":443" } else { ":80" };
    }
    let address =
        evenkeel_syntax::address(&target).map_err(|(message, label)| format!("{message}: {label}\n"))?;
    let name = match address {
        AddressWords::Host(host, port) if host.parse::<std::net::IpAddr>().is_err() => {
            let default = if tls { 443 } else { 80 };
            Some(if port == default { host.to_string() } else { format!("{host}:{port}") })
        }
        _ => None,
    };
    let asked = line::Asked { name: name.as_deref(), tls: false };
    Ok(vec![question(&target, &kind, &words, asked)?])
}

fn has_port(target: &str) -> bool {
    target.starts_with("unix:") || target.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}

fn question(target: &str, kind: &str, words: &[String], asked: line::Asked<'_>) -> Result<Question, String> {
    let (check, text) = line::read(kind, words, asked)?;
    let address =
        evenkeel_syntax::address(target).map_err(|(message, label)| format!("{message}: {label}\n"))?;
    let (address, resolved) = ask::resolve(&ask::address(address, check.port)).map_err(|why| why + "\n")?;
    let said: Vec<&str> = std::iter::once(kind).chain(words.iter().map(String::as_str)).collect();
    let question = Question {
        server: target.to_string(),
        check: said.join(" "),
        text,
        address,
        resolved,
        spec: check.spec,
        timing: check.timing,
    };
    Ok(question)
}

/// `http://host:port/path`, in parts.
struct Url<'t> {
    scheme: &'t str,
    authority: &'t str,
    path: &'t str,
}

impl<'t> Url<'t> {
    fn read(text: &'t str) -> Option<Url<'t>> {
        let (scheme, rest) = text.split_once("://")?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        Some(Url { scheme, authority: &rest[..at], path: &rest[at..] })
    }
}

fn from_url(url: &Url<'_>, mut words: Vec<String>) -> Result<Question, String> {
    let (kind, tls, port) = match url.scheme {
        "http" => ("http", false, 80),
        "https" => ("http", true, 443),
        other => return Err(format!("unknown scheme `{other}://`: there are http:// and https://\n")),
    };
    if words.first().is_some_and(|word| word == kind) {
        words.remove(0);
    }
    let path = url.path.split('#').next().unwrap_or("");
    match path {
        "" => {}
        _ if path.starts_with('/') => words.insert(0, path.to_string()),
        _ => words.insert(0, format!("/{path}")),
    }
    let target =
        if has_port(url.authority) { url.authority.to_string() } else { format!("{}:{port}", url.authority) };
    let host = target.rsplit_once(':').map_or(&*target, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.parse::<std::net::IpAddr>().is_err().then_some(url.authority);
    question(&target, kind, &words, line::Asked { name, tls })
}

/// Every check of one server of a config, or one of them.
fn from_config(args: &Args, target: &str) -> Result<Vec<Question>, String> {
    if !args.words.is_empty() {
        return Err(format!(
            "`{target}` is a server of a config, whose checks are asked: no further words\n"
        ));
    }
    let loaded = config::load(&args.config, None).map_err(|told| told.to_string())?;
    let (pool_name, server_name) = target.split_once('/').expect("the caller looked");
    let names = |names: Vec<&str>| names.join(", ");
    let Some(pool) = loaded.config.pools.iter().find(|pool| &*pool.name == pool_name) else {
        let known = names(loaded.config.pools.iter().map(|pool| &*pool.name).collect());
        return Err(format!("no pool `{pool_name}` in {}: there are {known}\n", args.config.display()));
    };
    let Some(server) = pool.servers.iter().find(|server| &*server.name == server_name) else {
        let known = names(pool.servers.iter().map(|server| &*server.name).collect());
        return Err(format!("no server `{server_name}` in pool `{pool_name}`: there are {known}\n"));
    };
    let known = names(pool.checks.iter().map(|check| &*check.name).collect());
    let mut questions = Vec::new();
    for target in loaded.targets(&loaded.config).iter().filter(|target| target.server == server.id) {
        let Some(check) = pool.checks.iter().find(|check| check.id == target.check) else { continue };
        if args.check.as_ref().is_some_and(|name| **name != *check.name) {
            continue;
        }
        let (address, resolved) =
            ask::resolve_by(&loaded.resolver, &target.address).map_err(|why| why + "\n")?;
        questions.push(Question {
            server: format!("{pool_name}/{server_name}"),
            check: check.name.to_string(),
            text: format!("check {}\n", check.name),
            address,
            resolved,
            spec: target.spec.clone(),
            timing: target.timing,
        });
    }
    match (questions.is_empty(), &args.check) {
        (false, _) => Ok(questions),
        (true, Some(name)) => Err(format!("no check `{name}` of pool `{pool_name}`: there are {known}\n")),
        (true, None) => Err(format!("nobody checks `{target}`\n")),
    }
}
