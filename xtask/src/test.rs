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
    let mut tally = Tally::default();
    if root {
        heading("packages");
        if let Err(why) = packages::install() {
            println!("{why}");
            tally.fail("packages", &why);
        }
    } else if let Some(line) = packages::line() {
        println!("without root the parts that need Debian packages are left out; as root:\n  {line}");
    }
    tally.step("formatting", command("cargo fmt --all --check"), 60);
    tally.step("lints", command("cargo clippy --workspace --all-targets --quiet -- -D warnings"), 1500);
    let system = if root { system_tests() } else { BTreeSet::new() };
    tally.tests("tests", command("cargo test --workspace --no-fail-fast"), 1500, &system);
    if !system.is_empty() {
        let targets: String = system.iter().map(|name| format!(" --test {name}")).collect();
        let mut run = command(&format!("cargo test --workspace --no-fail-fast{targets} -- --test-threads=1"));
        run.env("EVENKEEL_SYSTEM", "1");
        tally.tests("system tests", run, 900, &BTreeSet::new());
    }
    // The same packages as above, so that features and with them all that is compiled stay the same.
    tally.step(
        "programs, benches and fuzz targets build",
        command("cargo build --workspace --examples --bins"),
        900,
    );
    fuzz(&mut tally);
    if root {
        heading("stories");
        match stories::all(&[], false) {
            Ok(played) => played.iter().for_each(|played| tally.one(&played.name, &played.done)),
            Err(why) => println!("-- stories: {}", tally.fail("stories", &why)),
        }
    }
    let mut demo = Command::new(child::built("evenkeel"));
    demo.args(["demo", "--for", "15s"]);
    tally.step("the demo", demo, 90);
    Ok(tally.end(root, began.elapsed()))
}

impl Tally {
    /// One command that passes or fails as a whole.
    fn step(&mut self, name: &str, command: Command, limit_secs: u64) {
        heading(name);
        self.one(name, &run(command, limit_secs, Show::All));
    }

    /// A `cargo test`, whose tests count one by one, but not those of the targets in `later`.
    fn tests(&mut self, name: &str, command: Command, limit_secs: u64, later: &BTreeSet<String>) {
        heading(name);
        let done = run(command, limit_secs, Show::All);
        let text = done.as_ref().map_or("", |done| &done.text);
        let (passed, failed) = count(text, later);
        self.passed += passed;
        self.failed += failed;
        if failed > 0 {
            self.names.push(format!("{name}: {failed} tests"));
        } else if !done.as_ref().is_ok_and(Done::good) {
            self.one(name, &done);
        } else if passed == 0 {
            self.fail(name, "not one test ran");
        }
        println!("-- {name}: {passed} passed, {failed} failed");
    }

    /// Counts something that passes or fails as a whole.
    fn one(&mut self, name: &str, done: &Result<Done, String>) {
        let status = done.as_ref().map(|done| done.status);
        let verdict = match status {
            Ok(Some(status)) if status.success() => {
                self.passed += 1;
                "passed".to_owned()
            }
            Ok(Some(status)) => self.fail(name, &status.to_string()),
            Ok(None) => self.fail(name, "killed at its deadline"),
            Err(why) => self.fail(name, why),
        };
        let took = done.as_ref().map_or(Duration::ZERO, |done| done.took);
        println!("-- {name}: {verdict} in {}", seconds(took));
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
fn fuzz(tally: &mut Tally) {
    let targets = fuzz_targets();
    if targets.is_empty() {
        return;
    }
    heading("fuzzing, a minute each");
    for pair in targets.chunks(2) {
        let done: Vec<Result<Done, String>> = std::thread::scope(|scope| {
            let fuzz = |name: &str| {
                let mut fuzz = Command::new(child::built(&format!("examples/{name}")));
                fuzz.arg("60").current_dir(child::root());
                run(fuzz, 120, Show::Nothing)
            };
            let running: Vec<_> = pair.iter().map(|target| scope.spawn(move || fuzz(target))).collect();
            running.into_iter().map(|thread| thread.join().expect("running a child does not panic")).collect()
        });
        for (name, done) in pair.iter().zip(done) {
            let lines: Vec<&str> = done.as_ref().map_or("", |done| &done.text).lines().collect();
            let shown = if done.as_ref().is_ok_and(Done::good) { 3 } else { lines.len() };
            println!("{}", lines[lines.len().saturating_sub(shown)..].join("\n"));
            tally.one(name, &done);
        }
    }
}

/// Every example that is called `fuzz_…`.
fn fuzz_targets() -> Vec<String> {
    let examples = named_files("examples").into_iter().map(|(name, _)| name);
    examples.filter(|name| name.starts_with("fuzz_")).collect()
}

/// Every integration test that does more when `EVENKEEL_SYSTEM` is set: by its text, or by its name.
fn system_tests() -> BTreeSet<String> {
    let tests = named_files("tests").into_iter();
    let gated =
        |(name, text): &(String, String)| name.starts_with("system_") || text.contains("\"EVENKEEL_SYSTEM\"");
    tests.filter(gated).map(|(name, _)| name).collect()
}

/// `(name, text)` of the targets in a folder of every crate: `NAME.rs` or `NAME/*.rs`.
fn named_files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for package in entries(&child::root().join("crates")) {
        for file in entries(&package.join(folder)) {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
            if file.extension().is_some_and(|end| end == "rs") {
                found.push((name, read(&file)));
            } else if file.join("main.rs").exists() {
                found.push((name, entries(&file).iter().map(|part| read(part)).collect()));
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
            counts = !later.contains(name.trim_end_matches("/main"));
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
        assert_eq!(count(text, &BTreeSet::from(["wire".to_owned()])), (8, 2));
    }
}
