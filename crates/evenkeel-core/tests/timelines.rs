//! Plays every file of `tests/timelines/` and compares the answer with the one drawn below its dashes.
//! `UPDATE=1 cargo test -p evenkeel-core --test timelines` draws the answers anew.
//!
//! ```text
//! above the dashes
//! rs1 sees |+xtwl! |   each column one outcome: pass, refused, timeout, wrong, local; `!`: a wire trips
//! rs1 is   |+xtwl  |   each column the state the server is in; its probes come when the schedule says
//! rs1 told |dmrudDR|   drain, maint, ready, force up, force down (n); D and R: the agent drains, is ready
//! reload   |  r    |   the same config once more
//! below
//! rs1 sees |+  x   |   the last outcome in each column, where there was one
//! rs1 does |#~-_5! |   serving, draining, out, out with its sessions cut, serving half its share, to be avoided
//! ```

#[path = "timeline/play.rs"]
mod play;
#[path = "timeline/read.rs"]
mod read;

use std::path::{Path, PathBuf};

#[test]
fn every_timeline_is_as_it_was_drawn() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let files = files();
    assert!(files.len() >= 15, "{} timelines", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a timeline that was listed can be read");
        assert!(text.starts_with("# "), "{} begins with a sentence", path.display());
        let (given, drawn) = text.split_once("----\n").unwrap_or((&text, ""));
        let answer = play::play(&read::read(given).unwrap_or_else(|why| panic!("{}: {why}", path.display())));
        if update {
            std::fs::write(&path, format!("{given}----\n{answer}")).expect("a timeline can be written");
        } else if answer != drawn {
            wrong.push(format!("{}\n{given}---- drawn\n{drawn}---- played\n{answer}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} timelines differ", wrong.join("\n"), wrong.len());
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let entries = std::fs::read_dir(folder).expect("the folder of timelines is part of the sources");
    let paths = entries.map(|entry| entry.expect("the folder can be listed").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    files
}
