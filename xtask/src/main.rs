//! The project's own tools: `cargo xtask test` proves everything, `stories` plays the end-to-end stories,
//! `bench` measures. Plain Rust, so that a fresh machine needs nothing but the toolchain to begin.

mod bench;
mod child;
mod packages;
mod stories;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask test                         everything: formatting, lints, tests, fuzzing, stories, the demo
cargo xtask stories [-v] [NAME…]         the stories whose names contain a word; -v draws also those that pass
cargo xtask bench [checks|relay|director] [--haproxy PATH] [--nginx PATH]
                                         the tables of speed and memory, with goals and verdicts
exit codes: 0 passed, 1 failed, 2 could not be done, 3 passed without the parts that need root";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => test::main(),
        ["stories", rest @ ..] => stories::main(rest),
        // How `stories` runs each of them: already in its namespace.
        ["story", name, rest @ ..] => stories::play(name, rest.contains(&"-v")),
        ["bench", rest @ ..] => bench::main(rest),
        _ => Err(USAGE.to_owned()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}
