//! When probes come: on their grid, spread, in haste when a change is pending, and with little memory.

use evenkeel_core::config::{Down, Rule, Timing};
use evenkeel_core::evidence::{Layer, Mark, Reason, Verdict};
use evenkeel_core::hash::of_names;
use evenkeel_core::{Health, Opinion, Probe, Source, Span, Time};

const TIMING: Timing = Timing {
    every: Span::from_secs(5),
    timeout: Span::from_secs(2),
    connect_timeout: Span::from_secs(1),
    fast: Span::from_secs(1),
    fast_refused: Span::from_millis(200),
};
const RULE: Rule = Rule { down: Down::Fails { count: 3, spread: Span::from_secs(1) }, up_passes: 2 };
const BORN: Time = Time::from_nanos(1_234_567_890_123);
const QUICK: Span = Span::from_millis(1);

fn refused() -> Verdict {
    Verdict::Fail(Reason::hard(Layer::L4, Mark::Refused, "refused"))
}

fn timeout() -> Verdict {
    Verdict::Fail(Reason::hard(Layer::L4, Mark::Timeout, "timeout"))
}

/// Lets the probe that is due happen, and tells when it began.
fn run(probe: &mut Probe, verdict: &Verdict, took: Span) -> (Time, Option<Opinion>) {
    let start = probe.due();
    probe.started(start, &TIMING);
    (start, probe.observe(start + took, &TIMING, &RULE, verdict, took))
}

fn healthy(key: u64) -> Probe {
    let mut probe = Probe::new(BORN, key);
    for _ in 0..3 {
        run(&mut probe, &Verdict::Pass, QUICK);
    }
    probe
}

#[test]
fn a_year_of_slots_does_not_drift() {
    let mut probe = Probe::new(BORN, of_names(&["web", "rs1", "http"]));
    assert_eq!(run(&mut probe, &Verdict::Pass, QUICK).0, BORN, "a new server is asked at once");
    let (first, _) = run(&mut probe, &Verdict::Pass, QUICK);
    let slots = 365 * 24 * 3600 / 5;
    let mut last = first;
    for slot in 0..slots {
        let start = probe.due();
        // Whoever asks is always a little late, and it does not add up.
        probe.started(start + Span::from_millis(slot % 10), &TIMING);
        probe.observe(start + Span::from_millis(20), &TIMING, &RULE, &Verdict::Pass, QUICK);
        let gap = start.since(last);
        assert!(gap >= Span::from_millis(4_500) && gap <= Span::from_millis(5_500), "{gap}");
        last = start;
    }
    let ideal = first + TIMING.every.times(slots);
    let off = last.since(ideal).max(ideal.since(last));
    assert!(off <= Span::from_millis(500), "off by {off} in a year: one jitter, and no drift");
}

#[test]
fn probes_of_one_interval_are_spread_over_it() {
    let mut counts = [0; 10];
    for server in 0..10_000 {
        let probe = healthy(of_names(&["web", &format!("rs{server}"), "http"]));
        counts[(probe.due().as_nanos() % TIMING.every.as_nanos() * 10 / TIMING.every.as_nanos()) as usize] +=
            1;
    }
    assert!(counts.iter().all(|&count| (850..1_150).contains(&count)), "{counts:?}");
}

#[test]
fn a_restart_finds_the_same_slots() {
    let (mut old, mut new) = (healthy(42), Probe::new(BORN + Span::from_secs(1_000), 42));
    run(&mut new, &Verdict::Pass, QUICK);
    while old.due() < new.due() {
        run(&mut old, &Verdict::Pass, QUICK);
    }
    assert_eq!(old.due(), new.due());
}

#[test]
fn missed_slots_are_skipped_and_not_made_up_for() {
    let mut probe = healthy(7);
    let on_time = healthy(7);
    let late = probe.due() + Span::from_millis(31_000);
    probe.started(late, &TIMING);
    probe.observe(late + QUICK, &TIMING, &RULE, &Verdict::Pass, QUICK);
    let wait = probe.due().since(late);
    assert!(wait >= Span::from_millis(2_500) && wait <= Span::from_millis(8_000), "{wait}");
    let mut same_grid = on_time;
    while same_grid.due() < probe.due() {
        run(&mut same_grid, &Verdict::Pass, QUICK);
    }
    assert_eq!(same_grid.due(), probe.due(), "still on the grid");
}

#[test]
fn haste_while_a_change_is_pending() {
    let mut probe = healthy(9);
    let (first, _) = run(&mut probe, &refused(), QUICK);
    assert_eq!(probe.due(), first + QUICK + TIMING.fast_refused);
    let mut probes = 1;
    let down = loop {
        probes += 1;
        let (start, news) = run(&mut probe, &refused(), QUICK);
        if news.is_some_and(|opinion| opinion.health == Health::Down) {
            break start;
        }
    };
    assert_eq!(probes, 6, "five intervals of 201 ms are the first to last over a second");
    assert!(down.since(first) < Span::from_millis(1_100));
    assert!(probe.due().since(down) > Span::from_secs(2), "nothing is pending any more");

    let (pass, _) = run(&mut probe, &Verdict::Pass, QUICK);
    assert_eq!(probe.due(), pass + QUICK + TIMING.fast);
    let (_, news) = run(&mut probe, &Verdict::Pass, QUICK);
    assert_eq!(news.map(|opinion| opinion.health), Some(Health::Up));
}

#[test]
fn who_hangs_is_given_time() {
    let mut probe = healthy(9);
    let took = Span::from_millis(1_500);
    let (start, _) = run(&mut probe, &timeout(), took);
    let wait = probe.due().since(start + took);
    assert!(wait <= took.times(2), "{wait}");
    assert!(wait >= took, "{wait}: twice as long as it took, or the next slot");
}

#[test]
fn who_is_long_dead_is_asked_every_30s() {
    let mut probe = healthy(11);
    let mut down = None;
    let mut starts = Vec::new();
    for _ in 0..200 {
        let (start, news) = run(&mut probe, &refused(), QUICK);
        down = down.or(news.filter(|opinion| opinion.health == Health::Down).map(|_| start));
        starts.push(start);
    }
    let down = down.expect("two hundred fails are enough");
    let ten_minutes = down + Span::from_secs(600);
    for pair in starts.windows(2) {
        let gap = pair[1].since(pair[0]);
        if pair[0] > ten_minutes + Span::from_secs(30) {
            assert!(gap >= Span::from_secs(27) && gap <= Span::from_secs(33), "{gap}");
        } else if pair[1] < ten_minutes {
            assert!(gap <= Span::from_millis(7_500), "{gap}");
        }
    }
    run(&mut probe, &Verdict::Pass, QUICK);
    let (_, news) = run(&mut probe, &Verdict::Pass, QUICK);
    assert_eq!(news.map(|opinion| opinion.health), Some(Health::Up));
}

#[test]
fn our_own_fault_is_not_hurried_and_changes_nothing() {
    let mut probe = healthy(13);
    run(&mut probe, &refused(), QUICK);
    let before = (probe.source().opinion(), *probe.source().history());
    let (start, news) = run(&mut probe, &Verdict::Fail(Reason::local("no free port")), QUICK);
    assert_eq!(news, None);
    assert_eq!((probe.source().opinion(), *probe.source().history()), before);
    assert_eq!(probe.source().voids(), 1);
    assert!(probe.due().since(start) > Span::from_secs(2));
}

#[test]
fn a_tripped_wire_asks_at_once() {
    let mut probe = healthy(17);
    let now = probe.due() - Span::from_secs(1);
    let news = probe.trip(now).expect("to be avoided is news");
    assert_eq!((news.health, news.avoid, probe.due()), (Health::Up, true, now));
    assert_eq!(probe.trip(now), None, "but only once");
    let (_, news) = run(&mut probe, &Verdict::Pass, QUICK);
    assert_eq!(news.map(|opinion| opinion.avoid), Some(false));

    let start = probe.due();
    probe.started(start, &TIMING);
    probe.trip(start + QUICK);
    probe.observe(start + QUICK, &TIMING, &RULE, &Verdict::Pass, QUICK);
    assert_eq!(probe.due(), start + QUICK, "a pass that may be older than the loss is not trusted for long");
}

#[test]
fn extremes_do_no_harm() {
    let timings = [Span::ZERO, Span::from_nanos(1), Span::from_nanos(u64::MAX)];
    for every in timings {
        let timing = Timing { every, ..TIMING };
        for now in [Time::ZERO, Time::NEVER - Span::from_nanos(1), Time::NEVER] {
            let mut probe = Probe::new(now, u64::MAX);
            probe.started(now, &timing);
            for verdict in [refused(), timeout(), Verdict::Pass] {
                probe.observe(now, &timing, &RULE, &verdict, Span::from_nanos(u64::MAX));
            }
        }
    }
}

/// DESIGN's budget is 0.3 KiB a target, the engine's own part included.
#[test]
fn a_probe_is_small() {
    assert_eq!(std::mem::size_of::<Source>(), 64);
    assert_eq!(std::mem::size_of::<Probe>(), 88);
}
