//! Reads the exchanges of `tests/http1/*.txt`, for the tests that play them and the fuzzers that start from them.

// Each test file uses its own part, and none of it is seen from outside.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;

/// One exchange.
#[derive(Clone, Debug, Default)]
pub struct Case {
    pub title: String,
    pub client: Vec<u8>,
    pub server: Vec<u8>,
    pub statuses: Vec<u16>,
    pub ending: String,
    pub saw: Vec<String>,
    pub server_has: Vec<String>,
    pub server_lacks: Vec<String>,
    pub client_has: Vec<String>,
    pub client_lacks: Vec<String>,
}

/// All exchanges of all files.
pub fn cases() -> Vec<Case> {
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
