//! `cargo xtask stories`: plays the end-to-end stories, each in a network namespace and a folder of its own, so
//! that they may use any address and run side by side.

mod actors;
mod admin;
mod play;
mod script;
mod timeline;

use crate::child::{self, Done, Show};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Duration;

/// Stories that run at the same time. They mostly wait, but what they wait for is timed.
const SIDE_BY_SIDE: usize = 3;

/// What became of one story.
pub(crate) struct Played {
    /// Its name.
    pub(crate) name: String,
    /// How its process ended; an error if there was none.
    pub(crate) done: Result<Done, String>,
}

/// `cargo xtask stories [NAME…]`: those whose name contains one of the words, or all. With `-v` they are drawn
/// also when they pass.
pub(crate) fn main(words: &[&str]) -> Result<ExitCode, String> {
    let verbose = words.contains(&"-v");
    let words: Vec<&str> = words.iter().copied().filter(|word| *word != "-v").collect();
    let build = child::command("cargo build --quiet --package evenkeel");
    let built = child::run(build, Duration::from_secs(1800), Show::All).map_err(|error| error.to_string())?;
    if !built.good() {
        return Err("evenkeel does not build".to_owned());
    }
    let played = all(&words, verbose)?;
    let failed = played.iter().filter(|played| !played.done.as_ref().is_ok_and(Done::good)).count();
    println!("{} passed, {failed} failed", played.len() - failed);
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Plays with the evenkeel that was built last. Needs root.
pub(crate) fn all(words: &[&str], verbose: bool) -> Result<Vec<Played>, String> {
    if !child::is_root() {
        return Err("the stories need root for their network namespaces".to_owned());
    }
    let mut names = names()?;
    names.retain(|name| words.is_empty() || words.iter().any(|word| name.contains(word)));
    if names.is_empty() {
        return Err("no story is called so".to_owned());
    }
    names.reverse();
    let waiting = Mutex::new(names);
    let over = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                // The lock is not held while a story is played.
                while let Some(name) = { waiting.lock().expect("no holder panics").pop() } {
                    let played = play_apart(&name, verbose);
                    over.lock().expect("no holder panics").push(played);
                }
            });
        }
    });
    Ok(over.into_inner().expect("no holder panics"))
}

/// Plays one story and tells how it went.
fn play_apart(name: &str, verbose: bool) -> Played {
    let done = play_in_namespace(name, verbose);
    let verdict = if done.as_ref().is_ok_and(Done::good) { "passed" } else { "FAILED" };
    match &done {
        Ok(done) => {
            println!("{verdict}  {name}  {:.1} s", done.took.as_secs_f64());
            if !done.good() || verbose {
                println!("{}", done.text);
            }
        }
        Err(why) => println!("{verdict}  {name}  {why}"),
    }
    Played { name: name.to_owned(), done }
}

/// Plays one story in a process of its own, which the kernel puts into a new network namespace.
fn play_in_namespace(name: &str, verbose: bool) -> Result<Done, String> {
    // Not by its path: a build of the workspace may have put another program there (proc(5)).
    let mut command = Command::new("/proc/self/exe");
    command.args(["story", name]);
    if verbose {
        command.arg("-v");
    }
    // SAFETY: between fork and exec only unshare is called, which is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| match libc::unshare(libc::CLONE_NEWNET) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    // The story keeps its own limit; this one is for a story process that hangs.
    let done = child::run(command, Duration::from_secs(300), Show::Nothing);
    done.map_err(|error| format!("no process in a new network namespace: {error}"))
}

/// One story, inside its namespace.
pub(crate) fn play(name: &str, verbose: bool) -> Result<ExitCode, String> {
    let folder = std::env::temp_dir().join(format!("evenkeel-story-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let told = play_in(name, &folder, verbose);
    let _a_leftover_folder_is_no_failure = std::fs::remove_dir_all(&folder);
    match told {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(why) => {
            println!("{why}");
            Ok(ExitCode::from(1))
        }
    }
}

fn play_in(name: &str, folder: &Path, verbose: bool) -> Result<(), String> {
    let file = stories().join(format!("{name}.story"));
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let story = script::read(name, &text, &folder.to_string_lossy())?;
    ip("link set lo up")?;
    for address in &story.addresses {
        ip(&format!("address add {address} dev lo"))?;
    }
    let evenkeel = child::built("evenkeel");
    // A story that does not come to its end is killed with everything it started: they all die with it.
    let (limit, left) = (story.limit, folder.to_owned());
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        println!("the story took longer than its limit of {limit:?}");
        let _a_leftover_folder_is_no_failure = std::fs::remove_dir_all(left);
        std::process::exit(1);
    });
    let mut stage = play::Stage::new(&story, &evenkeel, folder);
    stage.play()?;
    if verbose {
        println!("{}", stage.drawing());
    }
    Ok(())
}

fn ip(words: &str) -> Result<(), String> {
    let done = child::run(child::command(&format!("ip {words}")), Duration::from_secs(5), Show::Nothing);
    let done = done.map_err(|error| format!("ip {words}: {error}"))?;
    if done.good() { Ok(()) } else { Err(format!("ip {words}: {}", done.text)) }
}

fn names() -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(stories()).map_err(|error| format!("tests/stories: {error}"))?;
    let files = entries.flatten().map(|entry| entry.path());
    let stories = files.filter(|path| path.extension().is_some_and(|end| end == "story"));
    let mut names: Vec<String> =
        stories.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn stories() -> PathBuf {
    child::root().join("tests/stories")
}

#[test]
fn every_story_can_be_read() {
    let names = names().expect("the folder is there");
    assert!(!names.is_empty());
    for name in names {
        let text = std::fs::read_to_string(stories().join(format!("{name}.story"))).expect("it was listed");
        let story = script::read(&name, &text, "/run/story").unwrap_or_else(|why| panic!("{why}"));
        assert!(text.starts_with("# "), "{name} does not begin by saying what it is about");
        assert!(!story.steps.is_empty());
    }
}
