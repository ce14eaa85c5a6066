//! `/etc/hosts` (hosts(5)) and `/etc/resolv.conf` (resolv.conf(5)), read into data. Both are read again when they
//! change. What nsswitch.conf(5) says is not looked at: first the hosts file, then the name servers.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of either file that are looked at.
const FILE_MAX: u64 = 1 << 20;
/// Name servers that are asked. The C library asks three.
pub(super) const SERVERS_MAX: usize = 8;
/// Domains that are searched.
const SEARCH_MAX: usize = 8;
const DNS_PORT: u16 = 53;

/// How to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name servers, asked in this order.
    pub servers: Vec<SocketAddr>,
    /// Domains tried behind a name with fewer than `ndots` dots.
    pub search: Vec<String>,
    /// See `search`.
    pub ndots: u8,
    /// For one try at one server. Where the file is silent 2 s, not the C library's 5.
    pub timeout: Duration,
    /// How often each server is tried.
    pub attempts: u8,
    /// Another server is asked first each time.
    pub rotate: bool,
    /// Never asks over UDP.
    pub tcp: bool,
}

/// Where settings and the addresses of hosts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The hosts file.
    pub hosts: PathBuf,
    /// The file that names the name servers.
    pub resolv: PathBuf,
    /// These settings, whatever the file says.
    pub fixed: Option<Settings>,
}

impl Default for Source {
    fn default() -> Source {
        Source { hosts: "/etc/hosts".into(), resolv: "/etc/resolv.conf".into(), fixed: None }
    }
}

impl Default for Settings {
    /// What holds where no file says anything: the host's own server (resolv.conf(5)).
    fn default() -> Settings {
        Settings {
            servers: vec![(Ipv4Addr::LOCALHOST, DNS_PORT).into()],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(2),
            attempts: 2,
            rotate: false,
            tcp: false,
        }
    }
}

/// The two files as they were when last read.
#[derive(Debug)]
pub(super) struct Files {
    source: Source,
    hosts: Kept<HashMap<String, Vec<IpAddr>>>,
    settings: Kept<Settings>,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    /// Of the file it comes from.
    stamp: Option<(SystemTime, u64)>,
}

impl Files {
    pub(super) fn new(source: Source) -> Files {
        let hosts = Kept { value: HashMap::new(), stamp: None };
        Files { source, hosts, settings: Kept { value: Settings::default(), stamp: None } }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// How to ask, as of now.
    pub(super) fn settings(&mut self) -> &Settings {
        match &self.source.fixed {
            Some(fixed) => fixed,
            None => self.settings.fresh(&self.source.resolv, |text| parse_resolv(text, &interface)),
        }
    }

    /// The addresses that the hosts file gives a name, in its order.
    pub(super) fn hosts(&mut self, name: &str) -> Option<&[IpAddr]> {
        self.hosts.fresh(&self.source.hosts, parse_hosts).get(name).map(Vec::as_slice)
    }
}

impl<T> Kept<T> {
    /// What the file says now. One that cannot be read says what it said before.
    fn fresh(&mut self, path: &Path, parse: impl Fn(&str) -> T) -> &T {
        let stamp = fs::metadata(path).ok().and_then(|of| Some((of.modified().ok()?, of.len())));
        if stamp.is_some()
            && stamp != self.stamp
            && let Some(text) = read(path)
        {
            *self = Kept { value: parse(&text), stamp };
        }
        &self.value
    }
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        for name in words {
            let known = hosts.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            if !known.contains(&address) {
                known.push(address);
            }
        }
    }
    hosts
}

/// `scope` knows the index of a network interface, for servers such as `fe80::1%eth0`.
fn parse_resolv(text: &str, scope: &dyn Fn(&str) -> Option<u32>) -> Settings {
    let mut settings = Settings { servers: Vec::new(), ..Settings::default() };
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => settings.servers.extend(words.next().and_then(|word| server(word, scope))),
            // The last of these lines holds.
            Some("search") => settings.search = words.map(domain).take(SEARCH_MAX).collect(),
            Some("domain") => settings.search = words.take(1).map(domain).collect(),
            Some("options") => words.for_each(|word| settings.option(word)),
            _ => {}
        }
    }
    settings.search.retain(|domain| !domain.is_empty());
    settings.servers.truncate(SERVERS_MAX);
    if settings.servers.is_empty() {
        settings.servers = Settings::default().servers;
    }
    settings
}

impl Settings {
    /// One word behind `options`. The bounds are those of the C library (resolv.h).
    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u8>().ok();
        match (name, number) {
            ("ndots", Some(number)) => self.ndots = number.min(15),
            ("timeout", Some(number)) => self.timeout = Duration::from_secs(number.clamp(1, 30).into()),
            ("attempts", Some(number)) => self.attempts = number.clamp(1, 5),
            ("rotate", _) => self.rotate = true,
            ("use-vc" | "usevc", _) => self.tcp = true,
            _ => {}
        }
    }
}

fn domain(word: &str) -> String {
    word.trim_matches('.').to_ascii_lowercase()
}

fn server(word: &str, scope: &dyn Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Some((address, interface)) = word.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        return Some(SocketAddrV6::new(address, DNS_PORT, 0, scope(interface)?).into());
    }
    Some((word.parse::<IpAddr>().ok()?, DNS_PORT).into())
}

fn interface(name: &str) -> Option<u32> {
    if name.contains(['/', '.']) {
        return None;
    }
    fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_gives_names_their_addresses_in_its_order() {
        let text = "# comment\n127.0.0.1 localhost\n::1\tlocalhost ip6-localhost # end\n\n10.0.0.1 App App.Internal.\n\
                    10.0.0.2 app\n10.0.0.1 app\nnonsense app\n10.0.0.3\n";
        let hosts = parse_hosts(text);
        assert_eq!(hosts["app"], ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse::<IpAddr>().unwrap()));
        assert_eq!(hosts["app.internal"].len(), 1);
        assert_eq!(hosts["localhost"].len(), 2);
    }

    #[test]
    fn resolv_conf_is_read_as_the_c_library_does() {
        let text = "; old\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver fe80::1%nosuch\nnameserver x\n\
                    domain first.test\nsearch Corp.Test. lab.test\noptions ndots:3 timeout:99 attempts:0\n\
                    options rotate edns0\n";
        let settings = parse_resolv(text, &|name| (name == "eth0").then_some(7));
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 53, 0, 7);
        assert_eq!(settings.servers, ["10.0.0.53:53".parse::<SocketAddr>().unwrap(), scoped.into()]);
        assert_eq!(settings.search, ["corp.test", "lab.test"]);
        assert_eq!((settings.ndots, settings.timeout.as_secs(), settings.attempts), (3, 30, 1));
        assert!(settings.rotate && !settings.tcp);
    }

    #[test]
    fn an_empty_file_means_this_host() {
        assert_eq!(parse_resolv("", &|_| None), Settings::default());
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_kept_when_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let source = Source { hosts: path.clone(), ..Source::default() };
        let mut files = Files::new(source);
        assert_eq!(files.hosts("app"), None);
        fs::write(&path, "10.0.0.1 app\n").unwrap();
        assert_eq!(files.hosts("app").unwrap().len(), 1);
        fs::write(&path, "10.0.0.1 app\n10.0.0.2 app\n").unwrap();
        assert_eq!(files.hosts("app").unwrap().len(), 2);
        fs::remove_file(&path).unwrap();
        assert_eq!(files.hosts("app").unwrap().len(), 2);
    }
}
