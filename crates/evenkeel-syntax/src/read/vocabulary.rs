//! Words that no form has, and what can be said of them all the same.

use crate::diagnostic::Diagnostic;
use crate::form::Form;
use crate::tree::Word;

/// What is known of words that no form has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary {
    /// Words of other programs, and what they are called here.
    pub foreign: &'static [Foreign],
    /// Words that the design has and the program has not yet.
    pub unbuilt: &'static [&'static str],
    /// All forms, to tell where a misplaced word belongs.
    pub forms: &'static [&'static [Form]],
}

/// A word of another program.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// As it is written there.
    pub word: &'static str,
    /// What is written here instead, to follow "you mean".
    pub here: &'static str,
}

impl Vocabulary {
    /// What is known of a word that no form has.
    pub(super) fn about(&self, word: &Word) -> Option<Diagnostic> {
        if word.quoted {
            return None;
        }
        if self.unbuilt.contains(&word.text.as_str()) {
            let error = Diagnostic::error(word.place, format!("`{}` is not built yet", word.text));
            return Some(error.label("a word of a later version"));
        }
        let foreign = self.foreign.iter().find(|foreign| foreign.word == word.text)?;
        let error = Diagnostic::error(word.place, format!("unknown word `{}`", word.text));
        Some(error.label(format!("you mean {}", foreign.here)))
    }

    /// Where a directive with this first word can stand, if it can anywhere.
    pub(super) fn belongs(&self, word: &str) -> Option<String> {
        fn seek(forms: &[&[Form]], word: &str, inside: Option<&str>) -> Option<String> {
            for form in forms.iter().flat_map(|group| group.iter()) {
                if form.head.split(' ').next() == Some(word) {
                    return Some(match inside {
                        Some(owner) => format!("it stands in `{owner} … {{ }}`"),
                        None => "it stands outside of any block".to_owned(),
                    });
                }
                if let Some(found) = form.block.and_then(|block| seek(block, word, Some(form.head))) {
                    return Some(found);
                }
            }
            None
        }
        seek(self.forms, word, None)
    }
}
