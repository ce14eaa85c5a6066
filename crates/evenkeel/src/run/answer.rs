//! What the loop says when it is asked: the model of the API, filled from what the loop knows.

use super::daemon::Daemon;
use super::explain::{self, Streak};
use super::orders;
use crate::api::model::{self, Refusal};
use crate::api::{Answer, Asked, Question};
use crate::tell::Fact;
use evenkeel_check::engine::Sight;
use evenkeel_core::config::{Address, Check, Listen, PlaneKind, Pool, Protocol, Server};
use evenkeel_core::event::Event;
use evenkeel_core::evidence::{Mark, Verdict};
use evenkeel_core::table::Row;
use evenkeel_core::why::{Account, Because, Remedy, Vote};
use evenkeel_core::{Health, Time};
use evenkeel_plane::Plane;
use std::sync::Arc;
use std::time::Duration;

/// How long the engine may take to say what it knows. The loop stands still meanwhile.
const PATIENCE: Duration = Duration::from_millis(200);

impl Daemon {
    /// Answers one question.
    pub(super) fn answer(&mut self, now: Time, asked: Asked, events: &mut Vec<Event>) {
        let answer = match asked.question {
            Question::Live => Ok(Answer::Json("true".into())),
            Question::Config => Ok(Answer::Json(self.loaded.json.to_string())),
            Question::Status => Ok(Answer::json(&self.status(now))),
            Question::Pool(name) => self.named_pool(&name).map(|pool| Answer::json(&self.pool(now, &pool))),
            Question::Why { pool, server } => {
                self.why(now, pool.as_deref(), &server).map(|why| Answer::json(&why))
            }
            Question::Order(order) => self.order(now, &order, events).map(|done| Answer::json(&done)),
            Question::Events(since) => Ok(Answer::Events(self.ring.since(since))),
            Question::Follow(since) => {
                let (past, future) = self.ring.follow(since);
                Ok(Answer::Follow(past, future))
            }
        };
        let _nobody_waits_any_more = asked.reply.send(answer);
    }

    fn status(&mut self, now: Time) -> model::Status {
        let config = self.director.config().clone();
        let route = |route: &evenkeel_core::config::Route| model::Route {
            prefix: route.prefix.to_string(),
            pool: config.pool(route.pool).map_or_else(String::new, |pool| pool.name.to_string()),
        };
        let services = config.services.iter().map(|service| model::Service {
            name: service.name.to_string(),
            listen: service.listen.iter().map(listen).collect(),
            plane: match service.plane {
                PlaneKind::Relay => "relay".into(),
                PlaneKind::None => "none".into(),
            },
            routes: service.routes.iter().map(route).collect(),
        });
        model::Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_s: now.since(self.started).as_secs_f64(),
            file: self.file.display().to_string(),
            services: services.collect(),
            pools: config.pools.iter().map(|pool| self.pool(now, pool)).collect(),
            names: self.names.told(now),
        }
    }

    fn pool(&mut self, now: Time, pool: &Pool) -> model::Pool {
        let table = self.director.table().pool(pool.id).cloned();
        let serving =
            table.iter().flat_map(|table| table.serving().map(|row| row.name.to_string())).collect();
        model::Pool {
            name: pool.name.to_string(),
            checks: pool.checks.iter().map(|check| check.name.to_string()).collect(),
            serving,
            servers: pool.servers.iter().map(|server| self.server(now, pool, server)).collect(),
        }
    }

    pub(super) fn server(&mut self, now: Time, pool: &Pool, server: &Server) -> model::Server {
        let sessions = self.relay.sessions(server.id);
        let counts = self.relay.counts(server.id);
        let account =
            self.director.account(now, server.id).expect("every server of its config is known to it");
        let table = self.director.table().pool(pool.id);
        let row = table.and_then(|table| table.rows.iter().find(|row| row.server == server.id));
        let words = self.written(pool, server);
        model::Server {
            name: server.name.to_string(),
            address: words.to_string(),
            resolved: (words != server.address).then(|| server.address.to_string()),
            health: account.health.to_string(),
            duty: account.because.duty().to_string(),
            backup: server.backup,
            weight: account.weight,
            weighing: orders::weighing(&account, server.weight),
            intents: orders::intents(&account),
            share_percent: row.map_or(0.0, |row| share(row, account.weight)),
            avoid: row.is_some_and(|row| row.avoid),
            reason: self.reason(now, pool, server, &account),
            since_s: Some(now.since(account.since).as_secs_f64()),
            active: sessions.active,
            total: counts.attempts,
        }
    }

    /// One line: what decided, or why nothing has, and what people have said.
    fn reason(&self, now: Time, pool: &Pool, server: &Server, account: &Account<'_>) -> String {
        let decided = self.decisive(now, pool, server, account);
        match orders::words(account, server.weight) {
            Some(words) => format!("{decided}; {words}"),
            None => decided,
        }
    }

    fn decisive(&self, now: Time, pool: &Pool, server: &Server, account: &Account<'_>) -> String {
        if let Address::Name(name, _) = &server.address {
            return self.names.missing(name);
        }
        let decided = |vote: &&Vote| vote.opinion.health == account.health;
        let vote = account.votes.iter().find(decided).filter(|_| account.health != Health::Unknown);
        let said = match vote.and_then(|vote| Some((vote.check, vote.decided.as_ref()?))) {
            Some((check, (evidence, _, _))) => {
                let outcome = match &evidence.verdict {
                    Verdict::Pass => "passed".to_owned(),
                    Verdict::Fail(reason) => reason.to_string(),
                };
                let name =
                    pool.checks.iter().find(|one| one.id == check).map(|one| &*one.name).unwrap_or_default();
                format!("{name}: {outcome}")
            }
            None if pool.checks.is_empty() => "no check".into(),
            None if self.unchecked(pool, server) => "no check asks it".into(),
            None => "nothing heard yet".into(),
        };
        match account.because {
            Because::Up | Because::DownHard | Because::DownSoft => said,
            // The words themselves follow.
            Because::Drain | Because::Maint | Because::ForcedUp | Because::ForcedDown => said,
            because => match account.held_until {
                Some(until) => format!("{said}; {because} ({} more)", until.since(now)),
                None => format!("{said}; {because}"),
            },
        }
    }

    fn why(&mut self, now: Time, pool: Option<&str>, server: &str) -> Result<model::Why, Refusal> {
        let (pool, server) = self.named_server(pool, server)?;
        let row = self.server(now, &pool, &server);
        let sights = self.engine.inspect_server(server.id, PATIENCE).unwrap_or_default();
        let account =
            self.director.account(now, server.id).expect("every server of its config is known to it");
        let vote = |check: &Check| account.votes.iter().find(|vote| vote.check == check.id);
        let checks = pool.checks.iter().map(|check| {
            let sight = sights.iter().find(|sight| sight.check == check.id);
            one_check(now, check, vote(check), sight)
        });
        Ok(model::Why {
            pool: pool.name.to_string(),
            server: row,
            because: account.because.to_string(),
            needs: account.remedies.iter().map(|remedy| need(now, remedy)).collect(),
            require: explain::require(pool.require, pool.checks.len()),
            decided: self.decided(now, &pool.name, &server.name),
            checks: checks.collect(),
        })
    }

    /// The last change of its health that is still in the ring.
    fn decided(&self, now: Time, of: &str, name: &str) -> Option<model::Decided> {
        let events = self.ring.since(0);
        let told = events.iter().rev().find(
            |told| matches!(&told.fact, Fact::Health { pool, server, .. } if pool == of && server == name),
        )?;
        Some(model::Decided {
            seq: told.seq,
            at: told.at.clone(),
            ago_s: now.since(told.when).as_secs_f64(),
            text: told.text.clone(),
        })
    }

    /// The address as it stands in the config: a name stays a name.
    fn written(&self, pool: &Pool, server: &Server) -> Address {
        let found = self.names.written(&self.loaded, pool, server);
        found.map_or_else(|| server.address.clone(), |found| found.address.clone())
    }

    pub(super) fn unchecked(&self, pool: &Pool, server: &Server) -> bool {
        let written = self.names.written(&self.loaded, pool, server);
        written.is_some_and(|written| self.loaded.unchecked.contains(&written.id))
    }

    fn named_pool(&self, name: &str) -> Result<Arc<Pool>, Refusal> {
        let pools = &self.director.config().pools;
        let found = pools.iter().find(|pool| &*pool.name == name).cloned();
        found.ok_or_else(|| Refusal::missing("pool", name, pools.iter().map(|pool| &*pool.name)))
    }

    pub(super) fn named_server(
        &self,
        pool: Option<&str>,
        name: &str,
    ) -> Result<(Arc<Pool>, Server), Refusal> {
        let pools = match pool {
            Some(pool) => vec![self.named_pool(pool)?],
            None => self.director.config().pools.clone(),
        };
        let all = || pools.iter().flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)));
        let found: Vec<_> = all().filter(|(_, server)| &*server.name == name).collect();
        match found[..] {
            [(pool, server)] => Ok((pool.clone(), server.clone())),
            [] if let Some(pool) = pools.iter().find(|pool| &*pool.name == name) => Err(no_server(pool)),
            [] => Err(Refusal::missing("server", name, all().map(|(_, server)| &*server.name))),
            _ => {
                let names: Vec<String> =
                    found.iter().map(|(pool, _)| format!("{}/{name}", pool.name)).collect();
                Err(Refusal::new(409, format!("which \"{name}\"? There are {}", names.join(", "))))
            }
        }
    }
}

/// Who names a pool where a server is asked for gets to hear its servers.
fn no_server(pool: &Pool) -> Refusal {
    const MOST: usize = 8;
    let mut names: Vec<String> =
        pool.servers.iter().take(MOST).map(|server| format!("{}/{}", pool.name, server.name)).collect();
    if pool.servers.len() > MOST {
        names.push(format!("{} more", pool.servers.len() - MOST));
    }
    let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Refusal::new(404, format!("\"{}\" is a pool, not a server; its servers: {has}", pool.name))
}

fn one_check(now: Time, check: &Check, vote: Option<&Vote>, sight: Option<&Sight>) -> model::Check {
    let decided = vote.and_then(|vote| vote.decided.as_ref());
    let health = vote.map_or(Health::Unknown, |vote| vote.opinion.health);
    let streak = sight.map_or(0, |sight| sight.opinion.streak);
    let streak = match sight.and_then(|sight| sight.history.last()) {
        Some(Mark::Pass) => Streak { passes: streak, fails: 0 },
        Some(_) => Streak { passes: 0, fails: streak },
        None => Streak::default(),
    };
    let due = sight.map(|sight| sight.due.since(evenkeel_check::now()));
    // What decided is the better story; a fail that has changed nothing (yet) is told beside it.
    let last = sight.and_then(|sight| sight.last_fail.as_ref());
    let last = last.filter(|last| decided.is_none_or(|(evidence, ..)| evidence != *last));
    model::Check {
        name: check.name.to_string(),
        health: health.to_string(),
        timing: explain::timing(&check.timing),
        rule: explain::rule(&check.rule),
        fired: explain::fired(&check.rule, health, decided.map(|(_, streak, at)| (*streak, now.since(*at)))),
        next: explain::next(&check.rule, health, streak, due),
        history: sight.map(|sight| sight.history.to_string()).unwrap_or_default(),
        decided: decided.map(|(evidence, _, at)| explain::evidence(evidence, Some(now.since(*at)))),
        last_fail: last.map(|evidence| explain::evidence(evidence, None)),
    }
}

fn need(now: Time, remedy: &Remedy) -> String {
    match remedy {
        Remedy::HoldEnds(until) => format!("{remedy} in {}", until.since(now)),
        _ => remedy.to_string(),
    }
}

fn listen(listen: &Listen) -> String {
    match listen.protocol {
        Protocol::Tcp => format!("{} tcp", listen.address),
        Protocol::Http => format!("{} http", listen.address),
    }
}

/// How much of its weight it gets, in percent.
fn share(row: &Row, weight: u16) -> f64 {
    match weight {
        0 => 0.0,
        weight => f64::from(row.weight) / f64::from(u32::from(weight) * 256) * 100.0,
    }
}
