//! Who serves, and why the others do not: up, else unknown, else the backups; beside those who are up, the least
//! bad, as far as `min-serving` asks for them. Pure: the same standings give the same answer.
//!
//! A dispute (half of a pool turns red on one check while traffic passes) will be settled here: before the
//! backups are asked, among those whose standing is [`Standing::Soft`].

use crate::config;
use crate::intent::Wish;
use crate::server::{Server, Standing};
use crate::why::Because;
use std::cmp::Reverse;

/// The first of these that anybody has is the one that serves.
const TIERS: [(Standing, Because); 3] = [
    (Standing::Up, Because::Up),
    (Standing::Flapping, Because::NeededThoughFlapping),
    (Standing::Unknown, Because::NobodyKnownToBeUp),
];

/// One answer per server, in the order of the config.
pub(crate) fn choose(config: &config::Pool, servers: &[Server], standings: &[Standing]) -> Vec<Because> {
    let of = config.servers.iter().zip(servers).zip(standings);
    let mut because: Vec<Because> =
        of.map(|((of, server), &standing)| idle(of, server.weight(of), standing)).collect();
    let somebody_is_fit = choose_best(config, servers, standings, false, &mut because);
    if somebody_is_fit || !choose_best(config, servers, standings, true, &mut because) {
        add_least_bad(config, servers, standings, &mut because);
    }
    because
}

/// Chooses the best tier among the servers, or among the backups. Tells whether it has anybody.
fn choose_best(
    config: &config::Pool,
    servers: &[Server],
    standings: &[Standing],
    backups: bool,
    because: &mut [Because],
) -> bool {
    let able = |at: usize| {
        let of = &config.servers[at];
        of.backup == backups && servers[at].weight(of) > 0
    };
    for (tier, serves) in TIERS {
        let mut found = false;
        for at in (0..standings.len()).filter(|&at| able(at) && standings[at] == tier) {
            found = true;
            because[at] = match servers[at].intents.wish() {
                _ if backups => Because::BackupServes,
                Wish::ForceUp => Because::ForcedUp,
                _ => serves,
            };
        }
        if found {
            return true;
        }
    }
    false
}

/// Brings the serving capacity up to `min-serving` of what nobody's word has taken out, with those who were fit
/// most recently. Never with a server that fails hard: it would serve nobody.
fn add_least_bad(config: &config::Pool, servers: &[Server], standings: &[Standing], because: &mut [Because]) {
    let weight = |at: usize| {
        let of = &config.servers[at];
        if of.backup { 0 } else { u64::from(servers[at].weight(of)) }
    };
    let everybody = 0..standings.len();
    let ordered = |at: usize| matches!(standings[at], Standing::Ordered(_));
    let total: u64 = everybody.clone().filter(|&at| !ordered(at)).map(weight).sum();
    let needed = (total * u64::from(config.min_serving)).div_ceil(100);
    let mut capacity: u64 = everybody.clone().filter(|&at| because[at].serves()).map(weight).sum();
    if capacity >= needed {
        return;
    }
    for (tier, serves) in [
        (Standing::Flapping, Because::NeededThoughFlapping),
        (Standing::Unknown, Because::NeededThoughUnknown),
        (Standing::Soft, Because::LeastBad),
    ] {
        let fits = |&at: &usize| weight(at) > 0 && standings[at] == tier && !because[at].serves();
        let mut spare: Vec<usize> = everybody.clone().filter(fits).collect();
        spare.sort_by_key(|&at| (Reverse(servers[at].since), at));
        for at in spare {
            if capacity >= needed {
                return;
            }
            capacity += weight(at);
            because[at] = serves;
        }
    }
}

/// Why a server that is not chosen does what it does.
fn idle(of: &config::Server, weight: u16, standing: Standing) -> Because {
    match standing {
        Standing::Ordered(Wish::Maint) => Because::Maint,
        Standing::Ordered(Wish::Drain) => Because::Drain,
        Standing::Ordered(Wish::ForceDown | Wish::ForceUp | Wish::Ready) => Because::ForcedDown,
        Standing::Homeless => Because::NoAddress,
        Standing::Hard => Because::DownHard,
        Standing::Soft => Because::DownSoft,
        Standing::Up | Standing::Flapping | Standing::Unknown if weight == 0 => Because::NoWeight,
        Standing::Up | Standing::Flapping | Standing::Unknown if of.backup => Because::BackupRests,
        Standing::Flapping => Because::Flapping,
        Standing::Up | Standing::Unknown => Because::NotYetKnown,
    }
}
