//! An HTTP/1 connection of a client: its requests one after another, each taken whole, answered, and only then
//! the next. What happens with one of them is `exchange`'s business.

use super::buffer::{Chunk, HEADROOM, READ};
use super::exchange;
use super::http1::page::page;
use super::http1::request::{self, Forwarded, Method, Request};
use super::http1::{Body, Refusal};
use super::io::{Heard, Socket};
use super::slots::{Slot, Stop};
use super::worker::{Local, Worker};
use evenkeel_core::time::Span;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

/// A client and what was read from it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) slot: Slot,
    pub(super) socket: Socket,
    pub(super) from: Option<SocketAddr>,
    /// Its address, as `X-Forwarded-For` says it.
    address: Box<str>,
    local: RefCell<Rc<Local>>,
    generation: Cell<u64>,
    /// The service is no more: this is its last answer.
    orphan: Cell<bool>,
    /// Read, and not yet looked at or not yet whole.
    pub(super) held: RefCell<Option<Chunk>>,
}

/// A request whose head has come.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) request: Request,
    /// What goes to the server: the rewritten head, and of the body what came with it.
    pub(super) sent: Chunk,
    pub(super) body: Body,
}

/// What becomes of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request.
    Keep,
    /// All was said.
    Close,
    /// All was said, but the client is still sending. Closing now would reset the connection, and the client
    /// might never read the answer (RFC 9112 section 9.6).
    Linger,
    /// It must not take what it got for the whole.
    Reset,
}

/// How long, and how much, a client may go on sending after its answer.
const LINGER: Span = Span::from_secs(2);
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// Serves one client of an HTTP service.
pub(super) async fn serve(
    worker: Rc<Worker>,
    slot: Slot,
    local: Rc<Local>,
    socket: Socket,
    from: Option<SocketAddr>,
) {
    slot.adopt().await;
    let address = from.map_or_else(|| "unix".into(), |from| from.ip().to_canonical().to_string());
    let client = Client {
        worker,
        slot,
        socket,
        from,
        address: address.into(),
        local: RefCell::new(local),
        generation: Cell::new(0),
        orphan: Cell::new(false),
        held: RefCell::default(),
    };
    let mut kept = false;
    loop {
        let after = match client.next(kept).await {
            Ok(incoming) => exchange::run(&client, incoming).await,
            Err(after) => after,
        };
        match after {
            After::Keep => kept = true,
            After::Close => return,
            After::Linger => return client.linger().await,
            After::Reset => return client.socket.reset(),
        }
    }
}

impl Client {
    /// The service as it is now, as long as it is.
    pub(super) fn local(&self) -> Rc<Local> {
        self.follow();
        self.local.borrow().clone()
    }

    /// Looks whether something changed: one comparison, unless it did.
    fn follow(&self) {
        let generation = self.worker.shared.generation();
        if self.generation.replace(generation) == generation {
            return;
        }
        let picture = self.worker.picture();
        let now = self.worker.service(&picture, &self.local.borrow().service.name);
        self.orphan.set(now.is_none());
        if let Some(now) = now {
            *self.local.borrow_mut() = now;
        }
    }

    /// No further request is taken: the relay ends, or the service was removed.
    pub(super) fn is_last(&self) -> bool {
        self.follow();
        self.orphan.get() || self.worker.is_ending()
    }

    /// The next request's head. `kept`: there was one before.
    async fn next(&self, kept: bool) -> Result<Incoming, After> {
        let local = self.local();
        let limits = &local.service.limits;
        self.slot.within(if kept { limits.client_idle } else { limits.client_head });
        let mut total = self.worker.unhold(&mut self.held.borrow_mut());
        let mut seen = 0;
        loop {
            if total > 0 {
                match self.parse(&local, total, seen) {
                    Ok(Some(incoming)) => return Ok(incoming),
                    Ok(None) => {}
                    Err(refusal) => return Err(self.refuse(refusal).await),
                }
                *self.held.borrow_mut() = self.worker.hold(HEADROOM, HEADROOM + total);
                if seen == 0 {
                    self.slot.within(limits.client_head);
                }
                seen = total;
            }
            total = self.listen(seen > 0).await?;
        }
    }

    /// Waits for bytes behind those that are held. `begun`: part of a request is there.
    async fn listen(&self, begun: bool) -> Result<usize, After> {
        let heard = std::future::poll_fn(|cx| {
            let mut held = self.held.borrow_mut();
            match self.worker.poll_fill(cx, &self.socket, &mut held, READ) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Poll::Ready(Err(After::Close)),
                Poll::Ready(Ok(total)) => Poll::Ready(Ok(total)),
                Poll::Pending if self.slot.stop().is_some() => Poll::Ready(Err(After::Reset)),
                Poll::Pending if !begun && self.is_last() => Poll::Ready(Err(After::Close)),
                Poll::Pending => Poll::Pending,
            }
        });
        match heard.await {
            Err(After::Reset) if self.slot.stop() == Some(Stop::Deadline) && begun => {
                let late = Refusal { status: 408, why: "a head that took too long" };
                Err(self.refuse(late).await)
            }
            Err(After::Reset) if self.slot.stop() == Some(Stop::Deadline) => Err(After::Close),
            other => other,
        }
    }

    /// Reads a request from the first `total` bytes of the scratch buffer. What comes after it is held.
    fn parse(&self, local: &Local, total: usize, seen: usize) -> Result<Option<Incoming>, Refusal> {
        let sizes = local.head_sizes();
        let add = Forwarded { client: &self.address, proto: "http", host: &local.service.name };
        let mut sent = self.worker.chunks.take();
        let read = {
            let scratch = self.worker.scratch.borrow();
            let bytes = &scratch[HEADROOM..HEADROOM + total];
            request::parse(bytes, seen, sizes, &add, sent.whole()).and_then(|request| {
                let Some(request) = request else { return Ok(None) };
                let mut body = Body::new(request.body);
                let rest = &bytes[request.len..];
                let taken = body.take(rest)?;
                sent.push(&rest[..taken]);
                Ok(Some((request, body, taken)))
            })
        };
        match read {
            Ok(Some((request, body, taken))) => {
                let from = HEADROOM + request.len + taken;
                *self.held.borrow_mut() = self.worker.hold(from, HEADROOM + total);
                Ok(Some(Incoming { request, sent, body }))
            }
            other => {
                sent.clear();
                self.worker.chunks.put(sent);
                other.map(|_| None)
            }
        }
    }

    async fn refuse(&self, refusal: Refusal) -> After {
        tracing::debug!("client {}: {} for {}", self.address, refusal.status, refusal.why);
        self.say(page(refusal.status, Method::Other, false, None), After::Linger).await
    }

    /// Sends an answer of the relay's own; `then` follows if it was taken.
    pub(super) async fn say(&self, page: Vec<u8>, then: After) -> After {
        let mut chunk = self.worker.chunks.take();
        chunk.push(&page);
        let limit = self.local.borrow().service.limits.body_idle;
        match self.flush(Some(chunk), limit).await {
            Ok(()) => then,
            Err(()) => After::Reset,
        }
    }

    /// Sends the rest that the socket refused at first. The client has to take something every `limit`.
    pub(super) async fn flush(&self, rest: Option<Chunk>, limit: Span) -> Result<(), ()> {
        let Some(mut chunk) = rest else { return Ok(()) };
        while !chunk.is_empty() {
            self.slot.within(limit);
            let sent = std::future::poll_fn(|cx| match self.socket.poll_write(cx, chunk.bytes()) {
                Poll::Ready(sent) => Poll::Ready(sent.map_err(|_| ())),
                Poll::Pending if self.slot.stop().is_some() => Poll::Ready(Err(())),
                Poll::Pending => Poll::Pending,
            });
            let sent = sent.await?;
            chunk.advance(sent);
        }
        self.worker.chunks.put(chunk);
        Ok(())
    }

    /// The client has closed its side, as far as is known.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.socket.heard(), Some(Heard::End | Heard::Reset))
    }

    /// Lets the client finish before the connection is closed.
    async fn linger(&self) {
        if self.socket.end().is_err() {
            return;
        }
        self.slot.within(LINGER);
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            let heard =
                std::future::poll_fn(|cx| match self.worker.poll_fill(cx, &self.socket, &mut None, READ) {
                    Poll::Ready(count) => Poll::Ready(count.ok()),
                    Poll::Pending if self.slot.stop().is_some() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                });
            match heard.await {
                None | Some(0) => return,
                Some(count) => left = left.saturating_sub(count),
            }
        }
    }
}
