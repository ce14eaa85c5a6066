//! What a fault server does with a request, in words: `ok`, `status 503`, `10% reset`, `at /health hang`.
//! It knows the words and who is meant, not how to do it.

use std::time::Duration;

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// 200 and the server's name.
    Ok,
    /// This status.
    Status(u16),
    /// The request is read and never answered.
    Hang,
    /// A good answer after so long.
    Slow(Duration),
    /// A good answer, a byte each so long.
    Drip(Duration),
    /// A head and half of the body, then RST.
    Reset,
    /// A head and half of the body, then FIN.
    Early,
    /// FIN instead of an answer.
    Close,
    /// Bytes that are no HTTP.
    Garbage,
    /// A body without an end, as fast as it is read.
    Endless,
    /// A body of 1 GiB, announced as such.
    Huge,
    /// The listener is closed and every connection reset.
    Refuse,
    /// The listener is closed; connections that stand are served as before.
    Deaf,
    /// So many percent of the requests get the other, evenly spread; the rest is fine.
    Share(u8, Box<Behaviour>),
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Whoever comes.
    Open,
    /// Nobody new.
    Deaf,
    /// Nobody, and whoever is in is thrown out.
    Shut,
}

/// What a server was told so far.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// For every request.
    everywhere: Behaviour,
    /// For requests whose path begins so; the latest line wins.
    paths: Vec<(String, Behaviour)>,
    /// What a good answer's body says after the name.
    pub(super) says: String,
}

impl Plan {
    /// A server that works.
    pub(super) fn new() -> Plan {
        Plan { everywhere: Behaviour::Ok, paths: Vec::new(), says: "OK".to_owned() }
    }

    /// Takes one line: `BEHAVIOUR`, `at PATH BEHAVIOUR` or `say TEXT`.
    pub(super) fn hear(&mut self, line: &str) -> Result<(), String> {
        if let Some(text) = line.strip_prefix("say ") {
            self.says = text.to_owned();
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["at", path, rest @ ..] => {
                let behaviour = parse(rest)?;
                self.paths.retain(|(known, _)| known != path);
                self.paths.insert(0, ((*path).to_owned(), behaviour));
            }
            rest => {
                self.everywhere = parse(rest)?;
                self.paths.clear();
            }
        }
        Ok(())
    }

    /// Who is let in.
    pub(super) fn door(&self) -> Door {
        match self.everywhere {
            Behaviour::Refuse => Door::Shut,
            Behaviour::Deaf => Door::Deaf,
            _ => Door::Open,
        }
    }

    /// What to do with the `nth` request (from 1), which is for `path`.
    pub(super) fn choose(&self, path: &str, nth: u64) -> Behaviour {
        let named = self.paths.iter().find(|(prefix, _)| path.starts_with(prefix.as_str()));
        match named.map_or(&self.everywhere, |(_, behaviour)| behaviour) {
            Behaviour::Share(percent, bad) => {
                let percent = u64::from(*percent);
                let due = nth * percent / 100 != (nth - 1) * percent / 100;
                if due { (**bad).clone() } else { Behaviour::Ok }
            }
            whole => whole.clone(),
        }
    }
}

fn parse(words: &[&str]) -> Result<Behaviour, String> {
    let wrong = || format!("unknown behaviour `{}`", words.join(" "));
    Ok(match words {
        ["ok"] => Behaviour::Ok,
        ["status", code] => Behaviour::Status(code.parse().map_err(|_| wrong())?),
        ["hang"] => Behaviour::Hang,
        ["slow", span] => Behaviour::Slow(duration(span).ok_or_else(wrong)?),
        ["drip"] => Behaviour::Drip(Duration::from_secs(1)),
        ["drip", span] => Behaviour::Drip(duration(span).ok_or_else(wrong)?),
        ["reset"] => Behaviour::Reset,
        ["early"] => Behaviour::Early,
        ["close"] => Behaviour::Close,
        ["garbage"] => Behaviour::Garbage,
        ["endless"] => Behaviour::Endless,
        ["huge"] => Behaviour::Huge,
        ["refuse"] => Behaviour::Refuse,
        ["deaf"] => Behaviour::Deaf,
        [share, rest @ ..] if share.ends_with('%') => {
            let percent = share.trim_end_matches('%').parse().ok().filter(|share| *share <= 100u8);
            let behaviour = parse(rest)?;
            if matches!(behaviour, Behaviour::Refuse | Behaviour::Deaf | Behaviour::Share(..)) {
                return Err(wrong());
            }
            Behaviour::Share(percent.ok_or_else(wrong)?, Box::new(behaviour))
        }
        _ => return Err(wrong()),
    })
}

/// Reads `200ms`, `5s`, `2m`.
pub(crate) fn duration(word: &str) -> Option<Duration> {
    let digits = word.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = word[..digits].parse().ok()?;
    match &word[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_spread() {
        let mut plan = Plan::new();
        plan.hear("10% status 503").unwrap();
        let bad: Vec<u64> = (1..=100).filter(|n| plan.choose("/", *n) != Behaviour::Ok).collect();
        assert_eq!(bad, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    }

    #[test]
    fn a_path_differs_from_the_rest_until_everything_changes() {
        let mut plan = Plan::new();
        plan.hear("at /health slow 200ms").unwrap();
        assert_eq!(plan.choose("/health?x", 1), Behaviour::Slow(Duration::from_millis(200)));
        assert_eq!(plan.choose("/", 1), Behaviour::Ok);
        plan.hear("status 500").unwrap();
        assert_eq!(plan.choose("/health", 1), Behaviour::Status(500));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for line in ["", "stats 500", "status", "10% refuse", "101% hang", "at /x", "slow 5", "10% 10% hang"]
        {
            assert!(Plan::new().hear(line).is_err(), "{line}");
        }
    }
}
