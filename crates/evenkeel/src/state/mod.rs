//! What outlives the daemon: what people want of servers, and what was known of them, in one JSON file. Restored
//! health is only trusted while it is young; what people said holds until they take it back.

mod keeper;
mod place;

pub use keeper::Keeper;
pub use place::{Place, Taken, Trouble, default_path, take};

use evenkeel_core::evidence::{Evidence, Kind, Layer, Mark, Reason, Verdict};
use evenkeel_core::intent::{Intent, Origin, Weighing, Wish};
use evenkeel_core::source::Seed;
use evenkeel_core::{Health, Opinion, Span, Time};
use serde::{Deserialize, Serialize};

/// The version of the file that this daemon writes and reads.
pub const VERSION: u32 = 1;
/// Health younger than this is believed, or younger than three intervals if that is longer.
const YOUNG: Span = Span::from_secs(30);

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// See [`VERSION`].
    pub version: u32,
    /// The boot id of the machine (random(4), `/proc/sys/kernel/random/boot_id`): times of another boot mean nothing.
    pub boot: String,
    /// When it was true, in nanoseconds since boot.
    pub at_ns: u64,
    /// The same for people, RFC 3339.
    pub written: String,
    /// Everybody of whom something is known.
    pub servers: Vec<Kept>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its pool.
    pub pool: String,
    /// Its name there.
    pub server: String,
    /// Where it was.
    pub address: String,
    /// What people and agents want of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<KeptIntent>,
    /// Somebody's word on its weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighing: Option<KeptWeighing>,
    /// What its checks thought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<KeptCheck>,
}

/// A wish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptIntent {
    /// `drain`, `maint`, `force up`, `force down`.
    pub wish: String,
    /// `operator` or `agent`.
    pub origin: String,
    /// Who.
    pub author: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Until when, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// A weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptWeighing {
    /// 0 to 256.
    pub weight: u16,
    /// Who.
    pub author: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Until when, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// What one check thought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptCheck {
    /// Its name.
    pub check: String,
    /// A hash of all that it does and means: another check of the same name knows nothing.
    pub definition: u64,
    /// Whether it was up. A check that had heard nothing is not kept.
    pub up: bool,
    /// Down, and nobody could be served there.
    #[serde(default)]
    pub hard: bool,
    /// Since when, in nanoseconds since boot.
    pub since_ns: u64,
    /// How many like the deciding outcome in a row.
    pub streak: u32,
    /// Why it failed: its layer, how it is drawn (`x`, `t`, `w`), and the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<(String, char, String)>,
    /// How long the deciding probe took.
    pub took_ns: u64,
}

impl KeptIntent {
    /// An intent as it is kept; `None` if nobody could take it back after a restart.
    pub fn of(intent: &Intent) -> Option<KeptIntent> {
        let origin = match intent.origin {
            Origin::Operator => "operator",
            Origin::Agent => "agent",
            Origin::Names => return None,
        };
        Some(KeptIntent {
            wish: intent.wish.to_string(),
            origin: origin.into(),
            author: intent.author.to_string(),
            reason: intent.reason.to_string(),
            until: intent.until,
        })
    }

    /// The intent; `None` if its words are not known here.
    pub fn intent(&self) -> Option<Intent> {
        let wishes = [Wish::Drain, Wish::Maint, Wish::ForceUp, Wish::ForceDown];
        let origin = match self.origin.as_str() {
            "operator" => Origin::Operator,
            "agent" => Origin::Agent,
            _ => return None,
        };
        Some(Intent {
            wish: wishes.into_iter().find(|wish| wish.to_string() == self.wish)?,
            origin,
            author: self.author.as_str().into(),
            reason: self.reason.as_str().into(),
            until: self.until,
        })
    }
}

impl KeptWeighing {
    /// A weight as it is kept.
    pub fn of(weighing: &Weighing) -> Option<KeptWeighing> {
        Some(KeptWeighing {
            weight: weighing.weight?,
            author: weighing.author.to_string(),
            reason: weighing.reason.to_string(),
            until: weighing.until,
        })
    }

    /// The weight as the core takes it.
    pub fn weighing(&self) -> Weighing {
        Weighing {
            weight: Some(self.weight.min(256)),
            author: self.author.as_str().into(),
            reason: self.reason.as_str().into(),
            until: self.until,
        }
    }
}

impl KeptCheck {
    /// What a check thinks, as it is kept; `None` if it has heard nothing.
    pub fn of(
        check: &str,
        definition: u64,
        opinion: &Opinion,
        decided: &(Evidence, u32, Time),
    ) -> Option<KeptCheck> {
        let (evidence, streak, since) = decided;
        let reason = evidence.verdict.reason().map(|reason| {
            let mark = MARKS.iter().find(|(mark, _)| *mark == reason.mark).map_or('w', |(_, letter)| *letter);
            (reason.layer.to_string(), mark, reason.text.to_string())
        });
        (opinion.health != Health::Unknown).then(|| KeptCheck {
            check: check.to_owned(),
            definition,
            up: opinion.health == Health::Up,
            hard: opinion.hard,
            since_ns: since.as_nanos(),
            streak: *streak,
            reason,
            took_ns: evidence.took.as_nanos(),
        })
    }

    /// What the source begins with. `age`: how long ago this was true, if it was in this boot.
    pub fn seed(&self, now: Time, age: Option<Span>, every: Span) -> Option<Seed> {
        let young = age.is_some_and(|age| age < every.times(3).max(YOUNG));
        let health = if self.up { Health::Up } else { Health::Down };
        let since = if age.is_some() { Time::from_nanos(self.since_ns).min(now) } else { now };
        // Of those who were up long ago nothing is known; who was dead has to show that it is not.
        (young || !self.up).then_some(Seed { health, hard: self.hard && !self.up, since, stale: !young })
    }

    /// The evidence, as far as it was kept.
    pub fn evidence(&self) -> Evidence {
        let verdict = match &self.reason {
            Some((layer, letter, text)) if !self.up => {
                let layer = LAYERS.into_iter().find(|known| known.to_string() == *layer).unwrap_or(Layer::L4);
                let mark =
                    MARKS.iter().find(|(_, known)| known == letter).map_or(Mark::Wrong, |(mark, _)| *mark);
                let kind = if self.hard { Kind::Hard } else { Kind::Soft };
                Verdict::Fail(Reason { layer, kind, mark, text: text.clone().into() })
            }
            _ if self.up => Verdict::Pass,
            _ => Verdict::Fail(Reason::soft(Layer::L4, Mark::Wrong, "down before the restart")),
        };
        Evidence::plain(verdict, Span::from_nanos(self.took_ns))
    }
}

const MARKS: [(Mark, char); 3] = [(Mark::Refused, 'x'), (Mark::Timeout, 't'), (Mark::Wrong, 'w')];
const LAYERS: [Layer; 4] = [Layer::L4, Layer::L6, Layer::L7, Layer::X];

/// The boot id; empty, and equal to no other, where the system tells none.
pub fn boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Reads what a file says, and judges whether it is one of ours.
pub fn parse(text: &[u8], boot: &str, now: Time) -> Result<State, String> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let head: Head = serde_json::from_slice(text).map_err(|error| format!("no state: {error}"))?;
    if head.version != VERSION {
        return Err(format!("its version is {}, and {VERSION} is known here", head.version));
    }
    let state: State = serde_json::from_slice(text).map_err(|error| format!("no state: {error}"))?;
    if state.boot == boot && state.at_ns > now.as_nanos() {
        return Err("it is from the future".into());
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let check = KeptCheck {
            check: "http".into(),
            definition: 7,
            up: false,
            hard: true,
            since_ns: 5,
            streak: 3,
            reason: Some(("L4".into(), 'x', "refused".into())),
            took_ns: 9,
        };
        let kept = Kept {
            pool: "web".into(),
            server: "rs1".into(),
            address: "127.0.0.1:80".into(),
            intents: Vec::new(),
            weighing: None,
            checks: vec![check],
        };
        State { version: VERSION, boot: "b".into(), at_ns: 10, written: String::new(), servers: vec![kept] }
    }

    #[test]
    fn only_our_own_past_is_read() {
        let (text, now) = (serde_json::to_vec(&state()).unwrap(), Time::from_nanos(11));
        assert_eq!(parse(&text, "b", now), Ok(state()));
        assert_eq!(
            parse(&text, "other", Time::ZERO),
            Ok(state()),
            "the times of another boot are not compared"
        );
        assert!(parse(&text, "b", Time::from_nanos(9)).unwrap_err().contains("future"));
        assert!(parse(&text[..text.len() - 1], "b", now).is_err());
        let foreign = String::from_utf8(text).unwrap().replace("\"version\":1", "\"version\":2");
        assert!(parse(foreign.as_bytes(), "b", now).unwrap_err().contains("version is 2"));
        for text in ["", "[]", "{}", "null", "\0\0\0"] {
            assert!(parse(text.as_bytes(), "b", now).is_err(), "{text:?}");
        }
    }

    #[test]
    fn who_was_dead_stays_so_and_old_news_of_the_living_is_no_news() {
        let mut check = state().servers[0].checks[0].clone();
        let now = Time::ZERO + Span::from_secs(1_000);
        let every = Span::from_secs(20);
        let stale = |check: &KeptCheck, age: Option<u64>| {
            check.seed(now, age.map(Span::from_secs), every).map(|seed| (seed.health, seed.stale))
        };
        assert_eq!(stale(&check, Some(59)), Some((Health::Down, false)));
        assert_eq!(stale(&check, Some(60)), Some((Health::Down, true)));
        assert_eq!(stale(&check, None), Some((Health::Down, true)));
        assert_eq!(check.evidence().verdict.reason().unwrap().to_string(), "L4 refused");
        check.up = true;
        assert_eq!(stale(&check, Some(59)), Some((Health::Up, false)));
        assert_eq!(stale(&check, Some(60)), None);
        assert_eq!(stale(&check, None), None);
    }
}
