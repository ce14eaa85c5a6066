//! Names to addresses, off every path that matters: its own threads ask the system's resolver (getaddrinfo(3)),
//! which can hang for as long as it likes. What is told is only what changed. The last good answer is kept.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lookups that run at the same time. One that hangs keeps its place until the system gives up.
const WORKERS: usize = 4;
/// A name with an address is asked for again after this.
const EVERY: Duration = Duration::from_secs(30);
/// A name without one.
const EVERY_MISSING: Duration = Duration::from_secs(5);
/// After this without an answer, that is the answer. The lookup goes on, and a late answer is welcome.
const DEADLINE: Duration = Duration::from_secs(5);

/// A host name and a port, as they stand in the config.
pub type Name = (Arc<str>, u16);

/// What is known of a name, told when it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which name.
    pub name: Name,
    /// Its address, or why it has none: `does not resolve: Name or service not known`.
    pub address: Result<SocketAddr, String>,
}

/// The hand that feeds the resolver, which runs until the process ends.
#[derive(Debug)]
pub struct Resolver {
    wanted: Arc<Mutex<Option<Vec<Name>>>>,
    news: SyncSender<News>,
}

#[derive(Debug)]
enum News {
    Wanted,
    Found { name: Name, addresses: Result<Vec<SocketAddr>, String> },
}

/// Asks for names from now on and calls `tell` with each answer that changed, from a thread of its own. `tell`
/// may block; lookups wait for it.
pub fn start(tell: Box<dyn FnMut(Answer) + Send>) -> std::io::Result<Resolver> {
    start_with(ask_system, tell)
}

type Lookup = fn(&str, u16) -> std::io::Result<Vec<SocketAddr>>;

fn ask_system(name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    (name, port).to_socket_addrs().map(Iterator::collect)
}

fn start_with(lookup: Lookup, tell: Box<dyn FnMut(Answer) + Send>) -> std::io::Result<Resolver> {
    let (sender, news) = sync_channel(64);
    let (jobs, queue) = sync_channel::<Name>(WORKERS);
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..WORKERS {
        let (queue, found) = (queue.clone(), sender.clone());
        thread::Builder::new()
            .name(format!("resolve-{number}"))
            .spawn(move || work(lookup, &queue, &found))?;
    }
    let wanted = Arc::default();
    let desk = Desk { wanted: Arc::clone(&wanted), names: HashMap::new(), jobs, tell };
    thread::Builder::new().name("resolve".into()).spawn(move || desk.run(&news))?;
    Ok(Resolver { wanted, news: sender })
}

impl Resolver {
    /// From now on these names are wanted and no others. What is known of those that stay is kept. Never waits:
    /// who is told and who wants may be one thread.
    pub fn want(&self, names: Vec<Name>) {
        *lock(&self.wanted) = Some(names);
        // Full: it is about to look anyway.
        let _full = self.news.try_send(News::Wanted);
    }
}

fn lock<'a>(wanted: &'a Mutex<Option<Vec<Name>>>) -> MutexGuard<'a, Option<Vec<Name>>> {
    wanted.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(lookup: Lookup, queue: &Mutex<Receiver<Name>>, found: &SyncSender<News>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(name) = job else { return };
        let addresses = lookup(&name.0, name.1);
        let addresses = addresses.map_err(|error| format!("does not resolve: {}", cause(&error)));
        if found.send(News::Found { name, addresses }).is_err() {
            return;
        }
    }
}

/// The standard library says `failed to lookup address information: ` before the words of gai_strerror(3).
fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").map_or(text.clone(), str::to_owned)
}

struct Desk {
    wanted: Arc<Mutex<Option<Vec<Name>>>>,
    names: HashMap<Name, Known>,
    jobs: SyncSender<Name>,
    tell: Box<dyn FnMut(Answer) + Send>,
}

struct Known {
    due: Instant,
    asked: Option<Instant>,
    told: Option<Result<SocketAddr, String>>,
}

impl Desk {
    fn run(mut self, news: &Receiver<News>) {
        loop {
            let wanted = lock(&self.wanted).take();
            if let Some(names) = wanted {
                self.want(names);
            }
            let wait = self.ask_due(Instant::now());
            match news.recv_timeout(wait) {
                Ok(News::Wanted) => {}
                Ok(News::Found { name, addresses }) => self.found(name, addresses),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn want(&mut self, names: Vec<Name>) {
        self.names.retain(|name, _| names.contains(name));
        let now = Instant::now();
        for name in names {
            self.names.entry(name).or_insert(Known { due: now, asked: None, told: None });
        }
    }

    /// Hands out the lookups that are due and says how long nothing else will be.
    fn ask_due(&mut self, now: Instant) -> Duration {
        let mut next = now + EVERY;
        let mut late = Vec::new();
        for (name, known) in &mut self.names {
            if let Some(asked) = known.asked {
                if now >= asked + DEADLINE {
                    late.push(name.clone());
                } else {
                    next = next.min(asked + DEADLINE);
                }
                continue;
            }
            if now < known.due {
                next = next.min(known.due);
                continue;
            }
            match self.jobs.try_send(name.clone()) {
                Ok(()) => {
                    known.asked = Some(now);
                    next = next.min(now + DEADLINE);
                }
                // All workers are busy; the first to be done wakes this thread.
                Err(TrySendError::Full(_)) if now >= known.due + DEADLINE => late.push(name.clone()),
                Err(TrySendError::Full(_)) => next = next.min(known.due + DEADLINE),
                Err(TrySendError::Disconnected(_)) => return EVERY,
            }
        }
        for name in late {
            self.learn(name, Err(format!("no answer from the resolver within {}s", DEADLINE.as_secs())));
        }
        next.saturating_duration_since(now)
    }

    fn found(&mut self, name: Name, addresses: Result<Vec<SocketAddr>, String>) {
        let Some(known) = self.names.get_mut(&name) else { return };
        let now = Instant::now();
        known.asked = None;
        known.due = now + if addresses.is_ok() { EVERY } else { EVERY_MISSING };
        let address = addresses.and_then(|found| {
            // A resolver that rotates its answers must not make the server wander.
            let kept =
                known.told.as_ref().and_then(|told| told.as_ref().ok()).filter(|told| found.contains(told));
            kept.or(found.first()).copied().ok_or_else(|| "resolves to no address".to_owned())
        });
        self.learn(name, address);
    }

    fn learn(&mut self, name: Name, address: Result<SocketAddr, String>) {
        let Some(known) = self.names.get_mut(&name) else { return };
        if known.told.as_ref() == Some(&address) || (address.is_err() && matches!(known.told, Some(Ok(_)))) {
            return;
        }
        known.told = Some(address.clone());
        (self.tell)(Answer { name, address });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU16, Ordering};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn name(text: &str) -> Name {
        (text.into(), 80)
    }

    /// `good` has two addresses, in turning order; `bad` has none; anything else never answers.
    fn lookup(name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        static TURN: AtomicU16 = AtomicU16::new(0);
        let mut both =
            vec![SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from(([127, 0, 0, 2], port))];
        both.rotate_left(usize::from(TURN.fetch_add(1, Ordering::Relaxed) % 2));
        match name {
            "good" => Ok(both),
            "bad" => Err(std::io::Error::other("failed to lookup address information: no such name")),
            _ => loop {
                thread::park();
            },
        }
    }

    fn asked() -> (Resolver, Receiver<Answer>) {
        let (told, answers) = sync_channel(16);
        (start_with(lookup, Box::new(move |answer| told.send(answer).unwrap())).unwrap(), answers)
    }

    #[test]
    fn names_get_their_address_or_the_systems_reason() {
        let (resolver, answers) = asked();
        resolver.want(vec![name("good")]);
        let good = answers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(good.address.unwrap().port(), 80);
        resolver.want(vec![name("good"), name("bad")]);
        let bad = answers.recv_timeout(PATIENCE).unwrap();
        assert_eq!(bad, Answer { name: name("bad"), address: Err("does not resolve: no such name".into()) });
    }

    #[test]
    fn a_resolver_that_hangs_is_told_and_delays_nobody() {
        let (resolver, answers) = asked();
        resolver.want((1..WORKERS).map(|number| name(&format!("hangs-{number}"))).collect());
        resolver.want(
            (1..WORKERS).map(|number| name(&format!("hangs-{number}"))).chain([name("good")]).collect(),
        );
        assert_eq!(answers.recv_timeout(DEADLINE / 2).unwrap().name, name("good"));
    }

    fn desk() -> (Desk, Receiver<Answer>, Receiver<Name>) {
        let (told, answers) = sync_channel(16);
        let (jobs, queue) = sync_channel(1);
        let tell = Box::new(move |answer| told.send(answer).unwrap());
        (Desk { wanted: Arc::default(), names: HashMap::new(), jobs, tell }, answers, queue)
    }

    #[test]
    fn every_name_hears_something_by_the_deadline_even_if_no_worker_is_free() {
        let (mut desk, answers, _queue) = desk();
        desk.want(vec![name("one"), name("two")]);
        let start = Instant::now();
        desk.ask_due(start);
        desk.ask_due(start + DEADLINE + Duration::from_millis(1));
        let told: Vec<Answer> = answers.try_iter().collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter().all(|answer| answer.address == Err("no answer from the resolver within 5s".into()))
        );
    }

    #[test]
    fn the_last_good_answer_is_kept_and_a_turning_one_is_not_news() {
        let (mut desk, answers, _queue) = desk();
        desk.want(vec![name("one")]);
        let [a, b, c] = [1, 2, 3].map(|last| SocketAddr::from(([127, 0, 0, last], 80)));
        desk.found(name("one"), Ok(vec![a, b]));
        desk.found(name("one"), Ok(vec![b, a]));
        desk.found(name("one"), Err("gone".into()));
        desk.found(name("one"), Ok(vec![c]));
        desk.found(name("unwanted"), Ok(vec![c]));
        let told: Vec<_> = answers.try_iter().map(|answer| answer.address).collect();
        assert_eq!(told, [Ok(a), Ok(c)]);
    }
}
