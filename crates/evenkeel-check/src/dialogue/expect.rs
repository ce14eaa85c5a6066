//! # Send and expect
//! What F5 calls extended content verification: say something, and look for something in what comes back. It
//! works for every protocol that speaks in text, fixed-length messages, XML or plain bytes.
//!
//! ```text
//! check tcp every 30s timeout 5s {
//!     send "<?xml version='1.0'?><Ping seq='1'/>"
//!     expect 000000
//! }
//! check tcp port 25 {
//!     expect regex "^220 "
//!     send "QUIT\r\n"
//!     expect 221
//! }
//! ```
//!
//! ## Steps
//! Are done in the order of the lines. `send TEXT`, `send hex 00 ff 0a` and `send file PATH` send; nothing is
//! added, no line end either. `expect TEXT`, `expect hex 00 ff` and `expect regex PATTERN` wait until it is
//! found anywhere in what is heard **after the last thing found**; `expect length 8` waits for eight bytes
//! more. The last step done is a pass; a check that ends with a `send` passes when that is on its way.
//! Without any step, connecting is enough.
//!
//! A found text ends where it is first complete, and the next expectation begins there: `expect 220` and
//! `expect 250` find them in this order only. In a pattern `^` is the place where the last one ended.
//! Patterns see bytes: `.` is any byte but a line feed, classes are ASCII. A pattern that asks for what comes
//! after a match (`$`, `\b`, `\z`) can only be the last expectation, and waits for that byte, or for the end.
//!
//! ## What must not come
//! `expect not TEXT`, `expect not hex …` and `expect not regex …` fail as soon as it is heard, from their
//! place in the order until the next expectation is found; the last ones until the server closes or the
//! timeout has come. **An absent answer fails**: silence until the end is no answer without the text. So a
//! check that ends with `expect not` takes its whole timeout while the server keeps the connection open; let
//! an `expect` follow where that can be.
//!
//! ## The end
//! When the server closes, resets or stays silent before the last step is done, the check fails with what was
//! missing: `L7 no "OK" (closed after 12 bytes)`, `L7 timeout: accepts, does not answer within 2s`. What
//! was heard before a reset counts. 96 KiB are heard at most: `L7 no "OK" in 98304 bytes`.

use super::pattern::Pattern;
use super::silence::Silence;
use super::{Dialogue, End, HEARD_MAX, Step, Turn};
use crate::words::{COMMON_BLOCK, COMMON_KEYS, Carried, Kind, Named, STREAM_BLOCK, STREAM_KEYS};
use crate::words::{bytes_of, content_of, line, name, pattern_of};
use evenkeel_core::evidence::{Layer, Mark, Reason};
use evenkeel_syntax::form::{Count, Form, Shape};
use evenkeel_syntax::{Diagnostic, Reading};
use std::ops::Range;
use std::sync::Arc;

/// `check tcp`.
pub const TCP: Kind = Kind {
    name: "tcp",
    form: Form {
        head: "check tcp",
        names: &[],
        keys: &[COMMON_KEYS, STREAM_KEYS],
        block: Some(&[BLOCK, COMMON_BLOCK, STREAM_BLOCK]),
        count: Count::Any,
        doc: "A whole connection, closed with FIN; then, if the block says so, a conversation.",
    },
    source: include_str!("expect.rs"),
    transport: Carried::Stream,
    read,
};

const BLOCK: &[Form] = &[
    line(
        "send hex",
        &[name("bytes", Shape::Rest)],
        Count::Step,
        "Sends these bytes: `00 ff 0a` or `00ff0a`.",
    ),
    line(
        "send file",
        &[name("file", Shape::Path)],
        Count::Step,
        "Sends a file's content, read with the config.",
    ),
    line("send", &[name("text", Shape::Text)], Count::Step, "Sends exactly this."),
    line("expect not hex", &[name("bytes", Shape::Rest)], Count::Step, "Fails when these bytes are heard."),
    line(
        "expect not regex",
        &[name("pattern", Shape::Text)],
        Count::Step,
        "Fails when something heard matches.",
    ),
    line("expect not", &[name("text", Shape::Text)], Count::Step, "Fails when this is heard."),
    line("expect hex", &[name("bytes", Shape::Rest)], Count::Step, "Waits for these bytes."),
    line("expect regex", &[name("pattern", Shape::Text)], Count::Step, "Waits for something that matches."),
    line(
        "expect length",
        &[name("bytes", Shape::Number { min: 1, max: HEARD_MAX as u64 })],
        Count::Step,
        "Waits for so many bytes more.",
    ),
    line("expect", &[name("text", Shape::Text)], Count::Step, "Waits for this."),
];

fn read(
    line: &Reading<'_>,
    _named: Option<Named<'_>>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Arc<dyn Dialogue>> {
    let lines = line
        .block()
        .iter()
        .filter(|line| line.head().starts_with("send") || line.head().starts_with("expect"));
    let lines: Vec<&Reading<'_>> = lines.collect();
    let before = errors.len();
    let steps: Vec<Line> = lines.iter().filter_map(|line| step(line, errors)).collect();
    if errors.len() > before {
        return None;
    }
    if steps.is_empty() {
        return Some(Arc::new(Silence));
    }
    match Expect::new(steps) {
        Ok(expect) => Some(Arc::new(expect)),
        Err((at, why)) => {
            errors.push(Diagnostic::error(lines[at].place(), why).label("cannot stand here"));
            None
        }
    }
}

/// What one line of the block means; an error, if it means nothing.
fn step(line: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Option<Line> {
    let head = line.head();
    if head == "expect length" {
        return Some(Line::Length(usize::try_from(line.number("bytes")?).ok()?));
    }
    if head == "send file" {
        return Some(Line::Send(content_of(line.word("file")?, errors)?));
    }
    let bytes = match head.ends_with("hex") {
        true => Some(bytes_of(line.rest("bytes"), errors)?),
        false => line.bytes("text").map(<[u8]>::to_vec),
    };
    if head.starts_with("send") {
        return bytes.map(Line::Send);
    }
    let pattern = match (bytes, line.word("pattern")) {
        (_, Some(word)) => pattern_of(word, errors)?,
        (Some(bytes), None) => {
            let pattern = if head.ends_with("hex") { Pattern::hex(&bytes) } else { Pattern::text(&bytes) };
            let tell =
                |why: String| errors.push(Diagnostic::error(line.place(), why).label("say what to look for"));
            pattern.map_err(tell).ok()?
        }
        (None, None) => return None,
    };
    Some(if head.starts_with("expect not") { Line::Not(pattern) } else { Line::Expect(pattern) })
}

/// A conversation in steps.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    steps: Vec<Line>,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Line {
    /// Say this.
    Send(Vec<u8>),
    /// Wait until this is found.
    Expect(Pattern),
    /// This must not be found before the next thing that is waited for.
    Not(Pattern),
    /// Wait for so many bytes.
    Length(usize),
}

/// How far a conversation has come.
struct Progress<'a> {
    /// The step to do now; `None`: all are done.
    step: Option<usize>,
    /// What must not be heard from here on.
    guards: &'a [Line],
    /// How many sends stand before `step`.
    sends: usize,
    /// Where in what was heard the search goes on.
    at: usize,
    /// What was found last.
    found: Range<usize>,
    /// Something was heard that must not be, and where.
    broken: Option<(&'a Pattern, Range<usize>)>,
    /// Whether nothing was found yet since the last send, or at all.
    spoke: bool,
}

impl Expect {
    /// A conversation of these steps; an error names the step (by its index) that cannot stand where it
    /// stands.
    pub fn new(steps: Vec<Line>) -> Result<Expect, (usize, String)> {
        let ahead = |line: &Line| matches!(line, Line::Expect(p) | Line::Not(p) if p.looks_ahead());
        let waits = |line: &Line| matches!(line, Line::Expect(_) | Line::Length(_));
        for (at, step) in steps.iter().enumerate().filter(|(_, step)| ahead(step)) {
            // Such a match has no place of its own until the next byte is there, so nothing may depend on its
            // place.
            if steps[at + 1..].iter().any(waits) {
                let text =
                    "a pattern with `$`, `\\b` or `\\z` asks for what comes after it: no `expect` can follow";
                return Err((at, text.into()));
            }
            let before = steps[..at].iter().rev().take_while(|step| !waits(step));
            if matches!(step, Line::Expect(_)) && before.clone().any(|step| matches!(step, Line::Not(_))) {
                let text = "`expect not` before a pattern with `$`, `\\b` or `\\z` would have no end";
                return Err((at, text.into()));
            }
        }
        Ok(Expect { steps })
    }

    /// Goes through the steps as far as what was heard allows.
    fn progress<'a>(&'a self, turn: &Turn<'_>) -> Progress<'a> {
        let ended = matches!(turn.end, End::Closed | End::Deadline | End::Full);
        let mut now =
            Progress { step: None, guards: &[], sends: 0, at: 0, found: 0..0, broken: None, spoke: true };
        let mut guards = 0;
        for (index, step) in self.steps.iter().enumerate() {
            now.guards = &self.steps[guards..index];
            let rest = &turn.heard[now.at..];
            let length = match step {
                Line::Not(_) => continue,
                Line::Send(_) if now.sends < turn.sent => {
                    now.sends += 1;
                    now.spoke = true;
                    continue;
                }
                Line::Send(_) => None,
                Line::Length(length) => (rest.len() >= *length).then_some(*length),
                Line::Expect(pattern) if pattern.looks_ahead() => {
                    pattern.find(rest, ended).map(|found| found.end)
                }
                Line::Expect(pattern) => pattern.first_end(rest),
            };
            // While it is waited for, everything heard is looked at; once found, what came before its end.
            now.broken = broken(now.guards, rest, length.unwrap_or(rest.len()), now.at);
            let Some(length) = length.filter(|_| now.broken.is_none()) else {
                now.step = Some(index);
                return now;
            };
            now.found = match step {
                Line::Expect(pattern) => pattern.find(&rest[..length], true).unwrap_or(0..length),
                _ => 0..length,
            };
            now.found = now.at + now.found.start..now.at + now.found.end;
            now.at += length;
            now.spoke = false;
            guards = index + 1;
        }
        now.guards = &self.steps[guards..];
        let rest = &turn.heard[now.at..];
        now.broken = last_broken(now.guards, rest, ended, now.at);
        now
    }

    /// What is still waited for, as people read it.
    fn missing(&self, from: Option<usize>) -> Option<String> {
        self.steps[from.unwrap_or(self.steps.len())..].iter().find_map(|step| match step {
            Line::Expect(pattern) => Some(format!("no {pattern}")),
            Line::Length(length) => Some(format!("fewer than {length} bytes")),
            Line::Send(_) | Line::Not(_) => None,
        })
    }
}

impl Dialogue for Expect {
    fn turn(&self, turn: Turn<'_>) -> Step<'_> {
        let now = self.progress(&turn);
        if let Some((pattern, place)) = now.broken {
            return Step::Fail(wrong(format!("has {pattern} at byte {}", place.start)));
        }
        let waits = now.guards.iter().any(|step| matches!(step, Line::Not(_)));
        if let (Some(Line::Send(bytes)), End::Open | End::Full) =
            (now.step.map(|at| &self.steps[at]), turn.end)
        {
            return Step::Send(bytes.into());
        }
        match (now.step, turn.end) {
            (None, _) if !waits => Step::Pass,
            (_, End::Open) => Step::More,
            // Nothing was heard, which the transport can tell better.
            (Some(_), _) if turn.heard.is_empty() && self.missing(now.step).is_some() => Step::More,
            (step, end) => match self.missing(step) {
                Some(missing) => Step::Fail(unfinished(&missing, end, turn.heard.len())),
                None if !waits => Step::Pass,
                None if turn.heard.is_empty() => Step::More,
                None if end == End::Reset || (now.spoke && turn.heard.len() == now.at) => {
                    Step::Fail(unfinished("no answer", end, turn.heard.len()))
                }
                None => Step::Pass,
            },
        }
    }

    fn decided_by(&self, turn: Turn<'_>) -> Range<usize> {
        let now = self.progress(&turn);
        let place = match now.broken {
            Some((_, place)) => place,
            None if now.step.is_some() => return now.at..turn.heard.len(),
            None => now.found,
        };
        place.start.saturating_sub(40)..(place.end + 40).min(turn.heard.len())
    }
}

/// The first thing heard, in the first `length` bytes of `rest`, that must not be heard there.
fn broken<'a>(
    guards: &'a [Line],
    rest: &[u8],
    length: usize,
    offset: usize,
) -> Option<(&'a Pattern, Range<usize>)> {
    let heard = &rest[..length];
    let mut first: Option<(&Pattern, Range<usize>)> = None;
    for pattern in guards.iter().filter_map(guard).filter(|pattern| !pattern.looks_ahead()) {
        let Some(end) = pattern.first_end(heard) else { continue };
        if first.as_ref().is_none_or(|(_, found)| end < found.end) {
            let start = pattern.find(&heard[..end], true).map_or(end, |found| found.start);
            first = Some((pattern, start..end));
        }
    }
    first.map(|(pattern, found)| (pattern, offset + found.start..offset + found.end))
}

/// The same for what must not be heard until the end.
fn last_broken<'a>(
    guards: &'a [Line],
    rest: &[u8],
    ended: bool,
    offset: usize,
) -> Option<(&'a Pattern, Range<usize>)> {
    broken(guards, rest, rest.len(), offset).or_else(|| {
        let mut ahead = guards.iter().filter_map(guard).filter(|pattern| pattern.looks_ahead());
        ahead.find_map(|pattern| {
            let found = pattern.find(rest, ended)?;
            Some((pattern, offset + found.start..offset + found.end))
        })
    })
}

fn guard(step: &Line) -> Option<&Pattern> {
    match step {
        Line::Not(pattern) => Some(pattern),
        _ => None,
    }
}

fn wrong(text: String) -> Reason {
    Reason::soft(Layer::L7, Mark::Wrong, text)
}

fn unfinished(missing: &str, end: End, heard: usize) -> Reason {
    let (mark, how) = match end {
        End::Open | End::Closed => (Mark::Wrong, "closed"),
        End::Full => return wrong(format!("{missing} in {heard} bytes")),
        End::Reset => (Mark::Refused, "reset"),
        End::Deadline => (Mark::Timeout, "timeout"),
    };
    Reason::soft(Layer::L7, mark, format!("{missing} ({how} after {heard} bytes)"))
}
