//! What the engine is told: one target for every check on every server.

use super::Loaded;
use evenkeel_check::engine::{Spec, Target};
use evenkeel_core::config::{Address, CheckId, Config, ServerId};
use evenkeel_core::hash;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// How a check of the config asks.
#[derive(Clone, Debug)]
pub struct CheckUse {
    /// How to ask. Checks that say the same share one.
    pub spec: Arc<Spec>,
    /// The same for servers given by name, where that makes a difference: in `Host`, in the certificate.
    pub named: BTreeMap<Arc<str>, Arc<Spec>>,
    /// Which port to ask instead of the server's.
    pub port: Option<u16>,
}

impl CheckUse {
    /// How to ask a server that the config gives by this address.
    fn spec_for(&self, address: &Address) -> &Arc<Spec> {
        let named = match address {
            Address::Name(..) => self.named.get(&*address.to_string()),
            Address::Ip(_) | Address::Unix(_) => None,
        };
        named.unwrap_or(&self.spec)
    }
}

impl Loaded {
    /// A hash of what each check does and means. It is the same after a restart.
    pub fn definitions(&self) -> BTreeMap<CheckId, u64> {
        self.ids.definitions()
    }

    /// Every check on every server. `config` is [`Loaded::config`] itself, or a copy whose names have addresses.
    pub fn targets(&self, config: &Config) -> Vec<Target> {
        let mut targets = Vec::new();
        let servers = self.config.pools.iter().flat_map(|pool| &pool.servers);
        let given: BTreeMap<ServerId, &Address> =
            servers.map(|server| (server.id, &server.address)).collect();
        for pool in &config.pools {
            for check in &pool.checks {
                let Some(used) = self.checks.get(&check.id) else { continue };
                let asked = pool.servers.iter().filter(|server| !self.unchecked.contains(&server.id));
                targets.extend(asked.map(|server| Target {
                    server: server.id,
                    check: check.id,
                    key: hash::of_names(&[&pool.name, &server.name, &check.name]),
                    address: at_port(&server.address, used.port),
                    spec: Arc::clone(
                        used.spec_for(given.get(&server.id).copied().unwrap_or(&server.address)),
                    ),
                    timing: check.timing,
                    rule: check.rule,
                }));
            }
        }
        targets
    }
}

/// The address that a check with a port of its own asks.
fn at_port(address: &Address, port: Option<u16>) -> Address {
    match (address, port) {
        (Address::Ip(address), Some(port)) => Address::Ip(SocketAddr::new(address.ip(), port)),
        (Address::Name(name, _), Some(port)) => Address::Name(Arc::clone(name), port),
        _ => address.clone(),
    }
}
