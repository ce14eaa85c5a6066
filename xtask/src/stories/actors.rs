//! The processes of a story: fault servers, real nginx, evenkeel itself, and clients.

use super::script::Actor;
use crate::child;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a process may take to start or to obey.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Server {
    process: Process,
    kind: Kind,
}

enum Kind {
    Fault { orders: ChildStdin, replies: Receiver<String> },
    Nginx { config: PathBuf, name: String, address: String },
}

/// A child whose whole process group ends with this value.
pub(crate) struct Process(pub(crate) Child);

/// A running client and what became of its requests.
pub(crate) struct Client {
    _process: Process,
    answers: Arc<Mutex<Vec<Answer>>>,
}

/// What became of one request.
#[derive(Clone)]
pub(crate) struct Answer {
    /// When it was asked.
    pub(crate) asked: Instant,
    /// Until its end.
    pub(crate) took: Duration,
    /// A status, or `refused`, `reset`, `cut`, `timeout`, `garbage`.
    pub(crate) outcome: String,
    /// Who answered; `-` if nobody said.
    pub(crate) server: String,
}

/// An upgraded connection.
pub(crate) struct Talk {
    alive: Arc<Mutex<bool>>,
}

impl Server {
    /// Starts it and waits until it lets somebody in.
    pub(crate) fn start(actor: &Actor, evenkeel: &Path, folder: &Path) -> Result<Server, String> {
        if actor.nginx { Server::nginx(actor, folder) } else { Server::fault(actor, evenkeel, folder) }
    }

    fn fault(actor: &Actor, evenkeel: &Path, folder: &Path) -> Result<Server, String> {
        let mut command = Command::new(evenkeel);
        command.args(["fault", "serve", &actor.address, "--name", &actor.name, "--obey"]);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command)?;
        let orders = process.0.stdin.take().expect("it was piped");
        let replies = lines(process.0.stdout.take().expect("it was piped"));
        match replies.recv_timeout(PATIENCE) {
            Ok(line) if line == "ready" => Ok(Server { process, kind: Kind::Fault { orders, replies } }),
            other => Err(format!("server {} did not start: {other:?}", actor.name)),
        }
    }

    fn nginx(actor: &Actor, folder: &Path) -> Result<Server, String> {
        let folder = folder.join(format!("nginx-{}", actor.name));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let config = folder.join("nginx.conf");
        write_nginx(&config, &actor.name, &actor.address, 200)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder).arg("-c").arg(&config).stdin(Stdio::null());
        let process = Process::start(command)?;
        let kind = Kind::Nginx { config, name: actor.name.clone(), address: actor.address.clone() };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(&actor.address).is_err() {
            if Instant::now() > deadline {
                return Err(format!("nginx {} did not start", actor.name));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Server { process, kind })
    }

    /// Tells it how to behave, and waits until it does.
    pub(crate) fn tell(&mut self, behaviour: &str) -> Result<(), String> {
        match &mut self.kind {
            Kind::Fault { orders, replies } => {
                writeln!(orders, "{behaviour}").map_err(|error| error.to_string())?;
                match replies.recv_timeout(PATIENCE) {
                    Ok(line) if line.starts_with("done ") => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            }
            Kind::Nginx { config, name, address } => {
                let status = match behaviour.split_whitespace().collect::<Vec<_>>()[..] {
                    ["ok"] => 200,
                    ["status", code] => code.parse().map_err(|_| "no status")?,
                    _ => return Err("an nginx knows only `ok` and `status N`".to_owned()),
                };
                write_nginx(config, name, address, status)?;
                // SAFETY: plain system call; the process is our child and not yet waited for.
                unsafe { libc::kill(self.process.0.id().cast_signed(), libc::SIGHUP) };
                Ok(())
            }
        }
    }

    /// How many requests it has read.
    pub(crate) fn heard(&mut self) -> Result<u64, String> {
        let Kind::Fault { orders, replies } = &mut self.kind else {
            return Err("an nginx does not count".to_owned());
        };
        writeln!(orders, "counts").map_err(|error| error.to_string())?;
        let line = replies.recv_timeout(PATIENCE).map_err(|error| error.to_string())?;
        let mut words = line.split(' ').skip_while(|word| *word != "requests");
        words.nth(1).and_then(|count| count.parse().ok()).ok_or(line)
    }

    /// SIGSTOP, SIGCONT: to all its processes.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: plain system call; the group was made for this child, which is not yet waited for.
        unsafe { libc::kill(-self.process.0.id().cast_signed(), signal) };
    }
}

fn write_nginx(path: &Path, name: &str, address: &str, status: u16) -> Result<(), String> {
    let folder = path.parent().expect("the file lies in a folder").display();
    let text = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n    access_log off;\n    client_body_temp_path {folder}/body;\n    \
         proxy_temp_path {folder}/proxy;\n    fastcgi_temp_path {folder}/fastcgi;\n    \
         uwsgi_temp_path {folder}/uwsgi;\n    scgi_temp_path {folder}/scgi;\n    \
         server {{\n        listen {address};\n        location / {{\n            \
         add_header x-server {name} always;\n            return {status} \"{name} OK\\n\";\n        \
         }}\n    }}\n}}\n"
    );
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

impl Process {
    /// Starts it in a group of its own; it dies with this thread.
    pub(crate) fn start(mut command: Command) -> Result<Process, String> {
        child::tie(&mut command);
        let told = format!("{:?}", command.get_program());
        command.spawn().map(Process).map_err(|error| format!("{told}: {error}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        child::end_group(&self.0);
        let _it_was_killed = self.0.wait();
    }
}

impl Client {
    /// Starts asking.
    pub(crate) fn start(
        evenkeel: &Path,
        folder: &Path,
        address: &str,
        words: &[String],
    ) -> Result<Client, String> {
        let mut command = Command::new(evenkeel);
        command.args(["fault", "ask", address]).args(words).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command)?;
        let answers: Arc<Mutex<Vec<Answer>>> = Arc::default();
        let written = answers.clone();
        let output = process.0.stdout.take().expect("it was piped");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let answer = read_answer(&line, Instant::now());
                written.lock().expect("no holder panics").extend(answer);
            }
        });
        Ok(Client { _process: process, answers })
    }

    /// All answers so far.
    pub(crate) fn answers(&self) -> Vec<Answer> {
        self.answers.lock().expect("no holder panics").clone()
    }
}

fn read_answer(line: &str, at: Instant) -> Option<Answer> {
    let mut words = line.split(' ');
    let (outcome, server) = (words.next()?.to_owned(), words.next()?.to_owned());
    let took = Duration::from_micros(words.next()?.trim_end_matches("us").parse().ok()?);
    Some(Answer { asked: at.checked_sub(took)?, took, outcome, server })
}

impl Answer {
    /// Whether a user got what they came for.
    pub(crate) fn good(&self) -> bool {
        self.outcome.len() == 3 && self.outcome.starts_with(['2', '3'])
    }
}

impl Talk {
    /// Asks for an upgrade, then says something every 100 ms and wants to hear it back within a second.
    pub(crate) fn start(address: &str) -> Result<Talk, String> {
        let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).map_err(|error| error.to_string())?;
        let request = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).map_err(|error| format!("no answer to the upgrade: {error}"))?;
            head.extend_from_slice(&byte);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(format!("no upgrade: {}", String::from_utf8_lossy(&head)));
        }
        let alive = Arc::new(Mutex::new(true));
        let told = alive.clone();
        std::thread::spawn(move || {
            let mut heard = [0; 5];
            while stream.write_all(b"hello").is_ok() && stream.read_exact(&mut heard).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
            *told.lock().expect("no holder panics") = false;
        });
        Ok(Talk { alive })
    }

    /// Whether it still does.
    pub(crate) fn alive(&self) -> bool {
        *self.alive.lock().expect("no holder panics")
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
