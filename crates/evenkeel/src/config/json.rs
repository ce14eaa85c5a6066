//! The machine's spelling: the same tree, typed.

use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::{Reading, Word};
use serde_json::{Map, Value, json};

/// What a check asks, in one spelling: everything it says but its name, its times and its rule.
pub(super) fn how_it_asks(line: &Reading<'_>) -> String {
    let mut value = directive(line);
    if let Some(fields) = value.as_object_mut() {
        for name in ["as", "every", "timeout", "connect", "fast", "down_after", "up_after", "port"] {
            fields.remove(name);
        }
    }
    format!("{} {value}", line.head())
}

/// What stands in a block, as an object: a directive's head is the field's name; what may stand several times
/// is a list; the steps of a conversation are one list.
pub(super) fn block(lines: &[Reading<'_>]) -> Map<String, Value> {
    let mut out = Map::new();
    for line in lines {
        let (field, value) = (field_of(line.form()), directive(line));
        match line.form().count {
            Count::One | Count::Maybe => {
                out.insert(field, value);
            }
            Count::Some | Count::Any => push(&mut out, field, value),
            Count::Step => push(&mut out, "steps".to_owned(), json!({ field: value })),
        }
    }
    out
}

fn push(out: &mut Map<String, Value>, field: String, value: Value) {
    if let Value::Array(list) = out.entry(field).or_insert_with(|| json!([])) {
        list.push(value);
    }
}

/// The field of a directive: its head, or `check` for every kind of check.
pub(super) fn field_of(form: &Form) -> String {
    let head = if form.head.starts_with("check ") { "check" } else { form.head };
    field(head)
}

/// Words as a field's name: `min_serving`, `down_after`.
pub(super) fn field(words: &str) -> String {
    words.replace([' ', '-'], "_")
}

/// The slots that carry a value.
pub(super) fn valued(form: &Form) -> Vec<&'static Slot> {
    form.names.iter().filter(|slot| !matches!(slot.shape, Shape::Literal(_))).collect()
}

/// Whether a directive is written as its one value alone.
pub(super) fn plain(form: &Form) -> bool {
    form.block.is_none()
        && form.keys.iter().all(|group| group.is_empty())
        && valued(form).len() <= 1
        && !form.head.starts_with("check ")
}

fn directive(line: &Reading<'_>) -> Value {
    let form = line.form();
    let mut fields = Map::new();
    if let Some(kind) = form.head.strip_prefix("check ") {
        fields.insert("kind".to_owned(), json!(kind));
    }
    for (slot, words) in line.slots().filter(|(slot, _)| !matches!(slot.shape, Shape::Literal(_))) {
        fields.insert(field(slot.name), slot_value(slot, words));
    }
    if plain(form) {
        return fields.into_iter().next().map_or(json!(true), |(_, value)| value);
    }
    fields.extend(block(line.block()));
    Value::Object(fields)
}

fn slot_value(slot: &Slot, words: &[Word]) -> Value {
    match (slot.shape, words) {
        (Shape::Rest, words) => words.iter().map(text).collect(),
        (Shape::Flag, _) => json!(true),
        (Shape::Number { .. }, [word]) => {
            word.text.parse::<u64>().map_or_else(|_| text(word), |number| json!(number))
        }
        (_, [word, ..]) => text(word),
        (_, []) => Value::Null,
    }
}

/// A word: its text, or its bytes in hexadecimal where they are no text.
fn text(word: &Word) -> Value {
    match &word.raw {
        Some(bytes) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
        None => json!(word.text),
    }
}
