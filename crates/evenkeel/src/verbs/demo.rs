//! `evenkeel demo`: shows what evenkeel does: servers that fail, traffic that does not. Three small servers on
//! loopback, evenkeel's relay in front of them, a client at a steady rate, and faults one after another.

mod cast;
mod picture;
mod script;
mod tally;

use super::fault::ask::{Answer, Question, ask};
use super::fault::duration;
use crate::api::client::Door;
use crate::api::model::{Status, Why};
use crate::screen;
use cast::{Cast, SORRY};
use picture::Picture;
use script::Fault;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tally::{State, Tally};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Shows what evenkeel does: servers that fail, traffic that does not.
///
/// Every request is a GET and may be tried at two other servers (`retry 2 on connect reset timeout 503`), within
/// the retry budget of 20 % of the requests and 3 a second. The demo stays within that budget, so not one
/// request may fail: if one does, or a fault is not noticed, the exit code is 1. On a slow machine it takes
/// longer: a fault is mended once it was noticed, and the next one waits until all is well again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How long it takes, from 12s to 10m
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = length)]
    length: Duration,
    /// Draws the order of faults and servers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests per second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(10..=1000))]
    rate: u32,
}

/// The servers, by number.
const NAMES: [&str; 3] = ["app1", "app2", "app3"];
/// How often the state is looked at and drawn.
const TICK: Duration = Duration::from_millis(100);
/// How much longer than asked for it may take where everything is slow.
const OVERTIME: Duration = Duration::from_secs(30);
/// Between two servers of one fault: what the first one lost has its answer from another by then. For a request
/// that two servers reset gets no third try, because it may be what kills them.
const APART: Duration = Duration::from_secs(1);
/// How long evenkeel may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does it.
pub fn main(args: Args) -> ExitCode {
    match show(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("evenkeel demo: {error}");
            ExitCode::from(2)
        }
    }
}

struct Show {
    cast: Cast,
    door: Door,
    faults: Vec<Fault>,
    picture: Picture,
    tally: Tally,
    start: Instant,
    /// How many servers the present fault has struck, and when it struck the last of them.
    struck: usize,
    last_strike: Instant,
    /// How many of evenkeel's log lines were told.
    told: usize,
    /// Lines of the last drawing, to be drawn over.
    drawn: usize,
    live: bool,
    coloured: bool,
    /// Whoever read along has gone (`| head`).
    alone: bool,
}

/// Whether all went as it should.
fn show(args: &Args) -> Result<bool, String> {
    let mut cast = Cast::start()?;
    let door = Door { socket: Some(cast.socket()) };
    wait_for_daemon(&mut cast, &door)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut users = Users::start(cast.front.to_string(), args.rate, stop.clone())?;
    let faults = script::plan(args.length, args.seed);
    let mut show = Show {
        door,
        picture: Picture::new(args.length, &[NAMES[0], NAMES[1], NAMES[2], SORRY]),
        tally: Tally::new(&faults),
        faults,
        cast,
        start: Instant::now(),
        struck: 0,
        last_strike: Instant::now(),
        told: 0,
        drawn: 0,
        live: std::io::stdout().is_terminal(),
        coloured: screen::coloured(),
        alone: false,
    };
    show.introduce(args);
    while show.goes_on(args.length) && !show.alone && !stop.load(Ordering::Relaxed) {
        let next = Instant::now() + TICK;
        show.act()?;
        show.look()?;
        users.hear(|answer| show.hear(answer));
        show.tell();
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    // What is still under way gets the time that the relay gives it.
    users.leave(|answer| show.hear(answer));
    // A show that nobody saw to its end has not failed.
    Ok(show.alone || show.end(stop.load(Ordering::Relaxed)))
}

impl Show {
    fn introduce(&mut self, args: &Args) {
        let Args { length, rate, seed } = args;
        let mut text = format!(
            "evenkeel with this config, {rate} requests a second, and faults for {}s (seed {seed}):\n\n",
            length.as_secs()
        );
        for line in self.cast.config().lines() {
            text.push_str(&format!("    {}\n", screen::paint(line, screen::Tone::Dim, self.coloured)));
        }
        self.put(&(text + "\n"));
    }

    /// Begins and mends the faults that are due, one after another.
    fn act(&mut self) -> Result<(), String> {
        let now = self.start.elapsed();
        for at in 0..self.faults.len() {
            let fault = self.faults[at].clone();
            match self.tally.state(at) {
                State::Ahead if now < fault.from => return Ok(()),
                State::Ahead => {
                    self.tally.began(at);
                    self.say(&format!(">> {}", fault.words(&NAMES)));
                    self.strike(&fault)?;
                }
                State::Begun => self.strike(&fault)?,
                State::Noticed if now >= fault.to => {
                    self.cast.mend(&fault)?;
                    self.struck = 0;
                    self.tally.mended(at);
                    self.say(">> mended");
                }
                State::Noticed => {}
                State::Mended => return Ok(()),
                State::Over => continue,
            }
            self.picture.fault(now, fault.letter());
            return Ok(());
        }
        Ok(())
    }

    /// Does the fault to the next of its servers, if that is due.
    fn strike(&mut self, fault: &Fault) -> Result<(), String> {
        let Some(whom) = fault.whom.get(self.struck) else { return Ok(()) };
        if self.struck == 0 || self.last_strike.elapsed() >= APART {
            self.cast.begin(fault.kind, *whom)?;
            self.struck += 1;
            self.last_strike = Instant::now();
        }
        Ok(())
    }

    /// Whether the time is not over, or something has yet to be noticed or to come back.
    fn goes_on(&self, length: Duration) -> bool {
        let now = self.start.elapsed();
        now < length || (!self.tally.settled() && now < length + OVERTIME)
    }

    /// Asks evenkeel how things are.
    fn look(&mut self) -> Result<(), String> {
        let status: Status = self.door.get("/v1/status").map_err(|error| {
            let log = self.cast.log();
            format!("{error}\n{log}")
        })?;
        let at = self.start.elapsed();
        let mut servers = Vec::new();
        for (number, server) in status.pools.iter().flat_map(|pool| &pool.servers).enumerate() {
            let duty = match server.duty.as_str() {
                "serving" => '#',
                "draining" => '~',
                _ => '-',
            };
            let why: Result<Why, _> = self.door.get(&format!("/v1/pools/web/servers/{}", server.name));
            let history = why.ok().and_then(|why| why.checks.first()?.history.chars().last());
            self.picture.server(at, number, history.unwrap_or(' '), duty);
            servers.push((duty == '#', server.reason.clone()));
        }
        self.tally.servers(Instant::now(), &servers);
        Ok(())
    }

    fn hear(&mut self, answer: &Answer) {
        self.tally.answer(answer);
        let at = answer.asked.saturating_duration_since(self.start);
        self.picture.user(at, answer.outcome.good());
    }

    /// Tells what evenkeel has logged since, and draws.
    fn tell(&mut self) {
        let log = self.cast.log();
        let news: Vec<String> = log.lines().skip(self.told).map(str::to_owned).collect();
        self.told += news.len();
        for line in news.iter().filter(|line| line.contains("pool web")) {
            // The time and the level of a log line are of no use here.
            self.say(line.splitn(3, ' ').last().unwrap_or(line));
        }
        if self.live {
            self.draw();
        }
    }

    fn say(&mut self, line: &str) {
        self.wipe();
        self.put(&format!("{:5.1}s  {line}\n", self.start.elapsed().as_secs_f64()));
    }

    fn draw(&mut self) {
        self.wipe();
        let text = format!("\n{}{}\n", self.picture.draw(self.coloured), self.tally.line());
        self.drawn = text.lines().count();
        self.put(&text);
    }

    /// Takes the drawing off the terminal (ECMA-48: CPL, ED).
    fn wipe(&mut self) {
        if self.drawn > 0 {
            self.put(&format!("\x1b[{}F\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    fn put(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        self.alone |= out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }

    fn end(&mut self, stopped: bool) -> bool {
        self.wipe();
        let (total, failed) = self.tally.total();
        let (picture, tally) = (self.picture.draw(self.coloured), self.tally.line());
        let table = self.tally.table(&NAMES, self.start, self.coloured);
        self.put(&format!("\n{picture}\n{tally}\n\n{table}\n"));
        let missed = self.tally.missed();
        if missed > 0 {
            self.put(&format!("{missed} faults were not noticed, or their servers did not come back\n"));
        }
        let last = match failed {
            _ if stopped => format!("stopped after {:.0}s\n", self.start.elapsed().as_secs_f64()),
            0 => "no request failed\n".to_owned(),
            _ => format!("{failed} of {total} requests failed, and none should have\n"),
        };
        self.put(&last);
        failed == 0 && total > 0 && missed == 0
    }
}

fn wait_for_daemon(cast: &mut Cast, door: &Door) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status: Result<Status, _> = door.get("/v1/status");
        let ready = |status: &Status| {
            let servers = status.pools.iter().flat_map(|pool| &pool.servers);
            servers.filter(|server| !server.backup).all(|server| server.health == "up")
        };
        if status.is_ok_and(|status| ready(&status)) {
            return Ok(());
        }
        if !cast.stands() || Instant::now() > deadline {
            return Err(format!("evenkeel did not start with\n{}\n{}", cast.config(), cast.log()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The client, in a thread of its own, and the ear for Ctrl-C.
struct Users {
    answers: mpsc::Receiver<Answer>,
    leave: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Users {
    fn start(address: String, rate: u32, stop: Arc<AtomicBool>) -> Result<Users, String> {
        let (sender, answers) = mpsc::channel(4096);
        let (leave, left) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let timeout = Duration::from_secs(5);
        let question =
            Question { address, rate, path: "/".into(), method: "GET".into(), fresh: false, timeout };
        std::thread::spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let interrupted = tokio::task::spawn_local(async move {
                    if interrupted().await.is_ok() {
                        stop.store(true, Ordering::Relaxed);
                    }
                });
                tokio::select! {
                    () = ask(question, sender) => {}
                    _ = left => {}
                }
                interrupted.abort();
            });
            // Requests under way go on until they end; their senders keep the channel open.
            runtime.block_on(local);
        });
        Ok(Users { answers, leave: Some(leave) })
    }

    fn hear(&mut self, mut heard: impl FnMut(&Answer)) {
        while let Ok(answer) = self.answers.try_recv() {
            heard(&answer);
        }
    }

    /// Asks no more, and waits for the answers that are due.
    fn leave(&mut self, mut heard: impl FnMut(&Answer)) {
        drop(self.leave.take());
        while let Some(answer) = self.answers.blocking_recv() {
            heard(&answer);
        }
    }
}

/// Waits for Ctrl-C, for a polite end, or for the terminal to go.
async fn interrupted() -> std::io::Result<()> {
    let mut end = signal(SignalKind::terminate())?;
    let mut gone = signal(SignalKind::hangup())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = end.recv() => {}
        _ = gone.recv() => {}
    }
    Ok(())
}

fn length(word: &str) -> Result<Duration, String> {
    let allowed = Duration::from_secs(12)..=Duration::from_secs(600);
    let length = duration(word).ok_or("a time like 30s or 2m")?;
    if allowed.contains(&length) { Ok(length) } else { Err("from 12s to 10m".to_owned()) }
}
