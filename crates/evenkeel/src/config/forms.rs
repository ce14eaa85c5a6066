//! What may stand in a config, as data: services, pools and what they hold. The lines of the checks come from
//! the checks' own tables.

use super::names;
use evenkeel_check::words::{COMMON_BLOCK, TIMING_KEYS, kinds};
use evenkeel_syntax::form::{Count, Form, Shape, Slot};
use std::sync::LazyLock;

/// Everything that may stand outside of any block, once defaults and inheritance are worked in.
pub(super) fn root() -> &'static [&'static [Form]] {
    ROOT.as_slice()
}

/// What named checks stand for: only the lines `check KIND …`.
pub(super) fn check_block() -> &'static [&'static [Form]] {
    &CHECK_BLOCK[..]
}

static CHECK_BLOCK: LazyLock<[&'static [Form]; 1]> = LazyLock::new(|| [checks()]);

/// The line `check KIND …` of every kind, `check none` first.
pub(super) fn checks() -> &'static [Form] {
    CHECKS.as_slice()
}

static CHECKS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let none = Form {
        head: "check none",
        names: &[],
        keys: &[],
        block: None,
        count: Count::Any,
        doc: "Nobody asks: every server of the pool counts as up. A pool without any `check` line is an error, \
              because it is so easily forgotten.",
    };
    let mut forms = vec![none];
    forms.extend(kinds().iter().map(|kind| kind.form));
    forms
});

static ROOT: LazyLock<Vec<&'static [Form]>> = LazyLock::new(|| {
    // Forms refer to each other by `'static`; the lines of the checks are known only at run time, so the pool's
    // form is made once and never freed.
    let block: &'static [&'static [Form]] =
        Vec::leak(vec![SERVERS, &[names::SERVERS], CHECKS.as_slice(), COMMON_BLOCK, POOL_SETTINGS]);
    let pool = Form { block: Some(block), ..POOL };
    vec![SERVICE, Vec::leak(vec![pool, DEFAULTS, names::RESOLVER])]
});

const DEFAULTS: Form = Form {
    head: "defaults",
    names: &[],
    keys: &[],
    block: Some(&[DEFAULT_CHECK, COMMON_BLOCK, POOL_SETTINGS, SERVICE_SETTINGS]),
    count: Count::Maybe,
    doc: "What holds for every pool, check and service that does not say otherwise.",
};

const SERVICE: &[Form] = &[Form {
    head: "service",
    names: &[name("name", Shape::Name, "What it is called in logs, metrics and on the command line.")],
    keys: &[],
    block: Some(&[SERVICE_BLOCK, SERVICE_SETTINGS]),
    count: Count::Any,
    doc: "An address that users come to, and the pool that serves them.",
}];

const SERVICE_BLOCK: &[Form] = &[
    Form {
        head: "listen",
        names: &[
            name(
                "address",
                Shape::Address,
                "`10.0.0.1:80`, `[::1]:80`, `*:80` (every address of this host) or `unix:/run/web.sock`.",
            ),
            Slot {
                name: "protocol",
                shape: Shape::OneOf(&["tcp", "http"]),
                optional: true,
                default: Some("tcp"),
                doc: "`tcp` carries bytes; `http` understands requests, which `route` and retries need.",
            },
        ],
        keys: &[&[Slot {
            name: "defer",
            shape: Shape::Flag,
            optional: true,
            default: None,
            doc: "Wakes only when the client has said something (`TCP_DEFER_ACCEPT`, tcp(7)).",
        }]],
        block: None,
        count: Count::Any,
        doc: "Where users come to. May stand several times; needed unless the plane is `none`.",
    },
    Form {
        head: "pool",
        names: &[name("pool", Shape::Name, "The name of a pool.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "Who serves, unless a `route` says otherwise.",
    },
    Form {
        head: "route",
        names: &[
            name("prefix", Shape::Path, "What the path of a request begins with."),
            literal("pool"),
            name("pool", Shape::Name, "The name of a pool."),
        ],
        keys: &[],
        block: None,
        count: Count::Any,
        doc: "Requests whose path begins so go to this pool; the first line that fits wins. Needs `http`.",
    },
    Form {
        head: "plane",
        names: &[Slot {
            name: "plane",
            shape: Shape::OneOf(&["relay", "none"]),
            optional: false,
            default: Some("relay"),
            doc: "`relay`: the built-in one. `none`: health is judged and told, traffic goes its own way.",
        }],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "What carries the traffic.",
    },
];

const SERVICE_SETTINGS: &[Form] = &[
    Form {
        head: "retry",
        names: &[
            name("times", Shape::Number { min: 1, max: 10 }, "Tries beside the first."),
            literal("on"),
            name(
                "on",
                Shape::Rest,
                "`connect`, `reset` (closed before the first byte of an answer), `timeout`, and statuses from 400 \
                 to 599.",
            ),
        ],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "When a request that failed at one server is tried at another. Default: `retry 1 on connect`. A request \
              of which nothing was sent is always redispatched. Statuses need `http`.",
    },
    Form {
        head: "retry off",
        names: &[],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "A request that was sent is never tried again.",
    },
    Form {
        head: "retry-budget",
        names: &[name("share", Shape::Percent, "Of all requests. Default: 20%.")],
        keys: &[&[Slot {
            name: "plus",
            shape: Shape::Number { min: 0, max: 10_000 },
            optional: true,
            default: Some("3"),
            doc: "So many a second beside the share.",
        }]],
        block: None,
        count: Count::Maybe,
        doc: "Bounds the tries of requests that were already sent, so that retries never become the overload.",
    },
    Form {
        head: "timeout",
        names: &[],
        keys: &[TIMEOUTS],
        block: None,
        count: Count::Any,
        doc: "Deadlines of the relay, one or more on a line.",
    },
    Form {
        head: "limit",
        names: &[],
        keys: &[LIMITS],
        block: None,
        count: Count::Any,
        doc: "Sizes that the relay accepts, one or more on a line.",
    },
];

/// Keys of `timeout`.
const TIMEOUTS: &[Slot] = &[
    key("connect", Shape::Time, "1s", "Until a server has accepted."),
    key("first-byte", Shape::Time, "30s", "Until the first byte of its answer."),
    key("body-idle", Shape::Time, "30s", "Between two bytes of a body."),
    key("overall", Shape::Time, "60s", "Bounds all tries of one request."),
    key("client-head", Shape::Time, "10s", "Until a client has sent a whole head."),
    key("client-idle", Shape::Time, "60s", "Between two requests of a client."),
    key("tcp-idle", Shape::Time, "1h", "`tcp`: without a byte either way."),
    key("half-closed", Shape::Time, "30s", "`tcp`: after one side has closed."),
    key("drain", Shape::Time, "60s", "After this, what remains of a draining server is cut."),
];

/// Keys of `limit`.
const LIMITS: &[Slot] = &[
    key("head-size", Shape::Size, "32KiB", "Bytes of a request's head. More is answered with 431."),
    key(
        "head-fields",
        Shape::Number { min: 1, max: 1000 },
        "100",
        "Fields of a request's head. More is 431.",
    ),
];

const POOL: Form = Form {
    head: "pool",
    names: &[name("name", Shape::Name, "What services and routes call it.")],
    keys: &[],
    block: None,
    count: Count::Any,
    doc: "Servers that do the same job.",
};

const SERVERS: &[Form] = &[
    Form {
        head: "server",
        names: SERVER_NAMES,
        keys: &[SERVER_KEYS],
        block: None,
        count: Count::Some,
        doc: "One of the servers. Of a name with several addresses it is one of them, for as long as the name has it.",
    },
    Form {
        head: "backup",
        names: SERVER_NAMES,
        keys: &[SERVER_KEYS, BACKUP_KEYS],
        block: None,
        count: Count::Any,
        doc: "A sorry server: serves only while no other can. Unless `checked`, the pool's checks do not ask it: a \
              page of apologies seldom passes them, and the last resort is tried in any case.",
    },
    Form {
        head: "sorry",
        names: SERVER_NAMES,
        keys: &[SERVER_KEYS, BACKUP_KEYS],
        block: None,
        count: Count::Any,
        doc: "The same as `backup`.",
    },
];

const SERVER_NAMES: &[Slot] = &[
    name("name", Shape::Name, "Unique in its pool."),
    name("address", Shape::Address, "`10.0.0.1:80`, `[::1]:80`, `app1.internal:80` or `unix:/run/app.sock`."),
];

const SERVER_KEYS: &[Slot] = &[key(
    "weight",
    Shape::Number { min: 0, max: 256 },
    "1",
    "Its share of the work beside the others'. 0: listed, but gets no new work.",
)];

const BACKUP_KEYS: &[Slot] = &[Slot {
    name: "checked",
    shape: Shape::Flag,
    optional: true,
    default: None,
    doc: "The pool's checks ask it as they ask the servers; while it is down it does not serve.",
}];

const POOL_SETTINGS: &[Form] = &[
    Form {
        head: "require",
        names: &[name("which", Shape::OneOf(&["all", "any"]), "")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "How many of the pool's checks must pass for a server to be up. Default: all.",
    },
    Form {
        head: "require",
        names: &[
            name("passing", Shape::Number { min: 1, max: 100 }, "So many must pass."),
            literal("of"),
            name("checks", Shape::Number { min: 1, max: 100 }, "How many checks the pool has."),
        ],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "So many of the pool's checks must pass for a server to be up.",
    },
    Form {
        head: "balance",
        names: &[name(
            "method",
            Shape::OneOf(&["weighted", "least", "two", "first", "hash", "maglev"]),
            "`weighted`: in turn, by weight. `least`: fewest requests under way. `two`: the less busy of two drawn by \
             weight. `first`: the first that serves, in the order of the file. `hash` and `maglev` keep a client \
             with its server.",
        )],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "How work is shared out. Default: weighted.",
    },
    Form {
        head: "balance",
        names: &[
            name("method", Shape::OneOf(&["hash", "maglev"]), ""),
            name(
                "key",
                Shape::OneOf(&["source", "path"]),
                "The client's address, or the request's path without its query.",
            ),
        ],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "The same key goes to the same server. Without a key: `source`.",
    },
    Form {
        head: "balance",
        names: &[
            name("method", Shape::OneOf(&["hash", "maglev"]), ""),
            literal("header"),
            name("header", Shape::Text, "A request header's name."),
        ],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "Requests with the same value of this header go to the same server. Needs `http`.",
    },
    Form {
        head: "min-serving",
        names: &[name("share", Shape::Percent, "Of the pool's capacity. Default: 0%.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "Soft evidence (wrong answers, slow answers) never takes more than the rest of the capacity out. A \
              server that refuses connections gets nothing all the same.",
    },
    Form {
        head: "slow-start",
        names: &[name("time", Shape::Time, "Default: 30s. `0s`: at once.")],
        keys: &[],
        block: None,
        count: Count::Maybe,
        doc: "From a tenth of its weight to all of it, after a server came back.",
    },
];

/// `check every 10s timeout 3s` in `defaults`.
const DEFAULT_CHECK: &[Form] = &[Form {
    head: "check",
    names: &[],
    keys: &[TIMING_KEYS],
    block: None,
    count: Count::Maybe,
    doc: "When every check asks that does not say otherwise.",
}];

pub(super) const fn name(name: &'static str, shape: Shape, doc: &'static str) -> Slot {
    Slot { name, shape, optional: false, default: None, doc }
}

const fn literal(word: &'static str) -> Slot {
    Slot { name: word, shape: Shape::Literal(word), optional: false, default: None, doc: "" }
}

pub(super) const fn key(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Slot {
    Slot { name, shape, optional: true, default: Some(default), doc }
}
