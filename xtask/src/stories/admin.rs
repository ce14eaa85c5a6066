//! What the daemon says of itself: its status, asked every 50 ms over the admin socket and kept as a timeline.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Asks for the status as long as it lives.
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<Sample>>>,
    over: Arc<AtomicBool>,
}

/// The status at a moment.
#[derive(Clone)]
pub(crate) struct Sample {
    /// When it was answered.
    pub(crate) at: Instant,
    /// The pools, by name.
    pub(crate) pools: Vec<Pool>,
}

/// One pool of a status.
#[derive(Clone)]
pub(crate) struct Pool {
    /// Its name.
    pub(crate) name: String,
    /// Who gets new work, sorted.
    pub(crate) serving: Vec<String>,
    /// `(name, health, duty)`.
    pub(crate) servers: Vec<(String, String, String)>,
}

impl Watch {
    /// Begins when the socket answers; an error if it does not do so in time.
    pub(crate) fn start(socket: &Path, patience: Duration) -> Result<Watch, String> {
        let deadline = Instant::now() + patience;
        let first = loop {
            match sample(socket) {
                Ok(first) => break first,
                Err(error) if Instant::now() > deadline => return Err(format!("no status: {error}")),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let seen = Arc::new(Mutex::new(vec![first]));
        let over = Arc::new(AtomicBool::new(false));
        let (socket, written, ended): (PathBuf, _, _) = (socket.to_owned(), seen.clone(), over.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                // A daemon that is stopping or starved misses a sample; the conditions judge by what there is.
                if let Ok(sample) = sample(&socket) {
                    written.lock().expect("no holder panics").push(sample);
                }
            }
        });
        Ok(Watch { seen, over })
    }

    /// The latest.
    pub(crate) fn last(&self) -> Sample {
        let seen = self.seen.lock().expect("no holder panics");
        seen.last().cloned().expect("it begins with one")
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Sample> {
        self.seen.lock().expect("no holder panics").clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Sample {
    /// A server's health and duty, in whatever pool it is.
    pub(crate) fn server(&self, name: &str) -> Option<(&str, &str)> {
        let mut servers = self.pools.iter().flat_map(|pool| &pool.servers);
        servers.find(|(known, ..)| known == name).map(|(_, health, duty)| (health.as_str(), duty.as_str()))
    }
}

fn sample(socket: &Path) -> Result<Sample, String> {
    let status = get(socket, "/v1/status")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let pools = list(&status["pools"]).into_iter().map(|pool| {
        let mut serving: Vec<String> = list(&pool["serving"]).iter().map(text).collect();
        serving.sort();
        let servers = list(&pool["servers"]);
        let servers =
            servers.iter().map(|row| (text(&row["name"]), text(&row["health"]), text(&row["duty"])));
        Pool { name: text(&pool["name"]), serving, servers: servers.collect() }
    });
    Ok(Sample { at: Instant::now(), pools: pools.collect() })
}

/// One answer of the admin socket.
fn get(socket: &Path, path: &str) -> Result<Value, String> {
    let plain = |error: std::io::Error| error.to_string();
    let mut stream = UnixStream::connect(socket).map_err(plain)?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(plain)?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: evenkeel\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(plain)?;
    // HTTP/1.0: the answer is not chunked and ends with the connection.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(plain)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(|error| format!("{error}: {answer}"))
}
