//! What is kept of a conversation for those who judge it: how long the ball was in the server's court, the
//! bytes that decided.

use super::super::Clock;
use super::Talk;
use crate::dialogue::Turn;
use crate::sys::{self, Errno};
use evenkeel_core::evidence::{Evidence, Verdict};
use evenkeel_core::{Span, Time};
use std::ops::Range;

/// What evidence keeps of the bytes that decided.
const SAMPLE_MAX: usize = 160;
/// The kernel counts some of its times in ticks of up to 10 ms (`CONFIG_HZ=100`).
pub(super) const JIFFY: Span = Span::from_millis(10);

impl Talk {
    pub(super) fn note_sent(&mut self, now: Time) {
        let before = self.charged;
        self.charge(now);
        self.phases.send = Some(self.phases.send.unwrap_or_default() + (self.charged - before));
        self.said = self.charged;
    }

    /// When the event that we see now really came.
    pub(super) fn arrived(&self, clock: Clock, connect: bool) -> Time {
        let times = if clock.doubt { sys::kernel_times(self.fd()) } else { None };
        let Some(times) = times else { return clock.now };
        let ago = if times.last_heard > JIFFY { times.last_heard } else { Span::ZERO };
        let noticed = Time::from_nanos(clock.now.as_nanos().saturating_sub(ago.as_nanos()));
        if connect && !times.retransmitted && times.round_trip > Span::ZERO {
            return noticed.min(self.mark + times.round_trip);
        }
        noticed.max(self.mark)
    }

    pub(super) fn charge(&mut self, until: Time) {
        self.charged = self.charged + until.since(self.mark);
        self.mark = self.mark.max(until);
    }

    pub(super) fn evidence(&mut self, verdict: Verdict, errno: Option<Errno>) -> Evidence {
        if let Some(first) = self.phases.first_byte {
            self.phases.body = Some(self.charged - self.said - first);
        }
        // A pass explains itself, unless somebody is looking.
        let nothing = self.heard.is_empty() || (verdict.passed() && self.record.is_none());
        let sample = if nothing { Box::default() } else { self.sample() };
        Evidence { verdict, took: self.charged, phases: self.phases, errno, sample }
    }

    fn sample(&self) -> Box<[u8]> {
        let bytes = &self.heard[self.decided()];
        bytes[..bytes.len().min(SAMPLE_MAX)].into()
    }

    /// Which of the bytes heard decided.
    pub(super) fn decided(&self) -> Range<usize> {
        let turn = Turn { peer: None, sent: self.sent, heard: &self.heard, end: self.end };
        let range = self.plan.spec.dialogue.decided_by(turn);
        if self.heard.get(range.clone()).is_some() { range } else { 0..self.heard.len() }
    }
}
