//! Names in a config, and the addresses put in their place. The config as it was read keeps its names; what the
//! director and the engine get is a copy in which every name that has an address stands as one.

use crate::resolve::Name;
use evenkeel_core::config::{Address, Config, Pool};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is known of names.
pub(super) type Resolved = HashMap<Name, Result<SocketAddr, String>>;

/// Every name of a server, each once.
pub(super) fn names(config: &Config) -> Vec<Name> {
    let servers = config.pools.iter().flat_map(|pool| &pool.servers);
    let mut names: Vec<Name> = servers
        .filter_map(|server| match &server.address {
            Address::Name(name, port) => Some((name.clone(), *port)),
            Address::Ip(_) | Address::Unix(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The config with addresses for the names that have one. Pools without names are the same allocation.
pub(super) fn resolved(config: &Arc<Config>, resolved: &Resolved) -> Arc<Config> {
    let address = |address: &Address| match address {
        Address::Name(name, port) => resolved.get(&(name.clone(), *port))?.as_ref().ok().copied(),
        Address::Ip(_) | Address::Unix(_) => None,
    };
    if !config.pools.iter().any(|pool| pool.servers.iter().any(|server| address(&server.address).is_some())) {
        return config.clone();
    }
    let pool = |pool: &Arc<Pool>| {
        if !pool.servers.iter().any(|server| address(&server.address).is_some()) {
            return pool.clone();
        }
        let mut copy = Pool::clone(pool);
        for server in &mut copy.servers {
            if let Some(found) = address(&server.address) {
                server.address = Address::Ip(found);
            }
        }
        Arc::new(copy)
    };
    Arc::new(Config { services: config.services.clone(), pools: config.pools.iter().map(pool).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Arc<Config> {
        let words = "service s {\n listen 127.0.0.1:1\n pool named\n}\npool named {\n server a one.test:80\n \
                     server b two.test:80\n server c one.test:80\n check none\n}\npool plain {\n server a \
                     127.0.0.1:80\n check none\n}\n";
        crate::config::load_text("test", words, None).map_err(|told| told.to_string()).unwrap().config
    }

    #[test]
    fn only_names_that_have_an_address_are_replaced() {
        let config = config();
        assert_eq!(names(&config), [("one.test".into(), 80), ("two.test".into(), 80)]);
        let address = SocketAddr::from(([127, 0, 0, 9], 80));
        let known = HashMap::from([
            (("one.test".into(), 80), Ok(address)),
            (("two.test".into(), 80), Err("does not resolve".to_owned())),
        ]);
        let after = resolved(&config, &known);
        let found: Vec<&Address> = after.pools[0].servers.iter().map(|server| &server.address).collect();
        let two = Address::Name("two.test".into(), 80);
        assert_eq!(found, [&Address::Ip(address), &two, &Address::Ip(address)]);
        assert!(Arc::ptr_eq(&after.pools[1], &config.pools[1]), "a pool without names is not copied");
        assert!(Arc::ptr_eq(&resolved(&config, &HashMap::new()), &config));
    }
}
