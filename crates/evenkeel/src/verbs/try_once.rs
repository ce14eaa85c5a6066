//! `evenkeel try`: runs every check of a config once against the real servers; changes nothing.

use super::ask;
use crate::config::{self, DEFAULT_PATH, Loaded};
use crate::screen::{self, Columns, Tone, paint};
use evenkeel_check::engine::Target;
use evenkeel_check::once::probe_once;
use evenkeel_core::config::{Address, Config, Pool, Server};
use evenkeel_core::evidence::{Evidence, Kind, Reason, Verdict};
use evenkeel_core::source::Opinion;
use evenkeel_core::table::{Duty, PoolTable};
use evenkeel_core::{Change, Director, Health, Input, Span, Time};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs every check of a config once against the real servers; changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0: every pool would serve; 1: a pool would be empty, or the config is not valid."
)]
pub struct Args {
    /// The config, in words or as JSON.
    #[arg(default_value = DEFAULT_PATH)]
    file: PathBuf,
    /// Prints one JSON object, times in nanoseconds.
    #[arg(long)]
    json: bool,
}

/// Probes under way at the same time: each one waits on a thread of its own.
const WIDTH: usize = 64;

/// One check on one server, and what came of it.
#[derive(Debug)]
struct Finding {
    target: Target,
    evidence: Evidence,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let loaded = match config::load(&args.file, None) {
        Ok(loaded) => loaded,
        Err(told) => {
            eprint!("{told}");
            return ExitCode::FAILURE;
        }
    };
    eprint!("{}", loaded.told);
    let (config, homeless) = with_addresses(&loaded);
    let targets = loaded.targets(&config);
    let findings = probe_all(targets, &homeless);
    let tables = decide(&config, &findings);
    let shown = match args.json {
        true => format!("{:#}\n", as_json(&config, &tables, &findings)),
        false => as_text(&loaded, &config, &tables, &findings),
    };
    // A closed pipe (`| head`) is a reader that has had enough.
    let _closed = std::io::stdout().write_all(shown.as_bytes());
    let empty = tables.iter().any(|table| table.serving().next().is_none());
    if empty { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The config with every name replaced by its first address, and why some have none.
fn with_addresses(loaded: &Loaded) -> (Config, BTreeMap<Address, String>) {
    let config = &loaded.config;
    let mut names: Vec<Address> = Vec::new();
    for server in config.pools.iter().flat_map(|pool| &pool.servers) {
        if matches!(server.address, Address::Name(..)) && !names.contains(&server.address) {
            names.push(server.address.clone());
        }
    }
    let answers = in_parallel(names, |name| (name.clone(), ask::resolve_by(&loaded.resolver, &name)));
    let mut found: BTreeMap<Address, Address> = BTreeMap::new();
    let mut homeless: BTreeMap<Address, String> = BTreeMap::new();
    for (name, answer) in answers {
        match answer {
            Ok((address, _)) => drop(found.insert(name, address)),
            Err(why) => drop(homeless.insert(name, why)),
        }
    }
    let mut config = Config::clone(config);
    for pool in &mut config.pools {
        let mut servers = Pool::clone(pool);
        for server in &mut servers.servers {
            if let Some(address) = found.get(&server.address) {
                server.address = address.clone();
            }
        }
        *pool = servers.into();
    }
    (config, homeless)
}

fn probe_all(targets: Vec<Target>, homeless: &BTreeMap<Address, String>) -> Vec<Finding> {
    in_parallel(targets, |target| {
        let evidence = match homeless.iter().find(|(name, _)| same_host(name, &target.address)) {
            Some((_, why)) => Evidence::plain(Verdict::Fail(Reason::local(why.clone())), Span::ZERO),
            None => probe_once(&target.spec, &target.address, &target.timing).evidence,
        };
        Finding { target, evidence }
    })
}

/// Whether two names are the same; a check may ask another port.
fn same_host(name: &Address, other: &Address) -> bool {
    match (name, other) {
        (Address::Name(name, _), Address::Name(other, _)) => name == other,
        _ => false,
    }
}

/// Does something with each, [`WIDTH`] at a time, and keeps the order.
fn in_parallel<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let count = things.len();
    let things: Vec<Mutex<Option<T>>> = things.into_iter().map(|thing| Mutex::new(Some(thing))).collect();
    let results: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let worker = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { return };
            let thing = thing.lock().expect("nobody panics with it").take().expect("each is taken once");
            *results[at].lock().expect("nobody panics with it") = Some(work(thing));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..WIDTH.min(count) {
            scope.spawn(worker);
        }
        worker();
    });
    let done = results.into_iter().map(|result| result.into_inner().expect("nobody panicked"));
    done.map(|result| result.expect("each was worked on")).collect()
}

/// What the daemon would do, if these outcomes were the first it saw: its own director is asked.
fn decide(config: &Config, findings: &[Finding]) -> Vec<PoolTable> {
    let mut director = Director::new(Time::ZERO, config.clone().into());
    for finding in findings {
        let (health, hard) = match &finding.evidence.verdict {
            Verdict::Pass => (Health::Up, false),
            // Our own faults say nothing about the server.
            Verdict::Fail(reason) if reason.kind == Kind::Local => continue,
            Verdict::Fail(reason) => (Health::Down, reason.kind == Kind::Hard),
        };
        let change = Change {
            server: finding.target.server,
            check: finding.target.check,
            opinion: Opinion { health, hard, avoid: hard, streak: 1 },
            evidence: finding.evidence.clone(),
        };
        director.handle(Time::ZERO, Input::Change(change));
    }
    director.table().pools.iter().map(|table| PoolTable::clone(table)).collect()
}

fn as_text(loaded: &Loaded, config: &Config, tables: &[PoolTable], findings: &[Finding]) -> String {
    let coloured = screen::coloured();
    let mut text = String::new();
    for (pool, table) in config.pools.iter().zip(tables) {
        let serving: Vec<&str> = table.serving().map(|row| &*row.name).collect();
        let says = match serving.is_empty() {
            true => paint("nobody would serve", Tone::Bad, coloured),
            false => format!("would serve: {}", serving.join(", ")),
        };
        text += &format!("pool {}: {says}\n", paint(&pool.name, Tone::Bold, coloured));
        let mut columns = Columns::default();
        for server in &pool.servers {
            let duty = table.rows.iter().find(|row| row.server == server.id).map(|row| row.duty);
            let mut first = Some(server);
            for finding in findings.iter().filter(|finding| finding.target.server == server.id) {
                columns.row(row(loaded, pool, first.take(), duty, Some(finding)));
            }
            if first.is_some() {
                columns.row(row(loaded, pool, first, duty, None));
            }
        }
        text += &columns.draw("    ", coloured);
    }
    text
}

/// A line of the table; the server's own columns stand on its first line only.
fn row(
    loaded: &Loaded,
    pool: &Pool,
    server: Option<&Server>,
    duty: Option<Duty>,
    finding: Option<&Finding>,
) -> Vec<(String, Tone)> {
    let plain = |text: &str| (text.to_string(), Tone::Plain);
    let mut cells = match (server, duty) {
        (Some(server), Some(duty)) => {
            let tone = if duty == Duty::Serve { Tone::Good } else { Tone::Fair };
            let word = match (server.backup, duty) {
                (true, Duty::Serve) => "serving (backup)".to_string(),
                (true, _) => "waiting (backup)".to_string(),
                (false, duty) => duty.to_string(),
            };
            vec![plain(&server.name), plain(&server.address.to_string()), (word, tone)]
        }
        _ => vec![plain(""), plain(""), plain("")],
    };
    let Some(finding) = finding else {
        cells.push(("nobody asks it".into(), Tone::Dim));
        return cells;
    };
    let check = pool.checks.iter().find(|check| check.id == finding.target.check);
    let port = loaded.checks.get(&finding.target.check).and_then(|used| used.port);
    let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
    cells.push(plain(&format!("{}{port}", check.map_or("", |check| &*check.name))));
    cells.push((finding.evidence.took.to_string(), Tone::Dim));
    cells.push(match &finding.evidence.verdict {
        Verdict::Pass => ("pass".into(), Tone::Good),
        Verdict::Fail(reason) => (reason.to_string(), Tone::Bad),
    });
    cells
}

fn as_json(config: &Config, tables: &[PoolTable], findings: &[Finding]) -> serde_json::Value {
    let pools = config.pools.iter().zip(tables).map(|(pool, table)| {
        let servers = pool.servers.iter().map(|server| {
            let checks =
                findings.iter().filter(|finding| finding.target.server == server.id).map(|finding| {
                    let check = pool.checks.iter().find(|check| check.id == finding.target.check);
                    let reason = finding.evidence.verdict.reason();
                    json!({
                        "check": check.map(|check| &*check.name),
                        "address": finding.target.address.to_string(),
                        "verdict": if reason.is_none() { "pass" } else { "fail" },
                        "reason": reason.map(ToString::to_string),
                        "took_ns": finding.evidence.took.as_nanos(),
                    })
                });
            let duty = table.rows.iter().find(|row| row.server == server.id).map(|row| row.duty.to_string());
            json!({
                "name": &*server.name,
                "address": server.address.to_string(),
                "backup": server.backup,
                "duty": duty,
                "checks": checks.collect::<Vec<_>>(),
            })
        });
        json!({
            "name": &*pool.name,
            "serving": table.serving().map(|row| &*row.name).collect::<Vec<_>>(),
            "servers": servers.collect::<Vec<_>>(),
        })
    });
    json!({ "pools": pools.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_once_and_in_order() {
        let squares = in_parallel((0..1000).collect(), |number: u64| number * number);
        assert!(squares.iter().enumerate().all(|(at, square)| *square == (at * at) as u64));
        assert_eq!(squares.len(), 1000);
        assert!(in_parallel(Vec::<u8>::new(), |thing| thing).is_empty());
    }
}
