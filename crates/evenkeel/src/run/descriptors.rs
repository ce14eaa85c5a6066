//! How many descriptors the process may have. The relay takes two per client, a check one per probe; the 1,024 that
//! a login or a unit gives at first are meant for select(2), which is not used here.

use std::io;

/// Descriptors that are no client's: listeners, logs, probes, the admin socket and who asks there.
const OURS: u64 = 256;

/// Raises the soft limit to the hard one. The answer is what holds now.
pub(super) fn raise() -> io::Result<u64> {
    let mut limit = get()?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call only reads `limit`, which lives as long as this frame.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How many clients there are descriptors for now: two for each, itself and its server.
pub(super) fn clients() -> io::Result<u64> {
    get().map(|limit| clients_within(limit.rlim_cur))
}

fn clients_within(limit: u64) -> u64 {
    (limit.saturating_sub(OURS) / 2).max(1)
}

/// getrlimit(2).
fn get() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live `rlimit` of this frame, which is all that the call writes to.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_not_ours_is_for_clients() {
        assert_eq!([0, 256, 1024, 524_288].map(clients_within), [1, 1, 384, 262_016]);
    }
}
