//! The admin API: HTTP/1.1 with JSON on a unix socket. It knows nothing: every question goes to the loop, with
//! a deadline, and the loop answers when it is its turn.

pub mod client;
pub mod model;
pub mod order;
mod peer;
mod routes;
pub mod socket;

use crate::run::Message;
use crate::tell::Told;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use model::Refusal;
use order::Order;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, oneshot};

/// Connections at a time. More wait in the listener's backlog.
const CONNECTIONS: usize = 64;
/// Until a client has sent its head.
const HEAD: Duration = Duration::from_secs(5);
/// For a whole exchange, unless it follows the events.
const EXCHANGE: Duration = Duration::from_secs(30);
/// For an answer of the loop.
const ANSWER: Duration = Duration::from_secs(4);

/// A question to the loop, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What.
    pub question: Question,
    /// If nobody waits any more, the answer is lost, and that is fine.
    pub reply: oneshot::Sender<Result<Answer, Refusal>>,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Everything at a glance.
    Status,
    /// One pool.
    Pool(String),
    /// The verdict on one server. Without a pool its name must be unique.
    Why {
        /// In which pool.
        pool: Option<String>,
        /// Which one.
        server: String,
    },
    /// The events after a number.
    Events(u64),
    /// Those, and every one to come.
    Follow(u64),
    /// The config that holds.
    Config,
    /// Something is wanted of a server.
    Order(Order),
    /// Whether the loop turns.
    Live,
}

/// What the loop says.
#[derive(Debug)]
pub enum Answer {
    /// A JSON document.
    Json(String),
    /// Events, oldest first.
    Events(Vec<Arc<Told>>),
    /// Events, and where the next ones come from.
    Follow(Vec<Arc<Told>>, broadcast::Receiver<Arc<Told>>),
}

impl Answer {
    /// Any of the model's types.
    pub fn json(value: &impl serde::Serialize) -> Answer {
        Answer::Json(serde_json::to_string(value).expect("the model has string keys and no fallible parts"))
    }
}

impl Refusal {
    /// Something that does not exist, with the name that was perhaps meant.
    pub fn missing<'c>(what: &str, name: &str, others: impl IntoIterator<Item = &'c str>) -> Refusal {
        let did_you_mean = evenkeel_syntax::closest(name, others).map(str::to_owned);
        Refusal { status: 404, error: format!("no {what} \"{name}\""), did_you_mean }
    }

    /// Any other.
    pub fn new(status: u16, error: impl Into<String>) -> Refusal {
        Refusal { status, error: error.into(), did_you_mean: None }
    }
}

/// Answers on the socket until the runtime ends.
pub async fn serve(listener: UnixListener, desk: SyncSender<Message>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tokio::spawn(async move {
                    converse(stream, desk).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("admin socket: {error}");
                // Mostly: no descriptor is free. Trying at once would only burn the core.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One request, one answer, one connection.
async fn converse(stream: UnixStream, desk: SyncSender<Message>) {
    let follows = Arc::new(AtomicBool::new(false));
    let uid = stream.peer_cred().map(|peer| peer.uid()).ok();
    let service = TowerToHyperService::new(routes::router(desk, follows.clone(), uid));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false).max_buf_size(16 * 1024);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::time::timeout(EXCHANGE, connection.as_mut()).await;
    if ended.is_err() && follows.load(Ordering::Relaxed) {
        let _client_went_away = connection.await;
    }
}

/// Puts a question to the loop.
async fn ask(desk: &SyncSender<Message>, question: Question) -> Result<Answer, Refusal> {
    let (reply, answer) = oneshot::channel();
    if desk.try_send(Message::Asked(Asked { question, reply })).is_err() {
        return Err(Refusal::new(503, "the daemon is too busy to answer"));
    }
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Refusal::new(503, "the daemon is stopping")),
        Err(_) => Err(Refusal::new(504, "the daemon did not answer in time")),
    }
}
