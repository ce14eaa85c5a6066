//! The words of `check http`, and what they mean. How a conversation goes is told one level up.

use super::{ExpectBody, ExpectHeader, Http, Made, Request, Value};
use crate::dialogue::Dialogue;
use crate::dialogue::pattern::Pattern;
use crate::words::{COMMON_BLOCK, COMMON_KEYS, Carried, Kind, Named, STREAM_BLOCK, STREAM_KEYS};
use crate::words::{content_of, key, line, name, pattern_of, word};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::{Diagnostic, Reading, Word};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// `check http`.
pub const KIND: Kind = Kind {
    name: "http",
    form: Form {
        head: "check http",
        names: &[Slot {
            name: "path",
            shape: Shape::Path,
            optional: true,
            default: Some("/"),
            doc: "What is asked for, with its query if it has one.",
        }],
        keys: &[KEYS, COMMON_KEYS, STREAM_KEYS],
        block: Some(&[BLOCK, COMMON_BLOCK, STREAM_BLOCK]),
        count: Count::Any,
        doc: "One HTTP/1 request; its status, header and body are judged.",
    },
    source: include_str!("../http.rs"),
    transport: Carried::Stream,
    read,
};

const KEYS: &[Slot] = &[
    key("method", Shape::Text, "GET", "Any method; case matters."),
    key("host", Shape::Text, "the server's name or address", "What `Host` says."),
    key("version", Shape::OneOf(&["1.0", "1.1"]), "1.1", "The version of HTTP that is spoken."),
    key("follow", Shape::Number { min: 0, max: 10 }, "0", "Redirects to the same server that are followed."),
];

const BLOCK: &[Form] = &[
    line(
        "header",
        &[name("name", Shape::Text), name("value", Shape::Text)],
        Count::Any,
        "Adds a field to the request, or replaces the one that would be sent.",
    ),
    line(
        "body file",
        &[name("file", Shape::Path)],
        Count::Maybe,
        "Sends a file's content with the request. It is read once, with the config.",
    ),
    line("body", &[name("text", Shape::Text)], Count::Maybe, "Sends this with the request."),
    line(
        "raw",
        &[name("request", Shape::Text)],
        Count::Maybe,
        "Sends exactly this instead of a request of ours, `\\r\\n\\r\\n` and all.",
    ),
    line(
        "expect status",
        &[name("statuses", Shape::Rest)],
        Count::Maybe,
        "Statuses that pass: `200`, `200-299`, or several of these. Without it 200-399.",
    ),
    line(
        "expect header not",
        &[name("name", Shape::Text)],
        Count::Any,
        "The answer must not have this field.",
    ),
    line(
        "expect header",
        &[name("name", Shape::Text), word("regex"), name("pattern", Shape::Text)],
        Count::Any,
        "A value of this field must match.",
    ),
    line(
        "expect header",
        &[name("name", Shape::Text), name("value", Shape::Text)],
        Count::Any,
        "A value of this field must be exactly this.",
    ),
    line("expect header", &[name("name", Shape::Text)], Count::Any, "The answer must have this field."),
    line(
        "expect body not regex",
        &[name("pattern", Shape::Text)],
        Count::Any,
        "Nothing in the body's first 64 KiB may match.",
    ),
    line(
        "expect body not",
        &[name("text", Shape::Text)],
        Count::Any,
        "The body's first 64 KiB must not hold this.",
    ),
    line(
        "expect body regex",
        &[name("pattern", Shape::Text)],
        Count::Any,
        "Something in the body's first 64 KiB must match.",
    ),
    line("expect body", &[name("text", Shape::Text)], Count::Any, "The body's first 64 KiB must hold this."),
];

fn read(
    line: &Reading<'_>,
    named: Option<Named<'_>>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Arc<dyn Dialogue>> {
    let before = errors.len();
    let reuse = line.flag("reuse");
    let follow = u8::try_from(line.number("follow").unwrap_or(0)).unwrap_or(10);
    let default_port = if line.flag("tls") || line.find("tls").is_some() { 443 } else { 80 };
    let mut made = Made { keep: reuse || follow > 0, default_port, ..made(line, errors) };
    if let (None, Some((name, port))) = (&made.host, named) {
        made.host = Some(if port == default_port { name.to_string() } else { format!("{name}:{port}") });
    }
    let request = match line.find("raw") {
        Some(raw) => raw_request(line, raw, errors),
        None => Request::Made(made),
    };
    let http = Http {
        follow,
        statuses: statuses(line, errors),
        headers: line.block().iter().filter_map(|line| header(line, errors)).collect(),
        bodies: line.block().iter().filter_map(|line| body(line, errors)).collect(),
        to_end: reuse,
        request,
    };
    if http.request.method() == "HEAD" {
        let asked = line.block().iter().filter(|line| line.head().starts_with("expect body"));
        errors.extend(asked.map(|line| {
            Diagnostic::error(line.place(), "the answer to HEAD has no body").label("this can never pass")
        }));
    }
    (errors.len() == before || !errors[before..].iter().any(Diagnostic::is_error))
        .then(|| Arc::new(http) as _)
}

fn made(line: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Made {
    let mut made = Made { version_1_0: line.text("version") == Some("1.0"), ..Made::default() };
    if let Some(word) = line.word("path") {
        if !word.text.starts_with('/') && word.text != "*" {
            errors.push(wrong(word, "a path begins with `/`", &format!("write `/{}`", word.text)));
        } else if word.bytes().iter().any(|byte| !(0x21..=0x7e).contains(byte)) {
            let message = "a path holds neither spaces nor bytes beyond ASCII";
            errors.push(wrong(word, message, "write them as `%20`"));
        }
        made.target = word.text.clone();
    }
    if let Some(word) = line.word("method") {
        if !word.bytes().iter().all(|byte| is_token(*byte)) || word.text.is_empty() {
            errors.push(wrong(word, &format!("`{}` is no method", word.text), "such as `HEAD` or `POST`"));
        }
        made.method = word.text.clone();
    }
    if let Some(word) = line.word("host") {
        if word.text.is_empty() || word.bytes().iter().any(|byte| !(0x21..=0x7e).contains(byte)) {
            errors.push(wrong(word, "no name of a host", "such as `www.example.org`"));
        }
        made.host = Some(word.text.clone());
    }
    for field in line.all("header") {
        let (Some(name), Some(value)) = (field.word("name"), field.word("value")) else { continue };
        if name.text.is_empty() || !name.bytes().iter().all(|byte| is_token(*byte)) {
            errors.push(wrong(name, "no name of a header field", "letters, digits and `-`, without the `:`"));
        }
        if value.bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            errors.push(wrong(value, "a header field is one line", "no \\r, \\n or \\0"));
        }
        made.fields.push((name.text.clone(), value.bytes().to_vec()));
    }
    if let Some(text) = line.find("body").and_then(|line| line.bytes("text")) {
        made.body = text.to_vec();
    }
    if let Some(file) = line.find("body file") {
        if let Some(first) = line.find("body") {
            let error = Diagnostic::error(file.place(), "a request has one body").label("the second one");
            errors.push(error.note(first.place(), "the first one is here"));
        }
        made.body = file.word("file").and_then(|word| content_of(word, errors)).unwrap_or_default();
    }
    made
}

/// A raw request: linted, because the faults that F5's send strings are known for are silent ones.
fn raw_request(line: &Reading<'_>, raw: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Request {
    let Some(word) = raw.word("request") else { return Request::Raw(Vec::new()) };
    let bytes = word.bytes().to_vec();
    let beside =
        ["path", "method", "host", "version", "follow"].into_iter().filter_map(|slot| line.word(slot));
    let lines = line.block().iter().filter(|line| matches!(line.head(), "header" | "body" | "body file"));
    let places: Vec<_> = beside.map(|word| word.place).chain(lines.map(Reading::place)).collect();
    for place in places {
        let error = Diagnostic::error(place, "`raw` is the whole request").label("says nothing beside it");
        errors.push(error.note(raw.place(), "the request is here"));
    }
    let text = String::from_utf8_lossy(&bytes);
    let first = text.split("\r\n").next().unwrap_or("");
    if !text.contains("\r\n\r\n") {
        let message = "the request does not end: a server waits for the empty line";
        errors.push(wrong(word, message, "needs `\\r\\n\\r\\n`"));
    } else if !first.trim_end().ends_with(" HTTP/1.1") && !first.trim_end().ends_with(" HTTP/1.0") {
        let message = "the request names no version: this would be HTTP/0.9";
        errors.push(wrong(word, message, "needs ` HTTP/1.1` at the end of its first line"));
    } else if first.ends_with(' ') {
        let message = "a space stands between the version and the end of the line: many servers answer 400";
        errors.push(Diagnostic::warning(word.place, message).label("write `HTTP/1.1\\r\\n`"));
    }
    if first.trim_end().ends_with("HTTP/1.1") && !text.to_ascii_lowercase().contains("\r\nhost:") {
        let message = "HTTP/1.1 without a `Host` field: servers must answer 400 (RFC 9112, section 3.2)";
        errors
            .push(Diagnostic::warning(word.place, message).label("add `Host: ...\\r\\n`, or speak HTTP/1.0"));
    }
    Request::Raw(bytes)
}

fn statuses(line: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Vec<RangeInclusive<u16>> {
    let words = line.find("expect status").map_or(&[][..], |line| line.rest("statuses"));
    let mut statuses = Vec::new();
    for word in words {
        match status_range(&word.text) {
            Some(range) => statuses.push(range),
            None => errors.push(wrong(
                word,
                &format!("`{}` is no status", word.text),
                "100 to 599, or a range such as `200-299`",
            )),
        }
    }
    statuses
}

/// `200`, `200-299`.
fn status_range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| {
        let whole = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| whole && (100..=599).contains(status))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}

fn header(line: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Option<ExpectHeader> {
    if !line.head().starts_with("expect header") {
        return None;
    }
    let name = line.word("name")?;
    if name.text.is_empty() || !name.bytes().iter().all(|byte| is_token(*byte)) {
        errors.push(wrong(name, "no name of a header field", "letters, digits and `-`, without the `:`"));
    }
    let value = match (line.head(), line.bytes("value")) {
        ("expect header not", _) => Value::None,
        (_, Some(value)) => Value::Is(value.trim_ascii().to_vec()),
        (_, None) if line.flag("regex") => Value::Has(pattern_of(line.word("pattern")?, errors)?),
        (_, None) => Value::Any,
    };
    Some(ExpectHeader { name: name.text.to_ascii_lowercase(), value })
}

fn body(line: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Option<ExpectBody> {
    let rest = line.head().strip_prefix("expect body")?;
    let pattern = if rest.ends_with("regex") {
        pattern_of(line.word("pattern")?, errors)?
    } else {
        let word = line.word("text")?;
        Pattern::text(word.bytes())
            .map_err(|why| errors.push(wrong(word, &why, "say what to look for")))
            .ok()?
    };
    Some(ExpectBody { pattern, not: rest.starts_with(" not") })
}

fn wrong(word: &Word, message: &str, label: &str) -> Diagnostic {
    Diagnostic::error(word.place, message).label(label)
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_statuses_and_ranges() {
        assert_eq!(status_range("200"), Some(200..=200));
        assert_eq!(status_range("200-399"), Some(200..=399));
        for bad in ["", "20", "2000", "600", "099", "300-200", "2xx", "200-", "+20", "200-299-300"] {
            assert_eq!(status_range(bad), None, "{bad}");
        }
    }
}
