//! The machine's spelling, read: JSON becomes directives, and from there on there is one reader for both.

use super::json::{field, field_of, plain, valued};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::{Block, Diagnostic, Directive, Place, Tree, Word, closest};
use serde_json::{Map, Value};

/// The directives that a JSON text stands for, as words that diagnostics can point into.
pub(super) fn read(name: &str, bytes: &[u8], forms: &'static [&'static [Form]]) -> (Tree, Vec<Diagnostic>) {
    let root = match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(root)) => root,
        Ok(_) => {
            return (Tree::default(), vec![Diagnostic::global(format!("{name}: an object is expected"))]);
        }
        Err(error) => return (Tree::default(), vec![Diagnostic::global(format!("{name}: {error}"))]),
    };
    let mut reader = Reader { name, errors: Vec::new() };
    let tree = Tree { root: reader.block(forms, &root, ""), ..Tree::default() };
    let mut errors = reader.errors;
    // The words are read again so that every complaint has a line to show.
    let (tree, more) =
        evenkeel_syntax::parse(&format!("{name} in words"), evenkeel_syntax::format(&tree).as_bytes());
    errors.extend(more);
    (tree, errors)
}

struct Reader<'n> {
    name: &'n str,
    errors: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn error(&mut self, path: &str, message: impl std::fmt::Display) {
        let path =
            if path.is_empty() { String::new() } else { format!(" at `{}`", path.trim_start_matches('.')) };
        self.errors.push(Diagnostic::global(format!("{}{path}: {message}", self.name)));
    }

    /// The directives that an object's fields stand for, in the order of the forms.
    fn block(
        &mut self,
        forms: &'static [&'static [Form]],
        object: &Map<String, Value>,
        path: &str,
    ) -> Vec<Directive> {
        let all: Vec<&'static Form> = forms.iter().flat_map(|group| group.iter()).collect();
        let mut fields: Vec<String> = Vec::new();
        let steps = all.iter().any(|form| form.count == Count::Step);
        let one_by_one = all.iter().filter(|form| form.count != Count::Step).map(|form| field_of(form));
        for name in one_by_one.chain(steps.then(|| "steps".to_owned())) {
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
        for name in object.keys().filter(|name| !fields.contains(name)) {
            let near = closest(name, fields.iter().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            self.error(path, format!("unknown field `{name}`{hint}"));
        }
        let mut out = Vec::new();
        for name in fields {
            let Some(value) = object.get(&name) else { continue };
            let here = format!("{path}.{name}");
            if name == "steps" && steps {
                self.steps(&all, value, &here, &mut out);
                continue;
            }
            let these: Vec<&'static Form> =
                all.iter().copied().filter(|form| field_of(form) == name).collect();
            if matches!(these[0].count, Count::One | Count::Maybe) {
                out.extend(self.directive(&these, value, &here));
            } else if let Value::Array(list) = value {
                for (at, value) in list.iter().enumerate() {
                    out.extend(self.directive(&these, value, &format!("{here}[{at}]")));
                }
            } else {
                self.error(&here, "a list is expected");
            }
        }
        out
    }

    /// A conversation: a list of objects with one field each.
    fn steps(&mut self, all: &[&'static Form], value: &Value, path: &str, out: &mut Vec<Directive>) {
        let Value::Array(list) = value else { return self.error(path, "a list is expected") };
        for (at, step) in list.iter().enumerate() {
            let here = format!("{path}[{at}]");
            let one = step.as_object().filter(|step| step.len() == 1).and_then(|step| step.iter().next());
            let Some((name, value)) = one else {
                self.error(&here, "an object with one field is expected");
                continue;
            };
            let step = |form: &&'static Form| form.count == Count::Step && field_of(form) == *name;
            let these: Vec<&'static Form> = all.iter().copied().filter(step).collect();
            if these.is_empty() {
                self.error(&here, format!("unknown step `{name}`"));
                continue;
            }
            out.extend(self.directive(&these, value, &format!("{here}.{name}")));
        }
    }

    /// The directive that a value stands for, by the first form that takes it.
    fn directive(&mut self, forms: &[&'static Form], value: &Value, path: &str) -> Option<Directive> {
        let kind = |form: &&Form| form.head.strip_prefix("check ").is_some_and(|kind| value["kind"] == kind);
        let checks = forms[0].head.starts_with("check ");
        let forms: Vec<&'static Form> = forms.iter().copied().filter(|form| !checks || kind(form)).collect();
        if forms.is_empty() {
            self.error(path, "`kind` is missing or is no kind of check");
            return None;
        }
        let before = self.errors.len();
        let mut fewest: Option<(Vec<Diagnostic>, Option<Directive>)> = None;
        for form in forms {
            let directive = self.by_form(form, value, path);
            let errors = self.errors.split_off(before);
            if errors.is_empty() {
                return directive;
            }
            if fewest.as_ref().is_none_or(|(fewest, _)| errors.len() < fewest.len()) {
                fewest = Some((errors, directive));
            }
        }
        // What could be read of it is read on, so that all mistakes are told at once.
        let (errors, directive) = fewest?;
        self.errors.extend(errors);
        directive
    }

    fn by_form(&mut self, form: &'static Form, value: &Value, path: &str) -> Option<Directive> {
        let mut words: Vec<Word> = form.head.split(' ').map(Word::new).collect();
        if plain(form) && valued(form).is_empty() {
            if !value.is_boolean() {
                self.error(path, "`true` is expected");
            }
            return (value == &Value::Bool(true)).then(|| Directive::new(words, None));
        }
        if plain(form) {
            for slot in form.names {
                match slot.shape {
                    Shape::Literal(word) => words.push(Word::new(word)),
                    _ => words.extend(self.words(form, slot, value, path)),
                }
            }
            return Some(Directive::new(words, None));
        }
        let Value::Object(object) = value else {
            self.error(path, "an object is expected");
            return None;
        };
        let mut rest = object.clone();
        rest.remove("kind")
            .filter(|_| !form.head.starts_with("check "))
            .map(|kind| rest.insert("kind".into(), kind));
        let complete = self.names(form, &mut rest, path, &mut words);
        self.keys(form, &mut rest, path, &mut words);
        let block = match form.block {
            Some(forms) => {
                let directives = self.block(forms, &rest, path);
                (!directives.is_empty()).then(|| Block { directives, ..Block::default() })
            }
            None => {
                self.leftover(form, &rest, path);
                None
            }
        };
        complete.then(|| Directive::new(words, block))
    }

    /// Whether all that must be there is.
    fn names(
        &mut self,
        form: &'static Form,
        rest: &mut Map<String, Value>,
        path: &str,
        words: &mut Vec<Word>,
    ) -> bool {
        let mut complete = true;
        for slot in form.names {
            if let Shape::Literal(word) = slot.shape {
                words.push(Word::new(word));
                continue;
            }
            match rest.remove(&field(slot.name)) {
                Some(value) => words.extend(self.words(form, slot, &value, path)),
                None if slot.optional => {}
                None => {
                    complete = false;
                    self.error(path, format!("`{}` is missing", field(slot.name)));
                }
            }
        }
        complete
    }

    fn keys(
        &mut self,
        form: &'static Form,
        rest: &mut Map<String, Value>,
        path: &str,
        words: &mut Vec<Word>,
    ) {
        for slot in form.keys.iter().flat_map(|group| group.iter()) {
            let name = field(slot.name);
            // `tls` is a key and a block's directive: an object is the latter.
            let Some(value) = rest.get(&name).filter(|value| !value.is_object()).cloned() else { continue };
            rest.remove(&name);
            match (slot.shape, &value) {
                (Shape::Flag, Value::Bool(true)) => words.push(Word::new(slot.name)),
                (Shape::Flag, Value::Bool(false)) => {}
                (Shape::Flag, _) => self.error(path, format!("`{name}`: `true` or `false` is expected")),
                _ => {
                    words.push(Word::new(slot.name));
                    words.extend(self.words(form, slot, &value, &format!("{path}.{name}")));
                }
            }
        }
    }

    fn leftover(&mut self, form: &'static Form, rest: &Map<String, Value>, path: &str) {
        let keys = form.keys.iter().flat_map(|group| group.iter());
        let known: Vec<String> = form.names.iter().chain(keys).map(|slot| field(slot.name)).collect();
        for name in rest.keys() {
            let near = closest(name, known.iter().map(String::as_str));
            let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
            self.error(path, format!("unknown field `{name}`{hint}"));
        }
    }

    /// The words that a slot's value stands for.
    fn words(&mut self, form: &'static Form, slot: &'static Slot, value: &Value, path: &str) -> Vec<Word> {
        match (slot.shape, value) {
            (Shape::Rest, Value::Array(list)) if !list.is_empty() => {
                list.iter().filter_map(|value| self.word(form, slot, value, path)).collect()
            }
            (Shape::Rest, _) => {
                self.error(path, format!("`{}`: a list of strings is expected", field(slot.name)));
                Vec::new()
            }
            (Shape::Number { .. }, Value::Number(number)) => vec![Word::new(number.to_string())],
            (Shape::Number { .. }, _) => {
                self.error(path, format!("`{}`: a number is expected", field(slot.name)));
                Vec::new()
            }
            _ => self.word(form, slot, value, path).into_iter().collect(),
        }
    }

    fn word(&mut self, form: &Form, slot: &Slot, value: &Value, path: &str) -> Option<Word> {
        if let Some(bytes) = value.get("hex").and_then(Value::as_str).and_then(bytes) {
            return Some(Word::from_bytes(bytes, true, Place::default()));
        }
        let Some(text) = value.as_str() else {
            self.error(path, format!("`{}`: a string is expected", field(slot.name)));
            return None;
        };
        let mut keys = form.keys.iter().flat_map(|group| group.iter());
        // A text that reads like a word of the grammar would be taken for it.
        let quoted = matches!(slot.shape, Shape::Text) || keys.any(|key| key.name == text);
        Some(Word { quoted, ..Word::new(text) })
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
