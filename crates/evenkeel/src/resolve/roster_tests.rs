//! The roster's rules, as lines: after each answer or change, who is there and how.

use super::roster::{NameUse, Roster, Seen, What};
use super::{Answer, Ask, Endpoint, Question};
use evenkeel_core::config::{Address, Config, ServerId};
use evenkeel_core::{Health, Span, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A pool of named servers, and all that a roster looks at.
struct World {
    roster: Roster,
    config: Arc<Config>,
    uses: BTreeMap<ServerId, NameUse>,
    answers: HashMap<Question, Answer>,
    health: HashMap<ServerId, Health>,
    busy: BTreeSet<ServerId>,
    drained: BTreeSet<ServerId>,
    heirs: Vec<(ServerId, ServerId)>,
    now: Time,
    news: Vec<String>,
}

impl World {
    /// `lines` are servers of a pool `web`; those with the name `*` beside theirs stand for many.
    fn new(lines: &[(&str, bool)]) -> World {
        let servers: String = lines.iter().map(|(line, _)| format!("server {line}\n")).collect();
        let words =
            format!("service s {{\nlisten 127.0.0.1:1\npool web\n}}\npool web {{\n{servers}check tcp\n}}\n");
        let loaded = crate::config::load_text("test", &words, None).map_err(|told| told.to_string()).unwrap();
        let servers = loaded.config.pools[0].servers.iter().zip(lines);
        let uses = servers.filter_map(|(server, (_, many))| match &server.address {
            Address::Name(name, port) => {
                let question = Question { name: name.clone(), ask: Ask::Addresses };
                Some((server.id, NameUse { question, port: *port, many: *many, max: 4, checked: true }))
            }
            _ => None,
        });
        World {
            roster: Roster::default(),
            uses: uses.collect(),
            config: loaded.config.clone(),
            answers: HashMap::new(),
            health: HashMap::new(),
            busy: BTreeSet::new(),
            drained: BTreeSet::new(),
            heirs: Vec::new(),
            now: Time::ZERO,
            news: Vec::new(),
        }
    }

    /// A name's answer: the last numbers of its addresses.
    fn answer(&mut self, name: &str, lasts: &[u8], confirmed: bool) -> String {
        let question = Question { name: name.into(), ask: Ask::Addresses };
        let endpoint =
            |last: &u8| Endpoint { ip: [10, 0, 0, *last].into(), port: None, weight: None, backup: false };
        let endpoints = lasts.iter().map(endpoint).collect();
        self.answers.insert(question.clone(), Answer { question, endpoints, confirmed, trouble: None });
        self.step()
    }

    fn turn(&mut self, name: &str, health: Health) -> String {
        let id = self.id(name);
        self.health.insert(id, health);
        self.step()
    }

    fn pass(&mut self, secs: u64) -> String {
        self.now += Span::from_secs(secs);
        self.step()
    }

    /// Steps, and draws who is there: `app=1+ app@10.0.0.2=2?`; `+` up, `-` down, `?` unknown, `~` drained.
    fn step(&mut self) -> String {
        let seen = |id: ServerId| Seen {
            health: self.health.get(&id).copied().unwrap_or(Health::Unknown),
            sessions: self.busy.contains(&id).into(),
        };
        let step = self.roster.step(self.now, &self.config, &self.uses, &self.answers, &seen);
        self.drained.extend(step.drain.iter().map(|(id, _)| *id));
        step.ready.iter().for_each(|id| assert!(self.drained.remove(id)));
        self.heirs.extend(&step.heirs);
        self.news.extend(step.news.iter().map(|news| format!("{} {:?}", news.server, news.what)));
        let again = self.roster.step(self.now, &self.config, &self.uses, &self.answers, &seen);
        assert!(
            !again.changed && again.drain.is_empty() && again.news.is_empty(),
            "once is enough: {again:?}"
        );
        self.draw()
    }

    fn draw(&self) -> String {
        let config = self.roster.config(&self.config, &self.uses);
        let drawn = config.pools[0].servers.iter().map(|server| {
            let last = server.address.ip().map_or("none".into(), |ip| ip.to_string().replace("10.0.0.", ""));
            let mark = match self.health.get(&server.id) {
                _ if self.drained.contains(&server.id) => '~',
                Some(Health::Up) => '+',
                Some(Health::Down) => '-',
                _ => '?',
            };
            format!("{}={last}{mark}", server.name)
        });
        drawn.collect::<Vec<_>>().join(" ")
    }

    fn id(&self, name: &str) -> ServerId {
        let config = self.roster.config(&self.config, &self.uses);
        config.pools[0].servers.iter().find(|server| &*server.name == name).expect(name).id
    }

    fn all_up(&mut self) {
        let config = self.roster.config(&self.config, &self.uses);
        for server in &config.pools[0].servers {
            self.health.insert(server.id, Health::Up);
        }
        self.step();
    }
}

#[test]
fn a_single_server_moves_make_before_break() {
    let mut world = World::new(&[("app app.test:80", false)]);
    assert_eq!(world.step(), "app=none?");
    assert_eq!(world.answer("app.test", &[1], true), "app=1?");
    let old = world.id("app");
    assert_eq!(world.turn("app", Health::Up), "app=1+");
    assert_eq!(world.answer("app.test", &[2], false), "app=1+ app@10.0.0.2=2?");
    assert_eq!(world.turn("app@10.0.0.2", Health::Down), "app=1+ app@10.0.0.2=2-");
    world.busy.insert(old);
    assert_eq!(world.turn("app@10.0.0.2", Health::Up), "app@10.0.0.1=1~ app=2+");
    assert_eq!(world.pass(5), "app@10.0.0.1=1~ app=2+");
    world.busy.clear();
    assert_eq!(world.pass(1), "app=2+");
    assert_ne!(world.id("app"), old);
    assert_eq!(world.heirs, [(old, world.id("app"))], "what people want of the server goes with its name");
    let [first, second] = ["10.0.0.1:80", "10.0.0.2:80"];
    let told = [
        format!("app Found([{first}])"),
        format!("app Arrives({second})"),
        format!("app Moved({first}, {second})"),
    ];
    assert_eq!(world.news, told);
}

#[test]
fn what_is_left_is_left_in_time_even_if_busy() {
    let mut world = World::new(&[("app app.test:80", false)]);
    world.answer("app.test", &[1], true);
    world.all_up();
    world.busy.insert(world.id("app"));
    world.answer("app.test", &[2], true);
    assert_eq!(world.turn("app@10.0.0.2", Health::Up), "app@10.0.0.1=1~ app=2+");
    assert_eq!(world.pass(59), "app@10.0.0.1=1~ app=2+");
    assert!(world.roster.restless());
    assert_eq!(world.pass(1), "app=2+");
    assert!(!world.roster.restless());
}

#[test]
fn a_turning_answer_moves_nobody() {
    let mut world = World::new(&[("app app.test:80", false)]);
    world.answer("app.test", &[1, 2, 3], true);
    let id = world.id("app");
    for answer in [[2, 3], [3, 1], [1, 2]] {
        world.answer("app.test", &answer, false);
    }
    assert_eq!(world.draw(), "app=1? app@10.0.0.2=2~", "2 came while 1 was not listed, and 1 is back");
    world.all_up();
    world.pass(1);
    world.pass(1);
    assert_eq!((world.draw().as_str(), world.id("app")), ("app=1+", id));
}

#[test]
fn a_failure_or_an_empty_answer_moves_nobody() {
    let mut world = World::new(&[("app app.test:80", true)]);
    world.answer("app.test", &[1, 2], true);
    let before = world.draw();
    assert_eq!(before, "app-10.0.0.1=1? app-10.0.0.2=2?");
    assert_eq!(world.answer("app.test", &[], true), before);
    world.answers.clear();
    assert_eq!(world.step(), before);
}

#[test]
fn many_addresses_are_many_servers_that_keep_their_identity() {
    let mut world = World::new(&[("app app.test:80", true)]);
    assert_eq!(world.answer("app.test", &[1, 2, 3], true), "app-10.0.0.1=1? app-10.0.0.2=2? app-10.0.0.3=3?");
    world.all_up();
    let two = world.id("app-10.0.0.2");
    assert_eq!(
        world.answer("app.test", &[2, 3, 4], true),
        "app-10.0.0.1=1+ app-10.0.0.2=2+ app-10.0.0.3=3+ app-10.0.0.4=4?"
    );
    assert_eq!(
        world.turn("app-10.0.0.4", Health::Up),
        "app-10.0.0.1=1~ app-10.0.0.2=2+ app-10.0.0.3=3+ app-10.0.0.4=4+"
    );
    assert_eq!(world.pass(1), "app-10.0.0.2=2+ app-10.0.0.3=3+ app-10.0.0.4=4+");
    assert_eq!((world.id("app-10.0.0.2"), world.heirs.len()), (two, 0));
}

#[test]
fn one_that_is_down_goes_without_waiting_for_the_new_one() {
    let mut world = World::new(&[("app app.test:80", true)]);
    world.answer("app.test", &[1, 2], true);
    world.all_up();
    world.turn("app-10.0.0.1", Health::Down);
    assert_eq!(world.answer("app.test", &[2, 3], true), "app-10.0.0.1=1~ app-10.0.0.2=2+ app-10.0.0.3=3?");
}

#[test]
fn one_that_comes_back_while_it_goes_stays_itself() {
    let mut world = World::new(&[("app app.test:80", true)]);
    world.answer("app.test", &[1, 2], true);
    world.all_up();
    let one = world.id("app-10.0.0.1");
    world.busy.insert(one);
    assert_eq!(world.answer("app.test", &[2], true), "app-10.0.0.1=1~ app-10.0.0.2=2+");
    assert_eq!(world.answer("app.test", &[1, 2], true), "app-10.0.0.1=1+ app-10.0.0.2=2+");
    assert_eq!(
        (world.id("app-10.0.0.1"), world.pass(120).as_str()),
        (one, "app-10.0.0.1=1+ app-10.0.0.2=2+")
    );
}

#[test]
fn more_than_half_of_a_pool_goes_only_when_it_is_said_twice() {
    let mut world = World::new(&[("fixed 10.9.9.9:80", false), ("app app.test:80", true)]);
    world.answer("app.test", &[1, 2, 3, 4], true);
    world.all_up();
    let all = "fixed=10.9.9.9+ app-10.0.0.1=1+ app-10.0.0.2=2+ app-10.0.0.3=3+ app-10.0.0.4=4+";
    assert_eq!(world.answer("app.test", &[4], false), all, "3 of 5 are more than half");
    assert_eq!(world.news.last().unwrap(), &format!("app {:?}", What::Doubted(3, 5)));
    let half = "fixed=10.9.9.9+ app-10.0.0.1=1~ app-10.0.0.2=2~ app-10.0.0.3=3+ app-10.0.0.4=4+";
    assert_eq!(world.answer("app.test", &[3, 4], false), half, "2 of 5 are not");
    let mut world = World::new(&[("app app.test:80", true)]);
    world.answer("app.test", &[1, 2, 3], true);
    world.all_up();
    world.answer("app.test", &[3], false);
    assert_eq!(world.draw(), "app-10.0.0.1=1+ app-10.0.0.2=2+ app-10.0.0.3=3+");
    assert_eq!(world.answer("app.test", &[3], true), "app-10.0.0.1=1~ app-10.0.0.2=2~ app-10.0.0.3=3+");
}

#[test]
fn there_are_never_more_than_the_config_allows_and_those_there_are_stay() {
    let mut world = World::new(&[("app app.test:80", true)]);
    world.answer("app.test", &[2, 3, 4, 5], true);
    let before = world.draw();
    world.all_up();
    let after = world.answer("app.test", &[1, 2, 3, 4, 5, 6], true);
    assert_eq!(after, before.replace('?', "+"));
    assert_eq!(world.news.last().unwrap(), "app TooMany(6, 4)");
}

#[test]
fn an_address_that_goes_before_it_was_up_was_never_there() {
    let mut world = World::new(&[("app app.test:80", false)]);
    world.answer("app.test", &[1], true);
    world.all_up();
    world.answer("app.test", &[2], false);
    assert_eq!(world.answer("app.test", &[3], false), "app=1+ app@10.0.0.2=2~ app@10.0.0.3=3?");
    assert_eq!(world.pass(1), "app=1+ app@10.0.0.3=3?");
}

#[test]
fn a_name_that_leaves_the_config_takes_its_servers_along() {
    let mut world = World::new(&[("app app.test:80", true)]);
    world.answer("app.test", &[1, 2], true);
    let other = World::new(&[("other app.test:80", true)]);
    (world.config, world.uses) = (other.config, other.uses);
    assert_eq!(world.step(), "other-10.0.0.1=1? other-10.0.0.2=2?");
}

#[test]
fn no_id_is_ever_given_twice() {
    let mut world = World::new(&[("app app.test:80", false)]);
    let mut ids = BTreeSet::new();
    for turn in 0..40u8 {
        world.answer("app.test", &[1 + turn % 2], true);
        world.all_up();
        world.pass(2);
        assert!(ids.insert(world.id("app")), "{}", world.draw());
    }
}
