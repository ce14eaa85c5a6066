//! TCP through a running relay.

mod scene;

use evenkeel_core::Span;
use evenkeel_core::config::Protocol;
use evenkeel_plane::relay::Options;
use scene::{Server, Talk, World, eventually, free_address, row};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

fn tcp(servers: &[&Server]) -> World {
    let rows = servers.iter().zip(1..).map(|(server, number)| row(number, *server)).collect();
    World::new(Protocol::Tcp, rows, |_| {})
}

#[test]
fn bytes_pass_both_ways_and_each_way_ends_by_itself() {
    let server = Server::start(|talk| {
        let all = talk.all()?;
        talk.send(format!("{} bytes", all.len()))?;
        std::thread::sleep(Duration::from_millis(50));
        talk.send(", that is all")
    });
    let world = tcp(&[&server]);
    let mut client = world.client();
    client.send(vec![7; 5_000_000]).expect("sent");
    client.stream.shutdown(Shutdown::Write).expect("a connected socket");
    assert_eq!(client.all().expect("in time"), b"5000000 bytes, that is all");
    eventually("it is over", || world.counts(1).active == 0);
}

fn has_heard(talk: &Talk) -> bool {
    talk.stream.set_nonblocking(true).expect("a socket");
    let heard = talk.stream.peek(&mut [0]).is_ok();
    talk.stream.set_nonblocking(false).expect("a socket");
    heard
}

#[test]
fn who_comes_when_all_places_are_taken_waits_for_one() {
    let server = Server::start(|talk| {
        talk.send("hello")?;
        talk.all().map(drop)
    });
    // Of three clients for two workers, each worker takes one.
    for (workers, clients) in [(1, 2), (2, 3)] {
        let options = Options { workers, clients, ..Options::default() };
        let world = World::with_options(options, Protocol::Tcp, vec![row(1, &server)], |_| {});
        let mut crowd: Vec<Talk> = (0..24).map(|_| world.client()).collect();
        eventually("two are served", || world.counts(1).active == 2);
        // Long enough for all the others, if they were let in.
        std::thread::sleep(Duration::from_millis(100));
        let counts = world.counts(1);
        assert_eq!((counts.attempts, counts.active), (2, 2));
        // One after another is served and goes, and the place that is free is given on.
        let mut served = 0;
        while !crowd.is_empty() {
            let mut at = None;
            eventually("somebody is served", || {
                at = crowd.iter().position(has_heard);
                at.is_some()
            });
            let mut lucky = crowd.swap_remove(at.expect("just found"));
            assert_eq!(lucky.exactly(5).expect("in time"), b"hello");
            served += 1;
        }
        assert_eq!((served, world.counts(1).attempts), (24, 24));
    }
}

#[test]
fn the_server_may_speak_first() {
    let server = Server::start(|talk| {
        talk.send("220 ready\r\n")?;
        talk.all().map(drop)
    });
    let world = tcp(&[&server]);
    assert_eq!(world.client().exactly(11).expect("in time"), b"220 ready\r\n");
}

#[test]
fn the_server_may_end_first() {
    let server = Server::start(|talk| {
        talk.stream.shutdown(Shutdown::Write)?;
        let all = talk.all()?;
        assert_eq!(all, b"still here");
        Ok(())
    });
    let world = tcp(&[&server]);
    let mut client = world.client();
    assert_eq!(client.all().expect("in time"), b"");
    client.send("still here").expect("sent");
    drop(client);
    eventually("it is over", || world.counts(1).active == 0);
}

#[test]
fn bulk_passes_unharmed_to_a_slow_reader() {
    let data: Vec<u8> = (0..20_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = data.clone();
    let server = Server::start(move |talk| talk.send(&sent));
    let world = tcp(&[&server]);
    let mut client = world.client();
    let mut got = Vec::new();
    let mut buffer = vec![0; 1_000_000];
    while got.len() < data.len() {
        let count = client.stream.read(&mut buffer).expect("in time");
        assert!(count > 0, "{} of {} bytes", got.len(), data.len());
        got.extend_from_slice(&buffer[..count]);
        if got.len() % 7 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(got == data, "every byte is where it was");
}

#[test]
fn two_streams_at_once_do_not_mix() {
    let server = Server::start(|talk| {
        let mut buffer = [0; 50_000];
        loop {
            let count = talk.stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            talk.send(&buffer[..count])?;
        }
    });
    let world = tcp(&[&server]);
    let players: Vec<_> = (0..8u8)
        .map(|letter| {
            let mut client = world.client();
            std::thread::spawn(move || {
                let mut writer = client.stream.try_clone().expect("a descriptor");
                let sender = std::thread::spawn(move || writer.write_all(&vec![letter; 2_000_000]));
                let got = client.exactly(2_000_000).expect("in time");
                sender.join().expect("no panic").expect("sent");
                got.iter().all(|byte| *byte == letter)
            })
        })
        .collect();
    assert!(players.into_iter().all(|player| player.join().expect("no panic")));
}

#[test]
fn a_dead_server_is_passed_over() {
    let server = Server::plain("ok");
    let rows = vec![row(1, free_address()), row(2, &server)];
    let world = World::new(Protocol::Tcp, rows, |_| {});
    for _ in 0..10 {
        assert_eq!(world.client().get("/").status(), 200);
    }
    assert_eq!((world.counts(1).connects_failed, world.counts(2).attempts), (10, 10));
}

#[test]
fn nobody_serves_is_a_reset() {
    let world = World::new(Protocol::Tcp, vec![row(1, free_address())], |_| {});
    // The reset may come before the connect has returned.
    let end = TcpStream::connect(world.listen).and_then(|mut stream| stream.read(&mut [0]));
    assert!(end.is_err(), "{end:?}");
}

#[test]
fn a_reset_is_passed_on_as_one() {
    let server = Server::start(|talk| {
        talk.send("half of")?;
        talk.exactly(1)?;
        socket2::SockRef::from(&talk.stream).set_linger(Some(Duration::ZERO))
    });
    let world = tcp(&[&server]);
    let mut client = world.client();
    assert_eq!(client.exactly(7).expect("in time"), b"half of");
    client.send("x").expect("sent");
    assert!(client.all().is_err(), "an end would look like the whole");
}

#[test]
fn silence_has_a_limit() {
    let server = Server::start(|talk| talk.all().map(drop));
    let world = World::new(Protocol::Tcp, vec![row(1, &server)], |service| {
        service.limits.tcp_idle = Span::from_millis(300);
        service.limits.half_closed = Span::from_millis(100);
    });
    let mut client: Talk = world.client();
    client.send("x").expect("sent");
    assert_eq!(client.all().expect("ended, not reset"), b"");
    eventually("it is over", || world.counts(1).active == 0);
}
