//! Plays a timeline: the real probes and the real director, and a clock that jumps from one event to the next.

use crate::read::{Timeline, What};
use evenkeel_core::config::{Check, Pool};
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::hash::of_names;
use evenkeel_core::intent::{Intent, Origin, Wish};
use evenkeel_core::table::{Duty, Row, Sessions};
use evenkeel_core::{Change, Director, Input, Opinion, Probe, Restored, Span, Time};
use std::fmt::Write;
use std::sync::Arc;

/// A full minute, so that ramps begin with the drawing.
const START: Time = Time::from_nanos(600_000_000_000);

pub(crate) fn play(timeline: &Timeline) -> String {
    let mut player = Player::new(timeline);
    let columns = timeline.lines.iter().map(|line| line.columns.len()).max().unwrap_or(0);
    for column in 0..columns {
        player.begin(column);
        let end = START + timeline.column.times(column as u64 + 1);
        while let Some(next) = player.next().filter(|&next| next < end) {
            player.step(next);
        }
        player.draw();
    }
    player.answer()
}

struct Player<'a> {
    timeline: &'a Timeline,
    pool: Arc<Pool>,
    director: Director,
    asked: Vec<Asked>,
    now: Time,
    column: usize,
    does: Vec<String>,
    log: String,
}

/// One check on one server.
struct Asked {
    server: usize,
    check: usize,
    probe: Probe,
    /// By the schedule, not by the drawing.
    scheduled: bool,
    /// The state of the server by column, or its outcomes.
    drawn: Vec<char>,
    /// The outcome of the probe under way, and when it comes.
    under_way: Option<(char, Time, Span)>,
    sees: String,
    latest: char,
    last_fail: Option<Evidence>,
}

impl<'a> Player<'a> {
    fn new(timeline: &'a Timeline) -> Player<'a> {
        let pool = Arc::clone(&timeline.config.pools[0]);
        let asked = timeline.lines.iter().filter_map(|line| {
            let (server, check, scheduled) = match line.what {
                What::Sees(server, check) => (server, check, false),
                What::Is(server, check) => (server, check, true),
                What::Told(_) | What::Reload => return None,
            };
            let server = server.0 as usize;
            let key = of_names(&[&pool.name, &pool.servers[server].name, &pool.checks[check].name]);
            Some(Asked {
                server,
                check,
                probe: match timeline.restored.iter().find(|(of, _)| of.0 as usize == server && check == 0) {
                    Some((_, seed)) => Probe::restored(START, key, seed),
                    None => Probe::new(START, key),
                },
                scheduled,
                drawn: line.columns.clone(),
                under_way: None,
                sees: String::new(),
                latest: ' ',
                last_fail: None,
            })
        });
        let mut player = Player {
            timeline,
            director: Director::default(),
            asked: asked.collect(),
            now: START,
            column: 0,
            does: vec![String::new(); pool.servers.len()],
            log: String::new(),
            pool,
        };
        player.tell(Input::Config(Arc::clone(&timeline.config)));
        let check = player.pool.checks[0].id;
        let restored = timeline.restored.iter().map(|&(server, seed)| Restored {
            server,
            check,
            opinion: Opinion { health: seed.health, hard: seed.hard, avoid: false, streak: 3 },
            since: seed.since,
            evidence: evidence(if seed.hard { 'x' } else { 'w' }, Span::from_millis(1)),
        });
        player.tell(Input::Restored(restored.collect()));
        player
    }

    /// What the drawing says for the beginning of a column.
    fn begin(&mut self, column: usize) {
        self.column = column;
        self.now = START + self.timeline.column.times(column as u64);
        for at in 0..self.asked.len() {
            let letter = letter(&self.asked[at].drawn, column);
            if !self.asked[at].scheduled && letter != ' ' {
                self.outcome(at, letter, Span::from_millis(10));
            }
        }
        for line in &self.timeline.lines {
            match (line.what, letter(&line.columns, column)) {
                (What::Told(server), said) if said != ' ' => self.tell(Input::Intent(server, intent(said))),
                (What::Reload, 'r') => self.tell(Input::Config(Arc::clone(&self.timeline.config))),
                _ => {}
            }
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<Time> {
        let checks = &self.pool.checks;
        let probes = self.asked.iter().filter_map(|asked| {
            let own = match asked.under_way {
                Some((_, end, _)) => Some(end),
                None => asked.scheduled.then_some(asked.probe.due()),
            };
            own.into_iter().chain(asked.probe.deadline(&checks[asked.check].rule)).min()
        });
        probes.chain(self.director.deadline()).min()
    }

    fn step(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.director.deadline().is_some_and(|deadline| deadline <= now) {
            self.tell(Input::Tick);
            assert!(self.director.deadline().is_none_or(|next| next > now), "a tick is done when it is done");
        }
        for at in 0..self.asked.len() {
            let (probe, of) = (&self.asked[at].probe, self.asked[at].check);
            let rule = self.pool.checks[of].rule;
            match self.asked[at].under_way {
                Some((letter, end, took)) if end <= now => {
                    self.asked[at].under_way = None;
                    self.outcome(at, letter, took);
                }
                None if self.asked[at].scheduled && probe.due() <= now => self.start(at, now),
                _ => {}
            }
            if self.asked[at].probe.deadline(&rule).is_some_and(|deadline| deadline <= now) {
                let news = self.asked[at].probe.expire(now, &rule);
                let evidence =
                    self.asked[at].last_fail.clone().expect("an up server fails before its deadline");
                self.change(at, news, evidence);
            }
        }
    }

    fn start(&mut self, at: usize, now: Time) {
        let asked = &mut self.asked[at];
        let timing = &self.pool.checks[asked.check].timing;
        let letter = letter(&asked.drawn, self.column);
        let took = match letter {
            't' => timing.timeout,
            'x' => Span::from_millis(1),
            _ => Span::from_millis(10),
        };
        asked.probe.started(now, timing);
        asked.under_way = Some((letter, now + took, took));
    }

    fn outcome(&mut self, at: usize, letter: char, took: Span) {
        let asked = &mut self.asked[at];
        asked.latest = letter;
        let Check { timing, rule, .. } = &self.pool.checks[asked.check];
        if letter == '!' {
            let news = asked.probe.trip(self.now);
            return self.change(at, news, evidence('x', took));
        }
        let evidence = evidence(letter, took);
        if !evidence.verdict.passed() {
            asked.last_fail = Some(evidence.clone());
        }
        let news = asked.probe.observe(self.now, timing, rule, &evidence.verdict, took);
        self.change(at, news, evidence);
    }

    fn change(&mut self, at: usize, news: Option<Opinion>, evidence: Evidence) {
        let Some(opinion) = news else { return };
        let server = self.pool.servers[self.asked[at].server].id;
        let check = self.pool.checks[self.asked[at].check].id;
        self.tell(Input::Change(Change { server, check, opinion, evidence }));
    }

    fn tell(&mut self, input: Input) {
        for event in self.director.handle(self.now, input) {
            let at = self.now.since(START).as_millis() as f64 / 1e3;
            writeln!(self.log, "{at:>7.1}s {event}").expect("a string takes all");
        }
    }

    fn draw(&mut self) {
        for asked in &mut self.asked {
            asked.sees.push(std::mem::replace(&mut asked.latest, ' '));
        }
        let table = &self.director.table().pools[0];
        for ((does, row), of) in self.does.iter_mut().zip(&table.rows).zip(&self.pool.servers) {
            does.push(drawn(row, of.weight));
        }
    }

    fn answer(&self) -> String {
        let mut answer = String::new();
        let server = |at: usize| &self.pool.servers[at].name;
        let several = self.pool.checks.len() > 1;
        let wide = self.pool.servers.iter().map(|server| server.name.len()).max().unwrap_or(0);
        for asked in self.asked.iter().filter(|asked| asked.scheduled) {
            let check =
                if several { format!(" {}", self.pool.checks[asked.check].name) } else { String::new() };
            writeln!(answer, "{:wide$} sees{check} |{}|", server(asked.server), asked.sees)
                .expect("a string takes all");
        }
        for (at, does) in self.does.iter().enumerate() {
            writeln!(answer, "{:wide$} does |{does}|", server(at)).expect("a string takes all");
        }
        if self.timeline.log {
            answer.push_str(&self.log);
        }
        answer
    }
}

fn letter(columns: &[char], column: usize) -> char {
    columns.get(column).copied().unwrap_or(' ')
}

fn evidence(letter: char, took: Span) -> Evidence {
    let verdict = match letter {
        '+' => Verdict::Pass,
        'x' => Verdict::Fail(Reason::hard(Layer::L4, Mark::Refused, "refused")),
        't' => Verdict::Fail(Reason::hard(Layer::L4, Mark::Timeout, "timeout")),
        'w' => Verdict::Fail(Reason::soft(Layer::L7, Mark::Wrong, "status 503")),
        'l' => Verdict::Fail(Reason::local("no free port")),
        other => panic!("there is no outcome {other:?}"),
    };
    Evidence::plain(verdict, took)
}

fn intent(letter: char) -> Intent {
    let (wish, origin) = match letter {
        'd' => (Wish::Drain, Origin::Operator),
        'm' => (Wish::Maint, Origin::Operator),
        'r' => (Wish::Ready, Origin::Operator),
        'u' => (Wish::ForceUp, Origin::Operator),
        'n' => (Wish::ForceDown, Origin::Operator),
        'D' => (Wish::Drain, Origin::Agent),
        'R' => (Wish::Ready, Origin::Agent),
        other => panic!("nobody says {other:?}"),
    };
    let author = if origin == Origin::Agent { "its agent" } else { "ann" };
    Intent { wish, origin, author: author.into(), reason: "".into(), until: None }
}

fn drawn(row: &Row, weight: u16) -> char {
    match row.duty {
        Duty::Serve if row.avoid => '!',
        Duty::Serve if row.weight < u32::from(weight) * 256 => {
            let tenths = (row.weight * 10).div_ceil(u32::from(weight) * 256);
            char::from_digit(tenths.min(9), 10).expect("a digit")
        }
        Duty::Serve => '#',
        Duty::Drain => '~',
        Duty::Out(Sessions::Keep) => '-',
        Duty::Out(Sessions::Cut) => '_',
    }
}
