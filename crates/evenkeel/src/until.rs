//! When a word ends, as people write it: a span from now, or a date and time where they are.

use crate::clock;

/// Nobody means longer than this.
const LONGEST: u64 = 10 * 366 * 86_400;

/// Seconds since 1970 of `10m`, `1h30m`, `2026-11-21T18:00`, or `2026-11-21T18:00:30Z`. `now`: wall
/// time in seconds since 1970.
pub fn read(words: &str, now: u64) -> Result<u64, String> {
    let until = span(words).map(|span| now.saturating_add(span)).or_else(|| date(words));
    match until {
        None => Err(format!(
            "\"{words}\" is no time: write how long (10m, 2h, 1d) or until when (2026-11-21T18:00)"
        )),
        Some(until) if until <= now => Err(format!("\"{words}\" is in the past")),
        Some(until) if until > now + LONGEST => Err(format!("\"{words}\" is more than ten years ahead")),
        Some(until) => Ok(until),
    }
}

/// `1h30m` in seconds.
fn span(words: &str) -> Option<u64> {
    let (mut total, mut digits) = (0u64, String::new());
    for letter in words.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let unit = match letter {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    (digits.is_empty() && !words.is_empty()).then_some(total)
}

/// `2026-11-21T18:00[:00]`, a space in place of the `T`, a `Z` at the end for UTC.
fn date(words: &str) -> Option<u64> {
    let (text, utc) = match words.strip_suffix('Z') {
        Some(text) => (text, true),
        None => (words, false),
    };
    let (day, time) = text.split_once(['T', ' '])?;
    let [year, month, day] = numbers(day, '-')?[..] else { return None };
    let (hour, minute, second) = match numbers(time, ':')?[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let plausible = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !plausible || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let read = if utc { clock::from_utc } else { clock::from_local };
    read(year, month, day, hour, minute, second)
}

fn numbers(text: &str, between: char) -> Option<Vec<i32>> {
    text.split(between).map(|part| part.parse().ok().filter(|_| part.len() <= 4)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_dates_are_understood_and_nonsense_is_not() {
        let now = 1_700_000_000;
        assert_eq!(read("10m", now), Ok(now + 600));
        assert_eq!(read("1h30m", now), Ok(now + 5_400));
        assert_eq!(read("2023-11-14T22:14:20Z", now), Ok(now + 60));
        assert_eq!(read("2024-02-29T00:00Z", now), Ok(1_709_164_800));
        let local = clock::from_local(2024, 2, 29, 18, 0, 0).unwrap();
        assert_eq!(read("2024-02-29T18:00", now), Ok(local));
        assert_eq!(read("2024-02-29 18:00:00", now), Ok(local));
        for words in
            ["", "10", "m", "ten", "2023-02-30T10:00Z", "2024-13-01T10:00", "2024-01-01T25:00", "1e9s"]
        {
            assert!(read(words, now).unwrap_err().contains("is no time"), "{words}");
        }
        assert!(read("2020-01-01T00:00Z", now).unwrap_err().contains("past"));
        assert!(read("0s", now).unwrap_err().contains("past"));
        assert!(read("99999999999d", now).is_err());
    }
}
