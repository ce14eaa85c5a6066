//! The resolver against a name server that misbehaves. Real sockets on loopback; every wait has a deadline.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

mod dns;

use dns::{Dns, Mood};
use evenkeel::resolve::{self, Answer, Ask, Endpoint, Question, Resolver, Settings, Source};
use simple_dns::TYPE;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn settings(servers: &[SocketAddr]) -> Settings {
    let timeout = Duration::from_millis(200);
    Settings { servers: servers.to_vec(), timeout, ..Settings::default() }
}

/// A resolver, and how it is told what to ask for.
struct Asker {
    resolver: Resolver,
    source: Source,
}

impl Asker {
    fn want(&self, questions: Vec<Question>) {
        self.resolver.want(self.source.clone(), questions);
    }
}

fn start(settings: Settings) -> (Asker, Receiver<Answer>) {
    start_with(Source { hosts: PathBuf::from("/nonexistent"), fixed: Some(settings), ..Source::default() })
}

fn start_with(source: Source) -> (Asker, Receiver<Answer>) {
    let (told, answers) = sync_channel(64);
    let resolver = resolve::start(Box::new(move |answer| told.try_send(answer).is_ok())).unwrap();
    (Asker { resolver, source }, answers)
}

fn addresses(name: &str) -> Question {
    Question { name: name.into(), ask: Ask::Addresses }
}

fn next(answers: &Receiver<Answer>) -> Answer {
    answers.recv_timeout(PATIENCE).expect("an answer in time")
}

fn trouble(answer: &Answer) -> &str {
    answer.trouble.as_deref().unwrap_or_default()
}

fn ips(answer: &Answer) -> Vec<String> {
    answer.endpoints.iter().map(|endpoint| endpoint.ip.to_string()).collect()
}

/// One answer of one server to one name.
fn first(settings: Settings, name: &str) -> Answer {
    let (resolver, answers) = start(settings);
    resolver.want(vec![addresses(name)]);
    next(&answers)
}

#[test]
fn addresses_come_sorted_and_ipv4_goes_first() {
    let dns = Dns::start();
    dns.set("app.test", 60, &["10.0.0.2", "10.0.0.1", "fd00::1"]);
    dns.set("six.test", 60, &["fd00::2", "fd00::1"]);
    let settings = settings(&[dns.address]);
    assert_eq!(ips(&first(settings.clone(), "App.Test")), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(ips(&first(settings, "six.test")), ["fd00::1", "fd00::2"]);
}

#[test]
fn rubbish_is_not_heard() {
    let dns = Dns::start();
    dns.set("app.test", 60, &["10.0.0.1"]);
    dns.mood(Mood::Rubbish);
    assert_eq!(ips(&first(settings(&[dns.address]), "app.test")), ["10.0.0.1"]);
    dns.mood(Mood::OnlyRubbish);
    let begun = Instant::now();
    let answer = first(settings(&[dns.address]), "app.test");
    assert!(trouble(&answer).starts_with("no usable answer ("), "{answer:?}");
    assert!(answer.endpoints.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let dns = Dns::start();
    let many: Vec<String> = (1..=200).map(|last| format!("10.0.0.{last}")).collect();
    dns.set("many.test", 60, &many.iter().map(String::as_str).collect::<Vec<_>>());
    dns.mood(Mood::Truncate);
    assert_eq!(first(settings(&[dns.address]), "many.test").endpoints.len(), 200);
    assert_eq!(dns.asked_over_tcp(), 1);
}

#[test]
fn the_next_server_is_asked_when_one_is_silent_failing_or_gone() {
    let (silent, failing, good) = (Dns::start(), Dns::start(), Dns::start());
    silent.mood(Mood::Silent);
    failing.mood(Mood::Servfail);
    good.set("app.test", 60, &["10.0.0.1"]);
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = first(settings(&[silent.address, failing.address, gone, good.address]), "app.test");
    assert_eq!(ips(&answer), ["10.0.0.1"]);
    assert_eq!((silent.asked("app.test", TYPE::A), failing.asked("app.test", TYPE::A)), (1, 1));
}

#[test]
fn every_silence_ends_and_is_named() {
    let dns = Dns::start();
    dns.mood(Mood::Silent);
    let begun = Instant::now();
    let answer = first(settings(&[dns.address]), "app.test");
    assert_eq!(trouble(&answer), format!("timeout from {}", dns.address));
    // Two families, two tries of 200 ms each.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(dns.asked("app.test", TYPE::A), 2);
}

#[test]
fn aliases_are_followed_and_a_circle_of_them_ends() {
    let dns = Dns::start();
    dns.alias("www.test", 60, "app.test");
    dns.set("app.test", 60, &["10.0.0.1"]);
    assert_eq!(ips(&first(settings(&[dns.address]), "www.test")), ["10.0.0.1"]);
    dns.alias("a.test", 60, "b.test");
    dns.alias("b.test", 60, "a.test");
    let begun = Instant::now();
    let answer = first(settings(&[dns.address]), "a.test");
    assert_eq!(trouble(&answer), format!("aliases lead in a circle from {}", dns.address));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn services_bring_ports_weights_and_backups() {
    let dns = Dns::start();
    dns.services(
        "_http._tcp.test",
        60,
        &[(1, 30, 8080, "a.test"), (1, 10, 8081, "b.test"), (5, 0, 80, "c.test"), (1, 1, 80, "gone.test")],
    );
    dns.set("a.test", 60, &["10.0.0.1"]);
    dns.set("b.test", 60, &["10.0.0.1", "10.0.0.2"]);
    dns.set("c.test", 60, &["fd00::3"]);
    let (resolver, answers) = start(settings(&[dns.address]));
    resolver.want(vec![Question { name: "_http._tcp.test".into(), ask: Ask::Services }]);
    let endpoint = |ip: &str, port, weight, backup| Endpoint {
        ip: ip.parse().unwrap(),
        port: Some(port),
        weight: Some(weight),
        backup,
    };
    let expected = [
        endpoint("10.0.0.1", 8080, 30, false),
        endpoint("10.0.0.1", 8081, 10, false),
        endpoint("10.0.0.2", 8081, 10, false),
        endpoint("fd00::3", 80, 1, true),
    ];
    assert_eq!(*next(&answers).endpoints, expected);
}

#[test]
fn failures_keep_the_last_good_answer() {
    let dns = Dns::start();
    let silent = || dns.mood(Mood::Silent);
    let failing = || dns.mood(Mood::Servfail);
    keeps_the_last_good_answer(&dns, [("timeout from ", &silent), ("SERVFAIL from ", &failing)]);
}

#[test]
fn empty_answers_keep_the_last_good_one() {
    let dns = Dns::start();
    let missing = || dns.remove("app.test");
    let empty = || dns.empty("app.test");
    keeps_the_last_good_answer(&dns, [("no such name", &missing), ("no address", &empty)]);
}

fn keeps_the_last_good_answer(dns: &Dns, break_it: [(&str, &dyn Fn()); 2]) {
    dns.set("app.test", 1, &["10.0.0.1"]);
    let (resolver, answers) = start(settings(&[dns.address]));
    resolver.want(vec![addresses("app.test")]);
    assert_eq!((ips(&next(&answers)), dns.asked("app.test", TYPE::A)), (vec!["10.0.0.1".to_owned()], 1));
    for (why, break_it) in break_it {
        break_it();
        let answer = next(&answers);
        assert!(trouble(&answer).starts_with(why), "{why}: {answer:?}");
        assert_eq!(ips(&answer), ["10.0.0.1"], "{why}");
    }
    dns.mood(Mood::Answer);
    dns.set("app.test", 1, &["10.0.0.1"]);
    let answer = next(&answers);
    assert_eq!((ips(&answer), trouble(&answer), answer.confirmed), (vec!["10.0.0.1".to_owned()], "", true));
}

#[test]
fn a_change_is_told_at_once_and_again_when_it_is_confirmed() {
    let dns = Dns::start();
    dns.set("app.test", 1, &["10.0.0.1"]);
    let (resolver, answers) = start(settings(&[dns.address]));
    resolver.want(vec![addresses("app.test")]);
    next(&answers);
    dns.set("app.test", 1, &["10.0.0.2"]);
    let (seen, at) = (next(&answers), Instant::now());
    assert_eq!((ips(&seen), seen.confirmed), (vec!["10.0.0.2".to_owned()], false));
    let sure = next(&answers);
    assert_eq!((ips(&sure), sure.confirmed), (vec!["10.0.0.2".to_owned()], true));
    assert!(at.elapsed() > Duration::from_millis(900), "{:?}", at.elapsed());
}

#[test]
fn a_ttl_is_obeyed() {
    let dns = Dns::start();
    dns.set("short.test", 0, &["10.0.0.1"]);
    dns.set("long.test", 3600, &["10.0.0.1"]);
    let (resolver, answers) = start(settings(&[dns.address]));
    resolver.want(vec![addresses("short.test"), addresses("long.test")]);
    next(&answers);
    next(&answers);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(dns.asked("long.test", TYPE::A), 1);
    let short = dns.asked("short.test", TYPE::A);
    assert!((2..=3).contains(&short), "{short}");
    assert!(resolver.resolver.age(&addresses("short.test")).answered.is_some());
}

#[test]
fn a_name_that_is_no_longer_wanted_is_no_longer_asked_for() {
    let dns = Dns::start();
    dns.set("app.test", 1, &["10.0.0.1"]);
    let (resolver, answers) = start(settings(&[dns.address]));
    resolver.want(vec![addresses("app.test")]);
    next(&answers);
    resolver.want(Vec::new());
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(dns.asked("app.test", TYPE::A), 1);
}

#[test]
fn a_silent_name_delays_no_other_and_is_asked_for_once_at_a_time() {
    let dns = Dns::start();
    dns.mood(Mood::Silent);
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "10.0.0.9 here.test\n").unwrap();
    let fixed = Some(Settings { timeout: Duration::from_secs(2), ..settings(&[dns.address]) });
    let (resolver, answers) = start_with(Source { hosts, fixed, ..Source::default() });
    resolver
        .want((0..20).map(|n| addresses(&format!("n{n}.test"))).chain([addresses("here.test")]).collect());
    let begun = Instant::now();
    assert_eq!(ips(&next(&answers)), ["10.0.0.9"]);
    assert!(begun.elapsed() < Duration::from_secs(1));
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!((dns.asked("n0.test", TYPE::A), dns.asked("n0.test", TYPE::AAAA)), (1, 0));
}

#[test]
fn localhost_needs_no_server() {
    let (resolver, answers) = start(settings(&[]));
    resolver.want(vec![addresses("localhost"), addresses("app.localhost"), addresses("app.test")]);
    let mut all = [next(&answers), next(&answers), next(&answers)];
    all.sort_by_key(|answer| std::cmp::Reverse(answer.question.name.len()));
    assert_eq!((ips(&all[0]), ips(&all[1])), (vec!["127.0.0.1".to_owned()], vec!["127.0.0.1".to_owned()]));
    assert_eq!(trouble(&all[2]), "no name server");
}
