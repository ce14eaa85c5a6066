//! The director's answers, input by input, where a drawing would hide what matters.

use evenkeel_core::config::*;
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::table::Duty;
use evenkeel_core::{Change, Director, Health, Input, Opinion, Span, Time};
use std::sync::Arc;

fn config(servers: &[&str], backup: Option<&str>) -> Arc<Config> {
    let server = |(at, (name, backup)): (usize, (&str, bool))| Server {
        id: ServerId(at as u32),
        name: name.into(),
        address: Address::Ip(([127, 0, 0, 1], 8000 + at as u16).into()),
        weight: 1,
        backup,
    };
    let names = servers.iter().map(|name| (*name, false)).chain(backup.map(|name| (name, true)));
    let pool = Pool {
        id: PoolId(1),
        name: "web".into(),
        servers: names.enumerate().map(server).collect(),
        checks: vec![Check {
            id: CheckId(1),
            name: "http".into(),
            timing: Timing::default(),
            rule: Rule::default(),
        }],
        require: Require::All,
        balance: Balance::Weighted,
        min_serving: 0,
        slow_start: Span::ZERO,
    };
    Arc::new(Config { services: Vec::new(), pools: vec![Arc::new(pool)] })
}

fn change(server: u32, health: Health) -> Input {
    let verdict = match health {
        Health::Down => Verdict::Fail(Reason::soft(Layer::L7, Mark::Wrong, "status 503")),
        _ => Verdict::Pass,
    };
    Input::Change(Change {
        server: ServerId(server),
        check: CheckId(1),
        opinion: Opinion { health, streak: 3, ..Opinion::default() },
        evidence: Evidence::plain(verdict, Span::from_millis(12)),
    })
}

fn serving(director: &Director) -> Vec<String> {
    director.table().pools[0].serving().map(|row| row.name.to_string()).collect()
}

#[test]
fn the_log_tells_a_days_work() {
    let mut director = Director::new(Time::ZERO, config(&["rs1", "rs2"], Some("sorry")));
    let mut log = Vec::new();
    for (server, health) in [
        (0, Health::Up),
        (1, Health::Up),
        (0, Health::Down),
        (1, Health::Down),
        (2, Health::Up),
        (0, Health::Up),
    ] {
        log.extend(director.handle(Time::ZERO, change(server, health)).iter().map(ToString::to_string));
    }
    let log = log.join("\n");
    let expected = "\
pool web server rs1: up (check http, passed, 12ms, 3rd in a row), now serving: rs1
pool web server rs2: up (check http, passed, 12ms, 3rd in a row), now serving: rs1, rs2
pool web server rs1: down (check http, L7 status 503, 12ms, 3rd in a row), now serving: rs2
pool web server rs2: down (check http, L7 status 503, 12ms, 3rd in a row), now serving: sorry
pool web: no server can serve, backup does: sorry
pool web server sorry: up (check http, passed, 12ms, 3rd in a row), now serving: sorry
pool web server rs1: up (check http, passed, 12ms, 3rd in a row), now serving: rs1
pool web: backup rests";
    assert_eq!(log, expected, "\n{log}");
}

#[test]
fn a_version_is_a_change() {
    let mut director = Director::new(Time::ZERO, config(&["rs1", "rs2"], None));
    assert_eq!((director.table().version, serving(&director).len()), (1, 2));
    let before = Arc::clone(&director.table().pools[0]);
    director.handle(Time::ZERO, Input::Tick);
    director.handle(Time::ZERO, Input::Config(config(&["rs1", "rs2"], None)));
    assert_eq!(director.table().version, 1);
    assert!(Arc::ptr_eq(&before, &director.table().pools[0]), "an unchanged pool is the same allocation");
    director.handle(Time::ZERO, change(1, Health::Up));
    assert_eq!((director.table().version, serving(&director)), (2, vec!["rs2".to_owned()]));
    assert_eq!(director.table().pools[0].rows[0].duty, Duty::Out(evenkeel_core::table::Sessions::Keep));
}
