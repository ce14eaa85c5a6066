//! The one writer: holds the director, the planes, the engine and the resolver, takes one message after the
//! other, and makes the world follow the table.

use super::names::Names;
use super::remember::Memory;
use super::{Error, Message, Options, descriptors};
use crate::clock;
use crate::config::{self, Loaded};
use crate::ring::Ring;
use crate::seed_log::SeedLog;
use crate::state;
use crate::tell::Fact;
use evenkeel_check::engine::Engine;
use evenkeel_core::config::{Config, PlaneKind, Pool, Server, ServerId, Service};
use evenkeel_core::event::Event;
use evenkeel_core::{Director, Health, Input, Span, Time};
use evenkeel_plane::Plane;
use evenkeel_plane::relay::{self, Relay};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

/// Messages that are handled before the planes hear of them: a storm of changes costs one table.
const BATCH: usize = 256;
/// A plane that failed is told the table again after this.
const AGAIN: Span = Span::from_secs(1);
/// How long clients wait, in the kernel's backlog, for the first round of checks after the start.
const FIRST_ROUND: Span = Span::from_secs(1);
/// Longest sleep. Boot time goes on while the machine sleeps and a timed wait does not.
const NAP: Span = Span::from_secs(1);
/// Between two looks at what is still under way while stopping.
const LOOK: Span = Span::from_millis(10);
/// What is still under way so long after the signal is cut.
const STOP: Span = Span::from_secs(30);

pub(super) struct Daemon {
    pub(super) file: PathBuf,
    pub(super) started: Time,
    pub(super) loaded: Loaded,
    pub(super) director: Director,
    pub(super) engine: Engine,
    pub(super) relay: Relay,
    pub(super) ring: Ring,
    pub(super) names: Names,
    seed_log: Option<SeedLog>,
    /// The version of the table that the planes were told.
    applied: u64,
    /// What they could not do then.
    failed: Vec<String>,
    again: Option<Time>,
    /// The first round of checks is under way: until when the doors are held at the latest.
    held: Option<Time>,
    /// It was told to stop: when what is still under way is cut.
    stopping: Option<Time>,
    /// When the next word of somebody ends, in seconds since 1970.
    pub(super) next_end: Option<u64>,
    /// What outlives this process.
    pub(super) memory: Memory,
    /// The engine has died, and that was told.
    frozen: bool,
}

impl Daemon {
    /// Everything started, nothing served yet. Fails if a listener cannot be had.
    pub(super) fn start(
        options: &Options,
        loaded: Loaded,
        desk: &SyncSender<Message>,
        kept: Option<state::Taken>,
    ) -> Result<Daemon, Error> {
        let now = clock::now();
        let seed_log = options
            .seed_log
            .as_deref()
            .map(|path| SeedLog::open(path).map_err(|error| Error::File(path.to_owned(), error)));
        let changes = desk.clone();
        let changes = Box::new(move |change| match changes.try_send(Message::Change(change)) {
            Err(TrySendError::Full(Message::Change(change))) => Some(change),
            _ => None,
        });
        let relay = relay::Options {
            workers: options.workers.unwrap_or(0),
            clients: descriptors::clients().map_err(Error::Thread)?,
            held: true,
            ..relay::Options::default()
        };
        let mut daemon = Daemon {
            file: options.file.clone(),
            started: now,
            director: Director::new(now, loaded.config.clone()),
            engine: Engine::start(changes).map_err(Error::Engine)?,
            relay: Relay::start(relay).map_err(Error::Relay)?,
            names: Names::start(desk.clone()).map_err(Error::Thread)?,
            ring: Ring::default(),
            seed_log: seed_log.transpose()?,
            loaded,
            applied: 0,
            failed: Vec::new(),
            again: None,
            held: Some(now + FIRST_ROUND),
            stopping: None,
            next_end: None,
            memory: Memory::default(),
            frozen: false,
        };
        let mut events = Vec::new();
        daemon.remember(now, kept, desk, &mut events)?;
        let failed = daemon.relay.apply(daemon.director.table()).failed;
        if !failed.is_empty() {
            return Err(Error::Plane(failed));
        }
        daemon.applied = daemon.director.table().version;
        warn(&daemon.loaded.told);
        let listens = listens(&daemon.loaded.config);
        daemon.tell(now, Fact::Started { listens }, None);
        for event in events {
            daemon.tell_event(now, &event);
        }
        daemon.ask();
        daemon.admit(now);
        Ok(daemon)
    }

    /// Turns until it was told to stop and nothing is under way, or [`STOP`] has passed.
    pub(super) fn turn(&mut self, queue: &Receiver<Message>) {
        loop {
            let first = match queue.recv_timeout(self.sleep(clock::now()).as_duration()) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = clock::now();
            let mut events = match first {
                Some(_) => Vec::new(),
                None => self.director.handle(now, Input::Tick),
            };
            for message in first.into_iter().chain(queue.try_iter()).take(BATCH) {
                match message {
                    Message::Change(change) => {
                        self.memory.changed();
                        events.extend(self.director.handle(now, Input::Change(change)))
                    }
                    Message::Resolved(answer) => self.learn(now, answer),
                    Message::Asked(asked) => self.answer(now, asked, &mut events),
                    Message::Kept(kept) => self.kept(now, kept),
                    Message::Reload => self.reload(now, &mut events),
                    Message::Stop => self.stop(now),
                }
            }
            self.end_words(now, &mut events);
            self.move_names(now, &mut events);
            self.follow(now);
            self.admit(now);
            for event in events {
                self.memory.changed();
                self.tell_event(now, &event);
            }
            self.keep(now);
            self.look_after(now);
            if self.stopped(now) {
                return;
            }
        }
    }

    /// A daemon whose engine has died (of a fault of ours; the panic was printed) goes on with the verdicts that it
    /// has, for no traffic would be better off without it. But somebody must come.
    fn look_after(&mut self, now: Time) {
        if !self.frozen && !self.engine.is_alive() {
            self.frozen = true;
            self.tell(now, Fact::Frozen, None);
        }
    }

    fn stop(&mut self, now: Time) {
        self.tell(now, Fact::Stopping, None);
        self.stopping = Some(now + STOP);
        self.relay.finish();
    }

    /// Whether it was told to stop and may.
    fn stopped(&mut self, now: Time) -> bool {
        let Some(until) = self.stopping else { return false };
        let left = self.relay.connections();
        if left > 0 && now >= until {
            tracing::warn!("{left} connections did not end within {STOP} and are cut");
        }
        left == 0 || now >= until
    }

    /// Cuts what is left, and lets what was said be written.
    pub(super) fn end(mut self) {
        self.keep_last(clock::now());
        self.relay.stop(Duration::ZERO);
        if let Some(log) = &self.seed_log {
            log.flush();
        }
    }

    /// Lets clients in once every server has its first verdict, so that none of them meets a server that was
    /// dead all along; or when that takes too long.
    fn admit(&mut self, now: Time) {
        let Some(until) = self.held else { return };
        if now >= until || !self.somebody_is_awaited(now) {
            self.held = None;
            self.relay.admit();
        }
    }

    /// Whether a first verdict is to come of a server behind the relay. A backup's is not waited for.
    fn somebody_is_awaited(&self, now: Time) -> bool {
        let config = self.director.config();
        let relayed = config.services.iter().filter(|service| service.plane == PlaneKind::Relay);
        let pools = relayed.flat_map(|service| &service.routes).filter_map(|route| config.pool(route.pool));
        let unknown = |server: &Server| {
            self.director.account(now, server.id).is_some_and(|account| account.health == Health::Unknown)
        };
        let awaited = |pool: &Pool| {
            let mut servers = pool.servers.iter().filter(|server| !server.backup);
            servers.any(|server| unknown(server) && !self.unchecked(pool, server))
        };
        pools.into_iter().any(|pool| awaited(pool))
    }

    fn sleep(&self, now: Time) -> Span {
        let due = self.again.into_iter().chain(self.held).chain(self.memory.due());
        let wake = self.director.deadline().into_iter().chain(due).min();
        let longest = if self.stopping.is_some() { LOOK } else { NAP };
        wake.map_or(longest, |wake| wake.since(now).min(longest))
    }

    /// Makes the planes follow the table, if it is another one or the last one was not made true.
    fn follow(&mut self, now: Time) {
        let table = self.director.table();
        if table.version == self.applied && self.again.is_none_or(|again| now < again) {
            return;
        }
        let applied = self.relay.apply(table);
        self.applied = table.version;
        self.again = (!applied.failed.is_empty()).then(|| now + AGAIN);
        if applied.failed != self.failed && !applied.failed.is_empty() {
            let failed = applied.failed.clone();
            self.tell(now, Fact::PlaneFailed { plane: "relay".into(), failed }, None);
        }
        self.failed = applied.failed;
    }

    /// Tells the engine and the resolver what is wanted of them.
    fn ask(&mut self) {
        self.names.want(&self.loaded);
        self.engine.set(self.names.targets(&self.loaded, self.director.config()));
    }

    /// Reads the config again. With any error, everything stays as it is.
    fn reload(&mut self, now: Time, events: &mut Vec<Event>) {
        let before = servers(self.director.config());
        let fact = match self.try_reload(now, events) {
            Err(errors) => Fact::ReloadRefused { errors },
            Ok(()) => {
                let after = servers(self.director.config());
                let less = |all: &BTreeMap<ServerId, String>, those: &BTreeMap<ServerId, String>| {
                    all.iter()
                        .filter(|(id, _)| !those.contains_key(id))
                        .map(|(_, name)| name.clone())
                        .collect()
                };
                Fact::Reloaded { added: less(&after, &before), removed: less(&before, &after) }
            }
        };
        self.tell(now, fact, None);
    }

    fn try_reload(&mut self, now: Time, events: &mut Vec<Event>) -> Result<(), Vec<String>> {
        let loaded = config::load(&self.file, Some(&self.loaded)).map_err(|told| lines(&told, true))?;
        warn(&loaded.told);
        // The director is a value: what would come of the config is seen before anything is committed to it.
        let mut director = self.director.clone();
        let said = director.handle(now, Input::Config(self.names.config(&loaded)));
        let failed = self.relay.apply(director.table()).failed;
        if !failed.is_empty() {
            self.relay.apply(self.director.table());
            return Err(failed);
        }
        self.applied = director.table().version;
        (self.director, self.loaded) = (director, loaded);
        events.extend(said);
        self.memory.changed();
        self.ask();
        Ok(())
    }

    pub(super) fn tell_event(&mut self, now: Time, event: &Event) {
        if let Some(log) = &self.seed_log {
            log.tell(self.director.config(), event);
        }
        self.tell(now, event.into(), Some(event.to_string()));
    }

    pub(super) fn tell(&mut self, now: Time, fact: Fact, text: Option<String>) {
        self.ring.push(now, fact, text).log();
    }
}

fn listens(config: &Config) -> Vec<String> {
    let of = |service: &Service| {
        let addresses: Vec<String> = service.listen.iter().map(|listen| listen.address.to_string()).collect();
        match addresses.is_empty() {
            true => format!("{} without an address", service.name),
            false => format!("{} on {}", service.name, addresses.join(" ")),
        }
    };
    config.services.iter().map(|service| of(service)).collect()
}

/// `POOL/NAME` of every server.
fn servers(config: &Config) -> BTreeMap<ServerId, String> {
    let of = |pool: &Arc<Pool>| {
        let name = pool.name.clone();
        let named = move |server: &Server| (server.id, format!("{name}/{}", server.name));
        pool.servers.iter().map(named).collect::<Vec<_>>()
    };
    config.pools.iter().flat_map(of).collect()
}

/// Writes the warnings of a config to the log.
fn warn(told: &config::Told) {
    for line in lines(told, false) {
        tracing::warn!("{line}");
    }
}

/// Each error, or each warning, in a line: `evenkeel.conf:3:5: unknown word "balnce", did you mean "balance"?`.
fn lines(told: &config::Told, errors: bool) -> Vec<String> {
    let wanted = told.diagnostics.iter().filter(|diagnostic| diagnostic.is_error() == errors);
    let line = |diagnostic: &evenkeel_syntax::Diagnostic| {
        let place = diagnostic.place.and_then(|place| Some((told.files.get(place.file as usize)?, place)));
        match place {
            Some((file, place)) => {
                format!("{}:{}:{}: {}", file.name, place.line, place.column, diagnostic.message)
            }
            None => diagnostic.message.clone(),
        }
    };
    wanted.map(line).collect()
}
