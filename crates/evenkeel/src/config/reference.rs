//! The reference of the config, in Markdown, made from the forms: it cannot say anything that the reader does
//! not do.

use super::forms;
use evenkeel_check::words::{COMMON_BLOCK, COMMON_KEYS, STREAM_BLOCK, STREAM_KEYS, kinds};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Reference of the config

This page is made from the tables that the reader itself uses (`evenkeel config --reference` prints it).

A **directive** is words to the end of the line, then perhaps a `{ block }` of directives; the `{` ends its line,
the `}` has a line of its own. `#` begins a comment. First come the names, then keys with their values in any order.
A word with a space in it is quoted: in `\"double quotes\"`, where `\\n`, `\\r`, `\\t`, `\\0`, `\\\\`, `\\\"` and
`\\xHH` are known, or in `'single quotes'`, where everything is itself. A quoted word is never a key.

Times are written `200us`, `200ms`, `5s`, `1m30s`, `2h`, `1d`; sizes `512B`, `64KiB`, `1MiB`; shares `50%`. A number
without a unit is an error where it needs one. Addresses are `10.0.0.1:80`, `[::1]:80`, `name:80`, `unix:/run/x.sock`.

`include DIR/*.conf` is replaced by the directives of those files, in the order of their names; the path is relative
to the file that it stands in.

In this page `[…]` may be left out, CAPITALS stand for a value, and `a|b` is a choice.
";

const INHERITANCE: &str = "\
## Named checks

`check NAME like PARENT …` outside of any pool defines a check that pools use as `check NAME`. PARENT is a kind
(`http`, `tcp`, …) or another named check. It says whatever a line of its kind may say, and so does the line that uses
it. What the heir says replaces what the parent says: the words by position, each key, and in the block every
directive with the same words at its head; the steps of a conversation (`send`, `expect` of `check tcp`) are replaced
as a whole. In a pool, `check NAME like PARENT …` uses a kind or a named check under another name.

```
check front like http /ready every 2s {
    expect body \"OK\"
}
pool web {
    server a 10.0.0.1:80
    check front timeout 500ms
}
```
";

const EVERY_CHECK: &str = "\
## What every check may say

Keys on its line:
";

const CONNECTED_CHECKS: &str = "
## What checks over a connection may say

`check half-open` makes none; all others do. Keys on the line:
";

const JSON: &str = "\
## JSON

`evenkeel config --json` prints a config as JSON, and a file called `….json` is read as such: the same tree, made by
the same tables, what is included and inherited in its place. A directive is a field, `down after` is `down_after`;
one that may stand several times is a list; one with a single value is that value. Numbers are numbers, everything
with a unit is a string, a key without a value is `true`. Bytes that are no text are `{\"hex\": \"00ff\"}`. The checks
of a pool are one list, `check`, each with its `kind`; the steps of a conversation are one list, `steps`.
`evenkeel config --schema` prints the JSON schema.
";

/// The whole page.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    let root = || forms::root().iter().flat_map(|group| group.iter());
    for form in root().filter(|form| form.head != "defaults") {
        heading(&mut out, form, 2);
        let inner: Vec<&Form> = lines_of(form).filter(|form| !form.head.starts_with("check ")).collect();
        inner.iter().for_each(|form| heading(&mut out, form, 3));
        if form.head == "pool" {
            out.push_str(
                "\n### `check KIND …`\n\nHow the servers are asked; below, each kind has its part.\n",
            );
        }
    }
    root().filter(|form| form.head == "defaults").for_each(|form| defaults(&mut out, form));
    out.push('\n');
    out.push_str(INHERITANCE);
    out.push('\n');
    out.push_str(EVERY_CHECK);
    table(&mut out, &[], COMMON_KEYS);
    out.push_str(
        "\nIn its block, and in a pool or in `defaults` for all checks that do not say it themselves:\n",
    );
    lines(&mut out, COMMON_BLOCK);
    out.push_str(CONNECTED_CHECKS);
    table(&mut out, &[], STREAM_KEYS);
    for form in STREAM_BLOCK {
        heading(&mut out, form, 3);
    }
    forms::checks().iter().for_each(|form| check(&mut out, form));
    out.push('\n');
    out.push_str(JSON);
    // Several blank lines in a row are one.
    while out.contains("\n\n\n") {
        out = out.replace("\n\n\n", "\n\n");
    }
    out.trim_end().to_owned() + "\n"
}

fn lines_of(form: &Form) -> impl Iterator<Item = &'static Form> {
    form.block.into_iter().flatten().flat_map(|group| group.iter())
}

fn defaults(out: &mut String, form: &Form) {
    heading(out, form, 2);
    let mut heads: Vec<String> = Vec::new();
    for line in lines_of(form).filter(|line| line.head != "check") {
        let head = format!("`{}`", line.head);
        if !heads.contains(&head) {
            heads.push(head);
        }
    }
    out.push_str("\nOf pools and services it may hold ");
    out.push_str(&heads.join(", "));
    out.push_str(".\n");
    lines_of(form).filter(|line| line.head == "check").for_each(|line| heading(out, line, 3));
}

/// One kind of check: what it says of itself, and the words that only it has.
fn check(out: &mut String, form: &Form) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n## `{}`\n\n{}", usage(form), form.doc);
    let common = |slot: &&Slot| COMMON_KEYS.iter().chain(STREAM_KEYS).any(|other| other.name == slot.name);
    let own: Vec<Slot> =
        form.keys.iter().flat_map(|group| group.iter()).filter(|slot| !common(slot)).copied().collect();
    if !own.is_empty() || !form.names.is_empty() {
        table(out, form.names, &own);
    }
    let page = kinds().iter().find(|kind| kind.form.head == form.head).map(|kind| kind.page());
    out.push('\n');
    // The page's title is this one's; its other headings go below it.
    page.iter().flat_map(|page| page.lines()).filter(|line| !line.starts_with("# ")).for_each(|line| {
        let deeper = if line.starts_with("## ") { "#" } else { "" };
        let _ = writeln!(out, "{deeper}{line}");
    });
    let known = |form: &&Form| COMMON_BLOCK.iter().chain(STREAM_BLOCK).any(|other| other.head == form.head);
    let own: Vec<Form> = lines_of(form).filter(|form| !known(form)).copied().collect();
    if !own.is_empty() {
        out.push_str("\n### Its lines\n");
        lines(out, &own);
    }
}

/// A directive with a heading of its own.
fn heading(out: &mut String, form: &Form, level: usize) {
    let _ = writeln!(out, "\n{} `{}`\n\n{}{}", "#".repeat(level), usage(form), form.doc, often(form));
    let keys: Vec<Slot> = form.keys.iter().flat_map(|group| group.iter()).copied().collect();
    if form.names.iter().chain(&keys).any(|slot| !slot.doc.is_empty()) {
        table(out, form.names, &keys);
    }
}

/// Directives that need no more than a line each.
fn lines(out: &mut String, forms: &[Form]) {
    out.push_str("\n| line | |\n|---|---|\n");
    for form in forms {
        let _ = writeln!(out, "| `{}` | {}{} |", usage(form).replace('|', "\\|"), form.doc, often(form));
    }
}

fn often(form: &Form) -> &'static str {
    match form.count {
        Count::One => " Needed once.",
        Count::Some => " Needed once at least.",
        Count::Maybe => " Once at most.",
        Count::Any | Count::Step => "",
    }
}

fn table(out: &mut String, names: &[Slot], keys: &[Slot]) {
    out.push_str("\n| word | value | default | |\n|---|---|---|---|\n");
    for slot in names.iter().filter(|slot| !matches!(slot.shape, Shape::Literal(_))) {
        row(out, &slot.name.to_uppercase(), slot);
    }
    keys.iter().for_each(|slot| row(out, slot.name, slot));
}

fn row(out: &mut String, word: &str, slot: &Slot) {
    let default = slot.default.map_or(String::new(), |default| match default.contains(' ') {
        true => default.to_owned(),
        false => format!("`{default}`"),
    });
    let _ =
        writeln!(out, "| `{word}` | {} | {default} | {} |", value(&slot.shape), slot.doc.replace('|', "\\|"));
}

fn value(shape: &Shape) -> String {
    match shape {
        Shape::Literal(word) => format!("`{word}`"),
        Shape::Flag => "none".to_owned(),
        Shape::Text | Shape::Name => "a word".to_owned(),
        Shape::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" "),
        Shape::Number { min, max } => format!("{min} to {max}"),
        Shape::Time => "a time".to_owned(),
        Shape::Size => "a size".to_owned(),
        Shape::Percent => "a share".to_owned(),
        Shape::Address => "an address".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::Rest => "words".to_owned(),
    }
}

/// How a directive is written: `server NAME ADDRESS [key VALUE …]`.
fn usage(form: &Form) -> String {
    let mut out = form.head.to_owned();
    for slot in form.names {
        let word = match slot.shape {
            Shape::Literal(word) => word.to_owned(),
            Shape::OneOf(words) => words.join("|"),
            Shape::Rest => format!("{}…", slot.name.to_uppercase()),
            _ => slot.name.to_uppercase(),
        };
        let _ = if slot.optional { write!(out, " [{word}]") } else { write!(out, " {word}") };
    }
    let keys = form.keys.iter().map(|group| group.len()).sum::<usize>();
    if keys > 2 {
        out.push_str(" [KEY VALUE …]");
    } else {
        for slot in form.keys.iter().flat_map(|group| group.iter()) {
            let _ = match slot.shape {
                Shape::Flag => write!(out, " [{}]", slot.name),
                _ => write!(out, " [{} {}]", slot.name, slot.name.to_uppercase()),
            };
        }
    }
    if form.block.is_some() {
        out.push_str(" { … }");
    }
    out
}
