//! What all workers see: the table with the counters of its servers and the open doors, immutable, swapped as a
//! whole. A worker compares one number per request to know that its own picture is still right.

use super::counts::Cell;
use super::door::Door;
use arc_swap::ArcSwap;
use evenkeel_core::config::Service;
use evenkeel_core::table::PoolTable;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use tokio::sync::Notify;

/// One state of the world.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) generation: u64,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) pools: Vec<PoolView>,
    pub(super) doors: Vec<Arc<Door>>,
    /// Nobody is let in through the doors yet.
    pub(super) held: bool,
}

/// A pool and the counters of its rows, in their order: one cell per worker.
#[derive(Clone, Debug)]
pub(super) struct PoolView {
    pub(super) table: Arc<PoolTable>,
    pub(super) cells: Vec<Arc<[Cell]>>,
}

/// What the control side and the workers share.
#[derive(Debug)]
pub(super) struct Shared {
    view: ArcSwap<View>,
    generation: AtomicU64,
    phase: AtomicU8,
    /// One per worker, in their order.
    pub(super) workers: Vec<Ear>,
}

/// Where a worker listens for news, and says what it has taken in.
#[derive(Debug, Default)]
pub(super) struct Ear {
    pub(super) news: Notify,
    /// The last generation whose doors it has opened and closed.
    pub(super) done: AtomicU64,
    /// Connections it still has.
    pub(super) connections: AtomicU64,
}

/// Whether the relay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Run = 0,
    /// Nothing new; what is under way is finished.
    Finish = 1,
    /// Everything ends now.
    Quit = 2,
}

impl Shared {
    pub(super) fn new(workers: usize) -> Shared {
        Shared {
            view: ArcSwap::from_pointee(View::default()),
            generation: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Run as u8),
            workers: (0..workers).map(|_| Ear::default()).collect(),
        }
    }

    /// The number of the newest view: the one load of a shared line that a request costs.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Shows a new view to all workers.
    pub(super) fn publish(&self, view: View) {
        let generation = view.generation;
        self.view.store(Arc::new(view));
        self.generation.store(generation, Ordering::Release);
        self.call();
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Run,
            1 => Phase::Finish,
            _ => Phase::Quit,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        self.call();
    }

    fn call(&self) {
        self.workers.iter().for_each(|ear| ear.news.notify_one());
    }
}
