//! The daemon: one bounded queue, one reader. Around it, threads that wait for one thing each and put what they
//! hear into the queue: the engine, the resolver, the signals, the admin socket.

mod answer;
mod daemon;
mod descriptors;
mod explain;
mod names;
mod orders;
mod remember;
mod signals;

use crate::api::{self, Asked, socket};
use crate::config;
use crate::lines::Lines;
use crate::resolve;
use crate::{clock, state};
use daemon::Daemon;
use evenkeel_core::Change;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// Places in the queue of the loop.
const QUEUE: usize = 4096;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The config.
    pub file: PathBuf,
    /// The admin socket; without one nobody can ask, and that is told.
    pub socket: Option<PathBuf>,
    /// Where to write seed 1's lines.
    pub seed_log: Option<PathBuf>,
    /// Where what is known and wanted outlives the daemon; `None`: nowhere.
    pub state: Option<PathBuf>,
    /// Threads of the relay. `None`: one per core.
    pub workers: Option<usize>,
    /// The log, to be flushed before the process ends at once.
    pub log: Lines,
}

/// Everything that can reach the loop.
#[derive(Debug)]
pub enum Message {
    /// A check changed its mind.
    Change(Change),
    /// What is known of a name is something else than before.
    Resolved(resolve::Answer),
    /// Somebody asks.
    Asked(Asked),
    /// The state cannot be written, or can again.
    Kept(Result<(), String>),
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT. The second one does not come here; it ends the process.
    Stop,
}

/// Why the daemon did not start.
#[derive(Debug)]
pub enum Error {
    /// The config is invalid.
    Config(config::Told),
    /// The admin socket cannot be had.
    Socket(socket::Error),
    /// Another daemon keeps its state there.
    State(String),
    /// A plane could not do what the config says.
    Plane(Vec<String>),
    /// A file cannot be written.
    File(PathBuf, std::io::Error),
    /// There is no check engine.
    Engine(evenkeel_check::engine::Error),
    /// There is no relay.
    Relay(evenkeel_plane::relay::Error),
    /// The system gives no thread or no descriptor.
    Thread(std::io::Error),
}

/// Runs until a signal ends it.
pub fn run(options: &Options) -> Result<(), Error> {
    let loaded = config::load(&options.file, None).map_err(Error::Config)?;
    let taken = options.socket.as_deref().map(socket::take).transpose().map_err(Error::Socket)?;
    match descriptors::raise() {
        Ok(most) => tracing::debug!("{most} descriptors may be open"),
        Err(error) => tracing::warn!("cannot raise the limit of open descriptors: {error}"),
    }
    let (desk, queue) = sync_channel(QUEUE);
    let kept = options.state.as_deref().map(|path| state::take(path, clock::now())).transpose();
    let kept = kept.map_err(Error::State)?;
    let forgets = kept.is_none();
    let mut daemon = Daemon::start(options, loaded, &desk, kept)?;
    if forgets {
        tracing::info!("no state is kept: what is known and wanted ends with this process (--state PATH)");
    }
    match &taken {
        Some(taken) => tracing::info!("admin socket {}", taken.path.display()),
        None => {
            tracing::warn!("no admin socket: neither root nor XDG_RUNTIME_DIR is set; name one with --socket")
        }
    }
    outside(desk, taken.as_ref(), options.log.clone()).map_err(Error::Thread)?;
    daemon.turn(&queue);
    daemon.end();
    Ok(())
}

/// The thread that hears signals and the admin socket. It ends with the process.
fn outside(desk: SyncSender<Message>, taken: Option<&socket::Taken>, log: Lines) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = taken.map(|taken| taken.listener.try_clone()).transpose()?;
    // Signals are caught from here on, not only once the thread runs.
    let signals = runtime.block_on(async { signals::Signals::catch() })?;
    thread::Builder::new().name("outside".into()).spawn(move || {
        runtime.block_on(async move {
            if let Some(listener) = listener {
                match tokio::net::UnixListener::from_std(listener) {
                    Ok(listener) => drop(tokio::spawn(api::serve(listener, desk.clone()))),
                    Err(error) => tracing::warn!("admin socket: {error}"),
                }
            }
            signals.listen(desk, &log).await;
        });
    })?;
    Ok(())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(told) => f.write_str(told.to_string().trim_end()),
            Error::Socket(error) => write!(f, "evenkeel: {error}"),
            Error::State(error) => write!(f, "evenkeel: {error}"),
            Error::Plane(failed) => {
                let lines: Vec<String> = failed.iter().map(|line| format!("evenkeel: {line}")).collect();
                f.write_str(&lines.join("\n"))
            }
            Error::File(path, error) => write!(f, "evenkeel: {}: {error}", path.display()),
            Error::Engine(error) => write!(f, "evenkeel: {error}"),
            Error::Relay(error) => write!(f, "evenkeel: {error}"),
            Error::Thread(error) => write!(f, "evenkeel: the system gives no thread or descriptor: {error}"),
        }
    }
}
