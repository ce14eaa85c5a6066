//! What happens with a request whose server fails: it goes on where nothing was sent, is repeated only where that
//! does no harm, and stops before it does.

mod scene;

use evenkeel_core::Span;
use evenkeel_core::config::{Protocol, Retry, Service};
use evenkeel_core::table::{Duty, Row, Sessions};
use scene::{Server, Talk, World, eventually, free_address, row};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Reads a request and closes the connection.
fn closer() -> Server {
    Server::start(|talk| talk.request().map(drop))
}

/// Reads a request and resets the connection.
fn resetter() -> Server {
    Server::start(|talk| {
        talk.request()?;
        socket2::SockRef::from(&talk.stream).set_linger(Some(Duration::ZERO))
    })
}

/// Every answer has this status.
fn sick(status: u16) -> Server {
    Server::start(move |talk| {
        while talk.request()?.is_some() {
            talk.answer(status, "sick")?;
        }
        Ok(())
    })
}

fn world(rows: Vec<Row>, retry: Retry) -> World {
    World::new(Protocol::Http, rows, |service: &mut Service| service.retry = retry)
}

fn all() -> Retry {
    Retry { times: 3, reset: true, timeout: true, statuses: vec![502, 503], ..Retry::default() }
}

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn a_refused_connect_goes_to_the_next_server_whatever_the_method() {
    let server = Server::plain("here");
    let rows = vec![row(1, free_address()), row(2, free_address()), row(3, &server)];
    let world = world(rows, Retry { times: 0, ..Retry::default() });
    let mut client = world.client();
    for _ in 0..50 {
        assert_eq!(client.ask(POST).text(), "here");
    }
    assert!(server.seen().iter().all(|request| request.text() == "body"));
    assert_eq!(world.counts(1).connects_failed, 50);
    assert_eq!(world.counts(2).connects_failed, 50);
}

#[test]
fn all_refused_tries_the_backup_before_the_verdict_does() {
    let sorry = Server::plain("sorry");
    let resting = Row { backup: true, spare: true, duty: Duty::Out(Sessions::Keep), ..row(9, &sorry) };
    let mut world = world(vec![row(1, free_address()), row(2, free_address()), resting], Retry::default());
    assert_eq!(world.client().get("/").text(), "sorry");
    world.change(|rows| rows[2].spare = false);
    assert_eq!(
        world.client().get("/").status(),
        503,
        "a backup that is down, or that somebody took out, gets nothing"
    );
}

#[test]
fn a_server_to_avoid_is_the_last_to_be_asked() {
    let (avoided, other) = (Server::plain("avoided"), Server::plain("other"));
    let mut world = world(vec![Row { avoid: true, ..row(1, &avoided) }, row(2, &other)], Retry::default());
    let mut client = world.client();
    assert_eq!(client.get("/").text(), "other");
    world.change(|rows| rows[1].duty = Duty::Drain);
    assert_eq!(client.get("/").text(), "avoided");
}

#[test]
fn a_connect_that_hangs_is_given_up_in_time() {
    let server = Server::plain("here");
    // A listener whose queue is full answers no SYN.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let address = free_address();
    full.bind(&address.into()).expect("free");
    full.listen(0).expect("bound");
    let _fill: Vec<_> = (0..3)
        .map(|_| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.expect("a socket");
            socket.set_nonblocking(true).expect("a flag");
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let world = World::new(Protocol::Http, vec![row(1, address), row(2, &server)], |service| {
        service.limits.connect = Span::from_millis(200);
    });
    assert_eq!(world.client().ask(POST).text(), "here");
    assert_eq!(world.counts(1).connects_timed_out, 1);
}

#[test]
fn a_kept_connection_that_died_is_replaced_unseen() {
    // Every connection is good for three requests, and dies while the next is on its way.
    let server = Server::start(|talk| {
        for _ in 0..3 {
            if talk.request()?.is_none() {
                return Ok(());
            }
            talk.answer(200, "fine")?;
        }
        talk.head().map(drop)
    });
    let world = world(vec![row(1, &server)], Retry { times: 0, ..Retry::default() });
    let mut client = world.client();
    for _ in 0..60 {
        assert_eq!(client.get("/").text(), "fine");
    }
    let counts = world.counts(1);
    assert!(counts.stale >= 10 && counts.resets == 0, "{counts:?}");
}

#[test]
fn a_kept_connection_closed_while_idle_costs_nobody_anything() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.answer(200, "once")
    });
    let world = world(vec![row(1, &server)], Retry { times: 0, ..Retry::default() });
    let mut client = world.client();
    for _ in 0..20 {
        assert_eq!(client.ask(POST).text(), "once");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.seen().len(), 20, "each was done once");
}

#[test]
fn a_post_does_not_ride_on_an_old_connection() {
    let server = Server::plain("ok");
    let world = world(vec![row(1, &server)], Retry::default());
    let mut client = world.client();
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(server.accepted(), 1, "the connection was young");
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(server.accepted(), 2, "its server might close it while the request is on its way");
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_post_that_was_sent_is_not_sent_again() {
    for broken in [closer(), resetter()] {
        let good = Server::plain("good");
        let world = world(vec![row(1, &broken), row(2, &good)], all());
        assert_eq!(world.client().ask(POST).status(), 502);
        assert_eq!((broken.seen().len(), good.seen().len()), (1, 0));
        assert_eq!(world.counts(1).resets, 1);
    }
}

#[test]
fn a_post_on_a_kept_connection_that_died_is_not_sent_again() {
    let server = Server::start(|talk| {
        talk.request()?;
        talk.answer(200, "first")?;
        talk.request().map(drop)
    });
    let world = world(vec![row(1, &server)], all());
    let mut client = world.client();
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(client.ask(POST).status(), 502, "the server had read it");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_get_or_a_keyed_post_is_tried_elsewhere_if_the_config_says_so() {
    let keyed = POST.replace("Host: a", "Host: a\r\nIdempotency-Key: 7");
    for (retry, get, post) in [(all(), 200, 200), (Retry::default(), 502, 502)] {
        let (broken, good) = (resetter(), Server::plain("good"));
        let world = world(vec![row(1, &broken), row(2, &good)], retry);
        assert_eq!(world.client().get("/").status(), get);
        assert_eq!(world.client().ask(&keyed).status(), post);
    }
}

#[test]
fn statuses_are_tried_elsewhere_if_they_are_listed() {
    let (broken, good) = (sick(503), Server::plain("good"));
    let world = world(vec![row(1, &broken), row(2, &good)], all());
    let mut client = world.client();
    assert_eq!(client.get("/").text(), "good");
    assert_eq!(client.ask(POST).text(), "sick", "the server's own answer, not one of ours");
    assert_eq!(world.counts(1).statuses[4], 2);

    let (broken, good) = (sick(500), Server::plain("good"));
    let other = self::world(vec![row(1, &broken), row(2, &good)], all());
    assert_eq!(other.client().get("/").text(), "sick");
}

#[test]
fn the_last_bad_answer_is_passed_on() {
    let (one, two) = (sick(503), sick(502));
    let world = world(vec![row(1, &one), row(2, &two)], all());
    let answer = world.client().get("/");
    assert_eq!((answer.status(), answer.text().as_str()), (502, "sick"));
}

#[test]
fn a_request_that_reset_two_servers_gets_no_third_try() {
    let servers: Vec<Server> = (0..4).map(|_| resetter()).collect();
    let rows = servers.iter().zip(1..).map(|(server, number)| row(number, server)).collect();
    let world = world(rows, Retry { times: 9, ..all() });
    assert_eq!(world.client().get("/").status(), 502);
    assert_eq!(servers.iter().map(|server| server.seen().len()).sum::<usize>(), 2);
}

#[test]
fn a_body_is_replayed_up_to_64_kib_and_not_beyond() {
    for (size, status) in [(60_000, 200), (70_000, 502)] {
        let (broken, good) = (closer(), Server::plain("good"));
        let world = world(vec![row(1, &broken), row(2, &good)], all());
        let put = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size));
        assert_eq!(world.client().ask(put).status(), status);
        let replayed: Vec<usize> = good.seen().iter().map(|request| request.body.len()).collect();
        assert_eq!(replayed, if status == 200 { vec![size] } else { vec![] });
    }
}

#[test]
fn nothing_is_tried_again_after_a_byte_of_the_answer() {
    let broken = Server::start(|talk| {
        talk.request()?;
        talk.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    });
    let good = Server::plain("good");
    let world = world(vec![row(1, &broken), row(2, &good)], all());
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let got: io::Result<_> = client.response(false);
    assert!(got.is_err(), "{got:?}");
    assert_eq!(good.seen().len(), 0);
}

#[test]
fn retries_stay_within_their_budget_when_everything_fails() {
    let seen = Arc::new(AtomicUsize::new(0));
    let servers: Vec<Server> = (0..3)
        .map(|_| {
            let seen = seen.clone();
            Server::start(move |talk: &mut Talk| {
                while talk.request()?.is_some() {
                    seen.fetch_add(1, Ordering::SeqCst);
                    talk.answer(503, "sick")?;
                }
                Ok(())
            })
        })
        .collect();
    let rows = servers.iter().zip(1..).map(|(server, number)| row(number, server)).collect();
    let world = world(rows, Retry { budget_floor: 0, ..all() });
    let mut client = world.client();
    for _ in 0..500 {
        assert_eq!(client.get("/").status(), 503);
    }
    let seen = seen.load(Ordering::SeqCst);
    // A worker begins with three tries; there are two workers, of which the client has one.
    assert!((500..=500 + 100 + 3).contains(&seen), "{seen} tries for 500 requests");
}

#[test]
fn all_tries_together_end_at_the_overall_limit() {
    let silent: Vec<Server> = (0..5)
        .map(|_| {
            Server::start(|talk| {
                talk.request()?;
                talk.request().map(drop)
            })
        })
        .collect();
    let rows = silent.iter().zip(1..).map(|(server, number)| row(number, server)).collect();
    let world = World::new(Protocol::Http, rows, |service| {
        service.retry = Retry { times: 9, ..all() };
        service.limits.first_byte = Span::from_millis(300);
        service.limits.overall = Span::from_millis(700);
    });
    let began = std::time::Instant::now();
    assert_eq!(world.client().get("/").status(), 504);
    let took = began.elapsed();
    assert!((Duration::from_millis(600)..Duration::from_millis(1200)).contains(&took), "{took:?}");
    assert_eq!(silent.iter().map(Server::accepted).sum::<usize>(), 3);
}

#[test]
fn a_client_that_left_is_not_worth_another_try() {
    let broken = Server::start(|talk| {
        talk.request()?;
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    });
    let good = Server::plain("good");
    let world = world(vec![row(1, &broken), row(2, &good)], all());
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    client.stream.shutdown(std::net::Shutdown::Write).expect("a connected socket");
    eventually("the attempt is over", || world.counts(1).resets == 1);
    assert_eq!(client.response(false).expect("in time").expect("an answer").status(), 502);
    assert_eq!(good.seen().len(), 0);
}
