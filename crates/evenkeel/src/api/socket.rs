//! The admin socket's place in the file system: where it is by default, and how a daemon takes it.

use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// `/run/evenkeel/evenkeel.sock` for root, else `$XDG_RUNTIME_DIR/evenkeel.sock` (XDG Base Directory
/// Specification), else none: no other directory is both this user's own and gone after a reboot.
pub fn default_path() -> Option<PathBuf> {
    if is_root() {
        return Some(PathBuf::from("/run/evenkeel/evenkeel.sock"));
    }
    std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("evenkeel.sock"))
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    // SAFETY: geteuid(2) takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A socket that is ours: bound, listening, mode 0660. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Taken {
    /// Where.
    pub path: PathBuf,
    /// Non-blocking.
    pub listener: UnixListener,
    inode: u64,
}

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Why the socket could not be taken.
#[derive(Debug)]
pub enum Error {
    /// Another daemon answers there.
    Live(PathBuf),
    /// Something else than a socket is there.
    NotASocket(PathBuf),
    /// The system says no.
    Io(PathBuf, io::Error),
}

/// Binds the socket. One that a dead daemon left behind is replaced; a live one, or a file of another kind, is not.
pub fn take(path: &Path) -> Result<Taken, Error> {
    let failed = |error| Error::Io(path.to_owned(), error);
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(failed)?;
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(failed(error)),
            // It connects, or its backlog is full: somebody holds it.
            _ => return Err(Error::Live(path.to_owned())),
        },
    }
    let listener = bind(path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    // The umask may have taken from it.
    fs::set_permissions(path, mode()).map_err(failed)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    Ok(Taken { path: path.to_owned(), listener, inode })
}

/// Binds without a moment in which others may connect: Linux gives the file the mode of the socket, less the umask
/// (`unix_bind` in the kernel's `net/unix/af_unix.c`), so that is narrowed before there is a file.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let file = fs::File::from(OwnedFd::from(socket));
    file.set_permissions(mode())?;
    let socket = Socket::from(OwnedFd::from(file));
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

fn mode() -> fs::Permissions {
    fs::Permissions::from_mode(0o660)
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Only ours: another daemon may have replaced it.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _already_gone = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Live(path) => write!(
                f,
                "another evenkeel answers on the admin socket {}; stop it, or give this one its own: --socket PATH",
                path.display()
            ),
            Error::NotASocket(path) => {
                write!(f, "admin socket {}: a file that is no socket is in the way", path.display())
            }
            Error::Io(path, error) => {
                write!(f, "admin socket {}: {error}; another place: --socket PATH", path.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_socket_is_kept_a_stale_one_replaced_and_ours_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/evenkeel.sock");
        let first = take(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(take(&path), Err(Error::Live(_))));
        drop(first);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a listener of the standard library leaves its file behind");
        drop(take(&path).unwrap());
    }

    #[test]
    fn there_is_no_moment_in_which_others_may_connect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evenkeel.sock");
        let _listener = bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o660, 0, "as it was made: {mode:o}");
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("precious");
        fs::write(&path, "data").unwrap();
        assert!(matches!(take(&path), Err(Error::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"data");
    }
}
