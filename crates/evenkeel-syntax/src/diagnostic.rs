//! What is wrong with a config, where, and what was probably meant; and how that is printed.

use crate::tree::{File, Place};
use std::fmt::Write as _;

/// Characters of a message, a label or a help.
const TEXT_MAX: usize = 600;
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
            message: shown(&message.into()),
            label: String::new(),
            help: None,
            notes: Vec::new(),
        }
    }

    /// With this beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = shown(&label.into());
        self
    }

    /// With this advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(shown(&help.into()));
        self
    }

    /// With a second mark.
    #[must_use]
    pub fn note(mut self, place: Place, text: impl Into<String>) -> Diagnostic {
        self.notes.push(Note { place: Some(place), text: shown(&text.into()) });
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
    let mut text: String = line[from..to].iter().map(|c| visible(*c)).collect();
    let mut pad: String = line[from..(column - 1).min(line.len())].iter().map(|c| blank(*c)).collect();
    (line.len()..column - 1).for_each(|_| pad.push(' '));
    if from > 0 {
        text.insert(0, '…');
        pad.insert(0, ' ');
    }
    if to < line.len() {
        text.push('…');
    }
    let carets = "^".repeat((place.width.max(1) as usize).min((to + 1).saturating_sub(column - 1).max(1)));
    let space = if label.is_empty() { "" } else { " " };
    let _ = writeln!(out, "{gutter} |");
    let _ = writeln!(out, "{number} | {}", text.trim_end());
    let _ = writeln!(out, "{gutter} | {pad}{carets}{space}{label}");
}

/// What stands below a character so that the caret comes to stand below its word.
fn blank(c: char) -> &'static str {
    match u32::from(c) {
        9 => "\t",
        // Combining marks, zero width (Unicode 16, general categories Mn, Me and Cf).
        0x300..=0x36f | 0x200b..=0x200f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfeff => "",
        // Two columns wide (Unicode 16, annex 11, W and F).
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => "  ",
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f680..=0x1faff | 0x20000..=0x3fffd => "  ",
        _ => " ",
    }
}

/// A character as it may be printed: a terminal must not obey a config.
fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

/// A text as it may be printed, on one line and not without end: it quotes words of the config.
fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(TEXT_MAX).map(|c| visible(if c == '\t' { ' ' } else { c })).collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// What [`render`] made, in the colours of a terminal.
pub fn paint(rendered: &str) -> String {
    let (red, yellow, blue, bold, off) = ("\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m");
    let mut colour = red;
    let mut out = String::new();
    for line in rendered.lines() {
        let gutter = line.find(|c: char| !c.is_ascii_digit() && c != ' ').unwrap_or(0);
        // Writing to a String cannot fail.
        let _ = match line.split_once(": ") {
            Some((head @ ("error" | "warning"), text)) => {
                colour = if head == "error" { red } else { yellow };
                writeln!(out, "{colour}{head}{off}{bold}: {text}{off}")
            }
            Some((head @ ("note" | "help"), text)) => {
                colour = if head == "note" { blue } else { colour };
                writeln!(out, "{bold}{head}{off}: {text}")
            }
            _ => match line[gutter..].chars().next() {
                Some('|') if line.starts_with(' ') && line.contains('^') => {
                    writeln!(out, "{blue}{}|{off}{colour}{}{off}", &line[..gutter], &line[gutter + 1..])
                }
                Some('|') => writeln!(out, "{blue}{}|{off}{}", &line[..gutter], &line[gutter + 1..]),
                Some('-') => writeln!(out, "{}{blue}-->{off}{}", &line[..gutter], &line[gutter + 3..]),
                _ => writeln!(out, "{line}"),
            },
        };
    }
    out
}

/// Which characters of a line of `length` are shown, so that `column` (from 1) is among them.
fn window(length: usize, column: usize) -> (usize, usize) {
    if length <= SHOWN_MAX {
        return (0, length);
    }
    let from = (column - 1).min(length).saturating_sub(SHOWN_MAX / 2);
    (from, (from + SHOWN_MAX).min(length))
}
