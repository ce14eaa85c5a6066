//! A worker's own picture of pools and servers: who is chosen, and which connections to it are kept.

use super::counts::Cell as Numbers;
use super::io::Socket;
use super::retry::Budget;
use evenkeel_core::config::{Address, Balance, ServerId};
use evenkeel_core::pick::{Ask, Picker};
use evenkeel_core::table::PoolTable;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// A server as one worker knows it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) address: Address,
    cells: Arc<[Numbers]>,
    worker: usize,
    /// The last one used is the first one used again, which keeps the set small.
    idle: RefCell<Vec<Idle>>,
    active: Cell<u32>,
}

#[derive(Debug)]
struct Idle {
    socket: Socket,
    since: u64,
}

/// Something under way at a server, for as long as this lives.
#[derive(Debug)]
pub(super) struct Active(Rc<Server>);

/// A pool as one worker knows it.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) table: Arc<PoolTable>,
    /// In the order of the table's rows.
    pub(super) servers: Vec<Rc<Server>>,
    pub(super) budget: Rc<Budget>,
    picker: RefCell<Picker>,
    /// By row; filled only for methods that look at it.
    busy: RefCell<Vec<u32>>,
}

/// Kept connections per server and worker.
const IDLE_MAX: usize = 1024;
/// For so long, in milliseconds, a kept connection counts as young.
const YOUNG_MAX: u64 = 1_000;
/// Kept connections are given up after this, in milliseconds.
const IDLE_AGE_MAX: u64 = 30_000;

impl Server {
    pub(super) fn new(id: ServerId, address: Address, cells: Arc<[Numbers]>, worker: usize) -> Server {
        Server { id, address, cells, worker, idle: RefCell::default(), active: Cell::new(0) }
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.cells[self.worker]
    }

    /// A kept connection that is still good, as far as can be told without asking the kernel. `young`: only one
    /// that was in use a moment ago, which its server is hardly about to close; for requests that cannot be sent
    /// again if it does.
    pub(super) fn reuse(&self, now: u64, young: bool) -> Option<Socket> {
        let mut idle = self.idle.borrow_mut();
        while let Some(kept) = idle.pop_if(|kept| !young || kept.since + YOUNG_MAX > now) {
            if kept.socket.is_quiet() {
                return Some(kept.socket);
            }
        }
        None
    }

    /// Keeps a connection on which everything was read.
    pub(super) fn keep(&self, socket: Socket, now: u64) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { socket, since: now });
        }
    }

    /// Gives up connections that the server closed or nobody used for long.
    pub(super) fn sweep(&self, now: u64) {
        self.idle.borrow_mut().retain(|kept| kept.since + IDLE_AGE_MAX > now && kept.socket.is_quiet());
    }

    pub(super) fn forget_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    pub(super) fn idle_count(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Something begins at this server.
    pub(super) fn begin(self: &Rc<Self>) -> Active {
        self.active.set(self.active.get() + 1);
        self.numbers().attempts.add();
        self.numbers().active.add();
        Active(self.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
        self.0.numbers().active.subtract();
    }
}

impl Pool {
    /// The pool of a new table; `before` is the same pool of the one before.
    pub(super) fn new(
        table: Arc<PoolTable>,
        servers: Vec<Rc<Server>>,
        budget: Rc<Budget>,
        before: Option<&Pool>,
    ) -> Pool {
        let picker = match before {
            Some(before) => Picker::new(&table, Some(&before.picker.borrow())),
            None => Picker::new(&table, None),
        };
        let counts = matches!(table.balance, Balance::Least | Balance::Two);
        let busy = if counts { vec![0; servers.len()] } else { Vec::new() };
        Pool { table, servers, budget, picker: RefCell::new(picker), busy: RefCell::new(busy) }
    }

    /// The server for the next try: one that serves and was not tried, rather not one to be avoided. If none is
    /// left and none of those tried is alive, a backup: it need not wait for the verdict. `key` and `random` are
    /// for the methods of balancing that want them.
    pub(super) fn pick(&self, key: u64, random: u64, tried: &[ServerId], alive: bool) -> Option<&Rc<Server>> {
        let rows = &self.table.rows;
        let been: Vec<usize> =
            (0..rows.len()).filter(|&at| !tried.is_empty() && tried.contains(&rows[at].server)).collect();
        let mut busy = self.busy.borrow_mut();
        for (count, server) in busy.iter_mut().zip(&self.servers) {
            *count = server.active.get();
        }
        let ask = Ask { key, random, busy: &busy, tried: &been };
        if let Some(row) = self.picker.borrow_mut().pick(&ask) {
            return self.servers.get(row);
        }
        let spare = |at: &usize| !alive && rows[*at].spare && !been.contains(at);
        (0..rows.len()).find(spare).and_then(|at| self.servers.get(at))
    }
}
