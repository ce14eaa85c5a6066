//! What the API says, as data: the server writes it, the verbs read it. Field names are a promise to programs:
//! they may be added to, never changed.

use serde::{Deserialize, Serialize};

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Of evenkeel.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Since the daemon's start.
    pub uptime_s: f64,
    /// The config file.
    pub file: String,
    /// In the order of the config.
    pub services: Vec<Service>,
    /// In the order of the config.
    pub pools: Vec<Pool>,
    /// Every name that servers are given by, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Name>,
}

/// What is known of a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Name {
    /// As it stands in the config.
    pub name: String,
    /// `addresses` or `services`.
    pub ask: String,
    /// By the last good answer; those with a port came with one.
    pub addresses: Vec<String>,
    /// The addresses were seen twice in a row, or are the first.
    pub confirmed: bool,
    /// How old the last good answer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_ago_s: Option<f64>,
    /// When it is asked for again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_s: Option<f64>,
    /// Why the latest question brought nothing. The addresses are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// One service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `127.0.0.1:80 http`.
    pub listen: Vec<String>,
    /// Which plane carries it.
    pub plane: String,
    /// Where requests go, by path prefix; the empty prefix takes all.
    pub routes: Vec<Route>,
}

/// One route of a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Of the path.
    pub prefix: String,
    /// Where such requests go.
    pub pool: String,
}

/// One pool: `GET /v1/pools/{pool}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// The names of its checks.
    pub checks: Vec<String>,
    /// Who gets new work.
    pub serving: Vec<String>,
    /// In the order of the config, backups too.
    pub servers: Vec<Server>,
}

/// One server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Unique in its pool.
    pub name: String,
    /// As it stands in the config.
    pub address: String,
    /// Where a name leads, if `address` has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    /// `unknown`, `up` or `down`.
    pub health: String,
    /// `serving`, `draining` or `out`.
    pub duty: String,
    /// A sorry server.
    pub backup: bool,
    /// What it weighs, 0 to 256: somebody's word, else the config's.
    pub weight: u16,
    /// Somebody's word on its weight.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub weighing: Option<Weighing>,
    /// What people and agents want of it; the most drastic one holds. Empty: the evidence decides.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub intents: Vec<Intent>,
    /// What it gets of that now, in percent: less than 100 during slow start.
    pub share_percent: f64,
    /// Skipped by the relay for the moment: its last connect was refused.
    pub avoid: bool,
    /// Why its health is what it is: `http: L7 status 503`.
    pub reason: String,
    /// How long its health has been the same; absent if it never changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_s: Option<f64>,
    /// Connections or requests under way.
    pub active: u64,
    /// Requests or connections it was given since the daemon's start.
    pub total: u64,
}

/// Somebody wants something of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// `drain`, `maint`, `force up` or `force down`.
    pub wish: String,
    /// `operator`, `agent` or `names`.
    pub origin: String,
    /// Who.
    pub author: String,
    /// Why; may be empty.
    pub reason: String,
    /// Until when, RFC 3339; absent: until somebody says otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<String>,
}

/// Somebody's word on a weight.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Weighing {
    /// What the config says.
    pub configured: u16,
    /// Who.
    pub author: String,
    /// Why; may be empty.
    pub reason: String,
    /// Until when, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<String>,
}

/// The answer to an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ordered {
    /// Whether anything is different now.
    pub changed: bool,
    /// Its pool.
    pub pool: String,
    /// The row of the status, as it is now.
    pub server: Server,
    /// Who gets new work in the pool now.
    pub serving: Vec<String>,
}

/// `GET /v1/pools/{pool}/servers/{server}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// Its pool.
    pub pool: String,
    /// The row of the status.
    pub server: Server,
    /// Why it does what it does now.
    pub because: String,
    /// What would make it serve, each of these being needed; empty while it does.
    pub needs: Vec<String>,
    /// How many of the checks must pass: `all`, `any`, `2 of 3`.
    pub require: String,
    /// The last change of its health, as the log told it; absent if it never changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// One by one.
    pub checks: Vec<Check>,
}

/// The last change of a server's health.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decided {
    /// Its number among the events.
    pub seq: u64,
    /// Wall time, RFC 3339.
    pub at: String,
    /// How long ago.
    pub ago_s: f64,
    /// The line of the log.
    pub text: String,
}

/// One check on one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// `unknown`, `up` or `down`.
    pub health: String,
    /// `every 5s timeout 2s (connect 1s)`.
    pub timing: String,
    /// What makes it change its mind: `down after 3 fails over >= 1s, up after 2 passes in a row`.
    pub rule: String,
    /// What made it: `down after 3 fails over >= 1s: 3rd fail 12s ago`.
    pub fired: String,
    /// What would change it next: `2 passes in a row; next probe in 3s`.
    pub next: String,
    /// The last outcomes, oldest first: `+` pass, `x` refused, `t` timeout, `w` wrong answer.
    pub history: String,
    /// The evidence that decided its health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<Evidence>,
    /// The last fail, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fail: Option<Evidence>,
}

/// One outcome, explained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// How long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ago_s: Option<f64>,
    /// `passed`, or `L7 status 503`.
    pub outcome: String,
    /// `hard`, `soft` or `local`; absent for a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The whole probe, in milliseconds.
    pub took_ms: f64,
    /// Its phases in order, in milliseconds: resolve, connect, tls, send, first byte, body. A phase that was not
    /// reached is absent.
    pub phases: Vec<Phase>,
    /// The error of the system call behind it: `ECONNREFUSED`-like text with its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// The bytes that decided, escaped as `\r\n`, `\x00`.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub sample: String,
}

/// One phase of a probe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Phase {
    /// `connect`.
    pub name: String,
    /// In milliseconds.
    pub ms: f64,
}

/// Any answer that is not 200.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong.
    pub error: String,
    /// A name that exists and looks like the one asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did_you_mean: Option<String>,
}
