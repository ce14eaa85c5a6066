//! Sockets as the relay uses them: TCP or unix, never blocking, a read that stops asking once the kernel has
//! nothing left. All system calls of the hot path are in this file.

use evenkeel_core::config::Address;
use socket2::{Domain, SockAddr, Type};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A connected stream, registered with its worker's runtime.
#[derive(Debug)]
pub(super) struct Socket(AsyncFd<socket2::Socket>);

/// A listening socket, registered with its worker's runtime.
#[derive(Debug)]
pub(super) struct Acceptor(AsyncFd<socket2::Socket>);

impl Socket {
    fn new(raw: socket2::Socket) -> io::Result<Socket> {
        // SAFETY: the descriptor belongs to `raw`, which the AsyncFd owns until it is dropped, and which never
        // changes it.
        Ok(Socket(unsafe { AsyncFd::register(raw) }?))
    }

    /// Starts a connection. It is made when [`Socket::poll_connected`] says so.
    pub(super) fn connect(address: &Address) -> io::Result<Socket> {
        let (domain, to) = match address {
            Address::Ip(ip) => (Domain::for_address(*ip), SockAddr::from(*ip)),
            Address::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
            Address::Name(..) => return Err(io::Error::from_raw_os_error(libc::EHOSTUNREACH)),
        };
        let raw = socket2::Socket::new(domain, Type::STREAM.nonblocking(), None)?;
        if domain != Domain::UNIX {
            raw.set_tcp_nodelay(true)?;
        }
        match raw.connect(&to) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Socket::new(raw)
    }

    /// Whether the connection that [`Socket::connect`] started is made.
    pub(super) fn poll_connected(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_write_ready(cx))?.retain_ready();
        match self.0.get_ref().take_error()? {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Receives. Zero is the end of the stream.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match self.0.get_ref().read(into) {
                Ok(count) => {
                    // A short read means that the kernel's queue is empty, which saves asking it again. That the
                    // other side closed is remembered apart, so its end is not missed.
                    if count > 0 && count < into.len() {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends as much as the kernel takes.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            match self.0.get_ref().send(bytes) {
                Ok(count) => {
                    if count < bytes.len() {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends what the kernel takes at once; zero if it takes nothing.
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.try_io(Interest::WRITABLE, |raw| raw.send(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Whether something, be it the end, waits to be read, as far as is known without asking the kernel.
    /// Registers the caller to be woken for it.
    pub(super) fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<Heard> {
        match self.0.poll_read_ready(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(Heard::Reset),
            Poll::Ready(Ok(guard)) if guard.ready().is_read_closed() => {
                Poll::Ready(if self.is_gone() { Heard::Reset } else { Heard::End })
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Heard::Bytes),
        }
    }

    /// Both ways are closed, as a reset leaves them.
    fn is_gone(&self) -> bool {
        match self.0.poll_write_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(guard)) => guard.ready().is_write_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        }
    }

    /// The same without registering anybody; `None` if nothing waits.
    pub(super) fn heard(&self) -> Option<Heard> {
        match self.poll_heard(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(heard) => Some(heard),
            Poll::Pending => None,
        }
    }

    /// An idle connection that the server neither closed nor wrote to. The kernel is asked only if something is
    /// known to have come, or a read filled its buffer exactly and left the question open.
    pub(super) fn is_quiet(&self) -> bool {
        let heard = self.0.try_io(Interest::READABLE, |mut raw| raw.read(&mut [0]));
        heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Says that nothing more comes.
    pub(super) fn end(&self) -> io::Result<()> {
        self.0.get_ref().shutdown(std::net::Shutdown::Write)
    }

    /// Closes with a reset, so that nobody takes what came for the whole.
    pub(super) fn reset(self) {
        // Without linger the close below sends FIN instead: the best that is left.
        let _ = self.0.get_ref().set_linger(Some(Duration::ZERO));
    }

    /// Lets the kernel notice a peer that is gone without a word.
    pub(super) fn keep_alive(&self, after: Duration) -> io::Result<()> {
        let keep = socket2::TcpKeepalive::new().with_time(after).with_interval(after / 6);
        self.0.get_ref().set_tcp_keepalive(&keep)
    }
}

/// What [`Socket::poll_heard`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Bytes, or nothing after all.
    Bytes,
    /// The other side closed its half.
    End,
    /// The connection is gone.
    Reset,
}

impl Acceptor {
    /// Registers a listening socket with the runtime of this thread.
    pub(super) fn new(raw: socket2::Socket) -> io::Result<Acceptor> {
        // SAFETY: as in `Socket::new`.
        Ok(Acceptor(unsafe { AsyncFd::register_with_interest(raw, Interest::READABLE) }?))
    }

    /// The next connection and who made it; `None` for a unix socket's anonymous client.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, Option<SocketAddr>)>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match self.0.get_ref().accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) {
                Ok((raw, from)) => return Poll::Ready(Socket::new(raw).map(|it| (it, from.as_socket()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
