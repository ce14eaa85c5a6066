//! Mutated configs into the parser, the reader and the formatter: no panic, bounded answers, and what is
//! formatted means the same. `cargo run --release -p evenkeel-syntax --example fuzz_syntax -- SECONDS [SEED]`.
//! A fault prints the text and its seed.

use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use evenkeel_syntax::tree::Comment;
use evenkeel_syntax::{Directive, Tree, format, parse, read, render};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// One text through everything, debug builds and busy machines included.
const SLOWEST: Duration = Duration::from_secs(5);

const SEEDS: [&str; 4] = [
    "# top\nservice web {    # why\n    listen 10.0.0.1:80 http defer\n\n    # inner\n    pool web\n    # end\n\
     }    # bye\n",
    "pool web {\n    server a [::1]:80 weight 3    # one\n    server bb unix:/run/x.sock    # two\n\
     check tcp {\n        send \"\\x00\\xff\\r\\n \\\"q\\\"\"\n        expect regex '^\\d{3} \\S+$'\n\
     down after 16s\n    }\n}\n",
    "pool \u{e4}\u{1F600} {\n\tserver \"a b\" h:1\r\n  server ; c:1\n}\n\n\ninclude x/*.conf\n",
    "a { b {\nc {\n}\n} }\n{\n}\n\"open\n'x'y\n\\q \"\\q\\x4\" 1;\n",
];

/// Pieces that mean something to the parser.
const PIECES: [&str; 24] = [
    "{",
    "}",
    " {\n",
    "\n}\n",
    "\"",
    "'",
    "\\",
    "#",
    ";",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\\x00",
    "\\xfg",
    "\u{0}",
    "\u{feff}",
    "\u{a0}",
    "5s",
    "50%",
    "99999",
    "server ",
    "down after ",
    "include ",
];

const fn slot(name: &'static str, shape: Shape, optional: bool) -> Slot {
    Slot { name, shape, optional, default: None, doc: "" }
}

const fn form(
    head: &'static str,
    names: &'static [Slot],
    keys: &'static [&'static [Slot]],
    block: Option<&'static [&'static [Form]]>,
    count: Count,
) -> Form {
    Form { head, names, keys, block, count, doc: "" }
}

/// Every shape and every count somewhere.
const FORMS: &[&[Form]] = &[&[
    form(
        "service",
        &[slot("name", Shape::Name, false)],
        &[],
        Some(&[&[
            form(
                "listen",
                &[
                    slot("address", Shape::Address, false),
                    slot("protocol", Shape::OneOf(&["tcp", "http"]), true),
                ],
                &[&[slot("defer", Shape::Flag, true), slot("size", Shape::Size, true)]],
                None,
                Count::Some,
            ),
            form("pool", &[slot("pool", Shape::Name, false)], &[], None, Count::One),
        ]]),
        Count::Any,
    ),
    form(
        "pool",
        &[slot("name", Shape::Text, true)],
        &[],
        Some(&[&[
            form(
                "server",
                &[slot("name", Shape::Name, false), slot("address", Shape::Address, false)],
                &[&[
                    slot("weight", Shape::Number { min: 0, max: 256 }, true),
                    slot("share", Shape::Percent, true),
                ]],
                None,
                Count::Any,
            ),
            form(
                "check tcp",
                &[slot("path", Shape::Path, true)],
                &[&[slot("every", Shape::Time, true), slot("on", Shape::Rest, true)]],
                Some(&[&[
                    form("send", &[slot("what", Shape::Text, false)], &[], None, Count::Step),
                    form("expect regex", &[slot("what", Shape::Rest, false)], &[], None, Count::Step),
                    form(
                        "down after",
                        &[
                            slot("fails", Shape::Number { min: 1, max: 9 }, false),
                            slot("fails", Shape::Literal("fails"), false),
                        ],
                        &[],
                        None,
                        Count::Maybe,
                    ),
                    form("down after", &[slot("time", Shape::Time, false)], &[], None, Count::Maybe),
                ]]),
                Count::Any,
            ),
        ]]),
        Count::Any,
    ),
]];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let seconds = args.next().unwrap_or(10);
    let mut seed = args.next().unwrap_or(0x5eed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut texts, mut clean) = (0u64, 0u64);
    while Instant::now() < end {
        seed += 1;
        let text = mutated(&mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        let begun = Instant::now();
        let checked = std::panic::catch_unwind(|| check(&text));
        let fault = match checked {
            Err(_) => Some("a panic".to_owned()),
            Ok(Err(fault)) => Some(fault),
            Ok(Ok(_)) if begun.elapsed() > SLOWEST => Some(format!("it took {:?}", begun.elapsed())),
            Ok(Ok(good)) => {
                clean += u64::from(good);
                None
            }
        };
        if let Some(fault) = fault {
            println!("seed {seed}: {fault}\n{}", text.escape_ascii());
            return ExitCode::FAILURE;
        }
        texts += 1;
    }
    println!("{texts} texts, {clean} of them without a mistake: no fault (seeds up to {seed})");
    // A fuzzer that only makes garbage tests nothing behind the parser.
    if clean * 50 < texts { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What must be true of any bytes. Answers whether they were a text without a mistake.
fn check(bytes: &[u8]) -> Result<bool, String> {
    let (tree, mut errors) = parse("x.conf", bytes);
    if errors.len() > 60 {
        return Err(format!("{} diagnostics", errors.len()));
    }
    let good = errors.is_empty();
    read(&tree.root, FORMS, &mut errors);
    let lines: Vec<&str> = tree.files[0].text.split('\n').collect();
    for place in errors.iter().filter_map(|error| error.place) {
        let line = place.line.checked_sub(1).and_then(|line| lines.get(line as usize));
        let Some(line) = line else { return Err(format!("{place:?} is on no line")) };
        // One column past a line may be named, and one more with the space that is missing.
        if place.column == 0 || place.column as usize > line.chars().count() + 2 {
            return Err(format!("{place:?} is beside its line"));
        }
    }
    let told = render(&errors, &tree.files);
    if told.len() > errors.len() * 20_000 {
        return Err("too much is told".to_owned());
    }
    if good {
        let once = format(&tree);
        let (again, errors) = parse("x.conf", once.as_bytes());
        if !errors.is_empty() {
            return Err(format!("formatted, it is wrong:\n{once}\n{}", render(&errors, &again.files)));
        }
        if !same(&tree, &again) {
            return Err(format!("formatted, it means something else:\n{once}"));
        }
        if format(&again) != once {
            return Err(format!("formatted twice, it is different:\n{once}\n{}", format(&again)));
        }
    }
    Ok(good)
}

fn same(a: &Tree, b: &Tree) -> bool {
    texts(&a.tail) == texts(&b.tail) && all_same(&a.root, &b.root)
}

fn all_same(a: &[Directive], b: &[Directive]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_directive(a, b))
}

fn same_directive(a: &Directive, b: &Directive) -> bool {
    let words = |of: &Directive| -> Vec<(Vec<u8>, bool)> {
        of.words.iter().map(|word| (word.bytes().to_vec(), word.quoted)).collect()
    };
    let blocks = match (&a.block, &b.block) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            all_same(&a.directives, &b.directives) && texts(&a.tail) == texts(&b.tail) && a.beside == b.beside
        }
        _ => false,
    };
    words(a) == words(b) && texts(&a.above) == texts(&b.above) && a.beside == b.beside && blocks
}

fn texts(comments: &[Comment]) -> Vec<&str> {
    comments.iter().map(|comment| comment.text.as_str()).collect()
}

fn mutated(random: &mut Random) -> Vec<u8> {
    let mut text = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..random.below(6) {
        let at = random.below(text.len() + 1);
        let until = (at + random.below(12)).min(text.len());
        match random.below(5) {
            0 => drop(text.drain(at..until)),
            1 => drop(text.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
            2 => {
                let piece = text[at..until].to_vec();
                let there = random.below(text.len() + 1);
                drop(text.splice(there..there, piece));
            }
            3 if at < text.len() => text[at] = u8::try_from(random.below(256)).unwrap_or(0),
            _ => {
                let other = SEEDS[random.below(SEEDS.len())].bytes();
                drop(text.splice(at..at, other));
            }
        }
    }
    text
}

/// xorshift64*, so that a seed says everything.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
