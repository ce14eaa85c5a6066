//! The words of a command line as a check line: `http /health expect body OK` becomes
//! `check http /health { expect body OK }`, read by the same reader as a config.

use evenkeel_check::words::{self, CheckWords, Defaults, Kind};
use evenkeel_syntax::form::{Form, Shape};

/// What a check line is asked about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked<'w> {
    /// The host's name, if it was not asked for by its address: for `Host` and for TLS.
    pub(super) name: Option<&'w str>,
    /// It was asked for as `https://…`.
    pub(super) tls: bool,
}

/// What the words mean. The error is every complaint, with carets.
pub(super) fn read(kind: &str, words: &[String], asked: Asked<'_>) -> Result<(CheckWords, String), String> {
    let Some(kind) = words::kinds().iter().find(|known| known.name == kind) else {
        let known: Vec<&str> = words::kinds().iter().map(|kind| kind.name).collect();
        return Err(format!("unknown kind of check `{kind}`: there are {}\n", known.join(", ")));
    };
    let text = spelled(kind, words, asked);
    let (tree, mut errors) = evenkeel_syntax::parse("the words as a config has them", text.as_bytes());
    let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
    // A probe is not a schedule: a timeout that would be too long for the default interval is none here.
    let mut defaults = Defaults::default();
    if let Some(timeout) = lines.first().and_then(|line| line.number("timeout")) {
        defaults.timing.every = defaults.timing.every.max(evenkeel_core::Span::from_nanos(timeout));
    }
    let check = lines.first().and_then(|line| words::read(line, &defaults, &mut errors));
    let told = evenkeel_syntax::render(&errors, &tree.files);
    match check {
        Some(check) if !errors.iter().any(evenkeel_syntax::Diagnostic::is_error) => {
            eprint!("{told}");
            Ok((check, text))
        }
        _ => Err(told),
    }
}

/// The words as a config would have them.
fn spelled(kind: &Kind, words: &[String], asked: Asked<'_>) -> String {
    let forms: Vec<&Form> = kind.form.block.unwrap_or(&[]).iter().flat_map(|group| group.iter()).collect();
    let first = (0..words.len()).find(|at| begins(&forms, &words[*at..]).is_some()).unwrap_or(words.len());
    let mut line: Vec<String> = vec![kind.form.head.to_string()];
    line.extend(words[..first].iter().map(|word| spell(word, false)));
    let says = |key: &str| words.iter().any(|word| word == key);
    let keys = kind.form.keys.iter().flat_map(|group| group.iter());
    if let Some(name) = asked.name
        && keys.clone().any(|slot| slot.name == "host")
        && !says("host")
        && !says("raw")
    {
        line.push(format!("host {name}"));
    }
    let mut block: Vec<String> = Vec::new();
    let mut at = first;
    while at < words.len() {
        let end = end(&forms, words, at);
        let regex = |index: usize| words[at..index].iter().any(|word| word == "regex");
        let spelled: Vec<String> = (at..end).map(|index| spell(&words[index], regex(index))).collect();
        block.push(spelled.join(" "));
        at = end;
    }
    let tls = block.iter().position(|line| line == "tls" || line.starts_with("tls "));
    match (tls, asked.name) {
        (None, None) if asked.tls && !says("tls") => block.push("tls".into()),
        (None, Some(name)) if asked.tls || says("tls") => {
            block.push(format!("tls name {}", name.rsplit_once(':').map_or(name, |(host, _)| host)));
        }
        (Some(at), Some(name)) if !block[at].contains(" name ") => {
            block[at] += &format!(" name {}", name.rsplit_once(':').map_or(name, |(host, _)| host));
        }
        _ => {}
    }
    let line = line.join(" ");
    if block.is_empty() {
        format!("{line}\n")
    } else {
        format!("{line} {{\n    {}\n}}\n", block.join("\n    "))
    }
}

/// The form that a line of the block beginning with these words has: the one with the longest head.
fn begins<'f>(forms: &[&'f Form], words: &[String]) -> Option<&'f Form> {
    let fits = |form: &&&'f Form| {
        let heads: Vec<&str> = form.head.split(' ').collect();
        heads.len() <= words.len() && heads.iter().zip(words).all(|(head, word)| head == word)
    };
    forms.iter().filter(fits).max_by_key(|form| form.head.len()).copied()
}

/// Where the line of the block that begins at `at` ends: after the words it must have, before the next that
/// begins a line.
fn end(forms: &[&Form], words: &[String], at: usize) -> usize {
    let Some(form) = begins(forms, &words[at..]) else { return words.len() };
    let heads = form.head.split(' ').count();
    let least = forms
        .iter()
        .filter(|other| other.head == form.head)
        .map(|other| {
            other.names.iter().filter(|slot| !slot.optional && !matches!(slot.shape, Shape::Rest)).count()
        })
        .min()
        .unwrap_or(0);
    let from = (at + heads + least).min(words.len());
    (from..words.len()).find(|next| begins(forms, &words[*next..]).is_some()).unwrap_or(words.len())
}

/// A word of the shell as a word of a config: bare if it can be, else quoted. In quotes `\r \n \t \0 \xHH`
/// mean what they mean in a config; in a pattern a backslash is the pattern's.
fn spell(word: &str, regex: bool) -> String {
    let bare =
        |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\'' | '{' | '}' | '\\' | '#');
    if !word.is_empty() && word.chars().all(bare) {
        return word.to_string();
    }
    if regex && !word.contains(['\'', '\n']) {
        return format!("'{word}'");
    }
    let mut text = String::from('"');
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' if !regex && rest.peek().is_some_and(|next| "nrt0\\\"x".contains(*next)) => {
                text.push('\\');
                text.extend(rest.next());
            }
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => c.to_string().bytes().for_each(|byte| text += &format!("\\x{byte:02x}")),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: &str, words: &[&str], asked: Asked<'_>) -> String {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        read(kind, &words, asked).map_or_else(|why| why, |(_, text)| text)
    }

    #[test]
    fn words_of_the_shell_are_words_of_a_config() {
        let plain = Asked::default();
        assert_eq!(text("tcp", &[], plain), "check tcp\n");
        let words =
            ["/health", "timeout", "1s", "expect", "status", "200", "404", "expect", "body", "all OK"];
        let wanted =
            "check http /health timeout 1s {\n    expect status 200 404\n    expect body \"all OK\"\n}\n";
        assert_eq!(text("http", &words, plain), wanted);
        let words = ["send", r"PING\r\n", "expect", "not", "regex", r"\bERR\d", "expect", "expect"];
        let wanted =
            "check tcp {\n    send \"PING\\r\\n\"\n    expect not regex '\\bERR\\d'\n    expect expect\n}\n";
        assert!(text("tcp", &words, plain).contains("no `expect` can follow"));
        assert_eq!(text("tcp", &["send", r"a\d"], plain), "check tcp {\n    send \"a\\\\d\"\n}\n");
        let kind = &words::kinds()[1];
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        assert_eq!(spelled(kind, &words, plain), wanted);
    }

    #[test]
    fn a_timeout_longer_than_the_default_interval_is_fine() {
        assert_eq!(text("tcp", &["timeout", "30s"], Asked::default()), "check tcp timeout 30s\n");
    }

    #[test]
    fn a_name_asked_for_is_the_host_and_the_name_of_the_certificate() {
        let named = Asked { name: Some("shop.example:8443"), tls: true };
        let wanted = "check http / host shop.example:8443 {\n    tls name shop.example\n}\n";
        assert_eq!(text("http", &["/"], named), wanted);
        let wanted = "check http / host shop.example:8443 {\n    tls verify no name shop.example\n}\n";
        assert_eq!(text("http", &["/", "tls", "verify", "no"], named), wanted);
        assert_eq!(text("http", &["/"], Asked { name: None, tls: true }), "check http / {\n    tls\n}\n");
    }

    #[test]
    fn complaints_have_carets() {
        let told = text("http", &["/x", "expect", "status", "2xx"], Asked::default());
        assert!(told.contains("`2xx` is no status") && told.contains('^'), "{told}");
        assert!(
            text("ping", &[], Asked::default())
                .starts_with("unknown kind of check `ping`: there are half-open")
        );
    }
}
