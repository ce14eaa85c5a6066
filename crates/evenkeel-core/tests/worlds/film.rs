//! What a world looked like of late, for the reader of a failing seed.

use crate::worlds::{Asked, Truth};
use evenkeel_core::table::{Duty, Sessions};
use evenkeel_core::{Director, Span, Time};
use std::collections::BTreeMap;
use std::fmt::Write;

/// One column a second.
const COLUMN: Span = Span::from_secs(1);
const COLUMNS: usize = 100;

pub(crate) struct Film {
    next: Time,
    lines: BTreeMap<String, Vec<char>>,
    rolling: bool,
}

impl Film {
    pub(crate) fn new(now: Time) -> Film {
        Film { next: now, lines: BTreeMap::new(), rolling: false }
    }

    /// From now on it is taken. (It costs more than everything else, so a world is run again for its film.)
    pub(crate) fn roll(&mut self) {
        self.rolling = true;
    }

    /// Takes the pictures up to `now`.
    pub(crate) fn take(&mut self, now: Time, director: &Director, asked: &[Asked]) {
        if !self.rolling {
            return;
        }
        let quiet = COLUMN.times(COLUMNS as u64);
        if now.since(self.next) > quiet {
            self.next = now - quiet;
        }
        while self.next <= now {
            self.next += COLUMN;
            for asked in asked {
                self.push(format!("{:>4} is   {:>4}", asked.server.0, asked.of.id.0), letter(asked.truth));
            }
            for row in director.table().pools.iter().flat_map(|pool| &pool.rows) {
                self.push(format!("{:>4} does", row.server.0), duty(row.duty));
            }
        }
    }

    pub(crate) fn draw(&self) -> String {
        let mut drawing = String::new();
        for (name, line) in &self.lines {
            let line: String = line.iter().collect();
            writeln!(drawing, "{name:14} |{line:>COLUMNS$}|").expect("a string takes all");
        }
        drawing
    }

    fn push(&mut self, name: String, letter: char) {
        let line = self.lines.entry(name).or_default();
        if line.len() == COLUMNS {
            line.remove(0);
        }
        line.push(letter);
    }
}

fn letter(truth: Truth) -> char {
    match truth {
        Truth::Fine => '+',
        Truth::Refuses => 'x',
        Truth::Unreachable | Truth::Silent => 't',
        Truth::Wrong => 'w',
        Truth::Ours => 'l',
    }
}

fn duty(duty: Duty) -> char {
    match duty {
        Duty::Serve => '#',
        Duty::Drain => '~',
        Duty::Out(Sessions::Keep) => '-',
        Duty::Out(Sessions::Cut) => '_',
    }
}
