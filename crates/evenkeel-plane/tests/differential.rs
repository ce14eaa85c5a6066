//! Whatever the relay's framing forwards, hyper's server reads as exactly the same requests with the same bodies;
//! and what it takes for an answer, hyper's client takes for the same.

mod reference;
mod written;

use reference::{answer, answer_disagreement, disagreement, hyper_answer, hyper_requests, pass};
use written::cases;

#[test]
fn hyper_reads_the_same_requests() {
    let mut both = 0;
    let cases = cases();
    for case in &cases {
        let (wrong, count) = disagreement(&case.client);
        assert_eq!(wrong, None, "{}", case.title);
        both += count;
    }
    assert!(both >= 60, "only {both} requests were read by both: the comparison says little");
}

#[test]
fn hyper_reads_the_same_answers() {
    let mut both = 0;
    for case in cases().iter().filter(|case| !case.server.is_empty() && !case.client.starts_with(b"HEAD")) {
        assert_eq!(answer_disagreement(&case.server), None, "{}", case.title);
        both += usize::from(answer(&case.server).is_some() && hyper_answer(&case.server).is_some());
    }
    assert!(both >= 10, "only {both} answers were read by both: the comparison says little");
}

#[test]
fn the_comparison_sees_a_smuggled_request() {
    let smuggled =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(hyper_requests(smuggled).0.len(), 2);
    assert_eq!(pass(smuggled, 1000).requests, hyper_requests(smuggled).0);
}

#[test]
fn a_thousand_mutations_make_no_difference() {
    let corpus: Vec<Vec<u8>> = cases().into_iter().map(|case| case.client).collect();
    let mut mutator = mutate::Mutator::new(1);
    let mut both = 0;
    for _ in 0..1000 {
        let bytes = mutator.next(&corpus);
        let (wrong, count) = disagreement(&bytes);
        assert_eq!(wrong, None, "{}", bytes.escape_ascii());
        both += count;
    }
    assert!(both >= 50, "only {both} requests were read by both: the comparison says little");
}

mod mutate;
