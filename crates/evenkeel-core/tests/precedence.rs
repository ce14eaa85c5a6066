//! Health times intent is duty: the truth table of DESIGN's precedence, row by row, for one server of two whose
//! peer is up. maint > drain > force > evidence, of whichever origin.

use evenkeel_core::config::*;
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::intent::{Intent, Origin, Weighing, Wish};
use evenkeel_core::{Change, Director, Health, Input, Opinion, Restored, Span, Time};
use std::sync::Arc;

const TABLE: &str = "
operator    agent   up       unknown  soft     hard
-           -       serving  out      out      out/cut
-           drain   draining draining draining draining
-           maint   out      out      out      out
force-up    -       serving  serving  serving  serving
force-up    drain   draining draining draining draining
force-up    maint   out      out      out      out
force-down  -       out      out      out      out
force-down  drain   draining draining draining draining
force-down  maint   out      out      out      out
drain       -       draining draining draining draining
drain       drain   draining draining draining draining
drain       maint   out      out      out      out
maint       -       out      out      out      out
maint       drain   out      out      out      out
maint       maint   out      out      out      out
";

#[test]
fn the_truth_table_holds_row_by_row() {
    let mut rows = TABLE.trim().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let head = rows.next().expect("the table has a head");
    for row in rows {
        for column in 2..head.len() {
            let found = duty(row[0], row[1], head[column], false);
            assert_eq!(found, row[column], "operator {}, agent {}, {}", row[0], row[1], head[column]);
            let found = duty(row[0], row[1], head[column], true);
            assert_eq!(found, row[column], "the same, with the words said first");
        }
    }
}

/// What the file says, what somebody says, and what follows for an up server: a weight says how much, never whether
/// against a word; 0 means no new work.
const WEIGHTS: &str = "
file  said  wish        duty
1     -     -           serving*1
1     0     -           draining*0
1     50    -           serving*50
0     -     -           draining*0
0     5     -           serving*5
1     0     force-up    draining*0
1     50    drain       draining*50
1     0     maint       out*0
1     50    force-down  out*50
";

#[test]
fn a_weight_that_somebody_says_stands_in_place_of_the_files_over_reloads() {
    for row in WEIGHTS.trim().lines().skip(1) {
        let row: Vec<&str> = row.split_whitespace().collect();
        let mut file = (*config()).clone();
        let pool = Arc::make_mut(&mut file.pools[0]);
        pool.servers[0].weight = row[0].parse().expect("a weight");
        let file = Arc::new(file);
        let mut director = Director::new(Time::ZERO, file.clone());
        let mut inputs = vec![change(0, "up"), change(1, "up")];
        inputs.extend(row[1].parse().ok().map(weigh));
        inputs.extend(wish_of(row[2]).map(|wish| intent(wish, Origin::Operator)));
        inputs.push(Input::Config(file));
        for input in inputs {
            director.handle(Time::ZERO, input);
        }
        let found = &director.table().pools[0].rows[0];
        assert_eq!(format!("{}*{}", found.duty, found.weight / 256), row[3], "{row:?}");
        let account = director.account(Time::ZERO, ServerId(0)).expect("it is known");
        assert_eq!(account.weighing.is_some(), row[1] != "-");
    }
}

#[test]
fn a_weight_is_told_once_and_taken_back() {
    let mut director = Director::new(Time::ZERO, config());
    let told: Vec<String> = director.handle(Time::ZERO, weigh(50)).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["pool web server rs0: weight 50 by ann: cold (the config says 1)"]);
    assert!(director.handle(Time::ZERO, weigh(50)).is_empty());
    let back = Weighing { weight: None, author: "ann".into(), reason: "".into(), until: None };
    let told = director.handle(Time::ZERO, Input::Weigh(ServerId(0), back));
    assert_eq!(told[0].to_string(), "pool web server rs0: weight as configured by ann (the config says 1)");
    assert_eq!(director.table().pools[0].rows[0].weight, 256);
}

#[test]
fn what_is_restored_fills_gaps_only_and_turns_nobody() {
    let mut director = Director::new(Time::ZERO, config());
    director.handle(Time::ZERO, change(0, "up"));
    let told = director.handle(Time::ZERO, Input::Restored(vec![restored(0), restored(1), restored(7)]));
    let duties: Vec<String> = director.table().pools[0].rows.iter().map(|row| row.duty.to_string()).collect();
    assert_eq!(duties, ["serving", "out"], "what was heard since stands");
    assert!(
        !told.iter().any(|event| matches!(event, evenkeel_core::event::Event::Health { .. })),
        "{told:?}"
    );
    let account = director.account(Time::ZERO, ServerId(1)).expect("it is known");
    assert_eq!((account.health, account.held_until), (Health::Down, None));
}

fn restored(server: u32) -> Restored {
    let Input::Change(Change { server, check, opinion, evidence }) = change(server, "hard") else {
        unreachable!("change makes changes")
    };
    Restored { server, check, opinion, evidence, since: Time::ZERO }
}

fn weigh(weight: u16) -> Input {
    let weighing =
        Weighing { weight: Some(weight), author: "ann".into(), reason: "cold".into(), until: None };
    Input::Weigh(ServerId(0), weighing)
}

fn duty(operator: &str, agent: &str, evidence: &str, words_first: bool) -> String {
    let mut director = Director::new(Time::ZERO, config());
    let mut inputs = vec![change(1, "up")];
    inputs.push(change(0, evidence));
    let words = [(operator, Origin::Operator), (agent, Origin::Agent)];
    let words = words.into_iter().filter_map(|(wish, origin)| Some(intent(wish_of(wish)?, origin)));
    if words_first {
        inputs.splice(0..0, words);
    } else {
        inputs.extend(words);
    }
    for input in inputs {
        director.handle(Time::ZERO, input);
    }
    let row = &director.table().pools[0].rows[0];
    let cut = row.duty == evenkeel_core::table::Duty::Out(evenkeel_core::table::Sessions::Cut);
    format!("{}{}", row.duty, if cut { "/cut" } else { "" })
}

fn wish_of(word: &str) -> Option<Wish> {
    match word {
        "-" => None,
        "force-up" => Some(Wish::ForceUp),
        "force-down" => Some(Wish::ForceDown),
        "drain" => Some(Wish::Drain),
        "maint" => Some(Wish::Maint),
        other => panic!("{other} is no wish"),
    }
}

fn intent(wish: Wish, origin: Origin) -> Input {
    Input::Intent(ServerId(0), Intent { wish, origin, author: "ann".into(), reason: "".into(), until: None })
}

fn change(server: u32, evidence: &str) -> Input {
    let (health, verdict) = match evidence {
        "up" => (Health::Up, Verdict::Pass),
        "unknown" => (Health::Unknown, Verdict::Pass),
        "soft" => (Health::Down, Verdict::Fail(Reason::soft(Layer::L7, Mark::Wrong, "status 503"))),
        "hard" => (Health::Down, Verdict::Fail(Reason::hard(Layer::L4, Mark::Refused, "refused"))),
        other => panic!("{other} is no evidence"),
    };
    let opinion = Opinion { health, hard: evidence == "hard", avoid: false, streak: 3 };
    let evidence = Evidence::plain(verdict, Span::from_millis(1));
    Input::Change(Change { server: ServerId(server), check: CheckId(0), opinion, evidence })
}

fn config() -> Arc<Config> {
    let server = |at: u32| Server {
        id: ServerId(at),
        name: format!("rs{at}").into(),
        address: Address::Ip(([127, 0, 0, 1], 80).into()),
        weight: 1,
        backup: false,
    };
    let check =
        Check { id: CheckId(0), name: "http".into(), timing: Timing::default(), rule: Rule::default() };
    let pool = Pool {
        id: PoolId(0),
        name: "web".into(),
        servers: vec![server(0), server(1)],
        checks: vec![check],
        require: Require::All,
        balance: Balance::Weighted,
        min_serving: 0,
        slow_start: Span::ZERO,
    };
    Arc::new(Config { services: Vec::new(), pools: vec![Arc::new(pool)] })
}
