//! One pool: its servers, its checks, its settings.

use super::model::{Known, Maker, addresses};
use super::targets::CheckUse;
use super::{json, setting};
use crate::resolve::Ask;
use evenkeel_check::words::{self, Defaults};
use evenkeel_core::Span;
use evenkeel_core::config::{Address, Balance, Check, CheckId, HashKey, Pool, Require, Rule, Server, Timing};
use evenkeel_syntax::{Diagnostic, Place, Reading, Word};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Maker<'_> {
    /// Reads one pool.
    pub(super) fn pool(&mut self, line: &Reading<'_>, defaults: Option<&Reading<'_>>, rules: &Defaults) {
        let Some(name) = line.word("name") else { return };
        let first = self.pools.iter().find(|known| *known.pool.name == name.text).map(|known| known.place);
        if !self.unique("pool", name, first) {
            return;
        }
        let rules = Defaults { rule: words::rule(line.block(), rules.rule), ..*rules };
        let (servers, places) = self.servers(line, &name.text);
        let checks = self.checks(line, &name.text, &servers, &rules);
        let balance = setting(line, defaults, "balance");
        let slow_start = setting(line, defaults, "slow-start").and_then(|line| line.number("time"));
        let min_serving = setting(line, defaults, "min-serving").and_then(|line| line.number("share"));
        // Also those lines that could not be read are checks.
        let written = line.directive().mentioned("check");
        let require = setting(line, defaults, "require").map(|line| self.require(line, written));
        let before = self.previous.map(|loaded| &loaded.ids);
        let pool = Pool {
            id: self.ids.pool(before, &name.text),
            name: name.text.as_str().into(),
            servers,
            // Of no checks, all pass.
            require: require.filter(|_| !checks.is_empty()).unwrap_or(Require::All),
            checks,
            balance: balance.map_or(Balance::Weighted, balance_of),
            min_serving: min_serving.and_then(|share| u8::try_from(share).ok()).unwrap_or(0),
            slow_start: slow_start.map_or(Span::from_secs(30), Span::from_nanos),
        };
        let reads_requests = balance.filter(|_| reads_requests(&pool.balance)).map(|line| line.place());
        self.pools.push(Known { pool, place: name.place, addresses: places, reads_requests, used: false });
    }

    fn servers(&mut self, pool: &Reading<'_>, pool_name: &str) -> (Vec<Server>, Vec<Place>) {
        let mut servers: Vec<(Server, Place, Place)> = Vec::new();
        for line in pool.block().iter().filter(|line| is_server(line)) {
            let word = line.word("address").or_else(|| line.word("from"));
            let (Some(name), Some(word)) = (line.word("name"), word) else { continue };
            let first =
                servers.iter().find(|(server, ..)| *server.name == name.text).map(|(_, place, _)| *place);
            if !self.unique("server of this pool", name, first) {
                continue;
            }
            let Some((address, many)) = self.server_address(line, word) else { continue };
            if let Some((other, _, place)) = servers.iter().find(|(other, ..)| other.address == address) {
                let message = format!("`{}` has the address of `{}`", name.text, other.name);
                let warning = Diagnostic::warning(word.place, message).note(*place, "the same address");
                self.error(warning.label("is this one server under two names?"));
            }
            let before = self.previous.map(|loaded| &loaded.ids);
            let server = Server {
                id: self.ids.server(before, pool_name, &name.text, &address),
                name: name.text.as_str().into(),
                address,
                weight: line.number("weight").and_then(|weight| u16::try_from(weight).ok()).unwrap_or(1),
                backup: !line.head().starts_with("server"),
            };
            self.many.extend(many.map(|ask| (server.id, (ask, Self::max(line)))));
            if server.backup && !line.flag("checked") {
                self.unchecked.insert(server.id);
            }
            servers.push((server, name.place, word.place));
        }
        servers.into_iter().map(|(server, _, place)| (server, place)).unzip()
    }

    /// Where a server is, or whose addresses are servers, and what is asked of that name.
    fn server_address(&mut self, line: &Reading<'_>, word: &Word) -> Option<(Address, Option<Ask>)> {
        if line.head() == "servers" {
            return self.many(word).map(|(address, ask)| (address, Some(ask)));
        }
        if word.text.starts_with("*:") {
            let error = Diagnostic::error(word.place, "`*` is no address of a server");
            self.error(error.label("write the address that it listens on"));
            return None;
        }
        let address = addresses(&word.text).pop()?;
        if let Some(error) = unreachable(&address, word.place) {
            self.error(error);
            return None;
        }
        Some((address, None))
    }

    fn checks(
        &mut self,
        pool: &Reading<'_>,
        pool_name: &str,
        servers: &[Server],
        rules: &Defaults,
    ) -> Vec<Check> {
        let lines: Vec<&Reading<'_>> =
            pool.block().iter().filter(|line| line.head().starts_with("check ")).collect();
        let none = lines.iter().find(|line| line.head() == "check none");
        if lines.is_empty() && pool.whole() {
            let place = pool.word("name").map_or(pool.place(), |word| word.place);
            let error = Diagnostic::error(place, format!("the pool `{pool_name}` has no check"));
            self.error(error.label("nobody would notice a dead server").help(
                "write for example `check http /health` or `check tcp`, or `check none` if you mean it",
            ));
        }
        if let (Some(none), true) = (none, lines.len() > 1) {
            let error = Diagnostic::error(none.place(), "`check none` beside other checks");
            self.error(error.label("leave this out, or the others"));
            return Vec::new();
        }
        let mut checks: Vec<(Check, Place)> = Vec::new();
        for line in lines.into_iter().filter(|line| line.head() != "check none") {
            let Some(name) = self.check_name(line, &checks) else { continue };
            let check = self.check(line, pool_name, &name, rules);
            if let Some(check) = &check {
                self.by_name(line, check.id, servers);
            }
            checks.extend(check.map(|check| (check, line.place())));
        }
        checks.into_iter().map(|(check, _)| check).collect()
    }

    /// What a check is called: what it says, or its kind, numbered from the second on.
    fn check_name(&mut self, line: &Reading<'_>, before: &[(Check, Place)]) -> Option<String> {
        let place =
            |name: &str| before.iter().find(|(check, _)| &*check.name == name).map(|(_, place)| *place);
        if let Some(word) = line.word("as") {
            return self.unique("check of this pool", word, place(&word.text)).then(|| word.text.clone());
        }
        let kind = line.head().trim_start_matches("check ");
        let numbered = (2..).map(|number| format!("{kind}-{number}"));
        std::iter::once(kind.to_owned()).chain(numbered).find(|name| place(name).is_none())
    }

    fn check(&mut self, line: &Reading<'_>, pool: &str, name: &str, rules: &Defaults) -> Option<Check> {
        let words = words::read(line, rules, self.errors)?;
        let asked = json::how_it_asks(line);
        let definition = definition(&asked, &words.timing, &words.rule);
        let before = self.previous.map(|loaded| &loaded.ids);
        let id = self.ids.check(before, pool, name, &definition);
        let known =
            self.specs.get(&asked).or_else(|| self.previous.and_then(|loaded| loaded.specs.get(&asked)));
        let spec = known.map_or(words.spec, Arc::clone);
        self.specs.insert(asked, Arc::clone(&spec));
        self.checks.insert(id, CheckUse { spec, named: BTreeMap::new(), port: words.port });
        Some(Check { id, name: name.into(), timing: words.timing, rule: words.rule })
    }

    /// How a check asks the servers that are given by name.
    fn by_name(&mut self, line: &Reading<'_>, id: CheckId, servers: &[Server]) {
        let asked = json::how_it_asks(line);
        let Some(port) = self.checks.get(&id).map(|used| used.port) else { return };
        for server in servers {
            let Address::Name(name, own) = &server.address else { continue };
            let key = format!("{asked} as {name}:{}", port.unwrap_or(*own));
            let known =
                self.specs.get(&key).or_else(|| self.previous.and_then(|loaded| loaded.specs.get(&key)));
            let known = known.map(Arc::clone);
            let Some(spec) = known.or_else(|| words::named(line, name, port.unwrap_or(*own))) else { return };
            self.specs.insert(key, Arc::clone(&spec));
            if let Some(used) = self.checks.get_mut(&id) {
                used.named.insert(server.address.to_string().into(), spec);
            }
        }
    }

    fn require(&mut self, line: &Reading<'_>, checks: usize) -> Require {
        match (line.text("which"), line.number("passing"), line.word("checks")) {
            (Some("any"), ..) => Require::Any,
            (_, Some(passing), Some(of)) => {
                let all = line.number("checks").unwrap_or(0);
                if all != checks as u64 {
                    let count = if checks == 1 { "1 check".to_owned() } else { format!("{checks} checks") };
                    let error = Diagnostic::error(of.place, format!("the pool has {count}, not {all}"));
                    self.error(error.label(format!("write `{checks}`")));
                } else if passing > all {
                    let error = Diagnostic::error(line.place(), format!("{passing} of {all} cannot pass"));
                    self.error(error.label(format!("at most `{all} of {all}`, which is `all`")));
                }
                Require::AtLeast(u16::try_from(passing).unwrap_or(u16::MAX))
            }
            _ => Require::All,
        }
    }
}

pub(super) fn is_server(line: &Reading<'_>) -> bool {
    matches!(line.head(), "server" | "servers" | "backup" | "sorry")
}

/// Everything that a check does and means, in one spelling. A check with another one is another check.
fn definition(asked: &str, timing: &Timing, rule: &Rule) -> String {
    format!("{asked} {timing:?} {rule:?}")
}

/// An address that no packet can be sent to.
fn unreachable(address: &Address, place: Place) -> Option<Diagnostic> {
    let ip = address.ip()?;
    let why = match ip {
        _ if ip.is_unspecified() => "means every address of this host, not one",
        _ if ip.is_multicast() => "is a multicast address",
        _ => return None,
    };
    let error = Diagnostic::error(place, format!("`{ip}` is no address of a server"));
    Some(error.label(why))
}

fn balance_of(line: &Reading<'_>) -> Balance {
    let key = match (line.text("key"), line.text("header")) {
        (_, Some(header)) => HashKey::Header(header.to_ascii_lowercase().into()),
        (Some("path"), None) => HashKey::Path,
        _ => HashKey::Source,
    };
    match line.text("method") {
        Some("least") => Balance::Least,
        Some("two") => Balance::Two,
        Some("first") => Balance::First,
        Some("hash") => Balance::Hash(key),
        Some("maglev") => Balance::Maglev(key),
        _ => Balance::Weighted,
    }
}

fn reads_requests(balance: &Balance) -> bool {
    matches!(balance, Balance::Hash(key) | Balance::Maglev(key) if *key != HashKey::Source)
}
