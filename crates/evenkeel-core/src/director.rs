//! The only door: inputs in, events out, and a table to read. Pure: the same inputs give the same outputs.

use crate::config::{CheckId, Config, ServerId};
use crate::event::Event;
use crate::evidence::Evidence;
use crate::intent::{Intent, Weighing};
use crate::pool::{Known, Pool};
use crate::source::Opinion;
use crate::table::{PoolTable, Table};
use crate::time::Time;
use crate::why::Account;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that can happen to the director.
#[derive(Clone, Debug)]
pub enum Input {
    /// A source changed its mind, or its server is to be avoided or no longer.
    Change(Change),
    /// Somebody wants something of a server.
    Intent(ServerId, Intent),
    /// Somebody wants a server to weigh something else.
    Weigh(ServerId, Weighing),
    /// What a run before this one knew. It fills gaps only: whatever was heard since stands. All at once, so that
    /// nobody is out for a moment because a peer was restored first.
    Restored(Vec<Restored>),
    /// A new config. Ids that it shares with the old one keep what is known of them. The director hears of a
    /// config before the thread that asks does, for it ignores changes of servers it does not know.
    Config(Arc<Config>),
    /// Nothing but that time went by.
    Tick,
}

/// A source's new opinion. It is a whole opinion, so that a later one replaces an earlier one and a lost one
/// does no lasting harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which server.
    pub server: ServerId,
    /// By which check.
    pub check: CheckId,
    /// What it thinks.
    pub opinion: Opinion,
    /// What decided. For a change without an outcome (`down after 16s`, a tripped wire): the latest fail, or if
    /// none is kept, one made up to say so.
    pub evidence: Evidence,
}

/// A source's opinion, as a run before this one knew it. Whoever tells the director gives the source itself the
/// same to begin with ([`crate::source::Seed`]), for nothing repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Of which server.
    pub server: ServerId,
    /// By which check.
    pub check: CheckId,
    /// What it thought.
    pub opinion: Opinion,
    /// Since when; may be before this run's beginning.
    pub since: Time,
    /// What decided.
    pub evidence: Evidence,
}

/// Decides. See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Director {
    config: Arc<Config>,
    /// In the order of the config.
    pools: Vec<Pool>,
    /// Where a server is: its pool's index, and its own there.
    places: BTreeMap<ServerId, (usize, usize)>,
    table: Arc<Table>,
    /// The earliest moment at which a pool changes without an input.
    wake: Option<Time>,
}

impl Director {
    /// A director that knows nothing but its config.
    pub fn new(now: Time, config: Arc<Config>) -> Director {
        let mut director = Director::default();
        director.handle(now, Input::Config(config));
        director
    }

    /// Takes one input at `now`, which is never before the last one's, and tells what is worth telling.
    pub fn handle(&mut self, now: Time, input: Input) -> Vec<Event> {
        let mut events = Vec::new();
        let changed = match input {
            Input::Change(change) => self.change(now, change, &mut events),
            Input::Intent(server, intent) => self.intent(now, server, intent, &mut events),
            Input::Weigh(server, weighing) => self.weigh(now, server, weighing, &mut events),
            Input::Restored(restored) => self.restore(now, restored, &mut events),
            Input::Config(config) => self.reload(now, config, &mut events),
            Input::Tick => false,
        };
        let woken = self.wake_up(now, &mut events);
        if changed || woken {
            self.publish();
        }
        events
    }

    /// When `Tick` is due if nothing happens before.
    pub fn deadline(&self) -> Option<Time> {
        self.wake
    }

    /// What should be true of the traffic.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The config it works by.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// All that it knows of one server, for people; `None` if it does not know it.
    pub fn account(&self, now: Time, server: ServerId) -> Option<Account<'_>> {
        let &(pool, server) = self.places.get(&server)?;
        Some(self.pools[pool].account(now, server))
    }

    fn change(&mut self, now: Time, change: Change, events: &mut Vec<Event>) -> bool {
        let Some(&(pool, server)) = self.places.get(&change.server) else { return false };
        let pool = &mut self.pools[pool];
        match pool.servers[server].vote(now, change) {
            Some(vote) => pool.settle(now, Some((server, vote)), events),
            None => false,
        }
    }

    fn intent(&mut self, now: Time, server: ServerId, intent: Intent, events: &mut Vec<Event>) -> bool {
        let Some(&(pool, server)) = self.places.get(&server) else { return false };
        let pool = &mut self.pools[pool];
        if !pool.servers[server].intents.set(intent.clone()) {
            return false;
        }
        events.push(Event::Intent { who: pool.who(server), intent });
        pool.settle(now, None, events)
    }

    fn weigh(&mut self, now: Time, server: ServerId, weighing: Weighing, events: &mut Vec<Event>) -> bool {
        let Some(&(pool, server)) = self.places.get(&server) else { return false };
        let pool = &mut self.pools[pool];
        if !pool.servers[server].weigh(weighing.clone()) {
            return false;
        }
        let configured = pool.config.servers[server].weight;
        events.push(Event::Weight { who: pool.who(server), weighing, configured });
        pool.settle(now, None, events)
    }

    fn restore(&mut self, now: Time, restored: Vec<Restored>, events: &mut Vec<Event>) -> bool {
        let mut touched = BTreeSet::new();
        for one in restored {
            let Some(&(at, server)) = self.places.get(&one.server) else { continue };
            let pool = &mut self.pools[at];
            pool.servers[server].restore(one, pool.config.require);
            touched.insert(at);
        }
        let mut changed = false;
        for at in touched {
            changed |= self.pools[at].settle(now, None, events);
        }
        changed
    }

    fn reload(&mut self, now: Time, config: Arc<Config>, events: &mut Vec<Event>) -> bool {
        let mut known = Known::new();
        let mut tables: BTreeMap<_, Arc<PoolTable>> = BTreeMap::new();
        for pool in self.pools.drain(..) {
            tables.insert(pool.id(), pool.table);
            known.extend(pool.config.servers.iter().map(|server| server.id).zip(pool.servers));
        }
        self.places.clear();
        for of in &config.pools {
            let mut pool = Pool::new(now, of, &mut known, tables.remove(&of.id));
            let at = self.pools.len();
            self.places.extend(of.servers.iter().enumerate().map(|(i, server)| (server.id, (at, i))));
            pool.settle(now, None, events);
            self.pools.push(pool);
        }
        self.config = config;
        true
    }

    /// Settles the pools whose time has come.
    fn wake_up(&mut self, now: Time, events: &mut Vec<Event>) -> bool {
        let mut changed = false;
        for pool in self.pools.iter_mut().filter(|pool| pool.wake <= now) {
            changed |= pool.settle(now, None, events);
        }
        self.wake = self.pools.iter().map(|pool| pool.wake).min().filter(|&wake| wake < Time::NEVER);
        changed
    }

    /// A new version, if anything in it is new.
    fn publish(&mut self) {
        let same_pools = self.pools.len() == self.table.pools.len()
            && self.pools.iter().zip(&self.table.pools).all(|(pool, old)| Arc::ptr_eq(&pool.table, old));
        if same_pools && self.config.services == self.table.services && self.table.version > 0 {
            return;
        }
        self.table = Arc::new(Table {
            version: self.table.version + 1,
            services: self.config.services.clone(),
            pools: self.pools.iter().map(|pool| Arc::clone(&pool.table)).collect(),
        });
    }
}
