//! The fault server: lets connections in, keeps count, and changes its ways when it is told to.

use super::behaviour::{Door, Plan};
use super::talk::{Stream, talk};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// The words of `evenkeel fault serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen: `127.0.0.1:8001`, `[::1]:8001`, `unix:/run/app.sock`.
    address: String,
    /// What it calls itself in every answer.
    #[arg(long, default_value = "fault")]
    name: String,
    /// What it does at first: ok, status N, N% …, hang, slow T, drip T, reset, early, close, garbage,
    /// endless, huge, refuse, deaf, at PATH ….
    #[arg(long = "do", value_name = "BEHAVIOUR", default_value = "ok")]
    first: String,
    /// Takes behaviours from standard input, one a line, also `say TEXT`, `counts` and `quit`, and answers
    /// each with a line; ends when the input ends.
    #[arg(long)]
    obey: bool,
}

/// What all connections share.
pub(super) struct Shared {
    /// Its name, in every answer.
    pub(super) name: String,
    /// What it was told.
    pub(super) plan: RefCell<Plan>,
    /// Connections let in.
    pub(super) accepted: Cell<u64>,
    /// Requests read to their end.
    pub(super) requests: Cell<u64>,
    /// Answers written to their end.
    pub(super) answered: Cell<u64>,
    /// Connections that stand.
    pub(super) open: Cell<u64>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Serves until the end of its input, or for ever.
pub(super) async fn main(args: Args) -> Result<(), String> {
    let mut plan = Plan::new();
    plan.hear(&args.first)?;
    let door = plan.door();
    let shared = Rc::new(Shared {
        name: args.name,
        plan: RefCell::new(plan),
        accepted: Cell::default(),
        requests: Cell::default(),
        answered: Cell::default(),
        open: Cell::default(),
    });
    let (door, door_seen) = watch::channel(door);
    let (ready, mut is_ready) = watch::channel(false);
    let doors = tokio::task::spawn_local(keep_doors(args.address, shared.clone(), door_seen, ready));
    if !args.obey {
        return doors.await.map_err(|error| error.to_string())?;
    }
    let obeyed = tokio::task::spawn_local(async move {
        let heard = is_ready.wait_for(|now| *now).await.is_ok();
        if heard {
            println!("ready");
        }
        obey(&shared, &door, &mut is_ready).await
    });
    tokio::select! {
        done = doors => done.map_err(|error| error.to_string())?,
        done = obeyed => done.map_err(|error| error.to_string()),
    }
}

/// Opens and closes the listener; a connection that comes in gets a task of its own.
async fn keep_doors(
    address: String,
    shared: Rc<Shared>,
    mut door: watch::Receiver<Door>,
    ready: watch::Sender<bool>,
) -> Result<(), String> {
    loop {
        if *door.borrow_and_update() != Door::Open {
            ready.send_replace(true);
            if door.wait_for(|door| *door == Door::Open).await.is_err() {
                return Ok(());
            }
        }
        let listener = bind(&address).await?;
        ready.send_replace(true);
        loop {
            tokio::select! {
                stream = accept(&listener) => {
                    // Out of descriptors or a connection that died in the queue: the next one may do better.
                    let Ok(stream) = stream else {
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        continue;
                    };
                    shared.accepted.set(shared.accepted.get() + 1);
                    tokio::task::spawn_local(talk(stream, shared.clone(), door.clone()));
                }
                changed = door.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    if *door.borrow() != Door::Open {
                        break;
                    }
                }
            }
        }
        if let Listener::Unix(_, path) = &listener {
            let _gone_already_is_fine = std::fs::remove_file(path);
        }
    }
}

async fn bind(address: &str) -> Result<Listener, String> {
    let failed = |error: std::io::Error| format!("listen {address}: {error}");
    if let Some(path) = address.strip_prefix("unix:") {
        let _absent_is_fine = std::fs::remove_file(path);
        return Ok(Listener::Unix(UnixListener::bind(path).map_err(failed)?, PathBuf::from(path)));
    }
    Ok(Listener::Tcp(TcpListener::bind(address).await.map_err(failed)?))
}

async fn accept(listener: &Listener) -> std::io::Result<Stream> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Listener::Unix(listener, _) => Ok(Stream::Unix(listener.accept().await?.0)),
    }
}

/// Does what each line says and answers it. A line's `done` means that the change holds for the next request,
/// and for `refuse` and its end that the listener is closed or open.
async fn obey(shared: &Shared, door: &watch::Sender<Door>, ready: &mut watch::Receiver<bool>) {
    let mut lines = super::input_lines();
    while let Some(line) = lines.recv().await {
        match line.trim() {
            "quit" => break,
            "counts" => println!(
                "counts accepted {} requests {} answered {} open {}",
                shared.accepted.get(),
                shared.requests.get(),
                shared.answered.get(),
                shared.open.get()
            ),
            words => {
                let heard = shared.plan.borrow_mut().hear(words);
                let before = *door.borrow();
                let after = shared.plan.borrow().door();
                ready.borrow_and_update();
                door.send_replace(after);
                // Only the way from or to an open door moves the listener.
                if (before == Door::Open) != (after == Door::Open) && ready.changed().await.is_err() {
                    break;
                }
                match heard {
                    Ok(()) => println!("done {words}"),
                    Err(error) => println!("error {error}"),
                }
            }
        }
    }
}
