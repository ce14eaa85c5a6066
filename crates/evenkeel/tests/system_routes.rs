//! The binary's `probe` and `why` in a small network of its own: what routers and routing tables say. Needs root.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its network fails")]

use serde_json::Value;
use std::process::Command;

/// Two network namespaces: one asks, the other routes. Both are gone when their last process is.
const NETWORK: &str = r#"
set -e
ip link set lo up
unshare -n sleep 60 & router=$!
trap 'kill $router' EXIT
for i in $(seq 250); do
    [ "$(readlink /proc/$router/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.02
done
ip link add here type veth peer name there netns $router
ip addr add 10.77.0.1/24 dev here
ip link set here up
nsenter -t $router -n sh -ec '
    ip addr add 10.77.0.2/24 dev there
    ip link set there up
    echo 1 > /proc/sys/net/ipv4/ip_forward
    ip route add unreachable 10.78.0.0/24
    ip route add blackhole 10.80.0.0/24
'
ip route add default via 10.77.0.2
ip route add unreachable 10.79.0.0/24
"#;

const PROBES: &str = r#"
for address in 10.78.0.1 10.79.0.1 10.80.0.1 10.77.0.9; do
    "$EVENKEEL" probe --json $address:80 tcp timeout 6s connect 5s || true
done
"#;

/// A daemon, and what it says once it has found its server down.
const WHY: &str = r#"
dir=$(mktemp -d)
cat > $dir/conf <<'END'
service web {
    listen 127.0.0.1:8080
    pool web
}
pool web {
    server far 10.78.0.1:80
    check tcp every 1s timeout 900ms fast 100ms {
        down after 1 fail
    }
}
END
"$EVENKEEL" run $dir/conf --socket $dir/s 2> $dir/log & daemon=$!
trap 'kill $router $daemon; rm -r $dir' EXIT
for i in $(seq 250); do
    "$EVENKEEL" why far --socket $dir/s > $dir/why 2> $dir/error || true
    grep -q hard $dir/why && break
    sleep 0.04
done
cat $dir/why $dir/error
"#;

#[test]
fn a_router_says_no_is_not_the_same_as_our_own_table_says_no() {
    if std::env::var_os("EVENKEEL_SYSTEM").is_none() {
        println!("not run: needs cargo xtask test as root");
        return;
    }
    let (text, error) = in_network(PROBES);
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<[&Value; 3]> =
        found.iter().map(|one| [&one["reason"], &one["kind"], &one["errno"]]).collect();
    let unreachable = Value::from(libc::EHOSTUNREACH);
    let (hard, local) = (Value::from("hard"), Value::from("local"));
    let [no_route, from_here, lost] =
        ["L4 no route to host", "local no route from here", "L4 connect timeout"].map(Value::from);
    let wanted = [
        // ICMP, host unreachable, from the router.
        [&no_route, &hard, &unreachable],
        // Our own routing table.
        [&from_here, &local, &unreachable],
        // Nobody says anything.
        [&lost, &hard, &Value::Null],
        // Nobody answers to ARP.
        [&no_route, &hard, &unreachable],
    ];
    assert_eq!(told, wanted, "{error}");
}

#[test]
fn why_says_that_a_router_knows_no_way() {
    if std::env::var_os("EVENKEEL_SYSTEM").is_none() {
        println!("not run: needs cargo xtask test as root");
        return;
    }
    let (said, error) = in_network(WHY);
    for part in ["L4 no route to host (hard)", "No route to host (os error 113)", "check tcp"] {
        assert!(said.contains(part), "{part:?} is not in\n{said}{error}");
    }
}

/// Output and errors of a script in [`NETWORK`].
fn in_network(script: &str) -> (String, String) {
    let mut unshare = Command::new("unshare");
    unshare.args(["-n", "sh", "-c", &format!("{NETWORK}{script}")]);
    let output = unshare.env("EVENKEEL", env!("CARGO_BIN_EXE_evenkeel")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
