//! One slot per connection of a worker: until when it may wait, whom it talks to, and who is to be woken. This
//! stands for all timers: a wait writes one number, and a coarse tick looks at all numbers in a row.

use evenkeel_core::config::ServerId;
use evenkeel_core::time::Span;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its time was over.
    Deadline,
    /// The server's sessions are cut.
    Cut,
    /// The relay ends now.
    Quit,
}

/// All slots of a worker, and its clock.
#[derive(Debug, Default)]
pub(super) struct Slots {
    now: Cell<u64>,
    entries: RefCell<Vec<Entry>>,
    free: RefCell<Vec<u32>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Milliseconds on the worker's clock.
    due: u64,
    server: Option<ServerId>,
    stop: Option<Stop>,
    waker: Option<Waker>,
}

/// One connection's slot.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Rc<Slots>,
    index: usize,
}

impl Slots {
    /// Milliseconds since the worker began, a tick old at most.
    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    /// The clock goes on; whoever waited too long is woken.
    pub(super) fn tick(&self, now: u64) {
        self.now.set(now);
        for entry in self.entries.borrow_mut().iter_mut().filter(|entry| entry.due <= now) {
            // Woken once; the one who waits sets the next deadline.
            entry.due = u64::MAX;
            entry.stop = entry.stop.or(Some(Stop::Deadline));
            entry.waker.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Ends every wait that has to do with a server for which `cut` is true.
    pub(super) fn cut(&self, cut: impl Fn(ServerId) -> bool) {
        for entry in self.entries.borrow_mut().iter_mut().filter(|entry| entry.server.is_some_and(&cut)) {
            entry.stop = Some(Stop::Cut);
            entry.waker.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// Whether anything is under way at a server.
    pub(super) fn has(&self, server: ServerId) -> bool {
        self.entries.borrow().iter().any(|entry| entry.server == Some(server))
    }

    /// Wakes everyone; with `quit`, to end.
    pub(super) fn wake_all(&self, quit: bool) {
        for entry in self.entries.borrow_mut().iter_mut() {
            entry.stop = if quit { Some(Stop::Quit) } else { entry.stop };
            entry.waker.iter().for_each(Waker::wake_by_ref);
        }
    }

    /// How many slots are in use.
    pub(super) fn count(&self) -> usize {
        self.entries.borrow().len() - self.free.borrow().len()
    }

    /// A slot for a new connection.
    pub(super) fn add(self: &Rc<Self>) -> Slot {
        let entry = Entry { due: u64::MAX, ..Entry::default() };
        let mut entries = self.entries.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => {
                entries[index as usize] = entry;
                index as usize
            }
            None => {
                entries.push(entry);
                entries.len() - 1
            }
        };
        Slot { slots: self.clone(), index }
    }
}

impl Slot {
    /// The task that calls this is the one to wake from here on.
    pub(super) async fn adopt(&self) {
        std::future::poll_fn(|cx| {
            self.slots.entries.borrow_mut()[self.index].waker = Some(cx.waker().clone());
            std::task::Poll::Ready(())
        })
        .await;
    }

    /// The next wait may last this long.
    pub(super) fn within(&self, span: Span) {
        self.until(self.after(span));
    }

    /// The next wait may last until then.
    pub(super) fn until(&self, due: u64) {
        let entry = &mut self.slots.entries.borrow_mut()[self.index];
        entry.due = due;
        if entry.stop == Some(Stop::Deadline) {
            entry.stop = None;
        }
    }

    /// So long from now.
    pub(super) fn after(&self, span: Span) -> u64 {
        self.slots.now().saturating_add(span.as_millis()).saturating_add(1)
    }

    /// Whom this connection talks to from here on. An order to cut the last one is void.
    pub(super) fn talks_to(&self, server: Option<ServerId>) {
        let entry = &mut self.slots.entries.borrow_mut()[self.index];
        entry.server = server;
        if entry.stop == Some(Stop::Cut) {
            entry.stop = None;
        }
    }

    /// Whether waiting is over.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.slots.entries.borrow()[self.index].stop
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.entries.borrow_mut()[self.index] = Entry { due: u64::MAX, ..Entry::default() };
        self.slots.free.borrow_mut().push(self.index as u32);
    }
}
