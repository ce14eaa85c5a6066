//! Signals to messages. SIGHUP reloads; SIGTERM and SIGINT stop, and a second one stops at once.

use super::Message;
use std::sync::mpsc::{SyncSender, TrySendError};
use tokio::signal::unix::{SignalKind, signal};

/// Exit status after a second signal: what a shell reports for a process that SIGTERM ended.
const AT_ONCE: i32 = 128 + libc::SIGTERM;

/// Listens until the runtime ends.
pub async fn listen(desk: SyncSender<Message>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut stopping = false;
    loop {
        let message = tokio::select! {
            _ = hangup.recv() => Message::Reload,
            _ = terminate.recv() => Message::Stop,
            _ = interrupt.recv() => Message::Stop,
        };
        if matches!(message, Message::Stop) && std::mem::replace(&mut stopping, true) {
            tracing::warn!("second signal: ending at once");
            std::process::exit(AT_ONCE);
        }
        if let Err(TrySendError::Full(_)) = desk.try_send(message) {
            tracing::warn!("the loop is too busy for a signal; send it again");
            stopping = false;
        }
    }
}
