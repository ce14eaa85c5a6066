//! Child processes that cannot outlive their deadline or their parent, and whose output is kept.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What became of a child.
pub(crate) struct Done {
    /// How it ended; `None` if it was killed at its deadline.
    pub(crate) status: Option<ExitStatus>,
    /// What it wrote, both streams as they came.
    pub(crate) text: String,
    /// How long it ran.
    pub(crate) took: Duration,
}

/// Whether a child's lines are shown as they come.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Show {
    /// All of them.
    All,
    /// None of them.
    Nothing,
}

/// A command in the workspace's root, told in words.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command has a name"));
    command.args(words).current_dir(root());
    command
}

/// The workspace's root.
pub(crate) fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// A program that the workspace's build made, beside this one: `evenkeel`, `examples/fuzz_dialogues`.
pub(crate) fn built(name: &str) -> std::path::PathBuf {
    let this = std::env::current_exe().expect("the kernel knows where a running program lies");
    this.parent().expect("a program lies in a folder").join(name)
}

/// Runs a command to its end or its deadline; then its whole process group is killed.
pub(crate) fn run(mut command: Command, limit: Duration, show: Show) -> io::Result<Done> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    tie(&mut command);
    let began = Instant::now();
    let mut child = command.spawn()?;
    // The command holds the pipe's writing end; the reader below sees its end only when all have let go.
    drop(command);
    let lines = std::thread::spawn(move || {
        let mut text = String::new();
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if show == Show::All {
                println!("{line}");
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    });
    let status = wait(&mut child, limit)?;
    end_group(&child);
    if status.is_none() {
        child.wait()?;
    }
    let text = lines.join().expect("reading lines does not panic");
    Ok(Done { status, text, took: began.elapsed() })
}

/// Waits for a child, but no longer than `limit`.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Gives the child a process group of its own and its parent's fate. The kernel means the parent *thread*: a
/// child is to be started by a thread that outlives it.
pub(crate) fn tie(command: &mut Command) {
    command.process_group(0);
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

/// Kills what is left of a child's process group.
pub(crate) fn end_group(child: &Child) {
    let group = child.id().cast_signed();
    // SAFETY: plain system call. The group is the child's own (see `tie`), and its id cannot have been given
    // away while a member is left; with none left the call fails, which is as good.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// Whether this process may do anything.
pub(crate) fn is_root() -> bool {
    // SAFETY: plain system call without arguments.
    unsafe { libc::geteuid() == 0 }
}

impl Done {
    /// Whether it ended by itself, and well.
    pub(crate) fn good(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}
