//! The relay bench: requests per second of the proxy's own CPU time, beside HAProxy and nginx. Load and servers
//! have core 0, the proxy under test has core 1; all proxies stand ready the whole time, and take turns in
//! rounds, so that whatever else the machine does hits them alike. What counts is the median of the rounds'
//! ratios. Nothing is set on the host.

use super::{Peers, Row};
use crate::child::{self, command};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const BACKENDS: [&str; 2] = ["127.0.0.1:18401", "127.0.0.1:18402"];
const IDLE: usize = 1000;

/// Measures, with nothing else of weight running.
pub(super) fn run(peers: &Peers) -> Result<Vec<Row>, String> {
    super::build("--package evenkeel-plane --example relay --example backend")?;
    raise_limit();
    let folder = std::env::temp_dir().join(format!("evenkeel-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let rows = measure(peers, &folder);
    // Leftovers in a temporary folder are not worth failing for.
    let _ = std::fs::remove_dir_all(&folder);
    rows
}

fn measure(peers: &Peers, folder: &std::path::Path) -> Result<Vec<Row>, String> {
    let backend = format!("taskset -c 0 {} {}", example("backend"), BACKENDS.join(" "));
    let _backend = Proxy::start("backend", 0, &backend, true)?;
    let mut rows = Vec::new();
    let proxies = http_proxies(peers, folder)?;
    let all: Vec<&Proxy> = proxies.iter().collect();
    let small = contest("keep-alive 100 B, 64 connections", &all[..3], "-c64", "/100")?;
    rows.extend(small.rows(&[("HAProxy", 1.25), ("nginx", 1.1)]));
    let large = contest("64 KiB answers, 64 connections", &all, "-c64", "/65536")?;
    rows.extend(large.rows(&[("HAProxy", 1.4)]));
    for proxy in &all[..3] {
        rows.push(memory(proxy)?);
    }
    drop(proxies);
    let proxies = tcp_proxies(peers, folder)?;
    let bulk = contest(
        "TCP, 1 MiB answers, 32 connections",
        &proxies.iter().collect::<Vec<_>>(),
        "-c32",
        "/1048576",
    )?;
    rows.extend(bulk.rows(&[("nginx", 1.0)]));
    Ok(rows)
}

/// One program under test, listening.
struct Proxy {
    name: &'static str,
    port: u16,
    child: Child,
}

impl Proxy {
    /// Starts a program on a port. `ends`: it ends with its standard input, and says `ready`.
    fn start(name: &'static str, port: u16, line: &str, ends: bool) -> Result<Proxy, String> {
        let mut command = command(line);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command.stdout(if ends { Stdio::piped() } else { Stdio::null() });
        child::tie(&mut command);
        let mut child = command.spawn().map_err(|error| format!("{line}: {error}"))?;
        let out = child.stdout.take();
        let proxy = Proxy { name, port, child };
        if let Some(out) = out {
            let mut said = String::new();
            let heard = BufReader::new(out).read_line(&mut said);
            heard.map_err(|error| format!("{line}: {error}"))?;
            return if said == "ready\n" { Ok(proxy) } else { Err(format!("{line}: did not start")) };
        }
        let until = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(proxy.address()).is_err() {
            if Instant::now() > until {
                return Err(format!("{line}: does not listen"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(proxy)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The process and its children.
    fn processes(&self) -> Vec<u32> {
        let me = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|word| word.parse().ok());
        std::iter::once(me).chain(children).collect()
    }

    /// Nanoseconds on a processor so far, all threads (`/proc/PID/task/TID/schedstat`, proc(5)).
    fn cpu(&self) -> u64 {
        let tasks = self
            .processes()
            .into_iter()
            .flat_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
        let spent = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        tasks.filter_map(spent).sum()
    }

    /// Resident memory, shared pages by share, in KiB.
    fn memory(&self) -> u64 {
        let one = |pid: u32| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find(|line| line.starts_with("Pss:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        self.processes().into_iter().filter_map(one).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        child::end_group(&self.child);
        // It was just killed: all that is left is to take its status.
        let _ = self.child.wait();
    }
}

fn http_proxies(peers: &Peers, folder: &std::path::Path) -> Result<Vec<Proxy>, String> {
    let ours = format!("taskset -c 1 {} http 127.0.0.1:18410 {}", example("relay"), BACKENDS.join(","));
    Ok(vec![
        Proxy::start("evenkeel", 18410, &ours, true)?,
        haproxy(peers, folder, "HAProxy", 18411, "http", "")?,
        nginx(peers, folder, "nginx", 18412, &nginx_http(18412, ""))?,
        haproxy(peers, folder, "HAProxy 64 KiB buffers", 18413, "http", "tune.bufsize 65536")?,
        nginx(peers, folder, "nginx 64 KiB buffers", 18414, &nginx_http(18414, NGINX_LARGE))?,
    ])
}

fn tcp_proxies(peers: &Peers, folder: &std::path::Path) -> Result<Vec<Proxy>, String> {
    let ours = format!("taskset -c 1 {} tcp 127.0.0.1:18420 {}", example("relay"), BACKENDS.join(","));
    Ok(vec![
        Proxy::start("evenkeel", 18420, &ours, true)?,
        haproxy(peers, folder, "HAProxy", 18421, "tcp", "")?,
        nginx(peers, folder, "nginx", 18422, &nginx_stream(18422, "16k"))?,
        nginx(peers, folder, "nginx 64 KiB buffer", 18423, &nginx_stream(18423, "64k"))?,
    ])
}

fn example(name: &str) -> String {
    // The bench profile inherits from release and builds into its folder.
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| child::root().join("target"), PathBuf::from);
    target.join("release/examples").join(name).display().to_string()
}

fn haproxy(
    peers: &Peers,
    folder: &std::path::Path,
    name: &'static str,
    port: u16,
    mode: &str,
    tune: &str,
) -> Result<Proxy, String> {
    let [one, two] = BACKENDS;
    let http = match mode {
        "http" => "http-reuse always\n  option forwardfor\n  option http-keep-alive\n",
        _ => "",
    };
    let text = format!(
        "global\n  nbthread 1\n  maxconn 4000\n  {tune}\ndefaults\n  mode {mode}\n  timeout connect 5s\n  \
         timeout client 600s\n  timeout server 600s\nlisten bench\n  bind 127.0.0.1:{port}\n  \
         balance roundrobin\n  {http}  server one {one}\n  server two {two}\n"
    );
    let file = folder.join(format!("haproxy-{port}.cfg"));
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = format!("taskset -c 1 {} -db -f {}", peers.haproxy.display(), file.display());
    Proxy::start(name, port, &line, false)
}

const NGINX_LARGE: &str = "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;";

fn nginx_http(port: u16, tune: &str) -> String {
    let [one, two] = BACKENDS;
    format!(
        "http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; {tune}\n\
         upstream pool {{ server {one}; server {two}; keepalive 256; keepalive_requests 1000000000; }}\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://pool; \
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host; \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}"
    )
}

fn nginx_stream(port: u16, buffer: &str) -> String {
    let [one, two] = BACKENDS;
    format!(
        "stream {{ upstream pool {{ server {one}; server {two}; }}\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; tcp_nodelay on; proxy_buffer_size {buffer}; \
         proxy_pass pool; }} }}"
    )
}

fn nginx(
    peers: &Peers,
    folder: &std::path::Path,
    name: &'static str,
    port: u16,
    body: &str,
) -> Result<Proxy, String> {
    // Debian has the stream module in a file of its own.
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load = match body.starts_with("stream") && std::path::Path::new(module).exists() {
        true => format!("load_module {module};"),
        false => String::new(),
    };
    let place = folder.display();
    let text = format!(
        "{load}\nworker_processes 1; daemon off; error_log {place}/nginx-{port}.log crit; \
         pid {place}/nginx-{port}.pid;\nevents {{ worker_connections 8192; multi_accept on; }}\n{body}\n"
    );
    let file = folder.join(format!("nginx-{port}.conf"));
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = format!("taskset -c 1 {} -c {}", peers.nginx.display(), file.display());
    Proxy::start(name, port, &line, false)
}

/// What came of one contest: requests per CPU second by proxy and round.
struct Scores {
    what: &'static str,
    names: Vec<&'static str>,
    rounds: Vec<Vec<f64>>,
}

/// Lets the proxies take turns under the same load.
fn contest(what: &'static str, proxies: &[&Proxy], load: &str, path: &str) -> Result<Scores, String> {
    let mut rounds = Vec::new();
    for proxy in proxies {
        wrk(proxy, load, path, Duration::from_secs(1))?;
    }
    for _ in 0..ROUNDS {
        let round: Result<Vec<f64>, String> =
            proxies.iter().map(|proxy| wrk(proxy, load, path, ROUND)).collect();
        rounds.push(round?);
    }
    Ok(Scores { what, names: proxies.iter().map(|proxy| proxy.name).collect(), rounds })
}

/// Loads a proxy for a while; the answer is requests per CPU second of its own.
fn wrk(proxy: &Proxy, load: &str, path: &str, time: Duration) -> Result<f64, String> {
    let line = format!(
        "taskset -c 0 wrk -t1 {load} -d{} --timeout 10s http://{}{path}",
        time.as_secs(),
        proxy.address()
    );
    let before = proxy.cpu();
    let done = child::run(command(&line), time + Duration::from_secs(20), child::Show::Nothing);
    let text = done.map_err(|error| format!("{line}: {error} (apt install wrk)"))?.text;
    let spent = proxy.cpu() - before;
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("{}: errors under load:\n{text}", proxy.name));
    }
    let requests =
        text.lines().find_map(|line| line.trim().split(" requests in ").next()?.parse::<f64>().ok());
    let requests = requests.ok_or_else(|| format!("{line}: said nothing of use:\n{text}"))?;
    Ok(requests / (spent as f64 / 1e9))
}

impl Scores {
    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    /// The median of ours, and of its ratio to each peer, with the goals there are.
    fn rows(&self, goals: &[(&str, f64)]) -> Vec<Row> {
        let of = |at: usize| Scores::median(self.rounds.iter().map(|round| round[at]).collect());
        let mut rows = vec![Row {
            what: format!("{}: evenkeel, requests per CPU second", self.what),
            goal: String::new(),
            got: format!("{:.0}", of(0)),
            met: None,
        }];
        for (at, name) in self.names.iter().enumerate().skip(1) {
            let ratios: Vec<f64> = self.rounds.iter().map(|round| round[0] / round[at]).collect();
            let ratio = Scores::median(ratios.clone());
            let (low, high) =
                ratios.iter().fold((f64::MAX, 0f64), |(low, high), it| (low.min(*it), high.max(*it)));
            let goal = goals.iter().find(|(peer, _)| peer == name).map(|(_, goal)| *goal);
            rows.push(Row {
                what: format!("  x {name} ({:.0})", of(at)),
                goal: goal.map_or_else(String::new, |goal| format!(">= {goal:.2}")),
                got: format!("{ratio:.2} ({low:.2}-{high:.2})"),
                met: goal.map(|goal| ratio >= goal),
            });
        }
        rows
    }
}

/// Memory with many idle kept connections, after as many were busy at once.
fn memory(proxy: &Proxy) -> Result<Row, String> {
    wrk(proxy, "-c1000", "/100", Duration::from_secs(1))?;
    let mut kept = Vec::new();
    for _ in 0..IDLE {
        let told = || -> std::io::Result<TcpStream> {
            let mut stream = TcpStream::connect(proxy.address())?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /1 HTTP/1.1\r\nHost: bench\r\n\r\n")?;
            let (mut got, mut filled) = ([0; 4096], 0);
            while !got[..filled].ends_with(b"\r\n\r\nx") {
                match stream.read(&mut got[filled..])? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    count => filled += count,
                }
            }
            Ok(stream)
        };
        kept.push(told().map_err(|error| format!("{}: an idle connection: {error}", proxy.name))?);
    }
    let used = proxy.memory() as f64 / 1024.0;
    let ours = proxy.name == "evenkeel";
    Ok(Row {
        what: format!("MiB with {} idle kept connections: {}", kept.len(), proxy.name),
        goal: if ours { "<= 12".to_owned() } else { String::new() },
        got: format!("{used:.1}"),
        met: ours.then_some(used <= 12.0),
    })
}

/// A thousand connections need more descriptors than a shell grants; children inherit the limit.
fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a live rlimit of this process.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max.min(65_536);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
