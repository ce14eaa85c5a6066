//! `cargo xtask test`: every proof the project has, in the order in which it fails soonest.

use crate::child::{self, Done, Show, command};
use crate::packages;
use crate::stories;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What was counted so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    /// What failed, for the end of the output.
    names: Vec<String>,
}

/// Everything; prints `N passed, N failed` at the end.
pub(crate) fn main() -> Result<ExitCode, String> {
    let began = Instant::now();
    let root = child::is_root();
    if root {
        heading("packages");
        packages::install()?;
    } else if let Some(line) = packages::line() {
        println!("without root the parts that need Debian packages are left out; as root:\n  {line}");
    }
    let mut tally = Tally::default();
    tally.step("formatting", command("cargo fmt --all --check"), 60)?;
    tally.step("lints", command("cargo clippy --workspace --all-targets --quiet -- -D warnings"), 1500)?;
    let system = if root { system_tests() } else { BTreeSet::new() };
    tally.tests("tests", command("cargo test --workspace"), 1500, &system)?;
    if root {
        for test in &system {
            let (package, name) = test.split_once('/').expect("written so below");
            let mut run = command(&format!("cargo test --package {package} --test {name}"));
            run.env("EVENKEEL_SYSTEM", "1");
            tally.tests(&format!("system test {test}"), run, 600, &BTreeSet::new())?;
        }
    }
    fuzz(&mut tally)?;
    if root {
        heading("stories");
        for played in stories::all(&[], false)? {
            tally.one(&played.name, &played.done);
        }
    }
    tally.step("the demo", command("cargo run --quiet --package evenkeel -- demo --for 15s"), 90)?;
    tally.step("benches build", command("cargo build --workspace --examples --benches --quiet"), 900)?;
    Ok(tally.end(root, began.elapsed()))
}

impl Tally {
    /// One command that passes or fails as a whole.
    fn step(&mut self, name: &str, command: Command, limit_secs: u64) -> Result<(), String> {
        heading(name);
        let done = run(command, limit_secs, Show::All)?;
        self.one(name, &done);
        Ok(())
    }

    /// A `cargo test`, whose tests count one by one, but not those of the targets in `later`.
    fn tests(
        &mut self,
        name: &str,
        command: Command,
        limit_secs: u64,
        later: &BTreeSet<String>,
    ) -> Result<(), String> {
        heading(name);
        let done = run(command, limit_secs, Show::All)?;
        let (passed, failed) = count(&done.text, later);
        self.passed += passed;
        self.failed += failed;
        if failed > 0 {
            self.names.push(format!("{name}: {failed} tests"));
        } else if !done.good() {
            self.one(name, &done);
        } else if passed == 0 {
            self.fail(name, "not one test ran");
        }
        println!("-- {passed} passed, {failed} failed in {}", seconds(done.took));
        Ok(())
    }

    /// Counts something that passes or fails as a whole.
    pub(crate) fn one(&mut self, name: &str, done: &Done) {
        let verdict = match done.status {
            Some(status) if status.success() => {
                self.passed += 1;
                "passed".to_owned()
            }
            Some(status) => self.fail(name, &status.to_string()),
            None => self.fail(name, "killed at its deadline"),
        };
        println!("-- {name}: {verdict} in {}", seconds(done.took));
    }

    fn fail(&mut self, name: &str, why: &str) -> String {
        self.failed += 1;
        self.names.push(format!("{name}: {why}"));
        format!("FAILED ({why})")
    }

    fn end(self, root: bool, took: Duration) -> ExitCode {
        heading(&format!("all of it took {}", seconds(took)));
        for name in &self.names {
            println!("FAILED {name}");
        }
        if !root {
            println!("not run without root: system tests, stories; run `cargo xtask test` as root for them");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        match (self.failed, root) {
            (0, true) => ExitCode::SUCCESS,
            (0, false) => ExitCode::from(3),
            _ => ExitCode::from(1),
        }
    }
}

/// Every fuzz target for a minute, two at a time.
fn fuzz(tally: &mut Tally) -> Result<(), String> {
    let targets = fuzz_targets();
    if targets.is_empty() {
        return Ok(());
    }
    heading("fuzzing, a minute each");
    let build = targets.iter().map(|(package, name)| format!(" --package {package} --example {name}"));
    let build = format!("cargo build --quiet{}", build.collect::<String>());
    tally.one("fuzz targets build", &run(command(&build), 900, Show::All)?);
    for pair in targets.chunks(2) {
        let done: Vec<Result<Done, String>> = std::thread::scope(|scope| {
            let fuzz = |(package, name): &(String, String)| {
                let line = format!("cargo run --quiet --package {package} --example {name} -- 60");
                run(command(&line), 120, Show::Nothing)
            };
            let running: Vec<_> = pair.iter().map(|target| scope.spawn(move || fuzz(target))).collect();
            running.into_iter().map(|thread| thread.join().expect("running a child does not panic")).collect()
        });
        for ((_, name), done) in pair.iter().zip(done) {
            let done = done?;
            let lines: Vec<&str> = done.text.lines().collect();
            let shown = if done.good() { 3 } else { 60 };
            println!("{}", lines[lines.len().saturating_sub(shown)..].join("\n"));
            tally.one(name, &done);
        }
    }
    Ok(())
}

/// `(package, example)` of every example that is called `fuzz_…`.
fn fuzz_targets() -> Vec<(String, String)> {
    named_files("examples")
        .into_iter()
        .filter(|(_, name, _)| name.starts_with("fuzz_"))
        .map(|(package, name, _)| (package, name))
        .collect()
}

/// `package/test` of every integration test that does more when `EVENKEEL_SYSTEM` is set.
fn system_tests() -> BTreeSet<String> {
    let tests = named_files("tests").into_iter();
    let gated = tests.filter(|(_, _, text)| text.contains("\"EVENKEEL_SYSTEM\""));
    gated.map(|(package, name, _)| format!("{package}/{name}")).collect()
}

/// `(package, name, text)` of the Rust files directly in a folder of every crate.
fn named_files(folder: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for package in entries(&child::root().join("crates")) {
        for file in entries(&package.join(folder)) {
            if file.extension().is_some_and(|end| end == "rs") {
                let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                found.push((name(&package), name(&file), std::fs::read_to_string(&file).unwrap_or_default()));
            }
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let read = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = read.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Adds up the `test result:` lines of `cargo test`, which stand below a `Running tests/NAME.rs (…)` line
/// each. Targets in `later` are left out: they run again with more rights and are counted then.
fn count(text: &str, later: &BTreeSet<String>) -> (u64, u64) {
    let (mut passed, mut failed, mut counts) = (0, 0, true);
    for line in text.lines().map(str::trim_start) {
        if let Some(target) = line.strip_prefix("Running tests/") {
            let name = target.split(".rs").next().unwrap_or_default();
            counts = !later.iter().any(|test| test.split('/').nth(1) == Some(name));
        } else if line.starts_with("Running ") || line.starts_with("Doc-tests ") {
            counts = true;
        } else if let (Some(result), true) = (line.strip_prefix("test result: "), counts) {
            let number = |word: &str| -> u64 {
                let before = result.split(word).next().unwrap_or_default();
                before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
            };
            passed += number(" passed");
            failed += number(" failed");
        }
    }
    (passed, failed)
}

fn run(command: Command, limit_secs: u64, show: Show) -> Result<Done, String> {
    let told = format!("{command:?}");
    child::run(command, Duration::from_secs(limit_secs), show).map_err(|error| format!("{told}: {error}"))
}

fn heading(text: &str) {
    println!("\n== {text} ==");
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_cargo_says_and_nothing_twice() {
        let text = "     Running unittests src/lib.rs (target/debug/deps/a-1)\n\
                    test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
                    \x20    Running tests/wire.rs (target/debug/deps/wire-2)\n\
                    test result: ok. 3 passed; 0 failed; 0 ignored\n\
                    \x20  Doc-tests evenkeel_core\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(count(text, &BTreeSet::new()), (11, 2));
        assert_eq!(count(text, &BTreeSet::from(["evenkeel-check/wire".to_owned()])), (8, 2));
    }
}
