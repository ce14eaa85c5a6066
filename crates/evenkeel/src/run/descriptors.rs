//! How many descriptors the process may have. The relay takes two per client, a check one per probe; the 1,024 that
//! a login or a unit gives at first are meant for select(2), which is not used here.

use std::io;

/// Raises the soft limit to the hard one (getrlimit(2)). The answer is what holds now.
pub(super) fn raise() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live `rlimit` of this frame, which is all that the call writes to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call only reads `limit`, which lives as long as this frame.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error()),
    }
}
