//! As much of Rust as tidy needs: where comments, strings and characters are, which braces close a function.

/// The trimmed lines of a Rust text without its comments, strings and characters; lines keep their numbers.
pub(crate) fn code_lines(text: &str) -> Vec<String> {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = skipped(rest, bare.chars().next_back());
        bare.extend(rest[..skip].chars().filter(|c| *c == '\n'));
        if skip == 0 {
            bare.push(c);
        }
        rest = &rest[skip.max(if skip == 0 { c.len_utf8() } else { 0 })..];
    }
    bare.lines().map(|line| line.trim().to_owned()).collect()
}

/// `(line, name, length)` of every function, from its `fn` to its closing brace.
pub(crate) fn functions(text: &str) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, String, i32)> = Vec::new();
    let mut waiting: Option<(usize, String)> = None;
    let (mut braces, mut brackets) = (0, 0);
    for (at, line) in code_lines(text).iter().enumerate() {
        if let Some(name) = function_name(line) {
            waiting = Some((at + 1, name));
        }
        for c in line.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets -= 1,
                '{' => {
                    if let Some((start, name)) = waiting.take() {
                        open.push((start, name, braces));
                    }
                    braces += 1;
                }
                '}' => {
                    braces -= 1;
                    if open.last().is_some_and(|(_, _, outer)| *outer == braces) {
                        let (start, name, _) = open.pop().expect("there is a last one");
                        found.push((start, name, at + 2 - start));
                    }
                }
                // A function without a body ends here, but `[u8; 4]` among its parameters does not end it.
                ';' if brackets == 0 => waiting = None,
                _ => {}
            }
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let modifiers = ["const", "async", "unsafe", "extern"];
    let mut words = line.split_whitespace();
    let first = words.find(|word| !modifiers.contains(word) && !word.starts_with("pub"))?;
    let name = words.next()?;
    (first == "fn").then(|| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// How many bytes at the beginning are a comment, a string or a character; 0 if it is code. `before` is the
/// last character of code so far.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let until =
        |start: usize, end: &str| rest[start..].find(end).map_or(rest.len(), |at| start + at + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_');
    for hashes in ["", "#", "##", "###"] {
        let mark = format!("r{hashes}\"");
        if !in_word && rest.starts_with(&mark) {
            return until(mark.len(), &format!("\"{hashes}"));
        }
    }
    if let Some(string) = rest.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in string.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return at + 2,
                _ => {}
            }
        }
        return rest.len();
    }
    if rest.starts_with("'\\") {
        return until(3, "'");
    }
    // A lifetime has no second quote two characters on.
    match rest.char_indices().nth(2) {
        Some((at, '\'')) if rest.starts_with('\'') => at + 1,
        _ => 0,
    }
}

#[test]
fn what_looks_like_code_inside_strings_is_none() {
    let text = "fn a<'x>(b: &'x [u8; 4]) -> char { // }}}\n    let c = \"{{ \\\" {\"; /* { */\n    \
                let d = r#\"fn \"{\"#;\n    '{'\n}\nfn short();\n";
    assert_eq!(functions(text), [(1, "a".to_owned(), 5)]);
    assert_eq!(code_lines(text)[5], "fn short();");
}
