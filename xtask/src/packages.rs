//! The Debian packages that the stories and benches compare with or measure by, and how they come here.

use crate::child::{self, Show};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What is needed, and for what.
const NEEDED: [(&str, &str); 8] = [
    ("nginx", "real servers of the stories, a peer of the relay bench"),
    ("libnginx-mod-stream", "a peer of the relay bench"),
    ("haproxy", "a peer of both benches"),
    ("wrk", "the load of the relay bench"),
    ("strace", "counts system calls"),
    ("iproute2", "network namespaces"),
    ("tcpdump", "looks at half-open checks on the wire"),
    ("curl", "an independent client"),
];

/// Debian's way to ask an administrator whether a service may be started (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing. No service is started by it.
pub(crate) fn install() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        println!("every package is here");
        return Ok(());
    }
    for (name, purpose) in NEEDED {
        if missing.contains(&name) {
            println!("missing: {name} ({purpose})");
        }
    }
    let policy = !Path::new(POLICY).exists();
    if policy {
        forbid_starts().map_err(|error| format!("{POLICY}: {error}"))?;
    }
    let done = apt("update")
        .and_then(|()| apt(&format!("install --yes --no-install-recommends {}", missing.join(" "))));
    if policy {
        let _gone_already_is_fine = std::fs::remove_file(POLICY);
    }
    done
}

/// What somebody with the right to do it would type.
pub(crate) fn line() -> Option<String> {
    let missing = missing();
    (!missing.is_empty()).then(|| format!("apt-get install --no-install-recommends {}", missing.join(" ")))
}

fn missing() -> Vec<&'static str> {
    let here = |name: &str| {
        let mut query = Command::new("dpkg-query");
        query.args(["-W", "-f", "${db:Status-Status}", name]).stderr(Stdio::null());
        query.output().is_ok_and(|output| output.stdout == b"installed")
    };
    NEEDED.into_iter().map(|(name, _)| name).filter(|name| !here(name)).collect()
}

fn apt(words: &str) -> Result<(), String> {
    let mut command = child::command(&format!("apt-get -q {words}"));
    command.env("DEBIAN_FRONTEND", "noninteractive");
    let done = child::run(command, Duration::from_secs(600), Show::All).map_err(|error| error.to_string())?;
    if done.good() { Ok(()) } else { Err(format!("apt-get {words} failed")) }
}

fn forbid_starts() -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
    std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))
}
