//! How many outcomes a second the core turns into verdicts on one core.

use super::{Peers, Row};
use crate::child::{self, Show, command};
use std::time::Duration;

/// At least this many outcomes a second.
const GOAL: f64 = 1e6;

/// Runs the core's own bench, whose last line of the form `NUMBER outcomes/s` counts.
pub(super) fn run(_peers: &Peers) -> Result<Vec<Row>, String> {
    super::build("--package evenkeel-core --example bench_director")?;
    let line = "cargo run --profile bench --quiet --package evenkeel-core --example bench_director";
    let done = child::run(command(line), Duration::from_secs(600), Show::All);
    let done = done.map_err(|error| format!("{line}: {error}"))?;
    if !done.good() {
        return Err(format!("{line}: failed"));
    }
    let rate =
        done.text.lines().rev().find_map(rate).ok_or("bench_director printed no `NUMBER outcomes/s`")?;
    Ok(vec![Row {
        what: "outcomes per second on one core".to_owned(),
        goal: format!("{:.0} million", GOAL / 1e6),
        got: format!("{:.2} million", rate / 1e6),
        met: Some(rate >= GOAL),
    }])
}

fn rate(line: &str) -> Option<f64> {
    let before = line.split("outcomes/s").next().filter(|before| before.len() < line.len())?;
    before.split_whitespace().last()?.replace([',', '_'], "").parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_its_line() {
        assert_eq!(super::rate("20 servers: 1,234,567 outcomes/s"), Some(1_234_567.0));
        assert_eq!(super::rate("no figures"), None);
    }
}
