//! HTTP/1 exchanges written down in `http1/*.txt`, most of them malformed or hostile, played through a running
//! relay: what the client gets, and exactly what the server saw. The words are told in `http1/README.md`.

mod scene;

use evenkeel_core::config::{Address, PoolId, Protocol};
use evenkeel_core::table::Table;
use evenkeel_plane::Plane;
use evenkeel_plane::relay::{Options, Relay};
use scene::{Server, Talk, free_address, pool, row, service};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A connection on which nothing comes for so long is taken to stay open.
const QUIET: Duration = Duration::from_millis(400);

#[derive(Clone, Debug, Default)]
struct Case {
    title: String,
    client: Vec<u8>,
    server: Vec<u8>,
    statuses: Vec<u16>,
    ending: String,
    saw: Vec<String>,
    server_has: Vec<String>,
    server_lacks: Vec<String>,
    client_has: Vec<String>,
    client_lacks: Vec<String>,
}

#[test]
fn every_exchange_ends_as_it_is_written() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} exchanges", cases.len());
    let mut table = Table { version: 1, ..Table::default() };
    let mut places: Vec<(SocketAddr, Server)> = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let server = scripted(case.server.clone());
        let listen = free_address();
        let id = PoolId(at as u32);
        table.pools.push(Arc::new(pool(id, vec![row(at as u32, &server)])));
        let name = format!("case{at}");
        table.services.push(Arc::new(service(&name, Address::Ip(listen), Protocol::Http, id)));
        places.push((listen, server));
    }
    let options = Options { workers: 2, finish_within: Duration::ZERO };
    let mut relay = Relay::start(options).expect("threads");
    assert_eq!(relay.apply(&Arc::new(table)).failed, Vec::<String>::new());
    let players: Vec<_> = cases
        .into_iter()
        .zip(places)
        .map(|(case, (listen, server))| std::thread::spawn(move || play(&case, listen, &server)))
        .collect();
    let wrong: Vec<String> =
        players.into_iter().filter_map(|player| player.join().expect("a player ends")).collect();
    assert!(wrong.is_empty(), "{} went otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

/// A server that answers every request alike: with these bytes, after which it closes, or with a plain 200.
fn scripted(answer: Vec<u8>) -> Server {
    Server::start(move |talk| {
        while let Some(request) = talk.request()? {
            if !answer.is_empty() {
                return talk.send(&answer);
            }
            match request.head.starts_with("HEAD ") {
                true => talk.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")?,
                false => talk.answer(200, "ok")?,
            }
        }
        Ok(())
    })
}

/// Plays a case; the answer is what went otherwise than written.
fn play(case: &Case, listen: SocketAddr, server: &Server) -> Option<String> {
    let mut client = Talk::to(listen);
    client.stream.set_read_timeout(Some(QUIET)).expect("a nonzero timeout");
    // A relay that refuses early may close before it was told everything.
    let _ = client.send(&case.client);
    let mut got = Vec::new();
    let ending = loop {
        let mut buffer = [0; 16 * 1024];
        match client.stream.read(&mut buffer) {
            Ok(0) => break "close",
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break "open",
            Err(_) => break "cut",
        }
    };
    let text = String::from_utf8_lossy(&got);
    let statuses: Vec<u16> =
        text.match_indices("HTTP/1.").filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok()).collect();
    let saw: Vec<String> = server.seen().iter().map(|it| brief(&it.head, &it.body)).collect();
    let heads: String = server.seen().iter().map(|it| it.head.clone()).collect();
    let mut wrong = Vec::new();
    if statuses != case.statuses || ending != case.ending {
        wrong.push(format!("got {statuses:?} {ending}, wanted {:?} {}", case.statuses, case.ending));
    }
    if saw != case.saw {
        wrong.push(format!("the server saw {saw:?}, wanted {:?}", case.saw));
    }
    let all = |words: &[String], text: &str, there: bool| {
        words.iter().filter(|word| text.contains(word.as_str()) != there).cloned().collect::<Vec<_>>()
    };
    wrong.extend(all(&case.server_has, &heads, true).iter().map(|it| format!("server lacks {it:?}")));
    wrong.extend(all(&case.server_lacks, &heads, false).iter().map(|it| format!("server has {it:?}")));
    wrong.extend(all(&case.client_has, &text, true).iter().map(|it| format!("client lacks {it:?}")));
    wrong.extend(all(&case.client_lacks, &text, false).iter().map(|it| format!("client has {it:?}")));
    (!wrong.is_empty()).then(|| format!("{}: {}\n    {text:?}\n    {heads:?}", case.title, wrong.join("; ")))
}

fn brief(head: &str, body: &[u8]) -> String {
    let line: Vec<&str> = head.split(' ').take(2).collect();
    match body {
        [] => line.join(" "),
        body if body.len() > 64 => format!("{} {} bytes", line.join(" "), body.len()),
        body => format!("{} {}", line.join(" "), String::from_utf8_lossy(body)),
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http1");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "txt"));
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("a text"));
    texts.flat_map(|text| read(&text)).collect()
}

fn read(file: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix('[') {
            cases.push(Case { title: title.trim_end_matches(']').to_owned(), ..Case::default() });
            continue;
        }
        let case = cases.last_mut().expect("a [title] first");
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "C:" => case.client.extend(bytes(rest).into_iter().chain(*b"\r\n")),
            "C~" => case.client.extend(bytes(rest)),
            "S:" => case.server.extend(bytes(rest).into_iter().chain(*b"\r\n")),
            "S~" => case.server.extend(bytes(rest)),
            "saw:" => case.saw.push(text(rest)),
            "server-has:" => case.server_has.push(text(rest)),
            "server-lacks:" => case.server_lacks.push(text(rest)),
            "client-has:" => case.client_has.push(text(rest)),
            "client-lacks:" => case.client_lacks.push(text(rest)),
            "got:" => {
                for item in rest.split(' ') {
                    match item.parse() {
                        Ok(status) => case.statuses.push(status),
                        Err(_) => case.ending = item.to_owned(),
                    }
                }
            }
            other => panic!("{}: what is {other:?}?", case.title),
        }
    }
    cases
}

fn text(text: &str) -> String {
    String::from_utf8(bytes(text)).expect("UTF-8")
}

/// Escapes: `\r \n \t \0 \\ \xHH`, and `\*N*text*` for N times the text.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [kind, tail @ ..] = rest else { panic!("a lone backslash in {text:?}") };
        rest = tail;
        match kind {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
                out.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                rest = &rest[2..];
            }
            b'*' => {
                let parts: Vec<&[u8]> = rest.splitn(3, |byte| *byte == b'*').collect();
                let count = std::str::from_utf8(parts[0]).expect("ASCII").parse().expect("a number");
                out.extend(bytes(std::str::from_utf8(parts[1]).expect("UTF-8")).repeat(count));
                rest = parts[2];
            }
            other => panic!("what is \\{} in {text:?}?", *other as char),
        }
    }
    out
}
