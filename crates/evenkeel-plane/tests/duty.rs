//! The relay follows the table: duties of servers, doors of services, and its own end.

mod scene;

use evenkeel_core::Span;
use evenkeel_core::config::{Address, Listen, Protocol, ServerId, Service};
use evenkeel_core::table::{Duty, Row, Sessions};
use evenkeel_plane::Plane;
use scene::{Server, Talk, World, eventually, free_address, row};
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers `GET /hold` only after the connection was written to again.
fn holder() -> Server {
    Server::start(|talk| {
        while let Some(request) = talk.request()? {
            if request.head.starts_with("GET /hold") {
                std::thread::sleep(Duration::from_millis(600));
            }
            talk.answer(200, "held")?;
        }
        Ok(())
    })
}

fn echo() -> Server {
    Server::start(|talk| {
        loop {
            let bytes = talk.exactly(4)?;
            talk.send(bytes)?;
        }
    })
}

#[test]
fn the_next_request_follows_a_new_duty() {
    let (one, two) = (Server::plain("one"), Server::plain("two"));
    let mut world = World::http(vec![row(1, &one), row(2, &two)]);
    let mut client = world.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "one");
        world.change(|rows| rows[0].duty = Duty::Out(Sessions::Keep));
        assert_eq!(client.get("/").text(), "two");
        world.change(|rows| rows[0].duty = Duty::Serve);
    }
}

#[test]
fn no_request_is_lost_while_servers_come_and_go() {
    let servers: Vec<Server> = ["a", "b", "c"].map(Server::plain).into();
    let rows = servers.iter().zip(1..).map(|(server, number)| row(number, server)).collect();
    let mut world = World::http(rows);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = world.client();
            std::thread::spawn(move || (0..2000).filter(|_| client.get("/").status() != 200).count())
        })
        .collect();
    for turn in 0..60 {
        world.change(|rows| {
            for (at, row) in rows.iter_mut().enumerate() {
                row.duty = match (turn + at) % 3 {
                    0 => Duty::Serve,
                    1 => Duty::Drain,
                    _ => Duty::Out(Sessions::Keep),
                };
            }
        });
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(clients.into_iter().map(|client| client.join().expect("no panic")).sum::<usize>(), 0);
}

#[test]
fn requests_under_way_are_kept_or_cut_by_reason() {
    for (duty, status) in
        [(Duty::Drain, 200), (Duty::Out(Sessions::Keep), 200), (Duty::Out(Sessions::Cut), 502)]
    {
        let server = holder();
        let mut world = World::http(vec![row(1, &server)]);
        let mut client = world.client();
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        eventually("it is under way", || world.relay.sessions(ServerId(1)).active == 1);
        let began = Instant::now();
        world.change(|rows| rows[0].duty = duty);
        let answer = client.response(false).expect("in time").expect("an answer");
        assert_eq!(answer.status(), status, "{duty:?}");
        assert!(status == 200 || began.elapsed() < Duration::from_millis(400), "cut at once");
        assert_eq!(client.get("/").status(), 503, "and nothing new");
    }
}

#[test]
fn tcp_sessions_are_kept_or_cut_by_reason() {
    for (duty, kept) in
        [(Duty::Drain, true), (Duty::Out(Sessions::Keep), true), (Duty::Out(Sessions::Cut), false)]
    {
        let (server, other) = (echo(), echo());
        let mut world = World::new(Protocol::Tcp, vec![row(1, &server), row(2, &other)], |_| {});
        let mut client = world.client();
        client.send("ping").expect("sent");
        assert_eq!(client.exactly(4).expect("in time"), b"ping");
        world.change(|rows| rows[0].duty = duty);
        let again = client.send("pong").and_then(|()| client.exactly(4));
        assert_eq!(again.is_ok(), kept, "{duty:?}: {again:?}");
        let mut fresh = world.client();
        fresh.send("ping").expect("sent");
        assert_eq!(fresh.exactly(4).expect("in time"), b"ping");
        assert_eq!(other.accepted(), 1, "new work goes elsewhere");
        drop((client, fresh));
        eventually("all are over", || (1..3).all(|it| world.counts(it).active == 0));
    }
}

#[test]
fn a_drained_or_removed_server_is_cut_after_its_time() {
    for removed in [false, true] {
        let (server, other) = (echo(), echo());
        let mut world = World::new(Protocol::Tcp, vec![row(1, &server), row(2, &other)], |service| {
            service.limits.drain = Span::from_millis(400);
        });
        let mut client = world.client();
        client.send("ping").expect("sent");
        client.exactly(4).expect("in time");
        let began = Instant::now();
        world.change(|rows| match removed {
            true => drop(rows.remove(0)),
            false => rows[0].duty = Duty::Drain,
        });
        client.send("pong").expect("sent");
        assert_eq!(client.exactly(4).expect("it goes on for a while"), b"pong");
        // Other changes do not start its time anew.
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(50));
            world.apply();
        }
        assert!(client.all().is_err(), "reset");
        assert!((Duration::from_millis(350)..Duration::from_secs(5)).contains(&began.elapsed()));
    }
}

#[test]
fn an_upgraded_connection_is_cut_with_its_server() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")?;
        talk.all().map(drop)
    });
    let mut world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").expect("sent");
    client.head().expect("in time");
    world.change(|rows| rows[0].duty = Duty::Out(Sessions::Cut));
    assert!(client.all().is_err(), "reset, not ended");
}

#[test]
fn the_backup_takes_over_without_a_gap() {
    let (server, sorry) = (Server::plain("main"), Server::plain("sorry"));
    let resting = Row { backup: true, spare: true, duty: Duty::Out(Sessions::Keep), ..row(9, &sorry) };
    let mut world = World::http(vec![row(1, &server), resting]);
    let mut client = world.client();
    let player = std::thread::spawn(move || {
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..3000 {
            *seen.entry(client.get("/").text()).or_insert(0) += 1;
        }
        seen
    });
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(5));
        world.change(|rows| {
            rows[0].duty = Duty::Out(Sessions::Keep);
            rows[1].duty = Duty::Serve;
        });
        std::thread::sleep(Duration::from_millis(5));
        world.change(|rows| {
            rows[0].duty = Duty::Serve;
            rows[1].duty = Duty::Out(Sessions::Keep);
        });
    }
    let seen = player.join().expect("no panic");
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["main", "sorry"], "{seen:?}");
}

#[test]
fn applying_twice_is_applying_once() {
    let server = Server::plain("ok");
    let mut world = World::http(vec![row(1, &server)]);
    let mut client = world.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").status(), 200);
        world.apply();
    }
    assert_eq!(server.accepted(), 1, "nothing was disturbed");
}

#[test]
fn a_door_that_cannot_be_opened_changes_nothing_else() {
    let (one, two) = (Server::plain("one"), Server::plain("two"));
    let mut world = World::http(vec![row(1, &one), row(2, &two)]);
    let taken = TcpListener::bind(free_address()).expect("free");
    let taken = (taken.local_addr().expect("bound"), taken);
    let spare = free_address();
    let before = world.table.services.clone();
    let mut service = Service::clone(&world.table.services[0]);
    for address in [spare, taken.0, "192.0.2.1:8080".parse().expect("an address")] {
        service.listen.push(Listen { address: Address::Ip(address), protocol: Protocol::Http, defer: false });
    }
    world.table.services = vec![Arc::new(service)];
    let mut pool = evenkeel_core::table::PoolTable::clone(&world.table.pools[0]);
    pool.rows[0].duty = Duty::Drain;
    world.table.pools[0] = Arc::new(pool);
    let failed = world.relay.apply(&Arc::new(world.table.clone())).failed;
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].starts_with(&format!("listen {}: address already in use", taken.0)), "{failed:?}");
    assert!(failed[1].starts_with("listen 192.0.2.1:8080: this host does not have"), "{failed:?}");
    assert!(std::net::TcpStream::connect(spare).is_err(), "all or none");
    assert_eq!(world.client().get("/").text(), "two", "but duties are followed");
    world.table.services = before;
    world.apply();
    assert_eq!(world.client().get("/").text(), "two");
}

#[test]
fn another_process_at_an_address_is_noticed() {
    let server = Server::plain("ok");
    let mut first = World::http(vec![row(1, &server)]);
    let mut second = World::http(vec![row(1, &server)]);
    second.table.services = first.table.services.clone();
    let failed = second.relay.apply(&Arc::new(second.table.clone())).failed;
    assert_eq!(failed.len(), 1, "two relays on one address would share its clients: {failed:?}");
    first.apply();
}

#[test]
fn a_service_that_goes_closes_its_door_and_can_come_back() {
    let server = Server::plain("ok");
    let mut world = World::http(vec![row(1, &server)]);
    let services = world.table.services.clone();
    for _ in 0..5 {
        assert_eq!(world.client().get("/").status(), 200);
        world.table.services = Vec::new();
        world.apply();
        assert!(std::net::TcpStream::connect(world.listen).is_err());
        world.table.services = services.clone();
        world.apply();
    }
}

#[test]
fn kept_clients_of_a_removed_service_are_let_go() {
    let server = holder();
    let mut world = World::http(vec![row(1, &server)]);
    let (mut busy, mut idle) = (world.client(), world.client());
    assert_eq!(idle.get("/").status(), 200);
    busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    eventually("it is under way", || world.counts(1).active == 1);
    world.table.services = Vec::new();
    world.apply();
    assert_eq!(idle.all().expect("closed, not reset"), b"");
    let answer = busy.response(false).expect("in time").expect("an answer");
    assert_eq!((answer.status(), answer.field("connection")), (200, Some("close")));
}

#[test]
fn a_deferred_door_serves_who_speaks() {
    let server = Server::plain("ok");
    let world = World::new(Protocol::Http, vec![row(1, &server)], |service| service.listen[0].defer = true);
    let mut client = world.client();
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(client.get("/").status(), 200);
}

#[test]
fn the_end_lets_requests_finish_and_closes_the_rest() {
    let server = holder();
    let world = World::http(vec![row(1, &server)]);
    let (mut busy, mut idle) = (world.client(), world.client());
    assert_eq!(idle.get("/").status(), 200);
    busy.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    eventually("it is under way", || world.counts(1).active == 1);
    let listen = world.listen;
    let began = Instant::now();
    let relay = world.relay;
    let ending = std::thread::spawn(move || relay.stop(Duration::from_secs(5)));
    assert_eq!(idle.all().expect("closed, not reset"), b"");
    let answer = busy.response(false).expect("in time").expect("an answer");
    assert_eq!((answer.status(), answer.field("connection")), (200, Some("close")));
    assert_eq!(ending.join().expect("no panic"), 0);
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(std::net::TcpStream::connect(listen).is_err());
}

#[test]
fn the_end_cuts_what_is_left_at_its_deadline() {
    let server = echo();
    let world = World::new(Protocol::Tcp, vec![row(1, &server)], |service| {
        service.limits.tcp_idle = Span::from_secs(60);
    });
    let mut client = world.client();
    client.send("ping").expect("sent");
    client.exactly(4).expect("in time");
    let began = Instant::now();
    assert_eq!(world.relay.stop(Duration::from_millis(200)), 1);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(client.all().is_err(), "reset");
}

#[test]
fn a_half_said_request_is_no_reason_to_wait() {
    let server = Server::plain("ok");
    let world = World::new(Protocol::Http, vec![row(1, &server)], |service| {
        service.limits.client_head = Span::from_millis(300);
    });
    let mut client: Talk = world.client();
    client.stream.write_all(b"GET / HT").expect("sent");
    eventually("it is accepted", || world.relay.connections() == 1);
    assert_eq!(world.relay.stop(Duration::from_secs(5)), 0);
}
