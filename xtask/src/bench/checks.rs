//! What a check costs, beside HAProxy's: two network namespaces joined by a wire, the checker alone on core
//! 1, the servers on core 0. The kernel counts the checks (`TcpActiveOpens`) and the time of the core, never
//! the checker itself; runs alternate, and what counts is the median of their ratios.

use super::{Peers, Row};
use crate::child::{self, Show, command, is_root};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each side; odd, for a median.
const RUNS: usize = 3;
/// The first round is over and every pool of sockets filled.
const WARM: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(3);
/// A port whose servers leave closing to the checker, and one whose servers close after their answer.
const KEEP: u16 = 8080;
const CLOSE: u16 = 8081;
const HALF_OPEN: &str = "check half-open every 1s timeout 1s";
const HTTP_RST: &str = "check http /health every 1s timeout 1s close rst";
const HTTP: &str = "check http /health every 1s timeout 1s";

/// Measures, with nothing else of weight running.
pub(super) fn run(peers: &Peers) -> Result<Vec<Row>, String> {
    if !is_root() || std::thread::available_parallelism().map_or(1, |cores| cores.get()) < 2 {
        return Err("the bench of checks needs root (for network namespaces) and two cores".to_owned());
    }
    super::build("--package evenkeel-check --example bench_checks")?;
    let rig = Rig::new(peers)?;
    let noise = rig.noise();
    println!("core 1 is {noise:.1} % busy with nothing to do; that is part of every figure");
    let half_open = rig.compare("half-open", HALF_OPEN, "", 10_000, RUNS)?;
    let http = rig.compare("http fresh, both closed by RST", HTTP_RST, HTTPCHK, 10_000, RUNS)?;
    let by_fin = rig.ours(HTTP, 10_000, CLOSE)?;
    let quiet = rig.compare("half-open", HALF_OPEN, "", 1_000, 1)?;
    let quiet_http = rig.compare("http fresh, both closed by RST", HTTP_RST, HTTPCHK, 1_000, 1)?;
    let bytes = rig.bytes_per_target()?;
    let (error, middle) = rig.interval()?;
    Ok(vec![
        half_open.row(Some(1.7)),
        http.row(Some(1.5)),
        Row {
            what: "http fresh, closed by FIN as by default, 10,000/s: core us".to_owned(),
            goal: String::new(),
            got: by_fin.text(),
            met: None,
        },
        quiet.row(None),
        quiet_http.row(None),
        Row {
            what: "memory per further target".to_owned(),
            goal: "<= 0.3 KiB".to_owned(),
            got: format!("{:.3} KiB", bytes / 1024.0),
            met: Some(bytes <= 0.3 * 1024.0),
        },
        Row {
            what: "mean interval of 10,000 checks, off by".to_owned(),
            goal: "<= 0.1 ms".to_owned(),
            got: format!("{:+.3} ms (HAProxy: {:+.3} ms)", error, middle),
            met: Some(error.abs() <= 0.1),
        },
    ])
}

/// What one check cost.
#[derive(Clone, Copy)]
struct Cost {
    /// Of the core, all of it: the checker, the kernel's part of its packets, wake-ups.
    core: f64,
    /// Of the checker's process.
    process: f64,
    /// Checks per second, by the kernel's count.
    rate: f64,
}

impl Cost {
    fn text(self) -> String {
        format!("{:.1} (process {:.1}) at {:.0}/s", self.core, self.process, self.rate)
    }
}

struct Comparison {
    what: String,
    ours: Cost,
    theirs: Cost,
    ratio: f64,
    process_ratio: f64,
}

impl Comparison {
    fn row(self, goal: Option<f64>) -> Row {
        let Comparison { what, ours, theirs, ratio, process_ratio } = self;
        let (ours, theirs) = (ours.text(), theirs.text());
        Row {
            what: format!("{what}: core us, HAProxy's / ours"),
            goal: goal.map_or_else(String::new, |goal| format!(">= {goal:.2}")),
            got: format!("{ratio:.2} (process {process_ratio:.2}); ours {ours}, HAProxy {theirs}"),
            met: goal.map(|goal| ratio >= goal),
        }
    }
}

const HTTPCHK: &str = " option httpchk GET /health\n";
const CHECKER: &str = "ek-bench-c";
const SERVERS: &str = "ek-bench-s";
const BACKLOG: &str = "/proc/sys/net/core/netdev_max_backlog";

/// The namespaces, the servers in one of them, and what was changed on the host.
struct Rig {
    haproxy: PathBuf,
    example: PathBuf,
    config: PathBuf,
    backlog: String,
    servers: Option<Child>,
}

impl Rig {
    fn new(peers: &Peers) -> Result<Rig, String> {
        let backlog = std::fs::read_to_string(BACKLOG).map_err(|error| format!("{BACKLOG}: {error}"))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let mut rig = Rig {
            haproxy: peers.haproxy.clone(),
            example: child::root().join(target).join("release/examples/bench_checks"),
            config: std::env::temp_dir().join(format!("evenkeel-bench-{}.cfg", std::process::id())),
            backlog: backlog.trim().to_owned(),
            servers: None,
        };
        if rig.backlog.parse::<u32>().is_ok_and(|backlog| backlog < 30_000) {
            println!("sets net.core.netdev_max_backlog from {} to 30000 (put back at the end)", rig.backlog);
            std::fs::write(BACKLOG, "30000").map_err(|error| format!("{BACKLOG}: {error}"))?;
        }
        rig.lay_wire()?;
        let mut servers = inside(SERVERS, 0, &rig.example);
        servers.args(["serve", &KEEP.to_string(), &CLOSE.to_string()]);
        rig.servers = Some(servers.stdout(Stdio::null()).spawn().map_err(|error| error.to_string())?);
        std::thread::sleep(Duration::from_millis(500));
        Ok(rig)
    }

    fn lay_wire(&self) -> Result<(), String> {
        for name in [CHECKER, SERVERS] {
            let _ = Command::new("ip").args(["netns", "delete", name]).stderr(Stdio::null()).status();
            shell(&format!("ip netns add {name}"))?;
        }
        shell(&format!("ip link add name wire netns {CHECKER} type veth peer name wire netns {SERVERS}"))?;
        for (name, address, core) in [(CHECKER, "10.77.0.1/24", 2), (SERVERS, "10.77.0.2/24", 1)] {
            shell(&format!("ip -n {name} address add {address} dev wire"))?;
            shell(&format!("ip -n {name} link set wire up"))?;
            shell(&format!("ip -n {name} link set lo up"))?;
            // Each side's packets are received on its own core. Gone with the namespace.
            let steer = format!("echo {core} > /sys/class/net/wire/queues/rx-0/rps_cpus");
            let done = Command::new("ip").args(["netns", "exec", name, "sh", "-c", &steer]).status();
            done.map_err(|error| error.to_string())?;
        }
        shell(&format!("ip -n {CHECKER} route add 10.78.0.0/16 via 10.77.0.2"))?;
        shell(&format!("ip -n {SERVERS} route add local 10.78.0.0/16 dev lo"))?;
        shell(&format!("ip netns exec {SERVERS} sysctl -qw net.core.somaxconn=65535"))
    }

    /// How busy core 1 is without us, in percent.
    fn noise(&self) -> f64 {
        let (before, begin) = (core_1(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        (core_1() - before) / begin.elapsed().as_secs_f64() * 100.0
    }

    fn compare(
        &self,
        what: &str,
        line: &str,
        haproxy: &str,
        count: u32,
        runs: usize,
    ) -> Result<Comparison, String> {
        let mut pairs = Vec::new();
        for _ in 0..runs {
            pairs.push((self.ours(line, count, KEEP)?, cost(self.haproxy(haproxy, count)?, count)?));
        }
        pairs.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
        let (ours, theirs) = pairs[runs / 2];
        let mut by_process: Vec<f64> =
            pairs.iter().map(|(ours, theirs)| theirs.process / ours.process).collect();
        by_process.sort_by(f64::total_cmp);
        Ok(Comparison {
            what: format!("{what}, {count}/s"),
            ours,
            theirs,
            ratio: ratio(&(ours, theirs)),
            process_ratio: by_process[runs / 2],
        })
    }

    fn ours(&self, line: &str, count: u32, port: u16) -> Result<Cost, String> {
        let mut asking = inside(CHECKER, 1, &self.example);
        let seconds = (WARM + WINDOW).as_secs() + 60;
        asking.args(["ask", line, &count.to_string(), &port.to_string(), &seconds.to_string()]);
        cost(asking, count)
    }

    fn haproxy(&self, option: &str, count: u32) -> Result<Command, String> {
        let mut text = format!(
            "global\n nbthread 1\n maxconn 1000\ndefaults\n mode http\n timeout connect 1s\n \
             timeout client 1s\n timeout server 1s\n timeout check 1s\n\
             frontend none\n bind 127.0.0.1:9\n default_backend all\n\
             backend all\n{option}"
        );
        for server in 0..count {
            let [a, b, c, d] = (0x0a4e_0001 + server).to_be_bytes();
            text += &format!(" server s{server} {a}.{b}.{c}.{d}:{KEEP} check inter 1s fall 3 rise 2\n");
        }
        std::fs::write(&self.config, text).map_err(|error| format!("{}: {error}", self.config.display()))?;
        let mut asking = inside(CHECKER, 1, &self.haproxy);
        asking.args(["-db", "-q", "-f"]).arg(&self.config);
        Ok(asking)
    }

    /// What a target adds to the process, from the difference of two sizes.
    fn bytes_per_target(&self) -> Result<f64, String> {
        let resident = |count: u32| {
            let mut asking = inside(CHECKER, 1, &self.example);
            asking.args(["ask", "check half-open every 5s timeout 1s", &count.to_string(), "8080", "6"]);
            let done = child::run(asking, Duration::from_secs(30), Show::Nothing);
            let text = done.map_err(|error| error.to_string())?.text;
            let figure = text.lines().find_map(|line| line.strip_prefix("resident "));
            let figure = figure.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            figure.ok_or_else(|| format!("bench_checks ask said {text:?}"))
        };
        Ok((resident(22_000)? - resident(2_000)?) / 20_000.0)
    }

    /// How far the mean interval is off, in milliseconds: ours and HAProxy's, from a tap at the servers' end.
    fn interval(&self) -> Result<(f64, f64), String> {
        let mut ours = inside(CHECKER, 1, &self.example);
        ours.args(["ask", HALF_OPEN, "10000", &KEEP.to_string(), "60"]);
        let ours = self.tap(ours)?;
        Ok((ours, self.tap(self.haproxy("", 10_000)?)?))
    }

    fn tap(&self, asking: Command) -> Result<f64, String> {
        let asking = Running::start(asking)?;
        std::thread::sleep(WARM);
        let mut tap = inside(SERVERS, 0, &self.example);
        tap.args(["tap", "12"]);
        let done = child::run(tap, Duration::from_secs(30), Show::Nothing);
        drop(asking);
        let text = done.map_err(|error| error.to_string())?.text;
        let mean = text.lines().find_map(|line| line.strip_prefix("mean "));
        let mean = mean.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok((mean.ok_or_else(|| format!("bench_checks tap said {text:?}"))? - 1.0) * 1e3)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mut servers) = self.servers.take() {
            let _ = servers.kill();
            let _ = servers.wait();
        }
        for name in [CHECKER, SERVERS] {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
        let _ = std::fs::write(BACKLOG, &self.backlog);
        let _ = std::fs::remove_file(&self.config);
    }
}

/// A checker at work.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Result<Running, String> {
        child::tie(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Running).map_err(|error| error.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        child::end_group(&self.0);
        let _ = self.0.wait();
    }
}

fn cost(asking: Command, count: u32) -> Result<Cost, String> {
    let running = Running::start(asking)?;
    let process = Path::new("/proc").join(running.0.id().to_string());
    std::thread::sleep(WARM);
    let before = (Instant::now(), core_1(), run_time(&process), opens(&process)?);
    std::thread::sleep(WINDOW);
    let after = (core_1(), run_time(&process), opens(&process)?, before.0.elapsed().as_secs_f64());
    let checks = after.2 - before.3;
    let rate = checks / after.3;
    if rate < f64::from(count) * 0.7 {
        return Err(format!("only {rate:.0} of {count} checks a second: the machine is too busy to measure"));
    }
    let core = (after.0 - before.1) * 1e6 / checks;
    Ok(Cost { core, process: (after.1 - before.2) * 1e6 / checks, rate })
}

fn ratio((ours, theirs): &(Cost, Cost)) -> f64 {
    theirs.core / ours.core
}

/// Seconds that core 1 was not idle, from an arbitrary beginning (proc(5), `/proc/stat`; without what the
/// hypervisor took). Time that passed less time idle: the kernel measures idling by its clock, but samples work
/// with its tick, and a checker that works on a tick of its own between two of the kernel's is never seen.
fn core_1() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec of this frame, which is all that the call writes to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("cpu1 ")).unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let idle: f64 = [3, 4, 7].iter().filter_map(|at| ticks.get(*at)).sum();
    // SAFETY: takes a number, returns a number.
    let a_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9 - idle / a_second
}

/// Seconds that the threads of a process have run.
fn run_time(process: &Path) -> f64 {
    let tasks = std::fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}

/// Connects begun in the namespace of a process.
fn opens(process: &Path) -> Result<f64, String> {
    let text =
        std::fs::read_to_string(process.join("net/snmp")).map_err(|_| "the checker has ended by itself")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, figures) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split_whitespace().zip(figures.split_whitespace());
    let figure = pairs.find(|(name, _)| *name == "ActiveOpens");
    figure.and_then(|(_, figure)| figure.parse().ok()).ok_or_else(|| "no ActiveOpens".to_owned())
}

/// A command in a namespace, on one core.
fn inside(name: &str, core: u8, program: &Path) -> Command {
    let mut line = command(&format!("ip netns exec {name} taskset -c {core}"));
    line.arg(program);
    line
}

fn shell(line: &str) -> Result<(), String> {
    let done = child::run(command(line), Duration::from_secs(10), Show::Nothing);
    let done = done.map_err(|error| format!("{line}: {error}"))?;
    if done.good() { Ok(()) } else { Err(format!("{line}: {}", done.text.trim())) }
}
