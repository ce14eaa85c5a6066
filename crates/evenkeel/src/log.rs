//! The log: one line a fact, on standard error, as text or as JSON. It formats; what is worth a line, and how
//! loud, is decided where the thing happens.

use crate::clock;
use crate::lines::Lines;
use std::fmt;
use std::io;
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// `2024-01-01T12:00:00.000Z INFO pool web server rs1: up (…)`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A log field of this name holds the members of a JSON object, braces included. They are part of the JSON line
/// and left out of the text, whose message already says them.
pub const OBJECT: &str = "object";

/// Sends everything that is traced to standard error from now on. `EVENKEEL_LOG` chooses what, as tracing's
/// `EnvFilter` reads it (`debug`, `evenkeel_plane=trace`); without it INFO and above. To be called once; the answer
/// is there to be flushed at the end.
pub fn start(shape: Shape) -> io::Result<Lines> {
    let filter = EnvFilter::try_from_env("EVENKEEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = Lines::start(Box::new(io::stderr()))?;
    let log = Log(lines.clone());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log)
        .event_format(Line(shape))
        .try_init();
    started.map_err(io::Error::other)?;
    Ok(lines)
}

/// The way of tracing's lines into the queue. tracing-subscriber writes an event in one piece.
struct Log(Lines);

impl MakeWriter<'_> for Log {
    type Writer = Put;
    fn make_writer(&self) -> Put {
        Put(self.0.clone())
    }
}

struct Put(Lines);

impl io::Write for Put {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line.to_vec());
        Ok(line.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Line(Shape);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let (at, level) = (clock::rfc3339(SystemTime::now()), event.metadata().level().as_str());
        match self.0 {
            Shape::Text => parts.text(&mut out, &at, level),
            Shape::Json => parts.json(&mut out, &at, level),
        }
    }
}

/// One event, taken apart.
#[derive(Default)]
struct Parts {
    message: String,
    object: Option<String>,
    fields: Vec<(&'static str, serde_json::Value)>,
}

impl Parts {
    fn text(&self, out: &mut Writer<'_>, at: &str, level: &str) -> fmt::Result {
        // A line is a line: what a server said may hold a newline, and must not forge a second one.
        write!(out, "{at} {level} {}", self.message.replace(['\n', '\r'], " "))?;
        for (name, value) in &self.fields {
            write!(out, " {name}={value}")?;
        }
        writeln!(out)
    }

    fn json(&self, out: &mut Writer<'_>, at: &str, level: &str) -> fmt::Result {
        let message = serde_json::Value::from(self.message.as_str());
        write!(out, r#"{{"at":"{at}","level":"{level}","text":{message}"#)?;
        for (name, value) in &self.fields {
            write!(out, r#","{name}":{value}"#)?;
        }
        match self.object.as_deref().map(|object| object.trim_start_matches('{')) {
            None | Some("}") => writeln!(out, "}}"),
            Some(members) => writeln!(out, ",{members}"),
        }
    }

    fn keep(&mut self, field: &Field, value: serde_json::Value) {
        self.fields.push((field.name(), value));
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            OBJECT => self.object = Some(value.to_owned()),
            _ => self.keep(field, value.into()),
        }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.record_str(field, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        Parts {
            message: "pool web server rs1: down (L7 \"no\nOK\")".into(),
            object: Some(r#"{"pool":"web","serving":["rs2"]}"#.into()),
            fields: vec![("worker", 3.into())],
        }
    }

    #[test]
    fn a_text_line_is_one_line() {
        let mut line = String::new();
        parts().text(&mut Writer::new(&mut line), "AT", "INFO").unwrap();
        assert_eq!(line, "AT INFO pool web server rs1: down (L7 \"no OK\") worker=3\n");
    }

    #[test]
    fn a_json_line_is_one_object_with_the_events_own_members() {
        let mut line = String::new();
        parts().json(&mut Writer::new(&mut line), "AT", "INFO").unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["text"], "pool web server rs1: down (L7 \"no\nOK\")");
        assert_eq!(object["serving"][0], "rs2");
        assert_eq!(object["worker"], 3);
        assert!(line.ends_with("}\n") && !line[..line.len() - 1].contains('\n'));
    }

    #[test]
    fn an_empty_object_adds_nothing() {
        let mut line = String::new();
        let parts = Parts { object: Some("{}".into()), ..Parts::default() };
        parts.json(&mut Writer::new(&mut line), "AT", "WARN").unwrap();
        assert_eq!(line, "{\"at\":\"AT\",\"level\":\"WARN\",\"text\":\"\"}\n");
    }
}
