//! Orders: what somebody wants of a server, as the body of a request. It is read and judged here as far as that needs
//! no knowledge of the config; the loop does the rest.

use super::model::Refusal;
use evenkeel_core::intent::Wish;
use serde::{Deserialize, Serialize};

/// A body is longer only by mistake, or by malice.
pub const BODY_MAX: usize = 16 * 1024;
/// A reason is a line that people read in a log.
const REASON_MAX: usize = 300;
const AUTHOR_MAX: usize = 60;

/// `PUT /v1/pools/{pool}/servers/{server}/intent`, and with a weight in place of the wish, `…/weight`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// `ready`, `drain`, `maint`, `force up` or `force down`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<String>,
    /// 0 to 256. Absent or null: what the config says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Until when, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// In whose name. Who really asked is known anyway, and told beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Even if nobody serves in the pool after that.
    #[serde(default)]
    pub force: bool,
}

/// What somebody wants of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// In which pool. Without one the server's name must be unique.
    pub pool: Option<String>,
    /// Which one.
    pub server: String,
    /// What.
    pub what: What,
    /// `ann`, or `ann (uid 1000)` if that is only what somebody calls himself.
    pub author: String,
    /// Why. One line.
    pub reason: String,
    /// Until when, in seconds since 1970.
    pub until: Option<u64>,
    /// Even if nobody serves in the pool after that.
    pub force: bool,
}

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An intent.
    Wish(Wish),
    /// A weight; `None`: what the config says.
    Weight(Option<u16>),
}

/// Which of the two a path is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// `…/intent`.
    Intent,
    /// `…/weight`.
    Weight,
}

const WISHES: [(&str, Wish); 5] = [
    ("ready", Wish::Ready),
    ("drain", Wish::Drain),
    ("maint", Wish::Maint),
    ("force up", Wish::ForceUp),
    ("force down", Wish::ForceDown),
];

impl Body {
    /// What the bytes of a request say.
    pub fn read(bytes: &[u8]) -> Result<Body, Refusal> {
        serde_json::from_slice(bytes).map_err(|error| {
            Refusal::new(400, format!("the body is no JSON object of the kind expected here: {error}"))
        })
    }

    /// What is ordered, and until when. `now`: wall time in seconds since 1970.
    pub fn judge(&self, matter: Matter, now: u64) -> Result<What, Refusal> {
        let what = match (matter, &self.wish, self.weight) {
            (Matter::Intent, Some(word), None) => What::Wish(wish(word)?),
            (Matter::Intent, ..) => return Err(Refusal::new(400, "an intent needs a wish, and no weight")),
            (Matter::Weight, None, Some(257..)) => {
                return Err(Refusal::new(400, "a weight is a number from 0 to 256"));
            }
            (Matter::Weight, None, weight) => What::Weight(weight),
            (Matter::Weight, ..) => return Err(Refusal::new(400, "a weight needs no wish")),
        };
        let ends = matches!(what, What::Wish(Wish::Ready) | What::Weight(None));
        match self.until {
            Some(_) if ends => {
                Err(Refusal::new(400, "`until` says when a word ends; this takes one back and has no end"))
            }
            Some(until) if until <= now => Err(Refusal::new(400, "`until` is in the past")),
            _ => Ok(what),
        }
    }

    /// The reason in one line that is not too long: it goes to logs and terminals.
    pub fn reason(&self) -> Result<String, Refusal> {
        one_line("reason", &self.reason, REASON_MAX)
    }

    /// Whose word it is, if `peer` sits at the other end of the socket.
    pub fn author(&self, peer: &str) -> Result<String, Refusal> {
        match &self.by {
            Some(by) if by != peer && !by.trim().is_empty() => {
                Ok(format!("{} ({peer})", one_line("by", by, AUTHOR_MAX)?))
            }
            _ => Ok(peer.to_owned()),
        }
    }
}

/// The wish that a word means.
fn wish(word: &str) -> Result<Wish, Refusal> {
    let found = WISHES.iter().find(|(name, _)| *name == word);
    found.map(|(_, wish)| *wish).ok_or_else(|| {
        let refusal = Refusal::missing("wish", word, WISHES.map(|(name, _)| name));
        Refusal { status: 400, ..refusal }
    })
}

fn one_line(what: &str, text: &str, max: usize) -> Result<String, Refusal> {
    if text.len() > max {
        return Err(Refusal::new(400, format!("`{what}` is longer than {max} bytes")));
    }
    Ok(text.trim().replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(matter: Matter, json: &str) -> Result<What, String> {
        let body = Body::read(json.as_bytes()).map_err(|refusal| refusal.error)?;
        body.judge(matter, 1_000).map_err(|refusal| refusal.error)
    }

    #[test]
    fn an_order_says_one_thing_and_its_end_is_ahead() {
        let drain = r#"{"wish":"drain","until":1001}"#;
        assert_eq!(judged(Matter::Intent, drain), Ok(What::Wish(Wish::Drain)));
        assert_eq!(judged(Matter::Weight, r#"{"weight":256}"#), Ok(What::Weight(Some(256))));
        assert_eq!(judged(Matter::Weight, "{}"), Ok(What::Weight(None)));
        for (matter, json, part) in [
            (Matter::Intent, r#"{"wish":"dran"}"#, "no wish \"dran\""),
            (Matter::Intent, "{}", "needs a wish"),
            (Matter::Intent, r#"{"wish":"drain","weight":1}"#, "no weight"),
            (Matter::Weight, r#"{"weight":257}"#, "0 to 256"),
            (Matter::Weight, r#"{"weight":-1}"#, "no JSON object of the kind"),
            (Matter::Intent, r#"{"wish":"drain","until":1000}"#, "in the past"),
            (Matter::Intent, r#"{"wish":"ready","until":1001}"#, "takes one back"),
            (Matter::Intent, r#"{"wihs":"ready"}"#, "wihs"),
            (Matter::Intent, "drain", "no JSON object"),
        ] {
            let said = judged(matter, json).unwrap_err();
            assert!(said.contains(part), "{json}: {said}");
        }
    }

    #[test]
    fn nobody_speaks_in_another_name_unseen_nor_in_two_lines() {
        let body = |json: &str| Body::read(json.as_bytes()).unwrap();
        assert_eq!(body("{}").author("ann").unwrap(), "ann");
        assert_eq!(body(r#"{"by":"ann"}"#).author("ann").unwrap(), "ann");
        assert_eq!(body(r#"{"by":"bob\n"}"#).author("ann").unwrap(), "bob (ann)");
        assert_eq!(body(r#"{"reason":"new\ndisk\u001b[31m"}"#).reason().unwrap(), "new disk [31m");
        assert!(body(&format!(r#"{{"reason":"{}"}}"#, "x".repeat(301))).reason().is_err());
    }
}
