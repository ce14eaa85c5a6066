//! Readings to model: pools first, then the services that use them.

use super::targets::CheckUse;
use super::{Loaded, Told, forms, ids, judge, names};
use evenkeel_check::engine::Spec;
use evenkeel_check::words::Defaults;
use evenkeel_core::config::{Address, CheckId, Config, Pool, PoolId, ServerId, Service};
use evenkeel_syntax::{AddressWords, Diagnostic, Directive, Place, Reading, Vocabulary, Word};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Makes the model, one reading after the other.
pub(super) struct Maker<'m> {
    pub(super) previous: Option<&'m Loaded>,
    pub(super) errors: &'m mut Vec<Diagnostic>,
    pub(super) ids: ids::Ids,
    pub(super) checks: BTreeMap<CheckId, CheckUse>,
    pub(super) specs: BTreeMap<String, Arc<Spec>>,
    pub(super) unchecked: BTreeSet<ServerId>,
    pub(super) many: names::Many,
    pub(super) pools: Vec<Known>,
    pub(super) services: Vec<Served>,
}

/// A pool, and what is needed to speak of it.
pub(super) struct Known {
    pub(super) pool: Pool,
    /// Of its name.
    pub(super) place: Place,
    /// Of each server's address, in the order of the servers.
    pub(super) addresses: Vec<Place>,
    /// Of `balance`, when it looks into requests.
    pub(super) reads_requests: Option<Place>,
    /// A service or a route names it.
    pub(super) used: bool,
}

/// A service, and what is needed to speak of it.
pub(super) struct Served {
    pub(super) service: Service,
    /// Of its name.
    pub(super) place: Place,
    /// Of each listening address.
    pub(super) listens: Vec<Place>,
}

impl<'m> Maker<'m> {
    pub(super) fn new(previous: Option<&'m Loaded>, errors: &'m mut Vec<Diagnostic>) -> Maker<'m> {
        Maker {
            previous,
            errors,
            ids: ids::Ids::after(previous.map(|loaded| &loaded.ids)),
            checks: BTreeMap::new(),
            specs: BTreeMap::new(),
            unchecked: BTreeSet::new(),
            many: names::Many::new(),
            pools: Vec::new(),
            services: Vec::new(),
        }
    }

    /// The model. Whether it can be used, the errors say.
    pub(super) fn make(mut self, root: &[Reading<'_>]) -> Loaded {
        let defaults = root.iter().find(|reading| reading.head() == "defaults");
        let rules = self.check_defaults(defaults);
        for reading in root.iter().filter(|reading| reading.head() == "pool") {
            self.pool(reading, defaults, &rules);
        }
        for reading in root.iter().filter(|reading| reading.head() == "service") {
            self.service(reading, defaults);
        }
        let resolver = self.resolver(root.iter().find(|reading| reading.head() == "resolver"));
        judge::whole(&self.pools, &self.services, self.errors);
        let config = Config {
            services: self.services.into_iter().map(|served| Arc::new(served.service)).collect(),
            pools: self.pools.into_iter().map(|known| Arc::new(known.pool)).collect(),
        };
        Loaded {
            config: Arc::new(config),
            json: serde_json::Value::Object(super::json::block(root)),
            checks: self.checks,
            told: Told::default(),
            ids: self.ids,
            specs: self.specs,
            unchecked: self.unchecked,
            resolver,
            many: self.many,
        }
    }

    /// What holds for checks that say nothing.
    fn check_defaults(&mut self, defaults: Option<&Reading<'_>>) -> Defaults {
        let mut rules = Defaults::default();
        if let Some(defaults) = defaults {
            if let Some(check) = defaults.find("check") {
                rules.timing = evenkeel_check::words::timing(check, rules.timing, self.errors);
            }
            rules.rule = evenkeel_check::words::rule(defaults.block(), rules.rule);
        }
        rules
    }

    pub(super) fn error(&mut self, error: Diagnostic) {
        self.errors.push(error);
    }

    /// Complains when a thing has a name that another of its kind has.
    pub(super) fn unique(&mut self, what: &str, name: &Word, first: Option<Place>) -> bool {
        let Some(first) = first else { return true };
        let error = Diagnostic::error(name.place, format!("a second {what} is called `{}`", name.text));
        self.error(error.label("give it another name").note(first, "the first one is here"));
        false
    }

    /// The pool that a service or a route names.
    pub(super) fn pool_named(&mut self, name: &Word) -> Option<PoolId> {
        if let Some(known) = self.pools.iter_mut().find(|known| *known.pool.name == name.text) {
            known.used = true;
            return Some(known.pool.id);
        }
        let error = Diagnostic::error(name.place, format!("there is no pool `{}`", name.text));
        let names = self.pools.iter().map(|known| &*known.pool.name);
        let error = match evenkeel_syntax::closest(&name.text, names) {
            Some(meant) => {
                let place =
                    self.pools.iter().find(|known| &*known.pool.name == meant).map(|known| known.place);
                let error = error.label(format!("did you mean `{meant}`?"));
                place.map_or(error.clone(), |place| error.note(place, format!("`{meant}` is defined here")))
            }
            None if self.pools.is_empty() => error.label("the config has no pool"),
            None => {
                let names: Vec<String> =
                    self.pools.iter().map(|known| format!("`{}`", known.pool.name)).collect();
                error.label("not known").help(format!("the pools are {}", names.join(", ")))
            }
        };
        self.error(error);
        None
    }
}

/// Reads the named checks for their own sake, so that a mistake in one that nobody uses is told.
pub(super) fn named_checks(lines: &[Directive], words: &Vocabulary, errors: &mut Vec<Diagnostic>) {
    for reading in evenkeel_syntax::read_with(lines, forms::check_block(), words, errors) {
        evenkeel_check::words::read(&reading, &Defaults::default(), errors);
    }
}

/// The addresses that a word means: `*` on a listener means two. The form has found it well made.
pub(super) fn addresses(word: &str) -> Vec<Address> {
    match evenkeel_syntax::address(word) {
        Ok(AddressWords::Unix(path)) => vec![Address::Unix(path.into())],
        Ok(AddressWords::Host("*", port)) => {
            let any = ["0.0.0.0", "::"].into_iter().take(if has_ipv6() { 2 } else { 1 });
            any.filter_map(|any| any.parse().ok()).map(|ip: IpAddr| Address::Ip((ip, port).into())).collect()
        }
        Ok(AddressWords::Host(host, port)) => vec![match host.parse::<IpAddr>() {
            Ok(ip) => Address::Ip(SocketAddr::new(ip, port)),
            Err(_) => Address::Name(host.to_ascii_lowercase().into(), port),
        }],
        Err(_) => Vec::new(),
    }
}

/// Whether the kernel speaks IPv6 (proc(5): `/proc/net/if_inet6` is there if it does).
fn has_ipv6() -> bool {
    std::fs::exists("/proc/net/if_inet6").unwrap_or(false)
}
