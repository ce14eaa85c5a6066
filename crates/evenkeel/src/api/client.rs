//! The verbs' side of the admin API: one request over the socket, with a deadline.

use super::model::Refusal;
use super::socket;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// For a whole exchange; for the head alone when events are followed.
const DEADLINE: Duration = Duration::from_secs(5);
/// Of an answer, in bytes: 100,000 servers fit.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// Where the daemon is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct Door {
    /// The admin socket [default: /run/evenkeel/evenkeel.sock as root, else $XDG_RUNTIME_DIR/evenkeel.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// Nobody listens, or may not be asked.
    Connect(PathBuf, std::io::Error),
    /// No socket was named and there is no default.
    NoPath,
    /// The daemon says no.
    Refused(Refusal),
    /// It did not speak as it should.
    Broken(String),
}

impl Door {
    /// The socket that is meant.
    pub fn path(&self) -> Option<PathBuf> {
        self.socket.clone().or_else(socket::default_path)
    }

    /// Asks for a document of the model.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let text = self.text(path)?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::Broken(format!("not the JSON expected: {error}")))
    }

    /// Asks for a document as it is.
    pub fn text(&self, path: &str) -> Result<Vec<u8>, Error> {
        self.exchange("GET", path, Vec::new())
    }

    /// Puts a document of the model there; the answer as it is.
    pub fn put(&self, path: &str, body: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Broken(error.to_string()))?;
        self.exchange("PUT", path, body)
    }

    fn exchange(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Error> {
        let socket = self.path().ok_or(Error::NoPath)?;
        runtime()?.block_on(async {
            let whole = async {
                let answer = open(&socket, method, path, body).await?;
                let body = Limited::new(answer, ANSWER_MAX).collect().await;
                body.map(|body| body.to_bytes().to_vec()).map_err(|error| Error::Broken(error.to_string()))
            };
            tokio::time::timeout(DEADLINE, whole).await.unwrap_or_else(|_| Err(late()))
        })
    }

    /// Asks for a stream of lines and hands them on, one by one and without their ends, until `line` answers
    /// `false` or the daemon ends the stream.
    pub fn lines(&self, path: &str, line: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Error> {
        let socket = self.path().ok_or(Error::NoPath)?;
        runtime()?.block_on(async {
            let answer = tokio::time::timeout(DEADLINE, open(&socket, "GET", path, Vec::new())).await;
            let mut answer = answer.unwrap_or_else(|_| Err(late()))?;
            let mut rest = Vec::new();
            while let Some(frame) = answer.frame().await {
                let frame = frame.map_err(|error| Error::Broken(error.to_string()))?;
                rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    if end > 0 && !line(&rest[..end]) {
                        return Ok(());
                    }
                    rest.drain(..=end);
                }
            }
            Ok(())
        })
    }
}

/// Sends the request; returns the body of a 200.
async fn open(socket: &Path, method: &str, path: &str, body: Vec<u8>) -> Result<Incoming, Error> {
    let broken = |error: hyper::Error| Error::Broken(error.to_string());
    let stream =
        UnixStream::connect(socket).await.map_err(|error| Error::Connect(socket.to_owned(), error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Its error is also the answer's.
    tokio::spawn(async move { connection.await.is_ok() });
    let request = hyper::Request::builder().method(method).uri(path).header("host", "evenkeel");
    let request = request.body(Full::<Bytes>::new(body.into()));
    let request = request.map_err(|error| Error::Broken(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    if answer.status() == hyper::StatusCode::OK {
        return Ok(answer.into_body());
    }
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), 64 * 1024).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let plain = || Refusal::new(status, String::from_utf8_lossy(&body).trim());
    Err(Error::Refused(serde_json::from_slice(&body).unwrap_or_else(|_| plain())))
}

fn late() -> Error {
    Error::Broken(format!("no answer within {}s", DEADLINE.as_secs()))
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::Broken(format!("no runtime: {error}")))
}

/// A name as one segment of a path (RFC 3986, section 2.1).
pub fn segment(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect(path, error) if error.kind() == std::io::ErrorKind::PermissionDenied => write!(
                f,
                "may not use the admin socket {}: ask as root or as a member of its group, or name another with \
                 --socket PATH",
                path.display()
            ),
            Error::Connect(path, error) => write!(
                f,
                "no evenkeel answers on {} ({error}): start one with `evenkeel run FILE`, or name its socket with \
                 --socket PATH",
                path.display()
            ),
            Error::NoPath => f.write_str(
                "which evenkeel? Neither root nor XDG_RUNTIME_DIR is set, so name its socket: --socket PATH",
            ),
            Error::Refused(refusal) => {
                f.write_str(&refusal.error)?;
                match &refusal.did_you_mean {
                    Some(name) => write!(f, ", did you mean \"{name}\"?"),
                    None => Ok(()),
                }
            }
            Error::Broken(error) => write!(f, "the daemon's answer is broken: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn names_cannot_leave_their_segment() {
        assert_eq!(segment("rs1"), "rs1");
        assert_eq!(segment("../a b/ü?"), "..%2Fa%20b%2F%C3%BC%3F");
    }
}
