//! The reference of the config, in Markdown, made from the forms: it cannot say anything that the reader does
//! not do.

use super::forms;
use evenkeel_check::words::kinds;
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

/// The whole page.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    for form in forms::root().iter().flat_map(|group| group.iter()) {
        directive(&mut out, form, 2);
        let checks = |form: &&Form| form.head.starts_with("check ");
        let inner = form.block.into_iter().flatten().flat_map(|group| group.iter());
        for form in inner.filter(|form| !checks(form)) {
            directive(&mut out, form, 3);
        }
    }
    out.push('\n');
    out.push_str(INHERITANCE);
    for form in forms::checks() {
        directive(&mut out, form, 2);
        if let Some(kind) = kinds().iter().find(|kind| kind.form.head == form.head) {
            let page = kind.page();
            // The page's own headings go below this one.
            page.lines().filter(|line| !line.starts_with("# ")).for_each(|line| {
                let deeper = if line.starts_with("## ") { "#" } else { "" };
                let _ = writeln!(out, "{deeper}{line}");
            });
        }
        for form in form.block.into_iter().flatten().flat_map(|group| group.iter()) {
            directive(&mut out, form, 3);
        }
    }
    // Several blank lines in a row are one.
    while out.contains("\n\n\n") {
        out = out.replace("\n\n\n", "\n\n");
    }
    out.trim_end().to_owned() + "\n"
}

fn directive(out: &mut String, form: &Form, level: usize) {
    let often = match form.count {
        Count::One => " Needed once.",
        Count::Some => " Needed once at least.",
        Count::Maybe => " Once at most.",
        Count::Any => "",
        Count::Step => " A step: done in its place in the order of the lines.",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{} `{}`\n\n{}{often}", "#".repeat(level), usage(form), form.doc);
    let slots = || form.names.iter().chain(form.keys.iter().flat_map(|group| group.iter()));
    if slots().any(|slot| !slot.doc.is_empty()) {
        out.push_str("\n| word | value | default | |\n|---|---|---|---|\n");
        slots().filter(|slot| !matches!(slot.shape, Shape::Literal(_))).for_each(|slot| row(out, form, slot));
    }
}

fn row(out: &mut String, form: &Form, slot: &Slot) {
    let name = form.names.iter().any(|name| std::ptr::eq(name, slot));
    let word = if name { slot.name.to_uppercase() } else { slot.name.to_owned() };
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
