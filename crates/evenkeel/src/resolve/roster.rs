//! Which servers a config's names stand for. Pure: answers and what is known of servers in, servers out.
//!
//! - A server keeps its id for as long as its pool, its name and its address stay; another address is another
//!   server, which knows nothing yet.
//! - Make before break: a new address is probed first. For each one that is not up yet, one that goes stays, unless
//!   that one is down anyway. What goes is drained, and left when it is idle or its time is over.
//! - An answer never takes more than half of a pool out before it is confirmed.
//! - No answer, whatever is wrong with it, takes anything out.

use super::{Answer, Ask, Endpoint, Question};
use evenkeel_core::config::{Address, Config, Pool, Server, ServerId};
use evenkeel_core::{Health, Span, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

/// Ids from here on are this file's; those of the config's reader count from 1.
const FIRST_ID: u32 = 1 << 31;
/// A server that goes is left after this, idle or not: what it still has goes on without being counted.
const DRAIN_MAX: Span = Span::from_secs(60);
/// And not before this: planes hear of it first.
const DRAIN_MIN: Span = Span::from_secs(1);

/// What a server of the config means that is given by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameUse {
    /// What is asked.
    pub question: Question,
    /// Where the answer brings no port.
    pub port: u16,
    /// Each address is a server. Otherwise one of them is.
    pub many: bool,
    /// No more servers than this.
    pub max: u16,
    /// A check asks the servers. Otherwise a new one is as good as any.
    pub checked: bool,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// By its checks.
    pub health: Health,
    /// Connections and requests under way.
    pub sessions: u64,
}

/// What a step came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// [`Roster::config`] says something else than before.
    pub changed: bool,
    /// Servers that are to be drained from now on, and why.
    pub drain: Vec<(ServerId, String)>,
    /// Servers that go no longer.
    pub ready: Vec<ServerId>,
    /// The second is to take over from the first, with what people want of it.
    pub heirs: Vec<(ServerId, ServerId)>,
    /// What people may want to know.
    pub news: Vec<News>,
}

/// What happened to the servers behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Of which pool.
    pub pool: Arc<str>,
    /// As it stands in the config.
    pub server: Arc<str>,
    /// The name that was asked for.
    pub name: Arc<str>,
    /// What.
    pub what: What,
}

/// See [`News`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The first addresses.
    Found(Vec<SocketAddr>),
    /// A new address, which is probed before it serves.
    Arrives(SocketAddr),
    /// The second address has taken the place of the first, which is drained.
    Moved(SocketAddr, SocketAddr),
    /// An address that is drained, without another in its place.
    Leaves(SocketAddr),
    /// So many of so many servers would go: the answer has to be given twice.
    Doubted(usize, usize),
    /// There are more addresses than the config allows: so many, of so many.
    TooMany(usize, usize),
}

/// The servers of all names.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    entries: BTreeMap<Key, Entry>,
    given: u32,
}

/// A pool's name and a server's, as they stand in the config.
type Key = (Arc<str>, Arc<str>);

#[derive(Clone, Debug, Default)]
struct Entry {
    /// Sorted by address.
    members: Vec<Member>,
    /// The latest answer may take servers out, however many.
    confirmed: bool,
    /// This much was told of the latest answer.
    doubted: bool,
    too_many: bool,
}

#[derive(Clone, Debug)]
struct Member {
    id: ServerId,
    address: SocketAddr,
    weight: Option<u16>,
    backup: bool,
    stage: Stage,
    /// The latest good answer has it.
    listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not up yet.
    Arriving,
    Staying,
    Leaving {
        since: Time,
    },
}

/// What every part of a step looks at.
struct View<'a> {
    now: Time,
    pool: &'a Pool,
    seen: &'a dyn Fn(ServerId) -> Seen,
}

impl Roster {
    /// Draws all conclusions from what is known at `now`. `config` is as it was read; `uses` says what each of its
    /// servers that has a name means.
    pub fn step(
        &mut self,
        now: Time,
        config: &Config,
        uses: &BTreeMap<ServerId, NameUse>,
        answers: &HashMap<Question, Answer>,
        seen: &dyn Fn(ServerId) -> Seen,
    ) -> Step {
        let mut step = Step::default();
        self.forget(config, &mut step);
        for pool in &config.pools {
            let view = View { now, pool, seen };
            for (server, used) in named(pool, uses) {
                let entry = self.entries.entry((pool.name.clone(), server.name.clone())).or_default();
                if let Some(answer) =
                    answers.get(&used.question).filter(|answer| !answer.endpoints.is_empty())
                {
                    entry.meet(&view, server, used, answer, &mut self.given, &mut step);
                }
                entry.prove(&view, used);
            }
            self.retire(&view, uses, &mut step);
        }
        step
    }

    /// The config with the servers that its names stand for. A name without any stays as it is. Pools without
    /// names are the same allocation.
    pub fn config(&self, config: &Arc<Config>, uses: &BTreeMap<ServerId, NameUse>) -> Arc<Config> {
        let pools = config.pools.iter().map(|pool| {
            if named(pool, uses).next().is_none() {
                return Arc::clone(pool);
            }
            let mut copy = Pool::clone(pool);
            copy.servers = pool.servers.iter().flat_map(|server| self.servers(pool, server, uses)).collect();
            Arc::new(copy)
        });
        Arc::new(Config { services: config.services.clone(), pools: pools.collect() })
    }

    /// Whether a step is due within a second although nothing was heard.
    pub fn restless(&self) -> bool {
        self.entries
            .values()
            .flat_map(|entry| &entry.members)
            .any(|of| of.stage != Stage::Staying || !of.listed)
    }

    /// Servers that no check asks.
    pub fn unchecked(&self, config: &Config, uses: &BTreeMap<ServerId, NameUse>) -> BTreeSet<ServerId> {
        let mut unchecked = BTreeSet::new();
        for pool in &config.pools {
            for (server, _) in named(pool, uses).filter(|(_, used)| !used.checked) {
                let entry = self.entries.get(&(pool.name.clone(), server.name.clone()));
                unchecked.extend(entry.iter().flat_map(|entry| &entry.members).map(|member| member.id));
            }
        }
        unchecked
    }

    /// The line of the config that a server comes from. `pool` is as it was read.
    pub fn origin<'a>(&self, pool: &'a Pool, server: ServerId) -> Option<&'a Server> {
        pool.servers.iter().find(|written| {
            let entry = self.entries.get(&(pool.name.clone(), written.name.clone()));
            entry.is_some_and(|entry| entry.members.iter().any(|member| member.id == server))
        })
    }

    fn servers(&self, pool: &Pool, server: &Server, uses: &BTreeMap<ServerId, NameUse>) -> Vec<Server> {
        let entry = self.entries.get(&(pool.name.clone(), server.name.clone()));
        let (Some(used), Some(entry)) = (uses.get(&server.id), entry) else { return vec![server.clone()] };
        if entry.members.is_empty() {
            return vec![server.clone()];
        }
        let one = |member: &Member| Server {
            id: member.id,
            name: entry.shown(member, server, used),
            address: Address::Ip(member.address),
            weight: member.weight.filter(|_| server.weight > 0).unwrap_or(server.weight),
            backup: server.backup || member.backup,
        };
        entry.members.iter().map(one).collect()
    }

    /// What is no longer in the config is no longer known.
    fn forget(&mut self, config: &Config, step: &mut Step) {
        self.entries.retain(|(pool, name), entry| {
            let mut pools = config.pools.iter().filter(|of| of.name == *pool);
            let stays =
                pools.any(|of| of.servers.iter().any(|server| server.name == *name && is_name(server)));
            step.changed |= !stays && !entry.members.is_empty();
            stays
        });
    }

    /// Sends away who is no longer listed, as far as the rules let them go.
    fn retire(&mut self, view: &View<'_>, uses: &BTreeMap<ServerId, NameUse>, step: &mut Step) {
        let keys: Vec<(Key, &Server, &NameUse)> = named(view.pool, uses)
            .map(|(server, used)| ((view.pool.name.clone(), server.name.clone()), server, used))
            .collect();
        let goers: Vec<Vec<ServerId>> = keys
            .iter()
            .map(|(key, ..)| self.entries.get(key).map_or_else(Vec::new, |of| of.goers(view)))
            .collect();
        let going: usize = goers.iter().map(Vec::len).sum();
        let fixed = view.pool.servers.iter().filter(|server| !server.backup && !is_name(server)).count();
        let of_names =
            keys.iter().filter(|(_, server, _)| !server.backup).filter_map(|(key, ..)| self.entries.get(key));
        let present = fixed + of_names.map(Entry::present).sum::<usize>();
        for ((key, server, used), goers) in keys.iter().zip(&goers) {
            let Some(entry) = self.entries.get_mut(key) else { continue };
            if going * 2 > present && !entry.confirmed && !goers.is_empty() {
                if !std::mem::replace(&mut entry.doubted, true) {
                    step.tell(view, server, used, What::Doubted(going, present));
                }
            } else {
                entry.send_away(view, server, used, goers, step);
            }
            entry.leave(view, step);
        }
    }
}

impl Entry {
    /// Takes the latest good answer.
    fn meet(
        &mut self,
        view: &View<'_>,
        server: &Server,
        used: &NameUse,
        answer: &Answer,
        given: &mut u32,
        step: &mut Step,
    ) {
        let wanted = self.wanted(used, &answer.endpoints);
        let before: Vec<bool> = self.members.iter().map(|member| member.listed).collect();
        let first = self.members.is_empty();
        for member in &mut self.members {
            let found = wanted.iter().find(|(address, _)| *address == member.address);
            member.listed = found.is_some();
            if let Some((_, endpoint)) = found {
                step.changed |= (member.weight, member.backup) != (endpoint.weight, endpoint.backup);
                (member.weight, member.backup) = (endpoint.weight, endpoint.backup);
                if matches!(member.stage, Stage::Leaving { .. }) {
                    member.stage = Stage::Arriving;
                    step.ready.push(member.id);
                    step.changed = true;
                }
            }
        }
        let heir_of =
            self.members.iter().find(|member| member.stage == Stage::Staying).map(|member| member.id);
        let mut arrived = Vec::new();
        for (address, endpoint) in &wanted {
            if self.members.iter().any(|member| member.address == *address) {
                continue;
            }
            let id = ServerId(FIRST_ID + *given);
            *given += 1;
            let stage = if first { Stage::Staying } else { Stage::Arriving };
            let (weight, backup) = (endpoint.weight, endpoint.backup);
            self.members.push(Member { id, address: *address, weight, backup, stage, listed: true });
            arrived.push(*address);
            step.changed = true;
            step.heirs.extend(heir_of.filter(|_| !used.many).map(|old| (old, id)));
        }
        self.members.sort_by_key(|member| member.address);
        if !arrived.is_empty() && first {
            step.tell(view, server, used, What::Found(arrived));
        } else {
            arrived.into_iter().for_each(|address| step.tell(view, server, used, What::Arrives(address)));
        }
        let now: Vec<bool> = self.members.iter().map(|member| member.listed).collect();
        self.doubted &= before == now;
        self.confirmed = answer.confirmed;
        let crowd = used.many && answer.endpoints.len() > usize::from(used.max);
        if crowd && !self.too_many {
            step.tell(view, server, used, What::TooMany(answer.endpoints.len(), used.max.into()));
        }
        self.too_many = crowd;
    }

    /// Which of the endpoints are to be servers. Those that are already come first: a name that turns its answers
    /// round, or has more than may be, does not make servers come and go.
    fn wanted<'a>(&self, used: &NameUse, endpoints: &'a [Endpoint]) -> Vec<(SocketAddr, &'a Endpoint)> {
        let rank = |address: &SocketAddr| {
            let member = self.members.iter().find(|member| member.address == *address);
            match member.map(|member| (member.stage, member.listed)) {
                Some((Stage::Staying, true)) => 0,
                Some((Stage::Staying, false)) => 1,
                Some((Stage::Arriving, _)) => 2,
                Some((Stage::Leaving { .. }, _)) | None => 3,
            }
        };
        let mut all: Vec<(SocketAddr, &Endpoint)> = endpoints
            .iter()
            .map(|endpoint| (SocketAddr::new(endpoint.ip, endpoint.port.unwrap_or(used.port)), endpoint))
            .collect();
        all.sort_by_key(|(address, endpoint)| (endpoint.backup, rank(address), *address));
        all.dedup_by_key(|(address, _)| *address);
        all.truncate(if used.many { used.max.max(1).into() } else { 1 });
        all
    }

    /// Whoever is up has arrived.
    fn prove(&mut self, view: &View<'_>, used: &NameUse) {
        for member in
            self.members.iter_mut().filter(|member| member.stage == Stage::Arriving && member.listed)
        {
            if !used.checked || (view.seen)(member.id).health == Health::Up {
                member.stage = Stage::Staying;
            }
        }
    }

    /// Those who may go as far as this name is concerned.
    fn goers(&self, view: &View<'_>) -> Vec<ServerId> {
        let arriving = self.members.iter().filter(|of| of.stage == Stage::Arriving && of.listed).count();
        let unlisted = self.members.iter().filter(|of| of.stage == Stage::Staying && !of.listed);
        let (down, good): (Vec<ServerId>, Vec<ServerId>) =
            unlisted.map(|of| of.id).partition(|&id| (view.seen)(id).health == Health::Down);
        let free = good.len().saturating_sub(arriving);
        down.into_iter().chain(good.into_iter().take(free)).collect()
    }

    fn present(&self) -> usize {
        self.members.iter().filter(|of| of.stage == Stage::Staying && !of.backup).count()
    }

    fn send_away(
        &mut self,
        view: &View<'_>,
        server: &Server,
        used: &NameUse,
        goers: &[ServerId],
        step: &mut Step,
    ) {
        let heir =
            self.members.iter().find(|of| of.listed && of.stage == Stage::Staying).map(|of| of.address);
        for member in &mut self.members {
            let never_came = member.stage == Stage::Arriving && !member.listed;
            if !never_came && !goers.contains(&member.id) {
                continue;
            }
            member.stage = Stage::Leaving { since: view.now };
            step.changed = true;
            let name = &used.question.name;
            let what = match heir.filter(|_| !used.many && !never_came) {
                Some(heir) => {
                    step.drain.push((member.id, format!("{name} is {} now", heir.ip())));
                    What::Moved(member.address, heir)
                }
                None => {
                    step.drain.push((member.id, format!("{name} no longer has {}", member.address.ip())));
                    What::Leaves(member.address)
                }
            };
            step.tell(view, server, used, what);
        }
    }

    /// Those whose time is over are gone.
    fn leave(&mut self, view: &View<'_>, step: &mut Step) {
        let before = self.members.len();
        self.members.retain(|member| match member.stage {
            Stage::Leaving { since } => {
                let passed = view.now.since(since);
                let idle = passed >= DRAIN_MIN && (view.seen)(member.id).sessions == 0;
                !idle && passed < DRAIN_MAX
            }
            Stage::Arriving | Stage::Staying => true,
        });
        step.changed |= self.members.len() < before;
    }

    /// What a server is called: one of many after its address, so that a name means the same machine in every
    /// process and at every time; a single one as in the config, and another beside it with its address.
    fn shown(&self, member: &Member, server: &Server, used: &NameUse) -> Arc<str> {
        if used.many {
            return match used.question.ask {
                Ask::Addresses => format!("{}-{}", server.name, member.address.ip()).into(),
                // Without the brackets of IPv6, which cannot stand in a name.
                Ask::Services => {
                    format!("{}-{}:{}", server.name, member.address.ip(), member.address.port()).into()
                }
            };
        }
        let rank = |of: &&Member| match of.stage {
            Stage::Staying if of.listed => 0,
            Stage::Staying => 1,
            Stage::Arriving => 2,
            Stage::Leaving { .. } => 3,
        };
        match self.members.iter().min_by_key(rank) {
            Some(holder) if holder.id == member.id => server.name.clone(),
            _ => format!("{}@{}", server.name, member.address.ip()).into(),
        }
    }
}

impl Step {
    fn tell(&mut self, view: &View<'_>, server: &Server, used: &NameUse, what: What) {
        let name = used.question.name.clone();
        self.news.push(News { pool: view.pool.name.clone(), server: server.name.clone(), name, what });
    }
}

fn is_name(server: &Server) -> bool {
    matches!(server.address, Address::Name(..))
}

fn named<'a>(
    pool: &'a Pool,
    uses: &'a BTreeMap<ServerId, NameUse>,
) -> impl Iterator<Item = (&'a Server, &'a NameUse)> {
    pool.servers.iter().filter_map(|server| Some((server, uses.get(&server.id)?)))
}
