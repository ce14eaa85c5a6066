//! Ids that stay with a thing for as long as its key does, over reloads. None is ever given twice.

use evenkeel_core::config::{Address, CheckId, PoolId, ServerId};
use std::collections::BTreeMap;

/// What has which id, and what the next ones are.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    pools: BTreeMap<String, u32>,
    servers: BTreeMap<(String, String, Address), u32>,
    checks: BTreeMap<(String, String, String), u32>,
    next_pool: u32,
    next_server: u32,
    next_check: u32,
}

impl Ids {
    /// The ids of a config that follows `before`: nothing has one yet, and what gets one gets its old one.
    pub(super) fn after(before: Option<&Ids>) -> Ids {
        let Some(before) = before else { return Ids::default() };
        Ids {
            next_pool: before.next_pool,
            next_server: before.next_server,
            next_check: before.next_check,
            ..Ids::default()
        }
    }

    pub(super) fn pool(&mut self, before: Option<&Ids>, name: &str) -> PoolId {
        let old = before.and_then(|before| before.pools.get(name));
        PoolId(give(&mut self.pools, &mut self.next_pool, name.to_owned(), old))
    }

    pub(super) fn server(
        &mut self,
        before: Option<&Ids>,
        pool: &str,
        name: &str,
        address: &Address,
    ) -> ServerId {
        let key = (pool.to_owned(), name.to_owned(), address.clone());
        let old = before.and_then(|before| before.servers.get(&key));
        ServerId(give(&mut self.servers, &mut self.next_server, key, old))
    }

    /// `definition` is everything that the check does and means, spelt in one way.
    pub(super) fn check(
        &mut self,
        before: Option<&Ids>,
        pool: &str,
        name: &str,
        definition: &str,
    ) -> CheckId {
        let key = (pool.to_owned(), name.to_owned(), definition.to_owned());
        let old = before.and_then(|before| before.checks.get(&key));
        CheckId(give(&mut self.checks, &mut self.next_check, key, old))
    }
}

impl Ids {
    /// A hash of what each check does and means.
    pub(super) fn definitions(&self) -> BTreeMap<CheckId, u64> {
        let hash = |text: &str| evenkeel_core::hash::of_bytes(text.as_bytes());
        self.checks.iter().map(|((_, _, definition), id)| (CheckId(*id), hash(definition))).collect()
    }
}

fn give<K: Ord>(given: &mut BTreeMap<K, u32>, next: &mut u32, key: K, old: Option<&u32>) -> u32 {
    *given.entry(key).or_insert_with(|| {
        old.copied().unwrap_or_else(|| {
            *next += 1;
            *next
        })
    })
}
