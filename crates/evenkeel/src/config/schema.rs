//! The JSON schema of the machine's spelling, made from the forms.

use super::json::{field, field_of, plain, valued};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use serde_json::{Map, Value, json};

/// The schema, draft 2020-12.
pub(super) fn schema(root: &'static [&'static [Form]]) -> Value {
    let mut schema = object(&[], root, None);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("evenkeel config");
    schema
}

/// An object of slots and of the directives of a block.
fn object(slots: &[(&Slot, bool)], block: &'static [&'static [Form]], kind: Option<&str>) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<String> = Vec::new();
    if let Some(kind) = kind {
        properties.insert("kind".to_owned(), json!({ "const": kind }));
        required.push("kind".to_owned());
    }
    for (slot, needed) in slots {
        properties.insert(field(slot.name), described(shape(&slot.shape), slot.doc, slot.default));
        if *needed {
            required.push(field(slot.name));
        }
    }
    let all: Vec<&'static Form> = block.iter().flat_map(|group| group.iter()).collect();
    let steps: Vec<&'static Form> = all.iter().copied().filter(|form| form.count == Count::Step).collect();
    for form in all.iter().filter(|form| form.count != Count::Step) {
        let name = field_of(form);
        if required.contains(&name)
            || properties.get(&name).is_some_and(|known| known.get("x-block").is_some())
        {
            continue;
        }
        let these: Vec<Value> = all
            .iter()
            .filter(|other| other.count != Count::Step && field_of(other) == name)
            .map(|form| directive(form))
            .collect();
        let mut value = either(these);
        if matches!(form.count, Count::Some | Count::Any) {
            value = json!({ "type": "array", "items": value });
        }
        // A key and a directive of one name: either of them.
        if let Some(key) = properties.remove(&name) {
            value = json!({ "anyOf": [key, value] });
        }
        // Its plural will do as well: `servers` for `server`.
        let plural = all.iter().any(|other| other.head.strip_suffix('s') == Some(form.head));
        if matches!(form.count, Count::One | Count::Some) && !plural {
            required.push(name.clone());
        }
        value["x-block"] = json!(true);
        properties.insert(name, value);
    }
    for value in properties.values_mut() {
        value.as_object_mut().map(|value| value.remove("x-block"));
    }
    if !steps.is_empty() {
        let step = |form: &&'static Form| {
            let name = field_of(form);
            json!({
                "type": "object", "additionalProperties": false, "required": [name],
                "properties": { name: directive(form) }
            })
        };
        properties.insert(
            "steps".to_owned(),
            json!({ "type": "array", "items": either(steps.iter().map(step).collect()) }),
        );
    }
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn directive(form: &'static Form) -> Value {
    let values = valued(form);
    if plain(form) {
        let value = values.first().map_or(json!({ "const": true }), |slot| shape(&slot.shape));
        return described(value, form.doc, None);
    }
    let names = values.iter().map(|slot| (*slot, !slot.optional));
    let keys = form.keys.iter().flat_map(|group| group.iter()).map(|slot| (slot, false));
    let slots: Vec<(&Slot, bool)> = names.chain(keys).collect();
    let value = object(&slots, form.block.unwrap_or(&[]), form.head.strip_prefix("check "));
    described(value, form.doc, None)
}

fn either(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.remove(0) } else { json!({ "anyOf": values }) }
}

fn described(mut value: Value, doc: &str, default: Option<&str>) -> Value {
    let text = match default {
        Some(default) => format!("{doc} Default: {default}."),
        None => doc.to_owned(),
    };
    if !text.is_empty() {
        value["description"] = json!(text);
    }
    value
}

fn shape(shape: &Shape) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::OneOf(words) => json!({ "enum": words }),
        Shape::Number { min, max } if *max == u64::MAX => json!({ "type": "integer", "minimum": min }),
        Shape::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Time => pattern("^([0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d))+$"),
        Shape::Size => pattern("^[0-9]+(B|KiB|MiB|GiB)$"),
        Shape::Percent => pattern("^(100|[0-9]{1,2})%$"),
        Shape::Address => pattern("^(unix:/.+|.+:[0-9]{1,5})$"),
        Shape::Rest => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        Shape::Text => json!({ "anyOf": [
            { "type": "string" },
            { "type": "object", "required": ["hex"], "additionalProperties": false,
              "properties": { "hex": pattern("^([0-9a-f]{2})*$") } }
        ] }),
        Shape::Literal(_) | Shape::Name | Shape::Path => json!({ "type": "string" }),
    }
}
