//! Text to tree. Finds every mistake of a file at once: after each it goes on as the writer probably meant.

use crate::diagnostic::Diagnostic;
use crate::tree::{Block, Comment, Directive, File, Place, Tree, Word};

/// Bytes of one file. A larger one is no config.
pub const FILE_MAX: usize = 4 * 1024 * 1024;
/// How deep blocks may nest.
const DEPTH_MAX: usize = 16;
/// Mistakes reported of one file; a last one says that there were more.
pub(crate) const ERRORS_MAX: usize = 50;

/// Reads one text. `include` stays as it stands (see [`crate::load`]). The tree holds whatever could be read,
/// also when there are errors.
pub fn parse(name: &str, bytes: &[u8]) -> (Tree, Vec<Diagnostic>) {
    let mut tree = Tree::default();
    let mut errors = Vec::new();
    let (root, tail) = parse_file(&mut tree.files, name, bytes, &mut errors);
    tree.root = root;
    tree.tail = tail;
    (tree, errors)
}

/// Reads one text as one more of `files`.
pub(crate) fn parse_file(
    files: &mut Vec<File>,
    name: &str,
    bytes: &[u8],
    errors: &mut Vec<Diagnostic>,
) -> (Vec<Directive>, Vec<Comment>) {
    let file = u32::try_from(files.len()).expect("the number of files is bounded");
    if bytes.len() > FILE_MAX {
        files.push(File { name: name.to_owned(), text: String::new() });
        let at = Place { file, line: 1, column: 1, width: 1 };
        errors.push(Diagnostic::error(
            at,
            format!("the file is larger than {} MiB: this cannot be a config", FILE_MAX >> 20),
        ));
        return (Vec::new(), Vec::new());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    files.push(File { name: name.to_owned(), text: String::from_utf8_lossy(bytes).into_owned() });
    let parser = Parser::new(file).take(bytes);
    // A missing `}` makes everything below it wrong. Where the indentation shows which one is missing, that is
    // the only complaint.
    let unclosed = parser.open.len() - 1;
    if unclosed > 0 && parser.sunk == 0 {
        let guess = Parser { by_indent: true, ..Parser::new(file) }.take(bytes);
        if guess.closed_early + guess.open.len() - 1 == unclosed {
            return guess.finish(errors);
        }
    }
    parser.finish(errors)
}

struct Parser {
    file: u32,
    line: u32,
    /// The blocks that are open, the outermost first; the first is the file itself.
    open: Vec<Level>,
    /// Comment lines that wait for what they stand above.
    comments: Vec<Comment>,
    blank: bool,
    errors: Vec<Diagnostic>,
    /// How many blocks are open beyond the deepest that is kept.
    sunk: usize,
    /// Errors beyond the bound.
    dropped: usize,
    /// A line that is indented no deeper than the directive of the open block ends that block.
    by_indent: bool,
    /// Blocks that ended so.
    closed_early: usize,
}

/// A block that is still open.
struct Level {
    /// The directive it belongs to, without its block; `None` for the file itself.
    owner: Option<Directive>,
    block: Block,
}

impl Level {
    fn unclosed(&self) -> Diagnostic {
        let words = self.owner.iter().flat_map(|owner| &owner.words).take(2);
        let name: Vec<&str> = words.map(|word| word.text.as_str()).collect();
        let message = match name.is_empty() {
            true => "a block is never closed".to_owned(),
            false => format!("the block of `{}` is never closed", name.join(" ")),
        };
        let error = Diagnostic::error(self.block.open, message).label("opened here");
        error.help("a block ends with a `}` on a line of its own")
    }
}

/// One line, cut into words.
#[derive(Default)]
struct Cut {
    words: Vec<Word>,
    open: Option<Place>,
    close: Option<Place>,
    comment: Option<String>,
    /// Something stands after a brace, and was complained about.
    crowded: bool,
}

impl Parser {
    fn new(file: u32) -> Parser {
        let root = Level { owner: None, block: Block::default() };
        Parser {
            file,
            line: 0,
            open: vec![root],
            comments: Vec::new(),
            blank: false,
            errors: Vec::new(),
            sunk: 0,
            dropped: 0,
            by_indent: false,
            closed_early: 0,
        }
    }

    fn take(mut self, bytes: &[u8]) -> Parser {
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            self.line = u32::try_from(at + 1).expect("a file has fewer lines than bytes");
            self.take_line(line.strip_suffix(b"\r").unwrap_or(line));
        }
        self
    }

    fn at(&self, column: usize, width: usize) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place { file: self.file, line: self.line, column: number(column + 1), width: number(width) }
    }

    fn error(&mut self, error: Diagnostic) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        } else {
            self.dropped += 1;
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text.to_owned(),
            Err(bad) => {
                let good = String::from_utf8_lossy(&line[..bad.valid_up_to()]).chars().count();
                let byte = line[bad.valid_up_to()];
                let help = format!("in a quoted word, write the byte as `\\x{byte:02x}`");
                let error = Diagnostic::error(self.at(good, 1), "the file is not UTF-8 here");
                self.error(error.label(format!("byte 0x{byte:02x}")).help(help));
                String::from_utf8_lossy(line).into_owned()
            }
        };
        let chars: Vec<char> = text.chars().collect();
        if chars.iter().all(|c| c.is_whitespace()) {
            self.blank = true;
            return;
        }
        if let Some(at) = chars.iter().position(|c| c.is_control() && *c != '\t') {
            let what = format!("a control character (0x{:02x}) cannot stand here", chars[at] as u32);
            let error = Diagnostic::error(self.at(at, 1), what);
            self.error(error.help(format!("in a quoted word, write it as `\\x{:02x}`", chars[at] as u32)));
        }
        let cut = self.cut(&chars);
        self.place_line(cut);
    }

    /// Puts a line where it belongs in the tree.
    fn place_line(&mut self, cut: Cut) {
        let blank_above = std::mem::take(&mut self.blank);
        if cut.words.is_empty() && cut.open.is_none() && cut.close.is_none() {
            if let Some(text) = cut.comment {
                self.comments.push(Comment { text, blank_above });
            }
            return;
        }
        let mut beside = cut.comment;
        if let (Some(first), Some(last)) = (cut.words.first(), cut.words.last()) {
            let place = first.place.to(last.place);
            self.close_by_indent(place);
            let directive = Directive {
                words: cut.words,
                block: None,
                place,
                above: std::mem::take(&mut self.comments),
                beside: beside.take(),
                blank_above,
            };
            match cut.open {
                Some(open) => self.open_block(directive, open),
                // What is too deep is not kept: the tree would be as deep as its file.
                None if self.sunk > 0 => {}
                None => self.top().directives.push(directive),
            }
        } else if let Some(open) = cut.open {
            self.open_alone(open);
        }
        if let Some(close) = cut.close {
            self.close_block(close, beside);
        }
    }

    /// Closes the blocks that a line at this place cannot be in, if indentation is to be believed.
    fn close_by_indent(&mut self, place: Place) {
        let outside =
            |level: &Level| level.owner.as_ref().is_some_and(|owner| place.column <= owner.place.column);
        while self.by_indent && self.open.last().is_some_and(outside) {
            let level = self.open.pop().expect("it was looked at");
            self.error(level.unclosed().note(place, "it seems to end before this line"));
            self.shut(level.owner, level.block);
            self.closed_early += 1;
        }
    }

    /// A `{` that no word stands before. Most likely it belongs to the line above.
    fn open_alone(&mut self, open: Place) {
        let error = Diagnostic::error(open, "a `{` without words before it");
        let above =
            self.top().directives.pop_if(|above| above.block.is_none() && above.place.line + 1 == open.line);
        match above {
            Some(above) => {
                let word = above.words.first().map_or("", |word| &word.text);
                self.error(error.label(format!("write it at the end of the line of `{word}`")));
                self.open_block(above, open);
            }
            None => {
                let help = "the `{` stands at the end of the line that it belongs to, as in `pool web {`";
                self.error(error.label("what is this the block of?").help(help));
                self.open_block(Directive::new(Vec::new(), None), open);
            }
        }
    }

    fn top(&mut self) -> &mut Block {
        &mut self.open.last_mut().expect("the file itself is never closed").block
    }

    fn open_block(&mut self, owner: Directive, open: Place) {
        if self.open.len() > DEPTH_MAX {
            if self.sunk == 0 {
                self.error(Diagnostic::error(open, format!("blocks nest deeper than {DEPTH_MAX}")));
            }
            self.sunk += 1;
            return;
        }
        self.open.push(Level { owner: Some(owner), block: Block { open, ..Block::default() } });
    }

    fn close_block(&mut self, close: Place, beside: Option<String>) {
        if self.sunk > 0 {
            self.sunk -= 1;
            return;
        }
        if self.open.len() == 1 {
            self.error(Diagnostic::error(close, "a `}` that closes nothing").label("no block is open here"));
            return;
        }
        let Level { owner, mut block } = self.open.pop().expect("more than the file itself is open");
        block.tail = std::mem::take(&mut self.comments);
        block.beside = beside;
        self.shut(owner, block);
    }

    /// Hangs a finished block into the one around it.
    fn shut(&mut self, owner: Option<Directive>, block: Block) {
        let Some(mut owner) = owner else { return };
        if owner.words.is_empty() {
            return;
        }
        owner.block = Some(block);
        self.top().directives.push(owner);
    }

    fn finish(mut self, errors: &mut Vec<Diagnostic>) -> (Vec<Directive>, Vec<Comment>) {
        while self.open.len() > 1 {
            let level = self.open.pop().expect("more than the file itself is open");
            self.error(level.unclosed());
            self.shut(level.owner, level.block);
        }
        if self.dropped > 0 {
            let more = format!("{} more errors of this kind are not shown", self.dropped);
            self.errors.push(Diagnostic::error(self.at(0, 1), more));
        }
        // Errors found when blocks were closed at the end point further up.
        self.errors.sort_by_key(|error| error.place.map(|place| (place.line, place.column)));
        errors.append(&mut self.errors);
        let root = self.open.pop().expect("the file itself is left").block;
        (root.directives, self.comments)
    }
}

/// Cutting a line into words.
impl Parser {
    fn cut(&mut self, line: &[char]) -> Cut {
        let mut cut = Cut::default();
        let mut at = 0;
        while at < line.len() {
            match line[at] {
                c if c.is_whitespace() => at += 1,
                '#' => {
                    cut.comment = Some(line[at..].iter().collect::<String>().trim_end().to_owned());
                    break;
                }
                '{' => at = self.cut_open(line, at, &mut cut),
                '}' => at = self.cut_close(line, at, &mut cut),
                quote @ ('"' | '\'') => {
                    let (word, next) = self.quoted(line, at, quote);
                    self.push(&mut cut, word);
                    at = next;
                }
                _ => {
                    let (word, next) = self.bare(line, at, &cut);
                    self.push(&mut cut, word);
                    at = next;
                }
            }
        }
        cut
    }

    fn push(&mut self, cut: &mut Cut, word: Word) {
        let brace = match (cut.open, cut.close) {
            (None, None) => return cut.words.push(word),
            (Some(_), _) => '{',
            (None, Some(_)) => '}',
        };
        // One line, one complaint.
        if !std::mem::replace(&mut cut.crowded, true) {
            let error = Diagnostic::error(word.place, format!("a word after `{brace}`"));
            self.error(error.label("begin a new line here"));
        }
    }

    /// A `{` at the start of a word. Alone it opens a block.
    fn cut_open(&mut self, line: &[char], at: usize, cut: &mut Cut) -> usize {
        let alone = line.get(at + 1).is_none_or(|c| c.is_whitespace() || *c == '}' || *c == '#');
        let place = self.at(at, 1);
        if !alone && !cut.words.is_empty() && cut.open.is_none() {
            return self.braced(line, at, cut);
        }
        if cut.open.is_some() {
            self.error(Diagnostic::error(place, "a second `{` on this line").label("begin a new line here"));
        } else if cut.close.is_some() {
            self.error(Diagnostic::error(place, "a `{` after `}`").label("begin a new line here"));
        } else {
            cut.open = Some(place);
        }
        at + 1
    }

    /// A bare word that begins with a brace, like JSON that somebody forgot to quote.
    fn braced(&mut self, line: &[char], at: usize, cut: &mut Cut) -> usize {
        let end = word_end(line, at);
        let place = self.at(at, end - at);
        let error = Diagnostic::error(place, "a brace inside a word").label("quote this word");
        self.error(error.help(format!("write `'{}'`", line[at..end].iter().collect::<String>())));
        cut.words.push(Word { quoted: true, ..Word::new(line[at..end].iter().collect::<String>()) });
        cut.words.last_mut().expect("just pushed").place = place;
        end
    }

    fn cut_close(&mut self, _line: &[char], at: usize, cut: &mut Cut) -> usize {
        let place = self.at(at, 1);
        if cut.close.is_some() {
            self.error(Diagnostic::error(place, "a second `}` on this line").label("begin a new line here"));
            return at + 1;
        }
        let empty_block = cut.open.is_some();
        if !cut.words.is_empty() && !empty_block {
            let error = Diagnostic::error(place, "a `}` behind other words").label("begin a new line here");
            self.error(error);
        }
        cut.close = Some(place);
        at + 1
    }

    /// A bare word. Braces inside it are mistakes of two kinds: `web{` and `[0-9]{3}`.
    fn bare(&mut self, line: &[char], at: usize, cut: &Cut) -> (Word, usize) {
        let mut end = word_end(line, at);
        if let Some(brace) = line[at..end].iter().position(|c| matches!(c, '{' | '}')).map(|b| at + b) {
            let last = line[end..].iter().find(|c| !c.is_whitespace()).is_none_or(|c| *c == '#');
            if line[brace] == '{' && brace + 1 == end && last && cut.open.is_none() {
                let error = Diagnostic::error(self.at(brace, 1), "no space before `{`");
                self.error(error.label("write a space before this"));
                end = brace;
            } else {
                let word: String = line[at..end].iter().collect();
                let error = Diagnostic::error(self.at(at, end - at), "a brace inside a word");
                self.error(error.label("quote this word").help(format!("write `'{word}'`")));
            }
        }
        let next = end;
        let rest = line[end..].iter().find(|c| !c.is_whitespace());
        if line[end - 1] == ';' {
            let last = rest.is_none_or(|c| *c == '#');
            let label = if last { "leave it out" } else { "begin a new line here" };
            let error = Diagnostic::error(self.at(end - 1, 1), "a `;` at the end of a word").label(label);
            self.error(error.help("a directive ends with its line; quote the word if you mean it"));
            end = (end - 1).max(at + 1);
        }
        let text: String = line[at..end].iter().collect();
        (Word { text, raw: None, quoted: false, place: self.at(at, end - at) }, next)
    }

    fn quoted(&mut self, line: &[char], at: usize, quote: char) -> (Word, usize) {
        let mut bytes = Vec::new();
        let mut here = at + 1;
        let closed = loop {
            match line.get(here) {
                None => break false,
                Some(c) if *c == quote => break true,
                Some('\\') if quote == '"' => here = self.escape(line, here, &mut bytes),
                Some(c) => {
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    here += 1;
                }
            }
        };
        if !closed {
            let error = Diagnostic::error(self.at(at, line.len() - at), "a quote is never closed");
            self.error(
                error
                    .label(format!("no `{quote}` before the end of the line"))
                    .help("a quoted word ends on its line; a line break inside it is written `\\n`"),
            );
            return (Word::from_bytes(bytes, true, self.at(at, line.len() - at)), line.len());
        }
        let end = here + 1;
        if line.get(end).is_some_and(|c| !c.is_whitespace()) {
            let error = Diagnostic::error(self.at(end, 1), "no space after a closing quote");
            self.error(error.label("write a space before this").help(match quote {
                '"' => "a `\"` inside the word is written `\\\"`",
                _ => "a word with a `'` in it stands in double quotes",
            }));
        }
        (Word::from_bytes(bytes, true, self.at(at, end - at)), end)
    }

    /// One escape, its backslash at `at`. Answers where to go on.
    fn escape(&mut self, line: &[char], at: usize, bytes: &mut Vec<u8>) -> usize {
        let plain = match line.get(at + 1) {
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('x') => {
                let digit = |at: usize| line.get(at).and_then(|c| c.to_digit(16));
                if let (Some(high), Some(low)) = (digit(at + 2), digit(at + 3)) {
                    bytes.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
                    return at + 4;
                }
                let error = Diagnostic::error(self.at(at, 2), "`\\x` without two hexadecimal digits");
                self.error(error.label("write for example `\\x0d`"));
                return at + 2;
            }
            other => {
                let what = other.map_or(String::new(), char::to_string);
                let error = Diagnostic::error(
                    self.at(at, 1 + what.len().min(1)),
                    format!("unknown escape `\\{what}`"),
                );
                self.error(
                    error
                        .label("known: `\\n` `\\r` `\\t` `\\0` `\\\\` `\\\"` `\\xHH`")
                        .help("write `\\\\` for a backslash, or put the word in single quotes"),
                );
                bytes.push(b'\\');
                return at + 1;
            }
        };
        bytes.push(plain);
        at + 2
    }
}

/// Where the bare word that begins at `at` ends.
fn word_end(line: &[char], at: usize) -> usize {
    line[at..].iter().position(|c| c.is_whitespace()).map_or(line.len(), |length| at + length)
}
