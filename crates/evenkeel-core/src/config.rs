//! The validated model: what the words of a config mean. Plain data; whoever builds it has checked it.
//!
//! Ids are given by the reader of the config and stay with a thing for as long as its key does: a server's key
//! is its pool, name and address, a check's its pool, name and whole definition. A reload that changes nothing
//! for a server therefore keeps its id, and with it everything known of it.

use crate::time::Span;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// A pool, for as long as its name stays in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub u32);
/// A server at an address, in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u32);
/// A check of a pool. What it says on the wire is not the core's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckId(pub u32);

/// Everything the daemon was told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// In the order of the file.
    pub services: Vec<Arc<Service>>,
    /// In the order of the file.
    pub pools: Vec<Arc<Pool>>,
}

/// An address users come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Unique among services.
    pub name: Arc<str>,
    /// At least one.
    pub listen: Vec<Listen>,
    /// First match wins; the last one is usually `/`. A TCP service has exactly one, with the empty prefix.
    pub routes: Vec<Route>,
    /// Which plane carries it.
    pub plane: PlaneKind,
    /// When another server is tried.
    pub retry: Retry,
    /// Limits of the relay.
    pub limits: Limits,
}

/// One listening address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// Where.
    pub address: Address,
    /// What is spoken there.
    pub protocol: Protocol,
    /// `TCP_DEFER_ACCEPT`: wake only when the client has spoken.
    pub defer: bool,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Bytes.
    Tcp,
    /// HTTP/1.
    Http,
}

/// An address of a listener or a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A stream socket in the file system.
    Unix(PathBuf),
    /// A host name and a port that have no address yet. A server of this kind is not probed: its health is
    /// unknown, with that reason.
    Name(Arc<str>, u16),
}

/// Requests whose path begins with `prefix` go to `pool`.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Empty or `/…`.
    pub prefix: Arc<str>,
    /// Where they go.
    pub pool: PoolId,
}

/// The data plane of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaneKind {
    /// The built-in relay.
    Relay,
    /// Nothing: health is judged and told, traffic goes its own way.
    None,
}

/// When a request that failed at one server is tried at another. A request of which nothing was sent is
/// always redispatched; this is about the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Tries beside the first.
    pub times: u8,
    /// The connection could not be made.
    pub connect: bool,
    /// The server closed before the first byte of an answer.
    pub reset: bool,
    /// No answer in time.
    pub timeout: bool,
    /// Answers with these statuses.
    pub statuses: Vec<u16>,
    /// Tries of requests already sent, as a share of all requests in percent, plus `budget_floor` a second.
    pub budget_percent: u8,
    /// See `budget_percent`.
    pub budget_floor: u16,
}

/// Deadlines and sizes of the relay. DESIGN 4's table is `Limits::default()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a server has accepted.
    pub connect: Span,
    /// Until the first byte of its answer.
    pub first_byte: Span,
    /// Between two bytes of a body.
    pub body_idle: Span,
    /// Bounds all tries of one request.
    pub overall: Span,
    /// Until a client has sent a whole head.
    pub client_head: Span,
    /// Between two requests of a client.
    pub client_idle: Span,
    /// TCP: without a byte either way.
    pub tcp_idle: Span,
    /// TCP: after one side has closed.
    pub half_closed: Span,
    /// Bytes of a head. More is 431.
    pub head_size: u32,
    /// Fields of a head. More is 431.
    pub head_fields: u16,
    /// After this, what remains of a stopping relay or a draining server is cut.
    pub drain: Span,
}

/// Servers that do the same job.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// See the module's text.
    pub id: PoolId,
    /// Unique among pools.
    pub name: Arc<str>,
    /// Servers and backups, in the order of the file.
    pub servers: Vec<Server>,
    /// Empty only for `check none`: then every server counts as up.
    pub checks: Vec<Check>,
    /// How many checks must pass.
    pub require: Require,
    /// How work is shared out.
    pub balance: Balance,
    /// Soft evidence alone never takes the serving capacity below this share, in percent.
    pub min_serving: u8,
    /// From 10 % of its weight to all of it, after it came back. Zero: at once.
    pub slow_start: Span,
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// See the module's text.
    pub id: ServerId,
    /// Unique in its pool.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// 0 to 256; 0 is listed but gets no new work.
    pub weight: u16,
    /// A sorry server: serves only while no other can.
    pub backup: bool,
}

/// The core's part of a check: when, and what the answers mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// See the module's text.
    pub id: CheckId,
    /// For people: `http`, or the name it was given.
    pub name: Arc<str>,
    /// When to ask.
    pub timing: Timing,
    /// What the answers mean.
    pub rule: Rule,
}

/// When a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From one probe to the next, on an absolute grid.
    pub every: Span,
    /// For a whole probe.
    pub timeout: Span,
    /// For its connect phase; at most `timeout`.
    pub connect_timeout: Span,
    /// While a change is pending.
    pub fast: Span,
    /// While a change is pending after a refused connect or a reset. Never below `fast` for checks that are dear.
    pub fast_refused: Span,
}

/// When a source changes its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// When up becomes down.
    pub down: Down,
    /// Passes in a row that make down up.
    pub up_passes: u16,
}

/// When up becomes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// So many fails in a row, the last at least `spread` after the first.
    Fails {
        /// At least 1.
        count: u16,
        /// Zero for a count of one.
        spread: Span,
    },
    /// No pass for so long: F5's "timeout".
    NoPassFor(Span),
}

/// How many of a pool's checks must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    /// Each of them.
    All,
    /// One of them.
    Any,
    /// So many of them.
    AtLeast(u16),
}

/// How work is shared out among the servers that serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Smooth weighted round robin.
    Weighted,
    /// Fewest requests under way, by weight.
    Least,
    /// The less busy of two drawn by weight.
    Two,
    /// Rendezvous hashing of a key.
    Hash(HashKey),
    /// Maglev's table over a key.
    Maglev(HashKey),
    /// The first that serves, in the order of the file.
    First,
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    Source,
    /// The request's path, without its query.
    Path,
    /// A request header's value.
    Header(Arc<str>),
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            every: Span::from_secs(5),
            timeout: Span::from_secs(2),
            connect_timeout: Span::from_secs(1),
            fast: Span::from_secs(1),
            fast_refused: Span::from_millis(200),
        }
    }
}

impl Default for Rule {
    fn default() -> Rule {
        Rule { down: Down::Fails { count: 3, spread: Span::from_secs(1) }, up_passes: 2 }
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            times: 1,
            connect: true,
            reset: false,
            timeout: false,
            statuses: Vec::new(),
            budget_percent: 20,
            budget_floor: 3,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Span::from_secs(1),
            first_byte: Span::from_secs(30),
            body_idle: Span::from_secs(30),
            overall: Span::from_secs(60),
            client_head: Span::from_secs(10),
            client_idle: Span::from_secs(60),
            tcp_idle: Span::from_secs(3600),
            half_closed: Span::from_secs(30),
            head_size: 32 * 1024,
            head_fields: 100,
            drain: Span::from_secs(60),
        }
    }
}

impl Config {
    /// The pool with this id.
    pub fn pool(&self, id: PoolId) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.id == id)
    }
}

impl Address {
    /// The IP address, if it has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Address::Ip(address) => Some(address.ip()),
            Address::Unix(_) | Address::Name(..) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}
