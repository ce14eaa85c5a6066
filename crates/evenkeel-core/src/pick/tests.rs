//! Shares follow weights, keys stay where they are, and nobody is picked who should not be.

use super::*;
use crate::config::{Address, HashKey, PoolId, ServerId};
use crate::hash::mix;
use crate::table::{Row, Sessions};

const ALL: [Balance; 6] = [
    Balance::Weighted,
    Balance::Least,
    Balance::Two,
    Balance::Hash(HashKey::Source),
    Balance::Maglev(HashKey::Source),
    Balance::First,
];

fn table(balance: &Balance, weights: &[u32]) -> PoolTable {
    let row = |(at, &weight): (usize, &u32)| Row {
        server: ServerId(at as u32),
        name: format!("rs{at}").into(),
        address: Address::Name("x".into(), 1),
        duty: Duty::Serve,
        weight: weight * 256,
        backup: false,
        spare: false,
        avoid: false,
    };
    let rows = weights.iter().enumerate().map(row).collect();
    PoolTable { id: PoolId(0), name: "web".into(), balance: balance.clone(), rows }
}

/// How often each row is picked in `picks` picks of an idle pool.
fn shares(picker: &mut Picker, rows: usize, picks: u64) -> Vec<u64> {
    let mut counts = vec![0; rows];
    for n in 0..picks {
        let ask = Ask { key: mix(n), random: mix(n + 1_000_000), ..Ask::default() };
        counts[picker.pick(&ask).unwrap()] += 1;
    }
    counts
}

#[test]
fn shares_follow_weights() {
    let weights = [1, 2, 3, 10];
    for balance in &ALL[..5] {
        let counts = shares(&mut Picker::new(&table(balance, &weights), None), 4, 100_000);
        for (count, weight) in counts.iter().zip(weights) {
            let expected = 100_000.0 * f64::from(weight) / 16.0;
            let off = (*count as f64 - expected).abs() / expected;
            assert!(off < 0.05, "{balance:?}: {counts:?}");
        }
    }
    assert_eq!(shares(&mut Picker::new(&table(&Balance::First, &weights), None), 4, 100), [100, 0, 0, 0]);
}

#[test]
fn weighted_is_smooth_and_goes_on_over_a_new_table() {
    let table = table(&Balance::Weighted, &[5, 1, 1]);
    let mut picker = Picker::new(&table, None);
    let mut order = Vec::new();
    for _ in 0..7 {
        picker = Picker::new(&table, Some(&picker));
        order.push(picker.pick(&Ask::default()).unwrap());
    }
    assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn least_and_two_prefer_the_idle_by_weight() {
    for balance in [Balance::Least, Balance::Two] {
        let mut picker = Picker::new(&table(&balance, &[1, 3]), None);
        for n in 0..1_000 {
            let pick =
                |picker: &mut Picker, busy| picker.pick(&Ask { random: mix(n), busy, ..Ask::default() });
            assert_eq!(pick(&mut picker, &[1, 2]), Some(1), "{balance:?}: 1/1 is busier than 2/3");
            assert_eq!(pick(&mut picker, &[1, 4]), Some(0), "{balance:?}: 4/3 is busier than 1/1");
        }
    }
}

#[test]
fn nobody_is_picked_who_should_not_be() {
    for balance in &ALL {
        let mut table = table(balance, &[1, 1, 1, 1, 1]);
        table.rows[0].duty = Duty::Drain;
        table.rows[1].duty = Duty::Out(Sessions::Cut);
        table.rows[2].weight = 0;
        table.rows[3].avoid = true;
        let mut picker = Picker::new(&table, None);
        for n in 0..100 {
            let ask = Ask { key: mix(n), random: mix(n), ..Ask::default() };
            assert_eq!(picker.pick(&ask), Some(4), "{balance:?}");
            let again = Ask { tried: &[4], ..ask };
            assert_eq!(picker.pick(&again), Some(3), "{balance:?}: better to be avoided than nobody");
            assert_eq!(picker.pick(&Ask { tried: &[4, 3], ..ask }), None, "{balance:?}");
        }
        assert_eq!(Picker::new(&self::table(balance, &[]), None).pick(&Ask::default()), None);
    }
}

#[test]
fn the_keys_of_a_server_that_left_are_the_only_ones_to_move() {
    let most_moved_of_others = [(Balance::Hash(HashKey::Source), 0), (Balance::Maglev(HashKey::Source), 300)];
    for (balance, most) in most_moved_of_others {
        // One more than the smallest table of `maglev` is made for: its size must not change with who serves.
        let whole = table(&balance, &[1; 17]);
        let mut less = whole.clone();
        less.rows[7].duty = Duty::Out(Sessions::Keep);
        let (mut before, mut after) = (Picker::new(&whole, None), Picker::new(&less, None));
        let moved = |n: &u64| {
            let ask = Ask { key: mix(*n), ..Ask::default() };
            let home = before.pick(&ask);
            home != Some(7) && home != after.pick(&ask)
        };
        let count = (0..10_000).filter(moved).count();
        assert!(count <= most, "{balance:?}: {count} of 10000");
    }
}

#[test]
fn a_second_try_spreads_the_keys_of_the_first() {
    for balance in &ALL[..5] {
        let mut picker = Picker::new(&table(balance, &[1; 5]), None);
        let mut seconds = [0; 5];
        for n in 0..10_000 {
            let ask = Ask { key: mix(n), random: mix(n + 7), tried: &[2], ..Ask::default() };
            seconds[picker.pick(&ask).unwrap()] += 1;
        }
        assert_eq!(seconds[2], 0);
        assert!(seconds.iter().enumerate().all(|(at, &n)| at == 2 || n > 2_000), "{balance:?}: {seconds:?}");
    }
}
