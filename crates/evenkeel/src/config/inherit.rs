//! Named checks: `check NAME like PARENT …` becomes the line that it stands for, before anything is read.
//!
//! What the heir says replaces what the parent says: its positional words, each key, and in the block every
//! directive with the same words at its head. The steps of a conversation (`send`, `expect`) are replaced as a
//! whole.

use super::forms;
use evenkeel_check::words::kinds;
use evenkeel_syntax::form::{Count, Form, Shape};
use evenkeel_syntax::{Block, Diagnostic, Directive, Place, Word, closest};

/// How long a chain of heirs may be.
const CHAIN_MAX: usize = 8;

/// A named check outside of any pool.
struct Named {
    name: String,
    /// Of its name.
    place: Place,
    /// As it was written.
    directive: Directive,
    used: bool,
}

/// Takes the named checks out of `root` and puts what they stand for where they are used. Answers them, each as
/// a line of its own, so that also one that nobody uses is read.
pub(super) fn expand(root: &mut Vec<Directive>, errors: &mut Vec<Diagnostic>) -> Vec<Directive> {
    let mut heirs = Heirs { named: collect(root, errors), errors };
    for pool in root.iter_mut().filter(|directive| directive.words[0].is("pool")) {
        let Some(block) = &mut pool.block else { continue };
        let directives = std::mem::take(&mut block.directives);
        block.directives = directives.into_iter().filter_map(|line| heirs.line(line)).collect();
    }
    heirs.alone()
}

fn collect(root: &mut Vec<Directive>, errors: &mut Vec<Diagnostic>) -> Vec<Named> {
    let mut named: Vec<Named> = Vec::new();
    let checks: Vec<Directive> = root.extract_if(.., |directive| directive.words[0].is("check")).collect();
    for directive in checks {
        let [_, name, like, ..] = &directive.words[..] else {
            errors.push(unnamed(&directive));
            continue;
        };
        if !like.is("like") {
            errors.push(unnamed(&directive));
            continue;
        }
        if reserved(&name.text) {
            errors.push(is_reserved(name));
            continue;
        }
        if let Some(first) = named.iter().find(|other| other.name == name.text) {
            let error = Diagnostic::error(name.place, format!("a second check is called `{}`", name.text));
            errors.push(error.label("give it another name").note(first.place, "the first one is here"));
            continue;
        }
        named.push(Named { name: name.text.clone(), place: name.place, directive, used: false });
    }
    named
}

fn unnamed(directive: &Directive) -> Diagnostic {
    let error = Diagnostic::error(directive.place, "a check outside of any pool");
    error.label("belongs into a `pool`").help(
        "a check that several pools use is written `check NAME like http …` here and `check NAME` in the pools",
    )
}

fn is_reserved(name: &Word) -> Diagnostic {
    let error =
        Diagnostic::error(name.place, format!("`{}` is a kind of check and cannot be a name", name.text));
    error.label("choose another name")
}

fn reserved(name: &str) -> bool {
    name == "none" || kinds().iter().any(|kind| kind.name == name)
}

/// The line of a kind.
fn form_of(kind: &str) -> Option<&'static Form> {
    forms::checks().iter().find(|form| form.head.strip_prefix("check ") == Some(kind))
}

struct Heirs<'e> {
    named: Vec<Named>,
    errors: &'e mut Vec<Diagnostic>,
}

impl Heirs<'_> {
    /// A line of a pool, with what it inherits. `None`: there was an error, which is told.
    fn line(&mut self, line: Directive) -> Option<Directive> {
        let mine = line.words[0].is("check") && line.words.len() > 1;
        if !mine {
            return Some(line);
        }
        let (name, like) = (&line.words[1], line.words.get(2).is_some_and(|word| word.is("like")));
        if like && reserved(&name.text) {
            self.errors.push(is_reserved(name));
            return None;
        }
        if like || self.named.iter().any(|named| named.name == name.text && !reserved(&name.text)) {
            return self.resolve(&line, &mut Vec::new());
        }
        if !reserved(&name.text)
            && let Some(error) = self.nearly(name)
        {
            self.errors.push(error);
            return None;
        }
        Some(line)
    }

    /// A misspelt named check. Misspelt kinds are the reader's business.
    fn nearly(&self, name: &Word) -> Option<Diagnostic> {
        let kind = closest(&name.text, kinds().iter().map(|kind| kind.name));
        let meant = closest(&name.text, self.named.iter().map(|named| named.name.as_str()));
        let named = self.named.iter().find(|named| Some(named.name.as_str()) == meant && kind.is_none())?;
        let error = Diagnostic::error(name.place, format!("there is no check `{}`", name.text));
        let error = error.label(format!("did you mean `{}`?", named.name));
        Some(error.note(named.place, format!("`{}` is defined here", named.name)))
    }

    /// `check NAME like PARENT …` or `check NAME …` as a line of its kind.
    fn resolve(&mut self, line: &Directive, chain: &mut Vec<usize>) -> Option<Directive> {
        let name = &line.words[1];
        let like = line.words.get(2).is_some_and(|word| word.is("like"));
        let Some(parent) = line.words.get(if like { 3 } else { 1 }) else {
            let error =
                Diagnostic::error(line.words[2].place.after(), "`like` needs the name of a check or a kind");
            self.errors.push(error.label("as in `check front like http /ready`"));
            return None;
        };
        let own = &line.words[if like { 4 } else { 2 }..];
        let base = if let Some(form) = form_of(&parent.text).filter(|_| parent.text != "none" && like) {
            let words = vec![line.words[0].clone(), parent.clone()];
            (form, Directive::new(words, None))
        } else {
            self.parent(parent, chain)?
        };
        let (form, mut merged) = (base.0, merge(base.0, &base.1, own, line));
        // A check is called what it was last called, unless it says `as` itself.
        if !own.iter().any(|word| word.is("as")) {
            set_key(form, &mut merged.words, "as", name);
        }
        Some(merged)
    }

    /// The line that a parent stands for.
    fn parent(&mut self, parent: &Word, chain: &mut Vec<usize>) -> Option<(&'static Form, Directive)> {
        let Some(at) = self.named.iter().position(|named| named.name == parent.text) else {
            self.errors.push(self.no_parent(parent));
            return None;
        };
        let named = &mut self.named[at];
        named.used = true;
        if chain.contains(&at) || chain.len() >= CHAIN_MAX {
            let error = Diagnostic::error(parent.place, format!("`{}` inherits from itself", parent.text));
            let error = match chain.contains(&at) {
                true => error.label("a circle"),
                false => Diagnostic::error(parent.place, "too many heirs of heirs")
                    .label(format!("{CHAIN_MAX} at most")),
            };
            self.errors.push(error.note(named.place, format!("`{}` is defined here", parent.text)));
            return None;
        }
        chain.push(at);
        let directive = named.directive.clone();
        let line = self.resolve(&directive, chain)?;
        let form = form_of(&line.words[1].text)?;
        Some((form, line))
    }

    fn no_parent(&self, parent: &Word) -> Diagnostic {
        let names = || self.named.iter().map(|named| named.name.as_str());
        let known: Vec<&str> = kinds().iter().map(|kind| kind.name).chain(names()).collect();
        let error = Diagnostic::error(parent.place, format!("there is no check `{}`", parent.text));
        match closest(&parent.text, known.iter().copied()) {
            Some(meant) => {
                let error = error.label(format!("did you mean `{meant}`?"));
                match self.named.iter().find(|named| named.name == meant) {
                    Some(named) => error.note(named.place, format!("`{meant}` is defined here")),
                    None => error,
                }
            }
            None => error.label("not known").help(format!("known are `{}`", known.join("`, `"))),
        }
    }

    /// Every named check as a line; a warning about those that nobody uses.
    fn alone(mut self) -> Vec<Directive> {
        let mut lines = Vec::new();
        for at in 0..self.named.len() {
            let directive = self.named[at].directive.clone();
            let used = self.named[at].used;
            lines.extend(self.resolve(&directive, &mut vec![at]));
            if !used
                && !self.errors.iter().any(Diagnostic::is_error)
                && !self.named.iter().any(|other| inherits(&other.directive, &self.named[at].name))
            {
                let warning = Diagnostic::warning(
                    self.named[at].place,
                    format!("no pool uses the check `{}`", self.named[at].name),
                );
                self.errors.push(warning.label("defined here and forgotten?"));
            }
        }
        lines
    }
}

fn inherits(directive: &Directive, parent: &str) -> bool {
    directive.words.get(3).is_some_and(|word| word.text == parent)
}

/// What a parent's line becomes with the heir's words.
fn merge(form: &'static Form, parent: &Directive, own: &[Word], heir: &Directive) -> Directive {
    let key_at =
        |words: &[Word]| words.iter().position(|word| key(form, word).is_some()).unwrap_or(words.len());
    let (head, inherited) = parent.words.split_at(2.min(parent.words.len()));
    let (names, keys) = inherited.split_at(key_at(inherited));
    let (own_names, own_keys) = own.split_at(key_at(own));
    let mut words = head.to_vec();
    words.extend_from_slice(if own_names.is_empty() { names } else { own_names });
    let mut at = 0;
    while at < keys.len() {
        let pair = if takes_value(form, &keys[at]) { 2 } else { 1 };
        let pair = &keys[at..(at + pair).min(keys.len())];
        if !own_keys.iter().any(|word| word.is(&pair[0].text)) {
            words.extend_from_slice(pair);
        }
        at += pair.len();
    }
    words.extend_from_slice(own_keys);
    let block = match (&parent.block, &heir.block) {
        (None, None) => None,
        (Some(block), None) | (None, Some(block)) => Some(block.clone()),
        (Some(parent), Some(own)) => Some(merge_blocks(form, parent, own)),
    };
    Directive { place: heir.place, ..Directive::new(words, block) }
}

fn merge_blocks(form: &'static Form, parent: &Block, own: &Block) -> Block {
    let said: Vec<&Form> = own.directives.iter().filter_map(|line| line_form(form, line)).collect();
    let replaced = |line: &&Directive| {
        line_form(form, line).is_some_and(|old| {
            said.iter()
                .any(|new| new.head == old.head || new.count == Count::Step && old.count == Count::Step)
        })
    };
    let kept = parent.directives.iter().filter(|line| !replaced(line)).cloned();
    Block { directives: kept.chain(own.directives.iter().cloned()).collect(), ..own.clone() }
}

/// The form with the longest head that a line of a check's block begins with.
fn line_form(form: &'static Form, line: &Directive) -> Option<&'static Form> {
    let all = form.block?.iter().flat_map(|group| group.iter());
    let begins = |form: &&Form| {
        let heads: Vec<&str> = form.head.split(' ').collect();
        heads.len() <= line.words.len() && heads.iter().zip(&line.words).all(|(head, word)| word.is(head))
    };
    all.filter(begins).max_by_key(|form| form.head.len())
}

fn key(form: &Form, word: &Word) -> Option<&'static evenkeel_syntax::form::Slot> {
    form.keys.iter().flat_map(|group| group.iter()).find(|slot| word.is(slot.name))
}

fn takes_value(form: &Form, word: &Word) -> bool {
    key(form, word).is_some_and(|slot| !matches!(slot.shape, Shape::Flag))
}

/// Puts a key and its value on a line, or another value in the place of the one that is there.
fn set_key(form: &Form, words: &mut Vec<Word>, name: &'static str, value: &Word) {
    let value = Word { quoted: value.quoted || key(form, value).is_some(), ..value.clone() };
    match words.iter().position(|word| word.is(name)) {
        Some(at) if at + 1 < words.len() => words[at + 1] = value,
        _ => words.extend([Word { place: value.place, ..Word::new(name) }, value]),
    }
}
