//! Who sits at the other end of the admin socket, by the kernel's word (SO_PEERCRED, unix(7)) and the system's list of
//! users.

use std::ffi::CStr;
use std::time::Duration;

/// A list of users that is asked over the network may take its time; then the number has to do.
const PATIENCE: Duration = Duration::from_millis(500);

/// The name of a user, or `uid 1000` if it has none or nobody says it in time.
pub(super) async fn name(uid: u32) -> String {
    let asked = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || named(uid))).await;
    asked.ok().and_then(Result::ok).flatten().unwrap_or_else(|| format!("uid {uid}"))
}

fn named(uid: u32) -> Option<String> {
    let mut buffer = vec![0 as libc::c_char; 16 * 1024];
    // SAFETY: an all-zero `passwd` is a valid value of that plain C struct (its pointers may be null).
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    // SAFETY: getpwuid_r(3) writes to `entry`, to `found`, and to as many bytes of `buffer` as it is told; all live on.
    let code = unsafe { libc::getpwuid_r(uid, &mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) };
    if code != 0 || found.is_null() || entry.pw_name.is_null() {
        return None;
    }
    // SAFETY: it was found, so `pw_name` points to a string with its end, within `buffer`, which still lives.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn root_has_a_name_and_nobody_has_none() {
        assert_eq!(named(0).as_deref(), Some("root"));
        assert_eq!(named(u32::MAX - 7), None);
    }
}
