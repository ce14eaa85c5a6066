//! Whatever config is shown to people is a good one: the examples, the stories, the documents.

use evenkeel::config::{self, load, load_text};
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder whose names end so.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(top().join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == end)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no .{end}");
    paths
}

#[test]
fn every_example_is_valid_and_in_the_one_style() {
    for path in files("examples", "conf") {
        let loaded = load(&path, None).unwrap_or_else(|told| panic!("{told}"));
        assert_eq!(loaded.told.to_string(), "", "{}", path.display());
        let text = std::fs::read_to_string(&path).expect("it was loaded");
        let (tree, _) = evenkeel_syntax::parse("", text.as_bytes());
        assert_eq!(evenkeel_syntax::format(&tree), text, "`evenkeel fmt --write` mends {}", path.display());
    }
}

/// A story that wants a bad config calls it `wrong`, or says `run fails with`.
#[test]
fn every_config_of_a_story_is_valid() {
    for path in files("tests/stories", "story") {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let (tree, errors) = evenkeel_syntax::parse("story", text.as_bytes());
        assert_eq!(errors, [], "{}", path.display());
        for line in tree.root.into_iter().filter(|line| line.words[0].is("config")) {
            let wrong = line.words.get(1).is_some_and(|name| name.is("wrong"));
            let root = line.block.map_or(Vec::new(), |block| block.directives);
            let words = evenkeel_syntax::format(&evenkeel_syntax::Tree { root, ..Default::default() });
            match load_text("config", &words.replace("$DIR", "/run"), None) {
                Ok(_) => assert!(!wrong, "{}: `config wrong` is right", path.display()),
                Err(told) => assert!(wrong || text.contains(" fails with"), "{}\n{told}", path.display()),
            }
        }
    }
}

#[test]
fn the_reference_is_fresh() {
    let path = top().join("docs/reference.md");
    let reference = config::reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &reference).expect("it can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == reference, "docs/reference.md is stale: UPDATE=1 cargo test rewrites it");
}

#[test]
fn the_examples_of_the_reference_are_valid() {
    let reference = config::reference();
    let mut blocks = reference.split("\n```\n").skip(1).step_by(2);
    let named = blocks.find(|block| block.contains("like http")).expect("inheritance has an example");
    let service = "service web {\n    listen 127.0.0.1:80\n    pool web\n}\n";
    load_text("reference", &format!("{named}\n{service}"), None).unwrap_or_else(|told| panic!("{told}"));
}
