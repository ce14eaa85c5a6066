//! A file and all that it includes.

use crate::diagnostic::{Diagnostic, Note};
use crate::parse::{ERRORS_MAX, FILE_MAX, parse_file};
use crate::tree::{Directive, Place, Tree, Word};
use std::io::Read;
use std::path::{Path, PathBuf};

/// How deep files may include each other.
const DEPTH_MAX: usize = 8;
/// Files of one config.
const FILES_MAX: usize = 1000;
/// Bytes of all files of one config.
const TOTAL_MAX: usize = 4 * FILE_MAX;

/// Reads a file and what it includes. `include DIR/*.conf` is taken relative to the file it stands in; `*` may
/// stand in the last part of the path only; the files are taken in the order of their names.
pub fn load(path: &Path) -> (Tree, Vec<Diagnostic>) {
    match read(path) {
        Ok(bytes) => load_bytes(path, &bytes),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            (Tree::default(), vec![Diagnostic::global(message)])
        }
    }
}

/// The same of what was read already; `include` starts at the folder of `path`.
pub fn load_bytes(path: &Path, bytes: &[u8]) -> (Tree, Vec<Diagnostic>) {
    let mut loader = Loader::default();
    let name = path.display().to_string();
    let (root, tail) = parse_file(&mut loader.tree.files, &name, bytes, &mut loader.errors);
    loader.total = bytes.len();
    loader.under.push((identity(path), None));
    loader.tree.root = loader.expand(root, path);
    loader.tree.tail = tail;
    loader.errors.truncate(ERRORS_MAX * 2);
    (loader.tree, loader.errors)
}

#[derive(Default)]
struct Loader {
    tree: Tree,
    errors: Vec<Diagnostic>,
    /// The files that are being read, the outermost first, and where each was included.
    under: Vec<(PathBuf, Option<Place>)>,
    total: usize,
}

impl Loader {
    /// The directives with every `include` replaced by what it includes.
    fn expand(&mut self, directives: Vec<Directive>, file: &Path) -> Vec<Directive> {
        let mut out = Vec::with_capacity(directives.len());
        for mut directive in directives {
            if directive.words[0].is("include") {
                self.include(&directive, file, &mut out);
                continue;
            }
            if let Some(block) = &mut directive.block {
                block.directives = self.expand(std::mem::take(&mut block.directives), file);
            }
            out.push(directive);
        }
        out
    }

    fn include(&mut self, directive: &Directive, file: &Path, out: &mut Vec<Directive>) {
        let [_, word] = &directive.words[..] else {
            let error = Diagnostic::error(directive.place, "`include` takes one path");
            self.errors.push(error.label("write for example `include conf.d/*.conf`"));
            return;
        };
        if let Some(block) = &directive.block {
            self.errors.push(Diagnostic::error(block.open, "`include` has no block"));
        }
        let base = file.parent().unwrap_or(Path::new(""));
        match matching(base, &word.text) {
            Ok(paths) => paths.iter().for_each(|path| self.include_one(path, word, out)),
            Err(message) => self.errors.push(Diagnostic::error(word.place, message)),
        }
    }

    fn include_one(&mut self, path: &Path, word: &Word, out: &mut Vec<Directive>) {
        let shown = path.display();
        let me = identity(path);
        if let Some(at) = self.under.iter().position(|(open, _)| *open == me) {
            let mut error = Diagnostic::error(word.place, format!("{shown} includes itself"));
            for (_, place) in &self.under[at + 1..] {
                error.notes.push(Note { place: *place, text: "by way of this".to_owned() });
            }
            self.errors.push(error.label("an include loop"));
            return;
        }
        if self.under.len() > DEPTH_MAX || self.tree.files.len() >= FILES_MAX {
            let bound = format!("at most {DEPTH_MAX} files deep and {FILES_MAX} files in all");
            self.errors.push(Diagnostic::error(word.place, "too much is included").label(bound));
            return;
        }
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.errors.push(Diagnostic::error(word.place, format!("cannot read {shown}: {error}")));
                return;
            }
        };
        self.total = self.total.saturating_add(bytes.len());
        if self.total > TOTAL_MAX {
            let bound = format!("at most {} MiB in all", TOTAL_MAX >> 20);
            self.errors.push(Diagnostic::error(word.place, "too much is included").label(bound));
            return;
        }
        let (root, _) = parse_file(&mut self.tree.files, &shown.to_string(), &bytes, &mut self.errors);
        self.under.push((me, Some(word.place)));
        out.extend(self.expand(root, path));
        self.under.pop();
    }
}

/// What makes two paths the same file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file's bytes, one more than the bound at most, so that the parser can tell that it is too large.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.is_dir() {
        return Err(std::io::Error::other("it is a directory"));
    }
    std::fs::File::open(path)?.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files that a path with perhaps a `*` in its last part stands for.
fn matching(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = base.join(pattern);
    if !pattern.contains('*') {
        return Ok(vec![path]);
    }
    let (parent, last) = (path.parent().unwrap_or(base), path.file_name().and_then(|name| name.to_str()));
    let Some(last) = last.filter(|_| !parent.to_string_lossy().contains('*')) else {
        return Err("`*` may stand only in the last part of the path".to_owned());
    };
    let entries =
        std::fs::read_dir(parent).map_err(|error| format!("cannot read {}: {error}", parent.display()))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| fits(last, name)))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

/// Whether a name fits a pattern with `*`. As in a shell, `*` does not find hidden files.
fn fits(pattern: &str, name: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if name.starts_with('.') && !first.starts_with('.') || name.len() < first.len() + last.len() {
        return false;
    }
    if !name.starts_with(first) || !name.ends_with(last) {
        return false;
    }
    let mut middle = &name[first.len()..name.len() - last.len()];
    parts[1..parts.len() - 1].iter().all(|part| match middle.find(part) {
        Some(at) => {
            middle = &middle[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_letters() {
        for (pattern, name, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".hidden.conf", false),
            ("*.conf", "a.conf~", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("*", "x", true),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }
}
