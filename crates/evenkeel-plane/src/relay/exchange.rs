//! One request: servers are tried until one answers, and its answer is passed on. Linear on purpose; the two
//! directions run side by side only while a request's body is still coming.

use super::answer::Said;
use super::buffer::Chunk;
use super::connect::{Unmade, connect};
use super::http::{After, Client, Incoming};
use super::http1::Body;
use super::http1::page::page;
use super::http1::request::{self, Request};
use super::io::Socket;
use super::retry::{Failure, Next, Tries};
use super::tcp::of_address;
use super::upstream::{Pool, Server};
use super::worker::Local;
use evenkeel_core::config::{Balance, HashKey};
use evenkeel_core::hash::of_bytes;
use evenkeel_core::time::Span;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) client: &'a Client,
    pub(super) local: Rc<Local>,
    pub(super) request: Request,
    /// What goes to the server. While `kept`, all of it from the first byte on.
    pub(super) sent: RefCell<Chunk>,
    pub(super) kept: Cell<bool>,
    /// What is to come of the request's body.
    pub(super) body: RefCell<Body>,
    /// When the tries have to end, on the worker's clock.
    pub(super) overall: u64,
    /// When the answer has to begin, on the worker's clock.
    pub(super) due: Cell<u64>,
    pool: Rc<Pool>,
    key: u64,
    tries: RefCell<Tries>,
    /// The request's body is on its way: the client may be the one who lets everybody wait.
    pub(super) uploading: Cell<bool>,
    /// A byte of an answer went to the client.
    pub(super) answered: Cell<bool>,
    /// Where the next try goes, and whether on a fresh connection.
    pub(super) next: RefCell<Option<(Rc<Server>, bool)>>,
}

/// A connection to a server, for one try.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) server: Rc<Server>,
    pub(super) socket: Socket,
    /// It was kept from an earlier request.
    pub(super) reused: bool,
}

/// How a try ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The client has its answer, or is gone.
    Over(After),
    /// No byte of an answer went to the client.
    Failed(Failure),
}

/// After this the client is watched while the server lets it wait.
const GLANCE: Span = Span::from_millis(100);
/// Seconds after which a client may come back to a service that nobody serves.
const RETRY_AFTER: u32 = 2;

/// Carries out one request.
pub(super) async fn run(client: &Client, incoming: Incoming) -> After {
    let local = client.local();
    let Some(pool) = local.route(incoming.request.path(incoming.sent.bytes())).cloned() else {
        return unroutable(client, incoming).await;
    };
    pool.budget.earn(&local.service.retry);
    let key = key(client, &pool, &incoming);
    let exchange = Exchange {
        overall: client.slot.after(local.service.limits.overall),
        client,
        local,
        request: incoming.request,
        sent: RefCell::new(incoming.sent),
        kept: Cell::new(true),
        body: RefCell::new(incoming.body),
        due: Cell::new(0),
        pool,
        key,
        tries: RefCell::default(),
        uploading: Cell::new(false),
        answered: Cell::new(false),
        next: RefCell::default(),
    };
    let after = exchange.try_all().await;
    client.slot.talks_to(None);
    let mut sent = exchange.sent.into_inner();
    sent.clear();
    client.worker.chunks.put(sent);
    after
}

async fn unroutable(client: &Client, incoming: Incoming) -> After {
    let Incoming { request, mut sent, body } = incoming;
    sent.clear();
    client.worker.chunks.put(sent);
    let keep = request.keep_alive && body.is_done();
    let then = if keep { After::Keep } else { After::Linger };
    client.say(page(404, request.method, keep, None), then).await
}

/// What the methods of balancing that keep things together go by.
fn key(client: &Client, pool: &Pool, incoming: &Incoming) -> u64 {
    let (Balance::Hash(key) | Balance::Maglev(key)) = &pool.table.balance else { return 0 };
    match key {
        HashKey::Source => client.from.map_or(0, |from| of_address(&from)),
        HashKey::Path => of_bytes(incoming.request.path(incoming.sent.bytes())),
        HashKey::Header(name) => request::field(incoming.sent.bytes(), name).map_or(0, of_bytes),
    }
}

impl Exchange<'_> {
    async fn try_all(&self) -> After {
        let mut failure = None;
        let first = self.pick(&self.pool, &self.tries.borrow());
        let mut next = first.map(|server| (server, false));
        while let Some((server, fresh)) = next.take() {
            let active = server.begin();
            self.client.slot.talks_to(Some(server.id));
            let outcome = self.try_one(&server, fresh).await;
            drop(active);
            match outcome {
                Outcome::Over(after) => return after,
                Outcome::Failed(why) => {
                    failure = Some(why);
                    next = match self.next.take() {
                        None => self.decide(why, &server),
                        chosen => chosen,
                    };
                }
            }
        }
        self.give_up(failure).await
    }

    async fn try_one(&self, server: &Rc<Server>, fresh: bool) -> Outcome {
        let link = match self.link(server, fresh).await {
            Ok(link) => link,
            Err(outcome) => return outcome,
        };
        self.uploading.set(false);
        let said = if self.is_sent() {
            self.await_answer();
            self.answer(&link).await
        } else {
            // Rare, and large: kept out of every connection's future.
            Box::pin(self.both(&link)).await
        };
        match said {
            Said::Broken(after) => Outcome::Over(after),
            Said::Failed(failure) => Outcome::Failed(failure),
            Said::Whole(after) => {
                link.server.keep(link.socket, self.client.worker.slots.now());
                Outcome::Over(after)
            }
        }
    }

    /// A connection with as much of the request sent on it as it takes at once.
    async fn link(&self, server: &Rc<Server>, fresh: bool) -> Result<Link, Outcome> {
        loop {
            let young = !self.request.is_repeatable();
            let kept = if fresh { None } else { server.reuse(self.client.worker.slots.now(), young) };
            let reused = kept.is_some();
            let socket = match kept {
                Some(socket) => socket,
                None => self.connect(server).await?,
            };
            let mut sent = self.sent.borrow_mut();
            sent.rewind();
            match socket.write_now(sent.bytes()) {
                Ok(count) => {
                    sent.advance(count);
                    return Ok(Link { server: server.clone(), socket, reused });
                }
                // The kernel took nothing, so nothing was sent: any other connection will do.
                Err(_) if reused => server.numbers().stale.add(),
                Err(_) => {
                    server.numbers().resets.add();
                    return Err(Outcome::Failed(Failure::Connect));
                }
            }
        }
    }

    async fn connect(&self, server: &Rc<Server>) -> Result<Socket, Outcome> {
        let slot = &self.client.slot;
        let due = slot.after(self.local.service.limits.connect).min(self.overall);
        connect(slot, server, due).await.map_err(|unmade| match unmade {
            Unmade::Failed => Outcome::Failed(Failure::Connect),
            Unmade::Quit => Outcome::Over(After::Reset),
        })
    }

    /// The answer is heard while the request's body is still on its way.
    async fn both(&self, link: &Link) -> Said {
        let mut up = pin!(self.upload(link));
        let mut down = pin!(self.answer(link));
        let mut uploading = true;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(said) = down.as_mut().poll(cx) {
                return Poll::Ready(said);
            }
            if uploading && let Poll::Ready(uploaded) = up.as_mut().poll(cx) {
                uploading = false;
                if let Some(said) = uploaded {
                    return Poll::Ready(said);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Nothing of the request is left to be sent.
    pub(super) fn is_sent(&self) -> bool {
        self.sent.borrow().is_empty() && self.body.borrow().is_done()
    }

    /// From here on it is the server that lets us wait. Most answers come before anybody has to look whether the
    /// client is still there, which is dearer than it seems: it registers with the runtime.
    pub(super) fn await_answer(&self) {
        let slot = &self.client.slot;
        let due = slot.after(self.local.service.limits.first_byte).min(self.overall);
        self.due.set(due);
        slot.until(slot.after(GLANCE).min(due));
    }

    fn pick(&self, pool: &Pool, tries: &Tries) -> Option<Rc<Server>> {
        pool.pick(self.key, self.client.worker.random(), &tries.servers, tries.alive).cloned()
    }

    /// Where to go after a failure, if anywhere; and whether on a fresh connection.
    pub(super) fn decide(&self, failure: Failure, server: &Rc<Server>) -> Option<(Rc<Server>, bool)> {
        let worker = &self.client.worker;
        let now = worker.slots.now();
        let retry = &self.local.service.retry;
        let mut tries = self.tries.borrow_mut();
        let next = tries.next(retry, &self.request, failure, server.id, self.kept.get());
        if next == Next::GiveUp || now >= self.overall || (tries.sent && self.client.has_left()) {
            return None;
        }
        if next == Next::Replay {
            return Some((server.clone(), true));
        }
        // What is known by now counts, not what was known when the request came.
        let pool = worker.picture().pool(self.pool.table.id).unwrap_or_else(|| self.pool.clone());
        let another = self.pick(&pool, &tries)?;
        let free = failure == Failure::Connect;
        let workers = worker.shared.workers.len() as u64;
        (free || pool.budget.spend(now, retry, workers)).then_some((another, tries.sent))
    }

    async fn give_up(&self, failure: Option<Failure>) -> After {
        let status = match failure {
            None | Some(Failure::Connect) => 503,
            Some(Failure::Timeout) => 504,
            Some(_) => 502,
        };
        let late = status == 503 && self.client.worker.slots.now() >= self.overall;
        let status = if late { 504 } else { status };
        let keep = self.request.keep_alive && self.body.borrow().is_done();
        let then = match keep && !self.client.is_last() {
            true => After::Keep,
            false => After::Linger,
        };
        let retry_after = (status == 503).then_some(RETRY_AFTER);
        let page = page(status, self.request.method, then == After::Keep, retry_after);
        self.client.say(page, then).await
    }
}
