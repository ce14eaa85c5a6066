//! Whether a word has the shape that a form asks for, and if not, what it should have been.

use crate::form::Shape;
use crate::nearest::closest;
use crate::tree::Word;

/// What is wrong with a word: the message and what is written beside the caret.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) message: String,
    pub(crate) label: String,
}

fn misfit<T>(message: impl Into<String>, label: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { message: message.into(), label: label.into() })
}

/// The number that a word of this shape stands for; 0 for words that stand for none.
pub(crate) fn fit(shape: &Shape, word: &Word) -> Result<u64, Misfit> {
    let text = word.text.as_str();
    match shape {
        Shape::Literal(wanted) if literal(wanted, word) => Ok(0),
        Shape::Literal(wanted) => {
            misfit(format!("`{text}` where `{wanted}` is expected"), format!("write `{wanted}`"))
        }
        Shape::Flag | Shape::Text | Shape::Rest => Ok(0),
        Shape::Name => name(text),
        Shape::OneOf(words) => one_of(words, text),
        Shape::Number { min, max } => number(text, *min, *max),
        Shape::Time => span(text).map_err(Misfit::from),
        Shape::Size => size(text).map_err(Misfit::from),
        Shape::Percent => percent(text),
        Shape::Address => address(text).map(|_| 0).map_err(Misfit::from),
        Shape::Path if text.is_empty() => misfit("an empty path", "a path is expected"),
        Shape::Path => Ok(0),
    }
}

impl From<(String, String)> for Misfit {
    fn from((message, label): (String, String)) -> Misfit {
        Misfit { message, label }
    }
}

/// Whether a word has a shape.
pub fn fits(shape: &Shape, word: &Word) -> bool {
    fit(shape, word).is_ok()
}

/// Whether a word is this literal, with or without its plural `s`.
pub(crate) fn literal(wanted: &str, word: &Word) -> bool {
    word.is(wanted)
        || wanted.strip_suffix('s').is_some_and(|one| word.is(one))
        || wanted == "passes" && word.is("pass")
}

/// How a shape is told to people.
pub(crate) fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Literal(word) => format!("`{word}`"),
        Shape::Flag => "nothing".to_owned(),
        Shape::Text => "a word".to_owned(),
        Shape::Name => "a name".to_owned(),
        Shape::OneOf(words) => any_of(words.iter().copied()),
        Shape::Number { min, max } if *max == u64::MAX => format!("a number from {min}"),
        Shape::Number { min, max } => format!("a number from {min} to {max}"),
        Shape::Time => "a time such as `5s` or `200ms`".to_owned(),
        Shape::Size => "a size such as `64KiB`".to_owned(),
        Shape::Percent => "a percentage such as `50%`".to_owned(),
        Shape::Address => "an address such as `10.0.0.1:80`".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::Rest => "one word or more".to_owned(),
    }
}

/// `a`, `b` or `c`.
pub(crate) fn any_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

/// A name is shown in logs, in metrics, in paths of the API and on the command line.
fn name(text: &str) -> Result<u64, Misfit> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@' | '+');
    match text.chars().find(|c| !fits(*c)) {
        _ if text.is_empty() => misfit("an empty name", "a name is expected"),
        _ if text.chars().count() > 64 => misfit("this name is too long", "at most 64 characters"),
        Some(c) => misfit(format!("`{c}` cannot stand in a name"), "letters, digits and `-_.:@+` can"),
        None => Ok(0),
    }
}

fn one_of(words: &[&str], text: &str) -> Result<u64, Misfit> {
    if let Some(at) = words.iter().position(|word| *word == text) {
        return Ok(at as u64);
    }
    let label = match closest(text, words.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected {}", any_of(words.iter().copied())),
    };
    misfit(format!("unknown word `{text}`"), label)
}

fn number(text: &str, min: u64, max: u64) -> Result<u64, Misfit> {
    let bounds = if max == u64::MAX { format!("at least {min}") } else { format!("{min} to {max}") };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return misfit(format!("`{text}` is not a whole number"), format!("a number, {bounds}, is expected"));
    }
    match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => misfit(format!("`{text}` is out of range"), format!("{bounds} is possible")),
    }
}

fn percent(text: &str) -> Result<u64, Misfit> {
    let digits = text.strip_suffix('%');
    match digits.unwrap_or(text).parse::<u64>() {
        Ok(_) if digits.is_none() => misfit(format!("`{text}` has no unit"), format!("write `{text}%`")),
        Ok(number) if number <= 100 => Ok(number),
        Ok(_) => misfit(format!("`{text}` is out of range"), "0% to 100% is possible"),
        Err(_) => misfit(format!("`{text}` is not a percentage"), "a whole number and `%`, such as `50%`"),
    }
}

/// Units of time, in nanoseconds.
const TIMES: [(&str, u64); 6] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
/// A year: a longer time is a mistake.
const TIME_MAX: u64 = 366 * 86_400_000_000_000;

/// A time as people write it, in nanoseconds: `200ms`, `1.5s`, `1m30s`. The error is a message and a label.
pub fn span(text: &str) -> Result<u64, (String, String)> {
    let wrong = |message: String, label: &str| Err((message, label.to_owned()));
    let (mut rest, mut total) = (text, 0u64);
    if text.is_empty() || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return wrong(format!("`{text}` is not a time"), "a number and a unit, such as `5s` or `200ms`");
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (value, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() && rest.len() == text.len() {
            // Who writes hundreds without a unit comes from a program that counts in milliseconds.
            let meant =
                if value.len() > 2 { format!("`{text}ms` or `{text}s`") } else { format!("`{text}s`") };
            return Err((format!("`{text}` has no unit"), format!("write {meant}")));
        }
        if unit.is_empty() {
            return wrong(format!("`{text}` ends without a unit"), "a number and a unit, such as `1m30s`");
        }
        let Some((_, nanos)) = TIMES.iter().find(|(name, _)| *name == unit) else {
            let label = match unit_meant(unit) {
                Some(meant) => format!("write `{}`", text.replace(unit, meant)),
                None => "the units are `us`, `ms`, `s`, `m`, `h` and `d`".to_owned(),
            };
            return Err((format!("`{text}` has an unknown unit `{unit}`"), label));
        };
        let Some(part) = scaled(value, *nanos) else {
            return wrong(format!("`{text}` is not a time"), "a number and a unit, such as `5s` or `200ms`");
        };
        total = total.saturating_add(part);
        rest = after;
    }
    if total > TIME_MAX {
        return wrong(format!("`{text}` is out of range"), "at most a year is possible");
    }
    Ok(total)
}

/// The unit of time that a word stands for in other places.
pub(crate) fn unit_meant(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "m" | "min" | "mins" | "minute" | "minutes" => Some("m"),
        "ms" | "msec" | "msecs" | "millis" | "milliseconds" => Some("ms"),
        "us" | "usec" | "usecs" | "micros" | "microseconds" | "µs" | "μs" => Some("us"),
        "h" | "hr" | "hour" | "hours" => Some("h"),
        "d" | "day" | "days" => Some("d"),
        _ => None,
    }
}

/// A number, perhaps with decimals, times a unit.
fn scaled(value: &str, unit: u64) -> Option<u64> {
    let (whole, part) = value.split_once('.').unwrap_or((value, "0"));
    if part.is_empty() || part.len() > 9 || part.contains('.') {
        return None;
    }
    let fraction = u128::from(part.parse::<u64>().ok()?) * u128::from(unit)
        / 10u128.pow(u32::try_from(part.len()).ok()?);
    let whole = u128::from(whole.parse::<u64>().ok()?) * u128::from(unit);
    Some(u64::try_from(whole + fraction).unwrap_or(u64::MAX))
}

/// A size as people write it, in bytes: `512B`, `64KiB`, `1MiB`. The error is a message and a label.
pub fn size(text: &str) -> Result<u64, (String, String)> {
    const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (value, unit) = text.split_at(digits);
    let Ok(number) = value.parse::<u64>() else {
        return Err((format!("`{text}` is not a size"), "a number and a unit, such as `64KiB`".to_owned()));
    };
    if let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return number
            .checked_mul(*bytes)
            .filter(|size| *size <= 1 << 40)
            .ok_or_else(|| (format!("`{text}` is out of range"), "at most 1024GiB is possible".to_owned()));
    }
    let meant = match unit.to_ascii_lowercase().chars().next() {
        None => {
            return Err((
                format!("`{text}` has no unit"),
                format!("write `{text}B`, or `KiB`, `MiB`, `GiB`"),
            ));
        }
        Some('k') => "KiB",
        Some('m') => "MiB",
        Some('g') => "GiB",
        Some(_) => "B",
    };
    Err((format!("`{text}` has an unknown unit `{unit}`"), format!("write `{value}{meant}`")))
}

/// An address in words, checked: host and port (`*` as itself, IPv6 without brackets), or the path of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressWords<'t> {
    /// A host, as it is written, and a port.
    Host(&'t str, u16),
    /// The path after `unix:`.
    Unix(&'t str),
}

/// Reads `10.0.0.1:80`, `[::1]:80`, `name:80`, `*:80` or `unix:/run/x.sock`. The error is a message and a label.
pub fn address(text: &str) -> Result<AddressWords<'_>, (String, String)> {
    let wrong = |message: String, label: String| Err((message, label));
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') {
            return wrong(
                format!("`{text}` has no absolute path"),
                "write for example `unix:/run/app.sock`".into(),
            );
        }
        // sockaddr_un holds 108 bytes, the last of them zero (unix(7)).
        if path.len() > 107 {
            return wrong(
                "the path of this socket is too long".into(),
                "at most 107 bytes are possible".into(),
            );
        }
        return Ok(AddressWords::Unix(path));
    }
    if text.starts_with('/') {
        return wrong(format!("`{text}` is a path"), format!("write `unix:{text}` for a socket there"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or(rest);
        return wrong(
            format!("`{text}` is a URL"),
            format!("leave out `{scheme}://` and the path: `{host}`"),
        );
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        let port = text.rsplit_once(':').filter(|(host, port)| {
            host.parse::<std::net::Ipv6Addr>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let meant = port.map_or(format!("`[{text}]:80`"), |(host, port)| format!("`[{host}]:{port}`"));
        return wrong(format!("an IPv6 address without brackets: `{text}`"), format!("write {meant}"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return wrong(format!("`{text}` has no port"), format!("write `{text}:80`")),
    };
    let port = port_of(port)?;
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        if inside.parse::<std::net::Ipv6Addr>().is_err() {
            return wrong(
                format!("`{inside}` is not an IPv6 address"),
                "expected an address such as `[::1]:80`".into(),
            );
        }
        return Ok(AddressWords::Host(inside, port));
    }
    host_of(host)?;
    Ok(AddressWords::Host(host, port))
}

fn port_of(port: &str) -> Result<u16, (String, String)> {
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((format!("port `{port}` is not a number"), "1-65535 is possible".to_owned()));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err((format!("port {port} is not in 1-65535"), "1-65535 is possible".to_owned())),
    }
}

/// RFC 1123 section 2.1: letters, digits and hyphens, 63 a label, 253 in all; `_` is seen in practice.
fn host_of(host: &str) -> Result<(), (String, String)> {
    if host == "*" || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return Ok(());
    }
    if host.contains(':') {
        return Err((
            format!("`{host}` is not a host"),
            "an IPv6 address stands in brackets: `[::1]:80`".into(),
        ));
    }
    if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err((
            format!("`{host}` is not an IPv4 address"),
            "four numbers from 0 to 255 are expected".into(),
        ));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if host.len() <= 253 && host.trim_end_matches('.').split('.').all(label) {
        return Ok(());
    }
    Err((format!("`{host}` is not a host name"), "an address such as `10.0.0.1:80` is expected".into()))
}
