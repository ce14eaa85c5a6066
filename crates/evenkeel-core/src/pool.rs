//! One pool: what is known of its servers, the table that follows from it, and the events on the way from one
//! table to the next. Who serves is decided in `choose`.

use crate::choose::choose;
use crate::config::{self, PoolId};
use crate::event::{Event, Who};
use crate::server::{Server, Standing};
use crate::source::Health;
use crate::table::{Duty, PoolTable, Row};
use crate::time::Time;
use crate::why::{Account, Because, Remedy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything known of one pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) config: Arc<config::Pool>,
    /// In the order of the config.
    pub(crate) servers: Vec<Server>,
    pub(crate) table: Arc<PoolTable>,
    /// Why each row is as it is.
    pub(crate) because: Vec<Because>,
    /// When something changes here without an input.
    pub(crate) wake: Time,
}

/// What is known of servers, by id, on its way from one config to the next.
pub(crate) type Known = BTreeMap<config::ServerId, Server>;

/// Who serves in a pool, as far as one can tell from the table alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Crew {
    Nobody,
    Servers,
    Backups,
}

impl Pool {
    /// A pool of a new config, with what was known of its servers before, and its former table.
    pub(crate) fn new(
        now: Time,
        config: &Arc<config::Pool>,
        known: &mut Known,
        before: Option<Arc<PoolTable>>,
    ) -> Pool {
        let servers = config.servers.iter().map(|server| match known.remove(&server.id) {
            Some(mut server) => {
                server.keep_votes_of(&config.checks);
                server
            }
            None => Server::new(now, &config.checks),
        });
        Pool {
            servers: servers.collect(),
            table: before.unwrap_or_else(|| Arc::new(blank(config))),
            because: Vec::new(),
            wake: now,
            config: Arc::clone(config),
        }
    }

    pub(crate) fn id(&self) -> PoolId {
        self.config.id
    }

    pub(crate) fn who(&self, at: usize) -> Who {
        let server = &self.config.servers[at];
        Who {
            pool: self.config.id,
            pool_name: self.config.name.clone(),
            server: server.id,
            server_name: server.name.clone(),
        }
    }

    /// All that is known of one server at `now`.
    pub(crate) fn account(&self, now: Time, at: usize) -> Account<'_> {
        let server = &self.servers[at];
        Account {
            health: server.health,
            since: server.since,
            because: self.because[at],
            held_until: server.flap.until(now),
            intents: server.intents.iter().collect(),
            weight: server.weight(&self.config.servers[at]),
            weighing: server.weighing.as_ref(),
            votes: &server.votes,
            remedies: self.remedies(now, at),
        }
    }

    /// Draws all conclusions from what is known at `now`. `cause` is the server and vote that gave the occasion.
    /// Tells whether the pool's table is another one.
    pub(crate) fn settle(
        &mut self,
        now: Time,
        cause: Option<(usize, usize)>,
        events: &mut Vec<Event>,
    ) -> bool {
        let mut turned = Vec::new();
        for (at, server) in self.servers.iter_mut().enumerate() {
            if let Some(from) = server.settle(now, self.config.require) {
                turned.push((at, from));
            }
        }
        let standings: Vec<Standing> =
            self.config.servers.iter().zip(&self.servers).map(|(c, s)| s.standing(now, &c.address)).collect();
        self.because = choose(&self.config, &self.servers, &standings);
        let table = self.draw(now);
        self.wake =
            self.servers.iter().map(|s| s.wake(now, self.config.slow_start)).min().unwrap_or(Time::NEVER);

        let changed = table != *self.table;
        let before = Arc::clone(&self.table);
        if changed {
            self.table = Arc::new(table);
        }
        for &(at, from) in &turned {
            let vote = cause.filter(|cause| cause.0 == at).map(|cause| cause.1);
            events.push(self.health_event(at, from, vote));
        }
        if changed {
            self.duty_events(&before, &turned, events);
        }
        changed
    }

    /// The table that follows from `because`, and the ramps of those who begin to serve.
    fn draw(&mut self, now: Time) -> PoolTable {
        let config = &self.config;
        let serving = self.because.iter().filter(|because| because.serves()).count();
        let mut rows = Vec::with_capacity(config.servers.len());
        for ((of, server), &because) in config.servers.iter().zip(&mut self.servers).zip(&self.because) {
            let weight = server.weight(of);
            let duty = because.duty();
            if duty == Duty::Serve {
                server.ramp.serves(now, !because.is_return());
            } else {
                server.ramp.rests(because.chills());
            }
            rows.push(Row {
                server: of.id,
                name: of.name.clone(),
                address: of.address.clone(),
                duty,
                weight: server.ramp.share(now, weight, config.slow_start, serving == 1),
                backup: of.backup,
                spare: because == Because::BackupRests,
                avoid: server.avoid(),
            });
        }
        PoolTable { id: config.id, name: config.name.clone(), balance: config.balance.clone(), rows }
    }

    /// What would make it serve.
    fn remedies(&self, now: Time, at: usize) -> Vec<Remedy> {
        let server = &self.servers[at];
        match self.because[at] {
            because if because.serves() => Vec::new(),
            Because::Maint | Because::Drain | Because::ForcedDown => {
                server.intents.holds().cloned().map(Remedy::Ready).into_iter().collect()
            }
            Because::Flapping => server.flap.until(now).map(Remedy::HoldEnds).into_iter().collect(),
            Because::NoAddress => vec![Remedy::Address],
            Because::NoWeight => vec![Remedy::Weight],
            Because::BackupRests => vec![Remedy::NoServer],
            _ => {
                let hold = server.flap.until(now).map(Remedy::HoldEnds);
                server.missing_passes(&self.config.checks).into_iter().chain(hold).collect()
            }
        }
    }

    fn health_event(&self, at: usize, from: Health, vote: Option<usize>) -> Event {
        let server = &self.servers[at];
        Event::Health {
            who: self.who(at),
            from,
            to: server.health,
            cause: vote.and_then(|vote| server.cause(&self.config.checks, vote)),
            because: self.because[at],
            now_serving: self.table.names(),
        }
    }

    /// What the table says anew, as far as the `Health` events of these servers have not told it already.
    fn duty_events(&self, before: &PoolTable, told: &[(usize, Health)], events: &mut Vec<Event>) {
        let crews = (crew(before), crew(&self.table));
        for (at, row) in self.table.rows.iter().enumerate() {
            let from = row_of(before, at, row.server).map(|old| old.duty);
            let because = self.because[at];
            let by_health = told.iter().any(|&(server, _)| server == at);
            let by_crew = row.backup && (crews.0 != crews.1 || from.is_none());
            if from != Some(row.duty) && !by_health && !by_crew && !because.is_awaiting() {
                events.push(Event::Duty { who: self.who(at), from, to: row.duty, because });
            }
        }
        let (pool, pool_name) = (self.config.id, self.config.name.clone());
        events.extend(match crews {
            (before, after) if before == after => None,
            (_, Crew::Nobody) => Some(Event::PoolEmpty { pool, pool_name }),
            (_, Crew::Backups) => {
                Some(Event::BackupStarted { pool, pool_name, now_serving: self.table.names() })
            }
            (Crew::Backups, Crew::Servers) => Some(Event::BackupStopped { pool, pool_name }),
            (_, Crew::Servers) => Some(Event::PoolServes { pool, pool_name }),
        });
    }
}

/// Mostly it is where it was.
fn row_of(table: &PoolTable, at: usize, server: config::ServerId) -> Option<&Row> {
    let here = table.rows.get(at).filter(|row| row.server == server);
    here.or_else(|| table.rows.iter().find(|row| row.server == server))
}

fn blank(config: &config::Pool) -> PoolTable {
    PoolTable { id: config.id, name: config.name.clone(), balance: config.balance.clone(), rows: Vec::new() }
}

fn crew(table: &PoolTable) -> Crew {
    match table.serving().map(|row| row.backup).min() {
        None => Crew::Nobody,
        Some(false) => Crew::Servers,
        Some(true) => Crew::Backups,
    }
}
