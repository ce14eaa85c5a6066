//! What a probe found, for people, for programs, and as a transcript. It finds nothing out by itself.

use super::Question;
use crate::screen::{Columns, Tone, paint};
use evenkeel_check::dialogue::End;
use evenkeel_check::dialogue::transcript::{Line, escaped};
use evenkeel_check::once::Conversation;
use evenkeel_core::Span;
use evenkeel_core::evidence::{Evidence, Kind, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// For people.
pub(super) fn page(question: &Question, found: &Conversation, coloured: bool) -> String {
    let evidence = &found.evidence;
    let mut page = format!("{}  {}\n", paint(&question.server, Tone::Bold, coloured), question.check);
    let address = question.address.to_string();
    let asked = if address == question.server { String::new() } else { format!("asked {address}") };
    let from = found.local.map(|local| format!("from {local}")).unwrap_or_default();
    let from = [asked, from].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if !from.is_empty() {
        let _ = writeln!(page, "{from}");
    }
    let _ = write!(page, "\n{}", phases(question, evidence).draw("  ", coloured));
    if !evidence.sample.is_empty() {
        let title = if evidence.verdict.passed() { "what it said" } else { "what decided" };
        let (from, to) = (found.decided.start, found.decided.start + evidence.sample.len());
        let _ = writeln!(page, "\n  {title} (bytes {from} to {to} of {})", found.heard().len());
        for line in escaped(' ', &evidence.sample).lines() {
            let _ = writeln!(page, "   {line}");
        }
    }
    let _ = writeln!(page, "\n{}", verdict(evidence, coloured));
    page
}

/// The verdict and what it means.
fn verdict(evidence: &Evidence, coloured: bool) -> String {
    let Verdict::Fail(reason) = &evidence.verdict else { return paint("pass", Tone::Good, coloured) };
    let meaning = match reason.kind {
        Kind::Hard => "hard: nobody can be served there",
        Kind::Soft => "soft: it accepts connections, somebody is perhaps served",
        Kind::Local => "local: a fault of this host, which says nothing about the server and is not counted",
    };
    let mut text = format!("{}  {reason}\n      {meaning}", paint("fail", Tone::Bad, coloured));
    if let Some(errno) = evidence.errno {
        let error = std::io::Error::from_raw_os_error(errno).to_string();
        let _ = write!(text, "\n      errno {errno}: {}", error.split(" (os error").next().unwrap_or(""));
    }
    text
}

fn phases(question: &Question, evidence: &Evidence) -> Columns {
    let phases = &evidence.phases;
    let mut columns = Columns::default();
    let mut row = |name: &str, span: Option<Span>, note: String| {
        let Some(span) = span else { return };
        columns.row([(name.into(), Tone::Plain), (span.to_string(), Tone::Plain), (note, Tone::Dim)]);
    };
    let resolved = question.resolved.as_ref();
    row(
        "resolve",
        resolved.map(|resolved| resolved.0),
        resolved.map(|resolved| resolved.1.clone()).unwrap_or_default(),
    );
    row("connect", phases.connect, format!("at most {}", question.timing.connect_timeout));
    row("TLS", phases.tls, String::new());
    row("send", phases.send, String::new());
    row("first byte", phases.first_byte, String::new());
    row("body", phases.body, String::new());
    row("in all", Some(evidence.took), format!("at most {}", question.timing.timeout));
    columns
}

/// For programs: one object. Times are in nanoseconds, bytes that are no text replaced.
pub(super) fn json(question: &Question, found: &Conversation, dump: bool) -> Value {
    let evidence = &found.evidence;
    let reason = evidence.verdict.reason();
    let phases = &evidence.phases;
    let nanos = |span: Option<Span>| span.map(Span::as_nanos);
    let mut object = json!({
        "server": question.server,
        "check": question.check,
        "address": question.address.to_string(),
        "source": found.local.map(|local| local.to_string()),
        "verdict": if evidence.verdict.passed() { "pass" } else { "fail" },
        "reason": reason.map(ToString::to_string),
        "kind": reason.map(|reason| match reason.kind {
            Kind::Hard => "hard",
            Kind::Soft => "soft",
            Kind::Local => "local",
        }),
        "errno": evidence.errno,
        "took_ns": evidence.took.as_nanos(),
        "phases_ns": {
            "resolve": question.resolved.as_ref().map(|resolved| resolved.0.as_nanos()),
            "connect": nanos(phases.connect),
            "tls": nanos(phases.tls),
            "send": nanos(phases.send),
            "first_byte": nanos(phases.first_byte),
            "body": nanos(phases.body),
        },
        "sample_at": found.decided.start,
        "sample": String::from_utf8_lossy(&evidence.sample),
    });
    if dump {
        let lines = found.lines.iter().map(|line| match line {
            Line::Sent(bytes) => json!({ "sent": String::from_utf8_lossy(bytes) }),
            Line::Heard(bytes) => json!({ "heard": String::from_utf8_lossy(bytes) }),
        });
        object["conversation"] = lines.collect();
    }
    object
}

/// The conversation as a transcript, in the words of the tests.
pub(super) fn transcript(question: &Question, found: &Conversation) -> String {
    let mut text = format!("# {} {}\n{}----\n", question.server, question.check, question.text);
    for line in &found.lines {
        text += &match line {
            Line::Sent(bytes) => escaped('>', bytes),
            Line::Heard(bytes) => escaped('<', bytes),
        };
    }
    text += match found.end {
        End::Open | End::Full => "open\n",
        End::Closed => "closed\n",
        End::Reset => "reset\n",
        End::Deadline => "deadline\n",
    };
    match &found.evidence.verdict {
        Verdict::Pass => text + "pass\n",
        Verdict::Fail(reason) => format!("{text}{reason}\n"),
    }
}
