//! Thousands of small worlds, in which the promises are looked at after every step. A failing seed prints its last
//! hundred seconds; `SEED=n` runs one seed alone, `WORLDS=n` more of them.

#[allow(dead_code, reason = "every user of the worlds uses its part of them")]
mod worlds;

use evenkeel_core::config::ServerId;
use evenkeel_core::intent::{Origin, Wish};
use evenkeel_core::table::Duty;
use evenkeel_core::{Input, Span};
use std::sync::Arc;
use worlds::{Step, Truth, World, intent, promises, weighing};

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
        let before = (at % 13 == 0).then(|| world.director.clone());
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
            let other = Arc::new(world.configs.changed(&mut world.dice, &world.config));
            promises::reload_commutes(&before, world.now, &told, &world.config)?;
            promises::reload_commutes(&before, world.now, &told, &other)?;
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
        world.tell(Input::Weigh(server, weighing(None)));
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
        (Input::Weigh(a, _), Input::Weigh(b, _)) => a == b,
        (Input::Intent(a, x), Input::Intent(b, y)) => (a, x.origin) == (b, y.origin),
        _ => false,
    }
}
