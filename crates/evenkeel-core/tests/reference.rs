//! The core beside a naive model of it. The model keeps everything that ever happened and works every answer out
//! from the beginning, by the words of the rules; it knows no streaks, no caches and no deadlines.

#[allow(dead_code, reason = "every user of the worlds uses its part of them")]
mod worlds;

use evenkeel_core::config::{CheckId, Config, Down, Pool, Require, Rule, Server, ServerId};
use evenkeel_core::evidence::{Kind, Verdict};
use evenkeel_core::intent::{Intent, Origin, Wish};
use evenkeel_core::table::{Duty, Sessions};
use evenkeel_core::{Health, Input, Opinion, Span, Time};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use worlds::{Step, World};

#[test]
fn a_source_thinks_as_the_naive_model_does() {
    for seed in 0..100 {
        let fate = Span::from_secs([1, 5, 60][seed as usize % 3]);
        let mut world = World::new(seed, fate, |configs, dice| configs.small(dice));
        let mut heard: BTreeMap<(ServerId, CheckId), Vec<(Time, bool)>> = BTreeMap::new();
        for _ in 0..1_000 {
            let Step::Outcome(server, check, verdict) = world.step() else { continue };
            let outcomes = heard.entry((server, check)).or_default();
            if verdict.reason().is_none_or(|reason| reason.kind != Kind::Local) {
                outcomes.push((world.now, verdict == Verdict::Pass));
            }
            let asked = world.asked.iter().find(|asked| (asked.server, asked.of.id) == (server, check));
            let asked = asked.expect("who was asked is there");
            let naive = naive_health(&asked.of.rule, outcomes, world.now);
            let found = asked.probe.source().opinion().health;
            assert_eq!(found, naive, "seed {seed}, {:?}, {outcomes:?}", asked.of.rule);
        }
    }
}

/// `outcomes` oldest first, each with its time and whether it passed.
fn naive_health(rule: &Rule, outcomes: &[(Time, bool)], now: Time) -> Health {
    let mut health = Health::Unknown;
    for end in 1..=outcomes.len() {
        let (time, passed) = outcomes[end - 1];
        if is_overdue(rule, health, &outcomes[..end - 1], time) {
            health = Health::Down;
        }
        let run = outcomes[..end].iter().rev().take_while(|outcome| outcome.1 == passed).count();
        let needed = match rule.down {
            Down::Fails { count, .. } => usize::from(count),
            Down::NoPassFor(_) => 2,
        };
        let lasted = match rule.down {
            Down::Fails { spread, .. } => time.since(outcomes[end - run].0) >= spread,
            Down::NoPassFor(_) => is_overdue(rule, health, &outcomes[..end], time),
        };
        health = match (health, passed) {
            (Health::Unknown, true) => Health::Up,
            (Health::Unknown, false) if run >= needed.min(2) => Health::Down,
            (Health::Up, false) if run >= needed && lasted => Health::Down,
            (Health::Down, true) if run >= usize::from(rule.up_passes) => Health::Up,
            (health, _) => health,
        };
    }
    if is_overdue(rule, health, outcomes, now) { Health::Down } else { health }
}

fn is_overdue(rule: &Rule, health: Health, outcomes: &[(Time, bool)], now: Time) -> bool {
    let Down::NoPassFor(span) = rule.down else { return false };
    let fails = outcomes.iter().rev().take_while(|outcome| !outcome.1).count();
    let last_pass = outcomes.iter().rev().find(|outcome| outcome.1);
    health == Health::Up && fails >= 2 && last_pass.is_some_and(|(time, _)| *time + span <= now)
}

#[test]
fn the_director_decides_as_the_naive_model_does() {
    for seed in 0..200 {
        let fate = Span::from_secs([1, 10, 60, 600][seed as usize % 4]);
        let mut world = World::new(seed, fate, |configs, dice| configs.small(dice));
        let mut naive = Naive::default();
        let mut told = vec![Input::Config((*world.config).clone().into())];
        for _ in 0..1_000 {
            for input in told.drain(..) {
                naive.handle(world.now, input);
            }
            let expected = naive.duties(world.now);
            let rows = world.director.table().pools.iter().flat_map(|pool| &pool.rows);
            let found: BTreeMap<ServerId, Duty> = rows.map(|row| (row.server, row.duty)).collect();
            assert_eq!(found, expected, "seed {seed} at {:?}", world.now);
            while !matches!(world.step(), Step::Told) {}
            told.extend(world.told.take());
        }
    }
}

/// All that was ever said, by server.
#[derive(Default)]
struct Naive {
    config: Config,
    opinions: BTreeMap<(ServerId, CheckId), Opinion>,
    intents: BTreeMap<(ServerId, u8), Intent>,
    weights: BTreeMap<ServerId, Option<u16>>,
    /// Each time the sum of the votes became another one, and what it became.
    turns: BTreeMap<ServerId, Vec<(Time, Health)>>,
}

impl Naive {
    fn handle(&mut self, now: Time, input: Input) {
        match input {
            Input::Change(change) => {
                self.opinions.insert((change.server, change.check), change.opinion);
            }
            Input::Intent(server, intent) => {
                let origin = u8::from(intent.origin == Origin::Agent);
                self.intents.insert((server, origin), intent);
            }
            Input::Config(config) => self.config = (*config).clone(),
            Input::Weigh(server, weighing) => {
                self.weights.insert(server, weighing.weight);
            }
            Input::Restored(_) => unreachable!("no world is a second run"),
            Input::Tick => {}
        }
        // Who is gone is forgotten.
        let known = |server: &ServerId, check: Option<&CheckId>| {
            self.config.pools.iter().any(|pool| {
                pool.servers.iter().any(|of| of.id == *server)
                    && check.is_none_or(|check| pool.checks.iter().any(|of| of.id == *check))
            })
        };
        self.opinions.retain(|(server, check), _| known(server, Some(check)));
        self.intents.retain(|(server, _), _| known(server, None));
        self.turns.retain(|server, _| known(server, None));
        for pool in &self.config.pools {
            for of in &pool.servers {
                let health = self.health(pool, of.id);
                let turns = self.turns.entry(of.id).or_insert_with(|| vec![(now, Health::Unknown)]);
                if turns.last().is_none_or(|last| last.1 != health) {
                    turns.push((now, health));
                }
            }
        }
    }

    fn health(&self, pool: &Pool, server: ServerId) -> Health {
        let opinion = |check| self.opinions.get(&(server, check)).copied().unwrap_or_default();
        let count = |health| pool.checks.iter().filter(|check| opinion(check.id).health == health).count();
        let needed = match pool.require {
            Require::All => pool.checks.len(),
            Require::Any => 1,
            Require::AtLeast(needed) => usize::from(needed),
        };
        let needed = needed.min(pool.checks.len());
        if count(Health::Up) >= needed {
            Health::Up
        } else if count(Health::Down) > pool.checks.len() - needed {
            Health::Down
        } else {
            Health::Unknown
        }
    }

    /// Works through all turns: every fourth within two minutes begins a hold, twice as long as the last one
    /// unless that ended ten minutes ago.
    fn is_held(&self, server: ServerId, now: Time) -> bool {
        let turns = &self.turns[&server];
        let (mut recent, mut hold): (Vec<Time>, Option<(Time, Span)>) = (Vec::new(), None);
        for pair in turns.windows(2) {
            let [(_, before), (time, after)] = pair else { continue };
            if *before == Health::Unknown || *after == Health::Unknown {
                continue;
            }
            recent.push(*time);
            recent.retain(|turn| time.since(*turn) < Span::from_secs(120));
            if recent.len() == 4 {
                recent.clear();
                let again = hold.filter(|(until, _)| time.since(*until) < Span::from_secs(600));
                let length = again.map_or(Span::from_secs(30), |(_, last)| last.times(2));
                let length = length.min(Span::from_secs(300));
                hold = Some((*time + length, length));
            }
        }
        hold.is_some_and(|(until, _)| now < until)
    }

    fn wish(&self, server: ServerId) -> Wish {
        let wishes: Vec<Wish> = (0..2)
            .filter_map(|origin| self.intents.get(&(server, origin)))
            .map(|intent| intent.wish)
            .collect();
        let order = [Wish::Maint, Wish::Drain, Wish::ForceDown, Wish::ForceUp];
        order.into_iter().find(|wish| wishes.contains(wish)).unwrap_or(Wish::Ready)
    }

    /// 0 up, 1 flapping, 2 unknown, 3 soft, 4 hard, 5 not to be used.
    fn rank(&self, pool: &Pool, server: &Server, now: Time) -> u8 {
        let hard = |check| self.opinions.get(&(server.id, check)).is_some_and(|opinion| opinion.hard);
        match (self.wish(server.id), self.health(pool, server.id)) {
            (Wish::Maint | Wish::Drain | Wish::ForceDown, _) => 5,
            (Wish::ForceUp, _) => 0,
            (_, Health::Up) => u8::from(self.is_held(server.id, now)),
            (_, Health::Unknown) => 2,
            (_, Health::Down) if pool.checks.iter().any(|check| hard(check.id)) => 4,
            (_, Health::Down) => 3,
        }
    }

    fn duties(&self, now: Time) -> BTreeMap<ServerId, Duty> {
        let mut duties = BTreeMap::new();
        for pool in &self.config.pools {
            let chosen = self.chosen(pool, now);
            for of in &pool.servers {
                let rank = self.rank(pool, of, now);
                duties.insert(
                    of.id,
                    match self.wish(of.id) {
                        Wish::Drain => Duty::Drain,
                        Wish::Maint | Wish::ForceDown => Duty::Out(Sessions::Keep),
                        _ if chosen.contains(&of.id) => Duty::Serve,
                        _ if rank == 4 => Duty::Out(Sessions::Cut),
                        _ if self.weight(of) == 0 && rank < 3 => Duty::Drain,
                        _ => Duty::Out(Sessions::Keep),
                    },
                );
            }
        }
        duties
    }

    fn weight(&self, of: &Server) -> u16 {
        self.weights.get(&of.id).copied().flatten().unwrap_or(of.weight)
    }

    fn chosen(&self, pool: &Pool, now: Time) -> Vec<ServerId> {
        let ranked = |backup: bool| {
            let side = pool.servers.iter().enumerate().filter(move |(_, of)| of.backup == backup);
            let mut ranked: Vec<_> = side
                .filter(|(_, of)| self.weight(of) > 0)
                .map(|(at, of)| {
                    let since = self.turns[&of.id].last().expect("it begins with one").0;
                    (self.rank(pool, of, now), Reverse(since), at)
                })
                .collect();
            ranked.sort();
            ranked
        };
        let id = |at: &usize| pool.servers[*at].id;
        let best_of = |side: &[(u8, Reverse<Time>, usize)]| -> Vec<usize> {
            let best = side.first().map_or(9, |first| first.0);
            side.iter().filter(|(rank, ..)| *rank == best && best <= 2).map(|(.., at)| *at).collect()
        };
        let (servers, backups) = (ranked(false), ranked(true));
        let mut chosen = best_of(&servers);
        if chosen.is_empty() {
            let backups = best_of(&backups);
            if !backups.is_empty() {
                return backups.iter().map(id).collect();
            }
        }
        let weight = |at: usize| u64::from(self.weight(&pool.servers[at]));
        let all: u64 = servers.iter().filter(|(rank, ..)| *rank < 5).map(|(.., at)| weight(*at)).sum();
        for (rank, _, at) in servers {
            let capacity: u64 = chosen.iter().map(|&at| weight(at)).sum();
            if rank <= 3 && !chosen.contains(&at) && capacity * 100 < all * u64::from(pool.min_serving) {
                chosen.push(at);
            }
        }
        chosen.iter().map(id).collect()
    }
}
