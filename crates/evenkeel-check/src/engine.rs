//! The check engine: one thread, one epoll, a slab of targets. It asks, and sends on only what changed.

mod asker;
mod flights;
mod holds;
mod outbox;
mod roster;
mod stats;
mod wheel;

pub use stats::Stats;

use crate::dialogue::Dialogue;
use crate::sys::Bell;
use crate::transport::Plan;
use asker::Asker;
use evenkeel_core::config::{Address, CheckId, Rule, ServerId, Timing};
use evenkeel_core::evidence::Evidence;
use evenkeel_core::history::History;
use evenkeel_core::source::Seed;
use evenkeel_core::{Change, Opinion, Span, Time};
use stats::Counters;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Asks, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Engine {
    commands: SyncSender<Command>,
    bell: Arc<Bell>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// What one source knows at this moment.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Of which server.
    pub server: ServerId,
    /// By which check.
    pub check: CheckId,
    /// What it thinks.
    pub opinion: Opinion,
    /// Since when its health is what it is, on the clock of [`crate::now`].
    pub since: Time,
    /// Its last outcomes.
    pub history: History,
    /// How many outcomes were void.
    pub voids: u32,
    /// How long the last probe took; `None` before the first.
    pub took: Option<Span>,
    /// When it asks next; in the past while it waits for its turn.
    pub due: Time,
    /// Whether a probe is under way.
    pub asking: bool,
    /// The last fail, if it is still kept.
    pub last_fail: Option<Evidence>,
}

/// Takes a change, or gives it back because there is no room now. Called on the engine's thread; must not
/// block. A closure and not a queue, because a change is not all that may stand in the one queue of whoever
/// decides.
pub type Changes = Box<dyn FnMut(Change) -> Option<Change> + Send>;

/// Why there is no engine.
#[derive(Debug)]
pub enum Error {
    /// The kernel gave no epoll set or event counter.
    Poll(io::Error),
    /// The kernel gave no thread.
    Thread(io::Error),
}

enum Command {
    Set(Vec<Target>, HashMap<usize, Arc<Plan>>),
    Seed(Seeds),
    /// Of one server or of all.
    Inspect(Option<ServerId>, SyncSender<Vec<Sight>>),
    Stop,
}

/// What sources begin with, by server and check.
pub type Seeds = HashMap<(ServerId, CheckId), Seed>;

/// Commands that may wait for the engine.
const COMMANDS: usize = 64;

impl Engine {
    /// Starts the thread. What sources think, whenever that changes, goes to `changes`; while that takes
    /// none, the newest opinion of each source is kept and offered again.
    pub fn start(changes: Changes) -> Result<Engine, Error> {
        let (commands, inbox) = sync_channel(COMMANDS);
        let bell = Arc::new(Bell::new().map_err(Error::Poll)?);
        let counters = Arc::new(Counters::default());
        let asker = Asker::new(inbox, bell.clone(), changes, counters.clone()).map_err(Error::Poll)?;
        let thread = std::thread::Builder::new().name("evenkeel-check".into());
        let thread = thread.spawn(move || asker.run()).map_err(Error::Thread)?;
        Ok(Engine { commands, bell, counters, thread: Some(thread) })
    }

    /// From now on these targets are asked, and no others. A target whose server, check and address were in
    /// the set before keeps all that is known of it. Reads the files that TLS needs, on the calling thread.
    pub fn set(&self, targets: Vec<Target>) {
        let mut plans = HashMap::new();
        for target in &targets {
            let key = Arc::as_ptr(&target.spec) as usize;
            plans.entry(key).or_insert_with(|| Arc::new(Plan::new(target.spec.clone())));
        }
        self.send(Command::Set(targets, plans));
    }

    /// Sources that the next sets bring begin with what a run before this one knew of them. Whoever decides has to be
    /// told the same, for an opinion that does not change is not sent.
    pub fn seed(&self, seeds: Seeds) {
        self.send(Command::Seed(seeds));
    }

    /// What every source knows. `None` if the engine does not answer within `patience`.
    pub fn inspect(&self, patience: Duration) -> Option<Vec<Sight>> {
        self.look(None, patience)
    }

    /// What the sources of one server know; likewise.
    pub fn inspect_server(&self, server: ServerId, patience: Duration) -> Option<Vec<Sight>> {
        self.look(Some(server), patience)
    }

    fn look(&self, server: Option<ServerId>, patience: Duration) -> Option<Vec<Sight>> {
        let (reply, answer) = sync_channel(1);
        self.send(Command::Inspect(server, reply));
        answer.recv_timeout(patience).ok()
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Whether its thread runs. It ends before it is dropped only if it panics.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn send(&self, command: Command) {
        // It fails only if the thread is gone, and then nobody is asked any more, whatever is wanted.
        let _ = self.commands.send(command);
        self.bell.ring();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say even if it panicked: the panic hook has said it.
            let _ = thread.join();
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Poll(error) => write!(f, "cannot start the check engine: no epoll: {error}"),
            Error::Thread(error) => write!(f, "cannot start the check engine: no thread: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// One check on one server: what to ask, when, and what the answers mean.
#[derive(Clone, Debug)]
pub struct Target {
    /// Of which server.
    pub server: ServerId,
    /// By which check.
    pub check: CheckId,
    /// A hash of pool, server and check names: its phase in the interval. Stable over restarts.
    pub key: u64,
    /// Where to ask. A `Name` is not asked.
    pub address: Address,
    /// How to ask. Targets with the same allocation and address share one probe.
    pub spec: Arc<Spec>,
    /// When to ask.
    pub timing: Timing,
    /// What the answers mean.
    pub rule: Rule,
}

/// How to ask.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For people: `http`, `half-open`.
    pub kind: &'static str,
    /// What carries the conversation.
    pub transport: Transport,
    /// The conversation.
    pub dialogue: Arc<dyn Dialogue>,
}

/// What carries a conversation.
#[derive(Clone, Debug)]
pub enum Transport {
    /// SYN, SYN/ACK, RST.
    HalfOpen,
    /// A connection.
    Stream(Stream),
}

/// How a connection is made and ended.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Spoken over TLS.
    pub tls: Option<Arc<Tls>>,
    /// Ended by RST instead of FIN.
    pub close_rst: bool,
    /// The check's connection is kept between probes; at least one probe in three is fresh.
    pub reuse: bool,
    /// An idle connection is held; its loss triggers a probe at once.
    pub tripwire: bool,
}

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The name asked for and verified. `None`: the address.
    pub name: Option<String>,
    /// `false`: any certificate will do.
    pub verify: bool,
    /// PEM file of authorities; `None`: the system's.
    pub authorities: Option<std::path::PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client: Option<(std::path::PathBuf, std::path::PathBuf)>,
}
