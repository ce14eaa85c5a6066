//! One pool of twenty servers, asked every 30 s for a year. One of them at a time breaks, a few times a day.
//! Nothing that happens to one is ever blamed on another, and what happens is noticed in time.

#[allow(dead_code, reason = "every user of the worlds uses its part of them")]
mod worlds;

use evenkeel_core::config::ServerId;
use evenkeel_core::table::Duty;
use evenkeel_core::{Span, Time};
use worlds::{Step, Truth, World, promises};

const YEAR: Span = Span::from_secs(365 * 24 * 3600);

#[test]
fn a_year_of_checking() {
    let mut year = Year::new();
    let end = year.world.now + YEAR;
    while year.world.now < end {
        match year.world.step() {
            Step::Outcome(..) => year.probes += 1,
            Step::Told => year.look(),
            Step::Hidden => {}
        }
        if year.world.now >= year.next {
            year.turn();
        }
    }
    let Year { probes, breaks, noticed, noticed_hanging, back, .. } = year;
    println!(
        "{probes} probes, {breaks} breaks; noticed within {noticed}, {noticed_hanging} if it hung; back within {back}"
    );
    assert!(probes > 21_000_000, "{probes}: twenty servers, a year, every 30 s");
    assert!(breaks > 500, "{breaks}");
    // Until the next slot it is an interval and its jitter, ±5 % at both ends.
    let slot = Span::from_secs(33);
    assert!(noticed <= slot + Span::from_millis(2_100), "{noticed}: three answers, a second between them");
    assert!(
        noticed_hanging <= slot + Span::from_secs(14),
        "{noticed_hanging}: three timeouts of 2 s, and twice 4 s"
    );
    assert!(back <= slot + Span::from_millis(1_100), "{back}: two passes, a second between them");
}

struct Year {
    world: World,
    servers: Vec<ServerId>,
    ails: Ails,
    /// When something is done to a server next.
    next: Time,
    probes: u64,
    breaks: u64,
    /// The longest times from a break to the table without the server, and from its end to the table with it.
    noticed: Span,
    noticed_hanging: Span,
    back: Span,
}

#[derive(Clone, Copy, Debug)]
enum Ails {
    Nobody,
    Broken(ServerId, Truth, Time),
    Out(ServerId),
    Mended(ServerId, Time),
}

impl Year {
    fn new() -> Year {
        let mut world = World::new(1, Span::from_secs(1), |configs, _| configs.twenty());
        world.fate = None;
        // The first round, in which everybody is heard of.
        let heard = world.now + Span::from_secs(60);
        while world.now < heard {
            world.step();
        }
        Year {
            servers: world.servers().take(20).collect(),
            ails: Ails::Nobody,
            next: world.now,
            probes: 0,
            breaks: 0,
            noticed: Span::ZERO,
            noticed_hanging: Span::ZERO,
            back: Span::ZERO,
            world,
        }
    }

    /// Looks at a table that is perhaps a new one.
    fn look(&mut self) {
        let now = self.world.now;
        promises::hold(&self.world.director, now).unwrap_or_else(|why| panic!("{why} at {now:?}"));
        let table = &self.world.director.table().pools[0];
        let is_out = |server| table.rows.iter().any(|row| row.server == server && row.duty != Duty::Serve);
        let ailing = match self.ails {
            Ails::Nobody => None,
            Ails::Broken(server, ..) | Ails::Out(server) | Ails::Mended(server, _) => Some(server),
        };
        let wronged = self.servers.iter().find(|&&server| is_out(server) && Some(server) != ailing);
        assert_eq!(wronged, None, "out at {now:?}, while {:?}", self.ails);
        match self.ails {
            Ails::Broken(server, truth, since) if is_out(server) => {
                let hangs = matches!(truth, Truth::Unreachable | Truth::Silent);
                let longest = if hangs { &mut self.noticed_hanging } else { &mut self.noticed };
                *longest = now.since(since).max(*longest);
                self.ails = Ails::Out(server);
            }
            Ails::Mended(server, since) if !is_out(server) => {
                self.back = now.since(since).max(self.back);
                self.ails = Ails::Nobody;
            }
            _ => {}
        }
    }

    /// Breaks somebody, or mends who is broken.
    fn turn(&mut self) {
        let World { now, .. } = self.world;
        match self.ails {
            Ails::Nobody => {
                let truths = [Truth::Refuses, Truth::Unreachable, Truth::Silent, Truth::Wrong];
                let server = self.world.dice.one_of(&self.servers);
                let truth = self.world.dice.one_of(&truths);
                self.world.set(server, truth);
                self.ails = Ails::Broken(server, truth, now);
                self.breaks += 1;
                self.next = now + Span::from_secs(60) + self.world.dice.about(Span::from_secs(8 * 3600));
            }
            Ails::Out(server) => {
                self.world.set(server, Truth::Fine);
                self.ails = Ails::Mended(server, now);
                self.next = now + Span::from_secs(600);
            }
            Ails::Broken(..) | Ails::Mended(..) => panic!("not noticed at {now:?}: {:?}", self.ails),
        }
    }
}
