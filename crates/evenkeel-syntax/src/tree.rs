//! What a config file is made of, before any word of it means something.

use std::borrow::Cow;

/// One or more files, read.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The files it came from; a [`Place`] says which by its index.
    pub files: Vec<File>,
    /// The directives outside any block, includes replaced by what they include.
    pub root: Vec<Directive>,
    /// Comments after the last directive.
    pub tail: Vec<Comment>,
}

/// A file's name and text, kept to show the lines that a diagnostic is about.
#[derive(Clone, Debug)]
pub struct File {
    /// As the user would write it.
    pub name: String,
    /// Invalid bytes replaced.
    pub text: String,
}

/// Words to the end of the line, then perhaps a block.
#[derive(Clone, Debug)]
pub struct Directive {
    /// One at least.
    pub words: Vec<Word>,
    /// What stands between its braces.
    pub block: Option<Block>,
    /// From its first word to its last.
    pub place: Place,
    /// Comment lines directly above it.
    pub above: Vec<Comment>,
    /// The comment at the end of its line, with its `#`.
    pub beside: Option<String>,
    /// Whether a blank line stands above it (and below its `above`).
    pub blank_above: bool,
}

/// What stands between braces.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// In the order of the file.
    pub directives: Vec<Directive>,
    /// Comment lines before the closing brace.
    pub tail: Vec<Comment>,
    /// The comment beside the closing brace.
    pub beside: Option<String>,
    /// The opening brace.
    pub open: Place,
}

/// A comment on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// With its `#`, without the space around it.
    pub text: String,
    /// Whether a blank line stands above it.
    pub blank_above: bool,
}

/// One word.
#[derive(Clone, Debug)]
pub struct Word {
    /// Its text, escapes applied, bytes that are not text replaced.
    pub text: String,
    /// Its bytes, where they are not the text's.
    pub raw: Option<Box<[u8]>>,
    /// Whether it stood in quotes: then it is no key.
    pub quoted: bool,
    /// Where it stands, quotes included.
    pub place: Place,
}

/// Where something stands. Lines and columns count from 1; columns and widths count characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Index into the tree's files.
    pub file: u32,
    /// Line of the file.
    pub line: u32,
    /// Column of the line.
    pub column: u32,
    /// Characters.
    pub width: u32,
}

impl Word {
    /// A word that stands nowhere; for trees made by programs.
    pub fn new(text: impl Into<String>) -> Word {
        Word { text: text.into(), raw: None, quoted: false, place: Place::default() }
    }

    /// Its bytes, escapes applied.
    pub fn bytes(&self) -> &[u8] {
        self.raw.as_deref().unwrap_or(self.text.as_bytes())
    }

    /// A word of these bytes at this place.
    pub fn from_bytes(bytes: Vec<u8>, quoted: bool, place: Place) -> Word {
        let text = match String::from_utf8_lossy(&bytes) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => {
                return Word { text, raw: Some(bytes.into_boxed_slice()), quoted, place };
            }
        };
        Word { text, raw: None, quoted, place }
    }

    /// Whether it is this word, bare: a quoted one never is a key.
    pub fn is(&self, key: &str) -> bool {
        !self.quoted && self.text == key
    }
}

impl Directive {
    /// A directive that stands nowhere; for trees made by programs.
    pub fn new(words: Vec<Word>, block: Option<Block>) -> Directive {
        let place = words.first().map_or(Place::default(), |word| word.place);
        Directive { words, block, place, above: Vec::new(), beside: None, blank_above: false }
    }

    /// How many directives of its block begin with this word, however wrong they may go on.
    pub fn mentioned(&self, word: &str) -> usize {
        let lines = self.block.iter().flat_map(|block| &block.directives);
        lines.filter(|line| line.words[0].is(word)).count()
    }
}

impl Place {
    /// From here to the end of `last`, if it is on the same line.
    pub fn to(self, last: Place) -> Place {
        if (self.file, self.line) != (last.file, last.line) || last.column < self.column {
            return self;
        }
        Place { width: last.column + last.width - self.column, ..self }
    }

    /// The column after it: where something is missing.
    pub fn after(self) -> Place {
        Place { column: self.column + self.width + 1, width: 1, ..self }
    }
}
