//! What a check line means: its times, its rule, its transport. What it says on the wire its dialogue reads.

use super::{Carried, CheckWords, Defaults, Kind, Named, kinds};
use crate::dialogue::pattern::Pattern;
use crate::engine::{Spec, Stream, Tls, Transport};
use evenkeel_core::Span;
use evenkeel_core::config::{Down, Rule, Timing};
use evenkeel_syntax::{Diagnostic, Reading, Word};
use std::path::PathBuf;
use std::sync::Arc;

/// How far the fails of a rule must be spread: three tries in 16 ms are one try.
const SPREAD: Span = Span::from_secs(1);
/// Bytes of a file that is sent.
const FILE_MAX: u64 = 64 * 1024;

/// What a line `check KIND …` means. `None`: it means nothing, and `errors` says why.
pub fn read(line: &Reading<'_>, defaults: &Defaults, errors: &mut Vec<Diagnostic>) -> Option<CheckWords> {
    let before = errors.len();
    let kind = kinds().iter().find(|kind| kind.form.head == line.head())?;
    let timing = timing(line, defaults.timing, errors);
    let rule = rule(line.block(), defaults.rule);
    enough_time(line, &timing, &rule, errors);
    let spec = spec(kind, line, None, errors)?;
    if errors[before..].iter().any(Diagnostic::is_error) {
        return None;
    }
    Some(CheckWords {
        timing,
        rule,
        spec,
        port: line.number("port").and_then(|port| u16::try_from(port).ok()),
    })
}

/// How a line that was read and found good asks a server that was given by name: its name stands in `Host`,
/// and the certificate must be for it, unless the line says otherwise. `None`: no different from any other
/// server.
pub fn named(line: &Reading<'_>, name: &str, port: u16) -> Option<Arc<Spec>> {
    let kind = kinds().iter().find(|kind| kind.form.head == line.head())?;
    let speaks_tls = line.flag("tls") || line.find("tls").is_some();
    if kind.name != "http" && !speaks_tls {
        return None;
    }
    spec(kind, line, Some((name, port)), &mut Vec::new())
}

fn spec(
    kind: &Kind,
    line: &Reading<'_>,
    named: Option<Named<'_>>,
    errors: &mut Vec<Diagnostic>,
) -> Option<Arc<Spec>> {
    let transport = match kind.transport {
        Carried::HalfOpen => Transport::HalfOpen,
        Carried::Stream => {
            let mut tls = tls(line, errors);
            if let (Some(tls), Some((name, _))) = (&mut tls, named) {
                tls.name.get_or_insert_with(|| name.to_string());
            }
            Transport::Stream(Stream {
                tls: tls.map(Arc::new),
                close_rst: line.text("close") == Some("rst"),
                reuse: line.flag("reuse"),
                tripwire: line.flag("tripwire"),
            })
        }
    };
    let dialogue = (kind.read)(line, named, errors)?;
    Some(Arc::new(Spec { kind: kind.name, transport, dialogue }))
}

/// The times of a line that has the keys of every check. What is not said follows what is: a shorter `every`
/// shortens a timeout nobody named.
pub fn timing(line: &Reading<'_>, default: Timing, errors: &mut Vec<Diagnostic>) -> Timing {
    let said = |key: &str| line.number(key).map(Span::from_nanos);
    let every = said("every").unwrap_or(default.every);
    let timeout = said("timeout").unwrap_or(default.timeout.min(every));
    let connect_timeout = said("connect").unwrap_or(default.connect_timeout.min(timeout));
    let fast = said("fast").unwrap_or(default.fast.min(every));
    let fast_refused = default.fast_refused.min(fast);
    let mut tell = |key: &str, message: String, label: &str| {
        let place = line.word(key).map_or(line.place(), |word| word.place);
        errors.push(Diagnostic::error(place, message).label(label));
    };
    for (key, span) in [("every", every), ("timeout", timeout), ("connect", connect_timeout), ("fast", fast)]
    {
        if span < Span::from_millis(1) {
            tell(key, format!("`{key} {span}` is too short"), "at least 1ms");
        }
    }
    if timeout > every {
        let message = format!("the timeout {timeout} is longer than the interval {every}");
        tell("timeout", message, "at most `every`: a server is asked one thing at a time");
    }
    if connect_timeout > timeout {
        tell(
            "connect",
            format!("connect {connect_timeout} is longer than the timeout {timeout}"),
            "a part of it",
        );
    }
    if fast > every {
        tell("fast", format!("fast {fast} is longer than the interval {every}"), "would be slow");
    }
    Timing { every, timeout, connect_timeout, fast, fast_refused }
}

/// The rule that lines `down after …` and `up after …` make of a default; in a check's block, a pool's or
/// the defaults'.
pub fn rule(lines: &[Reading<'_>], default: Rule) -> Rule {
    let mut rule = default;
    let small = |number: Option<u64>| number.and_then(|number| u16::try_from(number).ok());
    for line in lines {
        match line.head() {
            "down after" => {
                if let Some(count) = small(line.number("fails")) {
                    let spread = if count == 1 { Span::ZERO } else { SPREAD };
                    rule.down = Down::Fails { count, spread };
                } else if let Some(time) = line.number("time") {
                    rule.down = Down::NoPassFor(Span::from_nanos(time));
                }
            }
            "up after" => rule.up_passes = small(line.number("passes")).unwrap_or(rule.up_passes),
            _ => {}
        }
    }
    rule
}

/// `down after T` must leave time for two probes, or one late answer takes the server down.
fn enough_time(line: &Reading<'_>, timing: &Timing, rule: &Rule, errors: &mut Vec<Diagnostic>) {
    let Down::NoPassFor(time) = rule.down else { return };
    let least = timing.every.times(2) + timing.timeout;
    if time < least {
        let down = line.find("down after");
        let word = down.and_then(|down| down.word("time"));
        let place = word.map_or(line.place(), |word| word.place);
        let message = format!("`down after {time}` leaves no time for two probes");
        let help = format!("at least 2 x every + timeout = {least} here");
        errors.push(Diagnostic::error(place, message).label("one late answer would decide").help(help));
    }
}

fn tls(line: &Reading<'_>, errors: &mut Vec<Diagnostic>) -> Option<Tls> {
    let mut tls = Tls { name: None, verify: true, authorities: None, client: None };
    let Some(words) = line.find("tls") else { return line.flag("tls").then_some(tls) };
    let mut file = |key: &str| {
        let word = words.word(key)?;
        if let Err(error) = std::fs::File::open(&word.text) {
            errors.push(
                Diagnostic::error(word.place, format!("cannot read `{}`", word.text)).label(cause(&error)),
            );
        }
        Some(PathBuf::from(&word.text))
    };
    tls.authorities = file("ca");
    tls.client = match (file("cert"), file("key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (cert, _) => {
            let (has, needs) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
            let message = format!("`{has}` without `{needs}`");
            errors.push(
                Diagnostic::error(words.place(), message).label("a certificate and its key go together"),
            );
            None
        }
    };
    if let Some(word) = words.word("name") {
        if rustls::pki_types::ServerName::try_from(word.text.as_str()).is_err() {
            let message = format!("`{}` is no name of a server", word.text);
            errors.push(
                Diagnostic::error(word.place, message).label("such as `www.example.org`, without a port"),
            );
        }
        tls.name = Some(word.text.clone());
    }
    tls.verify = words.text("verify") != Some("no");
    Some(tls)
}

/// The pattern that a word spells.
pub(crate) fn pattern_of(word: &Word, errors: &mut Vec<Diagnostic>) -> Option<Pattern> {
    let tell = |why: String| {
        let error = Diagnostic::error(word.place, format!("`{}` is no pattern", word.text)).label(why);
        errors.push(error.help("the syntax is that of docs.rs/regex; quote it with single quotes"));
    };
    Pattern::regex(&word.text).map_err(tell).ok()
}

/// The bytes that hexadecimal words spell: `00 ff`, `00ff`.
pub(crate) fn bytes_of(words: &[Word], errors: &mut Vec<Diagnostic>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in words {
        let digits: Option<Vec<u8>> = word
            .text
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let Some(digits) = digits.filter(|digits| digits.len() % 2 == 0 && !digits.is_empty()) else {
            let error = Diagnostic::error(word.place, format!("`{}` is not hexadecimal", word.text));
            errors.push(error.label("two digits a byte: `00 ff` or `00ff`"));
            return None;
        };
        bytes.extend(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    }
    Some(bytes)
}

/// The content of a file that is sent. It is read here, once, so that a probe never waits for a disk.
pub(crate) fn content_of(word: &Word, errors: &mut Vec<Diagnostic>) -> Option<Vec<u8>> {
    let mut tell = |label: String| {
        errors.push(Diagnostic::error(word.place, format!("cannot send `{}`", word.text)).label(label));
    };
    // Only a plain file has an end: a pipe or a device would hold up the whole config.
    match std::fs::metadata(&word.text) {
        Err(error) => tell(cause(&error)),
        Ok(about) if !about.is_file() => tell("not a plain file".into()),
        Ok(about) if about.len() > FILE_MAX => tell("larger than 64KiB".into()),
        Ok(_) => match std::fs::read(&word.text) {
            Ok(bytes) => return Some(bytes),
            Err(error) => tell(cause(&error)),
        },
    }
    None
}

fn cause(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "not allowed to".into(),
        _ => error.to_string(),
    }
}
