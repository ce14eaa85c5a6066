//! A year of checking, and thousands of small worlds, in which the promises are looked at after every step.
//! A failing seed prints its last hundred seconds; `SEED=n` runs one seed alone, `WORLDS=n` more of them.

#[allow(dead_code, reason = "every user of the worlds uses its part of them")]
mod worlds;

use evenkeel_core::config::ServerId;
use evenkeel_core::intent::{Origin, Wish};
use evenkeel_core::table::Duty;
use evenkeel_core::{Input, Span, Time};
use std::sync::Arc;
use worlds::{Step, Truth, World, intent, promises};

#[test]
fn small_worlds_keep_the_promises() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("WORLDS").unwrap_or(2_000),
    };
    for seed in seeds {
        if let Err(why) = live(seed, false) {
            let drawn = live(seed, true).map_or_else(|(_, drawn)| drawn, |()| "(only once)".to_owned());
            panic!("SEED={seed}: {}\n{drawn}", why.0);
        }
    }
}

/// Some minutes or hours of trouble, then peace, in which everybody who is healthy must come back.
fn live(seed: u64, film: bool) -> Result<(), (String, String)> {
    let fates = [1, 10, 60, 600];
    let fate = Span::from_secs(fates[seed as usize % fates.len()]);
    let mut world = World::new(seed, fate, |configs, dice| configs.small(dice));
    if film {
        world.film.roll();
    }
    trouble(&mut world, 2_000).and_then(|()| peace(&mut world)).map_err(|why| (why, world.film.draw()))
}

fn trouble(world: &mut World, steps: usize) -> Result<(), String> {
    let mut version = world.director.table().version;
    let mut pools = world.director.table().pools.clone();
    let mut latest: Vec<Input> = Vec::new();
    for at in 0..steps {
        // The dearer promises are looked at now and then.
        let before = (at % 7 == 0).then(|| world.director.clone());
        let Step::Told = world.step() else { continue };
        promises::hold(&world.director, world.now)?;
        let table = world.director.table();
        if (table.version > version) != (table.pools != pools) || table.version < version {
            return Err(format!("version {version} became {}", table.version));
        }
        (version, pools) = (table.version, table.pools.clone());
        let told = world.told.clone().expect("it was told something");
        if matches!(told, Input::Config(_)) {
            latest.clear();
            continue;
        }
        latest.retain(|old| !same_place(old, &told));
        latest.push(told.clone());
        if latest.len() > 5 {
            latest.remove(0);
        }
        if let Some(before) = before {
            promises::reload_commutes(&before, world.now, &told, &world.config)?;
            promises::order_is_nothing(&before, world.now, &latest, &mut world.dice)?;
        }
    }
    Ok(())
}

/// Everybody is healthy and nobody wants anything: soon all serve with all of their weight, and no backup does.
/// Soon is: a long-dead server's next probe, the passes it needs, the longest hold, the ramp, and some slots.
fn peace(world: &mut World) -> Result<(), String> {
    world.fate = None;
    let servers: Vec<ServerId> = world.servers().collect();
    for &server in &servers {
        world.set(server, Truth::Fine);
        for origin in [Origin::Operator, Origin::Agent] {
            world.tell(Input::Intent(server, intent(Wish::Ready, origin)));
        }
    }
    let soon = world.now + Span::from_secs(120 + 300 + 30);
    while world.now < soon {
        if let Step::Told = world.step() {
            promises::hold(&world.director, world.now)?;
        }
    }
    let config = Arc::clone(&world.config);
    for (pool, table) in config.pools.iter().zip(&world.director.table().pools) {
        let somebody = pool.servers.iter().any(|of| !of.backup && of.weight > 0);
        for (of, row) in pool.servers.iter().zip(&table.rows) {
            let expected = of.weight > 0 && of.backup != somebody;
            if (row.duty == Duty::Serve) != expected || row.weight != u32::from(of.weight) * 256 || row.avoid
            {
                return Err(format!("in peace {} is {row:?}", of.name));
            }
        }
    }
    Ok(())
}

fn same_place(one: &Input, other: &Input) -> bool {
    match (one, other) {
        (Input::Change(a), Input::Change(b)) => (a.server, a.check) == (b.server, b.check),
        (Input::Intent(a, x), Input::Intent(b, y)) => (a, x.origin) == (b, y.origin),
        _ => false,
    }
}

/// One pool of twenty servers, asked every 30 s for a year. Each breaks about once a fortnight. Nothing that
/// happens to one is ever blamed on another.
#[test]
fn a_year_of_checking() {
    let mut world = World::new(1, Span::from_secs(1), |configs, _| configs.twenty());
    world.fate = None;
    let end = world.now + Span::from_secs(365 * 24 * 3600);
    let servers: Vec<ServerId> = world.servers().take(20).collect();
    let mut next_break = world.now + Span::from_secs(3_600);
    let mut broken: Option<(ServerId, Truth, Time)> = None;
    let mut mended: Option<(ServerId, Time)> = None;
    // The first round, in which everybody is heard of.
    let (mut probes, mut breaks) = (0u64, 0u64);
    while world.now < end - Span::from_secs(365 * 24 * 3600 - 60) {
        world.step();
    }
    let (mut hang_max, mut noticed_max, mut back_max) = (Span::ZERO, Span::ZERO, Span::ZERO);
    while world.now < end {
        match world.step() {
            Step::Outcome(..) => probes += 1,
            Step::Hidden => {}
            Step::Told => {
                promises::hold(&world.director, world.now)
                    .unwrap_or_else(|why| panic!("{why} at {:?}", world.now));
                let table = &world.director.table().pools[0];
                let serves =
                    |server| table.rows.iter().any(|row| row.server == server && row.duty == Duty::Serve);
                let out = servers.iter().filter(|&&server| !serves(server)).count();
                let ailing = broken.map(|(server, ..)| server).or(mended.map(|(server, _)| server));
                assert!(
                    out <= usize::from(ailing.is_some()),
                    "{out} out, {ailing:?} ails, at {:?}",
                    world.now
                );
                if let Some((server, truth, since)) = broken.filter(|(server, ..)| !serves(*server)) {
                    let hangs = matches!(truth, Truth::Unreachable | Truth::Silent);
                    let max = if hangs { &mut hang_max } else { &mut noticed_max };
                    *max = world.now.since(since).max(*max);
                    broken = None;
                    mended = Some((server, Time::NEVER));
                } else if let Some((_, since)) = mended.filter(|(server, _)| serves(*server)) {
                    back_max = back_max.max(world.now.since(since));
                    mended = None;
                }
            }
        }
        if world.now < next_break {
            continue;
        }
        match mended {
            // It was found out; after a while it is mended.
            Some((server, Time::NEVER)) => {
                world.set(server, Truth::Fine);
                mended = Some((server, world.now));
                next_break = world.now + Span::from_secs(600);
            }
            Some((server, since)) => panic!("{server:?} is well since {since:?} and still out"),
            None => {
                assert!(broken.is_none(), "{broken:?} was not noticed");
                let truths = [Truth::Refuses, Truth::Unreachable, Truth::Silent, Truth::Wrong];
                let (server, truth) = (world.dice.one_of(&servers), world.dice.one_of(&truths));
                world.set(server, truth);
                broken = Some((server, truth, world.now));
                breaks += 1;
                let how_long = world.dice.about(Span::from_secs(3_600 * 8)) + Span::from_secs(60);
                next_break = world.now + how_long;
            }
        }
    }
    println!(
        "{probes} probes, {breaks} breaks; noticed within {noticed_max}, {hang_max} if it hung; back within {back_max}"
    );
    assert!(probes > 21_000_000, "{probes}: twenty servers, a year, every 30 s");
    assert!(breaks > 500, "{breaks}");
    // Until the next slot it is an interval and its jitter, ±5 % at both ends.
    let slot = Span::from_millis(33_000);
    assert!(
        noticed_max <= slot + Span::from_millis(2_100),
        "{noticed_max}: three answers, a second between them"
    );
    assert!(hang_max <= slot + Span::from_secs(14), "{hang_max}: three timeouts of 2 s, 4 s between them");
    assert!(back_max <= slot + Span::from_millis(1_100), "{back_max}: two passes, a second between them");
}
