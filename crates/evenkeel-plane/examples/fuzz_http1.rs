//! Mutates known HTTP/1 exchanges and compares what the relay's framing makes of them with what hyper does:
//! `fuzz_http1 [SECONDS] [SEED]`. Ends with 1, and the bytes, on a panic or a disagreement.

#[path = "../tests/mutate/mod.rs"]
mod mutate;
#[path = "../tests/reference/mod.rs"]
mod reference;
#[path = "../tests/written/mod.rs"]
mod written;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let mut words = std::env::args().skip(1);
    let mut number = |other: u64| words.next().and_then(|word| word.parse().ok()).unwrap_or(other);
    let seconds = number(60);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |it| it.as_nanos() as u64);
    let seed = number(clock);
    let cases = written::cases();
    let clients: Vec<Vec<u8>> = cases.iter().map(|case| case.client.clone()).collect();
    let servers: Vec<Vec<u8>> =
        cases.iter().map(|case| case.server.clone()).filter(|bytes| !bytes.is_empty()).collect();
    let mut mutator = mutate::Mutator::new(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut tried, mut requests, mut answers) = (0u64, 0, 0);
    while Instant::now() < until {
        let bytes = mutator.next(&clients);
        let (wrong, count) = checked(&bytes, || reference::disagreement(&bytes));
        complain(wrong, seed, &bytes);
        requests += count;
        let bytes = mutator.next(&servers);
        complain(checked(&bytes, || reference::answer_disagreement(&bytes)), seed, &bytes);
        answers += usize::from(reference::answer(&bytes).is_some());
        tried += 2;
    }
    println!("seed {seed}: {tried} exchanges, {requests} requests read alike, {answers} answers taken");
}

fn checked<T>(bytes: &[u8], check: impl FnOnce() -> T) -> T {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
        Ok(result) => result,
        Err(_) => {
            println!("panic on: {}", bytes.escape_ascii());
            std::process::exit(1);
        }
    }
}

fn complain(wrong: Option<String>, seed: u64, bytes: &[u8]) {
    if let Some(wrong) = wrong {
        println!("seed {seed}: {wrong}\n{}", bytes.escape_ascii());
        std::process::exit(1);
    }
}
