//! The built-in data plane: relays TCP and HTTP/1.1 by the table. This file is the control side, which opens
//! doors, shows the workers each new table, and sums their numbers; it never touches a byte of traffic.

mod answer;
mod buffer;
mod connect;
mod counts;
mod door;
mod exchange;
mod http;
pub mod http1;
mod io;
mod pump;
mod retry;
mod slots;
mod tcp;
mod upload;
mod upstream;
mod view;
mod worker;

pub use counts::Counts;

use crate::{Applied, Plane, Sessions};
use counts::Cell;
use door::Door;
use evenkeel_core::config::{Listen, PlaneKind, ServerId, Service};
use evenkeel_core::table::{PoolTable, Table};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use view::{Phase, PoolView, Shared, View};

/// How the relay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that carry traffic. Zero: one per core.
    pub workers: usize,
    /// The most connections of clients at a time. Each worker takes an even share, one at least; who comes when
    /// it is used up waits in the kernel's backlog. Every client may take two descriptors.
    pub clients: u64,
    /// What a dropped relay gives its connections to finish before it cuts them.
    pub finish_within: Duration,
    /// Doors are opened, but clients wait before them (in the kernel's backlog) until [`Relay::admit`].
    pub held: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { workers: 0, clients: u64::MAX, finish_within: Duration::from_secs(30), held: false }
    }
}

/// Why the relay cannot run.
#[derive(Debug)]
pub enum Error {
    /// A worker's thread could not be started.
    Thread(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Thread(error) => write!(f, "relay: cannot start a worker: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// The relay. Dropping it lets connections finish for [`Options::finish_within`].
#[derive(Debug)]
pub struct Relay {
    options: Options,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    cells: HashMap<ServerId, Arc<[Cell]>>,
    generation: u64,
    /// Nobody is let in yet.
    held: bool,
    /// Since when it ends.
    ending: Option<Instant>,
}

/// How long workers may take to open and close doors before `apply` goes on without them.
const NEWS_WITHIN: Duration = Duration::from_secs(1);

impl Relay {
    /// Starts the workers. They serve nothing until a table is applied.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(options: Options) -> Result<Relay, Error> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = if options.workers == 0 { cores() } else { options.workers };
        let mut relay = Relay {
            options,
            shared: Arc::new(Shared::new(count)),
            threads: Vec::new(),
            cells: HashMap::new(),
            generation: 0,
            held: options.held,
            ending: None,
        };
        for index in 0..count {
            let shared = relay.shared.clone();
            let most = (options.clients / count as u64).max(1);
            let name = format!("relay-{index}");
            let body = move || {
                if let Err(error) = worker::run(shared, index, most) {
                    tracing::error!("relay: worker {index} cannot run: {error}");
                }
            };
            let thread = std::thread::Builder::new().name(name).spawn(body).map_err(Error::Thread)?;
            relay.threads.push(thread);
        }
        Ok(relay)
    }

    /// What happened with a server since the relay began.
    pub fn counts(&self, server: ServerId) -> Counts {
        self.cells.get(&server).map_or_else(Counts::default, |cells| counts::sum(cells))
    }

    /// Connections of clients at this moment, idle ones too.
    pub fn connections(&self) -> u64 {
        self.shared.workers.iter().map(|ear| ear.connections.load(Ordering::Acquire)).sum()
    }

    /// Lets in who waits at the doors, and from now on whoever comes. Does nothing if nobody was held.
    pub fn admit(&mut self) {
        if !std::mem::take(&mut self.held) {
            return;
        }
        self.generation += 1;
        let before = self.shared.view();
        self.shared.publish(View { generation: self.generation, held: false, ..View::clone(&before) });
    }

    /// From now on nothing new is accepted, and what is under way is finished. [`Relay::connections`] tells how
    /// much that still is; duties go on to be followed meanwhile.
    pub fn finish(&mut self) {
        self.ending.get_or_insert_with(Instant::now);
        self.shared.enter(Phase::Finish);
    }

    /// Ends: nothing new is accepted, what is under way is finished, and what is left at the deadline is cut. It
    /// counts from [`Relay::finish`] if that came before. The answer is how many connections were cut.
    pub fn stop(mut self, deadline: Duration) -> u64 {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> u64 {
        self.finish();
        let until = self.ending.map_or_else(Instant::now, |since| since + deadline);
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = if self.threads.iter().all(JoinHandle::is_finished) { 0 } else { self.connections() };
        self.shared.enter(Phase::Quit);
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so; its connections are gone either way.
            let _ = thread.join();
        }
        left
    }

    /// The doors of a table: those that are open already stay, the others are opened, all of them or none.
    fn doors(&self, before: &View, services: &[Arc<Service>]) -> Result<Vec<Arc<Door>>, Vec<String>> {
        let mut doors: Vec<Arc<Door>> = Vec::new();
        let mut failed = Vec::new();
        for (service, listen) in services.iter().flat_map(|it| it.listen.iter().map(move |at| (it, at))) {
            let same = |door: &&Arc<Door>| door.service == service.name && door.listen == *listen;
            if let Some(open) = before.doors.iter().find(same) {
                doors.push(open.clone());
                continue;
            }
            match self.open(before, service, listen) {
                Ok(door) => doors.push(Arc::new(door)),
                Err(error) => failed.push(door::explain(listen, &error)),
            }
        }
        if failed.is_empty() { Ok(doors) } else { Err(failed) }
    }

    /// Opens a door, also at an address that another service of ours still holds until this table is published.
    fn open(&self, before: &View, service: &Arc<Service>, listen: &Listen) -> std::io::Result<Door> {
        let ours = before.doors.iter().any(|door| door.listen.address == listen.address);
        Door::open(&service.name, listen, self.shared.workers.len(), ours)
    }

    /// The counters of a pool's servers, new ones where a server is new.
    fn view_of(&mut self, table: &Arc<PoolTable>) -> PoolView {
        let workers = self.shared.workers.len();
        let fresh = || (0..workers).map(|_| Cell::default()).collect();
        let cells = table.rows.iter().map(|row| self.cells.entry(row.server).or_insert_with(fresh).clone());
        PoolView { cells: cells.collect(), table: table.clone() }
    }

    /// Shows the workers a view. Doors are waited for, so that an address is free, or taken, when the caller goes
    /// on; duties are not: each worker sees them before its next request.
    fn publish(&mut self, before: &View, view: View) {
        let doors_stay = before.doors.len() == view.doors.len()
            && before.doors.iter().zip(&view.doors).all(|(old, new)| Arc::ptr_eq(old, new));
        self.shared.publish(view);
        if doors_stay {
            return;
        }
        let until = Instant::now() + NEWS_WITHIN;
        let late = |(ear, thread): (&view::Ear, &JoinHandle<()>)| {
            ear.done.load(Ordering::Acquire) < self.generation && !thread.is_finished()
        };
        while self.shared.workers.iter().zip(&self.threads).any(late) && Instant::now() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Plane for Relay {
    /// Shows the workers a table. If one of its addresses cannot be opened, services and doors stay as they are
    /// and only the duties of servers follow: a reload changes everything or nothing, but health always counts.
    fn apply(&mut self, table: &Arc<Table>) -> Applied {
        let before = self.shared.view();
        let ours = table.services.iter().filter(|service| service.plane == PlaneKind::Relay);
        let services: Vec<Arc<Service>> = ours.cloned().collect();
        let mut applied = Applied::default();
        let mut pools: Vec<PoolView> = table.pools.iter().map(|pool| self.view_of(pool)).collect();
        let (services, doors) = match self.doors(&before, &services) {
            Ok(doors) => {
                let gone = |id: &ServerId| table.pools.iter().flat_map(|p| &p.rows).all(|r| r.server != *id);
                self.cells.retain(|id, _| !gone(id));
                (services, doors)
            }
            Err(failed) => {
                applied.failed = failed;
                let missing = before.pools.iter().filter(|old| table.pool(old.table.id).is_none());
                pools.extend(missing.cloned());
                (before.services.clone(), before.doors.clone())
            }
        };
        self.generation += 1;
        self.publish(&before, View { generation: self.generation, services, pools, doors, held: self.held });
        applied
    }

    fn sessions(&mut self, server: ServerId) -> Sessions {
        Sessions { active: self.counts(server).active }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.end(self.options.finish_within);
        }
    }
}
