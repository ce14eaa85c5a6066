//! The loop's part of the state: what of it is given back to director and engine, and when it is kept anew.

use super::daemon::Daemon;
use super::{Error, Message};
use crate::clock;
use crate::state::{self, Keeper, Kept, KeptCheck, KeptIntent, KeptWeighing, State, Trouble};
use crate::tell::Fact;
use evenkeel_check::engine::Seeds;
use evenkeel_core::config::{Address, CheckId, Pool, Server};
use evenkeel_core::event::Event;
use evenkeel_core::{Health, Input, Opinion, Restored, Span, Time};
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

/// A change is kept after so long, with those that came meanwhile.
const GAP: Span = Span::from_millis(50);
/// Making the picture of a large config takes time; it never takes more than a tenth of it.
const SHARE: u64 = 10;
/// How often it is noted that all is still true.
const BEAT: Span = Span::from_secs(5);

/// What outlives this process.
#[derive(Debug, Default)]
pub(super) struct Memory {
    keeper: Option<Keeper>,
    boot: String,
    /// Of a run before this one, what no server of the config has claimed yet.
    old: HashMap<(String, String, String), Kept>,
    /// How old that was when this run began; `None`: of another boot.
    age: Option<Span>,
    began: Time,
    changed: bool,
    next: Time,
    beat: Time,
}

impl Memory {
    /// What is kept is no longer all there is.
    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    /// When something is to be done here.
    pub(super) fn due(&self) -> Option<Time> {
        (self.changed && self.keeper.is_some()).then_some(self.next)
    }
}

impl Daemon {
    /// Takes what a run before this one left, before anybody is served.
    pub(super) fn remember(
        &mut self,
        now: Time,
        kept: Option<state::Taken>,
        desk: &SyncSender<Message>,
        events: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let Some(state::Taken { place, found, troubles }) = kept else { return Ok(()) };
        for trouble in troubles {
            let fact = match trouble {
                Trouble::SetAside(aside, error) => {
                    Fact::StateSetAside { error, aside: aside.map(|path| path.display().to_string()) }
                }
                // The keeper will tell, if it finds the same.
                Trouble::Unwritable(error) => {
                    tracing::info!("no lock beside the state: {error}");
                    continue;
                }
            };
            self.tell(now, fact, None);
        }
        let desk = desk.clone();
        let tell = Box::new(move |kept| {
            let _a_full_queue_has_greater_worries = desk.try_send(Message::Kept(kept));
        });
        let memory = &mut self.memory;
        memory.keeper = Some(Keeper::start(place, tell).map_err(Error::Thread)?);
        (memory.boot, memory.began, memory.changed) = (state::boot(), now, true);
        let Some((state, age)) = found else { return Ok(()) };
        memory.age = age;
        let key = |kept: &Kept| (kept.pool.clone(), kept.server.clone(), kept.address.clone());
        memory.old = state.servers.into_iter().map(|kept| (key(&kept), kept)).collect();
        self.restore(now, events);
        Ok(())
    }

    /// Gives servers that have just become known what a run before this one knew of them.
    pub(super) fn restore(&mut self, now: Time, events: &mut Vec<Event>) {
        if self.memory.old.is_empty() {
            return;
        }
        let age = self
            .memory
            .age
            .map(|age| Span::from_nanos(age.as_nanos() + now.since(self.memory.began).as_nanos()));
        let definitions = self.loaded.definitions();
        let config = self.director.config().clone();
        let (mut inputs, mut restored, mut seeds) = (Vec::new(), Vec::new(), Seeds::new());
        for (pool, server) in
            config.pools.iter().flat_map(|pool| pool.servers.iter().map(move |one| (pool, one)))
        {
            if matches!(server.address, Address::Name(..)) {
                continue;
            }
            let key = (pool.name.to_string(), server.name.to_string(), server.address.to_string());
            let Some(kept) = self.memory.old.remove(&key) else { continue };
            self.words(now, server, &kept, &mut inputs);
            for check in &kept.checks {
                let Some((of, seed)) = seed(now, age, pool, check, &definitions) else { continue };
                let opinion =
                    Opinion { health: seed.health, hard: seed.hard, avoid: false, streak: check.streak };
                seeds.insert((server.id, of), seed);
                let (since, evidence) = (seed.since, check.evidence());
                restored.push(Restored { server: server.id, check: of, opinion, since, evidence });
            }
        }
        let count = |health| restored.iter().filter(|one| one.opinion.health == health).count();
        let (up, down, words) = (count(Health::Up), count(Health::Down), inputs.len());
        if up + down + words == 0 {
            return;
        }
        self.tell(now, Fact::Restored { up, down, words, age_s: age.map(Span::as_secs_f64) }, None);
        for input in inputs.into_iter().chain([Input::Restored(restored)]) {
            events.extend(self.director.handle(now, input));
        }
        self.engine.seed(seeds);
        self.note_ends();
    }

    /// What people had said of a server, if its time has not passed meanwhile.
    fn words(&mut self, now: Time, server: &Server, kept: &Kept, inputs: &mut Vec<Input>) {
        let wall = clock::wall();
        let mut lapsed = Vec::new();
        for intent in kept.intents.iter().filter_map(KeptIntent::intent) {
            match intent.until.is_some_and(|until| until <= wall) {
                true => lapsed.push(intent.to_string()),
                false => inputs.push(Input::Intent(server.id, intent)),
            }
        }
        if let Some(weighing) = kept.weighing.as_ref().map(KeptWeighing::weighing) {
            match weighing.until.is_some_and(|until| until <= wall) {
                true => lapsed.push(weighing.to_string()),
                false => inputs.push(Input::Weigh(server.id, weighing)),
            }
        }
        for word in lapsed {
            let (pool, server) = (kept.pool.clone(), kept.server.clone());
            self.tell(now, Fact::Lapsed { pool, server, word }, None);
        }
    }

    /// Hands the newest picture to the keeper, if there is one that it does not have.
    pub(super) fn keep(&mut self, now: Time) {
        let memory = &mut self.memory;
        let Some(keeper) = &memory.keeper else { return };
        if now >= memory.beat && self.engine.is_alive() {
            memory.beat = now + BEAT;
            keeper.beat(now);
        }
        if !memory.changed || now < memory.next {
            return;
        }
        self.keep_last(now);
        let took = clock::now().since(now);
        self.memory.next = now + GAP.max(took.times(SHARE));
    }

    /// The same, whatever was kept before.
    pub(super) fn keep_last(&mut self, now: Time) {
        let state = self.picture(now);
        self.memory.changed = false;
        if let Some(keeper) = &self.memory.keeper {
            keeper.keep(state);
        }
    }

    /// The keeper tells how it fares.
    pub(super) fn kept(&mut self, now: Time, kept: Result<(), String>) {
        let fact = match kept {
            Ok(()) => Fact::StateWritten,
            Err(error) => Fact::StateUnwritten { error },
        };
        self.tell(now, fact, None);
    }

    fn picture(&self, now: Time) -> State {
        let definitions = self.loaded.definitions();
        let config = self.director.config();
        let of = |pool: &Pool, server: &Server| self.one(now, pool, server, &definitions);
        let mut servers: Vec<Kept> = Vec::new();
        for pool in &config.pools {
            servers.extend(pool.servers.iter().filter_map(|server| of(pool, server)));
        }
        // A name that has not been resolved yet must not cost anybody his word.
        let named = |kept: &&Kept| {
            let pools = config.pools.iter().filter(|pool| *pool.name == *kept.pool);
            pools.flat_map(|pool| &pool.servers).any(|server| matches!(server.address, Address::Name(..)))
        };
        servers.extend(self.memory.old.values().filter(named).cloned());
        State {
            version: state::VERSION,
            boot: self.memory.boot.clone(),
            at_ns: now.as_nanos(),
            written: clock::rfc3339(SystemTime::now()),
            servers,
        }
    }

    fn one(
        &self,
        now: Time,
        pool: &Pool,
        server: &Server,
        definitions: &BTreeMap<CheckId, u64>,
    ) -> Option<Kept> {
        let account = self.director.account(now, server.id)?;
        let check = |vote: &evenkeel_core::why::Vote| {
            let of = pool.checks.iter().find(|check| check.id == vote.check)?;
            KeptCheck::of(&of.name, *definitions.get(&of.id)?, &vote.opinion, vote.decided.as_ref()?)
        };
        let kept = Kept {
            pool: pool.name.to_string(),
            server: server.name.to_string(),
            address: server.address.to_string(),
            intents: account.intents.iter().filter_map(|intent| KeptIntent::of(intent)).collect(),
            weighing: account.weighing.and_then(KeptWeighing::of),
            checks: account.votes.iter().filter_map(check).collect(),
        };
        (!kept.intents.is_empty() || kept.weighing.is_some() || !kept.checks.is_empty()).then_some(kept)
    }
}

/// What a check of the config begins with, if it is the one that was kept.
fn seed(
    now: Time,
    age: Option<Span>,
    pool: &Pool,
    kept: &KeptCheck,
    definitions: &BTreeMap<CheckId, u64>,
) -> Option<(CheckId, evenkeel_core::source::Seed)> {
    let same = |of: &&evenkeel_core::config::Check| {
        *of.name == *kept.check && definitions.get(&of.id) == Some(&kept.definition)
    };
    let check = pool.checks.iter().find(same)?;
    Some((check.id, kept.seed(now, age, check.timing.every)?))
}
