//! Words to model: reads a config file into what the core, the checks and the planes are told.

mod effective;
mod forms;
mod from_json;
mod ids;
mod inherit;
mod json;
mod judge;
mod model;
mod names;
mod pool;
mod print;
mod reference;
mod schema;
mod service;
mod targets;
mod vocabulary;

pub use print::{Spelling, json_schema, print, print_text};
pub use reference::reference;
pub use targets::CheckUse;

use crate::resolve::Source;
use evenkeel_core::config::{CheckId, Config, ServerId};
use evenkeel_syntax::diagnostic::Note;
use evenkeel_syntax::{Diagnostic, File, Place, Reading, Tree, paint, render};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

/// Where the config is, unless told otherwise.
pub const DEFAULT_PATH: &str = "/etc/evenkeel/evenkeel.conf";

/// A config that was read and found good.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the core and the planes are told. Servers given by name have no address yet.
    pub config: Arc<Config>,
    /// The same as it was written, as JSON: what `config --json` prints.
    pub json: serde_json::Value,
    /// What the engine is told of each check of the config.
    pub checks: BTreeMap<CheckId, CheckUse>,
    /// Warnings, and the files they point into.
    pub told: Told,
    /// Backups that no check asks.
    pub unchecked: BTreeSet<ServerId>,
    /// Whom to ask for names.
    pub resolver: Source,
    many: names::Many,
    ids: ids::Ids,
    /// Each way of asking, by its words, so that equal ones are asked once.
    specs: BTreeMap<String, Arc<evenkeel_check::engine::Spec>>,
}

/// What there is to say about a config.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// In the order of the files; warnings among the errors.
    pub diagnostics: Vec<Diagnostic>,
    /// The files they point into.
    pub files: Vec<File>,
}

/// Reads a config file and judges it. What is the same as in `previous` keeps its ids. The error holds every
/// complaint there is.
pub fn load(path: &Path, previous: Option<&Loaded>) -> Result<Loaded, Told> {
    let (tree, errors) = read_file(path);
    read_tree(tree, errors, previous)
}

/// Reads a config from a text; `name` is what diagnostics call it, and if it ends in `.json` the text is JSON.
/// `include` is not followed.
pub fn load_text(name: &str, text: &str, previous: Option<&Loaded>) -> Result<Loaded, Told> {
    let (tree, errors) = read_text(name, text);
    read_tree(tree, errors, previous)
}

/// A file's tree: of words, or, if it is called `….json`, of JSON. `-` is standard input.
fn read_file(path: &Path) -> (Tree, Vec<Diagnostic>) {
    if path == Path::new("-") {
        return read_input();
    }
    if path.extension().is_none_or(|end| end != "json") {
        return evenkeel_syntax::load(path);
    }
    let bound = evenkeel_syntax::FILE_MAX as u64;
    let mut bytes = Vec::new();
    let heard = std::fs::File::open(path).and_then(|file| file.take(bound + 1).read_to_end(&mut bytes));
    let name = path.display().to_string();
    match heard {
        Err(error) => (Tree::default(), vec![Diagnostic::global(format!("cannot read {name}: {error}"))]),
        Ok(length) if length as u64 > bound => {
            let message = format!("{name}: larger than {} MiB: this cannot be a config", bound >> 20);
            (Tree::default(), vec![Diagnostic::global(message)])
        }
        Ok(_) => from_json::read(&name, &bytes, forms::root()),
    }
}

/// What comes by standard input. It has no name to tell its spelling, but no config in words begins with a brace.
fn read_input() -> (Tree, Vec<Diagnostic>) {
    let mut bytes = Vec::new();
    match std::io::stdin().take(evenkeel_syntax::FILE_MAX as u64 + 1).read_to_end(&mut bytes) {
        Err(error) => {
            (Tree::default(), vec![Diagnostic::global(format!("cannot read standard input: {error}"))])
        }
        Ok(_) if bytes.trim_ascii_start().starts_with(b"{") => from_json::read("-", &bytes, forms::root()),
        Ok(_) => evenkeel_syntax::load_bytes(Path::new("-"), &bytes),
    }
}

fn read_text(name: &str, text: &str) -> (Tree, Vec<Diagnostic>) {
    match name.ends_with(".json") {
        true => from_json::read(name, text.as_bytes(), forms::root()),
        false => evenkeel_syntax::parse(name, text.as_bytes()),
    }
}

fn read_tree(mut tree: Tree, mut errors: Vec<Diagnostic>, previous: Option<&Loaded>) -> Result<Loaded, Told> {
    let words = vocabulary::vocabulary();
    let alone = inherit::expand(&mut tree.root, &mut errors);
    let root = evenkeel_syntax::read_with(&tree.root, forms::root(), &words, &mut errors);
    model::named_checks(&alone, &words, &mut errors);
    // A file whose braces are broken would only be accused of what is not its fault.
    let broken = errors.iter().any(Diagnostic::is_error) && root.is_empty();
    let made = if broken { None } else { Some(model::Maker::new(previous, &mut errors).make(&root)) };
    let told = Told { diagnostics: tidy(errors), files: tree.files };
    match made {
        Some(made) if !told.has_errors() => Ok(Loaded { told, ..made }),
        _ => Err(told),
    }
}

/// In the order of the files, each complaint once: words that are inherited are read more than once.
fn tidy(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let place = |of: &Diagnostic| of.place.map(|place| (place.file, place.line, place.column));
    diagnostics.sort_by_key(|of| (place(of).is_none(), place(of)));
    let mut once: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        let known =
            |other: &Diagnostic| other.place == diagnostic.place && other.message == diagnostic.message;
        if !once.iter().rev().take_while(|other| other.place == diagnostic.place).any(known) {
            once.push(diagnostic);
        }
    }
    once
}

impl Told {
    /// Whether the config cannot be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// How many errors and how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        (errors, self.diagnostics.len() - errors)
    }

    /// Prints it on standard error, in colours if that is a terminal and `NO_COLOR` (no-color.org) is not set.
    pub fn print(&self) {
        let text = self.to_string();
        let plain = !std::io::stderr().is_terminal()
            || std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        eprint!("{}", if plain { text } else { paint(&text) });
    }

    /// As programs read it: a list of objects.
    pub fn json(&self) -> serde_json::Value {
        let place = |place: Option<Place>| {
            let Some(place) = place else { return json!({}) };
            let file = self.files.get(place.file as usize).map_or("", |file| file.name.as_str());
            json!({ "file": file, "line": place.line, "column": place.column, "width": place.width })
        };
        let note = |note: &Note| json!({ "text": note.text, "place": place(note.place) });
        let all = self.diagnostics.iter().map(|diagnostic| {
            json!({
                "severity": if diagnostic.is_error() { "error" } else { "warning" },
                "place": place(diagnostic.place),
                "message": diagnostic.message,
                "label": diagnostic.label,
                "help": diagnostic.help,
                "notes": diagnostic.notes.iter().map(note).collect::<Vec<_>>(),
            })
        });
        all.collect()
    }
}

impl fmt::Display for Told {
    /// As people read it: each with its line and a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(&self.diagnostics, &self.files))
    }
}

/// The first directive of a block with this head, or of the defaults.
fn setting<'r, 't>(
    block: &'r Reading<'t>,
    defaults: Option<&'r Reading<'t>>,
    head: &str,
) -> Option<&'r Reading<'t>> {
    block.find(head).or_else(|| defaults.and_then(|defaults| defaults.find(head)))
}
