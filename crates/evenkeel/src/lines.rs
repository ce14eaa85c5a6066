//! Lines on their way to a file or a terminal that may be slow, or stuck for good: a thread writes them, a bounded
//! queue stands before it, and what finds that full is lost and counted. Whoever writes a line never waits.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that may wait.
const WAITING: usize = 4096;
/// At the end, what waits is given so long to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// Where lines are put. Clones put into the same queue.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: SyncSender<Job>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Lines {
    /// Starts the thread that writes to `out`.
    pub fn start(out: Box<dyn Write + Send>) -> std::io::Result<Lines> {
        let (queue, jobs) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        thread::Builder::new().name("lines".into()).spawn(move || write(out, &jobs, &counted))?;
        Ok(Lines { queue, lost })
    }

    /// Puts one line, its end included.
    pub fn put(&self, line: Vec<u8>) {
        if self.queue.try_send(Job::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was put is written, but not for longer than a second.
    pub fn flush(&self) {
        let until = Instant::now() + FLUSH;
        let (done, wait) = sync_channel(1);
        let mut job = Job::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(job) {
            if Instant::now() >= until {
                return;
            }
            job = back;
            thread::sleep(Duration::from_millis(1));
        }
        let _stuck = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn write(mut out: Box<dyn Write + Send>, jobs: &Receiver<Job>, lost: &AtomicU64) {
    for job in jobs {
        let missing = lost.swap(0, Ordering::Relaxed);
        // A line that cannot be written has nowhere else to go.
        if missing > 0 {
            let _full = writeln!(out, "evenkeel: {missing} lines were lost, for this was too slow");
        }
        match job {
            Job::Line(line) => drop(out.write_all(&line)),
            Job::Flush(done) => {
                let _full = out.flush();
                let _gave_up = done.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Writes nothing until it may.
    struct Gate(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _open_for_good = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_nobodys_time_and_the_loss_is_told() {
        let (open, gate) = sync_channel(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::start(Box::new(Gate(gate, written.clone()))).unwrap();
        for number in 0..WAITING + 100 {
            lines.put(format!("{number}\n").into_bytes());
        }
        drop(open);
        lines.flush();
        lines.put(b"last\n".to_vec());
        lines.flush();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let kept = text.lines().filter(|line| line.parse::<usize>().is_ok()).count();
        let told = text
            .lines()
            .find_map(|line| line.strip_prefix("evenkeel: ")?.split(' ').next()?.parse::<usize>().ok());
        assert_eq!(kept + told.unwrap(), WAITING + 100, "{text}");
        assert!(text.ends_with("last\n"));
    }
}
