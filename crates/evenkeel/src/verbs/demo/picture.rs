//! The living timeline: a row of evidence and a row of duty for each server, and one for the users, in the
//! letters of the tests. The whole run is as wide as the picture, so what is drawn stays.

use crate::screen::{Tone, paint};
use std::time::Duration;

/// Columns of the whole run.
pub(super) const WIDTH: usize = 60;

/// What was seen, column by column.
pub(super) struct Picture {
    length: Duration,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    what: &'static str,
    cells: [char; WIDTH],
}

/// Which of two letters of one column is shown: the one further left.
const WORST: &str = "xtw-~?k fb+#";

impl Picture {
    /// Nothing seen yet.
    pub(super) fn new(length: Duration, servers: &[&str]) -> Picture {
        let row = |name: &str, what| Row { name: name.to_owned(), what, cells: [' '; WIDTH] };
        let mut rows = vec![row("faults", "")];
        for server in servers {
            rows.push(row(server, "checks"));
            rows.push(row("", "serves"));
        }
        rows.push(row("users", "answers"));
        Picture { length, rows }
    }

    /// Marks the faults' row.
    pub(super) fn fault(&mut self, at: Duration, letter: char) {
        self.put(0, at, letter);
    }

    /// A server's latest outcome and what it does.
    pub(super) fn server(&mut self, at: Duration, server: usize, outcome: char, duty: char) {
        self.put(1 + 2 * server, at, outcome);
        self.put(2 + 2 * server, at, duty);
    }

    /// Whether a user got an answer.
    pub(super) fn user(&mut self, at: Duration, good: bool) {
        self.put(self.rows.len() - 1, at, if good { '+' } else { 'x' });
    }

    /// As text.
    pub(super) fn draw(&self, coloured: bool) -> String {
        let mut out = format!("{:16}{}\n", "", paint(&self.scale(), Tone::Dim, coloured));
        for row in &self.rows {
            let used = row.cells.iter().rposition(|cell| *cell != ' ').map_or(0, |last| last + 1);
            let runs = row.cells[..used].chunk_by(|one, other| tone(*one) == tone(*other));
            let cells: String =
                runs.map(|run| paint(&run.iter().collect::<String>(), tone(run[0]), coloured)).collect();
            let what = paint(&format!("{:8}", row.what), Tone::Dim, coloured);
            out.push_str(&format!("{:7} {what}{cells}\n", row.name));
        }
        let legend =
            "checks: + pass  x refused  t timeout  w wrong answer     serves: # yes  ~ draining  - out";
        out.push_str(&paint(legend, Tone::Dim, coloured));
        out.push('\n');
        out
    }

    fn scale(&self) -> String {
        let mut scale = String::new();
        for tick in 0..6 {
            let at = self.length.as_secs_f64() * tick as f64 / 6.0;
            let label = if at.fract() == 0.0 { format!("|{at:.0}s") } else { format!("|{at:.1}s") };
            scale.push_str(&format!("{label:10}"));
        }
        format!("{}|{:.0}s", scale, self.length.as_secs_f64())
    }

    fn put(&mut self, row: usize, at: Duration, letter: char) {
        let column = (at.as_secs_f64() / self.length.as_secs_f64() * WIDTH as f64) as usize;
        let Some(cell) = self.rows[row].cells.get_mut(column) else { return };
        let rank = |letter: char| WORST.find(letter).unwrap_or(usize::MAX);
        if rank(letter) < rank(*cell) || *cell == ' ' {
            *cell = letter;
        }
    }
}

fn tone(cell: char) -> Tone {
    match cell {
        '#' | '+' => Tone::Good,
        '~' | '?' => Tone::Fair,
        '-' => Tone::Dim,
        ' ' => Tone::Plain,
        _ => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_the_worst_of_its_time_and_a_run_fills_the_picture() {
        let mut picture = Picture::new(Duration::from_secs(60), &["app1"]);
        picture.server(Duration::from_millis(1_100), 0, '+', '#');
        picture.server(Duration::from_millis(1_500), 0, 't', '-');
        picture.server(Duration::from_millis(1_900), 0, '+', '#');
        picture.user(Duration::from_millis(59_999), true);
        picture.user(Duration::from_millis(60_000), true);
        let drawn = picture.draw(false);
        assert!(drawn.contains("app1    checks   t\n"), "{drawn}");
        assert!(drawn.contains("        serves   -\n"), "{drawn}");
        assert!(drawn.contains(&format!("users   answers {}+\n", " ".repeat(59))), "{drawn}");
    }
}
