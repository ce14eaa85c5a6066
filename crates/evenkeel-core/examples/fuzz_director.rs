//! Feeds the core whatever its types allow, plausible or not, and looks at the promises after every input.
//! `fuzz_director SECONDS [SEED]`; a seed that fails is printed and fails again.

#[allow(dead_code, reason = "every user of the worlds uses its part of them")]
#[path = "../tests/worlds/mod.rs"]
mod worlds;

use evenkeel_core::config::{Address, CheckId, Config, Down, Pool, Rule, ServerId, Timing};
use evenkeel_core::intent::{Origin, Wish};
use evenkeel_core::{Change, Director, Health, Input, Opinion, Probe, Span, Time};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use worlds::configs::Configs;
use worlds::dice::Dice;
use worlds::{Truth, evidence, intent, promises, weighing};

const INPUTS: usize = 500;
const TRUTHS: [Truth; 6] =
    [Truth::Fine, Truth::Refuses, Truth::Unreachable, Truth::Silent, Truth::Wrong, Truth::Ours];

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let end = Instant::now() + Duration::from_secs(numbers.next().unwrap_or(10));
    let first = numbers.next().unwrap_or(0);
    let mut seed = first;
    while Instant::now() < end || seed == first {
        if let Err(why) = director(seed) {
            eprintln!("seed {seed}: {why}");
            return ExitCode::FAILURE;
        }
        probe(seed);
        seed += 1;
    }
    println!("{} directors with {INPUTS} inputs each, and as many probes: no promise broken", seed - first);
    ExitCode::SUCCESS
}

fn director(seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut configs = Configs::new();
    let mut config = Arc::new(bent(&mut dice, &configs.small(&mut Dice::new(seed))));
    let mut now = jump(&mut dice, Time::ZERO);
    let mut director = Director::new(now, Arc::clone(&config));
    for _ in 0..INPUTS {
        promises::hold(&director, now)?;
        now = jump(&mut dice, now);
        let server = ServerId(dice.below(12) as u32);
        let input = match dice.below(12) {
            0 => Input::Tick,
            1 => {
                let changed = configs.changed(&mut dice, &config);
                config = Arc::new(bent(&mut dice, &changed));
                Input::Config(Arc::clone(&config))
            }
            2 | 3 => {
                let wish = [Wish::Ready, Wish::ForceUp, Wish::ForceDown, Wish::Drain, Wish::Maint];
                let (wish, origin) = (dice.one_of(&wish), dice.one_of(&[Origin::Operator, Origin::Agent]));
                Input::Intent(server, intent(wish, origin))
            }
            4 => Input::Weigh(
                server,
                weighing(dice.one_of(&[None, Some(0), Some(3), Some(256), Some(65_535)])),
            ),
            _ => Input::Change(Change {
                server,
                check: CheckId(dice.below(16) as u32),
                opinion: Opinion {
                    health: dice.one_of(&[Health::Unknown, Health::Up, Health::Up, Health::Down]),
                    hard: dice.one_in(2),
                    avoid: dice.one_in(4),
                    streak: dice.roll() as u32,
                },
                evidence: evidence(dice.one_of(&TRUTHS), Span::from_nanos(dice.roll())),
            }),
        };
        for event in director.handle(now, input) {
            assert!(!event.to_string().is_empty());
        }
    }
    Ok(())
}

/// Weights, floors and ramps that no reader of a config would let pass, servers without an address, pools without
/// servers and without checks.
fn bent(dice: &mut Dice, config: &Config) -> Config {
    let mut config = config.clone();
    for pool in &mut config.pools {
        let pool: &mut Pool = Arc::make_mut(pool);
        if dice.one_in(2) {
            continue;
        }
        pool.min_serving = dice.roll() as u8;
        pool.slow_start = Span::from_nanos(dice.roll() >> dice.below(64));
        for server in &mut pool.servers {
            server.weight = (dice.roll() >> dice.below(64)) as u16;
            if dice.one_in(8) {
                server.address = Address::Name("nowhere".into(), 80);
            }
        }
        match dice.below(20) {
            0 => pool.checks.clear(),
            1 => pool.servers.truncate(1),
            _ => {}
        }
    }
    config
}

fn probe(seed: u64) {
    let mut dice = Dice::new(!seed);
    let span = |dice: &mut Dice| Span::from_nanos(dice.roll() >> dice.below(64));
    let timing = Timing {
        every: span(&mut dice),
        timeout: span(&mut dice),
        connect_timeout: span(&mut dice),
        fast: span(&mut dice),
        fast_refused: span(&mut dice),
    };
    let down = match dice.one_in(2) {
        true => Down::NoPassFor(span(&mut dice)),
        false => Down::Fails { count: dice.roll() as u16 >> dice.below(16), spread: span(&mut dice) },
    };
    let rule = Rule { down, up_passes: dice.roll() as u16 >> dice.below(16) };
    let mut now = jump(&mut dice, Time::ZERO);
    let mut probe = Probe::new(now, dice.roll());
    for _ in 0..INPUTS {
        now = jump(&mut dice, now);
        match dice.below(8) {
            0 => drop(probe.trip(now)),
            1 => drop(probe.expire(now, &rule)),
            3 => probe.started(now, &timing),
            _ => {
                let took = span(&mut dice);
                let verdict = evidence(dice.one_of(&TRUTHS), took).verdict;
                probe.observe(now, &timing, &rule, &verdict, took);
            }
        }
        let drawn = probe.source().history().to_string();
        assert!(drawn.len() <= 64 && probe.deadline(&rule).is_none_or(|deadline| deadline >= Time::ZERO));
    }
}

fn jump(dice: &mut Dice, now: Time) -> Time {
    let spans = [0, 1, 1_000_000, 1_000_000_000, 30_000_000_000, 3_600_000_000_000];
    now + Span::from_nanos(dice.one_of(&spans))
}
