//! One name, looked up once: the hosts file, then the name servers, through search domains, aliases and services.
//! What is done with the answer is not its business.
//!
//! A name's addresses are of one family: IPv4 if it has any, else IPv6. A name keeps its family, and the search
//! domain that gave it, for as long as they answer, so that a failure never leads it elsewhere.

use super::exchange::{self, Ids};
use super::files::{Files, Settings, Source};
use super::message::{CHAIN_MAX, Kind, Said, Service};
use super::{Ask, Endpoint, Question};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

/// Addresses of one name. More are a mistake, and taking a part of them would change with their order.
const ADDRESSES_MAX: usize = 256;
/// Names behind one service.
const TARGETS_MAX: usize = 64;
/// All that is done for one name, once.
pub(super) const LOOKUP_MAX: Duration = Duration::from_secs(30);
/// How soon the hosts file is looked at again, in seconds.
const HOSTS_TTL: u32 = 5;

/// What a lookup found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// At least one; sorted, each address and port once.
    pub(super) endpoints: Vec<Endpoint>,
    /// In seconds, as the servers said it.
    pub(super) ttl: u32,
}

/// Why a lookup found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The servers say that there is nothing.
    Empty(String),
    /// Nobody could say.
    Failed(String),
}

/// How a name was found the last time.
#[derive(Clone, Debug, Default)]
pub(super) struct Way {
    /// The full name, where a search domain completed it.
    full: Option<String>,
    v6: Option<bool>,
}

/// Addresses, and for how many seconds.
struct Addresses {
    found: Vec<IpAddr>,
    ttl: u32,
}

/// Looks names up.
#[derive(Debug)]
pub(super) struct Lookup {
    files: Mutex<Files>,
    ids: Ids,
}

impl Lookup {
    pub(super) fn new(files: Files) -> Lookup {
        Lookup { files: Mutex::new(files), ids: Ids::default() }
    }

    /// Asks these servers from now on.
    pub(super) fn ask_there(&self, source: Source) {
        let mut files = self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if files.source() != &source {
            *files = Files::new(source);
        }
    }

    /// Ends within [`LOOKUP_MAX`].
    pub(super) async fn find(&self, question: &Question, way: &mut Way) -> Result<Found, Trouble> {
        let search = async {
            match question.ask {
                Ask::Addresses => self.find_addresses(&question.name, way).await,
                Ask::Services => self.find_services(&question.name, way).await,
            }
        };
        let late = || Trouble::Failed(format!("no answer within {}s", LOOKUP_MAX.as_secs()));
        tokio::time::timeout(LOOKUP_MAX, search).await.unwrap_or_else(|_| Err(late()))
    }

    async fn find_addresses(&self, name: &str, way: &mut Way) -> Result<Found, Trouble> {
        let found = match self.known_here(name) {
            Some(found) => found,
            None => self.search(name, way).await?,
        };
        let plain = |ip| Endpoint { ip, port: None, weight: None, backup: false };
        finish(found.found.into_iter().map(plain).collect(), found.ttl)
    }

    /// The names that the search list makes of one, until one of them has addresses.
    async fn search(&self, name: &str, way: &mut Way) -> Result<Addresses, Trouble> {
        let settings = self.settings();
        let mut trouble = None;
        for full in candidates(name, way.full.as_deref(), &settings) {
            match self.either_family(&settings, &full, &mut way.v6).await {
                Ok(found) => {
                    way.full = Some(full);
                    return Ok(found);
                }
                // One that was good and cannot be asked now must not give way to another one.
                Err(Trouble::Failed(why)) if way.full.as_ref() == Some(&full) => {
                    return Err(Trouble::Failed(why));
                }
                Err(why) => worse(&mut trouble, why),
            }
        }
        Err(trouble.unwrap_or_else(|| Trouble::Empty("no such name".into())))
    }

    /// IPv4 first, unless the name is known to have IPv6 only.
    async fn either_family(
        &self,
        settings: &Settings,
        name: &str,
        v6: &mut Option<bool>,
    ) -> Result<Addresses, Trouble> {
        let mut trouble = None;
        for second in [false, true] {
            let six = v6.unwrap_or(false) != second;
            let kind = if six { Kind::V6 } else { Kind::V4 };
            match self.addresses(settings, name, kind).await {
                Ok(found) => {
                    *v6 = Some(six);
                    return Ok(found);
                }
                // The family that was good cannot be asked: that is no reason to move to the other one.
                Err(Trouble::Failed(why)) if *v6 == Some(six) => return Err(Trouble::Failed(why)),
                Err(why) => worse(&mut trouble, why),
            }
        }
        Err(trouble.unwrap_or_else(|| Trouble::Empty("no such name".into())))
    }

    /// One family of one full name, through its aliases.
    async fn addresses(&self, settings: &Settings, name: &str, kind: Kind) -> Result<Addresses, Trouble> {
        let (mut at, mut ttl) = (name.to_owned(), u32::MAX);
        for _ in 0..CHAIN_MAX {
            let records = match self.ask(settings, &at, kind).await? {
                Said::Records(records) => records,
                _ => return Err(Trouble::Empty("no such name".into())),
            };
            ttl = ttl.min(records.ttl);
            let found: Vec<IpAddr> = records.addresses.into_iter().filter(usable).collect();
            match records.alias {
                _ if !found.is_empty() => return Ok(Addresses { found, ttl }),
                Some(alias) => at = alias,
                None => return Err(Trouble::Empty("no address".into())),
            }
        }
        Err(Trouble::Failed("aliases lead in a circle".into()))
    }

    async fn find_services(&self, name: &str, way: &mut Way) -> Result<Found, Trouble> {
        let settings = self.settings();
        let mut trouble = None;
        for full in candidates(name, way.full.as_deref(), &settings) {
            match self.services(&settings, &full).await {
                Ok(found) => {
                    way.full = Some(full);
                    return Ok(found);
                }
                Err(Trouble::Failed(why)) if way.full.as_ref() == Some(&full) => {
                    return Err(Trouble::Failed(why));
                }
                Err(why) => worse(&mut trouble, why),
            }
        }
        Err(trouble.unwrap_or_else(|| Trouble::Empty("no such name".into())))
    }

    /// The services of one full name, and the addresses of the hosts that offer them. A host that has none is
    /// left out; one that cannot be asked makes the whole answer void.
    async fn services(&self, settings: &Settings, name: &str) -> Result<Found, Trouble> {
        let (mut at, mut ttl, mut services) = (name.to_owned(), u32::MAX, Vec::new());
        for _ in 0..CHAIN_MAX {
            let Said::Records(records) = self.ask(settings, &at, Kind::Service).await? else { break };
            ttl = ttl.min(records.ttl);
            services = records.services;
            match records.alias {
                Some(alias) => at = alias,
                None => break,
            }
        }
        if services.len() > TARGETS_MAX {
            return Err(Trouble::Failed(format!("{} services, {TARGETS_MAX} are possible", services.len())));
        }
        let (first, most) = ranks(&services);
        let mut endpoints = Vec::new();
        for service in services.iter().filter(|service| !service.target.is_empty() && service.port > 0) {
            let found = match self.known_here(&service.target) {
                Some(found) => found,
                None => match self.either_family(settings, &service.target, &mut None).await {
                    Ok(found) => found,
                    Err(Trouble::Empty(_)) => continue,
                    Err(trouble) => return Err(trouble),
                },
            };
            ttl = ttl.min(found.ttl);
            endpoints.extend(found.found.into_iter().map(|ip| Endpoint {
                ip,
                port: Some(service.port),
                weight: Some(weight(service.weight, most)),
                backup: service.priority > first,
            }));
        }
        finish(endpoints, ttl)
    }

    /// Asks one server after the other, as often as the settings say.
    async fn ask(&self, settings: &Settings, name: &str, kind: Kind) -> Result<Said, Trouble> {
        let mut last = "no name server".to_owned();
        let count = settings.servers.len().max(1);
        let turn = if settings.rotate { usize::from(self.ids.next()) % count } else { 0 };
        for _ in 0..settings.attempts {
            for server in settings.servers.iter().cycle().skip(turn).take(settings.servers.len()) {
                let question = (name, kind);
                match exchange::ask(&self.ids, *server, question, settings.timeout, settings.tcp).await {
                    Ok(Said::Unwilling(why)) | Err(why) => last = format!("{why} from {}", shown(*server)),
                    Ok(said) => return Ok(said),
                }
            }
        }
        Err(Trouble::Failed(last))
    }

    fn settings(&self) -> Settings {
        self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner).settings().clone()
    }

    /// The hosts file, and what RFC 6761 section 6.3 says of `localhost`.
    fn known_here(&self, name: &str) -> Option<Addresses> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut files = self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let known = match files.hosts(&name) {
            Some(known) => known,
            None if name == "localhost" || name.ends_with(".localhost") => &loopback,
            None => return None,
        };
        let v4: Vec<IpAddr> = known.iter().copied().filter(IpAddr::is_ipv4).collect();
        let found = if v4.is_empty() { known.to_vec() } else { v4 };
        Some(Addresses { found, ttl: HOSTS_TTL })
    }
}

/// What the search list makes of a name, the last good one first (resolv.conf(5), `ndots`).
fn candidates(name: &str, last: Option<&str>, settings: &Settings) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.trim_end_matches('.').to_owned();
    let mut all: Vec<String> = last.map(str::to_owned).into_iter().collect();
    let dots = plain.bytes().filter(|&byte| byte == b'.').count();
    let plain_first = dots >= usize::from(settings.ndots);
    if lower.ends_with('.') || settings.search.is_empty() {
        all.push(plain);
    } else {
        let searched = settings.search.iter().map(|domain| format!("{plain}.{domain}"));
        all.extend(plain_first.then(|| plain.clone()));
        all.extend(searched);
        all.extend((!plain_first).then_some(plain));
    }
    let mut seen = Vec::new();
    all.retain(|name| {
        let new = name.len() <= 253 && !seen.contains(name);
        seen.push(name.clone());
        new
    });
    all
}

/// Not to know is worse than to know that there is nothing.
fn worse(trouble: &mut Option<Trouble>, other: Trouble) {
    if !matches!(trouble, Some(Trouble::Failed(_))) {
        *trouble = Some(other);
    }
}

/// Lists that block names answer with 0.0.0.0, and connecting there would reach this very host.
fn usable(address: &IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && *address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn finish(mut endpoints: Vec<Endpoint>, ttl: u32) -> Result<Found, Trouble> {
    endpoints.sort_by_key(|of| (of.ip, of.port, of.backup));
    endpoints.dedup_by_key(|of| (of.ip, of.port));
    match endpoints.len() {
        0 => Err(Trouble::Empty("no address".into())),
        count if count > ADDRESSES_MAX => {
            Err(Trouble::Failed(format!("{count} addresses, {ADDRESSES_MAX} are possible")))
        }
        _ => Ok(Found { endpoints, ttl }),
    }
}

/// The priority that comes first, and the greatest weight in it.
fn ranks(services: &[Service]) -> (u16, u16) {
    let first = services.iter().map(|service| service.priority).min().unwrap_or_default();
    let most = services.iter().map(|service| service.weight).max().unwrap_or_default();
    (first, most)
}

/// A weight of 0 to 65,535 as one of 1 to 256. RFC 2782 gives a weight of 0 "a very small chance", not none.
fn weight(weight: u16, most: u16) -> u16 {
    let scaled = if most <= 256 { weight } else { (u32::from(weight) * 256 / u32::from(most)) as u16 };
    scaled.max(1)
}

fn shown(server: std::net::SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searching(ndots: u8) -> Settings {
        Settings { search: vec!["a.test".into(), "b.test".into()], ndots, ..Settings::default() }
    }

    #[test]
    fn the_search_list_is_tried_as_ndots_says_and_the_last_good_name_first() {
        assert_eq!(candidates("App", None, &searching(1)), ["app.a.test", "app.b.test", "app"]);
        assert_eq!(candidates("app.x", None, &searching(1)), ["app.x", "app.x.a.test", "app.x.b.test"]);
        assert_eq!(candidates("app.x", None, &searching(2)), ["app.x.a.test", "app.x.b.test", "app.x"]);
        assert_eq!(candidates("app.", None, &searching(1)), ["app"]);
        assert_eq!(candidates("app", None, &Settings::default()), ["app"]);
        let again = candidates("app", Some("app.b.test"), &searching(1));
        assert_eq!(again, ["app.b.test", "app.a.test", "app"]);
    }

    #[test]
    fn weights_of_services_fit_ours() {
        assert_eq!([0, 1, 5, 256].map(|of| weight(of, 256)), [1, 1, 5, 256]);
        assert_eq!([0, 100, 32_768, 65_535].map(|of| weight(of, 65_535)), [1, 1, 128, 256]);
    }

    #[test]
    fn nobody_is_sent_to_an_address_that_is_none() {
        let all = ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "10.0.0.1", "127.0.0.1"];
        let good: Vec<&str> = all.into_iter().filter(|text| usable(&text.parse().unwrap())).collect();
        assert_eq!(good, ["10.0.0.1", "127.0.0.1"]);
    }
}
