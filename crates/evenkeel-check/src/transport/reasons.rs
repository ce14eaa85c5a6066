//! From what the kernel and TLS say to reasons that a person understands. One place, so that one cause has
//! one text in every transport.

use crate::dialogue::HEARD_MAX;
use crate::sys::Errno;
use evenkeel_core::Span;
use evenkeel_core::evidence::{Layer, Mark, Reason};
use std::io;

/// The kernel said no before anything could be sent. Most of what it says then is about ourselves.
pub(crate) fn not_sent(errno: Errno) -> Reason {
    match errno {
        libc::ECONNREFUSED | libc::ETIMEDOUT | libc::ECONNRESET => connect_failed(errno),
        libc::ENOENT => Reason::hard(Layer::L4, Mark::Refused, "no such socket"),
        // A unix socket whose queue is full (unix(7)).
        libc::EAGAIN => Reason::hard(Layer::L4, Mark::Refused, "accepts nobody: its queue is full"),
        libc::EADDRNOTAVAIL => Reason::local("no free port or address to connect from"),
        libc::EMFILE => Reason::local("too many open files in this process (see ulimit -n)"),
        libc::ENFILE => Reason::local("too many open files on this host"),
        libc::ENOBUFS | libc::ENOMEM => Reason::local("no memory for a socket"),
        // At once, hence from our own routing table and not from the network.
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN => Reason::local("no route from here"),
        libc::EACCES | libc::EPERM => {
            Reason::local("not permitted to connect (local firewall or permissions)")
        }
        libc::EAFNOSUPPORT => Reason::local("this host does not speak that address family"),
        libc::ENAMETOOLONG => Reason::local("socket path is too long"),
        other => Reason::local(said(other)),
    }
}

/// The network or the server answered the connect with something other than yes.
pub(crate) fn connect_failed(errno: Errno) -> Reason {
    let text = match errno {
        libc::ECONNREFUSED => "refused",
        libc::ETIMEDOUT => return connect_timeout(),
        libc::EHOSTUNREACH => "no route to host",
        libc::ENETUNREACH => "network unreachable",
        libc::ECONNRESET | libc::EPIPE => "accepted, then reset",
        libc::EADDRNOTAVAIL | libc::ENETDOWN | libc::ENOBUFS | libc::ENOMEM => return not_sent(errno),
        other => return Reason::hard(Layer::L4, Mark::Refused, said(other)),
    };
    Reason::hard(Layer::L4, Mark::Refused, text)
}

/// Nothing came back.
pub(crate) fn connect_timeout() -> Reason {
    Reason::hard(Layer::L4, Mark::Timeout, "connect timeout")
}

/// It accepted the connection and then let the deadline pass.
pub(crate) fn silent(shaking: bool, heard: usize, timeout: Span) -> Reason {
    if shaking {
        let text = format!("TLS handshake not finished within {timeout}");
        return Reason::soft(Layer::L6, Mark::Timeout, text);
    }
    let text = match heard {
        0 => format!("timeout: accepts, does not answer within {timeout}"),
        _ => format!("timeout: answer not complete within {timeout} ({heard} bytes)"),
    };
    Reason::soft(Layer::L7, Mark::Timeout, text)
}

/// It closed or reset the connection while more was wanted.
pub(crate) fn broken_off(shaking: bool, reset: bool, heard: usize) -> Reason {
    let how = if reset { "reset" } else { "closed" };
    // The layers above L4 are soft: it accepted, and may serve others.
    let mark = if reset { Mark::Refused } else { Mark::Wrong };
    match (shaking, heard) {
        (true, _) => Reason::soft(Layer::L6, mark, format!("{how} during the TLS handshake")),
        (false, 0) => Reason::soft(Layer::L7, mark, format!("{how} without an answer")),
        (false, _) => Reason::soft(Layer::L7, mark, format!("{how} after {heard} bytes of the answer")),
    }
}

/// More than is ever kept, and still not what was asked for.
pub(crate) fn endless() -> Reason {
    Reason::soft(Layer::L7, Mark::Wrong, format!("no verdict within {} KiB of answer", HEARD_MAX / 1024))
}

/// A dialogue that speaks without end: a fault of the check, not of the server.
pub(crate) fn talkative() -> Reason {
    Reason::local("the check wants to send without end")
}

fn said(errno: Errno) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
