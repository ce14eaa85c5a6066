//! The one style: four spaces a level, one space between words, comments and at most one blank line kept.

use crate::tree::{Comment, Directive, Tree, Word};

/// A tree as text. Reading the text again gives the same tree, and formatting that the same text.
pub fn format(tree: &Tree) -> String {
    let mut out = String::new();
    block(&mut out, &tree.root, &tree.tail, 0);
    out
}

/// A word as it must be written to be read again: bare where it was bare and can be.
pub fn spell(word: &Word) -> String {
    let text = word.text.as_str();
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '{' && c != '}';
    let bare = word.raw.is_none()
        && !word.quoted
        && !text.is_empty()
        && text.chars().all(plain)
        && !text.starts_with(['#', '"', '\''])
        && !text.ends_with(';');
    if bare {
        return text.to_owned();
    }
    let bytes = word.bytes();
    let awkward = bytes.contains(&b'"') || bytes.contains(&b'\\');
    if awkward && word.raw.is_none() && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| escape(&mut out, c));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

fn escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' => out.push_str("\\\\"),
        '"' => out.push_str("\\\""),
        c if c.is_control() => {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
        }
        c => out.push(c),
    }
}

fn block(out: &mut String, directives: &[Directive], tail: &[Comment], depth: usize) {
    let mut first = true;
    let mut wide = 0;
    for (at, directive) in directives.iter().enumerate() {
        comments(out, &directive.above, depth, &mut first);
        blank(out, directive.blank_above, &mut first);
        indent(out, depth);
        let words = line(directive);
        if at == 0 || !beneath(&directives[at - 1], directive) {
            wide = widest(&directives[at..]);
        }
        out.push_str(&words);
        if let Some(comment) = &directive.beside {
            (words.chars().count()..wide).for_each(|_| out.push(' '));
            out.push_str("    ");
            out.push_str(comment);
        }
        out.push('\n');
        if let Some(inner) = &directive.block {
            block(out, &inner.directives, &inner.tail, depth + 1);
            indent(out, depth);
            out.push('}');
            if let Some(comment) = &inner.beside {
                out.push_str("    ");
                out.push_str(comment);
            }
            out.push('\n');
        }
    }
    comments(out, tail, depth, &mut first);
}

/// The words of a directive and the brace of its block.
fn line(directive: &Directive) -> String {
    let words: Vec<String> = directive.words.iter().map(spell).collect();
    let brace = if directive.block.is_some() { " {" } else { "" };
    words.join(" ") + brace
}

/// The widest line from the first on whose comments stand below each other.
fn widest(directives: &[Directive]) -> usize {
    let together = 1 + directives.windows(2).take_while(|pair| beneath(&pair[0], &pair[1])).count();
    directives.iter().take(together).map(|directive| line(directive).chars().count()).max().unwrap_or(0)
}

/// Whether two directives stand directly below each other, each with a comment beside it.
fn beneath(upper: &Directive, lower: &Directive) -> bool {
    let plain = |directive: &Directive| directive.beside.is_some() && directive.block.is_none();
    plain(upper) && plain(lower) && lower.above.is_empty() && !lower.blank_above
}

fn comments(out: &mut String, comments: &[Comment], depth: usize, first: &mut bool) {
    for comment in comments {
        blank(out, comment.blank_above, first);
        indent(out, depth);
        out.push_str(&comment.text);
        out.push('\n');
    }
}

/// A blank line, but none where a block or the file begins.
fn blank(out: &mut String, wanted: bool, first: &mut bool) {
    if wanted && !*first {
        out.push('\n');
    }
    *first = false;
}

fn indent(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("    "));
}
