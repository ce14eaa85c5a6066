//! The house style, as far as a machine can see it: sizes, dependency direction, names, and what must not be
//! in the tree.

mod rust_text;
mod tree;

use rust_text::{code_lines, functions};
use std::path::Path;
use tree::{Faults, files, root, under};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
/// rustfmt holds code to 110; prose and texts may go a word further rather than break badly.
const COLUMNS: usize = 120;

/// Words that may not be in a Rust file, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run proves nothing"),
    ("todo!(", "unfinished"),
    ("unimplemented!(", "unfinished"),
    ("dbg!(", "left over"),
    ("TODO", "an issue is the place for it"),
    ("FIXME", "an issue is the place for it"),
    ("XXX", "an issue is the place for it"),
];

/// Names that say nothing: ends of types' names, and files' names.
const EMPTY_NAMES: &[&str] = &["Manager", "Handler", "Helper", "Helpers", "Util", "Utils"];
const EMPTY_FILES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "manager", "handler"];

/// Which crates of this workspace a crate may depend on.
const DIRECTION: &[(&str, &[&str])] = &[
    ("evenkeel-syntax", &[]),
    ("evenkeel-core", &[]),
    ("evenkeel-check", &["evenkeel-core", "evenkeel-syntax"]),
    ("evenkeel-plane", &["evenkeel-core", "evenkeel-syntax"]),
    ("evenkeel", &["evenkeel-check", "evenkeel-core", "evenkeel-plane", "evenkeel-syntax"]),
];

/// Dialogues that cannot fail, and why.
const NEVER_FAIL: &[(&str, &str)] = &[("silence", "asks nothing, so no answer can be wrong")];

/// Places on somebody's machine. Documents and sources speak of the project only.
const PLACES: &[&str] = &["/home/", "/root/", "/work/", "/Users/"];

/// Hosts that a text may point to, beside addresses and the names that RFC 2606 and RFC 6761 set aside.
const HOSTS: &[&str] = &[
    "www.rfc-editor.org",
    "docs.kernel.org",
    "www.haproxy.org",
    "docs.haproxy.org",
    "nginx.org",
    "doc.rust-lang.org",
    "www.apache.org",
    "keepachangelog.com",
    "semver.org",
    "json-schema.org",
    "no-color.org",
];
const RESERVED: &[&str] =
    &[".example", ".test", ".invalid", ".internal", ".local", "example.com", "example.net", "example.org"];

#[test]
fn rust_files_keep_the_house_style() {
    let mut faults = Faults::default();
    for (path, text) in files(&["rs"]) {
        sizes(&mut faults, &path, &text);
        words(&mut faults, &path, &text);
        names(&mut faults, &path, &text);
        if !text.starts_with("//!") {
            faults.add(&path, 1, "opening", "opens without a `//!` that says what it is for");
        }
    }
    faults.none();
}

#[test]
fn there_are_two_traits() {
    let mut traits: Vec<String> = Vec::new();
    for (_, text) in files(&["rs"]) {
        traits.extend(code_lines(&text).iter().filter_map(|line| item_name(line, &["trait"])));
    }
    traits.sort();
    assert_eq!(traits, ["Dialogue", "Plane"], "closed enums are the rule; a trait changes the architecture");
}

#[test]
fn dependencies_point_down() {
    for (name, allowed) in DIRECTION {
        let manifest = root().join("crates").join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let (own, others) = dependencies(&text);
        for dependency in &own {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not know {dependency}");
        }
        assert!(!allowed.is_empty() || others.is_empty(), "{name} has no dependencies, not {others:?}");
    }
    let crates = std::fs::read_dir(root().join("crates")).unwrap().count();
    assert_eq!(crates, DIRECTION.len(), "a crate that is not in DIRECTION");
}

#[test]
fn every_dialogue_has_a_transcript_that_passes_and_one_that_fails() {
    let transcripts = under(&root().join("crates/evenkeel-check/tests/dialogues"), &["txt"]);
    let mut kinds = 0;
    for (path, text) in under(&root().join("crates/evenkeel-check/src/dialogue"), &["rs"]) {
        if !code_lines(&text).iter().any(|line| line.starts_with("impl Dialogue for ")) {
            continue;
        }
        kinds += 1;
        let kind = path.strip_prefix("crates/evenkeel-check/src/dialogue/").unwrap();
        let kind = kind.trim_end_matches(".rs").split('/').next().unwrap();
        let ends = |end: &str| {
            let ends_so = |text: &str| text.lines().any(|line| line.trim_start().starts_with(end));
            transcripts.iter().any(|(name, text)| name.contains(kind) && ends_so(text))
        };
        let may_fail = !NEVER_FAIL.iter().any(|(never, _)| *never == kind);
        // A failing one ends with the reason, which begins with its layer.
        assert!(ends("pass") && ends("L") == may_fail, "{kind} needs transcripts that pass and that fail");
    }
    assert!(kinds > 0, "found no dialogue at all");
}

#[test]
fn texts_name_no_machine() {
    let mut faults = Faults::default();
    for (path, text) in files(&["rs", "md", "toml", "txt", "conf", "story", "json", "run"]) {
        for (at, line) in text.lines().enumerate() {
            for place in PLACES.iter().filter(|place| line.contains(**place)) {
                faults.add(&path, at + 1, "place", &format!("`{place}…` is a place on somebody's machine"));
            }
            for host in hosts(line).into_iter().filter(|host| !may_be_named(host)) {
                faults.add(&path, at + 1, "host", &format!("`{host}` is not in HOSTS"));
            }
        }
    }
    faults.none();
}

#[test]
fn exceptions_are_still_there() {
    for (file, rule, reason) in tree::EXCEPTIONS {
        assert!(root().join(file).exists(), "{file} is gone, and with it its exception ({rule}: {reason})");
    }
}

fn sizes(faults: &mut Faults, path: &str, text: &str) {
    let lines = text.lines().count();
    if lines > FILE_LINES {
        faults.add(path, lines, "file", &format!("{lines} lines, {FILE_LINES} are allowed"));
    }
    for (at, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > COLUMNS {
            faults.add(path, at + 1, "columns", &format!("{columns} columns, {COLUMNS} are allowed"));
        }
    }
    for (at, name, length) in functions(text) {
        if length > FUNCTION_LINES {
            faults.add(
                path,
                at,
                "function",
                &format!("{name}: {length} lines, {FUNCTION_LINES} are allowed"),
            );
        }
    }
}

fn words(faults: &mut Faults, path: &str, text: &str) {
    for (at, line) in text.lines().enumerate() {
        for (word, why) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
            faults.add(path, at + 1, "word", &format!("`{word}`: {why}"));
        }
    }
}

fn names(faults: &mut Faults, path: &str, text: &str) {
    for (at, line) in code_lines(text).iter().enumerate() {
        let Some(name) = item_name(line, &["struct", "enum", "trait", "type"]) else { continue };
        if EMPTY_NAMES.iter().any(|end| name.ends_with(end)) {
            faults.add(path, at + 1, "name", &format!("`{name}` does not say what it is"));
        }
    }
    let stem = Path::new(path).file_stem().expect("a file has a name").to_string_lossy().into_owned();
    if EMPTY_FILES.contains(&stem.as_str()) {
        faults.add(path, 1, "name", "a file named so does not say what is in it");
    }
}

/// The name of the item that a line begins, if it is of one of these kinds.
fn item_name(line: &str, kinds: &[&str]) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe");
    let kind = words.next()?;
    let name = words.next()?;
    kinds.contains(&kind).then(|| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// A manifest's dependencies: those of this workspace in every section, and the others not for tests only.
fn dependencies(manifest: &str) -> (Vec<String>, Vec<String>) {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    let mut section = "";
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let (true, Some((key, _))) = (section.contains("dependencies"), line.split_once('=')) {
            let name = key.trim().trim_end_matches(".workspace").to_owned();
            match name.starts_with("evenkeel") {
                true => own.push(name),
                false if section == "[dependencies]" => others.push(name),
                false => {}
            }
        }
    }
    (own, others)
}

/// The hosts of the links in a line.
fn hosts(line: &str) -> Vec<&str> {
    let links = line.match_indices("://").map(|(at, mark)| &line[at + mark.len()..]);
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-');
    links.map(|link| link.split(end).next().unwrap_or_default()).filter(|host| !host.is_empty()).collect()
}

fn may_be_named(host: &str) -> bool {
    let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    // A single word is a placeholder or a name of a test's own making.
    let bare = !host.trim_matches('.').contains('.');
    numeric || bare || HOSTS.contains(&host) || RESERVED.iter().any(|end| host.ends_with(end))
}
