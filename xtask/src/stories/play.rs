//! Plays a story: does each step, waits no longer than it says, and on failure shows what everybody saw.

use super::actors::{Client, Process, Server, Talk};
use super::admin::Watch;
use super::script::{Act, Condition, Story, When};
use super::timeline;
use crate::child;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Everything that runs while a story is played.
pub(crate) struct Stage<'s> {
    story: &'s Story,
    evenkeel: PathBuf,
    folder: PathBuf,
    servers: BTreeMap<String, Server>,
    clients: BTreeMap<String, Client>,
    talks: BTreeMap<String, Talk>,
    daemon: Option<Process>,
    watch: Option<Watch>,
    /// The last thing that was done to anyone.
    done: Instant,
    /// `(when, what)`, for the timeline.
    marks: Vec<(Instant, String)>,
}

/// How long the daemon may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// What `served by` and `get` look at.
const RECENT: Duration = Duration::from_millis(500);

impl<'s> Stage<'s> {
    /// An empty stage; `folder` is the story's own.
    pub(crate) fn new(story: &'s Story, evenkeel: &Path, folder: &Path) -> Stage<'s> {
        Stage {
            story,
            evenkeel: evenkeel.to_owned(),
            folder: folder.to_owned(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            talks: BTreeMap::new(),
            daemon: None,
            watch: None,
            done: Instant::now(),
            marks: Vec::new(),
        }
    }

    /// All steps. The error tells which failed and draws everything up to it.
    pub(crate) fn play(&mut self) -> Result<(), String> {
        let began = Instant::now();
        for step in &self.story.steps {
            if !matches!(step.act, Act::Must(..) | Act::Wait(_)) {
                self.done = Instant::now();
                self.marks.push((self.done, step.text.clone()));
            }
            if let Err(why) = self.act(&step.act) {
                let at = began.elapsed().as_secs_f64();
                let what = format!("{}.story:{}: {}\n  {why}", self.story.name, step.line, step.text);
                return Err(format!("{what} (at {at:.2} s)\n{}\n{}", self.drawing(), self.log()));
            }
        }
        Ok(())
    }

    /// The servers' duties and the clients' fortunes, side by side in time.
    pub(crate) fn drawing(&self) -> String {
        let samples = self.watch.as_ref().map(Watch::all).unwrap_or_default();
        let clients = self.clients.iter().map(|(name, client)| (name.clone(), client.answers())).collect();
        timeline::draw(&samples, &clients, &self.marks)
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Start(names) => self.start(names),
            Act::Run(options) => self.run(options),
            Act::Reload(name) => self.reload(name),
            Act::RunFails(unprivileged, texts) => self.run_fails(*unprivileged, texts),
            Act::Stop => self.stop(),
            Act::Kill(names) => {
                names.iter().for_each(|name| drop(self.servers.remove(name)));
                Ok(())
            }
            Act::Freeze(names) => self.signal(names, libc::SIGSTOP),
            Act::Thaw(names) => self.signal(names, libc::SIGCONT),
            Act::Tell(name, behaviour) => self.server(name)?.tell(behaviour),
            Act::Ask(name, address, words) => {
                let client = Client::start(&self.evenkeel, &self.folder, address, words)?;
                self.clients.insert(name.clone(), client);
                Ok(())
            }
            Act::Talk(name, address) => {
                self.talks.insert(name.clone(), Talk::start(address)?);
                Ok(())
            }
            Act::Wait(span) => {
                std::thread::sleep(*span);
                Ok(())
            }
            Act::Must(when, what) => self.must(*when, what),
        }
    }

    fn start(&mut self, names: &[String]) -> Result<(), String> {
        for actor in &self.story.actors {
            let meant = if names.is_empty() { !actor.absent } else { names.contains(&actor.name) };
            if meant && !self.servers.contains_key(&actor.name) {
                let server = Server::start(actor, &self.evenkeel, &self.folder)?;
                self.servers.insert(actor.name.clone(), server);
            }
        }
        self.done = Instant::now();
        Ok(())
    }

    fn command(&self) -> Result<Command, String> {
        let file = self.write_config(&self.story.configs[0].1)?;
        let mut command = Command::new(&self.evenkeel);
        command.arg("run").arg(&file).arg("--socket").arg(self.socket());
        command.current_dir(&self.folder).stdin(Stdio::null());
        Ok(command)
    }

    fn write_config(&self, text: &str) -> Result<PathBuf, String> {
        let file = self.folder.join("evenkeel.conf");
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    fn reload(&mut self, name: &str) -> Result<(), String> {
        let config = self.story.configs.iter().find(|(known, _)| known == name);
        self.write_config(&config.ok_or("no config is called so")?.1)?;
        let daemon = self.daemon.as_ref().ok_or("evenkeel does not run")?;
        // SAFETY: plain system call; the process is our child and not yet waited for.
        unsafe { libc::kill(daemon.0.id().cast_signed(), libc::SIGHUP) };
        Ok(())
    }

    fn run(&mut self, options: &[String]) -> Result<(), String> {
        let mut command = self.command()?;
        command.args(options);
        let log = std::fs::File::create(self.folder.join("log")).map_err(|error| error.to_string())?;
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        self.daemon = Some(Process::start(command)?);
        self.watch = Some(Watch::start(&self.socket(), PATIENCE)?);
        self.done = Instant::now();
        Ok(())
    }

    fn run_fails(&self, unprivileged: bool, texts: &[String]) -> Result<(), String> {
        let mut command = self.command()?;
        if unprivileged {
            let plain = command;
            command = Command::new("setpriv");
            command.args(["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]);
            command.arg(plain.get_program()).args(plain.get_args()).current_dir(&self.folder);
        }
        let done = child::run(command, PATIENCE, child::Show::Nothing).map_err(|error| error.to_string())?;
        if done.status.is_none_or(|status| status.success()) {
            return Err(format!("it did not fail: {}", done.text));
        }
        match texts.iter().find(|text| !done.text.contains(*text)) {
            Some(text) => Err(format!("it does not say `{text}` but:\n{}", done.text)),
            None => Ok(()),
        }
    }

    fn stop(&mut self) -> Result<(), String> {
        let mut daemon = self.daemon.take().ok_or("evenkeel does not run")?;
        // SAFETY: plain system call; the process is our child and not yet waited for.
        unsafe { libc::kill(daemon.0.id().cast_signed(), libc::SIGTERM) };
        let status = child::wait(&mut daemon.0, PATIENCE).map_err(|error| error.to_string())?;
        match status {
            Some(status) if status.success() => Ok(()),
            other => Err(format!("it ended with {other:?}")),
        }
    }

    fn signal(&mut self, names: &[String], signal: i32) -> Result<(), String> {
        names.iter().try_for_each(|name| self.server(name).map(|server| server.signal(signal)))
    }

    fn must(&mut self, when: When, what: &Condition) -> Result<(), String> {
        match when {
            When::Now => self.judge(what),
            When::For(span) => {
                let end = Instant::now() + span;
                while Instant::now() < end {
                    self.judge(what)?;
                    std::thread::sleep(Duration::from_millis(20));
                }
                Ok(())
            }
            When::Within(from, to) => loop {
                let verdict = self.judge(what);
                let waited = self.done.elapsed();
                match verdict {
                    Ok(()) if waited < from => return Err(format!("already after {waited:.1?}")),
                    Ok(()) => return Ok(()),
                    Err(why) if waited > to => return Err(why),
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            },
        }
    }

    fn judge(&mut self, what: &Condition) -> Result<(), String> {
        match what {
            Condition::Serves(pool, wanted) => {
                let sample = self.watch()?.last();
                let pool = sample.pools.iter().find(|known| known.name == *pool).ok_or("no such pool")?;
                expect(pool.serving == *wanted, || format!("it serves {}", pool.serving.join(" ")))
            }
            Condition::Server(name, word) => {
                let sample = self.watch()?.last();
                let (health, duty) = sample.server(name).ok_or("no such server")?;
                expect(word == health || word == duty, || format!("it is {health}, {duty}"))
            }
            Condition::Log(wanted, text) => {
                let has = self.log().contains(text.as_str());
                expect(has == *wanted, || format!("it {}", if has { "has it" } else { "lacks it" }))
            }
            Condition::File(name, text) => {
                let has = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
                expect(has.contains(text.as_str()), || format!("it has:\n{has}"))
            }
            Condition::Why(server, text) => {
                let mut command = Command::new(&self.evenkeel);
                command.args(["why", server, "--socket"]).arg(self.socket());
                let done = child::run(command, PATIENCE, child::Show::Nothing);
                let said = done.map_err(|error| error.to_string())?.text;
                expect(said.contains(text.as_str()), || format!("it says:\n{said}"))
            }
            Condition::Talks(name, wanted) => {
                let alive = self.talks.get(name).ok_or("no such connection")?.alive();
                expect(alive == *wanted, || format!("it {}", if alive { "talks" } else { "is cut" }))
            }
            Condition::Heard(name, most) => {
                let heard = self.server(name)?.heard()?;
                expect(heard <= *most, || format!("it heard {heard}"))
            }
            Condition::ServedBy(name, _)
            | Condition::Gets(name, _)
            | Condition::Lost(name, _)
            | Condition::Waited(name, _) => {
                let client = self.clients.get(name).ok_or("no such client")?;
                judge_answers(&client.answers(), what)
            }
        }
    }

    fn server(&mut self, name: &str) -> Result<&mut Server, String> {
        self.servers.get_mut(name).ok_or_else(|| format!("server {name} does not run"))
    }

    fn watch(&self) -> Result<&Watch, String> {
        self.watch.as_ref().ok_or_else(|| "evenkeel does not run".to_owned())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

fn judge_answers(answers: &[super::actors::Answer], what: &Condition) -> Result<(), String> {
    let now = Instant::now();
    let recent: Vec<_> = answers.iter().filter(|answer| now.duration_since(answer.asked) < RECENT).collect();
    match what {
        Condition::Lost(_, most) => {
            let lost: Vec<&str> =
                answers.iter().filter(|answer| !answer.good()).map(|answer| &*answer.outcome).collect();
            expect(lost.len() <= *most && !answers.is_empty(), || {
                format!("{} of {} were lost: {}", lost.len(), answers.len(), timeline::counted(&lost))
            })
        }
        Condition::Waited(_, most) => {
            let longest = answers.iter().map(|answer| answer.took).max().ok_or("nobody asked")?;
            expect(longest <= *most, || format!("one waited {longest:?}"))
        }
        Condition::Gets(_, outcome) => {
            let other = recent.iter().find(|answer| answer.outcome != *outcome);
            expect(!recent.is_empty() && other.is_none(), || {
                other.map_or("no answers".to_owned(), |answer| format!("they get {}", answer.outcome))
            })
        }
        Condition::ServedBy(_, wanted) => {
            let mut servers: Vec<String> = recent.iter().map(|answer| answer.server.clone()).collect();
            servers.sort();
            servers.dedup();
            let good = recent.iter().all(|answer| answer.good());
            expect(good && servers == *wanted, || {
                let failed = if good { "" } else { ", and some failed" };
                format!("they are served by {}{failed}", servers.join(" "))
            })
        }
        _ => unreachable!("only conditions about clients come here"),
    }
}

fn expect(holds: bool, otherwise: impl Fn() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
