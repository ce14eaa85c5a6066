//! What the verbs put on a terminal: aligned columns, and colour where somebody sees it. Not the log.

use evenkeel_core::Span;
use std::io::IsTerminal;

/// What a cell's text means, shown as a colour on a terminal and not at all elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As the terminal has it.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Of little weight.
    Dim,
    /// Well.
    Good,
    /// On its way.
    Fair,
    /// Not well.
    Bad,
}

/// Whether standard output is a terminal that wants colour (<https://no-color.org>).
pub fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A text in its tone.
pub fn paint(text: &str, tone: Tone, coloured: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Bold => "1",
        Tone::Dim => "2",
        Tone::Good => "32",
        Tone::Fair => "33",
        Tone::Bad => "31",
    };
    if coloured && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The tone of a word for health or duty.
pub fn tone(word: &str) -> Tone {
    match word {
        "up" | "serving" => Tone::Good,
        "unknown" | "draining" => Tone::Fair,
        "down" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// Seconds as people write them.
pub fn span(seconds: f64) -> String {
    Span::from_nanos((seconds.max(0.0) * 1e9) as u64).to_string()
}

/// Seconds without parts of them, for ages: `12s`, `1h5m`.
pub fn age(seconds: f64) -> String {
    Span::from_secs(seconds.max(0.0) as u64).to_string()
}

/// Rows of cells whose columns are as wide as their widest cell.
#[derive(Debug, Default)]
pub struct Columns {
    rows: Vec<Vec<(String, Tone)>>,
}

impl Columns {
    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// All rows, two spaces between columns, none at the end of a line.
    pub fn draw(&self, indent: &str, coloured: bool) -> String {
        let mut widths = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = text.chars().count().max(*width);
            }
        }
        let mut out = String::new();
        for row in &self.rows {
            let used = row.iter().rposition(|(text, _)| !text.is_empty()).map_or(0, |last| last + 1);
            out.push_str(indent);
            for (at, (text, tone)) in row[..used].iter().enumerate() {
                out.push_str(&paint(text, *tone, coloured));
                if at + 1 < used {
                    out.push_str(&" ".repeat(widths[at] - text.chars().count() + 2));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_colour_takes_no_room() {
        let mut columns = Columns::default();
        columns.row([("a".into(), Tone::Plain), ("long".into(), Tone::Bad), (String::new(), Tone::Plain)]);
        columns.row([("bcd".into(), Tone::Plain), ("e".into(), Tone::Good), ("f".into(), Tone::Dim)]);
        assert_eq!(columns.draw("> ", false), "> a    long\n> bcd  e     f\n");
        assert!(columns.draw("", true).starts_with("a    \x1b[31mlong\x1b[0m\n"));
    }

    #[test]
    fn ages_have_no_false_precision() {
        assert_eq!((age(12.9), age(3900.0), span(0.0124)), ("12s".into(), "1h5m".into(), "12.4ms".into()));
    }
}
