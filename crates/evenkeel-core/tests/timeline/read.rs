//! Reads what stands above the dashes of a timeline. The words are those of the config, one setting a line.

use evenkeel_core::config::{
    Address, Balance, Check, CheckId, Config, Down, Pool, PoolId, Require, Rule, Server, ServerId, Timing,
};
use evenkeel_core::source::Seed;
use evenkeel_core::{Health, Span, Time};
use std::sync::Arc;

pub(crate) struct Timeline {
    pub(crate) config: Arc<Config>,
    pub(crate) column: Span,
    pub(crate) lines: Vec<Line>,
    pub(crate) log: bool,
    /// What a run before this one knew, by server; of the first check.
    pub(crate) restored: Vec<(ServerId, Seed)>,
}

pub(crate) struct Line {
    pub(crate) what: What,
    pub(crate) columns: Vec<char>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Sees(ServerId, usize),
    Is(ServerId, usize),
    Told(ServerId),
    Reload,
}

pub(crate) fn read(text: &str) -> Result<Timeline, String> {
    let mut timeline = Timeline {
        config: Arc::default(),
        column: Span::ZERO,
        lines: Vec::new(),
        log: false,
        restored: Vec::new(),
    };
    let mut pool = Pool {
        id: PoolId(0),
        name: "web".into(),
        servers: Vec::new(),
        checks: Vec::new(),
        require: Require::All,
        balance: Balance::Weighted,
        min_serving: 0,
        slow_start: Span::ZERO,
    };
    let (mut timing, mut rule) = (Timing::default(), Rule::default());
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        read_line(line, &mut timeline, &mut pool, &mut timing, &mut rule)
            .map_err(|why| format!("{line}: {why}"))?;
    }
    if pool.checks.is_empty() {
        pool.checks.push(check(0, "http", timing, rule));
    }
    if timeline.column == Span::ZERO {
        timeline.column = timing.every;
    }
    timeline.config = Arc::new(Config { services: Vec::new(), pools: vec![Arc::new(pool)] });
    Ok(timeline)
}

fn read_line(
    line: &str,
    timeline: &mut Timeline,
    pool: &mut Pool,
    timing: &mut Timing,
    rule: &mut Rule,
) -> Result<(), String> {
    if let Some((head, columns)) = line.split_once('|') {
        let columns = columns.strip_suffix('|').ok_or("has no end")?.chars().collect();
        timeline.lines.push(Line { what: drawing(head, pool)?, columns });
        return Ok(());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["log"] => timeline.log = true,
        ["restored", name, ref words @ ..] => {
            let of =
                pool.servers.iter().find(|server| &*server.name == name).ok_or("no such server above")?;
            timeline.restored.push((of.id, seed(words)?));
        }
        ["column", span] => timeline.column = time(span)?,
        ["min-serving", percent] => pool.min_serving = number(percent.trim_end_matches('%'))?,
        ["slow-start", span] => pool.slow_start = time(span)?,
        ["require", "all"] => pool.require = Require::All,
        ["require", "any"] => pool.require = Require::Any,
        ["require", count] => pool.require = Require::AtLeast(number(count)?),
        ["check", name, ref settings @ ..] => {
            let (mut timing, mut rule) = (*timing, *rule);
            read_settings(settings, &mut timing, &mut rule)?;
            pool.checks.push(check(pool.checks.len(), name, timing, rule));
        }
        ["server", name, "weight", weight] => pool.servers.push(server(pool, name, number(weight)?, false)),
        ["server", name] => pool.servers.push(server(pool, name, 1, false)),
        ["backup", name] => pool.servers.push(server(pool, name, 1, true)),
        ref settings => read_settings(settings, timing, rule)?,
    }
    Ok(())
}

fn read_settings(mut words: &[&str], timing: &mut Timing, rule: &mut Rule) -> Result<(), String> {
    while !words.is_empty() {
        words = match words {
            ["down", "after", count, "fail" | "fails", rest @ ..] => {
                let spread = if *count == "1" { Span::ZERO } else { Span::from_secs(1) };
                rule.down = Down::Fails { count: number(count)?, spread };
                rest
            }
            ["over", span, rest @ ..] => {
                if let Down::Fails { spread, .. } = &mut rule.down {
                    *spread = time(span)?;
                }
                rest
            }
            ["down", "after", span, rest @ ..] => {
                rule.down = Down::NoPassFor(time(span)?);
                rest
            }
            ["up", "after", count, "pass" | "passes", rest @ ..] => {
                rule.up_passes = number(count)?;
                rest
            }
            ["every", span, rest @ ..] => {
                timing.every = time(span)?;
                rest
            }
            ["timeout", span, rest @ ..] => {
                timing.timeout = time(span)?;
                rest
            }
            _ => return Err(format!("what is {}?", words[0])),
        };
    }
    Ok(())
}

/// `up`, `down`, `down hard`, `down stale`.
fn seed(words: &[&str]) -> Result<Seed, String> {
    let health = match words.first() {
        Some(&"up") => Health::Up,
        Some(&"down") => Health::Down,
        _ => return Err("restored as what?".to_owned()),
    };
    let (hard, stale) = (words.contains(&"hard"), words.contains(&"stale"));
    Ok(Seed { health, hard, since: Time::ZERO, stale })
}

fn drawing(head: &str, pool: &Pool) -> Result<What, String> {
    let words: Vec<&str> = head.split_whitespace().collect();
    let server = |name: &str| {
        let found = pool.servers.iter().find(|server| &*server.name == name);
        found.map(|server| server.id).ok_or(format!("no server {name}"))
    };
    let check = |name: &str| {
        let found = pool.checks.iter().position(|check| &*check.name == name);
        found.ok_or(format!("no check {name} above"))
    };
    match words[..] {
        ["reload"] => Ok(What::Reload),
        [name, "told"] => Ok(What::Told(server(name)?)),
        [name, "sees"] => Ok(What::Sees(server(name)?, 0)),
        [name, "sees", of] => Ok(What::Sees(server(name)?, check(of)?)),
        [name, "is"] => Ok(What::Is(server(name)?, 0)),
        [name, "is", of] => Ok(What::Is(server(name)?, check(of)?)),
        _ => Err("draws what?".to_owned()),
    }
}

fn check(at: usize, name: &str, timing: Timing, rule: Rule) -> Check {
    Check { id: CheckId(at as u32), name: name.into(), timing, rule }
}

fn server(pool: &Pool, name: &str, weight: u16, backup: bool) -> Server {
    let at = pool.servers.len() as u32;
    let address = Address::Ip(([10, 0, 0, at as u8], 80).into());
    Server { id: ServerId(at), name: name.into(), address, weight, backup }
}

fn time(word: &str) -> Result<Span, String> {
    let (digits, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
    let unit = match unit {
        "ms" => Span::from_millis(1),
        "s" => Span::from_secs(1),
        "m" => Span::from_secs(60),
        _ => return Err(format!("{word} is no time")),
    };
    Ok(unit.times(number(digits)?))
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("{word} is no number"))
}
