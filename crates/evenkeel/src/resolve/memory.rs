//! What is remembered of one name, and when it is asked for again. Pure: no socket, no clock.
//!
//! The rules, each measured in the answers of the name itself:
//! - A failure of any kind (no answer, SERVFAIL, no such name, an empty answer) takes nothing away. The last good
//!   answer is kept for as long as it takes, with the trouble told beside it; the checks judge who is really there.
//! - An answer is good for its TTL, 1 s at least and 1 h at most.
//! - A new answer is asked for again after its TTL, but after 30 s at most; the same addresses then confirm it.
//! - A failed lookup is tried again after 1 s, then 2, 4 and so on up to 10 s.

use super::lookup::{Found, Trouble};
use super::{Answer, Endpoint, Question};
use evenkeel_core::{Span, Time};
use std::sync::Arc;

/// How soon things are done again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) ttl_min: Span,
    pub(super) ttl_max: Span,
    pub(super) confirm_max: Span,
    pub(super) retry_min: Span,
    pub(super) retry_max: Span,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            ttl_min: Span::from_secs(1),
            ttl_max: Span::from_secs(3600),
            confirm_max: Span::from_secs(30),
            retry_min: Span::from_secs(1),
            retry_max: Span::from_secs(10),
        }
    }
}

/// One name.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pace: Pace,
    told: Option<Answer>,
    question: Question,
    /// Of the last good answer.
    endpoints: Arc<[Endpoint]>,
    /// When these addresses were first seen, unless they are confirmed.
    unconfirmed: Option<(Time, Span)>,
    trouble: Option<Arc<str>>,
    fails: u32,
}

impl Memory {
    pub(super) fn new(question: Question, pace: Pace) -> Memory {
        let endpoints = Arc::from([]);
        Memory { pace, told: None, question, endpoints, unconfirmed: None, trouble: None, fails: 0 }
    }

    /// Takes what a lookup found at `now`, and says how long to wait before the next one.
    pub(super) fn learn(&mut self, now: Time, result: Result<Found, Trouble>) -> Span {
        match result {
            Ok(found) => self.take(now, found),
            Err(Trouble::Empty(why) | Trouble::Failed(why)) => {
                self.trouble = Some(why.into());
                let doubled = self.pace.retry_min.times(1 << self.fails.min(16));
                self.fails += 1;
                doubled.min(self.pace.retry_max)
            }
        }
    }

    /// What is known, if it is not what was told before.
    pub(super) fn news(&self) -> Option<Answer> {
        let answer = Answer {
            question: self.question.clone(),
            endpoints: Arc::clone(&self.endpoints),
            confirmed: self.unconfirmed.is_none(),
            trouble: self.trouble.clone(),
        };
        (self.told.as_ref() != Some(&answer)).then_some(answer)
    }

    /// This was told.
    pub(super) fn told(&mut self, answer: Answer) {
        self.told = Some(answer);
    }

    fn take(&mut self, now: Time, found: Found) -> Span {
        let pace = self.pace;
        let ttl = Span::from_secs(found.ttl.into()).clamp(pace.ttl_min, pace.ttl_max);
        (self.fails, self.trouble) = (0, None);
        let first = self.endpoints.is_empty();
        if !first && !same_places(&self.endpoints, &found.endpoints) {
            self.unconfirmed = Some((now, ttl.min(pace.confirm_max)));
        }
        // Weights may change with every answer; that alone is not another answer.
        if *self.endpoints != *found.endpoints {
            self.endpoints = found.endpoints.into();
        }
        match self.unconfirmed {
            Some((seen, after)) if now < seen + after => (seen + after).since(now),
            _ => {
                self.unconfirmed = None;
                ttl
            }
        }
    }
}

fn same_places(one: &[Endpoint], other: &[Endpoint]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a.ip, a.port) == (b.ip, b.port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Ask;

    fn memory() -> Memory {
        Memory::new(Question { name: "app.test".into(), ask: Ask::Addresses }, Pace::default())
    }

    fn found(ttl: u32, lasts: &[u8]) -> Result<Found, Trouble> {
        let endpoint =
            |last: &u8| Endpoint { ip: [10, 0, 0, *last].into(), port: None, weight: None, backup: false };
        Ok(Found { endpoints: lasts.iter().map(endpoint).collect(), ttl })
    }

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::from_secs(secs)
    }

    /// Its answer in one line: `1 2`, `1 2?` while unconfirmed, `1 2 !no such name` with trouble; `-` for no news.
    fn told(memory: &mut Memory) -> String {
        let Some(answer) = memory.news() else { return "-".into() };
        memory.told(answer.clone());
        let last = |of: &Endpoint| of.ip.to_string().rsplit('.').next().unwrap().to_owned();
        let places: Vec<String> = answer.endpoints.iter().map(last).collect();
        let doubt = if answer.confirmed { "" } else { "?" };
        let trouble = answer.trouble.map(|why| format!(" !{why}")).unwrap_or_default();
        format!("{}{doubt}{trouble}", places.join(" "))
    }

    #[test]
    fn a_ttl_is_kept_within_bounds() {
        let wait = |ttl| memory().learn(at(0), found(ttl, &[1]));
        assert_eq!(wait(0), Span::from_secs(1));
        assert_eq!(wait(60), Span::from_secs(60));
        assert_eq!(wait(u32::MAX), Span::from_secs(3600));
    }

    #[test]
    fn an_hour_without_any_answer_takes_nothing_away_and_is_told_once() {
        let mut memory = memory();
        memory.learn(at(0), found(5, &[1, 2]));
        assert_eq!(told(&mut memory), "1 2");
        let (mut now, mut waits) = (at(5), Vec::new());
        assert!(memory.news().is_none());
        let mut lines = Vec::new();
        while now < at(3600) {
            let wait = memory.learn(now, Err(Trouble::Failed("timeout".into())));
            waits.push(wait);
            lines.push(told(&mut memory));
            now += wait;
        }
        assert_eq!(waits[..6], [1, 2, 4, 8, 10, 10].map(Span::from_secs));
        assert_eq!(lines[0], "1 2 !timeout");
        assert!(lines[1..].iter().all(|line| line == "-"));
        memory.learn(now, found(5, &[1, 2]));
        assert_eq!(told(&mut memory), "1 2");
    }

    #[test]
    fn an_empty_answer_keeps_the_list_and_another_trouble_is_told() {
        let mut memory = memory();
        memory.learn(at(0), found(5, &[1]));
        told(&mut memory);
        memory.learn(at(5), Err(Trouble::Empty("no address".into())));
        assert_eq!(told(&mut memory), "1 !no address");
        memory.learn(at(6), Err(Trouble::Empty("no such name".into())));
        assert_eq!(told(&mut memory), "1 !no such name");
    }

    #[test]
    fn a_name_without_any_answer_is_told_too() {
        let mut memory = memory();
        memory.learn(at(0), Err(Trouble::Empty("no such name".into())));
        assert_eq!(told(&mut memory), " !no such name");
    }

    #[test]
    fn a_change_is_confirmed_by_the_same_addresses_a_ttl_later() {
        let mut memory = memory();
        memory.learn(at(0), found(5, &[1]));
        assert_eq!(told(&mut memory), "1");
        assert_eq!(memory.learn(at(5), found(20, &[2])), Span::from_secs(20));
        assert_eq!(told(&mut memory), "2?");
        // Too early: somebody's cache says it again.
        assert_eq!(memory.learn(at(10), found(15, &[2])), Span::from_secs(15));
        assert_eq!(told(&mut memory), "-");
        memory.learn(at(25), found(20, &[2]));
        assert_eq!(told(&mut memory), "2");
    }

    #[test]
    fn a_long_ttl_does_not_put_off_confirmation_and_a_turning_answer_never_is_confirmed() {
        let mut memory = memory();
        memory.learn(at(0), found(3600, &[1]));
        told(&mut memory);
        assert_eq!(memory.learn(at(100), found(3600, &[2])), Span::from_secs(30));
        assert_eq!(told(&mut memory), "2?");
        memory.learn(at(130), found(3600, &[1]));
        assert_eq!(told(&mut memory), "1?");
        memory.learn(at(160), found(3600, &[2]));
        assert_eq!(told(&mut memory), "2?");
        // A failure between the two is no answer, and does not begin it anew.
        memory.learn(at(170), Err(Trouble::Failed("timeout".into())));
        assert_eq!(told(&mut memory), "2? !timeout");
        memory.learn(at(190), found(3600, &[2]));
        assert_eq!(told(&mut memory), "2");
    }
}
