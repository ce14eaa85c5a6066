//! One worker: a thread with its own runtime, listeners, upstream connections, buffers and numbers. It shares
//! with the others only what it reads.

use super::buffer::{Chunk, Chunks, HEADROOM, READ_BULK};
use super::door::Door;
use super::io::{Acceptor, Socket};
use super::retry::Budget;
use super::slots::Slots;
use super::upstream::{Pool, Server};
use super::view::{Phase, Shared, View};
use super::{http, http1, tcp};
use evenkeel_core::config::{Limits, PoolId, Protocol, ServerId, Service};
use evenkeel_core::table::{Duty, Sessions};
use evenkeel_core::time::Span;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::MissedTickBehavior;

/// How coarse the clock is that all deadlines of the relay are judged by.
const TICK: Duration = Duration::from_millis(50);
/// Ticks between two looks at kept connections.
const SWEEP: u64 = 20;
/// Bytes of a head, whatever the config says.
const HEAD_MAX: usize = 128 * 1024;
/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// That is told so often at most: it lasts, and a log that fills a disk helps nobody.
const ACCEPT_TOLD: Duration = Duration::from_secs(10);
/// Between two looks for a free place of a worker that has all the clients it may have.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// What the tasks of a worker share.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) shared: Arc<Shared>,
    /// Its share of [`super::Options::clients`]. A number of its own, so that no accept touches a shared one.
    most: u64,
    pub(super) slots: Rc<Slots>,
    pub(super) chunks: Chunks,
    /// Every read goes through it. What it holds is good until the reader's next `await`.
    pub(super) scratch: RefCell<Box<[u8]>>,
    picture: RefCell<Rc<Picture>>,
    servers: RefCell<HashMap<ServerId, Rc<Server>>>,
    /// Servers that are drained or were removed, and when what they still have is cut.
    leaving: RefCell<HashMap<ServerId, u64>>,
    random: Cell<u64>,
    began: Instant,
    awake: Notify,
}

/// The table as this worker knows it.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) generation: u64,
    services: HashMap<Arc<str>, Rc<Local>>,
    pools: HashMap<PoolId, Rc<Pool>>,
}

/// A service as this worker knows it.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) service: Arc<Service>,
    routes: Vec<(Arc<str>, Rc<Pool>)>,
}

impl Picture {
    pub(super) fn pool(&self, id: PoolId) -> Option<Rc<Pool>> {
        self.pools.get(&id).cloned()
    }
}

impl Local {
    /// The largest heads it takes. The scratch buffer has room for no more than [`HEAD_MAX`].
    pub(super) fn head_sizes(&self) -> http1::Limits {
        let limits = &self.service.limits;
        let size = (limits.head_size as usize).min(HEAD_MAX);
        http1::Limits { size, fields: usize::from(limits.head_fields) }
    }

    /// The pool for a path; a TCP service's one pool for the empty path.
    pub(super) fn route(&self, path: &[u8]) -> Option<&Rc<Pool>> {
        self.routes.iter().find(|(prefix, _)| path.starts_with(prefix.as_bytes())).map(|(_, pool)| pool)
    }
}

/// Runs worker `index` until the relay ends.
/// It has `most` clients at a time.
pub(super) fn run(shared: Arc<Shared>, index: usize, most: u64) -> io::Result<()> {
    // Cheaper by a queue than a LocalSet in a runtime.
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let worker = Rc::new(Worker {
        index,
        shared,
        most,
        slots: Rc::default(),
        chunks: Chunks::default(),
        scratch: RefCell::new(vec![0; HEADROOM + READ_BULK].into_boxed_slice()),
        picture: RefCell::default(),
        servers: RefCell::default(),
        leaving: RefCell::default(),
        random: Cell::new(0x9e37_79b9_7f4a_7c15 ^ index as u64),
        began: Instant::now(),
        awake: Notify::new(),
    });
    runtime.block_on(worker.main());
    Ok(())
}

impl Worker {
    async fn main(self: Rc<Self>) {
        let mut ticker = tokio::time::interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gates: Vec<Gate> = Vec::new();
        let mut phase = Phase::Run;
        let mut ticks = 0;
        loop {
            let ear = &self.shared.workers[self.index];
            let busy = self.is_busy();
            tokio::select! {
                () = ear.news.notified() => {}
                () = self.awake.notified(), if !busy => {}
                _ = ticker.tick(), if busy => ticks += 1,
            }
            self.slots.tick(self.began.elapsed().as_millis() as u64);
            self.cut_leavers();
            let picture = self.picture();
            if ear.done.load(Ordering::Relaxed) != picture.generation {
                self.tend(&mut gates).await;
                ear.done.store(picture.generation, Ordering::Release);
            }
            if ticks % SWEEP == 0 {
                self.servers.borrow().values().for_each(|server| server.sweep(self.slots.now()));
            }
            let next = self.shared.phase();
            if next > phase {
                phase = next;
                self.close(gates.drain(..)).await;
                self.slots.wake_all(phase == Phase::Quit);
            }
            ear.connections.store(self.slots.count() as u64, Ordering::Release);
            if phase > Phase::Run && self.slots.count() == 0 {
                return;
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.slots.count() > 0 || self.servers.borrow().values().any(|server| server.idle_count() > 0)
    }

    /// It has all the clients it may have.
    fn is_full(&self) -> bool {
        self.slots.count() as u64 >= self.most
    }

    /// The relay is to end: no new work, no kept connections.
    pub(super) fn is_ending(&self) -> bool {
        self.shared.phase() != Phase::Run
    }

    /// A number that nobody needs to foresee (xorshift64, Marsaglia 2003).
    pub(super) fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x
    }

    /// The newest picture: one comparison, unless something changed.
    pub(super) fn picture(&self) -> Rc<Picture> {
        if self.picture.borrow().generation != self.shared.generation() {
            self.look();
        }
        self.picture.borrow().clone()
    }

    /// What is served under this name now.
    pub(super) fn service(&self, picture: &Picture, name: &str) -> Option<Rc<Local>> {
        picture.services.get(name).cloned()
    }

    /// Draws a new picture and cuts what the table wants cut.
    fn look(&self) {
        let view = self.shared.view();
        let before = self.picture.borrow().clone();
        let mut servers = HashMap::new();
        let mut pools = HashMap::new();
        for pool in &view.pools {
            let old = before.pools.get(&pool.table.id);
            if let Some(same) = old.filter(|old| Arc::ptr_eq(&old.table, &pool.table)) {
                servers.extend(same.servers.iter().map(|server| (server.id, server.clone())));
                pools.insert(pool.table.id, same.clone());
                continue;
            }
            let rows = pool.table.rows.iter().zip(&pool.cells);
            let list: Vec<Rc<Server>> = rows
                .map(|(row, cells)| {
                    let old = self.servers.borrow().get(&row.server).cloned();
                    let same = old.filter(|server| server.address == row.address);
                    let fresh = || Server::new(row.server, row.address.clone(), cells.clone(), self.index);
                    same.unwrap_or_else(|| Rc::new(fresh()))
                })
                .collect();
            servers.extend(list.iter().map(|server| (server.id, server.clone())));
            let budget = old.map_or_else(|| Rc::new(Budget::new(self.slots.now())), |old| old.budget.clone());
            let made = Pool::new(pool.table.clone(), list, budget, old.map(Rc::as_ref));
            pools.insert(pool.table.id, Rc::new(made));
        }
        let services = view.services.iter().map(|service| (service.name.clone(), local(service, &pools)));
        let picture = Picture { generation: view.generation, services: services.collect(), pools };
        self.see_off(&view, &servers);
        *self.picture.borrow_mut() = Rc::new(picture);
        *self.servers.borrow_mut() = servers;
        self.obey(&view);
    }

    /// Kept connections of a server that gets nothing new are given up; sessions are cut where the table says so.
    fn obey(&self, view: &View) {
        let mut cut = Vec::new();
        for row in view.pools.iter().flat_map(|pool| &pool.table.rows) {
            if let Duty::Out(sessions) = row.duty {
                if let Some(server) = self.servers.borrow().get(&row.server) {
                    server.forget_idle();
                }
                if sessions == Sessions::Cut {
                    cut.push(row.server);
                }
            }
        }
        if !cut.is_empty() {
            self.slots.cut(|server| cut.contains(&server));
        }
    }

    /// Notes who leaves: from now on the patience of the services counts for what they still have.
    fn see_off(&self, view: &View, servers: &HashMap<ServerId, Rc<Server>>) {
        let patience = |pool: PoolId| {
            let users = view.services.iter().filter(|it| it.routes.iter().any(|route| route.pool == pool));
            users.map(|service| service.limits.drain).max().unwrap_or(Limits::default().drain)
        };
        let mut leaving = self.leaving.borrow_mut();
        let mut now_leaving = HashMap::new();
        let mut add = |server: ServerId, patience: Span| {
            let due = self.slots.now().saturating_add(patience.as_millis());
            now_leaving.insert(server, leaving.get(&server).copied().unwrap_or(due));
        };
        for pool in &view.pools {
            for row in pool.table.rows.iter().filter(|row| row.duty == Duty::Drain) {
                add(row.server, patience(pool.table.id));
            }
        }
        let removed = |id: &&ServerId| !servers.contains_key(*id) && self.slots.has(**id);
        let known = self.servers.borrow();
        for id in known.keys().chain(leaving.keys()).filter(removed) {
            let longest = view.services.iter().map(|service| service.limits.drain).max();
            add(*id, longest.unwrap_or(Limits::default().drain));
        }
        *leaving = now_leaving;
    }

    fn cut_leavers(&self) {
        let now = self.slots.now();
        let mut leaving = self.leaving.borrow_mut();
        if leaving.values().any(|due| *due <= now) {
            self.slots.cut(|server| leaving.get(&server).is_some_and(|due| *due <= now));
            // They are noted still, so that a later table does not start their time anew.
            leaving.values_mut().filter(|due| **due <= now).for_each(|due| *due = u64::MAX);
        }
    }

    /// Opens this worker's sockets of new doors and closes those of doors that are gone.
    async fn tend(self: &Rc<Self>, gates: &mut Vec<Gate>) {
        let view = self.shared.view();
        let gone = |gate: &mut Gate| !view.doors.iter().any(|door| Arc::ptr_eq(door, &gate.door));
        let closed: Vec<Gate> = gates.extract_if(.., gone).collect();
        let any = !closed.is_empty();
        self.close(closed.into_iter()).await;
        if any {
            // Kept connections of a removed service have nothing more to wait for.
            self.slots.wake_all(false);
        }
        if view.held {
            return;
        }
        for door in &view.doors {
            if let Some(raw) = door.take(self.index) {
                match Acceptor::new(raw) {
                    Ok(acceptor) => gates.push(self.open(door.clone(), acceptor)),
                    Err(error) => tracing::warn!("listen {}: {error}", door.listen.address),
                }
            }
        }
    }

    fn open(self: &Rc<Self>, door: Arc<Door>, acceptor: Acceptor) -> Gate {
        let acceptor = Rc::new(acceptor);
        let task = spawn_local(accept(self.clone(), door.clone(), acceptor.clone()));
        Gate { door, acceptor, task }
    }

    /// Closes gates, once the clients that the kernel already let in are taken over.
    async fn close(self: &Rc<Self>, gates: impl Iterator<Item = Gate>) {
        for gate in gates {
            gate.task.abort();
            // It ends by the abort, and nobody is interested in its way out.
            let _ = gate.task.await;
            let mut cx = Context::from_waker(Waker::noop());
            while !self.is_full()
                && let Poll::Ready(Ok((socket, from))) = gate.acceptor.poll_accept(&mut cx)
            {
                self.welcome(&gate.door, socket, from);
            }
        }
    }

    /// Gives a new connection a task.
    fn welcome(self: &Rc<Self>, door: &Arc<Door>, socket: Socket, from: Option<SocketAddr>) {
        let picture = self.picture();
        let Some(local) = self.service(&picture, &door.service) else { return };
        if self.slots.count() == 0 {
            self.slots.tick(self.began.elapsed().as_millis() as u64);
            self.awake.notify_one();
        }
        let (worker, slot) = (self.clone(), self.slots.add());
        match door.listen.protocol {
            Protocol::Http => drop(spawn_local(http::serve(worker, slot, local, socket, from))),
            Protocol::Tcp => drop(spawn_local(tcp::serve(worker, slot, local, socket, from))),
        }
    }

    /// Receives into the scratch buffer behind what `held` holds, which moves there too. The answer is how many
    /// bytes there are from [`HEADROOM`] on; zero is the end of the stream.
    pub(super) fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        socket: &Socket,
        held: &mut Option<Chunk>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let before = held.as_ref().map_or(0, |chunk| chunk.bytes().len());
        let mut scratch = self.scratch.borrow_mut();
        let from = HEADROOM + before;
        let to = (from + most).min(scratch.len());
        let count = ready!(socket.poll_read(cx, &mut scratch[from..to]))?;
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        if let Some(mut chunk) = held.take() {
            scratch[HEADROOM..from].copy_from_slice(chunk.bytes());
            chunk.clear();
            self.chunks.put(chunk);
        }
        Poll::Ready(Ok(before + count))
    }

    /// Moves what `held` holds back into the scratch buffer; the answer is how much that is.
    pub(super) fn unhold(&self, held: &mut Option<Chunk>) -> usize {
        let Some(mut chunk) = held.take() else { return 0 };
        let count = chunk.bytes().len();
        self.scratch.borrow_mut()[HEADROOM..HEADROOM + count].copy_from_slice(chunk.bytes());
        chunk.clear();
        self.chunks.put(chunk);
        count
    }

    /// Puts bytes of the scratch buffer aside before somebody else reads into it.
    pub(super) fn hold(&self, from: usize, to: usize) -> Option<Chunk> {
        if from == to {
            return None;
        }
        let mut chunk = self.chunks.take();
        chunk.push(&self.scratch.borrow()[from..to]);
        Some(chunk)
    }
}

fn local(service: &Arc<Service>, pools: &HashMap<PoolId, Rc<Pool>>) -> Rc<Local> {
    let routes = service.routes.iter();
    let routes =
        routes.filter_map(|route| pools.get(&route.pool).map(|pool| (route.prefix.clone(), pool.clone())));
    Rc::new(Local { service: service.clone(), routes: routes.collect() })
}

/// An open door of this worker.
struct Gate {
    door: Arc<Door>,
    acceptor: Rc<Acceptor>,
    task: JoinHandle<()>,
}

async fn accept(worker: Rc<Worker>, door: Arc<Door>, acceptor: Rc<Acceptor>) {
    let mut told: Option<Instant> = None;
    let mut tell = |what: &dyn std::fmt::Display| {
        if told.is_none_or(|told| told.elapsed() >= ACCEPT_TOLD) {
            tracing::warn!("listen {}: {what}", door.listen.address);
            told = Some(Instant::now());
        }
    };
    loop {
        if worker.is_full() {
            let most = worker.most;
            tell(&format_args!(
                "worker {} has its {most} clients, more of them wait: the limit of open descriptors allows no more",
                worker.index
            ));
            tokio::time::sleep(FULL_PAUSE).await;
            continue;
        }
        match std::future::poll_fn(|cx| acceptor.poll_accept(cx)).await {
            Ok((socket, from)) => worker.welcome(&door, socket, from),
            Err(error) => {
                let passing = matches!(error.raw_os_error(), Some(libc::ECONNABORTED | libc::EINTR));
                if !passing {
                    tell(&format_args!("accept: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
