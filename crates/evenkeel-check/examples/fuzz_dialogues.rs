//! Mutated transcripts into every dialogue: no panic, bounded time, and the same verdict wherever it is cut.
//! `cargo run --release -p evenkeel-check --example fuzz_dialogues -- SECONDS [SEED]`. A fault prints the
//! transcript, which then belongs into `tests/dialogues/`.

use evenkeel_check::dialogue::transcript::{Line, Transcript, escaped};
use evenkeel_check::dialogue::{Dialogue, End};
use evenkeel_check::words::{self, Defaults};
use evenkeel_core::evidence::Verdict;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A whole conversation, however hostile, in so long. (Debug builds and busy machines included.)
const SLOWEST: Duration = Duration::from_secs(10);
/// Pieces of protocols that mean something where they stand.
const WORDS: [&[u8]; 20] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 503 \r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"OK",
    b"Content-Length: 3\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"ffff\r\n",
    b"1;x=y\r\nx\r\n",
    b"Location: /x\r\n",
    b"Connection: close\r\n",
    b": ",
    b"000000",
    b"\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let seed: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(0x5eed);
    let corpus = corpus();
    println!("{} conversations, seed {seed}, {seconds} s", corpus.len());
    let mut random = Random(seed | 1);
    let (start, mut count, mut slowest) = (Instant::now(), 0_u64, Duration::ZERO);
    let (mut passes, mut fails) = (0_u64, 0_u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        let (transcript, _) = &corpus[random.below(corpus.len())];
        // Any answer may come to any question.
        let (_, dialogue) = &corpus[random.below(corpus.len())];
        let mutant = mutated(transcript, &mut random);
        let begin = Instant::now();
        let whole = verdict(&mutant, dialogue, usize::MAX);
        match whole {
            Verdict::Pass => passes += 1,
            Verdict::Fail(_) => fails += 1,
        }
        for cut in [1, 1 + random.below(9), 1 + random.below(5000)] {
            let cut_up = verdict(&mutant, dialogue, cut);
            if cut_up != whole {
                println!("{dialogue:?}\ncut at {cut}: {cut_up:?}\nwhole: {whole:?}\n{}", told(&mutant));
                return ExitCode::FAILURE;
            }
        }
        slowest = slowest.max(begin.elapsed());
        if begin.elapsed() > SLOWEST {
            println!("{dialogue:?}\ntook {:?}\n{}", begin.elapsed(), told(&mutant));
            return ExitCode::FAILURE;
        }
        count += 1;
    }
    println!(
        "{count} mutants: {passes} passed, {fails} failed, the slowest took {slowest:?} for all its cuts"
    );
    ExitCode::SUCCESS
}

fn corpus() -> Vec<(Transcript, Arc<dyn Dialogue>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the sources are there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let mut corpus = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a transcript is text");
        for transcript in Transcript::parse(&text).expect("the tests read it too") {
            let (tree, mut errors) = evenkeel_syntax::parse("transcript", transcript.words.as_bytes());
            let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
            let check = lines.first().and_then(|line| words::read(line, &Defaults::default(), &mut errors));
            corpus.push((transcript, check.expect("the tests read it too").spec.dialogue.clone()));
        }
    }
    corpus
}

fn verdict(transcript: &Transcript, dialogue: &Arc<dyn Dialogue>, cut: usize) -> Verdict {
    transcript.hear(&**dialogue, cut, "10.0.0.1:80".parse().ok())
}

fn told(transcript: &Transcript) -> String {
    let lines = transcript.lines.iter().map(|line| match line {
        Line::Sent(bytes) => escaped('>', bytes),
        Line::Heard(bytes) => escaped('<', bytes),
    });
    format!("{}----\n{}{:?}", transcript.words, lines.collect::<String>(), transcript.end)
}

fn mutated(transcript: &Transcript, random: &mut Random) -> Transcript {
    let mut mutant = transcript.clone();
    mutant.end = [End::Closed, End::Reset, End::Deadline][random.below(3)];
    if random.below(4) == 0 {
        // The server says more, or says it twice.
        let again = mutant.lines.clone();
        mutant.lines.extend(again);
    }
    for line in &mut mutant.lines {
        let Line::Heard(bytes) = line else { continue };
        for _ in 0..random.below(4) {
            mutate(bytes, random);
        }
    }
    mutant
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let to = (at + random.small(64)).min(bytes.len());
    match random.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..to)),
        4 => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        5 => {
            let word = WORDS[random.below(WORDS.len())];
            bytes.splice(at..to, word.iter().copied());
        }
        6 => {
            let piece = bytes[at..to].to_vec();
            let place = random.below(bytes.len() + 1);
            bytes.splice(place..place, piece);
        }
        _ => {
            let piece = bytes[at..to].repeat(1 + random.small(200));
            bytes.splice(at..at, piece.into_iter().take(40_000));
        }
    }
}

/// Xorshift64*: the same seed gives the same run.
struct Random(u64);

impl Random {
    /// Below `limit`, and mostly far below.
    fn small(&mut self, limit: usize) -> usize {
        let limit = 1 + self.below(limit);
        self.below(limit)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}
