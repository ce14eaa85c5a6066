//! Random configs, and random changes of them. Ids are given as the reader of the config gives them: a thing
//! keeps its id as long as its definition, and ids are never used again.

use crate::worlds::dice::Dice;
use evenkeel_core::Span;
use evenkeel_core::config::{
    Address, Balance, Check, CheckId, Config, Down, Pool, PoolId, Require, Rule, Server, ServerId, Timing,
};
use std::sync::Arc;

pub(crate) struct Configs {
    next_id: u32,
}

impl Configs {
    pub(crate) fn new() -> Configs {
        Configs { next_id: 0 }
    }

    /// One or two small pools.
    pub(crate) fn small(&mut self, dice: &mut Dice) -> Config {
        let pools = (0..=dice.below(2)).map(|_| Arc::new(self.pool(dice)));
        Config { services: Vec::new(), pools: pools.collect() }
    }

    /// One pool of twenty like servers and two backups, asked every 30 s.
    pub(crate) fn twenty(&mut self) -> Config {
        let mut dice = Dice::new(20);
        let mut pool = self.pool(&mut dice);
        let timing = Timing { every: Span::from_secs(30), ..Timing::default() };
        pool.checks =
            vec![Check { id: CheckId(self.id()), name: "http".into(), timing, rule: Rule::default() }];
        pool.servers =
            (0..22).map(|at| Server { weight: 1, backup: at >= 20, ..self.server(&mut dice) }).collect();
        (pool.require, pool.min_serving, pool.slow_start) = (Require::All, 50, Span::from_secs(30));
        Config { services: Vec::new(), pools: vec![Arc::new(pool)] }
    }

    /// The same with one thing changed, or nothing.
    pub(crate) fn changed(&mut self, dice: &mut Dice, config: &Config) -> Config {
        let mut config = config.clone();
        let at = dice.below(config.pools.len() as u64) as usize;
        let pool = Arc::make_mut(&mut config.pools[at]);
        match dice.below(8) {
            0 => {}
            1 => pool.servers.push(self.server(dice)),
            2 if pool.servers.len() > 1 => {
                pool.servers.remove(dice.below(pool.servers.len() as u64) as usize);
            }
            3 => pool.servers[0].weight = dice.below(5) as u16,
            4 => pool.checks.push(self.check(dice)),
            5 if pool.checks.len() > 1 => {
                pool.checks.remove(0);
            }
            6 => pool.require = dice.one_of(&[Require::All, Require::Any, Require::AtLeast(2)]),
            7 => pool.servers.rotate_left(1),
            _ => pool.min_serving = dice.one_of(&[0, 30, 50, 100]),
        }
        config
    }

    fn pool(&mut self, dice: &mut Dice) -> Pool {
        Pool {
            id: PoolId(self.id()),
            name: format!("pool{}", self.next_id).into(),
            servers: (0..1 + dice.below(7)).map(|_| self.server(dice)).collect(),
            checks: (0..1 + dice.below(3)).map(|_| self.check(dice)).collect(),
            require: dice.one_of(&[Require::All, Require::All, Require::Any, Require::AtLeast(2)]),
            balance: Balance::Weighted,
            min_serving: dice.one_of(&[0, 0, 30, 50, 100]),
            slow_start: Span::from_secs(dice.one_of(&[0, 10, 30])),
        }
    }

    fn server(&mut self, dice: &mut Dice) -> Server {
        let id = self.id();
        Server {
            id: ServerId(id),
            name: format!("rs{id}").into(),
            address: Address::Ip(([10, 0, (id >> 8) as u8, id as u8], 80).into()),
            weight: if dice.one_in(10) { 0 } else { 1 + dice.below(4) as u16 },
            backup: dice.one_in(5),
        }
    }

    fn check(&mut self, dice: &mut Dice) -> Check {
        let every = Span::from_secs(dice.one_of(&[1, 5, 30]));
        let timeout = Span::from_millis(dice.one_of(&[500, 900]));
        let timing = Timing { every, timeout, ..Timing::default() };
        let count = 1 + dice.below(4) as u16;
        let down = match dice.below(3) {
            0 => Down::NoPassFor(every.times(2) + timeout + Span::from_secs(1)),
            _ => Down::Fails { count, spread: Span::from_millis(if count == 1 { 0 } else { 1_000 }) },
        };
        let rule = Rule { down, up_passes: 1 + dice.below(3) as u16 };
        Check { id: CheckId(self.id()), name: format!("check{}", self.next_id).into(), timing, rule }
    }

    fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }
}
