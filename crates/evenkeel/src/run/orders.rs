//! Orders carried out: what people want of servers reaches the director, and ends when its time has come. The end of
//! somebody's word is the one thing that wall time decides.

use super::daemon::Daemon;
use crate::api::model::{self, Refusal};
use crate::api::order::{Order, What};
use crate::clock;
use evenkeel_core::config::{Pool, PoolId, ServerId};
use evenkeel_core::event::Event;
use evenkeel_core::intent::{Intent, Origin, Weighing, Wish};
use evenkeel_core::why::Account;
use evenkeel_core::{Director, Input, Time};
use std::time::{Duration, SystemTime};

/// Who takes a word back when its time has come.
const CLOCK: &str = "evenkeel";

impl Daemon {
    /// Does what is ordered, unless nobody would serve after it.
    pub(super) fn order(
        &mut self,
        now: Time,
        order: &Order,
        events: &mut Vec<Event>,
    ) -> Result<model::Ordered, Refusal> {
        let (pool, server) = self.named_server(order.pool.as_deref(), &order.server)?;
        let id = server.id;
        let author = order.author.as_str().into();
        let (reason, until) = (order.reason.as_str().into(), order.until);
        let input = match order.what {
            What::Wish(wish) => {
                Input::Intent(id, Intent { wish, origin: Origin::Operator, author, reason, until })
            }
            What::Weight(weight) => Input::Weigh(id, Weighing { weight, author, reason, until }),
        };
        // The director is a value: what would come of it is seen before anything is committed to it.
        let mut director = self.director.clone();
        let said = director.handle(now, input);
        if !order.force && serves(&self.director, pool.id) && !serves(&director, pool.id) {
            let text = format!(
                "nobody would serve in pool \"{}\" without {}; if that is what you want, say --force",
                pool.name, server.name
            );
            return Err(Refusal::new(409, text));
        }
        let changed = !said.is_empty();
        self.director = director;
        events.extend(said);
        self.note_ends();
        let table = self.director.table().pool(pool.id).cloned();
        Ok(model::Ordered {
            changed,
            pool: pool.name.to_string(),
            serving: table.iter().flat_map(|table| table.names()).map(|name| name.to_string()).collect(),
            server: self.server(now, &pool, &server),
        })
    }

    /// Finds out when the next word ends.
    pub(super) fn note_ends(&mut self) {
        let ends = |(_, account): (ServerId, Account<'_>)| {
            let intents = account.intents.iter().filter_map(|intent| intent.until).min();
            let weight = account.weighing.and_then(|weighing| weighing.until);
            intents.into_iter().chain(weight).min()
        };
        self.next_end = accounts(&self.director, Time::ZERO).filter_map(ends).min();
    }

    /// Takes those words back whose time has come.
    pub(super) fn end_words(&mut self, now: Time, events: &mut Vec<Event>) {
        let wall = clock::wall();
        if self.next_end.is_none_or(|end| wall < end) {
            return;
        }
        let mut over = Vec::new();
        for (server, account) in accounts(&self.director, now) {
            let ended = |until: Option<u64>| until.is_some_and(|until| until <= wall);
            for intent in account.intents.iter().filter(|intent| ended(intent.until)) {
                let reason = format!("the time of \"{intent}\" is over").into();
                let back = Intent {
                    wish: Wish::Ready,
                    author: CLOCK.into(),
                    reason,
                    until: None,
                    ..(*intent).clone()
                };
                over.push(Input::Intent(server, back));
            }
            if let Some(weighing) = account.weighing.filter(|weighing| ended(weighing.until)) {
                let reason = format!("the time of \"{weighing}\" is over").into();
                let back = Weighing { weight: None, author: CLOCK.into(), reason, until: None };
                over.push(Input::Weigh(server, back));
            }
        }
        for input in over {
            events.extend(self.director.handle(now, input));
        }
        self.note_ends();
    }
}

/// The words that hold or wait for one server, for the API.
pub(super) fn intents(account: &Account<'_>) -> Vec<model::Intent> {
    let one = |intent: &&Intent| model::Intent {
        wish: intent.wish.to_string(),
        origin: origin(intent.origin).into(),
        author: intent.author.to_string(),
        reason: intent.reason.to_string(),
        until: intent.until.map(spoken),
    };
    account.intents.iter().map(one).collect()
}

/// Somebody's word on a weight, for the API.
pub(super) fn weighing(account: &Account<'_>, configured: u16) -> Option<model::Weighing> {
    account.weighing.map(|weighing| model::Weighing {
        configured,
        author: weighing.author.to_string(),
        reason: weighing.reason.to_string(),
        until: weighing.until.map(spoken),
    })
}

/// What people have said of a server, in a line: `drain by ann: new disk, until 2026-11-21T18:00:00Z`.
pub(super) fn words(account: &Account<'_>, configured: u16) -> Option<String> {
    let until = |until: Option<u64>| until.map_or(String::new(), |at| format!(", until {}", spoken(at)));
    let mut words: Vec<String> =
        account.intents.iter().map(|intent| format!("{intent}{}", until(intent.until))).collect();
    words.extend(
        account
            .weighing
            .map(|weighing| format!("{weighing} (the config says {configured}){}", until(weighing.until))),
    );
    (!words.is_empty()).then(|| words.join("; "))
}

/// The word for an origin.
pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Operator => "operator",
        Origin::Agent => "agent",
        Origin::Names => "names",
    }
}

/// Seconds since 1970 as RFC 3339 writes them.
fn spoken(at: u64) -> String {
    let text = clock::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(at.min(END_OF_TIME)));
    text.replace(".000Z", "Z")
}

/// The last second of the year 9999, after which a date has more digits.
const END_OF_TIME: u64 = 253_402_300_799;

fn serves(director: &Director, pool: PoolId) -> bool {
    director.table().pool(pool).is_some_and(|table| table.serving().next().is_some())
}

fn accounts(director: &Director, now: Time) -> impl Iterator<Item = (ServerId, Account<'_>)> {
    let servers = director.config().pools.iter().flat_map(|pool: &std::sync::Arc<Pool>| &pool.servers);
    servers.filter_map(move |server| Some((server.id, director.account(now, server.id)?)))
}
