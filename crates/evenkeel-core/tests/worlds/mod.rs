//! A world drawn from a seed: servers that die, hang, lie and revive; real probes that find it out when their
//! schedule says so; a queue between them and the real director that delays, doubles and overflows; people, and
//! reloads. Time jumps from one event to the next.

pub(crate) mod configs;
pub(crate) mod dice;
pub(crate) mod film;
pub(crate) mod promises;

use configs::Configs;
use dice::Dice;
use evenkeel_core::config::{Check, CheckId, Config, Pool, ServerId};
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::hash::of_names;
use evenkeel_core::intent::{Intent, Origin, Weighing, Wish};
use evenkeel_core::{Change, Director, Input, Opinion, Probe, Span, Time};
use film::Film;
use std::collections::VecDeque;
use std::sync::Arc;

pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) now: Time,
    pub(crate) director: Director,
    pub(crate) config: Arc<Config>,
    pub(crate) configs: Configs,
    pub(crate) asked: Vec<Asked>,
    /// What the director was told last, for whoever wants to follow.
    pub(crate) told: Option<Input>,
    pub(crate) film: Film,
    /// Mean time from one blow of fate to the next; `None`: fate rests.
    pub(crate) fate: Option<Span>,
    next_blow: Time,
    /// Changes on their way, each with the time of its arrival, in the order of arrival.
    queue: VecDeque<(Time, Change)>,
    /// Changes for which the queue had no room, at most one of each source.
    kept_back: Vec<Change>,
    /// When they are offered again.
    again: Time,
}

/// One check on one server.
pub(crate) struct Asked {
    pub(crate) server: ServerId,
    pub(crate) of: Check,
    pub(crate) probe: Probe,
    /// What a probe that begins at this moment will find.
    pub(crate) truth: Truth,
    pub(crate) truth_since: Time,
    /// When the probe under way ends, and what it will have found.
    under_way: Option<(Time, Truth, Span)>,
    /// The earliest moment at which something happens here.
    wake: Time,
    last_fail: Option<Evidence>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    Fine,
    Refuses,
    Unreachable,
    Silent,
    Wrong,
    /// Our own fault.
    Ours,
}

/// What happened in a step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A probe had an outcome.
    Outcome(ServerId, CheckId, Verdict),
    /// The director was given an input.
    Told,
    /// Something that neither probe nor director has seen.
    Hidden,
}

impl World {
    pub(crate) fn new(
        seed: u64,
        fate: Span,
        config: impl FnOnce(&mut Configs, &mut Dice) -> Config,
    ) -> World {
        let mut dice = Dice::new(seed);
        let mut configs = Configs::new();
        let config = Arc::new(config(&mut configs, &mut dice));
        let now = Time::ZERO + Span::from_secs(1 + dice.below(100_000));
        let mut world = World {
            now,
            director: Director::default(),
            config: Arc::clone(&config),
            configs,
            asked: Vec::new(),
            told: None,
            film: Film::new(now),
            fate: Some(fate),
            next_blow: now,
            queue: VecDeque::new(),
            kept_back: Vec::new(),
            again: Time::NEVER,
            dice,
        };
        world.reload(config);
        world
    }

    /// The next thing that happens. Every world goes on for ever.
    pub(crate) fn step(&mut self) -> Step {
        let probe = (0..self.asked.len()).min_by_key(|&at| self.asked[at].wake);
        let probe_wake = probe.map_or(Time::NEVER, |at| self.asked[at].wake);
        let arrival = self.queue.front().map_or(Time::NEVER, |(at, _)| *at);
        let blow = if self.fate.is_some() { self.next_blow } else { Time::NEVER };
        let tick = self.director.deadline().unwrap_or(Time::NEVER);
        let next = probe_wake.min(arrival).min(blow).min(tick).min(self.again);
        self.film.take(next, &self.director, &self.asked);
        self.now = self.now.max(next);
        if next == tick {
            self.tell(Input::Tick)
        } else if next == arrival {
            let (_, change) = self.queue.pop_front().expect("it arrives");
            self.tell(Input::Change(change))
        } else if next == self.again {
            self.again = Time::NEVER;
            std::mem::take(&mut self.kept_back).into_iter().for_each(|change| self.offer(change));
            Step::Hidden
        } else if next == blow {
            self.blow()
        } else {
            self.probe(probe.expect("it wakes"))
        }
    }

    pub(crate) fn tell(&mut self, input: Input) -> Step {
        self.director.handle(self.now, input.clone());
        assert!(
            self.director.deadline().is_none_or(|next| next > self.now),
            "no tick leaves another for now"
        );
        self.told = Some(input);
        Step::Told
    }

    /// Gives director and probes a new config, in this order.
    pub(crate) fn reload(&mut self, config: Arc<Config>) -> Step {
        self.config = Arc::clone(&config);
        let mut old = std::mem::take(&mut self.asked);
        for pool in &config.pools {
            for server in &pool.servers {
                for check in &pool.checks {
                    let same = |asked: &Asked| asked.server == server.id && asked.of.id == check.id;
                    self.asked.push(match old.iter().position(same) {
                        Some(at) => old.swap_remove(at),
                        None => Asked::new(self.now, pool, server, check),
                    });
                }
            }
        }
        self.tell(Input::Config(config))
    }

    /// Whatever a server is, it is from this moment.
    pub(crate) fn set(&mut self, server: ServerId, truth: Truth) {
        for asked in self.asked.iter_mut().filter(|asked| asked.server == server) {
            asked.set(self.now, truth);
        }
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = ServerId> {
        self.config.pools.iter().flat_map(|pool| pool.servers.iter().map(|server| server.id))
    }

    fn blow(&mut self) -> Step {
        let fate = self.fate.expect("a blow comes of fate");
        self.next_blow = self.now + self.dice.about(fate);
        let servers: Vec<ServerId> = self.servers().collect();
        let server = self.dice.one_of(&servers);
        match self.dice.below(20) {
            0..=2 => self.set(server, Truth::Refuses),
            3 => self.set(server, Truth::Unreachable),
            4 => self.set(server, Truth::Silent),
            5 => servers.iter().for_each(|&server| self.set(server, Truth::Refuses)),
            6 => servers.iter().for_each(|&server| self.set(server, Truth::Wrong)),
            7 => servers.iter().for_each(|&server| self.set(server, Truth::Fine)),
            8 | 9 => {
                let truth = self.dice.one_of(&[Truth::Wrong, Truth::Wrong, Truth::Silent, Truth::Ours]);
                let at = self.dice.below(self.asked.len() as u64) as usize;
                self.asked[at].set(self.now, truth);
            }
            10..=14 => self.set(server, Truth::Fine),
            15 => {
                let at = self.dice.below(self.asked.len() as u64) as usize;
                let now = self.now;
                let news = self.asked[at].probe.trip(now);
                self.asked[at].settle();
                self.send(at, news, evidence(Truth::Refuses, Span::ZERO));
            }
            16..=17 => return self.word(server),
            18 => {
                let weight = self.dice.one_of(&[None, Some(0), Some(1), Some(9)]);
                return self.tell(Input::Weigh(server, weighing(weight)));
            }
            _ => {
                let config = self.configs.changed(&mut self.dice, &self.config);
                return self.reload(Arc::new(config));
            }
        }
        Step::Hidden
    }

    fn word(&mut self, server: ServerId) -> Step {
        let wishes = [Wish::Ready, Wish::Ready, Wish::Drain, Wish::Maint, Wish::ForceUp, Wish::ForceDown];
        let wish = self.dice.one_of(&wishes);
        let origin = self.dice.one_of(&[Origin::Operator, Origin::Agent]);
        self.tell(Input::Intent(server, intent(wish, origin)))
    }

    fn probe(&mut self, at: usize) -> Step {
        let now = self.now;
        let asked = &mut self.asked[at];
        if let Some((end, truth, took)) = asked.under_way
            && end <= now
        {
            asked.under_way = None;
            let evidence = evidence(truth, took);
            if truth != Truth::Fine && truth != Truth::Ours {
                asked.last_fail = Some(evidence.clone());
            }
            let Check { timing, rule, id, .. } = &asked.of;
            let news = asked.probe.observe(now, timing, rule, &evidence.verdict, took);
            let step = Step::Outcome(asked.server, *id, evidence.verdict.clone());
            asked.settle();
            self.send(at, news, evidence);
            return step;
        }
        if asked.probe.deadline(&asked.of.rule).is_some_and(|deadline| deadline <= now) {
            let news = asked.probe.expire(now, &asked.of.rule);
            let evidence = asked.last_fail.clone().expect("it failed before its deadline");
            asked.settle();
            self.send(at, news, evidence);
        } else {
            asked.start(now);
        }
        Step::Hidden
    }

    fn send(&mut self, at: usize, news: Option<Opinion>, evidence: Evidence) {
        let Some(opinion) = news else { return };
        let asked = &self.asked[at];
        let change = Change { server: asked.server, check: asked.of.id, opinion, evidence };
        self.kept_back.retain(|old| (old.server, old.check) != (change.server, change.check));
        self.offer(change);
    }

    /// Puts a change into the queue: late, or twice, or not at all because it is full; then the newest of each
    /// source is offered again later, as the engine does.
    fn offer(&mut self, change: Change) {
        if self.fate.is_some() && self.dice.one_in(10) {
            self.kept_back.push(change);
            self.again = self.now + Span::from_secs(1);
            return;
        }
        let late = Span::from_micros(self.dice.one_of(&[10, 10, 1_000, 300_000]));
        // One queue, one reader: what was sent later arrives later.
        let arrival = self.queue.back().map_or(self.now + late, |(last, _)| (self.now + late).max(*last));
        for _ in 0..=u64::from(self.dice.one_in(10)) {
            self.queue.push_back((arrival, change.clone()));
        }
    }
}

impl Asked {
    fn new(now: Time, pool: &Pool, server: &evenkeel_core::config::Server, check: &Check) -> Asked {
        let key = of_names(&[&pool.name, &server.name, &check.name]);
        let probe = Probe::new(now, key);
        Asked {
            server: server.id,
            of: check.clone(),
            wake: probe.due(),
            probe,
            truth: Truth::Fine,
            truth_since: now,
            under_way: None,
            last_fail: None,
        }
    }

    pub(crate) fn set(&mut self, now: Time, truth: Truth) {
        if truth != self.truth {
            self.truth = truth;
            self.truth_since = now;
        }
    }

    fn start(&mut self, now: Time) {
        let timing = &self.of.timing;
        let took = match self.truth {
            Truth::Fine | Truth::Wrong => Span::from_millis(12),
            Truth::Refuses | Truth::Ours => Span::from_millis(1),
            Truth::Unreachable | Truth::Silent => timing.timeout,
        };
        self.probe.started(now, timing);
        self.under_way = Some((now + took, self.truth, took));
        self.settle();
    }

    fn settle(&mut self) {
        let own = self.under_way.map_or(self.probe.due(), |(end, ..)| end);
        self.wake = own.min(self.probe.deadline(&self.of.rule).unwrap_or(Time::NEVER));
    }
}

pub(crate) fn weighing(weight: Option<u16>) -> Weighing {
    Weighing { weight, author: "ann".into(), reason: "".into(), until: None }
}

pub(crate) fn intent(wish: Wish, origin: Origin) -> Intent {
    Intent { wish, origin, author: "ann".into(), reason: "".into(), until: None }
}

pub(crate) fn evidence(truth: Truth, took: Span) -> Evidence {
    let verdict = match truth {
        Truth::Fine => Verdict::Pass,
        Truth::Refuses => Verdict::Fail(Reason::hard(Layer::L4, Mark::Refused, "refused")),
        Truth::Unreachable => Verdict::Fail(Reason::hard(Layer::L4, Mark::Timeout, "timeout")),
        Truth::Silent => Verdict::Fail(Reason::soft(Layer::L7, Mark::Timeout, "timeout")),
        Truth::Wrong => Verdict::Fail(Reason::soft(Layer::L7, Mark::Wrong, "status 503")),
        Truth::Ours => Verdict::Fail(Reason::local("no free port")),
    };
    Evidence::plain(verdict, took)
}
