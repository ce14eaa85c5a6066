//! # HTTP
//! One request, one answer, and what must be true of it.
//!
//! ```text
//! check http /health every 5s timeout 1s {
//!     expect status 200
//!     expect body "OK"
//! }
//! ```
//!
//! ## What is sent
//! `GET PATH HTTP/1.1` with `Host`, `User-Agent: evenkeel` and `Connection: close`. `method`, `host` and
//! `version` change the line they name; `header NAME VALUE` adds a field, or replaces the one that would be
//! sent; `body TEXT` and `body file PATH` send content, with its `Content-Length`. `Host` is the server's
//! name if the config gives it by name, else the address asked, unless `host` says otherwise. HTTP/0.9, which
//! F5's monitors speak unless told otherwise, is never spoken. `raw "..."` sends exactly those bytes instead:
//! it must contain the empty line that ends a request.
//!
//! ## What is expected
//! Without a word about it, a status from 200 to 399. `expect status 200-299 404` names others. `expect
//! header NAME`, `expect header NAME VALUE`, `expect header NAME regex PATTERN` and `expect header not NAME`
//! look at the fields of the answer; names in any case, values whole unless by `regex`. `expect body TEXT`,
//! `expect body regex PATTERN` and their `not` forms look at the first 64 KiB of the body, decoded if it
//! comes in chunks. A status is never searched for in the body, nor a text in the header. All that is asked
//! for must be true.
//!
//! ## When it is decided
//! As early as it can be: a wrong status, a wrong header or a forbidden text at once; a pass as soon as the
//! head is there and each text was found. `not` forms have to wait for the end of the body. What a server
//! does after that is not looked at, so name a text at the end of the page if the page being whole matters.
//! Interim answers (1xx) are skipped. A head may have 32 KiB and 128 fields.
//!
//! ## Redirects
//! Are answers like any other, and pass by default. `follow N` follows up to N of them (301, 302, 303, 307,
//! 308), on the same connection and so only to the same host and port; the last answer is judged. A redirect
//! to elsewhere fails (`L7 redirect elsewhere`), and so does one whose server then closes (`L7 redirect, then
//! closed`).
//!
//! ## Reasons
//! `L7 status 503`, `L7 no "OK"`, `L7 has "error"`, `L7 no header x-up`, `L7 not HTTP`, `L7 bad header`, `L7
//! head too long`, `L7 bad chunk`, `L7 closed in the head`, `L7 reset in the body`, `L7 timeout in the body`,
//! and `L7 timeout: accepts, does not answer within 2s`. All of them soft: somebody perhaps is served.

mod answer;
mod request;
mod words;

pub use request::{Made, Request};
pub use words::KIND;

use self::answer::{BodyState, Head};
use super::pattern::{Pattern, quoted};
use super::{Dialogue, End, Step, Turn};
use evenkeel_core::evidence::{Layer, Mark, Reason};
use std::ops::{Range, RangeInclusive};

/// One request and what must be true of its answer.
#[derive(Clone, Debug)]
pub struct Http {
    /// What is asked.
    pub request: Request,
    /// Redirects followed, 10 at most.
    pub follow: u8,
    /// Statuses that pass. Empty: 200 to 399.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// What the head must or must not hold.
    pub headers: Vec<ExpectHeader>,
    /// What the body must or must not hold.
    pub bodies: Vec<ExpectBody>,
    /// Hear the whole answer before a pass, because the connection is used again.
    pub to_end: bool,
}

/// Something that must be true of the head.
#[derive(Clone, Debug)]
pub struct ExpectHeader {
    /// The field's name, in any case.
    pub name: String,
    /// What one of its values must be.
    pub value: Value,
}

/// What a field's value must be.
#[derive(Clone, Debug)]
pub enum Value {
    /// Anything, but there.
    Any,
    /// Not there.
    None,
    /// Exactly this.
    Is(Vec<u8>),
    /// It is found in it.
    Has(Pattern),
}

/// Something that must be true of the body.
#[derive(Clone, Debug)]
pub struct ExpectBody {
    /// What is searched for.
    pub pattern: Pattern,
    /// It must not be found.
    pub not: bool,
}

/// A fault in the answer.
pub(super) fn bad(text: impl Into<std::borrow::Cow<'static, str>>) -> Reason {
    Reason::soft(Layer::L7, Mark::Wrong, text)
}

impl Default for Http {
    fn default() -> Http {
        Http {
            request: Request::Made(Made::default()),
            follow: 0,
            statuses: Vec::new(),
            headers: Vec::new(),
            bodies: Vec::new(),
            to_end: false,
        }
    }
}

impl Dialogue for Http {
    fn turn(&self, turn: Turn<'_>) -> Step<'_> {
        if turn.sent == 0 {
            if turn.end != End::Open {
                return unfinished(turn, 0, "head");
            }
            return Step::Send(self.request.write(turn.peer));
        }
        let Request::Made(made) = &self.request else {
            return self.last_answer(turn, 0, self.request.method());
        };
        if self.follow == 0 {
            return self.last_answer(turn, 0, &made.method);
        }
        self.follow(turn, made)
    }

    fn decided_by(&self, turn: Turn<'_>) -> Range<usize> {
        let Ok(Some(head)) = Head::read(turn.heard, 0, self.request.method() == "HEAD") else {
            return 0..turn.heard.len();
        };
        let whole = head.start..turn.heard.len();
        if !self.statuses_have(head.status) || !self.headers.iter().all(|expect| expect.holds(&head)) {
            return whole;
        }
        let body = head.body(turn.heard, turn.end != End::Open);
        let found = self.bodies.iter().find_map(|expect| expect.pattern.find(&body.bytes, true));
        match found {
            // What was found, with a little of what stands around it.
            Some(found) if matches!(body.bytes, std::borrow::Cow::Borrowed(_)) => {
                head.end + found.start.saturating_sub(40)..(head.end + found.end + 40).min(turn.heard.len())
            }
            None if !self.bodies.is_empty() && head.end < turn.heard.len() => head.end..turn.heard.len(),
            _ => whole,
        }
    }
}

impl Http {
    /// Walks through the redirects that were followed so far.
    fn follow(&self, turn: Turn<'_>, made: &Made) -> Step<'_> {
        let mut made = made.clone();
        let mut start = 0;
        for hop in 1..=usize::from(self.follow) + 1 {
            let head = match Head::read(turn.heard, start, made.method == "HEAD") {
                Err(reason) => return Step::Fail(reason),
                Ok(None) => return unfinished(turn, start, "head"),
                Ok(Some(head)) => head,
            };
            let location = match head.status {
                301 | 302 | 303 | 307 | 308 => head.values("location").next(),
                _ => None,
            };
            let Some(location) = location else { return self.judge(turn, &head) };
            if hop > usize::from(self.follow) {
                return Step::Fail(bad(format!("more than {} redirects", self.follow)));
            }
            let Some(target) = made.target_of(location, turn.peer) else {
                return Step::Fail(bad(format!("redirect elsewhere: {}", quoted(location))));
            };
            if !head.keeps {
                return Step::Fail(bad("redirect, then closed"));
            }
            start = match head.body(turn.heard, false).state {
                BodyState::Ended(end) => end,
                BodyState::Going => return unfinished(turn, head.end, "body"),
                BodyState::Cut => return Step::Fail(bad("redirect with more than 64 KiB")),
                BodyState::Bad(reason) => return Step::Fail(reason),
            };
            made = made.redirected(head.status, target);
            if turn.sent == hop {
                return match turn.end {
                    End::Open | End::Full => Step::Send(made.write(turn.peer).into()),
                    End::Deadline => Step::Fail(timeout("before the redirect was followed")),
                    End::Closed | End::Reset => Step::Fail(bad("redirect, then closed")),
                };
            }
        }
        Step::Fail(bad(format!("more than {} redirects", self.follow)))
    }

    fn last_answer(&self, turn: Turn<'_>, start: usize, method: &str) -> Step<'_> {
        match Head::read(turn.heard, start, method == "HEAD") {
            Err(reason) => Step::Fail(reason),
            Ok(None) => unfinished(turn, start, "head"),
            Ok(Some(head)) => self.judge(turn, &head),
        }
    }

    /// Judges the answer. What fails at once comes first, then what passes, then what is broken or missing:
    /// only so is the verdict the same wherever the answer was cut.
    fn judge(&self, turn: Turn<'_>, head: &Head<'_>) -> Step<'static> {
        if !self.statuses_have(head.status) {
            return Step::Fail(bad(format!("status {}", head.status)));
        }
        if let Some(expect) = self.headers.iter().find(|expect| !expect.holds(head)) {
            return Step::Fail(expect.reason(head));
        }
        if self.bodies.is_empty() && !self.to_end {
            return Step::Pass;
        }
        let body = head.body(turn.heard, turn.end == End::Closed);
        let ended = matches!(body.state, BodyState::Ended(_) | BodyState::Cut);
        let has = |expect: &ExpectBody| expect.pattern.find(&body.bytes, ended).is_some();
        if let Some(expect) = self.bodies.iter().find(|expect| expect.not && has(expect)) {
            return Step::Fail(bad(format!("has {}", expect.pattern)));
        }
        let missing = self.bodies.iter().find(|expect| !expect.not && !has(expect));
        let can_be_undone = self.to_end || self.bodies.iter().any(|expect| expect.not);
        if missing.is_none() && (ended || !can_be_undone) {
            return Step::Pass;
        }
        match (body.state, missing) {
            (BodyState::Bad(reason), _) => Step::Fail(reason),
            (BodyState::Ended(_) | BodyState::Cut, Some(expect)) => {
                Step::Fail(bad(format!("no {}", expect.pattern)))
            }
            _ => unfinished(turn, head.end, "body"),
        }
    }

    fn statuses_have(&self, status: u16) -> bool {
        if self.statuses.is_empty() {
            return (200..=399).contains(&status);
        }
        self.statuses.iter().any(|range| range.contains(&status))
    }
}

impl ExpectHeader {
    fn holds(&self, head: &Head<'_>) -> bool {
        let mut values = head.values(&self.name);
        match &self.value {
            Value::Any => values.next().is_some(),
            Value::None => values.next().is_none(),
            Value::Is(wanted) => values.any(|value| value.trim_ascii() == &**wanted),
            Value::Has(pattern) => values.any(|value| pattern.find(value, true).is_some()),
        }
    }

    fn reason(&self, head: &Head<'_>) -> Reason {
        match (&self.value, head.values(&self.name).next()) {
            (Value::None, _) => bad(format!("has header {}", self.name)),
            (_, None) => bad(format!("no header {}", self.name)),
            (_, Some(value)) => bad(format!("header {} is {}", self.name, quoted(value))),
        }
    }
}

/// More is wanted; this is what it means that no more comes.
fn unfinished(turn: Turn<'_>, start: usize, part: &str) -> Step<'static> {
    let place = match turn.heard.len() {
        // Nothing was heard, which the transport can tell better.
        0 => return Step::More,
        heard if part == "head" && heard == start => "before the redirect's answer".to_string(),
        _ => format!("in the {part}"),
    };
    Step::Fail(match turn.end {
        End::Open => return Step::More,
        End::Closed => bad(format!("closed {place}")),
        End::Reset => Reason::soft(Layer::L7, Mark::Refused, format!("reset {place}")),
        End::Deadline => timeout(&place),
        End::Full => bad("answer too long"),
    })
}

fn timeout(place: &str) -> Reason {
    Reason::soft(Layer::L7, Mark::Timeout, format!("timeout {place}"))
}
