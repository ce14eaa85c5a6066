//! The project's files, and the list of faults found in them with its exceptions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `(file, rule, reason)`: the only places where a rule may be broken.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("crates/evenkeel/tests/tidy/main.rs", "word", "has to spell what it forbids"),
    ("crates/evenkeel/tests/tidy/main.rs", "place", "has to spell what it forbids"),
];

/// What was found, one line each.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// One more, unless it is excepted.
    pub(crate) fn add(&mut self, path: &str, line: usize, rule: &str, what: &str) {
        if !EXCEPTIONS.iter().any(|(file, excepted, _)| *file == path && *excepted == rule) {
            self.0.push(format!("{path}:{line}: {what}"));
        }
    }

    /// Fails with all of them.
    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

/// `(path from the root, text)` of every file of the project with one of these endings.
pub(crate) fn files(ends: &[&str]) -> Vec<(String, String)> {
    let folders = ["crates", "xtask", "tests", "docs", "examples"];
    let deep = folders.iter().flat_map(|folder| under(&root().join(folder), ends));
    let top = paths(&root()).into_iter().filter(|path| path.is_file()).filter_map(|path| read(&path, ends));
    let found: BTreeMap<String, String> = deep.chain(top).collect();
    assert!(!found.is_empty(), "no files at all: is the root right?");
    found.into_iter().collect()
}

/// The same of one folder and those in it.
pub(crate) fn under(folder: &Path, ends: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in paths(folder) {
        if path.is_dir() {
            found.extend(under(&path, ends));
        } else {
            found.extend(read(&path, ends));
        }
    }
    found
}

/// Where the workspace lies.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the crate lies in the workspace")
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name != "target"))
        .collect()
}

fn read(path: &Path, ends: &[&str]) -> Option<(String, String)> {
    let end = path.extension()?.to_str()?;
    let short = path.strip_prefix(root()).ok()?.to_string_lossy().into_owned();
    // Test data may be no text on purpose.
    ends.contains(&end).then(|| (short, std::fs::read_to_string(path).unwrap_or_default()))
}
