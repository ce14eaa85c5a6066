//! The thread that writes the state: off the loop, one state at a time, always the newest. A disk that is full or gone
//! is told once and tried again, ever more seldom.

use super::{Place, State};
use evenkeel_core::Time;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two tries on a disk that takes nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The end of the daemon does not wait longer for a disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Told when writing begins to fail, with the error, and when it works again. Called on the keeper's thread.
pub(super) type Tell = Box<dyn Fn(Result<(), String>) + Send>;

/// Writes what it is given.
#[derive(Debug)]
pub struct Keeper {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Desk {
    slot: Mutex<Slot>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    next: Option<State>,
    beat: Option<Time>,
    stop: bool,
    ended: bool,
}

impl Keeper {
    /// Starts the thread.
    pub fn start(place: Place, tell: Box<dyn Fn(Result<(), String>) + Send>) -> std::io::Result<Keeper> {
        let desk = Arc::new(Desk::default());
        let its = desk.clone();
        let thread = std::thread::Builder::new().name("evenkeel-state".into());
        let thread = thread.spawn(move || {
            its.write(&place, &tell);
            its.slot().ended = true;
            its.bell.notify_all();
        })?;
        Ok(Keeper { desk, thread: Some(thread) })
    }

    /// This is to be written, in place of anything that still waits.
    pub fn keep(&self, state: State) {
        self.desk.slot().next = Some(state);
        self.desk.bell.notify_all();
    }

    /// What was written last is still true.
    pub fn beat(&self, now: Time) {
        self.desk.slot().beat = Some(now);
        self.desk.bell.notify_all();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut slot = self.desk.slot();
        slot.stop = true;
        self.desk.bell.notify_all();
        let ended = self.desk.bell.wait_timeout_while(slot, PATIENCE, |slot| !slot.ended);
        let ended = ended.unwrap_or_else(PoisonError::into_inner).0.ended;
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // It has nothing to say even if it panicked: the panic hook has said it.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        // A state is replaced whole, so nobody can have left half of one behind.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, place: &Place, tell: &Tell) {
        let mut pause = FIRST_PAUSE;
        let mut failing = false;
        let mut again: Option<Instant> = None;
        loop {
            let (state, beat, stop) = self.wait(again);
            if let Some(beat) = beat.filter(|_| !failing) {
                place.beat(beat);
            }
            if let Some(state) = state {
                let written = place.write(&state);
                if let Err(error) = &written {
                    let mut slot = self.slot();
                    slot.next.get_or_insert(state);
                    (again, pause) = (Some(Instant::now() + pause), (pause * 2).min(LONGEST_PAUSE));
                    drop(slot);
                    if !std::mem::replace(&mut failing, true) {
                        tell(Err(error.to_string()));
                    }
                } else {
                    (again, pause) = (None, FIRST_PAUSE);
                    if std::mem::take(&mut failing) {
                        tell(Ok(()));
                    }
                }
            }
            if stop {
                return;
            }
        }
    }

    /// What there is to do. Until `again`, nothing is tried.
    fn wait(&self, again: Option<Instant>) -> (Option<State>, Option<Time>, bool) {
        let mut slot = self.slot();
        loop {
            let left = again.map_or(Duration::ZERO, |again| again.saturating_duration_since(Instant::now()));
            if slot.stop || slot.beat.is_some() || (slot.next.is_some() && left.is_zero()) {
                let tries = slot.stop || left.is_zero();
                let state = if tries { slot.next.take() } else { None };
                return (state, slot.beat.take(), slot.stop);
            }
            slot = if slot.next.is_some() {
                self.bell.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.bell.wait(slot).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
}
