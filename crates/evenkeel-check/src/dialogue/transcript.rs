//! Conversations as text: what tests replay, what `probe --dump` prints, what goes into a bug report. It
//! speaks with a dialogue as the engine does, but from paper.
//!
//! ```text
//! # The whole line is a title.
//! check http /health
//! ----
//! > GET /health HTTP/1.1\r\n
//! < HTTP/1.1 503 Sorry\r\n
//! < \r\n
//! closed
//! L7 status 503
//! ```
//! `>` is sent, `<` is heard; `<1000*` is heard a thousand times over. `\r \n \t \\ \xHH` stand for bytes.
//! `closed`, `reset`, `deadline` or `open` tell what comes when nothing more is heard; then the verdict:
//! `pass` or a reason. Conversations are parted by a line `====`.

use super::{Dialogue, End, HEARD_MAX, Step, Turn};
use crate::transport::reasons;
use evenkeel_core::config::Timing;
use evenkeel_core::evidence::{Reason, Verdict};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// One conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// What it shows.
    pub title: String,
    /// The check line, as in a config.
    pub words: String,
    /// What was said, in order.
    pub lines: Vec<Line>,
    /// What came when nothing more was heard.
    pub end: End,
    /// `pass`, or the reason.
    pub verdict: String,
}

/// Something said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// By us.
    Sent(Vec<u8>),
    /// By the server.
    Heard(Vec<u8>),
}

impl Transcript {
    /// Reads conversations; an error tells the line.
    pub fn parse(text: &str) -> Result<Vec<Transcript>, String> {
        let mut all = Vec::new();
        let mut now = Transcript::empty();
        let mut said = false;
        for (number, line) in text.lines().enumerate() {
            let tell = |why: &str| format!("line {}: {why}", number + 1);
            match line.split_once(' ').unwrap_or((line, "")) {
                ("====", _) => {
                    all.push(now.whole().map_err(|why| tell(&why))?);
                    (now, said) = (Transcript::empty(), false);
                }
                ("----", _) => said = true,
                ("#", title) if !said => {
                    now.title.push_str(title);
                    now.title.push('\n');
                }
                _ if !said => {
                    now.words.push_str(line);
                    now.words.push('\n');
                }
                ("closed", "") => now.end = End::Closed,
                ("reset", "") => now.end = End::Reset,
                ("deadline", "") => now.end = End::Deadline,
                ("open", "") => now.end = End::Open,
                (">", bytes) => now.lines.push(Line::Sent(unescaped(bytes).map_err(|why| tell(&why))?)),
                (mark, bytes) if mark.starts_with('<') => {
                    let times = match &mark[1..] {
                        "" => 1,
                        times => times
                            .strip_suffix('*')
                            .and_then(|times| times.parse().ok())
                            .ok_or_else(|| tell(mark))?,
                    };
                    now.lines.push(Line::Heard(unescaped(bytes).map_err(|why| tell(&why))?.repeat(times)));
                }
                ("", "") => {}
                _ => now.verdict = line.to_string(),
            }
        }
        all.push(now.whole()?);
        Ok(all)
    }

    fn empty() -> Transcript {
        let (title, words, verdict) = Default::default();
        Transcript { title, words, lines: Vec::new(), end: End::Open, verdict }
    }

    /// Joins what stands on several lines for the eye only.
    fn whole(mut self) -> Result<Transcript, String> {
        if self.words.trim().is_empty() || self.verdict.is_empty() {
            return Err("a conversation needs a check line and a verdict".into());
        }
        let mut joined: Vec<Line> = Vec::new();
        for line in self.lines {
            match (joined.last_mut(), line) {
                (Some(Line::Sent(before)), Line::Sent(more)) => before.extend(more),
                (Some(Line::Heard(before)), Line::Heard(more)) => before.extend(more),
                (_, line) => joined.push(line),
            }
        }
        self.lines = joined;
        self.title = self.title.trim_end().to_string();
        Ok(self)
    }

    /// Holds the conversation with a dialogue, what is heard cut into pieces of `cut` bytes, and tells the
    /// verdict. An error: it said something else than what stands here.
    pub fn replay(
        &self,
        dialogue: &dyn Dialogue,
        cut: usize,
        peer: Option<SocketAddr>,
    ) -> Result<Verdict, String> {
        self.hold(dialogue, cut, peer, true)
    }

    /// The same whatever the dialogue says: the server of this transcript does not listen.
    pub fn hear(&self, dialogue: &dyn Dialogue, cut: usize, peer: Option<SocketAddr>) -> Verdict {
        let end = if self.end == End::Open { End::Deadline } else { self.end };
        let script = Transcript { end, ..self.clone() };
        script.hold(dialogue, cut, peer, false).expect("nothing is compared, and an end comes")
    }

    fn hold(
        &self,
        dialogue: &dyn Dialogue,
        cut: usize,
        peer: Option<SocketAddr>,
        compare: bool,
    ) -> Result<Verdict, String> {
        let mut stage = Stage { script: self, heard: Vec::new(), sent: 0, given: 0, end: End::Open };
        loop {
            let turn = Turn { peer, sent: stage.sent, heard: &stage.heard, end: stage.end };
            match dialogue.turn(turn) {
                Step::Pass => return Ok(Verdict::Pass),
                Step::Fail(reason) => return Ok(Verdict::Fail(reason)),
                Step::Send(bytes) => {
                    if compare {
                        stage.compare(&bytes)?;
                    }
                    stage.sent += 1;
                }
                Step::More if stage.end != End::Open => {
                    return Ok(Verdict::Fail(unsaid(stage.end, stage.heard.len())));
                }
                Step::More => stage.more(cut)?,
            }
        }
    }
}

/// What the engine says when a dialogue has nothing to say to the end.
fn unsaid(end: End, heard: usize) -> Reason {
    match end {
        End::Open | End::Deadline => reasons::silent(false, heard, Timing::default().timeout),
        End::Closed | End::Reset => reasons::broken_off(false, end == End::Reset, heard),
        End::Full => reasons::endless(),
    }
}

/// A replay under way.
struct Stage<'a> {
    script: &'a Transcript,
    heard: Vec<u8>,
    sent: usize,
    /// Bytes given from all that is to be heard.
    given: usize,
    end: End,
}

impl Stage<'_> {
    fn compare(&self, bytes: &[u8]) -> Result<(), String> {
        let mut sent = self.script.lines.iter().filter_map(|line| match line {
            Line::Sent(bytes) => Some(bytes),
            Line::Heard(_) => None,
        });
        match sent.nth(self.sent) {
            Some(wanted) if wanted == bytes => Ok(()),
            Some(wanted) => {
                Err(format!("sends\n{}instead of\n{}", escaped('>', bytes), escaped('>', wanted)))
            }
            None => Err(format!("sends\n{}which is not expected", escaped('>', bytes))),
        }
    }

    /// Lets the next bytes be heard: the server answers what was sent so far and no more.
    fn more(&mut self, cut: usize) -> Result<(), String> {
        let (mut sends, mut begin) = (0, 0);
        for line in &self.script.lines {
            match line {
                Line::Sent(_) if sends == self.sent => break,
                Line::Sent(_) => sends += 1,
                Line::Heard(bytes) if self.given < begin + bytes.len() => {
                    let at = self.given - begin;
                    let rest = bytes.len() - at;
                    // In the middle of something endless the cuts are no longer what matters.
                    let piece = if at > 2048 && rest > 2048 { cut.max(997) } else { cut };
                    let piece = piece.min(rest).min(HEARD_MAX - self.heard.len());
                    self.heard.extend_from_slice(&bytes[at..at + piece]);
                    self.given += piece;
                    if self.heard.len() == HEARD_MAX {
                        self.end = End::Full;
                    }
                    return Ok(());
                }
                Line::Heard(bytes) => begin += bytes.len(),
            }
        }
        self.end = self.script.end;
        if self.end == End::Open { Err("wants more than was said".into()) } else { Ok(()) }
    }
}

/// Bytes as lines of a transcript, one for each line of theirs.
pub fn escaped(mark: char, bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(256)) {
        let _ = write!(text, "{mark} ");
        for byte in line {
            let _ = match byte {
                b'\r' => text.write_str("\\r"),
                b'\n' => text.write_str("\\n"),
                b'\t' => text.write_str("\\t"),
                b'\\' => text.write_str("\\\\"),
                0x20..=0x7e => text.write_char(char::from(*byte)),
                _ => write!(text, "\\x{byte:02x}"),
            };
        }
        text.push('\n');
    }
    text
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next().unwrap_or(b'?'), rest.next().unwrap_or(b'?')];
                let digits = std::str::from_utf8(&digits).unwrap_or("?");
                u8::from_str_radix(digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?
            }
            _ => return Err("only \\r \\n \\t \\\\ \\xHH are escapes".into()),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\nx\\ ").collect();
        let text = escaped('<', &bytes);
        let words = format!("check tcp\n----\n{text}closed\npass\n");
        let read = Transcript::parse(&words).unwrap();
        assert_eq!(read[0].lines, [Line::Heard(bytes)]);
        assert_eq!((read[0].end, &*read[0].verdict), (End::Closed, "pass"));
    }

    #[test]
    fn refuses_what_is_no_transcript() {
        for bad in ["", "check tcp\n----\n", "check tcp\n----\n< \\q\npass", "check tcp\n----\n<x* a\npass"] {
            assert!(Transcript::parse(bad).is_err(), "{bad}");
        }
    }
}
