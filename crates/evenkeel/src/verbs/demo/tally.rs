//! What became of the users and of every fault: counts by server and outcome, and the table at the end.

use super::script::Fault;
use crate::screen::{Columns, Tone};
use crate::verbs::fault::ask::{Answer, Outcome};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// All counts.
pub(super) struct Tally {
    answers: BTreeMap<(Outcome, String), u64>,
    incidents: Vec<Incident>,
    longest: Duration,
}

/// How far a fault has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ahead,
    Begun,
    /// None of its servers gets new work.
    Noticed,
    Mended,
    /// All of its servers get work again.
    Over,
}

/// A fault and what came of it.
struct Incident {
    fault: Fault,
    began: Option<Instant>,
    mended: Option<Instant>,
    /// When none of its servers got new work any more, and why.
    noticed: Option<(Instant, String)>,
    /// When all of them got work again.
    back: Option<Instant>,
    requests: u64,
    failed: u64,
}

impl Tally {
    /// Nothing counted yet.
    pub(super) fn new(faults: &[Fault]) -> Tally {
        let incident = |fault: &Fault| Incident {
            fault: fault.clone(),
            began: None,
            mended: None,
            noticed: None,
            back: None,
            requests: 0,
            failed: 0,
        };
        let incidents = faults.iter().map(incident).collect();
        Tally { answers: BTreeMap::new(), incidents, longest: Duration::ZERO }
    }

    /// A user's request has ended. It is charged to the fault during which it was asked, up to the moment all
    /// is well again.
    pub(super) fn answer(&mut self, answer: &Answer) {
        *self.answers.entry((answer.outcome, answer.server.clone())).or_default() += 1;
        self.longest = self.longest.max(answer.took);
        let during = |incident: &&mut Incident| {
            incident.began.is_some_and(|began| began <= answer.asked)
                && incident.back.is_none_or(|back| answer.asked <= back)
        };
        if let Some(incident) = self.incidents.iter_mut().rev().find(during) {
            incident.requests += 1;
            incident.failed += u64::from(!answer.outcome.good());
        }
    }

    /// How far a fault has come.
    pub(super) fn state(&self, fault: usize) -> State {
        let Incident { began, noticed, mended, back, .. } = &self.incidents[fault];
        match (began, noticed, mended, back) {
            (None, ..) => State::Ahead,
            (_, None, ..) => State::Begun,
            (_, _, None, _) => State::Noticed,
            (_, _, _, None) => State::Mended,
            _ => State::Over,
        }
    }

    /// Whether every fault is over.
    pub(super) fn settled(&self) -> bool {
        (0..self.incidents.len()).all(|fault| self.state(fault) == State::Over)
    }

    /// A fault begins.
    pub(super) fn began(&mut self, fault: usize) {
        self.incidents[fault].began = Some(Instant::now());
    }

    /// A fault is mended.
    pub(super) fn mended(&mut self, fault: usize) {
        self.incidents[fault].mended = Some(Instant::now());
    }

    /// What the servers do at this moment: `(gets new work, why it is as it is)` by number.
    pub(super) fn servers(&mut self, at: Instant, servers: &[(bool, String)]) {
        for incident in self.incidents.iter_mut().filter(|incident| incident.began.is_some()) {
            let mut whom = incident.fault.whom.iter().map(|whom| &servers[*whom]);
            if incident.noticed.is_none() && whom.clone().all(|(serves, _)| !serves) {
                let why = incident.fault.whom.first().map(|first| servers[*first].1.clone());
                incident.noticed = Some((at, why.unwrap_or_default()));
            }
            if incident.mended.is_some() && incident.back.is_none() && whom.all(|(serves, _)| *serves) {
                incident.back = Some(at);
            }
        }
    }

    /// Requests that ended, and those of them that failed.
    pub(super) fn total(&self) -> (u64, u64) {
        let failed = self.answers.iter().filter(|((outcome, _), _)| !outcome.good());
        (self.answers.values().sum(), failed.map(|(_, count)| count).sum())
    }

    /// Faults that were not noticed, or whose servers did not come back.
    pub(super) fn missed(&self) -> usize {
        (0..self.incidents.len()).filter(|fault| self.state(*fault) != State::Over).count()
    }

    /// One line of counts: `1200 requests: app1 400, app2 400, app3 400 · 0 failed`.
    pub(super) fn line(&self) -> String {
        let (total, failed) = self.total();
        let mut by_server: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, server), count) in self.answers.iter().filter(|((outcome, _), _)| outcome.good()) {
            *by_server.entry(server).or_default() += count;
        }
        let parts: Vec<String> =
            by_server.iter().map(|(server, count)| format!("{server} {count}")).collect();
        format!("{total} requests: {}; {failed} failed{}", parts.join(", "), self.failures())
    }

    /// ` (3 refused, 1 503 by app1)`, or nothing.
    fn failures(&self) -> String {
        let bad = self.answers.iter().filter(|((outcome, _), _)| !outcome.good());
        let parts: Vec<String> = bad
            .map(|((outcome, server), count)| match server.as_str() {
                "" => format!("{count} {outcome}"),
                server => format!("{count} {outcome} by {server}"),
            })
            .collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    /// What happened, when it was noticed, when all was well again, and how many requests failed.
    pub(super) fn table(&self, names: &[&str], start: Instant, coloured: bool) -> String {
        let mut columns = Columns::default();
        let heads = ["at", "what happened", "out after", "evenkeel says", "back after", "requests", "failed"];
        columns.row(heads.map(|head| (head.to_owned(), Tone::Dim)));
        for incident in &self.incidents {
            let Some(began) = incident.began else { continue };
            let after = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
                (Some(from), Some(to)) => format!("{:.1}s", to.saturating_duration_since(from).as_secs_f64()),
                _ => "never".to_owned(),
            };
            let noticed = incident.noticed.as_ref();
            let tone = if incident.failed == 0 { Tone::Good } else { Tone::Bad };
            columns.row([
                (format!("{:.1}s", (began - start).as_secs_f64()), Tone::Plain),
                (incident.fault.words(names), Tone::Plain),
                (after(Some(began), noticed.map(|(at, _)| *at)), Tone::Plain),
                (noticed.map(|(_, why)| why.clone()).unwrap_or_default(), Tone::Plain),
                (after(incident.mended, incident.back), Tone::Plain),
                (incident.requests.to_string(), Tone::Plain),
                (incident.failed.to_string(), tone),
            ]);
        }
        let waited = self.longest.as_secs_f64();
        format!("{}\nthe longest that a user waited: {waited:.2}s\n", columns.draw("", coloured))
    }
}
