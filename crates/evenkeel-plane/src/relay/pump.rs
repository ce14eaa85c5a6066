//! Bytes both ways between two sockets, without a look at them: for TCP, and for HTTP once it became something
//! else. A side that does not take what it is sent is waited for; meanwhile the other is not read.

use super::buffer::{Chunk, HEADROOM, READ, READ_BULK, READ_SLOW};
use super::io::Socket;
use super::slots::{Slot, Stop};
use super::worker::Worker;
use evenkeel_core::time::Span;
use std::io;
use std::task::{Context, Poll};

/// How long nothing may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// With both ways open.
    pub(super) idle: Span,
    /// With one way closed.
    pub(super) half_closed: Span,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides said all they had to.
    Closed,
    /// A side is gone.
    Broken,
    /// Nothing happened for too long.
    Idle,
    /// It was cut.
    Cut,
}

/// One direction.
#[derive(Debug)]
struct Way {
    held: Option<Chunk>,
    read: usize,
    ending: bool,
    done: bool,
}

impl Way {
    fn new(held: Option<Chunk>) -> Way {
        Way { held, read: READ, ending: false, done: false }
    }

    /// Moves what can be moved. Ready when the way is closed. `moved` tells that something went on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &Socket,
        to: &Socket,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.done {
            if let Some(chunk) = &mut self.held {
                let Poll::Ready(sent) = to.poll_write(cx, chunk.bytes()) else { return Poll::Pending };
                chunk.advance(sent?);
                *moved = true;
                if chunk.is_empty() {
                    worker.chunks.put(self.held.take().expect("it was there a line ago"));
                }
                continue;
            }
            if self.ending {
                // The other side may be gone entirely; it will be noticed where it matters.
                let _ = to.end();
                self.done = true;
                break;
            }
            let Poll::Ready(got) = worker.poll_fill(cx, from, &mut None, self.read) else {
                return Poll::Pending;
            };
            *moved = true;
            match got? {
                0 => self.ending = true,
                count => self.pass(cx, worker, to, count)?,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what was just read; what is refused is held.
    fn pass(&mut self, cx: &mut Context<'_>, worker: &Worker, to: &Socket, count: usize) -> io::Result<()> {
        let end = HEADROOM + count;
        let sent = match to.poll_write(cx, &worker.scratch.borrow()[HEADROOM..end]) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        self.held = worker.hold(HEADROOM + sent, end);
        self.read = match () {
            () if sent < count => READ_SLOW,
            () if count >= READ => READ_BULK,
            () if self.read == READ_SLOW && count == READ_SLOW => READ,
            () => self.read,
        };
        Ok(())
    }
}

/// Passes bytes both ways until both are closed. `to_client` and `to_server` were read before.
pub(super) async fn pump(
    worker: &Worker,
    slot: &Slot,
    client: &Socket,
    server: &Socket,
    held: (Option<Chunk>, Option<Chunk>),
    patience: Patience,
) -> End {
    let (mut up, mut down) = (Way::new(held.0), Way::new(held.1));
    slot.within(patience.idle);
    std::future::poll_fn(|cx| {
        let mut moved = false;
        let up_now = up.poll(cx, worker, client, server, &mut moved);
        let down_now = down.poll(cx, worker, server, client, &mut moved);
        let end = match (up_now, down_now) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => End::Broken,
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => End::Closed,
            _ if moved => {
                slot.within(if up.done || down.done { patience.half_closed } else { patience.idle });
                return match slot.stop() {
                    None => Poll::Pending,
                    Some(_) => Poll::Ready(End::Cut),
                };
            }
            _ => match slot.stop() {
                None => return Poll::Pending,
                Some(Stop::Deadline) => End::Idle,
                Some(Stop::Cut | Stop::Quit) => End::Cut,
            },
        };
        Poll::Ready(end)
    })
    .await
}
