//! Check lines that mean something, and check lines that do not and say why.

use evenkeel_check::dialogue::{End, Step, Turn};
use evenkeel_check::engine::Transport;
use evenkeel_check::words::{self, CheckWords, Defaults};
use evenkeel_core::Span;
use evenkeel_core::config::Down;

/// The check, or every diagnostic as `line:column message (label)`.
fn read(text: &str) -> Result<CheckWords, String> {
    let (tree, mut errors) = evenkeel_syntax::parse("test", text.as_bytes());
    let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
    let check = lines.first().and_then(|line| words::read(line, &Defaults::default(), &mut errors));
    let told = errors.iter().map(|error| {
        let place = error.place.expect("about a word");
        format!("{}:{} {} ({})", place.line, place.column, error.message, error.label)
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { check.ok_or_else(|| "no check and no error".into()) } else { Err(told.join("\n")) }
}

fn error(text: &str) -> String {
    read(text).expect_err(text)
}

#[test]
fn a_plain_line_takes_the_defaults() {
    let check = read("check http").unwrap();
    assert_eq!(check.spec.kind, "http");
    assert_eq!((check.timing, check.rule, check.port), (Default::default(), Default::default(), None));
    let Transport::Stream(stream) = &check.spec.transport else { panic!("{:?}", check.spec.transport) };
    assert!(stream.tls.is_none() && !stream.close_rst && !stream.reuse && !stream.tripwire);
    assert!(matches!(read("check half-open").unwrap().spec.transport, Transport::HalfOpen));
}

#[test]
fn every_word_arrives() {
    let text = "check tcp every 30s timeout 5s connect 2s fast 3s port 8443 close rst reuse tripwire {
        tls name shop.example verify no
        down after 1 fail
        up after 5 passes
    }";
    let check = read(text).unwrap();
    assert_eq!(check.timing.every, Span::from_secs(30));
    assert_eq!(check.timing.timeout, Span::from_secs(5));
    assert_eq!(check.timing.connect_timeout, Span::from_secs(2));
    assert_eq!(check.timing.fast, Span::from_secs(3));
    assert_eq!(check.rule.down, Down::Fails { count: 1, spread: Span::ZERO });
    assert_eq!((check.rule.up_passes, check.port), (5, Some(8443)));
    let Transport::Stream(stream) = &check.spec.transport else { panic!("{:?}", check.spec.transport) };
    let tls = stream.tls.as_ref().unwrap();
    assert_eq!((tls.name.as_deref(), tls.verify), (Some("shop.example"), false));
    assert!(stream.close_rst && stream.reuse && stream.tripwire);
    let bare = read("check http / tls").unwrap();
    let Transport::Stream(stream) = &bare.spec.transport else { panic!("{:?}", bare.spec.transport) };
    assert!(stream.tls.as_ref().unwrap().verify);
}

#[test]
fn a_server_given_by_name_is_asked_by_its_name() {
    let named = |text: &str, port: u16| {
        let (tree, mut errors) = evenkeel_syntax::parse("test", text.as_bytes());
        let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
        let spec = words::named(&lines[0], "app.test", port)?;
        let Transport::Stream(stream) = &spec.transport else { panic!("{:?}", spec.transport) };
        let turn = Turn { peer: "10.0.0.1:80".parse().ok(), sent: 0, heard: &[], end: End::Open };
        let Step::Send(request) = spec.dialogue.turn(turn) else { panic!("{:?}", spec.dialogue) };
        let request = String::from_utf8(request.into_owned()).unwrap();
        let host = request.lines().find_map(|line| line.strip_prefix("Host: ")).map(str::to_string);
        Some((host.unwrap_or_default(), stream.tls.as_ref().and_then(|tls| tls.name.clone())))
    };
    let some = |host: &str, name: Option<&str>| Some((host.to_string(), name.map(str::to_string)));
    assert_eq!(named("check http", 80), some("app.test", None));
    assert_eq!(named("check http", 8080), some("app.test:8080", None));
    assert_eq!(named("check http / tls", 443), some("app.test", Some("app.test")));
    let both = "check http / host shop.test {\n tls name cert.test\n}";
    assert_eq!(named(both, 443), some("shop.test", Some("cert.test")));
    assert_eq!(named("check tcp", 80), None);
    assert_eq!(named("check half-open", 80), None);
}

#[test]
fn times_nobody_named_follow_those_that_were() {
    let check = read("check http every 500ms").unwrap();
    assert_eq!(check.timing.timeout, Span::from_millis(500));
    assert_eq!(check.timing.connect_timeout, Span::from_millis(500));
    assert_eq!(check.timing.fast, Span::from_millis(500));
    let f5 = read("check half-open every 5s {\n down after 16s\n}").unwrap();
    assert_eq!(f5.rule.down, Down::NoPassFor(Span::from_secs(16)));
}

#[test]
fn times_that_cannot_be() {
    assert_eq!(
        error("check http every 1s timeout 2s"),
        "1:29 the timeout 2s is longer than the interval 1s \
         (at most `every`: a server is asked one thing at a time)"
    );
    assert_eq!(
        error("check http timeout 1s connect 2s"),
        "1:31 connect 2s is longer than the timeout 1s (a part of it)"
    );
    assert_eq!(
        error("check http every 2s fast 3s"),
        "1:26 fast 3s is longer than the interval 2s (would be slow)"
    );
    assert!(error("check http every 0s").starts_with("1:18 `every 0s` is too short (at least 1ms)"));
    assert_eq!(
        error("check tcp every 5s timeout 2s {\n    down after 11s\n}"),
        "2:16 `down after 11s` leaves no time for two probes (one late answer would decide)"
    );
    assert!(error("check tcp every 5").contains("no unit"));
    assert!(error("check tcp port 99999").contains("out of range"));
}

#[test]
fn conversations_that_cannot_be() {
    let block = |line: &str| error(&format!("check tcp {{\n{line}\n}}"));
    assert_eq!(block("expect regex '(a'"), "2:14 `(a` is no pattern (error: unclosed group)");
    assert_eq!(block("expect \"\""), "2:1 an empty text is found in every answer (say what to look for)");
    assert_eq!(block("send hex 0g"), "2:10 `0g` is not hexadecimal (two digits a byte: `00 ff` or `00ff`)");
    assert_eq!(
        block("expect hex 000"),
        "2:12 `000` is not hexadecimal (two digits a byte: `00 ff` or `00ff`)"
    );
    assert_eq!(block("send file /no/such/file"), "2:11 cannot send `/no/such/file` (no such file)");
    assert_eq!(block("send file /dev/null"), "2:11 cannot send `/dev/null` (not a plain file)");
    assert!(block("expect regex 'OK$'\nexpect more").starts_with("2:1 a pattern with `$`"));
    assert!(block("expect not x\nexpect regex 'OK$'").starts_with("3:1 `expect not` before a pattern"));
    assert!(block("expect length 0").contains("out of range"));
    assert!(block("tls ca /no/such/file").starts_with("2:8 cannot read `/no/such/file` (no such file)"));
    assert!(block("tls name shop:443").starts_with("2:10 `shop:443` is no name of a server"));
    let alone = block("tls cert /dev/null");
    assert_eq!(alone, "2:1 `cert` without `key` (a certificate and its key go together)");
    assert!(error("check half-open {\nsend x\n}").contains("unknown word `send`"));
    assert!(error("check half-open tls").contains("unknown word `tls`"));
}

#[test]
fn requests_that_cannot_be() {
    let block = |line: &str| error(&format!("check http {{\n{line}\n}}"));
    assert_eq!(
        block("expect status 2xx"),
        "2:15 `2xx` is no status (100 to 599, or a range such as `200-299`)"
    );
    assert!(block("expect status 299-200").starts_with("2:15 `299-200` is no status"));
    assert!(block("header \"X Y\" z").starts_with("2:8 no name of a header field"));
    assert!(block(r#"header X "a\r\nY: b""#).starts_with("2:10 a header field is one line"));
    assert!(block("body a\nbody file /etc/hostname").starts_with("3:1 a request has one body"));
    assert!(error("check http \"/a b\"").starts_with("1:12 a path holds neither spaces"));
    assert!(error("check http / method \"G T\"").starts_with("1:21 `G T` is no method"));
    assert!(error("check http / version 0.9").contains("0.9"));
    assert!(
        error("check http / method HEAD {\nexpect body OK\n}")
            .starts_with("2:1 the answer to HEAD has no body")
    );
}

#[test]
fn raw_requests_are_linted() {
    let raw = |text: &str| error(&format!("check http {{\nraw \"{text}\"\n}}"));
    assert!(raw(r"GET /ibxx/ HTTP/1.1\r\n").starts_with("2:5 the request does not end"));
    assert!(raw(r"GET /\r\n\r\n").starts_with("2:5 the request names no version: this would be HTTP/0.9"));
    assert!(raw(r"GET / HTTP/1.1\r\n\r\n").starts_with("2:5 HTTP/1.1 without a `Host` field"));
    assert!(raw(r"GET / HTTP/1.0 \r\n\r\n").starts_with("2:5 a space stands between"));
    let beside = error("check http /x {\nraw \"GET / HTTP/1.0\\r\\n\\r\\n\"\nheader A b\n}");
    assert_eq!(beside.lines().count(), 2, "{beside}");
    assert!(beside.starts_with("1:12 `raw` is the whole request (says nothing beside it)"));
}
