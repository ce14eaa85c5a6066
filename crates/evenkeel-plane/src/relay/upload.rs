//! The rest of a request's body on its way to the server, for requests that did not come in one piece.

use super::answer::Said;
use super::buffer::{HEADROOM, READ};
use super::exchange::{Exchange, Link};
use super::http::After;
use super::http1::Refusal;
use super::http1::page::page;
use super::slots::Stop;
use std::task::Poll;

/// A body up to this size can be sent again to another server.
const REPLAY_MAX: usize = 64 * 1024;

impl Exchange<'_> {
    /// Sends what is left of the request. `None`: all of it went out, or the server takes no more of it; what
    /// it says is the answer's business.
    pub(super) async fn upload(&self, link: &Link) -> Option<Said> {
        self.uploading.set(true);
        loop {
            let pushed = self.push(link).await;
            if pushed == Err(None) || (pushed == Ok(()) && self.body.borrow().is_done()) {
                self.uploading.set(false);
                self.await_answer();
                return None;
            }
            if let Err(end) = pushed {
                return end;
            }
            let count = match self.pull().await {
                Ok(count) => count,
                Err(said) => return Some(said),
            };
            if let Err(refusal) = self.take(link, count) {
                return Some(self.refuse(refusal).await);
            }
        }
    }

    /// Sends what is at hand.
    async fn push(&self, link: &Link) -> Result<(), Option<Said>> {
        let slot = &self.client.slot;
        while !self.sent.borrow().is_empty() {
            slot.within(self.local.service.limits.body_idle);
            let sent = std::future::poll_fn(|cx| {
                match link.socket.poll_write(cx, self.sent.borrow().bytes()) {
                    Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
                    // It may have answered before it closed.
                    Poll::Ready(Err(_)) => Poll::Ready(Err(None)),
                    Poll::Pending => match slot.stop() {
                        Some(Stop::Deadline) => Poll::Ready(Err(Some(self.stalled(link)))),
                        _ => Poll::Pending,
                    },
                }
            });
            let sent = sent.await?;
            self.sent.borrow_mut().advance(sent);
        }
        Ok(())
    }

    fn stalled(&self, link: &Link) -> Said {
        match self.late(link) {
            _ if self.answered.get() => Said::Broken(After::Reset),
            said => said,
        }
    }

    /// Waits for more from the client.
    async fn pull(&self) -> Result<usize, Said> {
        let client = self.client;
        client.slot.within(self.local.service.limits.body_idle);
        let heard =
            std::future::poll_fn(|cx| match client.worker.poll_fill(cx, &client.socket, &mut None, READ) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => Poll::Ready(Err(false)),
                Poll::Ready(Ok(count)) => Poll::Ready(Ok(count)),
                Poll::Pending if client.slot.stop() == Some(Stop::Deadline) => Poll::Ready(Err(true)),
                Poll::Pending => Poll::Pending,
            });
        match heard.await {
            Ok(count) => Ok(count),
            Err(true) => Err(self.refuse(Refusal { status: 408, why: "a body that stopped" }).await),
            Err(false) => Err(Said::Broken(After::Reset)),
        }
    }

    /// Takes `count` bytes that were just read from the client.
    fn take(&self, link: &Link, count: usize) -> Result<(), Refusal> {
        let worker = &self.client.worker;
        let scratch = worker.scratch.borrow();
        let bytes = &scratch[HEADROOM..HEADROOM + count];
        let taken = self.body.borrow_mut().take(bytes)?;
        let mut sent = self.sent.borrow_mut();
        if self.kept.get() && sent.whole().len() + taken <= REPLAY_MAX {
            sent.push(&bytes[..taken]);
        } else {
            self.kept.set(false);
            sent.clear();
            // An error shows again, and is judged, with the next write or read.
            let now = link.socket.write_now(&bytes[..taken]).unwrap_or(0);
            sent.push(&bytes[now..taken]);
        }
        drop(scratch);
        *self.client.held.borrow_mut() = worker.hold(HEADROOM + taken, HEADROOM + count);
        Ok(())
    }

    async fn refuse(&self, refusal: Refusal) -> Said {
        tracing::debug!("{} for {}", refusal.status, refusal.why);
        if self.answered.replace(true) {
            return Said::Broken(After::Reset);
        }
        let page = page(refusal.status, self.request.method, false, None);
        Said::Broken(self.client.say(page, After::Linger).await)
    }
}
