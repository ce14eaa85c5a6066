//! A config in words with every default filled in. Read again, it means the same.

use evenkeel_core::Span;
use evenkeel_core::config::{Check, Config, Down, Limits, Pool, Retry, Service};
use evenkeel_syntax::form::{Shape, Slot};
use evenkeel_syntax::{Block, Directive, Reading, Tree, Word, fits, format};

/// What `root` means, in words, given the model that was made of it.
pub(super) fn words(root: &[Reading<'_>], config: &Config) -> String {
    let mut tree = Tree::default();
    for line in root {
        let name = line.text("name").unwrap_or_default();
        let directive = match line.head() {
            "service" => config.services.iter().find(|of| &*of.name == name).map(|of| service(line, of)),
            "pool" => config.pools.iter().find(|of| &*of.name == name).map(|of| pool(line, of)),
            "resolver" => Some(resolver(line)),
            // Their effect is in the rest.
            _ => None,
        };
        if let Some(mut directive) = directive {
            directive.blank_above = true;
            tree.root.push(directive);
        }
    }
    format(&tree)
}

fn resolver(line: &Reading<'_>) -> Directive {
    let mut lines: Vec<Directive> = line.all("nameserver").chain(line.find("search")).map(as_read).collect();
    for (head, default) in [("ndots", "1"), ("timeout", "2s"), ("attempts", "2")] {
        lines.push(line.find(head).map_or_else(|| bare(&[head, default]), as_read));
    }
    block(line, lines)
}

fn service(line: &Reading<'_>, service: &Service) -> Directive {
    let mut lines = Vec::new();
    for listen in line.all("listen") {
        let mut words = vec![Word::new("listen")];
        words.extend(listen.word("address").cloned());
        words.push(Word::new(listen.text("protocol").unwrap_or("tcp")));
        words.extend(listen.word("defer").cloned());
        lines.push(Directive::new(words, None));
    }
    lines.extend(line.all("route").chain(line.all("pool")).map(as_read));
    let plane = line.find("plane").and_then(|plane| plane.text("plane")).unwrap_or("relay");
    lines.push(bare(&["plane", plane]));
    lines.extend(retry(&service.retry));
    lines.extend(limits(&service.limits));
    block(line, lines)
}

fn retry(retry: &Retry) -> [Directive; 2] {
    let (times, share) = (retry.times.to_string(), format!("{}%", retry.budget_percent));
    let mut words = vec!["retry", &times, "on"];
    let conditions = [(retry.connect, "connect"), (retry.reset, "reset"), (retry.timeout, "timeout")];
    words.extend(conditions.into_iter().filter(|(on, _)| *on).map(|(_, word)| word));
    let statuses: Vec<String> = retry.statuses.iter().map(u16::to_string).collect();
    words.extend(statuses.iter().map(String::as_str));
    if retry.times == 0 {
        words = vec!["retry", "off"];
    }
    [bare(&words), bare(&["retry-budget", &share, "plus", &retry.budget_floor.to_string()])]
}

fn limits(limits: &Limits) -> Vec<Directive> {
    let spans = [
        ("connect", limits.connect),
        ("first-byte", limits.first_byte),
        ("body-idle", limits.body_idle),
        ("overall", limits.overall),
        ("client-head", limits.client_head),
        ("client-idle", limits.client_idle),
        ("tcp-idle", limits.tcp_idle),
        ("half-closed", limits.half_closed),
        ("drain", limits.drain),
    ];
    let mut lines: Vec<Directive> =
        spans.into_iter().map(|(name, span)| bare(&["timeout", name, &exact(span)])).collect();
    let (size, fields) = (exact_size(limits.head_size), limits.head_fields.to_string());
    lines.push(bare(&["limit", "head-size", &size, "head-fields", &fields]));
    lines
}

fn pool(line: &Reading<'_>, pool: &Pool) -> Directive {
    let mut lines = Vec::new();
    for server in line.block().iter().filter(|line| super::pool::is_server(line)) {
        let mut words = server.directive().words.clone();
        if server.word("weight").is_none() {
            words.extend([Word::new("weight"), Word::new("1")]);
        }
        if server.head() == "servers" && server.word("max").is_none() {
            words.extend([Word::new("max"), Word::new("64")]);
        }
        lines.push(Directive::new(words, None));
    }
    let checks: Vec<&Reading<'_>> =
        line.block().iter().filter(|line| line.head().starts_with("check ")).collect();
    match checks[..] {
        [none] if none.head() == "check none" => lines.push(as_read(none)),
        _ => lines.extend(checks.iter().zip(&pool.checks).map(|(line, check)| effective_check(line, check))),
    }
    lines.extend(settings(pool));
    block(line, lines)
}

fn settings(pool: &Pool) -> Vec<Directive> {
    use evenkeel_core::config::{Balance, HashKey, Require};
    let all = pool.checks.len().to_string();
    let require = match pool.require {
        Require::All => bare(&["require", "all"]),
        Require::Any => bare(&["require", "any"]),
        Require::AtLeast(passing) => bare(&["require", &passing.to_string(), "of", &all]),
    };
    let hashed = |method: &'static str, key: &HashKey| match key {
        HashKey::Source => bare(&["balance", method, "source"]),
        HashKey::Path => bare(&["balance", method, "path"]),
        HashKey::Header(header) => bare(&["balance", method, "header", header]),
    };
    let balance = match &pool.balance {
        Balance::Weighted => bare(&["balance", "weighted"]),
        Balance::Least => bare(&["balance", "least"]),
        Balance::Two => bare(&["balance", "two"]),
        Balance::First => bare(&["balance", "first"]),
        Balance::Hash(key) => hashed("hash", key),
        Balance::Maglev(key) => hashed("maglev", key),
    };
    let min_serving = bare(&["min-serving", &format!("{}%", pool.min_serving)]);
    vec![require, balance, min_serving, bare(&["slow-start", &exact(pool.slow_start)])]
}

fn effective_check(line: &Reading<'_>, check: &Check) -> Directive {
    let form = line.form();
    let mut words: Vec<Word> = form.head.split(' ').map(Word::new).collect();
    for slot in form.names {
        words.extend(line.word(slot.name).cloned().or_else(|| default_of(slot)));
    }
    let timing = check.timing;
    for slot in form.keys.iter().flat_map(|group| group.iter()) {
        let value = match slot.name {
            "every" => Some(Word::new(exact(timing.every))),
            "timeout" => Some(Word::new(exact(timing.timeout))),
            "connect" => Some(Word::new(exact(timing.connect_timeout))),
            "fast" => Some(Word::new(exact(timing.fast))),
            "as" => Some(Word { quoted: !plain_name(&check.name, line), ..Word::new(&*check.name) }),
            _ => line.word(slot.name).cloned().or_else(|| default_of(slot)),
        };
        match slot.shape {
            Shape::Flag => words.extend(value),
            _ => words.extend(value.into_iter().flat_map(|value| [Word::new(slot.name), value])),
        }
    }
    let own = line.block().iter().filter(|line| !matches!(line.head(), "down after" | "up after"));
    let mut lines: Vec<Directive> = own.map(as_read).collect();
    if form.head == "check http" && line.find("expect status").is_none() {
        lines.push(bare(&["expect", "status", "200-399"]));
    }
    lines.push(match check.rule.down {
        Down::Fails { count, .. } => bare(&["down", "after", &count.to_string(), "fails"]),
        Down::NoPassFor(span) => bare(&["down", "after", &exact(span)]),
    });
    lines.push(bare(&["up", "after", &check.rule.up_passes.to_string(), "passes"]));
    Directive::new(words, Some(Block { directives: lines, ..Block::default() }))
}

/// Whether a check's name cannot be taken for a key of its line.
fn plain_name(name: &str, line: &Reading<'_>) -> bool {
    !line.form().keys.iter().flat_map(|group| group.iter()).any(|slot| slot.name == name)
}

/// A slot's default, if it is a word and not a description of one.
fn default_of(slot: &Slot) -> Option<Word> {
    let word = Word::new(slot.default.filter(|text| !text.contains(' '))?);
    fits(&slot.shape, &word).then_some(word)
}

fn block(line: &Reading<'_>, directives: Vec<Directive>) -> Directive {
    Directive::new(line.directive().words.clone(), Some(Block { directives, ..Block::default() }))
}

/// A directive as it was read, without its comments.
pub(super) fn as_read(line: &Reading<'_>) -> Directive {
    strip(line.directive())
}

/// A directive and all in it without comments and blank lines.
pub(super) fn strip(directive: &Directive) -> Directive {
    let block = directive
        .block
        .as_ref()
        .map(|block| Block { directives: block.directives.iter().map(strip).collect(), ..Block::default() });
    Directive::new(directive.words.clone(), block)
}

fn bare(words: &[&str]) -> Directive {
    Directive::new(words.iter().map(|word| Word::new(*word)).collect(), None)
}

/// A time without any loss, which the span's own spelling does not promise.
fn exact(span: Span) -> String {
    const UNITS: [(u64, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let mut left = span.as_nanos();
    let mut out = String::new();
    for (unit, name) in UNITS {
        if left >= unit {
            out.push_str(&format!("{}{name}", left / unit));
            left %= unit;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

fn exact_size(bytes: u32) -> String {
    if bytes.is_multiple_of(1024) { format!("{}KiB", bytes / 1024) } else { format!("{bytes}B") }
}
