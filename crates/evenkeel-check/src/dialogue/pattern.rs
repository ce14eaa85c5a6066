//! What an answer is searched for: text, bytes or a regular expression, found at the same place however the
//! answer was cut into packets. It knows no protocol.

use regex::bytes::{Regex, RegexBuilder};
use std::fmt;
use std::ops::Range;

/// Something to be found in an answer.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    shown: Box<str>,
    plain: bool,
    looks_ahead: bool,
}

impl Pattern {
    /// Exactly these bytes. An empty text would be found in every answer and is refused.
    pub fn text(bytes: &[u8]) -> Result<Pattern, String> {
        Pattern::bytes(bytes, quoted(bytes))
    }

    /// The same, shown to people as hexadecimal.
    pub fn hex(bytes: &[u8]) -> Result<Pattern, String> {
        let mut shown = String::from("hex");
        for byte in bytes.iter().take(16) {
            shown.push_str(&format!(" {byte:02x}"));
        }
        if bytes.len() > 16 {
            shown.push_str(" ...");
        }
        Pattern::bytes(bytes, shown)
    }

    /// A regular expression over bytes: `.` is any byte but a line feed, classes are ASCII, `(?i)`, `(?m)`
    /// and `(?s)` as everywhere. It takes linear time whatever the answer; look-around and back references do
    /// not exist.
    pub fn regex(pattern: &str) -> Result<Pattern, String> {
        if pattern.is_empty() {
            return Err("an empty pattern is found in every answer".into());
        }
        let regex = compile(pattern).map_err(|error| {
            let text = error.to_string();
            text.lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or("bad pattern")
                .trim()
                .to_string()
        })?;
        let shown = format!("/{}/", shortened(pattern.as_bytes(), 60)).into();
        Ok(Pattern { regex, shown, plain: false, looks_ahead: looks_ahead(pattern) })
    }

    fn bytes(bytes: &[u8], shown: String) -> Result<Pattern, String> {
        if bytes.is_empty() {
            return Err("an empty text is found in every answer".into());
        }
        // The regex engine's literal search is the fastest there is, and one kind of search is enough.
        let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let regex = compile(&escaped).map_err(|_| "the text is too long to be searched for".to_string())?;
        Ok(Pattern { regex, shown: shown.into(), plain: true, looks_ahead: false })
    }

    /// Where it is in what was heard, `ended` telling whether more may come. What is found stays found when
    /// more is heard: a match that the next byte could undo (`$`, `\b`) counts only once that byte is there.
    pub fn find(&self, heard: &[u8], ended: bool) -> Option<Range<usize>> {
        let found = self.regex.find(heard)?.range();
        (!self.looks_ahead || ended || found.end < heard.len()).then_some(found)
    }

    /// The shortest beginning of `heard` in which it is found: where the next expectation starts. Without
    /// look-ahead a beginning once matching matches for ever, so halving finds it. (Patterns that look ahead
    /// come last.)
    pub fn first_end(&self, heard: &[u8]) -> Option<usize> {
        let found = self.regex.find(heard)?.range();
        if self.plain || self.looks_ahead {
            return Some(found.end);
        }
        let (mut without, mut with) = (0, found.end);
        while with - without > 1 {
            let middle = without + (with - without) / 2;
            if self.regex.is_match(&heard[..middle]) {
                with = middle;
            } else {
                without = middle;
            }
        }
        Some(with)
    }

    /// Whether its matches depend on what comes after them.
    pub fn looks_ahead(&self) -> bool {
        self.looks_ahead
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Bytes as a quoted, escaped word of at most about forty characters.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", shortened(bytes, 40))
}

/// Bytes on one printable line of at most `limit` characters or so, the rest left out.
pub fn shortened(bytes: &[u8], limit: usize) -> String {
    let mut line = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        if line.len() >= limit && at + 1 < bytes.len() {
            line.push_str("...");
            break;
        }
        match byte {
            b'\r' => line.push_str("\\r"),
            b'\n' => line.push_str("\\n"),
            b'\t' => line.push_str("\\t"),
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            0x20..=0x7e => line.push(char::from(*byte)),
            _ => line.push_str(&format!("\\x{byte:02x}")),
        }
    }
    line
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    // A daemon may hold thousands of them: each one is bounded, its cache too.
    RegexBuilder::new(pattern).unicode(false).size_limit(1 << 20).dfa_size_limit(1 << 18).build()
}

/// Whether a pattern asks for what comes after a match. In doubt yes, which is only slower.
fn looks_ahead(pattern: &str) -> bool {
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'$' => return true,
            b'\\' => {
                if let Some(b'b' | b'B' | b'z' | b'<' | b'>') = bytes.next() {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_at_the_same_place_however_cut() {
        let pattern = Pattern::regex("a+b?").unwrap();
        assert_eq!(pattern.first_end(b"xaaab"), Some(2));
        assert_eq!(pattern.first_end(b"xaa"), Some(2));
        assert_eq!(Pattern::regex("abcd|c").unwrap().first_end(b"abcd"), Some(3));
        assert_eq!(Pattern::text(b"OK").unwrap().first_end(b"NOOK OK"), Some(4));
    }

    #[test]
    fn waits_for_the_byte_that_could_undo_a_match() {
        let end = Pattern::regex("OK$").unwrap();
        assert_eq!(end.find(b"OK", false), None);
        assert_eq!(end.find(b"OK", true), Some(0..2));
        assert_eq!(end.find(b"OK?", true), None);
        let word = Pattern::regex(r"\bOK\b").unwrap();
        assert_eq!(word.find(b"an OK.", false), Some(3..5));
        assert_eq!(word.find(b"an OK", false), None);
        assert!(!Pattern::regex(r"cost \$5").unwrap().looks_ahead());
    }

    #[test]
    fn refuses_what_is_found_everywhere_and_what_is_no_pattern() {
        assert!(Pattern::text(b"").is_err());
        assert!(Pattern::regex("").is_err());
        assert_eq!(Pattern::regex("(a").unwrap_err(), "error: unclosed group");
        assert!(Pattern::regex(r"(\w{900}){900}").is_err());
    }

    #[test]
    fn shows_bytes_on_one_line() {
        assert_eq!(quoted(b"a\r\n\0\"\xff"), r#""a\r\n\x00\"\xff""#);
        assert_eq!(Pattern::hex(b"\x00\xff").unwrap().to_string(), "hex 00 ff");
        assert!(quoted(&[b'x'; 1000]).len() < 50);
    }
}
