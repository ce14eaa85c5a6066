//! What is wrong with a config, where, and what was probably meant; and how that is printed.

use crate::tree::{File, Place};
use std::fmt::Write as _;

/// Characters of a source line that are shown.
const SHOWN_MAX: usize = 140;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// It can, but probably means something else.
    Warning,
}

/// One thing to tell about a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where; `None`: about the whole.
    pub place: Option<Place>,
    /// What is wrong, in one line.
    pub message: String,
    /// Written beside the caret: what was expected, or `did you mean …?`. May be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub notes: Vec<Note>,
}

/// Another place that belongs to a diagnostic: where the first one stands, who included whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where, if it is anywhere.
    pub place: Option<Place>,
    /// What is there.
    pub text: String,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, Some(place), message)
    }

    /// A warning at a place.
    pub fn warning(place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, Some(place), message)
    }

    /// An error about the whole.
    pub fn global(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, None, message)
    }

    /// A diagnostic without label, help or notes.
    pub fn new(severity: Severity, place: Option<Place>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            place,
            message: message.into(),
            label: String::new(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// With this beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// With this advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// With a second mark.
    #[must_use]
    pub fn note(mut self, place: Place, text: impl Into<String>) -> Diagnostic {
        self.notes.push(Note { place: Some(place), text: text.into() });
        self
    }

    /// Whether the config cannot be used because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Diagnostics as people read them, an empty line between two.
pub fn render(diagnostics: &[Diagnostic], files: &[File]) -> String {
    let mut out = String::new();
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        one(&mut out, diagnostic, files);
    }
    out
}

fn one(out: &mut String, diagnostic: &Diagnostic, files: &[File]) {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{severity}: {}", diagnostic.message);
    if let Some(place) = diagnostic.place {
        mark(out, place, &diagnostic.label, files);
    }
    for note in &diagnostic.notes {
        let _ = writeln!(out, "note: {}", note.text);
        if let Some(place) = note.place {
            mark(out, place, "", files);
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "help: {help}");
    }
}

/// The line of `place` with carets under it.
fn mark(out: &mut String, place: Place, label: &str, files: &[File]) {
    let Some(file) = files.get(place.file as usize) else { return };
    let (number, column) = (place.line.to_string(), place.column.max(1) as usize);
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "{gutter}--> {}:{}:{}", file.name, place.line, column);
    let Some(line) = file.text.split('\n').nth((place.line as usize).saturating_sub(1)) else { return };
    let line: Vec<char> = line.trim_end_matches('\r').chars().collect();
    let (from, to) = window(line.len(), column);
    let clean = |c: &char| if c.is_control() && *c != '\t' { '\u{fffd}' } else { *c };
    let mut shown: String = line[from..to].iter().map(clean).collect();
    let mut pad: String =
        (from..column - 1).map(|at| if line.get(at) == Some(&'\t') { '\t' } else { ' ' }).collect();
    if from > 0 {
        shown.insert(0, '…');
        pad.insert(0, ' ');
    }
    if to < line.len() {
        shown.push('…');
    }
    let carets = "^".repeat((place.width.max(1) as usize).min((to + 1).saturating_sub(column - 1).max(1)));
    let space = if label.is_empty() { "" } else { " " };
    let _ = writeln!(out, "{gutter} |");
    let _ = writeln!(out, "{number} | {}", shown.trim_end());
    let _ = writeln!(out, "{gutter} | {pad}{carets}{space}{label}");
}

/// Which characters of a line of `length` are shown, so that `column` (from 1) is among them.
fn window(length: usize, column: usize) -> (usize, usize) {
    if length <= SHOWN_MAX {
        return (0, length);
    }
    let from = (column - 1).min(length).saturating_sub(SHOWN_MAX / 2);
    (from, (from + SHOWN_MAX).min(length))
}
