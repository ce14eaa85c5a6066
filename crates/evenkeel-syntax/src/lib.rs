//! Words and blocks, with line and column. Knows no word's meaning, names nobody, depends on nothing.
//!
//! # The grammar, whole
//!
//! A **directive** is words to the end of the line, then perhaps a `{ block }` of directives. The `{` is the last
//! word of its line, the `}` stands on a line of its own. `#` at the start of a word begins a comment.
//!
//! A word is one of three:
//! - **bare**: anything without a space, a brace or a control character; a backslash and a quote inside it are
//!   themselves (`/a\d+`, `it's`).
//! - **`"double quoted"`**: may hold spaces, braces and `#`; knows the escapes `\n` `\r` `\t` `\0` `\\` `\"` and
//!   `\xHH` (one byte, so a word may hold bytes that are not text), and no others.
//! - **`'single quoted'`**: everything up to the next `'` is itself; for regular expressions and JSON.
//!
//! A quoted word never is a key or a directive's name. It ends on its line. `include DIR/*.conf` is replaced by
//! the directives of those files. That is all.

pub mod diagnostic;
pub mod form;
mod format;
mod include;
mod nearest;
mod parse;
mod read;
mod shape;
pub mod tree;

pub use diagnostic::{Diagnostic, Severity, paint, render};
pub use format::{format, spell};
pub use include::{load, load_bytes};
pub use nearest::closest;
pub use parse::{FILE_MAX, parse};
pub use read::{Foreign, Reading, Vocabulary, read, read_with};
pub use shape::{AddressWords, address, fits, size, span};
pub use tree::{Block, Directive, File, Place, Tree, Word};
