//! How many outcomes a second one core turns into verdicts: every outcome goes through its probe, and what is new
//! through the director. Three mixes, from a quiet day to a day on which nothing holds.

use evenkeel_core::config::{
    Address, Balance, Check, CheckId, Config, Pool, PoolId, Require, Rule, Server, ServerId, Timing,
};
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::hash::{mix, of_names};
use evenkeel_core::{Change, Director, Input, Probe, Span, Time};
use std::sync::Arc;
use std::time::{Duration, Instant};

const POOLS: usize = 50;
const SERVERS: usize = 20;
const LONG_ENOUGH: Duration = Duration::from_secs(2);

fn main() {
    for (name, one_in) in [("nothing holds", 20), ("a bad day", 200)] {
        let (rate, changes) = measure(one_in);
        println!("{name}: {rate:.0} a second, {changes:.2} % of them changes (not the line that counts)");
    }
    let (rate, changes) = measure(2_000);
    println!(
        "{POOLS} pools of {SERVERS}, one state in 2000 turns, {changes:.2} % changes: {rate:.0} outcomes/s"
    );
}

/// Outcomes a second, and the share of changes among them in percent, if one in so many probes finds its server
/// turned.
fn measure(one_in: u64) -> (f64, f64) {
    let config = config();
    let check = config.pools[0].checks[0].clone();
    let mut now = Time::ZERO + Span::from_secs(1_000);
    let mut director = Director::new(now, Arc::clone(&config));
    let mut probes: Vec<(ServerId, Probe, bool)> = Vec::new();
    for pool in &config.pools {
        for server in &pool.servers {
            probes.push((server.id, Probe::new(now, of_names(&[&pool.name, &server.name])), true));
        }
    }
    let took = Span::from_millis(1);
    let fail = Verdict::Fail(Reason::soft(Layer::L7, Mark::Wrong, "status 503"));
    let (mut outcomes, mut changes, mut told) = (0u64, 0u64, 0usize);
    let begin = Instant::now();
    while begin.elapsed() < LONG_ENOUGH {
        now += check.timing.every;
        for (at, (server, probe, well)) in probes.iter_mut().enumerate() {
            outcomes += 1;
            if mix(outcomes).is_multiple_of(one_in) {
                *well = !*well;
            }
            let now = now + Span::from_micros(at as u64);
            let verdict = if *well { &Verdict::Pass } else { &fail };
            probe.started(now, &check.timing);
            if let Some(opinion) = probe.observe(now, &check.timing, &check.rule, verdict, took) {
                changes += 1;
                let evidence = Evidence::plain(verdict.clone(), took);
                let change = Change { server: *server, check: CheckId(0), opinion, evidence };
                told += director.handle(now, Input::Change(change)).len();
            }
        }
        if director.deadline().is_some_and(|deadline| deadline <= now) {
            told += director.handle(now + Span::from_millis(1), Input::Tick).len();
        }
    }
    assert!(told > 0 && director.table().version > 1, "the director had something to do");
    (outcomes as f64 / begin.elapsed().as_secs_f64(), changes as f64 * 100.0 / outcomes as f64)
}

fn config() -> Arc<Config> {
    let check =
        Check { id: CheckId(0), name: "http".into(), timing: Timing::default(), rule: Rule::default() };
    let pool = |pool: usize| {
        let server = |at: usize| Server {
            id: ServerId((pool * SERVERS + at) as u32),
            name: format!("rs{at}").into(),
            address: Address::Ip(([10, 0, pool as u8, at as u8], 80).into()),
            weight: 1,
            backup: false,
        };
        Arc::new(Pool {
            id: PoolId(pool as u32),
            name: format!("pool{pool}").into(),
            servers: (0..SERVERS).map(server).collect(),
            checks: vec![check.clone()],
            require: Require::All,
            balance: Balance::Weighted,
            min_serving: 50,
            slow_start: Span::from_secs(30),
        })
    };
    Arc::new(Config { services: Vec::new(), pools: (0..POOLS).map(pool).collect() })
}
