//! The director's answers, input by input, where a drawing would hide what matters.

use evenkeel_core::config::*;
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::intent::{Intent, Origin, Wish};
use evenkeel_core::table::{Duty, Sessions};
use evenkeel_core::why::Because;
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

fn edited(edit: impl Fn(&mut Pool)) -> Arc<Config> {
    let mut config = (*config(&["rs1", "rs2"], Some("sorry"))).clone();
    edit(Arc::make_mut(&mut config.pools[0]));
    Arc::new(config)
}

fn says(server: u32, wish: Wish) -> Input {
    let reason = "new disk".into();
    let intent = Intent { wish, origin: Origin::Operator, author: "ann".into(), reason, until: None };
    Input::Intent(ServerId(server), intent)
}

#[test]
fn without_a_check_every_server_is_up() {
    let mut director = Director::new(Time::ZERO, edited(|pool| pool.checks.clear()));
    assert_eq!(serving(&director), ["rs1", "rs2"]);
    director.handle(Time::ZERO, says(0, Wish::Drain));
    assert_eq!(serving(&director), ["rs2"]);
    director.handle(Time::ZERO, says(1, Wish::Maint));
    assert_eq!(serving(&director), ["sorry"]);
}

#[test]
fn a_backup_is_a_spare_while_it_could_serve_and_need_not() {
    let mut director = Director::new(Time::ZERO, config(&["rs1", "rs2"], Some("sorry")));
    let spare = |director: &Director| director.table().pools[0].rows[2].spare;
    assert!(spare(&director), "nothing is known against it");
    director.handle(Time::ZERO, says(2, Wish::Maint));
    assert!(!spare(&director), "somebody took it out");
    director.handle(Time::ZERO, says(2, Wish::Ready));
    director.handle(Time::ZERO, change(2, Health::Down));
    assert!(!spare(&director), "it fails itself");
    director.handle(Time::ZERO, change(2, Health::Up));
    assert!(spare(&director) && !director.table().pools[0].rows[0].spare);
    director.handle(Time::ZERO, change(0, Health::Down));
    director.handle(Time::ZERO, change(1, Health::Down));
    assert!(!spare(&director) && serving(&director) == ["sorry"], "it serves");
}

#[test]
fn a_name_without_an_address_serves_nobody() {
    let director = Director::new(
        Time::ZERO,
        edited(|pool| {
            for server in pool.servers.iter_mut().filter(|server| !server.backup) {
                server.address = Address::Name("app.internal".into(), 80);
            }
        }),
    );
    assert_eq!(serving(&director), ["sorry"]);
}

#[test]
fn what_would_bring_a_server_back() {
    let now = Time::ZERO;
    let remedies = |edit: &dyn Fn(&mut Pool), inputs: &[Input]| {
        let mut director = Director::new(now, edited(edit));
        for input in inputs {
            director.handle(now, input.clone());
        }
        let account = director.account(now, ServerId(0)).unwrap();
        let texts: Vec<String> = account.remedies.iter().map(ToString::to_string).collect();
        (account.because, texts.join(" and "))
    };
    let same = |_: &mut Pool| {};
    let up = || change(1, Health::Up);
    let expected = [
        (remedies(&same, &[]), Because::NobodyKnownToBeUp, ""),
        (remedies(&same, &[up()]), Because::NotYetKnown, "1 pass of check http"),
        (
            remedies(&same, &[up(), change(0, Health::Down)]),
            Because::DownSoft,
            "2 passes in a row of check http",
        ),
        (
            remedies(&same, &[says(0, Wish::Maint)]),
            Because::Maint,
            "ready, in answer to maint by ann: new disk",
        ),
        (remedies(&same, &[says(0, Wish::ForceUp)]), Because::ForcedUp, ""),
        (remedies(&|pool| pool.servers[0].weight = 0, &[up()]), Because::NoWeight, "a weight above 0"),
        (
            remedies(&|pool| pool.servers[0].backup = true, &[up()]),
            Because::BackupRests,
            "nothing: it serves when no server can",
        ),
    ];
    for ((because, text), expected, words) in expected {
        assert_eq!((because, text.as_str()), (expected, words));
    }
}

#[test]
fn whom_it_does_not_know_it_does_not_mind() {
    let mut director = Director::new(Time::ZERO, config(&["rs1"], None));
    let before = director.clone();
    assert!(director.handle(Time::ZERO, change(7, Health::Down)).is_empty());
    assert!(director.handle(Time::ZERO, says(7, Wish::Maint)).is_empty());
    assert_eq!(director.table(), before.table());
    assert!(director.account(Time::ZERO, ServerId(7)).is_none());
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
    assert_eq!(director.table().pools[0].rows[0].duty, Duty::Out(Sessions::Keep));
}
