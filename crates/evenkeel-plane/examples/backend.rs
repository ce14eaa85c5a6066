//! A server for benches that costs next to nothing: `backend ADDRESS…` answers `GET /N` with N bytes, pipelined or
//! not, and looks no closer at what it is asked. Ends when its standard input does.

use std::io::Read;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

const LARGEST: usize = 8 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    std::thread::spawn(|| {
        // Whether it ends or fails, whoever held the other end is gone.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let body: Rc<[u8]> = vec![b'x'; LARGEST].into();
        for address in addresses {
            let listener = TcpListener::bind(&address).await?;
            spawn_local(accept(listener, body.clone()));
        }
        println!("ready");
        std::future::pending().await
    })
}

async fn accept(listener: TcpListener, body: Rc<[u8]>) {
    while let Ok((stream, _)) = listener.accept().await {
        let body = body.clone();
        spawn_local(async move {
            // A client that leaves is the bench's business.
            let _ = serve(stream, &body).await;
        });
    }
}

async fn serve(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let mut small = Vec::new();
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut at = 0;
        while let Some(end) = buffer[at..filled].windows(4).position(|four| four == b"\r\n\r\n") {
            let size = size(&buffer[at..filled]).min(LARGEST);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
            small.clear();
            small.extend_from_slice(head.as_bytes());
            let first = size.min(64 << 10);
            small.extend_from_slice(&body[..first]);
            stream.write_all(&small).await?;
            stream.write_all(&body[first..size]).await?;
            at += end + 4;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// The number in `GET /NUMBER`.
fn size(request: &[u8]) -> usize {
    let digits = request.iter().skip(5).take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}
