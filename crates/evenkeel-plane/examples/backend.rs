//! A server for benches that costs next to nothing: `backend ADDRESS…` answers `GET /N` with N bytes, and looks no
//! closer at what it is asked. One thread, one epoll, no runtime. Ends when its standard input does.

use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

const LARGEST: usize = 8 << 20;
const HEAD_ROOM: usize = 128;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    std::thread::spawn(|| {
        // Whether it ends or fails, whoever held the other end is gone.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let epoll = Epoll::new()?;
    let mut listeners = HashMap::new();
    for address in addresses {
        let address: SocketAddr = address.parse()?;
        let listener = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        listener.set_reuse_address(true)?;
        listener.set_tcp_nodelay(true)?;
        listener.bind(&SockAddr::from(address))?;
        listener.listen(4096)?;
        epoll.add(listener.as_raw_fd(), libc::EPOLLIN)?;
        listeners.insert(listener.as_raw_fd(), listener);
    }
    println!("ready");
    let mut clients: HashMap<RawFd, Client> = HashMap::new();
    let mut page = vec![b'x'; HEAD_ROOM + LARGEST];
    loop {
        for fd in epoll.wait()? {
            if let Some(listener) = listeners.get(&fd) {
                while let Ok((socket, _)) = listener.accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) {
                    epoll.add(socket.as_raw_fd(), libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET)?;
                    clients.insert(socket.as_raw_fd(), Client { socket, left: 0 });
                }
            } else if clients.get_mut(&fd).is_some_and(|client| client.serve(&mut page).is_err()) {
                clients.remove(&fd);
            }
        }
    }
}

struct Client {
    socket: Socket,
    /// Of the page, not yet sent.
    left: usize,
}

impl Client {
    /// Answers what came, as far as the client takes it. An error: it is gone.
    fn serve(&mut self, page: &mut [u8]) -> io::Result<()> {
        let mut request = [0; 4096];
        loop {
            if self.left > 0 {
                self.left -= match self.socket.send(&page[HEAD_ROOM..HEAD_ROOM + self.left]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                    sent => sent?,
                };
                continue;
            }
            let count = match (&self.socket).read(&mut request) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                count => count?,
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let size = size(&request[..count]).min(LARGEST);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            let start = HEAD_ROOM - head.len();
            page[start..HEAD_ROOM].copy_from_slice(head.as_bytes());
            let sent = self.socket.send(&page[start..HEAD_ROOM + size])?;
            self.left = (head.len() + size).saturating_sub(sent);
            if count < request.len() && self.left == 0 {
                // The queue was emptied; the next request is another event.
                return Ok(());
            }
        }
    }
}

/// The number in `GET /NUMBER`.
fn size(request: &[u8]) -> usize {
    let digits = request.iter().skip(5).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

struct Epoll(RawFd);

impl Epoll {
    fn new() -> io::Result<Epoll> {
        // SAFETY: plain system call.
        match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(Epoll(fd)),
        }
    }

    fn add(&self, fd: RawFd, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: fd as u64 };
        // SAFETY: the event lives through the call.
        match unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, fd, &raw mut event) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    fn wait(&self) -> io::Result<Vec<RawFd>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 512];
        // SAFETY: the kernel writes at most as many events as the array holds.
        let count = unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), 512, -1) };
        match count {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            -1 => Err(io::Error::last_os_error()),
            count => Ok(events[..count as usize].iter().map(|event| event.u64 as RawFd).collect()),
        }
    }
}
