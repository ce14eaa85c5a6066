//! Draws what happened: one row a server (`#` serving, `~` draining, `-` out), one a client (`+` answered, a
//! letter for the worst that happened), 100 ms a column, and below it what was done when.

use super::actors::Answer;
use super::admin::Sample;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const COLUMN: Duration = Duration::from_millis(100);
/// Columns of one strip; a long story is drawn in several.
const STRIP: usize = 100;

/// The picture.
pub(crate) fn draw(
    samples: &[Sample],
    clients: &BTreeMap<String, Vec<Answer>>,
    marks: &[(Instant, String)],
) -> String {
    let Some((start, _)) = marks.first() else { return String::new() };
    let column =
        |at: Instant| (at.saturating_duration_since(*start).as_millis() / COLUMN.as_millis()) as usize;
    let mut rows: Vec<(String, Vec<char>)> = Vec::new();
    for sample in samples {
        for pool in &sample.pools {
            for (server, health, duty) in &pool.servers {
                let letter = match (duty.as_str(), health.as_str()) {
                    ("serving", _) => '#',
                    ("draining", _) => '~',
                    (_, "unknown") => '?',
                    _ => '-',
                };
                put(&mut rows, &format!("{}/{server}", pool.name), column(sample.at), |_| letter);
            }
        }
    }
    for (name, answers) in clients {
        for answer in answers {
            let letter = letter(answer);
            put(&mut rows, name, column(answer.asked), |there| {
                if there == ' ' || there == '+' { letter } else { there }
            });
        }
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let length = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let mut out =
        format!("{COLUMN:?} a column: # serving ~ draining - out ? unknown | + answered x refused ");
    out.push_str("r reset c cut t timeout g garbage 5 status 5xx 4 other\n");
    for from in (0..length).step_by(STRIP) {
        out.push_str(&format!("{:width$}  {:.1} s\n", "", (COLUMN * from as u32).as_secs_f64()));
        for (name, cells) in &rows {
            let strip: String = cells.iter().skip(from).take(STRIP).collect();
            out.push_str(&format!("{name:width$}  {strip}\n"));
        }
    }
    for (at, what) in marks {
        out.push_str(&format!("{:8.2} s  {what}\n", at.duration_since(*start).as_secs_f64()));
    }
    out
}

/// `3 refused, 1 503`.
pub(crate) fn counted(outcomes: &[&str]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    parts.join(", ")
}

fn letter(answer: &Answer) -> char {
    match answer.outcome.as_str() {
        _ if answer.good() => '+',
        "refused" => 'x',
        "reset" => 'r',
        "cut" => 'c',
        "timeout" => 't',
        "garbage" => 'g',
        status if status.starts_with('5') => '5',
        _ => '4',
    }
}

fn put(rows: &mut Vec<(String, Vec<char>)>, name: &str, column: usize, letter: impl Fn(char) -> char) {
    let at = rows.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
        rows.push((name.to_owned(), Vec::new()));
        rows.len() - 1
    });
    let cells = &mut rows[at].1;
    if cells.len() <= column {
        cells.resize(column + 1, ' ');
    }
    cells[column] = letter(cells[column]);
}
