//! A story as it is written: who takes part, what evenkeel is told, what happens and what must be true. It reads
//! words; nothing here starts or asks anything. The words are explained in `tests/stories/README.md`.

use evenkeel_syntax::{Directive, Tree, format, parse, render};
use std::time::Duration;

/// One file of `tests/stories`.
pub(crate) struct Story {
    /// The file's name without its ending.
    pub(crate) name: String,
    /// Everything must be over by then.
    pub(crate) limit: Duration,
    /// Addresses that the loopback interface is given for the story.
    pub(crate) addresses: Vec<String>,
    /// The servers.
    pub(crate) actors: Vec<Actor>,
    /// Configs by name; the first one is called `evenkeel` unless it has a name.
    pub(crate) configs: Vec<(String, String)>,
    /// In their order.
    pub(crate) steps: Vec<Step>,
}

/// A server of a story.
pub(crate) struct Actor {
    /// Its name, also in the header `x-server` of its answers.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: String,
    /// A real nginx instead of the fault server.
    pub(crate) nginx: bool,
    /// Not started by `start` without a name.
    pub(crate) absent: bool,
}

/// One line of `play`.
pub(crate) struct Step {
    /// Of the file.
    pub(crate) line: u32,
    /// As it is written.
    pub(crate) text: String,
    /// What is done.
    pub(crate) act: Act,
}

/// What is done.
pub(crate) enum Act {
    /// Starts these servers; none means all that are not absent.
    Start(Vec<String>),
    /// Starts evenkeel with the first config and these options, and waits for its admin socket.
    Run(Vec<String>),
    /// Gives evenkeel another config and SIGHUP.
    Reload(String),
    /// Runs evenkeel to its end; it must fail and say all of this. `true`: without the right to low ports.
    RunFails(bool, Vec<String>),
    /// Stops evenkeel by SIGTERM; it must end well.
    Stop,
    /// Kills servers.
    Kill(Vec<String>),
    /// Stops servers' processes in their tracks.
    Freeze(Vec<String>),
    /// Lets them go on.
    Thaw(Vec<String>),
    /// Tells a server how to behave.
    Tell(String, String),
    /// Starts a client: its name, whom it asks, and further words for `evenkeel fault ask`.
    Ask(String, String, Vec<String>),
    /// Opens an upgraded connection that goes on talking.
    Talk(String, String),
    /// Lets time go by.
    Wait(Duration),
    /// Something must be true.
    Must(When, Condition),
}

/// When something must be true, counted from the last thing that was done to anyone.
#[derive(Clone, Copy)]
pub(crate) enum When {
    /// At this moment.
    Now,
    /// From some moment between these two.
    Within(Duration, Duration),
    /// From this moment on for so long.
    For(Duration),
}

/// What must be true.
pub(crate) enum Condition {
    /// Exactly these servers get new work in the pool.
    Serves(String, Vec<String>),
    /// The server's health or duty has this word.
    Server(String, String),
    /// In the last half second all of the client's requests were answered, by exactly these servers.
    ServedBy(String, Vec<String>),
    /// In the last half second all of the client's requests ended like this.
    Gets(String, String),
    /// So many of the client's requests failed at most, since its start.
    Lost(String, usize),
    /// None of the client's requests took longer.
    Waited(String, Duration),
    /// evenkeel's log has this text, or not.
    Log(bool, String),
    /// A file of the story's folder has this text.
    File(String, String),
    /// `evenkeel why SERVER` says this.
    Why(String, String),
    /// The upgraded connection still talks, or has been cut.
    Talks(String, bool),
    /// The server has heard at most so many requests since its start.
    Heard(String, u64),
}

/// Reads a story. `folder` replaces `$DIR`.
pub(crate) fn read(name: &str, text: &str, folder: &str) -> Result<Story, String> {
    let (tree, faults) = parse(&format!("{name}.story"), text.replace("$DIR", folder).as_bytes());
    if !faults.is_empty() {
        return Err(render(&faults, &tree.files));
    }
    let mut story = Story {
        name: name.to_owned(),
        limit: Duration::from_secs(60),
        addresses: Vec::new(),
        actors: Vec::new(),
        configs: Vec::new(),
        steps: Vec::new(),
    };
    for directive in &tree.root {
        take(&mut story, directive)
            .map_err(|fault| format!("{name}.story:{}: {fault}", directive.place.line))?;
    }
    let known = |wanted: &str| story.actors.iter().any(|actor| actor.name == wanted);
    for step in &story.steps {
        if let Act::Start(names) | Act::Kill(names) | Act::Freeze(names) | Act::Thaw(names) = &step.act
            && let Some(stranger) = names.iter().find(|name| !known(name))
        {
            return Err(format!("{name}.story:{}: no server is called `{stranger}`", step.line));
        }
    }
    if story.configs.is_empty() || story.steps.is_empty() {
        return Err(format!("{name}.story: a story has a `config` and a `play`"));
    }
    Ok(story)
}

fn take(story: &mut Story, directive: &Directive) -> Result<(), String> {
    match words(directive).as_slice() {
        ["limit", time] => story.limit = duration(time)?,
        ["address", address] => story.addresses.push((*address).to_owned()),
        [kind @ ("server" | "nginx"), name, address, rest @ ..] => story.actors.push(Actor {
            name: (*name).to_owned(),
            address: (*address).to_owned(),
            nginx: *kind == "nginx",
            absent: match rest {
                [] => false,
                ["absent"] => true,
                _ => return Err("after the address only `absent` can follow".to_owned()),
            },
        }),
        ["config", name @ ..] if name.len() < 2 => {
            let block = directive.block.clone().ok_or("a config has a block")?;
            let name = name.first().unwrap_or(&"evenkeel");
            let tree = Tree { files: Vec::new(), root: block.directives, tail: block.tail };
            story.configs.push(((*name).to_owned(), format(&tree)));
        }
        ["play"] => {
            for step in directive.block.iter().flat_map(|block| &block.directives) {
                let words = words(step);
                let text = words.join(" ");
                let act =
                    act(&words).map_err(|fault| format!("line {}: {fault}: {text}", step.place.line))?;
                story.steps.push(Step { line: step.place.line, text, act });
            }
        }
        other => return Err(format!("unknown words: {}", other.join(" "))),
    }
    Ok(())
}

fn act(words: &[&str]) -> Result<Act, String> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    Ok(match words {
        ["start", names @ ..] => Act::Start(owned(names)),
        ["run", "fails", "with", texts @ ..] => Act::RunFails(false, owned(texts)),
        ["run", "unprivileged", "fails", "with", texts @ ..] => Act::RunFails(true, owned(texts)),
        ["run", options @ ..] => Act::Run(owned(options)),
        ["reload", config] => Act::Reload((*config).to_owned()),
        ["stop"] => Act::Stop,
        ["kill", names @ ..] => Act::Kill(owned(names)),
        ["freeze", names @ ..] => Act::Freeze(owned(names)),
        ["thaw", names @ ..] => Act::Thaw(owned(names)),
        ["tell", name, behaviour @ ..] => Act::Tell((*name).to_owned(), behaviour.join(" ")),
        ["ask", name, address, rest @ ..] => {
            let rest = rest.iter().map(|word| match *word {
                "rate" | "path" | "method" | "fresh" | "timeout" => format!("--{word}"),
                value => value.to_owned(),
            });
            Act::Ask((*name).to_owned(), (*address).to_owned(), rest.collect())
        }
        ["talk", name, address] => Act::Talk((*name).to_owned(), (*address).to_owned()),
        ["wait", time] => Act::Wait(duration(time)?),
        ["within", times, rest @ ..] => {
            let (from, to) = times.split_once("..").unwrap_or(("0s", times));
            Act::Must(When::Within(duration(from)?, duration(to)?), condition(rest)?)
        }
        ["for", time, rest @ ..] => Act::Must(When::For(duration(time)?), condition(rest)?),
        rest => Act::Must(When::Now, condition(rest)?),
    })
}

fn condition(words: &[&str]) -> Result<Condition, String> {
    let name = |word: &str| word.to_owned();
    let names = |words: &[&str]| {
        let mut names: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        names.sort();
        names
    };
    Ok(match words {
        ["pool", pool, "serves", "nobody"] => Condition::Serves(name(pool), Vec::new()),
        ["pool", pool, "serves", servers @ ..] => Condition::Serves(name(pool), names(servers)),
        ["server", server, "is", state @ ("up" | "down" | "unknown" | "serving" | "draining" | "out")] => {
            Condition::Server(name(server), name(state))
        }
        ["server", server, "heard", "at", "most", count] => {
            Condition::Heard(name(server), count.parse().map_err(|_| "how many?")?)
        }
        ["file", file, "has", text] => Condition::File(name(file), name(text)),
        ["log", "has", text] => Condition::Log(true, name(text)),
        ["log", "lacks", text] => Condition::Log(false, name(text)),
        ["why", server, "says", text] => Condition::Why(name(server), name(text)),
        [client, "lost", "nothing"] => Condition::Lost(name(client), 0),
        [client, "lost", "at", "most", count] => {
            Condition::Lost(name(client), count.parse().map_err(|_| "how many?")?)
        }
        [client, "waited", "at", "most", time] => Condition::Waited(name(client), duration(time)?),
        [client, "get", outcome] => Condition::Gets(name(client), name(outcome)),
        [client, "are", "served", "by", servers @ ..] => Condition::ServedBy(name(client), names(servers)),
        [connection, "talks"] => Condition::Talks(name(connection), true),
        [connection, "is", "cut"] => Condition::Talks(name(connection), false),
        _ => return Err("unknown words".to_owned()),
    })
}

fn words(directive: &Directive) -> Vec<&str> {
    directive.words.iter().map(|word| word.text.as_str()).collect()
}

fn duration(word: &str) -> Result<Duration, String> {
    let nanos = evenkeel_syntax::span(word).map_err(|(message, _)| message)?;
    Ok(Duration::from_nanos(nanos))
}
