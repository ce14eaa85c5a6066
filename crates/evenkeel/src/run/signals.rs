//! Signals to messages. SIGHUP reloads; SIGTERM and SIGINT stop, and a second one stops at once.

use super::Message;
use crate::lines::Lines;
use std::sync::mpsc::{SyncSender, TrySendError};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit status after a second signal: what a shell reports for a process that SIGTERM ended.
const AT_ONCE: i32 = 128 + libc::SIGTERM;

/// The signals, caught.
#[derive(Debug)]
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches them from now on. To be called within a runtime.
    pub(super) fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Passes them on until the runtime ends.
    pub(super) async fn listen(mut self, desk: SyncSender<Message>, log: &Lines) {
        let mut stopping = false;
        loop {
            let message = tokio::select! {
                _ = self.hangup.recv() => Message::Reload,
                _ = self.terminate.recv() => Message::Stop,
                _ = self.interrupt.recv() => Message::Stop,
            };
            if matches!(message, Message::Stop) && std::mem::replace(&mut stopping, true) {
                tracing::warn!("second signal: ending at once");
                log.flush();
                std::process::exit(AT_ONCE);
            }
            if let Err(TrySendError::Full(_)) = desk.try_send(message) {
                tracing::warn!("the loop is too busy for a signal; send it again");
                stopping = false;
            }
        }
    }
}
