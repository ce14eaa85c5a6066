//! The one file of the binary that asks what time it is: boot time for every decision and every age, wall time
//! only to print it.

use evenkeel_core::Time;
use std::time::{Duration, SystemTime};

/// Now, since the machine was started, sleep included (`CLOCK_BOOTTIME`, clock_gettime(2)).
pub fn now() -> Time {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a live timespec of this frame, which is all that the call writes to.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut at) };
    assert!(code == 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    Time::from_nanos(at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64)
}

/// Wall time in seconds since 1970. Only the end of somebody's word is decided by it.
pub fn wall() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Seconds since 1970 of a date and time where the machine stands; `None` if there is no such date.
pub fn from_local(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: i32) -> Option<u64> {
    from(libc::mktime, year, month, day, hour, minute, second)
}

/// The same in UTC.
pub fn from_utc(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: i32) -> Option<u64> {
    from(libc::timegm, year, month, day, hour, minute, second)
}

/// `read` is mktime(3) or timegm(3).
fn from(
    read: unsafe extern "C" fn(*mut libc::tm) -> libc::time_t,
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: i32,
) -> Option<u64> {
    // SAFETY: an all-zero `tm` is a valid value of that plain C struct (its one pointer may be null).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    (tm.tm_year, tm.tm_mon, tm.tm_mday) = (year.checked_sub(1900)?, month - 1, day);
    (tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_isdst) = (hour, minute, second, -1);
    // SAFETY: both functions read and normalize the `tm` of this frame and keep no pointer to it.
    let seconds = unsafe { read(&mut tm) };
    // It normalizes: the 31st of June would be the 1st of July.
    let same = (tm.tm_mon, tm.tm_mday, tm.tm_min) == (month - 1, day, minute);
    u64::try_from(seconds).ok().filter(|_| same)
}

/// Wall time as RFC 3339 writes it, in UTC and to the millisecond: `2024-01-01T12:00:00.000Z`.
pub fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days as i64);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Wall time where the machine stands, as seed 1's script wrote it: `2024-01-01 12:00:00`.
pub fn local(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since.as_secs() as libc::time_t;
    // SAFETY: an all-zero `tm` is a valid value of that plain C struct (its one pointer may be null).
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of this frame; localtime_r keeps neither.
    unsafe { libc::localtime_r(&seconds, &mut tm) };
    let (year, month, day) = (tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", tm.tm_hour, tm.tm_min, tm.tm_sec)
}

/// Days since 1970-01-01 to year, month and day of the Gregorian calendar, counted in eras of 400 years that
/// begin on the first of March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds: u64| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_704_110_400), "2024-01-01T12:00:00.007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn boot_time_does_not_run_backwards() {
        let first = now();
        assert!(first > Time::ZERO);
        assert!(now() >= first);
    }
}
