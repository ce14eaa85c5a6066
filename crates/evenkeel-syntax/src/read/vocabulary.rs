//! Words that no form has, and what can be said of them all the same.

use crate::diagnostic::Diagnostic;
use crate::form::Form;
use crate::nearest::closest;
use crate::tree::Word;
use std::collections::VecDeque;

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
        let (_, owner) = self.owners().into_iter().find(|(first, _)| *first == word)?;
        Some(match owner {
            Some(owner) => format!("it stands in `{owner} … {{ }}`"),
            None => "it stands outside of any block".to_owned(),
        })
    }

    /// The first word of any directive that is nearest to this one, and where that stands.
    pub(super) fn nearly(&self, word: &str) -> Option<(&'static str, String)> {
        let meant = closest(word, self.owners().into_iter().map(|(first, _)| first))?;
        let place = self.belongs(meant)?;
        Some((meant, format!("But {place}")))
    }

    /// The first word of every directive and the head of the block it stands in, outermost first.
    fn owners(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let mut owners = Vec::new();
        let mut blocks = VecDeque::from([(self.forms, None)]);
        while let Some((forms, owner)) = blocks.pop_front() {
            for form in forms.iter().flat_map(|group| group.iter()) {
                owners.push((form.head.split(' ').next().unwrap_or(form.head), owner));
                blocks.extend(form.block.map(|block| (block, Some(form.head))));
            }
        }
        owners
    }
}
