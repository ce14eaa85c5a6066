//! The state's place in the file system: where it is, whose it is, and what becomes of a file that cannot be read.

use super::{State, boot, parse};
use crate::api::socket;
use evenkeel_core::{Span, Time};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A state of 100,000 servers fits many times over.
const READ_MAX: u64 = 256 * 1024 * 1024;
/// So many files that could not be read are kept; the last one is replaced.
const BAD_MAX: u32 = 9;
/// The lock file holds one line of this length, so that writing it anew needs no room on the disk.
const LINE: usize = 128;

/// `/var/lib/evenkeel/state.json` for root, else in `$XDG_STATE_HOME/evenkeel` or `~/.local/state/evenkeel` (XDG Base
/// Directory Specification), else none.
pub fn default_path() -> Option<PathBuf> {
    if socket::is_root() {
        return Some(PathBuf::from("/var/lib/evenkeel/state.json"));
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME").or_else(home).map(|dir| dir.join("evenkeel/state.json"))
}

/// Where the state is kept, and that it is ours.
#[derive(Debug)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Held for as long as the process lives; it also tells when that was last.
    lock: Option<File>,
}

/// A place that is ours, and what was there.
#[derive(Debug)]
pub struct Taken {
    /// Where.
    pub place: Place,
    /// What a run before this one left, and how long ago that was true, if it was in this boot.
    pub found: Option<(State, Option<Span>)>,
    /// What an operator should know.
    pub troubles: Vec<Trouble>,
}

/// Something is wrong with the state, and the daemon goes on without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A file was no state, and was put aside, if that could be done.
    SetAside(Option<PathBuf>, String),
    /// Nothing can be written there.
    Unwritable(String),
}

/// Takes the place. The error is the process that has it.
pub fn take(path: &Path, now: Time) -> Result<Taken, String> {
    let mut troubles = Vec::new();
    let (lock, beat) = match lock(path) {
        Ok(Some((lock, beat))) => (Some(lock), beat),
        Ok(None) => return Err(holder(path)),
        Err(error) => {
            troubles.push(Trouble::Unwritable(error.to_string()));
            (None, None)
        }
    };
    let boot = boot();
    let found = match read(path, &boot, now) {
        Ok(found) => found,
        Err(error) => {
            troubles.push(Trouble::SetAside(set_aside(path), error));
            None
        }
    };
    let found = found.map(|state| {
        let beat = beat.filter(|(of, at)| *of == boot && *at <= now).map(|(_, at)| at);
        let at = Time::from_nanos(state.at_ns).max(beat.unwrap_or(Time::ZERO));
        let age = (state.boot == boot && !boot.is_empty()).then(|| now.since(at));
        (state, age)
    });
    Ok(Taken { place: Place { path: path.to_owned(), lock }, found, troubles })
}

impl Place {
    /// Writes all of it, or nothing: a reader finds the old file or the new one.
    pub fn write(&self, state: &State) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let text = serde_json::to_vec(state).map_err(io::Error::other)?;
        if let Some(dir) = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::create_dir_all(dir)?;
        }
        let written =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).and_then(
                |mut file| {
                    file.write_all(&text)?;
                    file.sync_data()
                },
            );
        // Half a file on a full disk would only take up room.
        let written = written.and_then(|()| fs::rename(&new, &self.path));
        if written.is_err() {
            let _never_made = fs::remove_file(&new);
        }
        written
    }

    /// Notes that what was written last is still true.
    pub fn beat(&self, now: Time) {
        let Some(lock) = &self.lock else { return };
        let line = format!("{} {} {}", std::process::id(), boot(), now.as_nanos());
        // Without it the state seems older than it is, which is the safe side.
        let _older = lock.write_all_at(format!("{line:<width$}\n", width = LINE - 1).as_bytes(), 0);
    }
}

type Beat = (String, Time);

/// The lock, and when the one who had it last was last alive; `None` if somebody has it.
fn lock(path: &Path) -> io::Result<Option<(File, Option<Beat>)>> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, ".lock"))?;
    // SAFETY: flock(2) takes two numbers; the descriptor is `file`'s own.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    let beat = line(&file).and_then(|(_, boot, at)| Some((boot, Time::from_nanos(at.parse().ok()?))));
    Ok(Some((file, beat)))
}

/// Process, boot id and time of the lock's line.
fn line(file: &File) -> Option<(String, String, String)> {
    let mut bytes = [0; LINE];
    let read = file.read_at(&mut bytes, 0).ok()?;
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    let mut words = text.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?, words.next()?))
}

fn holder(path: &Path) -> String {
    let line = File::open(beside(path, ".lock")).ok().and_then(|file| line(&file));
    let who = line.map_or_else(String::new, |(process, ..)| format!(" (process {process})"));
    format!(
        "another evenkeel{who} keeps its state in {}; stop it, or give this one its own: --state PATH, or --no-state",
        path.display()
    )
}

fn read(path: &Path, boot: &str, now: Time) -> Result<Option<State>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = Vec::new();
    file.take(READ_MAX).read_to_end(&mut text).map_err(|error| error.to_string())?;
    parse(&text, boot, now).map(Some)
}

/// Gives a file that is no state another name, so that somebody can look at it.
fn set_aside(path: &Path) -> Option<PathBuf> {
    let free = (1..BAD_MAX).map(|n| beside(path, &format!(".bad-{n}"))).find(|bad| !bad.exists());
    let bad = free.unwrap_or_else(|| beside(path, &format!(".bad-{BAD_MAX}")));
    fs::rename(path, &bad).ok().map(|()| bad)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::VERSION;

    #[test]
    fn a_place_has_one_owner_and_a_bad_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/state.json");
        let now = Time::ZERO + Span::from_secs(100);
        let first = take(&path, now).unwrap();
        assert!(first.found.is_none() && first.troubles.is_empty());
        first.place.beat(now);
        let told = take(&path, now).unwrap_err();
        assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
        let state =
            State { version: VERSION, boot: boot(), at_ns: 5, written: String::new(), servers: Vec::new() };
        first.place.write(&state).unwrap();
        drop(first);
        let second = take(&path, now + Span::from_secs(2)).unwrap();
        assert_eq!(second.found, Some((state, Some(Span::from_secs(2)))), "alive when it beat last");
        drop(second);
        for n in 1..=2 {
            fs::write(&path, "{").unwrap();
            let third = take(&path, now).unwrap();
            let bad = dir.path().join(format!("deep/state.json.bad-{n}"));
            assert!(
                matches!(&third.troubles[..], [Trouble::SetAside(Some(to), _)] if *to == bad),
                "{third:?}"
            );
            assert_eq!((fs::read(&bad).unwrap(), path.exists()), (b"{".to_vec(), false));
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_and_leaves_nothing_half_done() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let taken = take(&file.join("state.json"), Time::ZERO).unwrap();
        assert!(taken.troubles.iter().any(|trouble| matches!(trouble, Trouble::Unwritable(_))), "{taken:?}");
        let state =
            State { version: 1, boot: String::new(), at_ns: 0, written: String::new(), servers: Vec::new() };
        assert!(taken.place.write(&state).is_err());
    }
}
