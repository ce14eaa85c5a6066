//! One service: where users come to, which pools serve them, when another server is tried.

use super::model::{Maker, Served, addresses};
use super::setting;
use evenkeel_core::Span;
use evenkeel_core::config::{Address, Limits, Listen, PlaneKind, Protocol, Retry, Route, Service};
use evenkeel_syntax::{Diagnostic, Place, Reading, Word, closest};

/// What may follow `retry N on`, beside statuses.
const CONDITIONS: [&str; 3] = ["connect", "reset", "timeout"];

impl Maker<'_> {
    /// Reads one service.
    pub(super) fn service(&mut self, line: &Reading<'_>, defaults: Option<&Reading<'_>>) {
        let Some(name) = line.word("name") else { return };
        let first = self.services.iter().position(|served| *served.service.name == name.text);
        if !self.unique("service", name, first.map(|at| self.services[at].place)) {
            return;
        }
        let (listen, listens) = self.listens(line);
        let plane = match line.find("plane").and_then(|line| line.text("plane")) {
            Some("none") => PlaneKind::None,
            _ => PlaneKind::Relay,
        };
        if line.find("listen").is_none() && plane == PlaneKind::Relay && line.whole() {
            let error = Diagnostic::error(name.place, format!("the service `{}` listens nowhere", name.text));
            self.error(error.label("needs a `listen ADDRESS:PORT`"));
        }
        let routes = self.routes(line);
        let mut retry = self.retry(line, defaults);
        if line.find("retry").is_none() && listen.iter().any(|listen| listen.protocol == Protocol::Tcp) {
            // What the defaults say of statuses is said to those services that see them.
            retry.statuses.clear();
        }
        self.needs_http(line, &listen, &routes, &retry);
        let service = Service {
            name: name.text.as_str().into(),
            listen,
            routes: routes.into_iter().map(|(route, _)| route).collect(),
            plane,
            retry,
            limits: self.limits(line, defaults),
        };
        self.services.push(Served { service, place: name.place, listens });
    }

    fn listens(&mut self, service: &Reading<'_>) -> (Vec<Listen>, Vec<Place>) {
        let mut listens = Vec::new();
        for line in service.all("listen") {
            let Some(word) = line.word("address") else { continue };
            let protocol = match line.text("protocol") {
                Some("http") => Protocol::Http,
                _ => Protocol::Tcp,
            };
            for address in addresses(&word.text) {
                if let Address::Name(host, port) = &address {
                    let error = Diagnostic::error(word.place, format!("`{host}` is a name"));
                    let label = format!("an address of this host is expected, or `*:{port}` for all of them");
                    self.error(error.label(label));
                    continue;
                }
                let unix = matches!(address, Address::Unix(_));
                if unix && let Some(defer) = line.word("defer") {
                    let error = Diagnostic::error(defer.place, "`defer` on a unix socket");
                    self.error(error.label("only TCP can do this"));
                }
                listens.push((Listen { address, protocol, defer: line.flag("defer") }, word.place));
            }
        }
        listens.into_iter().unzip()
    }

    /// Routes, first match first, the pool of the service last.
    fn routes(&mut self, service: &Reading<'_>) -> Vec<(Route, Place)> {
        let mut routes: Vec<(Route, Place)> = Vec::new();
        for line in service.all("route") {
            let (Some(prefix), Some(pool)) = (line.word("prefix"), line.word("pool")) else { continue };
            if !prefix.text.starts_with('/') {
                let error = Diagnostic::error(prefix.place, format!("`{}` is no path", prefix.text));
                self.error(error.label(format!("write `/{}`", prefix.text)));
                continue;
            }
            let Some(pool) = self.pool_named(pool) else { continue };
            let covers = |(route, _): &&(Route, Place)| prefix.text.starts_with(&*route.prefix);
            if let Some((route, place)) = routes.iter().find(covers) {
                let message = format!("no request reaches the route `{}`", prefix.text);
                let warning =
                    Diagnostic::warning(prefix.place, message).label("the first line that fits wins");
                self.error(
                    warning.note(*place, format!("`{}` fits everything that this would", route.prefix)),
                );
            }
            routes.push((Route { prefix: prefix.text.as_str().into(), pool }, prefix.place));
        }
        match service.find("pool").and_then(|line| line.word("pool")) {
            Some(pool) => {
                if let Some(id) = self.pool_named(pool) {
                    routes.push((Route { prefix: "".into(), pool: id }, pool.place));
                }
            }
            None => self.catches_all(service, &routes),
        }
        routes
    }

    /// Complains when some requests or all of them have no pool.
    fn catches_all(&mut self, service: &Reading<'_>, routes: &[(Route, Place)]) {
        let Some(name) = service.word("name") else { return };
        if !service.whole() {
            return;
        }
        if service.find("route").is_none() {
            let error = Diagnostic::error(name.place, format!("the service `{}` has no pool", name.text));
            self.error(error.label("needs a `pool NAME`"));
        } else if !routes.is_empty() && !routes.iter().any(|(route, _)| &*route.prefix == "/") {
            let message = format!("requests that no route of `{}` fits are refused", name.text);
            let warning = Diagnostic::warning(name.place, message);
            self.error(warning.label("a last `route / pool NAME` would take them"));
        }
    }

    fn retry(&mut self, line: &Reading<'_>, defaults: Option<&Reading<'_>>) -> Retry {
        let mut retry = Retry::default();
        let (own, off) = (line.find("retry"), line.find("retry off"));
        if let (Some(own), Some(off)) = (own, off) {
            let error =
                Diagnostic::error(off.place(), "`retry off` beside `retry`").label("one or the other");
            self.error(error.note(own.place(), "`retry` is here"));
        }
        let off =
            off.is_some() || own.is_none() && defaults.is_some_and(|all| all.find("retry off").is_some());
        if off {
            retry = Retry { times: 0, connect: false, ..retry };
        } else if let Some(line) = setting(line, defaults, "retry") {
            let times = line.number("times").and_then(|times| u8::try_from(times).ok()).unwrap_or(1);
            retry = Retry { times, connect: false, ..retry };
            line.rest("on").iter().for_each(|word| self.condition(word, &mut retry));
        }
        if let Some(budget) = setting(line, defaults, "retry-budget") {
            let share = budget.number("share").and_then(|share| u8::try_from(share).ok());
            let plus = budget.number("plus").and_then(|plus| u16::try_from(plus).ok());
            retry.budget_percent = share.unwrap_or(retry.budget_percent);
            retry.budget_floor = plus.unwrap_or(retry.budget_floor);
        }
        retry
    }

    /// One word after `retry N on`.
    fn condition(&mut self, word: &Word, retry: &mut Retry) {
        let text = word.text.as_str();
        let seen = match text {
            "connect" => std::mem::replace(&mut retry.connect, true),
            "reset" => std::mem::replace(&mut retry.reset, true),
            "timeout" => std::mem::replace(&mut retry.timeout, true),
            _ => {
                let status = text.parse::<u16>().ok().filter(|status| (400..=599).contains(status));
                return match status {
                    // RFC 9110 sections 15.6.2 and 15.6.6: another server of the same kind answers the same.
                    Some(status @ (501 | 505)) => {
                        let error = Diagnostic::error(word.place, format!("{status} is never tried again"));
                        self.error(error.label("another server would answer the same"));
                    }
                    Some(status) => retry.statuses.push(status),
                    None => self.error(no_condition(word)),
                };
            }
        };
        if seen {
            self.error(
                Diagnostic::warning(word.place, format!("`{text}` stands twice")).label("once is enough"),
            );
        }
    }

    /// Complains about what needs requests where only bytes are seen.
    fn needs_http(
        &mut self,
        line: &Reading<'_>,
        listen: &[Listen],
        routes: &[(Route, Place)],
        retry: &Retry,
    ) {
        let Some(tcp) = listen.iter().find(|listen| listen.protocol == Protocol::Tcp) else { return };
        let at = line.all("listen").find(|line| line.text("protocol") != Some("http"));
        let Some(at) = at else { return };
        let help = format!("write `listen {} http`", at.text("address").unwrap_or(&tcp.address.to_string()));
        let mut tell = |place: Place, what: &str| {
            let error = Diagnostic::error(place, format!("{what} needs `http`")).help(help.clone());
            self.errors.push(
                error.label("this looks into requests").note(at.place(), "this listener only carries bytes"),
            );
        };
        if let Some((_, place)) = routes.iter().find(|(route, _)| !route.prefix.is_empty()) {
            tell(*place, "a route");
        }
        if let Some(word) = line.find("retry").and_then(|line| status_word(line))
            && !retry.statuses.is_empty()
        {
            tell(word.place, "a retry of statuses");
        }
        let mut told: Vec<Place> = Vec::new();
        for (route, place) in routes {
            let known = self.pools.iter().find(|known| known.pool.id == route.pool);
            if let Some(balance) = known.and_then(|known| known.reads_requests)
                && !told.contains(&balance)
            {
                told.push(balance);
                let error = Diagnostic::error(*place, "the balancing of this pool needs `http`");
                let error = error.label("it looks into requests").note(balance, "by this line");
                let help = help.clone();
                self.errors.push(error.note(at.place(), "this listener only carries bytes").help(help));
            }
        }
    }

    fn limits(&mut self, line: &Reading<'_>, defaults: Option<&Reading<'_>>) -> Limits {
        let mut limits = Limits::default();
        for block in defaults.into_iter().chain([line]) {
            self.limits_of(block, &mut limits);
        }
        limits
    }

    /// The lines `timeout` and `limit` of one block.
    fn limits_of(&mut self, block: &Reading<'_>, limits: &mut Limits) {
        let mut seen: Vec<(&str, Place)> = Vec::new();
        for line in block.block().iter().filter(|line| matches!(line.head(), "timeout" | "limit")) {
            for (slot, words) in line.slots() {
                let Some(number) = line.number(slot.name) else { continue };
                let place = words.first().map_or(line.place(), |word| word.place);
                if let Some((_, first)) = seen.iter().find(|(name, _)| *name == slot.name) {
                    let error = Diagnostic::error(place, format!("`{}` is set a second time", slot.name));
                    self.error(error.label("once is enough").note(*first, "the first one is here"));
                }
                seen.push((slot.name, place));
                if let Err(label) = set_limit(limits, slot.name, number) {
                    let value = words.first().map_or("", |word| word.text.as_str());
                    let error = Diagnostic::error(place, format!("`{} {value}` is out of range", slot.name));
                    self.error(error.label(label));
                }
            }
        }
    }
}

/// Sets one limit, or says what is possible.
fn set_limit(limits: &mut Limits, name: &str, number: u64) -> Result<(), &'static str> {
    let span = match name {
        "connect" => &mut limits.connect,
        "first-byte" => &mut limits.first_byte,
        "body-idle" => &mut limits.body_idle,
        "overall" => &mut limits.overall,
        "client-head" => &mut limits.client_head,
        "client-idle" => &mut limits.client_idle,
        "tcp-idle" => &mut limits.tcp_idle,
        "half-closed" => &mut limits.half_closed,
        "drain" => &mut limits.drain,
        "head-size" => {
            let fits = u32::try_from(number).ok().filter(|size| (1024..=1024 * 1024).contains(size));
            limits.head_size = fits.ok_or("1KiB to 1MiB is possible")?;
            return Ok(());
        }
        "head-fields" => {
            limits.head_fields = u16::try_from(number).map_err(|_| "at most 1000 is possible")?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    if name != "drain" && number < 1_000_000 {
        return Err("at least 1ms is possible");
    }
    *span = Span::from_nanos(number);
    Ok(())
}

fn status_word<'t>(retry: &Reading<'t>) -> Option<&'t Word> {
    retry.rest("on").iter().find(|word| word.text.starts_with(|c: char| c.is_ascii_digit()))
}

fn no_condition(word: &Word) -> Diagnostic {
    let text = word.text.as_str();
    let error = Diagnostic::error(word.place, format!("`{text}` is nothing to retry on"));
    let class = text.len() == 3 && text.ends_with("xx");
    match closest(text, CONDITIONS) {
        Some(meant) => error.label(format!("did you mean `{meant}`?")),
        None if class => error.label("statuses are named one by one: `502 503 504`"),
        None if matches!(text, "error" | "conn-failure" | "empty-response") => {
            error.label("you mean `connect reset`")
        }
        None if text.starts_with("http_") => {
            error.label(format!("you mean `{}`", text.trim_start_matches("http_")))
        }
        None => error.label("expected `connect`, `reset`, `timeout` or statuses from 400 to 599"),
    }
}
