//! Names in a config: servers that are given by name, and whom to ask for them.

use super::Loaded;
use super::forms::{key, name};
use super::model::Maker;
use crate::resolve::roster::NameUse;
use crate::resolve::{Ask, Question, Settings, Source};
use evenkeel_core::Span;
use evenkeel_core::config::{Address, ServerId};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::{AddressWords, Diagnostic, Reading, Word};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Servers of one name, unless the line says otherwise.
const MAX: u16 = 64;
/// Where name servers listen (RFC 1035 section 4.2).
const DNS_PORT: u16 = 53;

/// `servers`, in a pool.
pub(super) const SERVERS: Form = Form {
    head: "servers",
    names: &[
        name("name", Shape::Name, "What their names begin with: `app-10.0.0.1`. Unique in its pool."),
        name(
            "from",
            Shape::Text,
            "`app.internal:80`: each address of this name is a server. `_http._tcp.app.internal`: its SRV records \
             bring the addresses, the ports and the weights; those of a lower priority are backups.",
        ),
    ],
    keys: &[SERVERS_KEYS],
    block: None,
    count: Count::Any,
    doc: "All servers behind a name, as they come and go. A new address is probed before it serves; one that is gone \
          drains, and is kept until another that came for it is up. No failure and no empty answer takes a server \
          out, and an answer that would take more than half of the pool out has to be given twice.",
};

const SERVERS_KEYS: &[Slot] = &[
    key("weight", Shape::Number { min: 0, max: 256 }, "1", "Of each, where no SRV record says it."),
    key("max", Shape::Number { min: 1, max: 256 }, "64", "No more servers than this."),
];

/// `resolver`, outside of any block.
pub(super) const RESOLVER: Form = Form {
    head: "resolver",
    names: &[],
    keys: &[],
    block: Some(&[RESOLVER_BLOCK]),
    count: Count::Maybe,
    doc: "Whom to ask for names. Without it `/etc/resolv.conf` says so, and is read again when it changes. \
          `/etc/hosts` comes first in any case. An answer is good for its TTL, 1 s at least and 1 h at most.",
};

const RESOLVER_BLOCK: &[Form] = &[
    Form {
        head: "nameserver",
        names: &[name(
            "address",
            Shape::Text,
            "`10.0.0.53`, `10.0.0.53:5353`, `[fd00::53]:5353` or `fd00::53`.",
        )],
        keys: &[],
        block: None,
        count: Count::Some,
        doc: "Asked in the order of the file, the next one when one is silent or fails.",
    },
    Form {
        head: "search",
        names: &[name("domains", Shape::Rest, "One or more.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "Tried behind names with fewer dots than `ndots`.",
    },
    Form {
        head: "ndots",
        names: &[name("dots", Shape::Number { min: 0, max: 15 }, "Default: 1.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "A name with so many dots is first tried as it is.",
    },
    Form {
        head: "timeout",
        names: &[name("time", Shape::Time, "Default: 2s.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "For one try at one server.",
    },
    Form {
        head: "attempts",
        names: &[name("attempts", Shape::Number { min: 1, max: 5 }, "Default: 2.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "How often each server is tried.",
    },
];

/// What a line `servers` asks for: what to ask, and how many to take.
pub(super) type Many = BTreeMap<ServerId, (Ask, u16)>;

impl Loaded {
    /// What each server means that is given by name.
    pub fn names(&self) -> BTreeMap<ServerId, NameUse> {
        let mut names = BTreeMap::new();
        for pool in &self.config.pools {
            for server in &pool.servers {
                let Address::Name(name, port) = &server.address else { continue };
                let many = self.many.get(&server.id);
                let (ask, max) = many.copied().unwrap_or((Ask::Addresses, 1));
                let question = Question { name: Arc::clone(name), ask };
                let checked = !pool.checks.is_empty() && !self.unchecked.contains(&server.id);
                let used = NameUse { question, port: *port, many: many.is_some(), max, checked };
                names.insert(server.id, used);
            }
        }
        names
    }
}

impl Maker<'_> {
    /// The name behind a line `servers`.
    pub(super) fn many(&mut self, word: &Word) -> Option<(Address, Ask)> {
        let wrong = |message: String, label: &str| Err((message, label.to_owned()));
        let text = word.text.as_str();
        let found = match evenkeel_syntax::address(text) {
            _ if text.starts_with('_') && !text.contains(':') => {
                match evenkeel_syntax::address(&format!("{text}:1")) {
                    Ok(_) => Ok((text, 0, Ask::Services)),
                    Err(error) => Err(error),
                }
            }
            Ok(AddressWords::Host("*", _)) => {
                wrong("`*` is no name".into(), "write for example `app.internal:80`")
            }
            Ok(AddressWords::Host(host, _)) if host.starts_with('_') => wrong(
                format!("`{text}` has a port of its own"),
                "its SRV records bring the ports: leave it out",
            ),
            Ok(AddressWords::Host(host, _)) if host.parse::<IpAddr>().is_ok() => {
                wrong(format!("`{text}` is an address, not a name"), "write `server` for a single one")
            }
            Ok(AddressWords::Host(host, port)) => Ok((host, port, Ask::Addresses)),
            Ok(AddressWords::Unix(_)) => wrong(format!("`{text}` is no name"), "write `server` for a socket"),
            Err(error) => Err(error),
        };
        match found {
            Ok((host, port, ask)) => Some((Address::Name(host.to_ascii_lowercase().into(), port), ask)),
            Err((message, label)) => {
                self.error(Diagnostic::error(word.place, message).label(label));
                None
            }
        }
    }

    /// The most servers that a line `servers` takes.
    pub(super) fn max(line: &Reading<'_>) -> u16 {
        line.number("max").and_then(|max| u16::try_from(max).ok()).unwrap_or(MAX)
    }

    /// Whom to ask.
    pub(super) fn resolver(&mut self, line: Option<&Reading<'_>>) -> Source {
        let Some(line) = line else { return Source::default() };
        let mut settings = Settings { servers: Vec::new(), ..Settings::default() };
        for word in line.all("nameserver").filter_map(|line| line.word("address")) {
            match nameserver(&word.text) {
                Some(server) => settings.servers.push(server),
                None => {
                    let error = Diagnostic::error(word.place, format!("`{}` is no address", word.text));
                    self.error(error.label("an IP address, perhaps with a port, is expected"));
                }
            }
        }
        if let Some(search) = line.find("search") {
            let domains = search.rest("domains").iter();
            settings.search = domains.map(|word| word.text.trim_matches('.').to_ascii_lowercase()).collect();
        }
        let number = |head: &str, slot: &str| line.find(head).and_then(|line| line.number(slot));
        let small = |head: &str, slot: &str| number(head, slot).and_then(|number| u8::try_from(number).ok());
        settings.ndots = small("ndots", "dots").unwrap_or(settings.ndots);
        settings.attempts = small("attempts", "attempts").unwrap_or(settings.attempts);
        let word = line.find("timeout").and_then(|line| line.word("time"));
        if let (Some(nanos), Some(word)) = (number("timeout", "time"), word) {
            let time = Span::from_nanos(nanos);
            settings.timeout = time.as_duration();
            if !(Span::from_millis(10)..=Span::from_secs(30)).contains(&time) {
                let error = Diagnostic::error(word.place, format!("`{}` is out of range", word.text));
                self.error(error.label("10ms to 30s is possible"));
            }
        }
        Source { fixed: Some(settings), ..Source::default() }
    }
}

fn nameserver(text: &str) -> Option<SocketAddr> {
    text.parse::<SocketAddr>().ok().or_else(|| Some((text.parse::<IpAddr>().ok()?, DNS_PORT).into()))
}
