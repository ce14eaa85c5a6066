//! The processes of the demo: three servers, a sorry server and evenkeel itself, all this same program. They end
//! with this value, and with this process however it ends.

use super::NAMES;
use super::script::{Fault, Kind};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Everybody who takes part.
pub(super) struct Cast {
    folder: PathBuf,
    servers: Vec<Server>,
    daemon: Child,
    /// Where users come to.
    pub(super) front: SocketAddr,
}

struct Server {
    name: &'static str,
    address: SocketAddr,
    process: Option<Child>,
}

/// The name of the server that is there when no other is.
pub(super) const SORRY: &str = "sorry";

impl Cast {
    /// Starts everybody. The folder for config, log and socket is made here and removed at the end.
    pub(super) fn start() -> Result<Cast, String> {
        let folder = std::env::temp_dir().join(format!("evenkeel-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let [front, addresses @ ..] = free_addresses().map_err(|error| format!("no free port: {error}"))?;
        let names = [NAMES[0], NAMES[1], NAMES[2], SORRY];
        let mut servers: Vec<Server> = names
            .into_iter()
            .zip(addresses)
            .map(|(name, address)| Server { name, address, process: None })
            .collect();
        servers.iter_mut().try_for_each(Server::start)?;
        let file = folder.join("evenkeel.conf");
        std::fs::write(&file, config(front, &servers)).map_err(|error| error.to_string())?;
        let log = std::fs::File::create(folder.join("log")).map_err(|error| error.to_string())?;
        let mut run = this_program()?;
        run.arg("run").arg(&file).arg("--socket").arg(folder.join("admin.sock"));
        run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let daemon = spawn(run)?;
        Ok(Cast { folder, servers, daemon, front })
    }

    /// Where evenkeel answers questions.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    /// What evenkeel was told.
    pub(super) fn config(&self) -> String {
        read(&self.folder.join("evenkeel.conf"))
    }

    /// What evenkeel has logged.
    pub(super) fn log(&self) -> String {
        read(&self.folder.join("log"))
    }

    /// Whether evenkeel is still there.
    pub(super) fn stands(&mut self) -> bool {
        matches!(self.daemon.try_wait(), Ok(None))
    }

    /// Makes it go wrong with one server.
    pub(super) fn begin(&mut self, kind: Kind, whom: usize) -> Result<(), String> {
        let server = &mut self.servers[whom];
        match kind {
            Kind::Freeze => server.signal(libc::SIGSTOP),
            Kind::Kill => server.kill(),
            Kind::Break => {
                server.tell("50% status 503")?;
                server.tell("at /health status 503")?;
            }
        }
        Ok(())
    }

    /// Mends it.
    pub(super) fn mend(&mut self, fault: &Fault) -> Result<(), String> {
        for whom in &fault.whom {
            let server = &mut self.servers[*whom];
            match fault.kind {
                Kind::Freeze => server.signal(libc::SIGCONT),
                Kind::Kill => server.start()?,
                Kind::Break => server.tell("ok")?,
            }
        }
        Ok(())
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        // The users have gone, so there is nothing left to drain.
        let _it_may_be_gone = self.daemon.kill();
        let _it_was_killed = self.daemon.wait();
        self.servers.iter_mut().for_each(Server::kill);
        let _a_leftover_folder_does_no_harm = std::fs::remove_dir_all(&self.folder);
    }
}

impl Server {
    fn start(&mut self) -> Result<(), String> {
        let mut serve = this_program()?;
        serve.args(["fault", "serve", &self.address.to_string(), "--name", self.name, "--obey"]);
        let mut process = spawn_piped(serve)?;
        let mut line = String::new();
        let output = process.stdout.as_mut().expect("it was piped");
        // It answers at once or dies; either way the line ends.
        let heard = BufReader::new(output).read_line(&mut line);
        self.process = Some(process);
        match heard {
            Ok(_) if line.trim() == "ready" => Ok(()),
            _ => Err(format!("{} did not start on {}", self.name, self.address)),
        }
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _it_may_be_gone = process.kill();
            let _it_was_killed = process.wait();
        }
    }

    fn tell(&mut self, behaviour: &str) -> Result<(), String> {
        let orders = self.process.as_mut().and_then(|process| process.stdin.as_mut());
        let orders = orders.ok_or_else(|| format!("{} is not there", self.name))?;
        writeln!(orders, "{behaviour}").map_err(|error| format!("{}: {error}", self.name))
    }

    fn signal(&self, signal: i32) {
        if let Some(process) = &self.process {
            // SAFETY: plain system call; the process is our child and not yet waited for, so the id is its own.
            unsafe { libc::kill(process.id().cast_signed(), signal) };
        }
    }
}

fn config(front: SocketAddr, servers: &[Server]) -> String {
    let mut rows = String::new();
    for server in servers {
        let Server { name, address, .. } = server;
        let row = match *name {
            SORRY => format!("    backup {name} {address}\n"),
            name => format!("    server {name} {address}\n"),
        };
        rows.push_str(&row);
    }
    format!(
        "service web {{\n    listen {front} http\n    pool web\n    retry 2 on connect reset timeout 503\n    \
         timeout first-byte 2s\n}}\npool web {{\n{rows}    balance least\n    slow-start 2s\n    \
         check http /health every 500ms timeout 200ms fast 200ms\n}}\n"
    )
}

/// Addresses that were free a moment ago: the front and the four servers.
fn free_addresses() -> io::Result<[SocketAddr; 5]> {
    let listener = || TcpListener::bind("127.0.0.1:0");
    // All are held until all are known, so that they differ.
    let held = [listener()?, listener()?, listener()?, listener()?, listener()?];
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); 5];
    for (address, listener) in addresses.iter_mut().zip(&held) {
        *address = listener.local_addr()?;
    }
    Ok(addresses)
}

fn this_program() -> Result<Command, String> {
    std::env::current_exe().map(Command::new).map_err(|error| format!("where is this program? {error}"))
}

fn spawn_piped(mut command: Command) -> Result<Child, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    spawn(command)
}

/// A child in a group of its own, so that a Ctrl-C reaches only us, and with our fate: the kernel kills it when
/// the thread that started it, the main one, ends.
fn spawn(mut command: Command) -> Result<Child, String> {
    command.process_group(0);
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
