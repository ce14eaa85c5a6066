//! What was said in one conversation, kept when somebody is looking. The engine keeps none.

use crate::dialogue::transcript::Line;
use crate::dialogue::{End, HEARD_MAX};
use std::net::SocketAddr;
use std::ops::Range;

/// What is remembered of a recorded conversation.
const RECORD_MAX: usize = 2 * HEARD_MAX;

/// What was said, for people to look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) lines: Vec<Line>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) end: End,
    /// Which of the bytes heard decided.
    pub(crate) decided: Range<usize>,
    room: usize,
}

impl Record {
    pub(crate) fn new() -> Record {
        Record { room: RECORD_MAX, ..Record::default() }
    }

    /// Remembers what was said, what follows the last thing said by the same side joined to it.
    pub(crate) fn note(&mut self, bytes: &[u8], line: fn(Vec<u8>) -> Line) {
        let bytes = &bytes[..bytes.len().min(self.room)];
        self.room -= bytes.len();
        match (self.lines.last_mut(), line(Vec::new())) {
            (Some(Line::Sent(before)), Line::Sent(_)) | (Some(Line::Heard(before)), Line::Heard(_)) => {
                before.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => self.lines.push(line(bytes.to_vec())),
        }
    }
}
