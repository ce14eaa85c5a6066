//! The system calls that asking needs, each behind a safe function that answers with the plain errno.
//! Nothing here knows what a probe is.

use evenkeel_core::{Span, Time};
use std::ffi::c_int;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::from_ref;

/// A plain errno.
pub(crate) type Errno = i32;

/// Now, by the clock of everything in this crate: CLOCK_MONOTONIC, which nobody can set and which goes on
/// while the process is stopped.
pub fn now() -> Time {
    // SAFETY: an all-zero timespec is a valid one.
    let mut at: libc::timespec = unsafe { zeroed() };
    // SAFETY: `at` is valid for writing; CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut at) };
    Time::from_nanos(at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64)
}

/// Sleeps until a point of [`now`]'s clock, or shorter if a signal comes.
pub(crate) fn sleep_until(at: Time) {
    let at = timespec(at.as_nanos());
    // SAFETY: `at` is valid for reading, and nothing is written for an absolute sleep.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &at, std::ptr::null_mut());
    }
}

/// Asks for timers that are as exact as the kernel can make them, for this thread.
pub(crate) fn sharpen_timers() {
    let nanoseconds: libc::c_ulong = 1;
    // SAFETY: PR_SET_TIMERSLACK takes one number and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanoseconds) };
}

/// Gives memory that is free back to the system: the allocator keeps what a large change left behind.
pub(crate) fn tidy_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// An epoll set.
#[derive(Debug)]
pub(crate) struct Poll(OwnedFd);

/// What became ready.
pub(crate) type Ready = libc::epoll_event;

/// An event with nothing in it, to fill an array with.
pub(crate) const NOT_READY: Ready = Ready { events: 0, u64: 0 };

/// Bits of [`Ready::events`].
pub(crate) const READABLE: u32 = libc::EPOLLIN as u32;
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;
pub(crate) const PEER_CLOSED: u32 = libc::EPOLLRDHUP as u32;
pub(crate) const BROKEN: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;

impl Poll {
    pub(crate) fn new() -> io::Result<Poll> {
        // SAFETY: takes a flag, returns a descriptor or an error.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        owned(fd).map(Poll).map_err(io::Error::from_raw_os_error)
    }

    /// Watches `fd` for every edge of readability and writability, until it is closed.
    pub(crate) fn add(&self, fd: RawFd) -> Result<(), Errno> {
        let events = READABLE | WRITABLE | PEER_CLOSED | libc::EPOLLET as u32;
        let mut event = Ready { events, u64: fd as u64 };
        // SAFETY: `event` is valid for reading for the length of the call.
        let done = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
        check(done).map(drop)
    }

    /// Waits until something is ready or `patience` is over; `None` waits for ever.
    pub(crate) fn wait(&self, ready: &mut [Ready], patience: Option<Span>) -> Result<usize, Errno> {
        let limit = patience.map(|span| timespec(span.as_nanos()));
        let limit = limit.as_ref().map_or(std::ptr::null(), from_ref);
        // SAFETY: the array is valid for `ready.len()` events, `limit` is null or points to a live timespec.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                ready.as_mut_ptr(),
                ready.len() as c_int,
                limit,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        check(count as c_int).map(|count| count as usize)
    }
}

/// A bell: rung by any thread, heard by the one that polls it.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        // SAFETY: takes two numbers, returns a descriptor or an error.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        owned(fd).map(Bell).map_err(io::Error::from_raw_os_error)
    }

    pub(crate) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes are valid for reading. A full counter means that it rings already.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    pub(crate) fn hush(&self) {
        let mut count = [0u8; 8];
        // SAFETY: eight bytes are valid for writing. An error means that it did not ring.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A stream socket that does not block.
pub(crate) fn socket(family: c_int) -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes three numbers, returns a descriptor or an error.
    owned(unsafe { libc::socket(family, kind, 0) })
}

/// Begins to connect. `Err(EINPROGRESS)` is the usual answer.
pub(crate) fn connect(fd: RawFd, to: &SocketAddr) -> Result<(), Errno> {
    match to {
        SocketAddr::V4(v4) => {
            // SAFETY: an all-zero sockaddr_in is a valid one.
            let mut name: libc::sockaddr_in = unsafe { zeroed() };
            name.sin_family = libc::AF_INET as u16;
            name.sin_port = v4.port().to_be();
            name.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            connect_name(fd, from_ref(&name).cast(), size_of::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            // SAFETY: an all-zero sockaddr_in6 is a valid one.
            let mut name: libc::sockaddr_in6 = unsafe { zeroed() };
            name.sin6_family = libc::AF_INET6 as u16;
            name.sin6_port = v6.port().to_be();
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_flowinfo = v6.flowinfo();
            name.sin6_scope_id = v6.scope_id();
            connect_name(fd, from_ref(&name).cast(), size_of::<libc::sockaddr_in6>())
        }
    }
}

/// Connects to a stream socket of the file system: done when it returns.
pub(crate) fn connect_unix(fd: RawFd, to: &Path) -> Result<(), Errno> {
    // SAFETY: an all-zero sockaddr_un is a valid one.
    let mut name: libc::sockaddr_un = unsafe { zeroed() };
    name.sun_family = libc::AF_UNIX as u16;
    let path = to.as_os_str().as_bytes();
    if path.len() >= name.sun_path.len() {
        return Err(libc::ENAMETOOLONG);
    }
    for (to, from) in name.sun_path.iter_mut().zip(path) {
        *to = *from as libc::c_char;
    }
    connect_name(fd, from_ref(&name).cast(), size_of::<libc::sockaddr_un>())
}

/// Ends a connection and makes its socket fit for the next one (connect(2), `AF_UNSPEC`). With a linger of
/// zero or not, the kernel sends RST if the connection still stands (`tcp_disconnect`).
pub(crate) fn disconnect(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: an all-zero sockaddr is a valid one; its family is then AF_UNSPEC.
    let name: libc::sockaddr = unsafe { zeroed() };
    connect_name(fd, from_ref(&name), size_of::<libc::sockaddr>())
}

/// Closing sends RST and leaves nothing behind (socket(7), `SO_LINGER`).
pub(crate) fn linger_zero(fd: RawFd) -> Result<(), Errno> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// The ACK of the next handshake may wait for data or a close (tcp(7), `TCP_QUICKACK`; not permanent).
pub(crate) fn delay_ack(fd: RawFd) -> Result<(), Errno> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_QUICKACK, &0 as &c_int)
}

/// What is sent leaves at once (tcp(7), `TCP_NODELAY`).
pub(crate) fn no_delay(fd: RawFd) -> Result<(), Errno> {
    set(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1 as &c_int)
}

/// Makes the socket deaf to segments that carry FIN, so that it never enters TIME_WAIT. A classic BPF program
/// over the TCP header (socket(7), `SO_ATTACH_FILTER`): byte 13 holds the flags (RFC 9293, 3.1), bit 0 is
/// FIN.
pub(crate) fn ignore_fin(fd: RawFd) -> Result<(), Errno> {
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
        op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, 1),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Says that nothing more will be sent: FIN.
pub(crate) fn finish_sending(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_WR) }).map(drop)
}

/// Hands bytes to the kernel: how many it took.
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: `bytes` is valid for reading for its length.
    let count = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
    if count < 0 { Err(errno()) } else { Ok(count as usize) }
}

/// Takes what came: zero at the end of the stream.
pub(crate) fn recv(fd: RawFd, into: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: `into` is valid for writing for its length.
    let count = unsafe { libc::recv(fd, into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
    if count < 0 { Err(errno()) } else { Ok(count as usize) }
}

/// The socket's pending error, taken away from it; zero if there is none.
pub(crate) fn take_error(fd: RawFd) -> Errno {
    let mut error: c_int = 0;
    match get(fd, libc::SOL_SOCKET, libc::SO_ERROR, &mut error) {
        Ok(()) => error,
        Err(errno) => errno,
    }
}

/// What the kernel knows of a connection's timing (`struct tcp_info` of linux/tcp.h).
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelTimes {
    /// Its round trip, smoothed; right after the handshake it is exactly SYN to SYN/ACK.
    pub(crate) round_trip: Span,
    /// Whether anything had to be sent again; then `round_trip` is not the whole story.
    pub(crate) retransmitted: bool,
    /// How long ago the last data came, or before any the SYN/ACK. In jiffies, so good to 10 ms.
    pub(crate) last_heard: Span,
}

/// See [`KernelTimes`]. `None` if it is not a TCP socket.
pub(crate) fn kernel_times(fd: RawFd) -> Option<KernelTimes> {
    // SAFETY: an all-zero tcp_info is a valid one.
    let mut info: libc::tcp_info = unsafe { zeroed() };
    get(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info).ok()?;
    Some(KernelTimes {
        round_trip: Span::from_micros(u64::from(info.tcpi_rtt)),
        retransmitted: info.tcpi_total_retrans > 0,
        last_heard: Span::from_millis(u64::from(info.tcpi_last_data_recv)),
    })
}

/// Waits for a single descriptor (poll(2)): the bits of [`Ready::events`], zero if `patience` was over.
pub(crate) fn wait_for(fd: RawFd, write: bool, patience: Span) -> Result<u32, Errno> {
    let wanted = libc::POLLIN | libc::POLLRDHUP | if write { libc::POLLOUT } else { 0 };
    let mut item = libc::pollfd { fd, events: wanted, revents: 0 };
    let limit = timespec(patience.as_nanos());
    // SAFETY: one pollfd and one timespec are valid for the length of the call; no mask is given.
    check(unsafe { libc::ppoll(&mut item, 1, &limit, std::ptr::null()) })?;
    // EPOLLIN and the others are defined as the same bits as POLLIN and the others (linux/eventpoll.h).
    Ok(item.revents as u32)
}

/// Our end of a connection.
pub(crate) fn local_address(fd: RawFd) -> Option<SocketAddr> {
    // SAFETY: an all-zero sockaddr_in6 is a valid one.
    let mut name: libc::sockaddr_in6 = unsafe { zeroed() };
    let mut size = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    // SAFETY: `name` is valid for writing for `size` bytes.
    check(unsafe { libc::getsockname(fd, (&raw mut name).cast(), &mut size) }).ok()?;
    match c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the kernel says that it wrote a sockaddr_in, which is smaller than `name`.
            let v4 = unsafe { *(&raw const name).cast::<libc::sockaddr_in>() };
            Some((v4.sin_addr.s_addr.to_ne_bytes(), u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => Some((name.sin6_addr.s6_addr, u16::from_be(name.sin6_port)).into()),
        _ => None,
    }
}

fn timespec(nanos: u64) -> libc::timespec {
    // SAFETY: an all-zero timespec is a valid one.
    let mut at: libc::timespec = unsafe { zeroed() };
    at.tv_sec = (nanos / 1_000_000_000).min(i64::MAX as u64 / 2) as _;
    at.tv_nsec = (nanos % 1_000_000_000) as _;
    at
}

fn connect_name(fd: RawFd, name: *const libc::sockaddr, size: usize) -> Result<(), Errno> {
    // SAFETY: every caller passes a live address structure and its size.
    check(unsafe { libc::connect(fd, name, size as libc::socklen_t) }).map(drop)
}

fn set<T>(fd: RawFd, level: c_int, name: c_int, value: &T) -> Result<(), Errno> {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is valid for reading for its size, which is the one that is given.
    check(unsafe { libc::setsockopt(fd, level, name, from_ref(value).cast(), size) }).map(drop)
}

fn get<T>(fd: RawFd, level: c_int, name: c_int, value: &mut T) -> Result<(), Errno> {
    let mut size = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is valid for writing for its size; the kernel writes no more than that, and every `T`
    // used is made of integers, for which any bytes will do.
    check(unsafe { libc::getsockopt(fd, level, name, (&raw mut *value).cast(), &mut size) }).map(drop)
}

fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(returned: c_int) -> Result<c_int, Errno> {
    if returned < 0 { Err(errno()) } else { Ok(returned) }
}

fn errno() -> Errno {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}
