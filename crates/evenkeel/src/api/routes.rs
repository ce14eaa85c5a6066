//! Paths to questions, answers to bytes.

use super::model::Refusal;
use super::order::{BODY_MAX, Body as Wanted, Matter, Order};
use super::{Answer, Question, ask, peer};
use crate::clock;
use crate::run::Message;
use crate::tell::Told;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

/// A follower hears at least an empty line this often, so that a dead connection is noticed.
const BEAT: Duration = Duration::from_secs(15);

const METHODS: &str = "this method is not known here: GET reads; PUT or POST changes …/intent and …/weight";

#[derive(Clone)]
struct Desk {
    loop_: SyncSender<Message>,
    follows: Arc<AtomicBool>,
    /// Who asks, if the kernel says so.
    uid: Option<u32>,
}

/// The router of one connection; `follows` is set when it becomes a stream of events.
/// `uid` is who asks.
pub(super) fn router(desk: SyncSender<Message>, follows: Arc<AtomicBool>, uid: Option<u32>) -> Router {
    let intent = put(intent).post(self::intent);
    let weight = put(weight).post(self::weight);
    let (intent_alone, weight_alone) =
        (put(intent_alone).post(self::intent_alone), put(weight_alone).post(self::weight_alone));
    Router::new()
        .route("/livez", get(live))
        .route("/v1/status", get(|desk| plain(desk, Question::Status)))
        .route("/v1/config", get(|desk| plain(desk, Question::Config)))
        .route("/v1/pools/{pool}", get(pool))
        .route("/v1/pools/{pool}/servers/{server}", get(why))
        .route("/v1/pools/{pool}/servers/{server}/intent", intent)
        .route("/v1/pools/{pool}/servers/{server}/weight", weight)
        .route("/v1/servers/{server}", get(why_alone))
        .route("/v1/servers/{server}/intent", intent_alone)
        .route("/v1/servers/{server}/weight", weight_alone)
        .route("/v1/events", get(events))
        .method_not_allowed_fallback(async || refusal(Refusal::new(405, METHODS)))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Desk { loop_: desk, follows, uid })
}

async fn live(State(desk): State<Desk>) -> Response {
    match ask(&desk.loop_, Question::Live).await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => refusal(error),
    }
}

async fn plain(State(desk): State<Desk>, question: Question) -> Response {
    respond(ask(&desk.loop_, question).await)
}

async fn pool(desk: State<Desk>, Path(pool): Path<String>) -> Response {
    plain(desk, Question::Pool(pool)).await
}

async fn why(desk: State<Desk>, Path((pool, server)): Path<(String, String)>) -> Response {
    plain(desk, Question::Why { pool: Some(pool), server }).await
}

async fn why_alone(desk: State<Desk>, Path(server): Path<String>) -> Response {
    plain(desk, Question::Why { pool: None, server }).await
}

type Sent = Result<Bytes, BytesRejection>;

async fn intent(desk: State<Desk>, Path((pool, server)): Path<(String, String)>, sent: Sent) -> Response {
    order(desk, Some(pool), server, Matter::Intent, sent).await
}

async fn weight(desk: State<Desk>, Path((pool, server)): Path<(String, String)>, sent: Sent) -> Response {
    order(desk, Some(pool), server, Matter::Weight, sent).await
}

async fn intent_alone(desk: State<Desk>, Path(server): Path<String>, sent: Sent) -> Response {
    order(desk, None, server, Matter::Intent, sent).await
}

async fn weight_alone(desk: State<Desk>, Path(server): Path<String>, sent: Sent) -> Response {
    order(desk, None, server, Matter::Weight, sent).await
}

async fn order(
    desk: State<Desk>,
    pool: Option<String>,
    server: String,
    matter: Matter,
    sent: Sent,
) -> Response {
    let peer = match desk.uid {
        Some(uid) => peer::name(uid).await,
        None => "somebody".to_owned(),
    };
    let order = sent.map_err(|error| Refusal::new(error.status().as_u16(), error.body_text()));
    let order = order.and_then(|bytes| {
        let body = Wanted::read(&bytes)?;
        let what = body.judge(matter, clock::wall())?;
        let (author, reason) = (body.author(&peer)?, body.reason()?);
        Ok(Order { pool, server, what, author, reason, until: body.until, force: body.force })
    });
    match order {
        Ok(order) => plain(desk, Question::Order(order)).await,
        Err(error) => refusal(error),
    }
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
    follow: Option<String>,
}

async fn events(
    desk: State<Desk>,
    query: Result<Query<Since>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let Ok(Query(Since { since, follow })) = query else {
        return refusal(Refusal::new(400, "since takes the number of an event: /v1/events?since=12"));
    };
    match follow.as_deref() {
        None | Some("false" | "0") => plain(desk, Question::Events(since)).await,
        Some(_) => {
            desk.follows.store(true, Ordering::Relaxed);
            plain(desk, Question::Follow(since)).await
        }
    }
}

async fn unknown(uri: Uri) -> Response {
    const PATHS: [&str; 5] = ["/livez", "/v1/status", "/v1/config", "/v1/events", "/v1/pools"];
    refusal(Refusal::missing("path", uri.path(), PATHS))
}

fn respond(answer: Result<Answer, Refusal>) -> Response {
    match answer {
        Ok(Answer::Json(text)) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Ok(Answer::Events(events)) => {
            let lines: String = events.iter().map(line).collect();
            ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
        }
        Ok(Answer::Follow(past, future)) => {
            let (lines, body) = mpsc::channel(64);
            tokio::spawn(pour(past, future, lines));
            ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(body))).into_response()
        }
        Err(error) => refusal(error),
    }
}

fn refusal(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(refusal)).into_response()
}

fn line(told: &Arc<Told>) -> String {
    serde_json::to_string(&**told).expect("an event has string keys and no fallible parts") + "\n"
}

/// Writes the past, then whatever comes, until the client or the daemon ends.
async fn pour(past: Vec<Arc<Told>>, mut future: broadcast::Receiver<Arc<Told>>, lines: mpsc::Sender<Bytes>) {
    for told in &past {
        if lines.send(line(told).into()).await.is_err() {
            return;
        }
    }
    loop {
        let next = match tokio::time::timeout(BEAT, future.recv()).await {
            Ok(Ok(told)) => line(&told),
            Ok(Err(RecvError::Lagged(lost))) => format!("{{\"event\":\"lost\",\"lost\":{lost}}}\n"),
            Ok(Err(RecvError::Closed)) => return,
            Err(_) => "\n".to_owned(),
        };
        if lines.send(next.into()).await.is_err() {
            return;
        }
    }
}

/// A body of lines that come when they come.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
