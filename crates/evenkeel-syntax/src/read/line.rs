//! One line and one form: names by position, then keys in any order, and what is wrong with each word.

use super::{Value, Vocabulary};
use crate::diagnostic::Diagnostic;
use crate::form::{Form, Shape, Slot};
use crate::nearest::closest;
use crate::shape::{Misfit, any_of, describe, fit, literal, unit_meant};
use crate::tree::{Directive, Word};

/// What came of fitting one line to one form.
pub(super) struct Fitted<'t> {
    pub(super) values: Vec<Value<'t>>,
    pub(super) errors: Vec<Diagnostic>,
    /// How many words fitted before the first that did not.
    pub(super) good: usize,
    /// There is a word too many: another form may be meant.
    pub(super) surplus: bool,
}

/// Fits the words of a directive to a form.
pub(super) fn fit_line<'t>(
    directive: &'t Directive,
    form: &'static Form,
    vocabulary: &Vocabulary,
) -> Fitted<'t> {
    let heads = form.head.split(' ').count();
    let mut line = Line {
        words: &directive.words,
        at: heads,
        form,
        vocabulary,
        fitted: Fitted { values: Vec::new(), errors: Vec::new(), good: heads, surplus: false },
        skipped: Vec::new(),
    };
    if line.names() {
        line.keys();
    }
    line.fitted
}

/// One line on its way through a form.
struct Line<'t, 'v> {
    words: &'t [Word],
    at: usize,
    form: &'static Form,
    vocabulary: &'v Vocabulary,
    fitted: Fitted<'t>,
    /// Optional names that were not there: their words are offered when a word is unknown.
    skipped: Vec<&'static Slot>,
}

impl Line<'_, '_> {
    /// The words by position. Answers whether it makes sense to go on.
    fn names(&mut self) -> bool {
        for slot in self.form.names {
            if matches!(slot.shape, Shape::Rest) {
                if self.at < self.words.len() {
                    self.take(slot, self.words.len() - self.at, 0);
                } else if !slot.optional {
                    self.missing(slot);
                    return false;
                }
                continue;
            }
            let Some(word) = self.words.get(self.at) else {
                if slot.optional {
                    self.skipped.push(slot);
                    continue;
                }
                self.missing(slot);
                return false;
            };
            let key = self.key(word).is_some();
            if slot.optional && (key || self.belongs_to_no_optional(slot, word)) {
                self.skipped.push(slot);
                continue;
            }
            if key && !matches!(slot.shape, Shape::Literal(_)) {
                let message = format!("`{}` needs {} before `{}`", self.form.head, wanted(slot), word.text);
                let error = Diagnostic::error(word.place, message);
                self.fitted.errors.push(error.label(format!("as in `{}`", usage(self.form))));
                return false;
            }
            match fit(&slot.shape, word) {
                Ok(number) => self.take(slot, 1, number),
                Err(misfit) => {
                    self.misfit(slot, word, misfit);
                    // What follows a word of the wrong shape can still be judged; what follows a word that chooses
                    // between meanings cannot.
                    if matches!(slot.shape, Shape::Literal(_) | Shape::OneOf(_)) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Whether a word is so unlike what an optional name takes that the name was left out.
    fn belongs_to_no_optional(&self, slot: &Slot, word: &Word) -> bool {
        match slot.shape {
            Shape::Literal(wanted) => !literal(wanted, word),
            Shape::OneOf(words) => !words.contains(&word.text.as_str()),
            Shape::Path => !word.quoted && !word.text.starts_with(['/', '.', '*']),
            Shape::Number { .. } | Shape::Time | Shape::Size | Shape::Percent => {
                !word.text.starts_with(|c: char| c.is_ascii_digit())
            }
            Shape::Address => !word.text.contains([':', '.', '/']),
            Shape::Flag | Shape::Text | Shape::Name | Shape::Rest => false,
        }
    }

    /// `key value` pairs, in any order.
    fn keys(&mut self) {
        while let Some(word) = self.words.get(self.at) {
            let Some(slot) = self.key(word) else {
                self.unknown(word);
                self.at += 1;
                // The word after an unknown key is most likely its value.
                if self.words.get(self.at).is_some_and(|next| self.key(next).is_none()) && !self.no_keys() {
                    self.at += 1;
                }
                continue;
            };
            if let Some(first) = self.fitted.values.iter().position(|value| value.slot.name == slot.name) {
                let error =
                    Diagnostic::error(word.place, format!("`{}` stands here a second time", slot.name));
                let first = self.fitted.values[first].words.first().map_or(word.place, |word| word.place);
                self.fitted.errors.push(error.label("once is enough").note(first, "the first one is here"));
            }
            if matches!(slot.shape, Shape::Flag) {
                self.take(slot, 1, 0);
                continue;
            }
            self.at += 1;
            self.value(slot, word);
        }
    }

    /// The value of a key that was just passed.
    fn value(&mut self, slot: &'static Slot, key: &Word) {
        let Some(word) = self.words.get(self.at) else {
            let error = Diagnostic::error(key.place.after(), format!("`{}` has no value", slot.name));
            self.fitted.errors.push(error.label(format!("{} is expected", describe(&slot.shape))));
            return;
        };
        if matches!(slot.shape, Shape::Rest) {
            return self.take(slot, self.words.len() - self.at, 0);
        }
        match fit(&slot.shape, word) {
            Ok(number) => self.take(slot, 1, number),
            Err(_) if self.key(word).is_some() => {
                let error = Diagnostic::error(
                    word.place,
                    format!("`{}` has no value before `{}`", slot.name, word.text),
                );
                self.fitted.errors.push(error.label(format!("{} is expected", describe(&slot.shape))));
            }
            Err(misfit) => self.misfit(slot, word, misfit),
        }
    }

    /// A word that has not the shape of its slot.
    fn misfit(&mut self, slot: &Slot, word: &Word, misfit: Misfit) {
        self.at += 1;
        let mut error = Diagnostic::error(word.place, misfit.message).label(misfit.label);
        if matches!(slot.shape, Shape::OneOf(_))
            && let Some(known) = self.vocabulary.about(word)
        {
            error = known;
        }
        // `2 seconds`, `5 s`: the unit stands there, but not where it belongs.
        if matches!(slot.shape, Shape::Time)
            && let Some(unit) = self.words.get(self.at).and_then(|next| unit_meant(&next.text))
            && word.text.bytes().all(|byte| byte.is_ascii_digit())
        {
            error = error.label(format!("write `{}{unit}`", word.text));
            self.at += 1;
        }
        self.fitted.errors.push(error);
    }

    fn take(&mut self, slot: &'static Slot, count: usize, number: u64) {
        let words = &self.words[self.at..self.at + count];
        self.fitted.values.push(Value { slot, words, number });
        self.at += count;
        if self.fitted.errors.is_empty() {
            self.fitted.good = self.at;
        }
    }

    fn key(&self, word: &Word) -> Option<&'static Slot> {
        self.form.keys.iter().flat_map(|group| group.iter()).find(|slot| word.is(slot.name))
    }

    fn no_keys(&self) -> bool {
        self.form.keys.iter().all(|group| group.is_empty())
    }

    fn missing(&mut self, slot: &Slot) {
        let last = self.words.last().expect("a directive has a word").place;
        let error = Diagnostic::error(last.after(), format!("`{}` needs {}", self.form.head, wanted(slot)));
        self.fitted.errors.push(error.label(format!("as in `{}`", usage(self.form))));
    }

    /// A word that is no key.
    fn unknown(&mut self, word: &Word) {
        let mut known: Vec<&'static str> = Vec::new();
        for slot in &self.skipped {
            match slot.shape {
                Shape::OneOf(words) => known.extend(words),
                Shape::Literal(word) => known.push(word),
                _ => {}
            }
        }
        known.extend(self.form.keys.iter().flat_map(|group| group.iter()).map(|slot| slot.name));
        if let Some(error) = self.vocabulary.about(word) {
            self.fitted.errors.push(error);
            return;
        }
        let shapes =
            self.skipped.iter().filter(|slot| !matches!(slot.shape, Shape::OneOf(_) | Shape::Literal(_)));
        let shapes: Vec<String> = shapes.map(|slot| wanted(slot)).collect();
        let error = match (closest(&word.text, known.iter().copied()), known.is_empty() && shapes.is_empty())
        {
            (_, true) => {
                self.fitted.surplus = true;
                let error = Diagnostic::error(word.place, format!("`{}` is one word too many", word.text));
                error.label(format!("`{}` ends before this", usage(self.form)))
            }
            (Some(meant), _) => {
                let error = Diagnostic::error(word.place, format!("unknown word `{}`", word.text));
                error.label(format!("did you mean `{meant}`?"))
            }
            (None, _) => {
                let error = Diagnostic::error(word.place, format!("unknown word `{}`", word.text));
                let path = self.skipped.iter().any(|slot| matches!(slot.shape, Shape::Path));
                let label =
                    if path { format!("a path would be `/{}`", word.text) } else { "not known".to_owned() };
                let known = (!known.is_empty()).then(|| any_of(known.iter().copied()));
                let all: Vec<String> = shapes.into_iter().chain(known).collect();
                error.label(label).help(format!("here can stand {}", all.join(", or ")))
            }
        };
        self.fitted.errors.push(error);
    }
}

/// A slot as it is missed: `a name`, `ADDRESS (an address such as …)`.
fn wanted(slot: &Slot) -> String {
    match slot.shape {
        Shape::Literal(_) | Shape::OneOf(_) => describe(&slot.shape),
        Shape::Name | Shape::Text if slot.name == "name" => "a name".to_owned(),
        _ => format!("{} ({})", slot.name.to_uppercase(), describe(&slot.shape)),
    }
}

/// How a directive is written, in short: `server NAME ADDRESS`.
pub(super) fn usage(form: &Form) -> String {
    let mut out = form.head.to_owned();
    for slot in form.names {
        let word = match slot.shape {
            Shape::Literal(word) => word.to_owned(),
            Shape::OneOf(words) => words.join("|"),
            Shape::Rest => format!("{}…", slot.name.to_uppercase()),
            _ => slot.name.to_uppercase(),
        };
        out.push(' ');
        out.push_str(&if slot.optional { format!("[{word}]") } else { word });
    }
    if form.block.is_some() {
        out.push_str(" { … }");
    }
    out
}
