//! "Did you mean": which known word a misspelt one is nearest to.

/// Longer words are not compared: nobody misspells a word into so many letters.
const WORD_MAX: usize = 40;

/// The candidate nearest to `word`, if one is near enough to be meant: a third of its letters may differ, a
/// letter swapped with its neighbour counts once. The first of equally near ones wins.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word: Vec<char> = word.chars().take(WORD_MAX + 1).map(|c| c.to_ascii_lowercase()).collect();
    if word.len() > WORD_MAX || word.is_empty() {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let letters: Vec<char> = candidate.chars().take(WORD_MAX).map(|c| c.to_ascii_lowercase()).collect();
        let far = distance(&word, &letters);
        let allowed = match word.len().max(letters.len()) {
            0..=2 => 0,
            3..=5 => 1,
            6..=8 => 2,
            _ => 3,
        };
        let allowed = if word == letters || prefix(&word, &letters) { far } else { allowed };
        if far <= allowed && best.is_none_or(|(nearest, _)| far < nearest) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Whether a word of three letters or more begins the candidate: `max` for `maglev` is none, `wei` for `weight` is.
fn prefix(word: &[char], candidate: &[char]) -> bool {
    word.len() >= 3 && candidate.starts_with(word)
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut far = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                far = far.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = far;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_what_was_meant() {
        let known = ["weight", "server", "every", "timeout", "tcp", "http", "half-open"];
        for (typed, meant) in [
            ("wieght", Some("weight")),
            ("sever", Some("server")),
            ("evry", Some("every")),
            ("TIMEOUT", Some("timeout")),
            ("htttp", Some("http")),
            ("halfopen", Some("half-open")),
            ("wei", Some("weight")),
            ("xyz", None),
            ("", None),
            ("a", None),
        ] {
            assert_eq!(closest(typed, known), meant, "{typed}");
        }
        assert_eq!(closest(&"x".repeat(100_000), known), None);
    }
}
