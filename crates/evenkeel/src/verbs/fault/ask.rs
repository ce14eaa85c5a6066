//! The client: asks at a steady rate, whatever becomes of the answers, and tells what became of each.
//! It never retries: what it counts is what a user would have seen.

use super::behaviour::duration;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

/// The words of `evenkeel fault ask`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to ask: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock`.
    address: String,
    /// Requests per second.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// What to ask for.
    #[arg(long, default_value = "/")]
    path: String,
    /// How to ask.
    #[arg(long, default_value = "GET")]
    method: String,
    /// A new connection for every request.
    #[arg(long)]
    fresh: bool,
    /// How long to wait for an answer.
    #[arg(long, default_value = "10s", value_parser = |word: &str| duration(word).ok_or("a time like 5s"))]
    timeout: Duration,
}

/// What to ask, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// `HOST:PORT` or `unix:PATH`.
    pub(crate) address: String,
    /// Requests per second, at least 1.
    pub(crate) rate: u32,
    /// The path.
    pub(crate) path: String,
    /// The method; no body is sent.
    pub(crate) method: String,
    /// No connection is used twice.
    pub(crate) fresh: bool,
    /// For a whole request.
    pub(crate) timeout: Duration,
}

/// What became of one request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// When it was asked.
    pub(crate) asked: Instant,
    /// Until the last byte, or the failure.
    pub(crate) took: Duration,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Who answered, by the header `x-server`; empty if nobody said so.
    pub(crate) server: String,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Outcome {
    /// A whole answer with this status.
    Status(u16),
    /// No connection.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer did.
    Cut,
    /// No whole answer in time.
    Timeout,
    /// Bytes that are no HTTP.
    Garbage,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Asks until its input ends, and prints a line for each answer: `status 200 rs1 1234us`.
pub(super) async fn main(args: Args) -> Result<(), String> {
    let question = Question {
        address: args.address,
        rate: args.rate.max(1),
        path: args.path,
        method: args.method,
        fresh: args.fresh,
        timeout: args.timeout,
    };
    let (sender, mut answers) = mpsc::channel(1024);
    let asking = tokio::task::spawn_local(ask(question, sender));
    let print = async {
        while let Some(answer) = answers.recv().await {
            let server = if answer.server.is_empty() { "-" } else { &answer.server };
            println!("{} {server} {}us", answer.outcome, answer.took.as_micros());
            let _a_closed_pipe_ends_us_below = io::stdout().flush();
        }
    };
    let mut lines = super::input_lines();
    let ended = async { while lines.recv().await.is_some() {} };
    tokio::select! {
        () = print => {}
        () = ended => {}
    }
    asking.abort();
    Ok(())
}

/// Asks for ever: the request that is due at a moment is sent at that moment, however many still wait.
pub(crate) async fn ask(question: Question, answers: mpsc::Sender<Answer>) {
    let question = Rc::new(question);
    let idle: Rc<RefCell<Vec<Stream>>> = Rc::default();
    let mut due = tokio::time::interval(Duration::from_secs(1) / question.rate.max(1));
    loop {
        due.tick().await;
        if answers.is_closed() {
            return;
        }
        let (question, idle, answers) = (question.clone(), idle.clone(), answers.clone());
        tokio::task::spawn_local(async move {
            let answer = ask_once(&question, &idle).await;
            let _nobody_listens_is_fine = answers.send(answer).await;
        });
    }
}

async fn ask_once(question: &Question, idle: &RefCell<Vec<Stream>>) -> Answer {
    let asked = Instant::now();
    let mut server = String::new();
    let whole = tokio::time::timeout(question.timeout, exchange(question, idle, &mut server)).await;
    let outcome = match whole {
        Err(_) => Outcome::Timeout,
        Ok(outcome) => outcome,
    };
    Answer { asked, took: asked.elapsed(), outcome, server }
}

async fn exchange(question: &Question, idle: &RefCell<Vec<Stream>>, server: &mut String) -> Outcome {
    let kept = idle.borrow_mut().pop();
    let mut stream = match kept {
        Some(stream) => stream,
        None => match connect(&question.address).await {
            Ok(stream) => stream,
            Err(_) => return Outcome::Refused,
        },
    };
    let end = if question.fresh { "connection: close\r\n" } else { "" };
    let request =
        format!("{} {} HTTP/1.1\r\nhost: evenkeel.test\r\n{end}\r\n", question.method, question.path);
    if let Err(error) = stream.write_all(request.as_bytes()).await {
        return lost(&error);
    }
    let mut heard = Vec::new();
    let outcome = match read_answer(&mut stream, &mut heard, question.method == "HEAD", server).await {
        Ok(outcome) => outcome,
        Err(error) => lost(&error),
    };
    let text = String::from_utf8_lossy(&heard).to_ascii_lowercase();
    let keeps = !question.fresh && !text.contains("connection: close");
    if keeps && matches!(outcome, Outcome::Status(_)) {
        idle.borrow_mut().push(stream);
    }
    outcome
}

/// Reads a whole answer: by its length, by chunks, or to the end. `heard` keeps the head.
async fn read_answer(
    stream: &mut Stream,
    heard: &mut Vec<u8>,
    head_only: bool,
    server: &mut String,
) -> io::Result<Outcome> {
    let end = loop {
        if let Some(at) = heard.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if heard.len() > 64 * 1024 {
            return Ok(Outcome::Garbage);
        }
        if !fill(stream, heard).await? {
            return Ok(if heard.is_empty() { Outcome::Cut } else { Outcome::Garbage });
        }
    };
    let mut body = heard.split_off(end);
    let head = String::from_utf8_lossy(heard).into_owned();
    let Some(status) = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()) else {
        return Ok(Outcome::Garbage);
    };
    *server = field(&head, "x-server").unwrap_or_default();
    let length: Option<usize> = field(&head, "content-length").and_then(|value| value.parse().ok());
    let chunked = field(&head, "transfer-encoding").is_some();
    let bare = head_only || matches!(status, 204 | 304);
    let whole = |body: &[u8]| match length {
        _ if bare => true,
        Some(length) => body.len() >= length,
        None => chunked && body.ends_with(b"0\r\n\r\n"),
    };
    while !whole(&body) {
        if !fill(stream, &mut body).await? {
            let by_end = length.is_none() && !chunked;
            return Ok(if by_end { Outcome::Status(status) } else { Outcome::Cut });
        }
    }
    Ok(Outcome::Status(status))
}

fn field(head: &str, name: &str) -> Option<String> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

fn lost(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Outcome::Reset,
        _ => Outcome::Cut,
    }
}

async fn connect(address: &str) -> io::Result<Stream> {
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok(Stream::Unix(UnixStream::connect(path).await?));
    }
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

async fn fill(stream: &mut Stream, heard: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    let count = match stream {
        Stream::Tcp(stream) => stream.read(&mut buffer).await?,
        Stream::Unix(stream) => stream.read(&mut buffer).await?,
    };
    heard.extend_from_slice(&buffer[..count]);
    Ok(count > 0)
}

impl Stream {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
        }
    }
}

impl Outcome {
    /// Whether a user got what they came for.
    pub(crate) fn good(self) -> bool {
        matches!(self, Outcome::Status(200..=399))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Status(code) => write!(f, "{code}"),
            Outcome::Refused => f.write_str("refused"),
            Outcome::Reset => f.write_str("reset"),
            Outcome::Cut => f.write_str("cut"),
            Outcome::Timeout => f.write_str("timeout"),
            Outcome::Garbage => f.write_str("garbage"),
        }
    }
}
