//! What must be true of a director after every step, whatever the step was.

use crate::worlds::dice::Dice;
use evenkeel_core::config::{Address, Config, Pool, Server};
use evenkeel_core::intent::Wish;
use evenkeel_core::table::{Duty, Row};
use evenkeel_core::why::Account;
use evenkeel_core::{Director, Health, Input, Time};
use std::sync::Arc;

/// Looks at one moment.
pub(crate) fn hold(director: &Director, now: Time) -> Result<(), String> {
    for (pool, table) in director.config().pools.iter().zip(&director.table().pools) {
        let rows: Vec<Seen> =
            pool.servers.iter().zip(&table.rows).map(|(of, row)| see(director, now, of, row)).collect();
        let name = &pool.name;
        if rows.len() != pool.servers.len() || rows.iter().any(|seen| seen.row.server != seen.of.id) {
            return Err(format!("{name}: the table has other servers than the config"));
        }
        let serves = |seen: &&Seen| seen.row.duty == Duty::Serve;
        let somebody_can = rows.iter().find(|seen| seen.can_serve());
        if let (Some(seen), None) = (somebody_can, rows.iter().find(serves)) {
            return Err(format!("{name}: empty, while {} can serve", seen.of.name));
        }
        let up = rows.iter().find(|seen| !seen.of.backup && seen.is_up() && seen.row.duty == Duty::Serve);
        let backup = rows.iter().filter(serves).find(|seen| seen.of.backup);
        if let (Some(up), Some(backup)) = (up, backup) {
            return Err(format!("{name}: backup {} serves beside {}", backup.of.name, up.of.name));
        }
        if let (Some(can), Some(backup)) = (rows.iter().find(|s| !s.of.backup && s.can_serve()), backup) {
            return Err(format!("{name}: backup {} serves for {}", backup.of.name, can.of.name));
        }
        if let Some(seen) = rows.iter().filter(serves).find(|seen| seen.is_hard() && !seen.is_forced_up()) {
            return Err(format!("{name}: {} serves and fails hard", seen.of.name));
        }
        if let Some(seen) = rows.iter().filter(serves).find(|seen| !seen.is_willing()) {
            return Err(format!("{name}: {} serves against somebody's word", seen.of.name));
        }
        floor(pool, &rows)?;
        for seen in &rows {
            seen.share(pool)?;
        }
    }
    match director.deadline() {
        Some(deadline) if deadline <= now => Err("it wants to be woken in the past".to_owned()),
        _ => Ok(()),
    }
}

/// A reload that changes nothing for a server commutes with any event of it, and of any other.
pub(crate) fn reload_commutes(
    director: &Director,
    now: Time,
    event: &Input,
    config: &Arc<Config>,
) -> Result<(), String> {
    let after = |inputs: [Input; 2]| {
        let mut director = director.clone();
        for input in inputs {
            director.handle(now, input);
        }
        director
    };
    let reload = Input::Config(Arc::clone(config));
    let (one, other) = (after([event.clone(), reload.clone()]), after([reload, event.clone()]));
    if config == director.config() && one.table().pools != other.table().pools {
        return Err(format!("{event:?} and the same config do not commute"));
    }
    for pool in &config.pools {
        // What is asked of a server, and how its answers count, is its own; what its peers are is not.
        let before = director.config().pool(pool.id);
        if before.is_none_or(|old| (&old.checks, old.require) != (&pool.checks, pool.require)) {
            continue;
        }
        for server in &pool.servers {
            let (one, other) = (one.account(now, server.id), other.account(now, server.id));
            if one != other {
                return Err(format!("{}: {one:?} | {other:?}", server.name));
            }
        }
    }
    Ok(())
}

/// Opinions of several checks and servers that arrive together mean the same in any order.
pub(crate) fn order_is_nothing(
    director: &Director,
    now: Time,
    inputs: &[Input],
    dice: &mut Dice,
) -> Result<(), String> {
    let mut shuffled: Vec<&Input> = inputs.iter().collect();
    for at in (1..shuffled.len()).rev() {
        shuffled.swap(at, dice.below(at as u64 + 1) as usize);
    }
    let (mut one, mut other) = (director.clone(), director.clone());
    for input in inputs {
        one.handle(now, input.clone());
    }
    for input in shuffled {
        other.handle(now, input.clone());
    }
    for server in director.config().pools.iter().flat_map(|pool| &pool.servers) {
        let health = |director: &Director| director.account(now, server.id).map(|account| account.health);
        if health(&one) != health(&other) {
            return Err(format!(
                "{}: {:?} or {:?} by order alone",
                server.name,
                health(&one),
                health(&other)
            ));
        }
    }
    Ok(())
}

struct Seen<'a> {
    of: &'a Server,
    row: &'a Row,
    account: Account<'a>,
    wish: Wish,
}

fn see<'a>(director: &'a Director, now: Time, of: &'a Server, row: &'a Row) -> Seen<'a> {
    let account = director.account(now, of.id).expect("the director knows every server of its config");
    let wishes: Vec<Wish> = account.intents.iter().map(|intent| intent.wish).collect();
    let order = [Wish::Maint, Wish::Drain, Wish::ForceDown, Wish::ForceUp];
    let wish = order.into_iter().find(|wish| wishes.contains(wish)).unwrap_or(Wish::Ready);
    Seen { of, row, account, wish }
}

impl Seen<'_> {
    fn is_willing(&self) -> bool {
        matches!(self.wish, Wish::Ready | Wish::ForceUp)
    }

    fn is_forced_up(&self) -> bool {
        self.wish == Wish::ForceUp
    }

    fn is_up(&self) -> bool {
        self.account.health == Health::Up
    }

    fn is_hard(&self) -> bool {
        self.account.health == Health::Down && self.account.votes.iter().any(|vote| vote.opinion.hard)
    }

    fn is_addressed(&self) -> bool {
        !matches!(self.of.address, Address::Name(..))
    }

    fn can_serve(&self) -> bool {
        let fit = self.account.health != Health::Down || self.is_forced_up();
        fit && self.is_willing() && self.is_addressed() && self.account.weight > 0
    }

    /// Between a tenth and all of its weight.
    fn share(&self, pool: &Pool) -> Result<(), String> {
        let (full, share) = (u32::from(self.account.weight) * 256, self.row.weight);
        if share > full || share < full / 10 {
            return Err(format!("{}: {} has {share} of {full}", pool.name, self.of.name));
        }
        Ok(())
    }
}

/// Soft evidence alone never takes more out than `min-serving` allows, unless the backups serve.
fn floor(pool: &Pool, rows: &[Seen]) -> Result<(), String> {
    let capacity = |chosen: &dyn Fn(&Seen) -> bool| -> u64 {
        rows.iter()
            .filter(|seen| !seen.of.backup && chosen(seen))
            .map(|seen| u64::from(seen.account.weight))
            .sum()
    };
    let needed = (capacity(&|seen| seen.is_willing()) * u64::from(pool.min_serving)).div_ceil(100);
    let possible = capacity(&|seen| {
        seen.is_willing() && seen.is_addressed() && (!seen.is_hard() || seen.is_forced_up())
    });
    let serving = capacity(&|seen| seen.row.duty == Duty::Serve);
    let backups = rows.iter().any(|seen| seen.of.backup && seen.row.duty == Duty::Serve);
    if serving < needed.min(possible) && !backups {
        return Err(format!("{}: {serving} serve, {needed} should", pool.name));
    }
    Ok(())
}
