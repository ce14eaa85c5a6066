//! The names of a config at work: what the resolver tells becomes servers, by the roster's rules, and the director
//! and the engine hear of them. The config as it was read keeps its names; what they get is a copy.

use super::Message;
use super::daemon::Daemon;
use crate::api::model;
use crate::config::Loaded;
use crate::resolve::roster::{NameUse, Roster, Seen, Step, What};
use crate::resolve::{self, Answer, Ask, Question, Resolver};
use crate::tell::Fact;
use evenkeel_check::engine::Target;
use evenkeel_core::config::{Config, Pool, Server, ServerId};
use evenkeel_core::event::Event;
use evenkeel_core::intent::{Intent, Origin, Wish};
use evenkeel_core::{Health, Input, Span, Time};
use evenkeel_plane::Plane;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// How often servers that come or go are looked at.
const LOOK: Span = Span::from_millis(500);

/// Who asks for names, what is known of them, and what follows from it.
#[derive(Debug)]
pub(super) struct Names {
    resolver: Resolver,
    answers: HashMap<Question, Answer>,
    uses: BTreeMap<ServerId, NameUse>,
    roster: Roster,
    /// Something was heard since the last step.
    stale: bool,
    /// When the next look is due, if somebody comes or goes.
    look: Time,
}

impl Names {
    /// Starts the resolver, which wants nothing yet.
    pub(super) fn start(desk: SyncSender<Message>) -> std::io::Result<Names> {
        let tell = Box::new(move |answer| desk.try_send(Message::Resolved(answer)).is_ok());
        Ok(Names {
            resolver: resolve::start(tell)?,
            answers: HashMap::new(),
            uses: BTreeMap::new(),
            roster: Roster::default(),
            stale: false,
            look: Time::ZERO,
        })
    }

    /// These are the names from now on.
    pub(super) fn want(&mut self, loaded: &Loaded) {
        self.uses = loaded.names();
        let questions: Vec<Question> = self.uses.values().map(|used| used.question.clone()).collect();
        self.answers.retain(|question, _| questions.contains(question));
        self.resolver.want(loaded.resolver.clone(), questions);
        self.stale = true;
    }

    /// The config with addresses for the names that have one.
    pub(super) fn config(&self, loaded: &Loaded) -> Arc<Config> {
        self.roster.config(&loaded.config, &loaded.names())
    }

    /// What the engine is to ask.
    pub(super) fn targets(&self, loaded: &Loaded, config: &Config) -> Vec<Target> {
        let mut targets = loaded.targets(config);
        let unchecked = self.roster.unchecked(&loaded.config, &self.uses);
        targets.retain(|target| !unchecked.contains(&target.server));
        targets
    }

    /// A server as it stands in the config.
    pub(super) fn written<'a>(&self, loaded: &'a Loaded, pool: &Pool, server: &Server) -> Option<&'a Server> {
        let pool = loaded.config.pool(pool.id)?;
        pool.servers.iter().find(|one| one.id == server.id).or_else(|| self.roster.origin(pool, server.id))
    }

    /// Why a server whose name this is has no address.
    pub(super) fn missing(&self, name: &str) -> String {
        let answer = self.answers.values().find(|answer| &*answer.question.name == name);
        match answer.and_then(|answer| answer.trouble.as_deref()) {
            Some(trouble) => format!("{name} does not resolve: {trouble}"),
            None => format!("{name} is being resolved"),
        }
    }

    /// Every name, as the API tells it.
    pub(super) fn told(&self, now: Time) -> Vec<model::Name> {
        let mut questions: Vec<&Question> = self.uses.values().map(|used| &used.question).collect();
        questions.sort();
        questions.dedup();
        questions.into_iter().map(|question| self.tell_one(now, question)).collect()
    }

    fn tell_one(&self, now: Time, question: &Question) -> model::Name {
        let answer = self.answers.get(question);
        let age = self.resolver.age(question);
        model::Name {
            name: question.name.to_string(),
            ask: match question.ask {
                Ask::Addresses => "addresses".into(),
                Ask::Services => "services".into(),
            },
            addresses: answer.map(addresses).unwrap_or_default(),
            confirmed: answer.is_none_or(|answer| answer.confirmed),
            answered_ago_s: age.answered.map(|at| now.since(at).as_secs_f64()),
            next_s: age.due.map(|at| at.since(now).as_secs_f64()),
            trouble: answer.and_then(|answer| answer.trouble.as_deref()).map(str::to_owned),
        }
    }
}

impl Daemon {
    /// The resolver has heard something.
    pub(super) fn learn(&mut self, now: Time, answer: Answer) {
        let before = self.names.answers.get(&answer.question);
        let news =
            before.is_none_or(|old| (&old.endpoints, &old.trouble) != (&answer.endpoints, &answer.trouble));
        if news {
            let trouble = answer.trouble.as_deref().map(str::to_owned);
            let name = answer.question.name.to_string();
            self.tell(now, Fact::Resolved { name, addresses: addresses(&answer), trouble }, None);
        }
        self.names.answers.insert(answer.question.clone(), answer);
        self.names.stale = true;
    }

    /// Lets servers come and go. `events` are what the director has said since the last time.
    pub(super) fn move_names(&mut self, now: Time, events: &mut Vec<Event>) {
        let names = &mut self.names;
        let turned = events.iter().any(|event| matches!(event, Event::Health { .. }));
        let due = names.roster.restless() && (turned || now >= names.look);
        if !names.stale && !due {
            return;
        }
        (names.stale, names.look) = (false, now + LOOK);
        let (relay, director) = (RefCell::new(&mut self.relay), &self.director);
        let seen = |server| Seen {
            health: director.account(now, server).map_or(Health::Unknown, |account| account.health),
            sessions: relay.borrow_mut().sessions(server).active,
        };
        let step = names.roster.step(now, &self.loaded.config, &names.uses, &names.answers, &seen);
        self.carry_out(now, step, events);
    }

    fn carry_out(&mut self, now: Time, step: Step, events: &mut Vec<Event>) {
        if step.changed {
            let config = self.names.config(&self.loaded);
            events.extend(self.director.handle(now, Input::Config(config)));
            self.restore(now, events);
            self.engine.set(self.names.targets(&self.loaded, self.director.config()));
        }
        for (old, new) in step.heirs {
            let account = self.director.account(now, old);
            let kept = account.iter().flat_map(|account| &account.intents).copied();
            let kept: Vec<Intent> = kept.filter(|intent| intent.origin != Origin::Names).cloned().collect();
            let weighing = account.and_then(|account| account.weighing.cloned());
            for intent in kept {
                events.extend(self.director.handle(now, Input::Intent(new, intent)));
            }
            if let Some(weighing) = weighing {
                events.extend(self.director.handle(now, Input::Weigh(new, weighing)));
            }
        }
        let drain = step.drain.into_iter().map(|(server, why)| (server, Wish::Drain, why));
        let ready = step.ready.into_iter().map(|server| (server, Wish::Ready, String::new()));
        for (server, wish, why) in drain.chain(ready) {
            let intent =
                Intent { wish, origin: Origin::Names, author: "dns".into(), reason: why.into(), until: None };
            events.extend(self.director.handle(now, Input::Intent(server, intent)));
        }
        for news in step.news {
            let (pool, server, name) =
                (news.pool.to_string(), news.server.to_string(), news.name.to_string());
            let fact = match news.what {
                What::Found(_) => continue,
                What::Arrives(to) => Fact::Arrives { pool, server, name, address: to.to_string() },
                What::Moved(from, to) => {
                    Fact::Moved { pool, server, name, from: from.to_string(), to: to.to_string() }
                }
                What::Leaves(from) => Fact::Leaves { pool, server, name, address: from.to_string() },
                What::Doubted(going, present) => Fact::Doubted { pool, server, name, going, present },
                What::TooMany(found, max) => Fact::TooMany { pool, server, name, found, max },
            };
            self.tell(now, fact, None);
        }
    }
}

fn addresses(answer: &Answer) -> Vec<String> {
    let spoken = |endpoint: &resolve::Endpoint| match endpoint.port {
        Some(port) => std::net::SocketAddr::new(endpoint.ip, port).to_string(),
        None => endpoint.ip.to_string(),
    };
    answer.endpoints.iter().map(spoken).collect()
}
