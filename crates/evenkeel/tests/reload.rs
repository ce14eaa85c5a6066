//! Ids over reloads: what did not change keeps its own, what is new gets one that nobody had.

use evenkeel::config::{Loaded, load_text};
use std::collections::BTreeSet;
use std::sync::Arc;

fn load(pools: &str, previous: Option<&Loaded>) -> Loaded {
    let services = "service web {\n    listen 127.0.0.1:8080\n    pool web\n}\nservice two {\n    listen \
                    127.0.0.1:8081\n    pool two\n}\n";
    load_text("x.conf", &format!("{services}{pools}"), previous).unwrap_or_else(|told| panic!("{told}"))
}

/// `pool/server` or `pool:check`, and the id.
fn ids(loaded: &Loaded) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    for pool in &loaded.config.pools {
        all.push((pool.name.to_string(), pool.id.0));
        all.extend(pool.servers.iter().map(|server| (format!("{}/{}", pool.name, server.name), server.id.0)));
        all.extend(pool.checks.iter().map(|check| (format!("{}:{}", pool.name, check.name), check.id.0)));
    }
    all
}

fn id(loaded: &Loaded, name: &str) -> u32 {
    ids(loaded).into_iter().find(|(of, _)| of == name).unwrap_or_else(|| panic!("no {name}")).1
}

const BEFORE: &str = "pool web {
    server a 10.0.0.1:80
    server b 10.0.0.2:80
    check http /health every 5s timeout 1s
    check tcp
}
pool two {
    server a 10.0.0.1:80
    check tcp
}
";

#[test]
fn a_reload_that_changes_nothing_keeps_every_id() {
    let before = load(BEFORE, None);
    assert_eq!(ids(&load(BEFORE, Some(&before))), ids(&before));
    // Nor does another spelling change anything, or another order.
    let spelt = "pool two {
    check tcp every 5s
    server a 10.0.0.1:80 weight 1
}
check front like http /health
pool web {
    check http /health timeout 1s every 5000ms {
        down after 3 fails
    }
    server b 10.0.0.2:80 weight 9
    server a 10.0.0.1:80
    check tcp timeout 2s
}
";
    let after = load(&spelt.replace("check front like http /health\n", ""), Some(&before));
    let sorted = |loaded: &Loaded| ids(loaded).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&after), sorted(&before));
}

#[test]
fn what_changes_gets_a_new_id_and_the_rest_keeps_its_own() {
    let before = load(BEFORE, None);
    let moved = load(&BEFORE.replace("server b 10.0.0.2:80", "server b 10.0.0.3:80"), Some(&before));
    assert_ne!(id(&moved, "web/b"), id(&before, "web/b"));
    assert_eq!(id(&moved, "web/a"), id(&before, "web/a"));
    assert_eq!(id(&moved, "web:http"), id(&before, "web:http"));
    for (from, to) in [("/health", "/other"), ("every 5s", "every 6s"), ("timeout 1s", "timeout 900ms")] {
        let changed = load(&BEFORE.replace(from, to), Some(&before));
        assert_ne!(id(&changed, "web:http"), id(&before, "web:http"), "{from}");
        assert_eq!(id(&changed, "web:tcp"), id(&before, "web:tcp"), "{from}");
    }
    // A rule that the pool gives is a part of the check.
    let stricter =
        load(&BEFORE.replacen("    check tcp\n", "    check tcp\n    up after 5 passes\n", 1), Some(&before));
    assert_ne!(id(&stricter, "web:tcp"), id(&before, "web:tcp"));
    assert_eq!(id(&stricter, "two:tcp"), id(&before, "two:tcp"));
}

#[test]
fn no_id_is_given_twice() {
    let mut given: BTreeSet<u32> = BTreeSet::new();
    let mut loaded = load(BEFORE, None);
    let first = id(&loaded, "web/b");
    given.insert(first);
    for round in 0..5 {
        // It goes, and it comes again: whatever is known of the old one is no longer true.
        let without = load(&BEFORE.replace("    server b 10.0.0.2:80\n", ""), Some(&loaded));
        loaded = load(BEFORE, Some(&without));
        assert!(given.insert(id(&loaded, "web/b")), "round {round}: an id came back");
        assert_eq!(id(&loaded, "web/a"), id(&without, "web/a"));
    }
}

#[test]
fn checks_that_say_the_same_share_one_way_of_asking() {
    let before = load(BEFORE, None);
    let spec = |loaded: &Loaded, name: &str| {
        let id = evenkeel_core::config::CheckId(id(loaded, name));
        Arc::clone(&loaded.checks[&id].spec)
    };
    assert!(Arc::ptr_eq(&spec(&before, "web:tcp"), &spec(&before, "two:tcp")));
    assert!(!Arc::ptr_eq(&spec(&before, "web:tcp"), &spec(&before, "web:http")));
    let after = load(BEFORE, Some(&before));
    assert!(Arc::ptr_eq(&spec(&before, "web:http"), &spec(&after, "web:http")), "also over a reload");
    let targets = before.targets(&before.config);
    assert_eq!(targets.len(), 5);
    let keys: BTreeSet<u64> = targets.iter().map(|target| target.key).collect();
    assert_eq!(keys.len(), 5, "each has a phase of its own");
    let again: Vec<u64> =
        load(BEFORE, None).targets(&before.config).iter().map(|target| target.key).collect();
    assert_eq!(targets.iter().map(|target| target.key).collect::<Vec<_>>(), again, "stable over restarts");
}

#[test]
fn backups_are_asked_only_when_told_and_a_port_is_the_checks_own() {
    let loaded = load(
        "pool web {
    server a app.internal:80
    backup quiet 127.0.0.1:81
    backup loud 127.0.0.1:82 checked
    check tcp port 8080
}
pool two {
    server u unix:/run/u.sock
    check tcp
}
",
        None,
    );
    let asked: Vec<String> =
        loaded.targets(&loaded.config).iter().map(|target| target.address.to_string()).collect();
    assert_eq!(asked, ["app.internal:8080", "127.0.0.1:8080", "unix:/run/u.sock"]);
}
