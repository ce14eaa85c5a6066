//! Health times intent is duty: the truth table of DESIGN's precedence, row by row, for one server of two whose
//! peer is up. maint > drain > force > evidence, of whichever origin.

use evenkeel_core::config::*;
use evenkeel_core::evidence::{Evidence, Layer, Mark, Reason, Verdict};
use evenkeel_core::intent::{Intent, Origin, Wish};
use evenkeel_core::{Change, Director, Health, Input, Opinion, Span, Time};
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
