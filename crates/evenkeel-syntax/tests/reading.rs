//! The parser, the reader and the picture of a diagnostic, on small texts.

use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::{format, parse, read, render};

const fn slot(name: &'static str, shape: Shape, optional: bool) -> Slot {
    Slot { name, shape, optional, default: None, doc: "" }
}

const FORMS: &[&[Form]] = &[&[Form {
    head: "pool",
    names: &[slot("name", Shape::Name, false)],
    keys: &[],
    block: Some(&[&[
        Form {
            head: "server",
            names: &[slot("name", Shape::Name, false), slot("address", Shape::Address, false)],
            keys: &[&[slot("weight", Shape::Number { min: 0, max: 256 }, true)]],
            block: None,
            count: Count::Any,
            doc: "",
        },
        Form {
            head: "down after",
            names: &[
                slot("fails", Shape::Number { min: 1, max: 100 }, false),
                slot("", Shape::Literal("fails"), false),
            ],
            keys: &[],
            block: None,
            count: Count::Maybe,
            doc: "",
        },
        Form {
            head: "down after",
            names: &[slot("time", Shape::Time, false)],
            keys: &[],
            block: None,
            count: Count::Maybe,
            doc: "",
        },
        Form {
            head: "send",
            names: &[slot("what", Shape::Text, false)],
            keys: &[],
            block: None,
            count: Count::Step,
            doc: "",
        },
    ]]),
    count: Count::Any,
    doc: "",
}]];

/// Every complaint about a text, as printed.
fn complaints(text: &str) -> String {
    let (tree, mut errors) = parse("hale.conf", text.as_bytes());
    read(&tree.root, FORMS, &mut errors);
    render(&errors, &tree.files)
}

#[test]
fn a_misspelt_key_gets_a_caret_and_a_suggestion() {
    let text = "pool web {\n    server rs1 192.168.1.102:80 wieght 3\n}\n";
    assert_eq!(
        complaints(text),
        "error: unknown word `wieght`
 --> hale.conf:2:33
  |
2 |     server rs1 192.168.1.102:80 wieght 3
  |                                 ^^^^^^ did you mean `weight`?
"
    );
}

#[test]
fn words_fit_the_first_form_that_takes_them() {
    let text = "pool web {\n server a unix:/x weight 3\n down after 16s\n send \"\\x00a\\n\"\n}\n";
    let (tree, mut errors) = parse("x", text.as_bytes());
    let root = read(&tree.root, FORMS, &mut errors);
    assert_eq!(errors, []);
    let pool = &root[0];
    assert_eq!(pool.text("name"), Some("web"));
    let server = pool.find("server").expect("it was read");
    assert_eq!((server.text("address"), server.number("weight")), (Some("unix:/x"), Some(3)));
    assert_eq!(pool.find("down after").expect("it was read").number("time"), Some(16_000_000_000));
    assert_eq!(pool.find("send").expect("it was read").bytes("what"), Some(&b"\0a\n"[..]));
}

#[test]
fn formatting_keeps_comments_and_is_idempotent() {
    let text = "\n\n# top\npool   web{ # why\n\n\n  # one\n  server a b:1 # x\n\n\n \
                send 'a \"b\"'\n# end\n} # bye\n# eof";
    let (tree, _) = parse("x", text.as_bytes());
    let once = format(&tree);
    assert_eq!(
        once,
        "# top\npool web {    # why\n    # one\n    server a b:1    # x\n\n    send 'a \"b\"'\n    # end\n\
         }    # bye\n# eof\n"
    );
    assert_eq!(format(&parse("x", once.as_bytes()).0), once);
}
