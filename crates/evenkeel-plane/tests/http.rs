//! HTTP through a running relay when everybody behaves, or is at worst slow: kept connections, bodies of all sizes
//! both ways, upgrades, limits of time, IPv6 and unix sockets.

mod scene;

use evenkeel_core::Span;
use evenkeel_core::config::{Address, Balance, HashKey, PoolId, Protocol, Route};
use evenkeel_core::table::PoolTable;
use scene::{Place, Server, Talk, World, eventually, pool, row};
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn connections_are_kept_on_both_sides() {
    let server = Server::plain("hello");
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").text(), "hello");
    }
    assert_eq!(server.accepted(), 1);
    let counts = world.counts(1);
    assert_eq!((counts.attempts, counts.statuses[1]), (50, 50));
    eventually("nothing is under way", || world.counts(1).active == 0);
}

#[test]
fn bodies_of_all_sizes_pass_both_ways() {
    let server = Server::start(|talk| {
        while let Some(request) = talk.request()? {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
            talk.send([head.as_bytes(), &request.body].concat())?;
        }
        Ok(())
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    for size in [0, 1, 1000, 65_535, 65_536, 70_000, 262_144, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|at: u32| (at / 7 % 251) as u8).collect();
        let head = format!("POST /{size} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        let mut sender = client.stream.try_clone().expect("a descriptor");
        let sent = [head.as_bytes(), &body].concat();
        let writer = std::thread::spawn(move || sender.write_all(&sent));
        let answer = client.response(false).expect("in time").expect("an answer");
        writer.join().expect("no panic").expect("all was taken");
        assert!(answer.body == body, "{size} bytes came back as they went");
    }
    assert_eq!(world.counts(1).statuses[1], 8);
}

#[test]
fn a_chunked_upload_passes_piece_by_piece() {
    let server = Server::plain("got it");
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").expect("sent");
    for _ in 0..200 {
        client.send("3e8\r\n").expect("sent");
        client.send("x".repeat(1000)).expect("sent");
        client.send("\r\n").expect("sent");
    }
    client.send("0\r\n\r\n").expect("sent");
    assert_eq!(client.response(false).expect("in time").expect("an answer").text(), "got it");
    assert_eq!(server.seen()[0].body.len(), 200_000);
    assert_eq!(client.get("/again").status(), 200);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = Server::plain("ok");
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    for byte in b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" {
        client.send([*byte]).expect("sent");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(client.response(false).expect("in time").expect("an answer").status(), 200);
    assert_eq!(server.seen()[0].text(), "abc");
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let server = Server::start(|talk| {
        while talk.request()?.is_some() {
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" {
                talk.send([*byte])?;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    assert_eq!(client.get("/").text(), "abc");
    assert_eq!(client.get("/").text(), "abc");
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_client_that_does_not_read_holds_the_server_back() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")?;
        let block = vec![b'x'; 1_000_000];
        for _ in 0..200 {
            talk.send(&block)?;
            talk.number += 1;
            std::fs::write(progress_file(), talk.number.to_string())?;
        }
        Ok(())
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    client.head().expect("in time");
    let progress =
        || std::fs::read_to_string(progress_file()).ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut last = -1;
    eventually("the server is held back", || {
        let now: i32 = progress();
        let still = now == std::mem::replace(&mut last, now);
        std::thread::sleep(Duration::from_millis(100));
        still
    });
    assert!(progress() < 100, "half of it would be in somebody's memory");
    let mut left = 200_000_000 - client.take_rest().len();
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let count = client.stream.read(&mut buffer).expect("in time");
        assert!(count > 0, "{left} bytes are missing");
        left -= count.min(left);
    }
    std::fs::remove_file(progress_file()).expect("it was written");
}

fn progress_file() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("evenkeel-relay-progress-{}", std::process::id()))
}

#[test]
fn a_websocket_passes_and_then_only_bytes() {
    let server = Server::start(|talk| {
        let request = talk.request()?.expect("a request");
        assert_eq!(request.field("upgrade"), Some("websocket"));
        assert_eq!(request.field("connection"), Some("upgrade"));
        talk.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi ",
        )?;
        loop {
            let bytes = talk.exactly(4)?;
            talk.send([b"<", &bytes[..], b">"].concat())?;
        }
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client
        .send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n1234")
        .expect("sent");
    let head = client.head().expect("in time").expect("a head");
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Connection: upgrade"), "{head}");
    assert_eq!(client.exactly(9).expect("in time"), b"hi <1234>");
    for _ in 0..10 {
        client.send(b"\0\r\n\xff").expect("sent");
        assert_eq!(client.exactly(6).expect("in time"), b"<\0\r\n\xff>");
    }
    assert_eq!(world.counts(1).active, 1);
    drop(client);
    eventually("the upgrade is over", || world.counts(1).active == 0);
}

#[test]
fn expect_continue_is_between_client_and_server() {
    let server = Server::start(|talk| {
        let head = talk.head()?.expect("a head");
        assert!(head.contains("Expect: 100-continue"));
        talk.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        talk.exactly(5)?;
        talk.answer(201, "made")?;
        talk.request().map(drop)
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .expect("sent");
    let interim = client.head().expect("in time").expect("an interim answer");
    assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
    client.send("abcde").expect("sent");
    let answer = client.response(false).expect("in time").expect("an answer");
    assert_eq!((answer.status(), answer.text().as_str()), (201, "made"));
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 502);
}

#[test]
fn a_server_may_refuse_a_body_before_it_came() {
    let server = Server::start(|talk| {
        talk.head()?;
        talk.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nxxx").expect("sent");
    let answer = client.response(false).expect("in time").expect("an answer");
    assert_eq!((answer.status(), answer.text().as_str()), (413, "big"));
    assert_eq!(answer.field("connection"), Some("close"));
}

#[test]
fn limits_of_time_are_kept() {
    let server = Server::start(|talk| {
        while let Some(request) = talk.request()? {
            if request.head.starts_with("GET /hang") {
                std::thread::sleep(Duration::from_secs(60));
            }
            if request.head.starts_with("GET /stall") {
                talk.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
                std::thread::sleep(Duration::from_secs(60));
            }
            talk.answer(200, "ok")?;
        }
        Ok(())
    });
    let world = World::new(Protocol::Http, vec![row(1, &server)], |service| {
        service.limits.first_byte = Span::from_millis(300);
        service.limits.body_idle = Span::from_millis(300);
        service.limits.client_head = Span::from_millis(300);
        service.limits.client_idle = Span::from_millis(300);
    });
    let began = Instant::now();
    assert_eq!(world.client().get("/hang").status(), 504);
    assert_eq!(world.counts(1).timeouts, 1);

    let mut stalled = world.client();
    stalled.send("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    stalled.head().expect("in time");
    assert!(stalled.exactly(10).is_err(), "what is cut short must not look whole");

    let mut silent = world.client();
    assert_eq!(silent.all().expect("closed without a word"), b"");

    let mut slow = world.client();
    slow.send("GET / HTTP/1.1\r\n").expect("sent");
    assert_eq!(slow.response(false).expect("in time").expect("an answer").status(), 408);

    let mut stopped = world.client();
    stopped.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").expect("sent");
    assert_eq!(stopped.response(false).expect("in time").expect("an answer").status(), 408);

    let mut idle = world.client();
    assert_eq!(idle.get("/").status(), 200);
    assert_eq!(idle.all().expect("closed without a word"), b"");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(world.counts(1).timeouts, 2, "a slow client is nobody else's fault");
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.exactly(1).map(drop)
    });
    let world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    eventually("the request is under way", || world.counts(1).active == 1);
    let socket = socket2::Socket::from(client.stream);
    socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
    drop(socket);
    eventually("the server's side is given up", || world.counts(1).active == 0);
}

#[test]
fn routes_choose_the_pool() {
    let (app, api) = (Server::plain("app"), Server::plain("api"));
    let mut world = World::new(Protocol::Http, vec![row(1, &app)], |service| {
        service.routes.insert(0, Route { prefix: "/api/".into(), pool: PoolId(2) });
        service.routes[1].prefix = "/".into();
    });
    world.table.pools.push(Arc::new(pool(PoolId(2), vec![row(2, &api)])));
    world.apply();
    let mut client = world.client();
    assert_eq!(client.get("/api/x?y=/").text(), "api");
    assert_eq!(client.get("/apix").text(), "app");
    assert_eq!(client.get("/?/api/").text(), "app");
    assert_eq!(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status(), 404);
}

#[test]
fn a_key_stays_with_its_server() {
    let servers: Vec<Server> = ["a", "b", "c"].map(Server::plain).into();
    let rows: Vec<_> = servers.iter().zip(1..).map(|(server, number)| row(number, server)).collect();
    let mut world = World::http(rows);
    let table =
        PoolTable { balance: Balance::Hash(HashKey::Path), ..PoolTable::clone(&world.table.pools[0]) };
    world.table.pools[0] = Arc::new(table);
    world.apply();
    let mut client = world.client();
    let homes: Vec<String> = (0..30).map(|at| client.get(&format!("/{at}")).text()).collect();
    let again: Vec<String> = (0..30).map(|at| client.get(&format!("/{at}?query")).text()).collect();
    assert_eq!(homes, again);
    assert!(["a", "b", "c"].iter().all(|name| homes.iter().any(|home| home == name)), "{homes:?}");
}

#[test]
fn ipv6_on_both_sides() {
    let Ok(probe) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        // A host without IPv6 has nothing to show here.
        return;
    };
    let listen = probe.local_addr().expect("bound");
    drop(probe);
    let server = Server::at(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), |talk| {
        while talk.request()?.is_some() {
            talk.answer(200, "six")?;
        }
        Ok(())
    });
    let _world = World::new(Protocol::Http, vec![row(1, &server)], |service| {
        service.listen[0].address = Address::Ip(listen);
    });
    assert_eq!(Talk::to(listen).get("/").text(), "six");
    assert_eq!(server.seen()[0].field("x-forwarded-for"), Some("::1"));
}

#[test]
fn unix_sockets_on_both_sides() {
    let folder = tempfile();
    let (front, back) = (folder.join("front"), folder.join("back"));
    let listener = UnixListener::bind(&back).expect("a socket");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix").expect("sent");
            }
        }
    });
    let world = World::new(Protocol::Http, vec![row(1, Place(Address::Unix(back)))], |service| {
        service.listen[0].address = Address::Unix(front.clone());
    });
    let mut client = UnixStream::connect(&front).expect("the relay listens");
    for _ in 0..3 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        let mut got = [0; 42];
        client.read_exact(&mut got).expect("an answer");
        assert!(got.ends_with(b"unix"), "{}", got.escape_ascii());
    }
    drop(world);
    assert!(!front.exists(), "the relay takes its socket along");
    std::fs::remove_dir_all(folder).expect("it was made here");
}

fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("evenkeel-relay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn nobody_serves_is_a_503_that_says_when_to_come_back() {
    let mut world = World::http(Vec::new());
    let mut client = world.client();
    let answer = client.get("/");
    assert_eq!(answer.status(), 503);
    assert!(answer.field("retry-after").is_some() && answer.text().contains("503"), "{}", answer.head);
    let server = Server::plain("back");
    world.change(|rows| rows.push(row(1, &server)));
    assert_eq!(client.get("/").text(), "back", "on the same connection");
}
