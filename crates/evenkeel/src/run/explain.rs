//! Sentences for `why`: the rule of a check, what made it fire, and what would change its mind. Pure.

use crate::api::model;
use crate::tell;
use evenkeel_core::config::{Down, Require, Rule, Timing};
use evenkeel_core::evidence::{Evidence, Phases, Verdict};
use evenkeel_core::{Health, Span};

/// `every 5s, timeout 2s, connect timeout 1s`.
pub(super) fn timing(timing: &Timing) -> String {
    let Timing { every, timeout, connect_timeout, .. } = timing;
    format!("every {every}, timeout {timeout}, connect timeout {connect_timeout}")
}

/// `down after 3 fails over >= 1s, up after 2 passes in a row`.
pub(super) fn rule(rule: &Rule) -> String {
    format!("{}, {}", down(&rule.down), up(rule))
}

/// `all`, `any`, `2 of 3`.
pub(super) fn require(require: Require, checks: usize) -> String {
    match require {
        Require::All => "all".into(),
        Require::Any => "any".into(),
        Require::AtLeast(needed) => format!("{needed} of {checks}"),
    }
}

/// `down after 3 fails over >= 1s: 3rd fail 12s ago`; empty while nothing has decided.
pub(super) fn fired(rule: &Rule, health: Health, decided: Option<(u32, Span)>) -> String {
    let Some((streak, ago)) = decided else { return String::new() };
    let (fired, what) = match health {
        Health::Unknown => return String::new(),
        Health::Up if streak < u32::from(rule.up_passes) => ("up by its first outcome".to_owned(), "pass"),
        Health::Up => (up(rule), "pass"),
        Health::Down => match rule.down {
            Down::Fails { count, .. } if streak < u32::from(count) => {
                ("down by its first fail and its confirmation".to_owned(), "fail")
            }
            _ => (down(&rule.down), "fail"),
        },
    };
    format!("{fired}: {} {what} {} ago", ordinal(streak), whole(ago))
}

/// `back after 2 passes in a row (1 so far); next probe in 3s`.
pub(super) fn next(rule: &Rule, health: Health, streak: Streak, due: Option<Span>) -> String {
    let so_far =
        |what: &str, count: u32| if count == 0 { String::new() } else { format!(" ({count} {what} so far)") };
    let change = match health {
        Health::Unknown => {
            format!("the first pass makes it up, a confirmed fail down{}", so_far("failed", streak.fails))
        }
        Health::Up => format!("{}{}", down(&rule.down), so_far("failed", streak.fails)),
        Health::Down => format!("back {}{}", up(rule), so_far("passed", streak.passes)),
    };
    match due {
        None => change,
        Some(Span::ZERO) => format!("{change}; a probe is due now"),
        Some(due) => format!("{change}; next probe in {}", short(due)),
    }
}

/// How many outcomes of the same kind came last. One of the two is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Streak {
    pub(super) passes: u32,
    pub(super) fails: u32,
}

/// One outcome for the API. `ago`: how long since it was known.
pub(super) fn evidence(evidence: &Evidence, ago: Option<Span>) -> model::Evidence {
    let Phases { resolve, connect, tls, send, first_byte, body } = evidence.phases;
    let named = [
        ("resolve", resolve),
        ("connect", connect),
        ("tls", tls),
        ("send", send),
        ("first byte", first_byte),
        ("body", body),
    ];
    let phase = |(name, took): (&str, Option<Span>)| {
        took.map(|took| model::Phase { name: name.to_owned(), ms: tell::ms(took) })
    };
    model::Evidence {
        ago_s: ago.map(Span::as_secs_f64),
        outcome: match &evidence.verdict {
            Verdict::Pass => "passed".into(),
            Verdict::Fail(reason) => reason.to_string(),
        },
        kind: evidence.verdict.reason().map(|reason| tell::kind(reason.kind).to_owned()),
        took_ms: tell::ms(evidence.took),
        phases: named.into_iter().filter_map(phase).collect(),
        errno: evidence.errno.map(|errno| std::io::Error::from_raw_os_error(errno).to_string()),
        sample: evidence.sample.escape_ascii().to_string(),
    }
}

fn down(down: &Down) -> String {
    match down {
        Down::Fails { count, spread: Span::ZERO } => format!("down after {}", many(*count, "fail", "fails")),
        Down::Fails { count, spread } => {
            format!("down after {} over >= {spread}", many(*count, "fail", "fails"))
        }
        Down::NoPassFor(span) => format!("down after {span} without a pass"),
    }
}

fn up(rule: &Rule) -> String {
    match rule.up_passes {
        1 => "up after 1 pass".into(),
        count => format!("up after {count} passes in a row"),
    }
}

fn many(count: u16, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}

/// `1st`, `2nd`, `3rd`, `11th`.
fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Full seconds.
fn whole(span: Span) -> Span {
    Span::from_secs(span.as_millis() / 1000)
}

/// Tenths of a second at the finest.
fn short(span: Span) -> Span {
    Span::from_millis(span.as_millis().next_multiple_of(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::evidence::{Layer, Mark, Reason};

    fn secs(secs: u64) -> Span {
        Span::from_secs(secs)
    }

    #[test]
    fn says_which_rule_fired_and_when() {
        let rule = Rule::default();
        assert_eq!(
            fired(&rule, Health::Down, Some((3, secs(12)))),
            "down after 3 fails over >= 1s: 3rd fail 12s ago"
        );
        let confirmed = fired(&rule, Health::Down, Some((2, secs(1))));
        assert_eq!(confirmed, "down by its first fail and its confirmation: 2nd fail 1s ago");
        assert_eq!(fired(&rule, Health::Up, Some((1, secs(2)))), "up by its first outcome: 1st pass 2s ago");
        let back = fired(&rule, Health::Up, Some((2, Span::from_millis(2900))));
        assert_eq!(back, "up after 2 passes in a row: 2nd pass 2s ago");
        assert_eq!(fired(&rule, Health::Unknown, None), "");
        let silent = Rule { down: Down::NoPassFor(secs(16)), up_passes: 1 };
        assert_eq!(
            fired(&silent, Health::Down, Some((4, Span::ZERO))),
            "down after 16s without a pass: 4th fail 0s ago"
        );
    }

    #[test]
    fn says_what_would_change_it_and_when_that_can_be() {
        let rule = Rule::default();
        let down = next(&rule, Health::Down, Streak { passes: 1, fails: 0 }, Some(secs(3)));
        assert_eq!(down, "back up after 2 passes in a row (1 passed so far); next probe in 3s");
        let up = next(&rule, Health::Up, Streak::default(), Some(Span::from_millis(1234)));
        assert_eq!(up, "down after 3 fails over >= 1s; next probe in 1.3s");
    }

    #[test]
    fn an_outcome_shows_its_phases_its_errno_and_its_bytes() {
        let verdict = Verdict::Fail(Reason::hard(Layer::L4, Mark::Refused, "refused"));
        let mut seen = Evidence::plain(verdict, Span::from_micros(250));
        seen.phases.connect = Some(Span::from_micros(240));
        seen.errno = Some(libc::ECONNREFUSED);
        seen.sample = b"no\r\n\xff".as_slice().into();
        let shown = evidence(&seen, Some(secs(1)));
        assert_eq!((shown.outcome.as_str(), shown.kind.as_deref()), ("L4 refused", Some("hard")));
        assert_eq!(
            (shown.phases.len(), shown.phases[0].name.as_str(), shown.phases[0].ms),
            (1, "connect", 0.24)
        );
        assert_eq!(shown.errno.unwrap(), "Connection refused (os error 111)");
        assert_eq!(shown.sample, r"no\r\n\xff");
    }
}
