//! Listening sockets: opening all of them or saying why not, in words that tell how to grant it.

use evenkeel_core::config::{Address, Listen};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// One listening address of a service, open.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) service: Arc<str>,
    pub(super) listen: Listen,
    /// One per worker, until it takes its own.
    sockets: Mutex<Vec<Option<Socket>>>,
}

/// Connections that wait to be accepted. The kernel's `net.core.somaxconn` bounds it further.
const BACKLOG: i32 = 4096;
/// Seconds that the kernel holds back a connection whose client has not spoken (`TCP_DEFER_ACCEPT`, tcp(7)).
static DEFER_SECS: libc::c_int = 10;

impl Door {
    /// Opens an address for so many workers. `ours`: another door of this process stands there at the moment.
    pub(super) fn open(service: &Arc<str>, listen: &Listen, workers: usize, ours: bool) -> io::Result<Door> {
        let sockets = match &listen.address {
            Address::Unix(path) => shared_unix(path, workers)?,
            Address::Ip(ip) => {
                // Workers share the address by SO_REUSEPORT, and so could another process without either
                // noticing. A socket that does not share it finds out whether it is free.
                if !ours {
                    bind(*ip, false, listen.defer)?;
                }
                (0..workers).map(|_| bind(*ip, true, listen.defer)).collect::<io::Result<_>>()?
            }
            Address::Name(..) => return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL)),
        };
        let sockets = Mutex::new(sockets.into_iter().map(Some).collect());
        Ok(Door { service: service.clone(), listen: listen.clone(), sockets })
    }

    /// A worker's own socket; once.
    pub(super) fn take(&self, worker: usize) -> Option<Socket> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).get_mut(worker)?.take()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.listen.address {
            // Somebody else may have removed it already; then there is nothing left to do.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind(address: std::net::SocketAddr, shared: bool, defer: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        // `[::]` and `*` are two listen lines, so each means what it says.
        socket.set_only_v6(true)?;
    }
    // Connections inherit it, which saves a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(address))?;
    if shared {
        if defer {
            defer_accept(&socket)?;
        }
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

fn defer_accept(socket: &Socket) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call, and the option's value is a live int of the given size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const DEFER_SECS).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A unix socket has no SO_REUSEPORT: all workers accept from one.
fn shared_unix(path: &Path, workers: usize) -> io::Result<Vec<Socket>> {
    let address = SockAddr::unix(path)?;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        match probe.connect(&address) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.bind(&address)?;
    socket.listen(BACKLOG)?;
    (0..workers).map(|_| socket.try_clone()).collect()
}

/// Why an address could not be opened, and how to grant it.
pub(super) fn explain(listen: &Listen, error: &io::Error) -> String {
    let address = &listen.address;
    let hint = match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) if address.ip().is_some() => {
            "permission denied: ports below 1024 need CAP_NET_BIND_SERVICE \
             (setcap cap_net_bind_service=ep on the binary, or AmbientCapabilities= in the unit) \
             or a lower net.ipv4.ip_unprivileged_port_start"
        }
        Some(libc::EACCES | libc::EPERM) => "permission denied: the directory must be writable for this user",
        Some(libc::EADDRINUSE) => "address already in use (ss -ltnp shows by whom)",
        Some(libc::EADDRNOTAVAIL) => {
            "this host does not have that address: add it (ip address add), or allow listening ahead of it \
             with net.ipv4.ip_nonlocal_bind=1"
        }
        _ => return format!("listen {address}: {error}"),
    };
    format!("listen {address}: {hint}")
}
