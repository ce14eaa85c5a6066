//! `cargo xtask bench`: the tables of speed and memory, each row with its goal and whether it was met. What
//! is measured and how is in the files below; this one tells on what machine and prints.

mod checks;
mod director;
mod relay;

use crate::child::{self, Show, command};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The programs that are measured beside evenkeel.
pub(crate) struct Peers {
    /// `--haproxy PATH`, or the one of `PATH`.
    pub(crate) haproxy: PathBuf,
    /// `--nginx PATH`, or the one of `PATH`.
    pub(crate) nginx: PathBuf,
}

/// One row of a table.
pub(crate) struct Row {
    /// What was measured, with its unit.
    pub(crate) what: String,
    /// What it should be; empty if it is only reported.
    pub(crate) goal: String,
    /// What it was.
    pub(crate) got: String,
    /// Whether the goal was met; `None` if there is none.
    pub(crate) met: Option<bool>,
}

/// All tables, or the one asked for.
pub(crate) fn main(words: &[&str]) -> Result<ExitCode, String> {
    let mut peers = Peers { haproxy: "haproxy".into(), nginx: "nginx".into() };
    let mut chosen = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--haproxy" => peers.haproxy = words.next().ok_or("--haproxy needs a path")?.into(),
            "--nginx" => peers.nginx = words.next().ok_or("--nginx needs a path")?.into(),
            "checks" | "relay" | "director" => chosen.push(*word),
            other => return Err(format!("`{other}` is no bench; there are checks, relay and director")),
        }
    }
    machine(&peers);
    let mut missed = 0;
    type Bench = fn(&Peers) -> Result<Vec<Row>, String>;
    let benches: [(&str, Bench); 3] =
        [("checks", checks::run), ("relay", relay::run), ("director", director::run)];
    for (name, bench) in benches {
        if chosen.is_empty() || chosen.contains(&name) {
            let rows = bench(&peers)?;
            print(name, &rows);
            missed += rows.iter().filter(|row| row.met == Some(false)).count();
        }
    }
    println!("\n{missed} goals missed");
    Ok(ExitCode::from(u8::from(missed > 0)))
}

/// Builds something the way it is measured.
pub(crate) fn build(words: &str) -> Result<(), String> {
    let line = format!("cargo build --profile bench --quiet {words}");
    let done = child::run(command(&line), Duration::from_secs(1800), Show::All);
    let done = done.map_err(|error| format!("{line}: {error}"))?;
    if done.good() { Ok(()) } else { Err(format!("{line}: failed")) }
}

fn machine(peers: &Peers) {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    println!("cpu: {}, {cores} cores to run on", model.trim_start_matches([' ', '\t', ':']));
    println!("memory: {}", memory.lines().next().unwrap_or_default().trim_start_matches("MemTotal:").trim());
    println!("kernel: {}", said("uname -r"));
    println!("rust: {}", said("rustc --version"));
    println!("haproxy: {}", said(&format!("{} -v", peers.haproxy.display())));
    println!("nginx: {}", said(&format!("{} -v", peers.nginx.display())));
    println!("commit: {}", said("git rev-parse --short HEAD"));
}

/// The first line of what a command says.
fn said(line: &str) -> String {
    let done = child::run(command(line), Duration::from_secs(10), Show::Nothing);
    let text = done.map(|done| done.text).unwrap_or_default();
    text.lines().next().unwrap_or("not found").to_owned()
}

fn print(name: &str, rows: &[Row]) {
    println!("\n== {name} ==");
    let width =
        |cell: fn(&Row) -> &str| rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0).max(6);
    let (what, goal, got) = (width(|row| &row.what), width(|row| &row.goal), width(|row| &row.got));
    println!("{:what$}  {:>goal$}  {:>got$}  verdict", "what", "goal", "got");
    for row in rows {
        let verdict = match row.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "reported",
        };
        println!("{:what$}  {:>goal$}  {:>got$}  {verdict}", row.what, row.goal, row.got);
    }
}
