//! A config printed: in words, as JSON, with every default filled in.

use super::{Told, effective, forms, json, read_file, read_tree, schema};
use evenkeel_syntax::{Tree, format};
use serde_json::Value;
use std::path::Path;

/// How a config is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// In words, what is included and inherited in its place.
    Words,
    /// In words, every default filled in.
    Effective,
    /// As JSON, the same tree typed.
    Json,
}

/// Reads a config file and prints it. The error holds every complaint there is.
pub fn print(path: &Path, spelling: Spelling) -> Result<String, Told> {
    let (tree, errors) = read_file(path);
    print_tree(tree, errors, spelling)
}

/// The same of a text; `name` is what diagnostics call it.
pub fn print_text(name: &str, text: &str, spelling: Spelling) -> Result<String, Told> {
    let (tree, errors) = super::read_text(name, text);
    print_tree(tree, errors, spelling)
}

fn print_tree(
    tree: Tree,
    mut errors: Vec<evenkeel_syntax::Diagnostic>,
    spelling: Spelling,
) -> Result<String, Told> {
    let loaded = read_tree(tree.clone(), errors.clone(), None)?;
    let mut tree = tree;
    super::inherit::expand(&mut tree.root, &mut errors);
    let root = evenkeel_syntax::read(&tree.root, forms::root(), &mut errors);
    Ok(match spelling {
        Spelling::Words => {
            let mut lines: Vec<_> = root.iter().map(effective::as_read).collect();
            lines.iter_mut().for_each(|line| line.blank_above = true);
            format(&Tree { root: lines, ..Tree::default() })
        }
        Spelling::Effective => effective::words(&root, &loaded.config),
        Spelling::Json => format!("{:#}\n", Value::Object(json::block(&root))),
    })
}

/// The JSON schema of the machine's spelling.
pub fn json_schema() -> Value {
    schema::schema(forms::root())
}
