//! A server's answer to one request: heard, judged, edited in place and passed on.

use super::buffer::{Chunk, HEADROOM, READ, READ_ANSWER, READ_BULK, READ_SLOW};
use super::exchange::{Exchange, Link};
use super::http::After;
use super::http1::request::Method;
use super::http1::response::{self, Asked, Response};
use super::http1::{Body, Framing, Version};
use super::io::Heard;
use super::pump::{End, Patience, pump};
use super::retry::Failure;
use super::slots::Stop;
use std::task::Poll;

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The answer was passed on, and the server's connection can be kept.
    Whole(After),
    /// It is over for the server's connection, and for the client as told.
    Broken(After),
    /// No byte of an answer went to the client.
    Failed(Failure),
}

/// Answers like `103 Early Hints` before the one that counts.
const INTERIM_MAX: usize = 32;

/// Why nothing more is heard of a server.
#[derive(Clone, Copy, Debug)]
enum Deaf {
    Reset,
    Stop(Stop),
    ClientLeft,
}

impl Exchange<'_> {
    /// Hears the answer on `link` and passes it on.
    pub(super) async fn answer(&self, link: &Link) -> Said {
        let asked = Asked {
            head: self.request.method == Method::Head,
            upgrade: self.request.upgrade,
            http10: self.request.version == Version::Http10,
        };
        let mut held = None;
        for _ in 0..INTERIM_MAX {
            let (response, total) = match self.head(link, &mut held, asked).await {
                Ok(found) => found,
                Err(said) => return said,
            };
            if !response.is_interim() {
                return self.judge(link, response, total).await;
            }
            held = self.client.worker.hold(HEADROOM + response.len, HEADROOM + total);
            if let Err(said) = self.pass_interim(&response).await {
                return said;
            }
        }
        self.invalid(link, "too many interim answers")
    }

    /// Hears a whole head. It is in the scratch buffer from [`HEADROOM`] on, with what came behind it.
    async fn head(
        &self,
        link: &Link,
        held: &mut Option<Chunk>,
        asked: Asked,
    ) -> Result<(Response, usize), Said> {
        let worker = &self.client.worker;
        let sizes = self.local.head_sizes();
        let mut total = worker.unhold(held);
        let mut seen = 0;
        let mut watch = false;
        loop {
            if total > 0 {
                let read = {
                    let scratch = worker.scratch.borrow();
                    response::parse(&scratch[HEADROOM..HEADROOM + total], seen, sizes, asked)
                };
                match read {
                    Ok(Some(response)) => return Ok((response, total)),
                    Ok(None) => {}
                    Err(refusal) => return Err(self.invalid(link, refusal.why)),
                }
                *held = worker.hold(HEADROOM, HEADROOM + total);
                seen = total;
            }
            total = match self.hear(link, held, READ_ANSWER, watch).await {
                Ok(0) => return Err(self.closed(link, seen == 0)),
                Ok(total) => total,
                Err(Deaf::Reset) => return Err(self.closed(link, seen == 0)),
                Err(Deaf::Stop(Stop::Cut)) => return Err(Said::Failed(Failure::Reset)),
                Err(Deaf::Stop(Stop::Deadline)) if self.client.worker.slots.now() < self.due.get() => {
                    self.client.slot.until(self.due.get());
                    watch = true;
                    0
                }
                Err(Deaf::Stop(Stop::Deadline)) => return Err(self.late(link)),
                Err(Deaf::Stop(Stop::Quit) | Deaf::ClientLeft) => return Err(Said::Broken(After::Reset)),
            };
        }
    }

    /// Waits for the server, and with `watch` notices meanwhile if the client is gone. While the request's body
    /// is on its way it is the upload that keeps the time: the client may be the slow one.
    async fn hear(
        &self,
        link: &Link,
        held: &mut Option<Chunk>,
        most: usize,
        watch: bool,
    ) -> Result<usize, Deaf> {
        let client = self.client;
        std::future::poll_fn(|cx| {
            match client.worker.poll_fill(cx, &link.socket, held, most) {
                Poll::Ready(Ok(count)) => return Poll::Ready(Ok(count)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Deaf::Reset)),
                Poll::Pending => {}
            }
            match client.slot.stop() {
                Some(Stop::Deadline) if self.uploading.get() => {}
                Some(stop) => return Poll::Ready(Err(Deaf::Stop(stop))),
                None => {}
            }
            if watch && client.socket.poll_heard(cx) == Poll::Ready(Heard::Reset) {
                return Poll::Ready(Err(Deaf::ClientLeft));
            }
            Poll::Pending
        })
        .await
    }

    fn closed(&self, link: &Link, silent: bool) -> Said {
        let numbers = link.server.numbers();
        if silent && link.reused {
            numbers.stale.add();
            return Said::Failed(Failure::Stale);
        }
        numbers.resets.add();
        Said::Failed(Failure::Reset)
    }

    pub(super) fn late(&self, link: &Link) -> Said {
        link.server.numbers().timeouts.add();
        Said::Failed(Failure::Timeout)
    }

    fn invalid(&self, link: &Link, why: &str) -> Said {
        tracing::debug!("server {}: invalid answer: {why}", link.server.address);
        link.server.numbers().invalid.add();
        Said::Failed(Failure::Invalid)
    }

    /// Passes an interim answer on, unless the client would not know what it is.
    async fn pass_interim(&self, response: &Response) -> Result<(), Said> {
        if self.request.version == Version::Http10 {
            return Ok(());
        }
        let edited = {
            let mut scratch = self.client.worker.scratch.borrow_mut();
            let start = response.edit(&mut scratch, HEADROOM, b"");
            let mut chunk = self.client.worker.chunks.take();
            chunk.push(&scratch[start..HEADROOM + response.len]);
            chunk
        };
        let limit = self.local.service.limits.body_idle;
        self.client.flush(Some(edited), limit).await.map_err(|()| Said::Broken(After::Reset))?;
        if !self.uploading.get() {
            self.await_answer();
        }
        Ok(())
    }

    /// The head that counts has come.
    async fn judge(&self, link: &Link, response: Response, total: usize) -> Said {
        let status = response.status;
        link.server.numbers().status(status);
        if self.local.service.retry.statuses.contains(&status)
            && let Some(next) = self.decide(Failure::Status(status), &link.server)
        {
            *self.next.borrow_mut() = Some(next);
            return Said::Failed(Failure::Status(status));
        }
        if status == 101 {
            return Box::pin(self.upgrade(link, response, total)).await;
        }
        self.deliver(link, response, total).await
    }

    /// Passes the answer on. The head is still in the scratch buffer.
    async fn deliver(&self, link: &Link, response: Response, total: usize) -> Said {
        let worker = &self.client.worker;
        let http10 = self.request.version == Version::Http10;
        let keep = self.request.keep_alive
            && response.body != Framing::UntilClose
            && !(http10 && response.body == Framing::Chunked)
            && self.is_sent()
            && !self.client.is_last();
        let insert: &[u8] = match (keep, http10) {
            (false, _) => b"Connection: close\r\n",
            (true, true) => b"Connection: keep-alive\r\n",
            (true, false) => b"",
        };
        let mut rest = Rest { body: Body::new(response.body), content_only: http10, extra: false };
        let (start, end) = {
            let mut scratch = worker.scratch.borrow_mut();
            let from = HEADROOM + response.len;
            let Ok(count) = rest.take(&mut scratch[from..HEADROOM + total]) else {
                drop(scratch);
                return self.invalid(link, "a malformed body");
            };
            (response.edit(&mut scratch, HEADROOM, insert), from + count)
        };
        self.answered.set(true);
        let sent = self.client.socket.write_now(&worker.scratch.borrow()[start..end]);
        let Ok(sent) = sent else { return Said::Broken(After::Reset) };
        let refused = worker.hold(start + sent, end);
        let after = if keep { After::Keep } else { After::Close };
        if refused.is_some() || !rest.body.is_done() {
            match self.stream(link, &mut rest, refused).await {
                Ok(()) => {}
                Err(said) => return said,
            }
        }
        let after = if after == After::Close && !self.is_sent() { After::Linger } else { after };
        match response.keep_alive && !rest.extra && self.is_sent() {
            true => Said::Whole(after),
            false => Said::Broken(after),
        }
    }

    /// Passes on what follows the first read. The server is not read while the client does not keep up.
    async fn stream(&self, link: &Link, rest: &mut Rest, mut refused: Option<Chunk>) -> Result<(), Said> {
        const GONE: Said = Said::Broken(After::Reset);
        let worker = &self.client.worker;
        let slot = &self.client.slot;
        let limit = self.local.service.limits.body_idle;
        let mut most = READ_ANSWER;
        loop {
            if refused.is_some() {
                self.client.flush(refused.take(), limit).await.map_err(|()| GONE)?;
                most = READ_SLOW;
            }
            if rest.body.is_done() {
                return Ok(());
            }
            slot.within(limit);
            let count = match self.hear(link, &mut None, most, true).await {
                Ok(0) if rest.body.may_end() => return Ok(()),
                Ok(0) | Err(Deaf::Reset) => {
                    link.server.numbers().resets.add();
                    return Err(GONE);
                }
                Err(Deaf::Stop(Stop::Deadline)) => {
                    link.server.numbers().timeouts.add();
                    return Err(GONE);
                }
                Err(_) => return Err(GONE),
                Ok(count) => count,
            };
            let taken = rest.take(&mut worker.scratch.borrow_mut()[HEADROOM..HEADROOM + count]);
            let Ok(content) = taken else {
                // It cannot be unsaid. At least the client will not take it for the whole.
                self.invalid(link, "a malformed body");
                return Err(GONE);
            };
            let end = HEADROOM + content;
            let sent = self.client.socket.write_now(&worker.scratch.borrow()[HEADROOM..end]);
            let sent = sent.map_err(|_| GONE)?;
            refused = worker.hold(HEADROOM + sent, end);
            if count >= READ {
                most = READ_BULK;
            } else if count == READ_SLOW && most == READ_SLOW {
                most = READ;
            }
        }
    }

    /// The connection becomes something else; from here on only bytes are passed.
    async fn upgrade(&self, link: &Link, response: Response, total: usize) -> Said {
        let worker = &self.client.worker;
        let down = {
            let mut scratch = worker.scratch.borrow_mut();
            let start = response.edit(&mut scratch, HEADROOM, b"Connection: upgrade\r\n");
            let mut chunk = worker.chunks.take();
            chunk.push(&scratch[start..HEADROOM + total]);
            Some(chunk)
        };
        self.answered.set(true);
        let up = self.client.held.borrow_mut().take();
        let limits = &self.local.service.limits;
        let patience = Patience { idle: limits.tcp_idle, half_closed: limits.half_closed };
        let end =
            pump(worker, &self.client.slot, &self.client.socket, &link.socket, (up, down), patience).await;
        Said::Broken(match end {
            End::Closed | End::Idle => After::Close,
            End::Broken | End::Cut => After::Reset,
        })
    }
}

/// What is to come of an answer's body.
struct Rest {
    body: Body,
    /// The client does not know chunks.
    content_only: bool,
    /// The server sent more than belongs to the answer.
    extra: bool,
}

impl Rest {
    /// Takes what belongs to the body, and tells how many bytes at the front of `bytes` go to the client.
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, ()> {
        let all = bytes.len();
        let taken = match self.content_only {
            true => self.body.take_content(bytes),
            false => self.body.take(bytes).map(|count| (count, count)),
        };
        let (taken, content) = taken.map_err(|_| ())?;
        self.extra |= taken < all;
        Ok(content)
    }
}
