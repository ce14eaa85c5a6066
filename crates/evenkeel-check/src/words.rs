//! The words of a `check` line: which kinds there are, what each may say, and what it means for the engine.
//! Which checks a pool has, and what they are called, is the config's business.

mod read;

pub(crate) use read::{bytes_of, content_of, pattern_of};
pub use read::{named, read, rule, timing};

use crate::dialogue::{Dialogue, expect, http, silence};
use crate::engine::Spec;
use evenkeel_core::config::{Rule, Timing};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::{Diagnostic, Reading};
use std::sync::Arc;

/// A kind of check.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word after `check`.
    pub name: &'static str,
    /// The whole line and its block. Its head is `check NAME`.
    pub form: Form,
    /// The source of its dialogue's file, whose `//!` text is its page of the reference.
    pub(crate) source: &'static str,
    /// What carries it.
    pub(crate) transport: Carried,
    /// The conversation that a line asks for; with an error, if it makes none.
    pub(crate) read: Read,
}

/// Reads a line, fitted to its form, into a conversation.
pub(crate) type Read = fn(&Reading<'_>, Option<Named<'_>>, &mut Vec<Diagnostic>) -> Option<Arc<dyn Dialogue>>;

/// The host name and the port of a server that was given by name.
pub(crate) type Named<'n> = (&'n str, u16);

/// What carries a kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    HalfOpen,
    Stream,
}

/// What a check line means.
#[derive(Clone, Debug)]
pub struct CheckWords {
    /// When to ask.
    pub timing: Timing,
    /// What the answers mean.
    pub rule: Rule,
    /// How to ask.
    pub spec: Arc<Spec>,
    /// Which port to ask instead of the server's.
    pub port: Option<u16>,
}

/// What holds where a check line says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults {
    /// When to ask.
    pub timing: Timing,
    /// What the answers mean.
    pub rule: Rule,
}

impl Kind {
    /// Its page of the reference, in Markdown.
    pub fn page(&self) -> String {
        let lines = self.source.lines().map_while(|line| line.strip_prefix("//!"));
        lines.flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect()
    }
}

/// Every kind, in the order of the reference.
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// The lines `check KIND ...` of every kind, for [`evenkeel_syntax::read`].
pub fn forms() -> &'static [&'static [Form]] {
    static GROUPS: [&[Form]; 1] = [&FORMS];
    &GROUPS
}

const KINDS: [Kind; 3] = [silence::HALF_OPEN, expect::TCP, http::KIND];

static FORMS: [Form; KINDS.len()] = {
    let mut forms = [KINDS[0].form; KINDS.len()];
    let mut at = 0;
    while at < KINDS.len() {
        forms[at] = KINDS[at].form;
        at += 1;
    }
    forms
};

/// What every check line may say.
pub const COMMON_KEYS: &[Slot] = &[
    key("every", Shape::Time, "5s", "From one probe to the next."),
    key("timeout", Shape::Time, "2s", "For a whole probe, from the connect to the verdict."),
    key("connect", Shape::Time, "1s", "For its connect phase; at most `timeout`."),
    key("fast", Shape::Time, "1s", "From one probe to the next while a change is pending."),
    Slot {
        name: "port",
        shape: Shape::Number { min: 1, max: 65_535 },
        optional: true,
        default: None,
        doc: "Asks this port instead of the server's.",
    },
    Slot {
        name: "as",
        shape: Shape::Name,
        optional: true,
        default: None,
        doc: "What it is called in logs; without it by its kind, and the second of a kind `http-2`.",
    },
];

/// When a check asks: the first of [`COMMON_KEYS`], which `defaults` may say too.
pub const TIMING_KEYS: &[Slot] = COMMON_KEYS.split_at(4).0;

/// What every check line that opens a whole connection may say.
pub const STREAM_KEYS: &[Slot] = &[
    Slot {
        name: "close",
        shape: Shape::OneOf(&["fin", "rst"]),
        optional: true,
        default: Some("fin"),
        doc: "How we end the connection. `rst` leaves nothing behind on either side, but a server may \
              log it.",
    },
    flag("tls", "Speaks TLS. The certificate is verified; the block's `tls` line says more."),
    flag("reuse", "Keeps the connection for the next probe; one in three is made afresh all the same."),
    flag("tripwire", "Holds an idle connection to the server. When it breaks, a probe is made at once."),
];

/// What every check's block may say.
pub const COMMON_BLOCK: &[Form] = &[
    Form {
        head: "down after",
        names: &[name("fails", Shape::Number { min: 1, max: 1000 }), word("fails")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "So many fails in a row, the last at least one second after the first, take the server down. \
              Default: 3 fails.",
    },
    Form {
        head: "down after",
        names: &[name("time", Shape::Time)],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "No pass for so long takes the server down: the rule that F5 calls timeout. At least twice \
              `every` plus `timeout`.",
    },
    Form {
        head: "up after",
        names: &[name("passes", Shape::Number { min: 1, max: 1000 }), word("passes")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "So many passes in a row bring it back up. Default: 2 passes.",
    },
];

/// What the block of a check that opens a whole connection may say.
pub const STREAM_BLOCK: &[Form] = &[Form {
    head: "tls",
    names: &[],
    keys: &[&[
        Slot {
            name: "name",
            shape: Shape::Text,
            optional: true,
            default: Some("the server's name or address"),
            doc: "The name asked for (SNI) and verified.",
        },
        Slot {
            name: "verify",
            shape: Shape::OneOf(&["yes", "no"]),
            optional: true,
            default: Some("yes"),
            doc: "`no`: any certificate will do.",
        },
        Slot {
            name: "ca",
            shape: Shape::Path,
            optional: true,
            default: Some("the system's authorities"),
            doc: "PEM file of the authorities that are trusted.",
        },
        Slot {
            name: "cert",
            shape: Shape::Path,
            optional: true,
            default: None,
            doc: "PEM file of a certificate to show to the server. Needs `key`.",
        },
        Slot { name: "key", shape: Shape::Path, optional: true, default: None, doc: "PEM file of its key." },
    ]],
    block: None,
    count: Count::Maybe,
    doc: "Speaks TLS, and how.",
}];

/// A key with a value that may be left out.
pub(crate) const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Slot {
    Slot { name, shape, optional: true, default: Some(default), doc }
}

/// A key without a value.
pub(crate) const fn flag(name: &'static str, doc: &'static str) -> Slot {
    Slot { name, shape: Shape::Flag, optional: true, default: None, doc }
}

/// A word by position.
pub(crate) const fn name(name: &'static str, shape: Shape) -> Slot {
    Slot { name, shape, optional: false, default: None, doc: "" }
}

/// A fixed word by position.
pub(crate) const fn word(word: &'static str) -> Slot {
    Slot { name: word, shape: Shape::Literal(word), optional: false, default: None, doc: "" }
}

/// A line of a block that has names and nothing else.
pub(crate) const fn line(
    head: &'static str,
    names: &'static [Slot],
    count: Count,
    doc: &'static str,
) -> Form {
    Form { head, names, keys: &[], block: None, count, doc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_page_and_a_head_of_its_name() {
        for kind in kinds() {
            assert!(kind.page().starts_with("# "), "{}", kind.name);
            assert!(kind.page().len() > 300, "{}", kind.name);
            assert_eq!(kind.form.head, format!("check {}", kind.name));
        }
    }
}
