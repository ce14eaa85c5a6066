//! Names to addresses: a stub resolver of our own, on one thread, off every path that matters. It tells what
//! changed of a name, never takes a last good answer away, and ends every wait by a deadline.
//!
//! Why not the C library's: it hangs for as long as it likes, tells no TTL, and cannot tell "no such name" from
//! "nobody answered". What is done with the answers is [`roster`]'s business.

mod exchange;
mod files;
mod lookup;
mod memory;
mod message;
pub mod roster;
#[cfg(test)]
mod roster_tests;

pub use files::{Settings, Source};

use crate::clock;
use evenkeel_core::{Span, Time};
use files::Files;
use lookup::{Lookup, Way};
use memory::{Memory, Pace};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::sync::{Semaphore, watch};

/// Names that are looked up at the same time. Each is asked for by one lookup at a time.
const LOOKUPS_MAX: usize = 32;
/// Names that can be wanted. Those after are told that they are too many.
pub const NAMES_MAX: usize = 4096;
/// How soon an answer is told again that the other side had no place for.
const TELL_AGAIN: Span = Span::from_millis(100);

/// What is asked about a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// As it stands in the config.
    pub name: Arc<str>,
    /// What is wanted of it.
    pub ask: Ask,
}

/// What is wanted of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ask {
    /// Its addresses (A, AAAA).
    Addresses,
    /// Who offers the service of this name (SRV), and their addresses.
    Services,
}

/// One place behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its address.
    pub ip: IpAddr,
    /// Its port, if the answer has one (SRV).
    pub port: Option<u16>,
    /// Its weight, 1 to 256, if the answer has one.
    pub weight: Option<u16>,
    /// Of a lower priority than others (SRV): serves only while they cannot.
    pub backup: bool,
}

/// All that is known of a name. A later answer replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which name.
    pub question: Question,
    /// The last good answer, sorted; empty if there never was one.
    pub endpoints: Arc<[Endpoint]>,
    /// These addresses were seen twice in a row, a TTL apart, or are the first.
    pub confirmed: bool,
    /// Why the latest lookup brought nothing: `timeout from 10.0.0.53`. `None`: it did.
    pub trouble: Option<Arc<str>>,
}

/// When a name was asked for, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// The latest good answer.
    pub answered: Option<Time>,
    /// The next lookup.
    pub due: Option<Time>,
}

/// Takes an answer that changed; `false`: there is no place for it now, and it is to be told again. Must not block.
pub type Tell = Box<dyn FnMut(Answer) -> bool + Send>;

/// The hand that feeds the resolver. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct Resolver {
    wanted: watch::Sender<Wanted>,
    ages: Ages,
}

#[derive(Clone, Debug, Default)]
struct Wanted {
    source: Source,
    /// Sorted, each once.
    questions: Vec<Question>,
}

type Ages = Arc<Mutex<HashMap<Question, Age>>>;

/// Asks for names from now on and calls `tell`, from a thread of its own, with each answer that changed.
pub fn start(tell: Tell) -> std::io::Result<Resolver> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (wanted, news) = watch::channel(Wanted::default());
    let ages = Ages::default();
    let desk = Arc::new(Desk {
        lookup: Lookup::new(Files::new(Source::default())),
        places: Semaphore::new(LOOKUPS_MAX),
        tell: Mutex::new(tell),
        ages: Arc::clone(&ages),
        pace: Pace::default(),
    });
    thread::Builder::new().name("resolve".into()).spawn(move || runtime.block_on(desk.run(news)))?;
    Ok(Resolver { wanted, ages })
}

/// Looks one name up, once, as the daemon would. Ends within `patience`; the error is why there is no address.
pub fn once(source: Source, question: &Question, patience: Span) -> Result<Vec<Endpoint>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let lookup = Lookup::new(Files::new(source));
    runtime.block_on(async {
        let mut way = Way::default();
        match tokio::time::timeout(patience.as_duration(), lookup.find(question, &mut way)).await {
            Ok(Ok(found)) => Ok(found.endpoints),
            Ok(Err(lookup::Trouble::Empty(why) | lookup::Trouble::Failed(why))) => Err(why),
            Err(_) => Err(format!("no answer within {patience}")),
        }
    })
}

impl Resolver {
    /// From now on these names are wanted and no others, and these servers are asked. What is known of names that
    /// stay is kept. Never blocks.
    pub fn want(&self, source: Source, mut questions: Vec<Question>) {
        questions.sort();
        questions.dedup();
        self.wanted.send_replace(Wanted { source, questions });
    }

    /// When a name was asked for.
    pub fn age(&self, question: &Question) -> Age {
        lock(&self.ages).get(question).copied().unwrap_or_default()
    }
}

struct Desk {
    lookup: Lookup,
    places: Semaphore,
    tell: Mutex<Tell>,
    ages: Ages,
    pace: Pace,
}

impl Desk {
    /// One task for every wanted name, until nobody can want any more.
    async fn run(self: Arc<Desk>, mut wanted: watch::Receiver<Wanted>) {
        let mut tasks: HashMap<Question, tokio::task::JoinHandle<()>> = HashMap::new();
        while wanted.changed().await.is_ok() {
            let Wanted { source, questions: names } = wanted.borrow_and_update().clone();
            self.lookup.ask_there(source);
            tasks.retain(|name, task| {
                let stays = names.binary_search(name).is_ok();
                if !stays {
                    task.abort();
                    lock(&self.ages).remove(name);
                }
                stays
            });
            for name in names {
                if !tasks.contains_key(&name) {
                    let room = tasks.len() < NAMES_MAX;
                    let task = Arc::clone(&self).attend(name.clone(), room);
                    tasks.insert(name, tokio::spawn(task));
                }
            }
        }
    }

    /// Looks after one name for as long as it is wanted.
    async fn attend(self: Arc<Desk>, question: Question, room: bool) {
        let mut memory = Memory::new(question.clone(), self.pace);
        if !room {
            let why = format!("not asked for: at most {NAMES_MAX} names are possible");
            memory.learn(clock::now(), Err(lookup::Trouble::Failed(why)));
            return self.say(&mut memory).await;
        }
        let mut way = Way::default();
        loop {
            let place = self.places.acquire().await.expect("nobody closes it");
            let result = self.lookup.find(&question, &mut way).await;
            drop(place);
            let now = clock::now();
            let good = result.is_ok();
            let wait = memory.learn(now, result);
            self.stamp(&question, good.then_some(now), now + wait);
            self.say(&mut memory).await;
            tokio::time::sleep(wait.as_duration()).await;
        }
    }

    fn stamp(&self, question: &Question, answered: Option<Time>, due: Time) {
        let mut ages = lock(&self.ages);
        let age = ages.entry(question.clone()).or_default();
        *age = Age { answered: answered.or(age.answered), due: Some(due) };
    }

    async fn say(&self, memory: &mut Memory) {
        while let Some(answer) = memory.news() {
            if lock(&self.tell)(answer.clone()) {
                memory.told(answer);
            } else {
                tokio::time::sleep(TELL_AGAIN.as_duration()).await;
            }
        }
    }
}

/// The writers of these values cannot leave them half done.
fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
