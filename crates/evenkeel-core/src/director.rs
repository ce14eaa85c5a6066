//! The only door: inputs in, events out, and a table to read. Pure: the same inputs give the same outputs.

use crate::config::{CheckId, Config, ServerId};
use crate::event::Event;
use crate::evidence::Evidence;
use crate::intent::Intent;
use crate::pool::{Known, Pool};
use crate::source::Opinion;
use crate::table::{PoolTable, Table};
use crate::time::Time;
use crate::why::Account;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that can happen to the director.
#[derive(Clone, Debug)]
pub enum Input {
    /// A source changed its mind, or its server is to be avoided or no longer.
    Change(Change),
    /// Somebody wants something of a server.
    Intent(ServerId, Intent),
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
