//! Directives fitted to forms: the one reader of every block. It finds unknown words, missing and misshapen
//! ones, too many of one kind, and says what was probably meant.

mod line;
mod vocabulary;

pub use vocabulary::{Foreign, Vocabulary};

use crate::diagnostic::Diagnostic;
use crate::form::{Count, Form, Shape, Slot};
use crate::nearest::closest;
use crate::shape::any_of;
use crate::tree::{Directive, Place, Word};
use line::{Fitted, usage};

/// One directive, fitted to a form.
#[derive(Clone, Debug)]
pub struct Reading<'t> {
    form: &'static Form,
    directive: &'t Directive,
    values: Vec<Value<'t>>,
    block: Vec<Reading<'t>>,
}

/// The words of one slot.
#[derive(Clone, Debug)]
struct Value<'t> {
    slot: &'static Slot,
    words: &'t [Word],
    number: u64,
}

/// Fits directives to forms. Whatever fits is in the answer; whatever does not is in `errors`.
pub fn read<'t>(
    directives: &'t [Directive],
    forms: &'static [&'static [Form]],
    errors: &mut Vec<Diagnostic>,
) -> Vec<Reading<'t>> {
    read_with(directives, forms, &Vocabulary::default(), errors)
}

/// Like [`read`], with advice about words that no form has.
pub fn read_with<'t>(
    directives: &'t [Directive],
    forms: &'static [&'static [Form]],
    vocabulary: &Vocabulary,
    errors: &mut Vec<Diagnostic>,
) -> Vec<Reading<'t>> {
    Reader { vocabulary, errors }.block(directives, forms, None)
}

impl<'t> Reading<'t> {
    /// The fixed words of its form: `server`, `expect status`.
    pub fn head(&self) -> &'static str {
        self.form.head
    }
    /// The form that it fits.
    pub fn form(&self) -> &'static Form {
        self.form
    }
    /// The directive that was fitted.
    pub fn directive(&self) -> &'t Directive {
        self.directive
    }
    /// The word of a slot, for its place.
    pub fn word(&self, slot: &str) -> Option<&'t Word> {
        self.value(slot)?.words.first()
    }
    /// The text of a slot.
    pub fn text(&self, slot: &str) -> Option<&'t str> {
        self.word(slot).map(|word| word.text.as_str())
    }
    /// The bytes of a slot, escapes applied.
    pub fn bytes(&self, slot: &str) -> Option<&'t [u8]> {
        self.word(slot).map(Word::bytes)
    }
    /// The number of a slot: as it is, nanoseconds of a time, bytes of a size, whole percents.
    pub fn number(&self, slot: &str) -> Option<u64> {
        self.value(slot).map(|value| value.number)
    }
    /// Whether a slot was written, with or without a value.
    pub fn flag(&self, slot: &str) -> bool {
        self.value(slot).is_some()
    }
    /// The words of a slot that takes all the words that follow.
    pub fn rest(&self, slot: &str) -> &'t [Word] {
        self.value(slot).map_or(&[], |value| value.words)
    }
    /// What stands in its block.
    pub fn block(&self) -> &[Reading<'t>] {
        &self.block
    }
    /// The first directive of its block with this head.
    pub fn find(&self, head: &str) -> Option<&Reading<'t>> {
        self.block.iter().find(|reading| reading.head() == head)
    }
    /// Every directive of its block with this head.
    pub fn all<'r>(&'r self, head: &'r str) -> impl Iterator<Item = &'r Reading<'t>> + 'r {
        self.block.iter().filter(move |reading| reading.head() == head)
    }
    /// Where it stands.
    pub fn place(&self) -> Place {
        self.directive.place
    }
    /// Whether every directive of its block was read: if not, what seems to be missing may only be misspelt.
    pub fn whole(&self) -> bool {
        self.directive.block.as_ref().is_none_or(|block| block.directives.len() == self.block.len())
    }
    /// The slots that were written, in the order of the words, with their words.
    pub fn slots(&self) -> impl Iterator<Item = (&'static Slot, &'t [Word])> + '_ {
        self.values.iter().map(|value| (value.slot, value.words))
    }

    fn value(&self, slot: &str) -> Option<&Value<'t>> {
        let literal = |value: &&Value<'t>| matches!(value.slot.shape, Shape::Literal(_));
        let mut named = self.values.iter().filter(|value| value.slot.name == slot);
        // `route /api pool api`: a literal and a name may be called the same.
        named.clone().find(|value| !literal(value)).or_else(|| named.next())
    }
}

struct Reader<'e> {
    vocabulary: &'e Vocabulary,
    errors: &'e mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn block<'t>(
        &mut self,
        directives: &'t [Directive],
        forms: &'static [&'static [Form]],
        owner: Option<&Directive>,
    ) -> Vec<Reading<'t>> {
        let mut readings: Vec<Reading<'t>> = Vec::new();
        let mut tried: Vec<&str> = Vec::new();
        // A misspelt word may be the one that is missing.
        let mut lost = false;
        for directive in directives {
            let Some(candidates) = self.candidates(directive, forms, owner) else {
                lost = true;
                continue;
            };
            let head = candidates[0].head;
            tried.push(head);
            if let Some(reading) = self.line(directive, &candidates) {
                self.once(&readings, &reading);
                readings.push(reading);
            }
        }
        if let Some(owner) = owner.filter(|_| !lost) {
            self.missing(forms, &tried, owner);
        }
        readings
    }

    /// The forms whose head this directive begins with; the longest head wins.
    fn candidates(
        &mut self,
        directive: &Directive,
        forms: &'static [&'static [Form]],
        owner: Option<&Directive>,
    ) -> Option<Vec<&'static Form>> {
        let all = || forms.iter().flat_map(|group| group.iter());
        let length = |form: &Form| form.head.split(' ').count();
        let begins = |form: &&'static Form| {
            let heads = form.head.split(' ');
            length(form) <= directive.words.len()
                && heads.zip(&directive.words).all(|(head, word)| word.is(head))
        };
        let mut found: Vec<&'static Form> = all().filter(begins).collect();
        let Some(longest) = found.iter().map(|form| length(form)).max() else {
            self.unknown(directive, &all().collect::<Vec<_>>(), owner);
            return None;
        };
        found.retain(|form| length(form) == longest);
        Some(found)
    }

    /// Fits one directive to the first candidate that it fits, or tells why it does not fit the nearest one.
    fn line<'t>(&mut self, directive: &'t Directive, candidates: &[&'static Form]) -> Option<Reading<'t>> {
        let mut best: Option<(&'static Form, Fitted<'t>)> = None;
        for form in candidates {
            let fitted = line::fit_line(directive, form, self.vocabulary);
            if fitted.errors.is_empty() {
                best = Some((form, fitted));
                break;
            }
            let rank = |of: &Fitted<'_>| (of.good, !of.surplus);
            if best.as_ref().is_none_or(|(_, before)| rank(&fitted) > rank(before)) {
                best = Some((form, fitted));
            }
        }
        let (form, fitted) = best?;
        let fits = fitted.errors.is_empty();
        self.errors.extend(fitted.errors);
        let block = match (&directive.block, form.block) {
            (Some(block), Some(forms)) => self.block(&block.directives, forms, Some(directive)),
            (None, Some(forms)) => self.block(&[], forms, Some(directive)),
            (Some(block), None) => {
                let error = Diagnostic::error(block.open, format!("`{}` has no block", form.head));
                self.errors.push(error.label("nothing can stand between braces here"));
                Vec::new()
            }
            (None, None) => Vec::new(),
        };
        fits.then_some(Reading { form, directive, values: fitted.values, block })
    }

    /// Complains when a directive that may stand once stands a second time.
    fn once(&mut self, readings: &[Reading<'_>], reading: &Reading<'_>) {
        if !matches!(reading.form.count, Count::One | Count::Maybe) {
            return;
        }
        if let Some(first) = readings.iter().find(|other| other.head() == reading.head()) {
            let message = format!("`{}` stands here a second time", reading.head());
            let error = Diagnostic::error(reading.place(), message).label("once is enough");
            self.errors.push(error.note(first.place(), "the first one is here"));
        }
    }

    /// Complains about directives that must stand in a block and do not.
    fn missing(&mut self, forms: &'static [&'static [Form]], tried: &[&str], owner: &Directive) {
        let mut told: Vec<&str> = Vec::new();
        for form in forms
            .iter()
            .flat_map(|group| group.iter())
            .filter(|form| matches!(form.count, Count::One | Count::Some))
        {
            let done = |head: &&str| *head == form.head || head.strip_suffix('s') == Some(form.head);
            if tried.iter().any(done) || told.contains(&form.head) {
                continue;
            }
            told.push(form.head);
            let message = format!("{} has no `{}`", name_of(owner), form.head);
            self.errors
                .push(Diagnostic::error(owner.place, message).label(format!("needs `{}`", usage(form))));
        }
    }

    /// Complains about a directive that no form begins like.
    fn unknown(&mut self, directive: &Directive, forms: &[&'static Form], owner: Option<&Directive>) {
        let word = &directive.words[0];
        let seconds: Vec<&str> = forms
            .iter()
            .filter_map(|form| form.head.split_once(' '))
            .filter(|(first, _)| word.is(first))
            .map(|(_, second)| second)
            .collect();
        let seconds = once_each(seconds);
        if !seconds.is_empty() {
            let known = directive.words.get(1).and_then(|word| self.vocabulary.about(word));
            self.errors.push(known.unwrap_or_else(|| second_unknown(directive, &seconds)));
            return;
        }
        if let Some(error) = self.vocabulary.about(word) {
            self.errors.push(error);
            return;
        }
        let mut error = Diagnostic::error(word.place, format!("unknown word `{}`", word.text));
        let heads = once_each(forms.iter().map(|form| form.head).collect());
        let firsts = heads.iter().map(|head| head.split(' ').next().unwrap_or(head));
        if word.quoted {
            error = error.label("a quoted word cannot begin a directive");
        } else if let Some(place) = self.vocabulary.belongs(&word.text) {
            error = error.label(format!("not here: {place}"));
        } else if let Some(meant) = closest(&word.text, firsts) {
            let whole: Vec<&str> =
                heads.iter().copied().filter(|head| head.split(' ').next() == Some(meant)).collect();
            let meant = if whole.len() > 2 { vec![meant] } else { whole };
            error = error.label(format!("did you mean {}?", any_of(meant.into_iter())));
        } else if let Some((meant, place)) = self.vocabulary.nearly(&word.text) {
            error = error.label(format!("did you mean `{meant}`? {place}"));
        } else {
            let here = owner.map_or("here".to_owned(), |owner| format!("in {}", name_of(owner)));
            error = match heads.is_empty() {
                true => error.label(format!("nothing can stand {here}")),
                false => {
                    error.label("not known").help(format!("{here} can stand {}", any_of(heads.into_iter())))
                }
            };
        }
        self.errors.push(error);
    }
}

/// A known first word with an unknown second one: `down when`.
fn second_unknown(directive: &Directive, seconds: &[&str]) -> Diagnostic {
    let first = &directive.words[0];
    let expected = any_of(seconds.iter().copied());
    let Some(second) = directive.words.get(1) else {
        let error = Diagnostic::error(first.place.after(), format!("`{}` needs another word", first.text));
        return error.label(format!("expected {expected}"));
    };
    let label = match closest(
        &second.text,
        seconds.iter().map(|second| second.split(' ').next().unwrap_or(second)),
    ) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected {expected}"),
    };
    Diagnostic::error(second.place, format!("unknown word `{}` after `{}`", second.text, first.text))
        .label(label)
}

/// `pool web`, as the user calls it.
fn name_of(directive: &Directive) -> String {
    let words: Vec<&str> = directive.words.iter().take(2).map(|word| word.text.as_str()).collect();
    format!("`{}`", words.join(" "))
}

/// The same words, each once.
fn once_each(words: Vec<&str>) -> Vec<&str> {
    let mut once: Vec<&str> = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    once
}
