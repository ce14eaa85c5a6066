//! Mutated configs into everything that reads them: no panic, and whatever is valid means the same in words, in
//! JSON and with every default filled in. `cargo run --release -p evenkeel --example fuzz_config -- SECONDS
//! [SEED]`. A fault prints the text and its seed. No socket is opened; files that a config names are.

use evenkeel::config::{Spelling, load_text, print_text};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// One text through everything, debug builds and busy machines included.
const SLOWEST: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let seconds = args.next().unwrap_or(10);
    let mut seed = args.next().unwrap_or(0x5eed);
    let corpus = corpus();
    let pieces: Vec<String> =
        corpus.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut texts, mut valid) = (0u64, 0u64);
    while Instant::now() < end {
        seed += 1;
        let text = mutated(&corpus, &pieces, &mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        let begun = Instant::now();
        let fault = match std::panic::catch_unwind(|| check(&text)) {
            Err(_) => Some("a panic".to_owned()),
            Ok(Err(fault)) => Some(fault),
            Ok(Ok(_)) if begun.elapsed() > SLOWEST => Some(format!("it took {:?}", begun.elapsed())),
            Ok(Ok(good)) => {
                valid += u64::from(good);
                None
            }
        };
        if let Some(fault) = fault {
            println!("seed {seed}: {fault}\n{text}");
            return ExitCode::FAILURE;
        }
        texts += 1;
    }
    println!("{texts} configs, {valid} of them valid: no fault (seeds up to {seed})");
    if valid * 50 < texts { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The configs of the tests and the examples.
fn corpus() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus = Vec::new();
    for folder in ["tests/configs", "tests/errors", "../../examples"] {
        let entries = std::fs::read_dir(here.join(folder)).expect("the sources are there").flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(path).expect("it can be read");
            corpus.push(text.split("\n------").next().unwrap_or_default().to_owned() + "\n");
        }
    }
    corpus
}

/// What must be true of any text. Answers whether it was a valid config.
fn check(text: &str) -> Result<bool, String> {
    let words = match load_text("x.conf", text, None) {
        Ok(loaded) => loaded,
        Err(told) if told.counts().0 == 0 => return Err("refused without an error".to_owned()),
        Err(told) => {
            // Telling must not fail either.
            let _ = (told.to_string(), told.json().to_string());
            return Ok(false);
        }
    };
    for spelling in [Spelling::Words, Spelling::Effective] {
        let printed = print_text("x.conf", text, spelling).map_err(|told| format!("{spelling:?}: {told}"))?;
        let again = load_text("x.conf", &printed, None)
            .map_err(|told| format!("{spelling:?}:\n{printed}\n{told}"))?;
        if again.config != words.config {
            return Err(format!("{spelling:?} means something else:\n{printed}"));
        }
    }
    let json = print_text("x.conf", text, Spelling::Json).map_err(|told| format!("JSON: {told}"))?;
    let again =
        print_text("x.json", &json, Spelling::Json).map_err(|told| format!("JSON:\n{json}\n{told}"))?;
    if again != json {
        return Err(format!("JSON is not its own spelling:\n{json}\n{again}"));
    }
    let reload = load_text("x.json", &json, Some(&words)).map_err(|told| format!("JSON:\n{json}\n{told}"))?;
    let ids = |loaded: &evenkeel::config::Loaded| {
        let servers = loaded.config.pools.iter().flat_map(|pool| pool.servers.iter().map(|server| server.id));
        let mut servers: Vec<_> = servers.collect();
        servers.sort();
        let checks: Vec<_> = loaded.checks.keys().copied().collect();
        (servers, checks)
    };
    // A reload that changes nothing keeps every id, however the config is spelt.
    if ids(&reload) != ids(&words) {
        return Err(format!("a reload changes ids:\n{json}\n{:?}\n{:?}", ids(&words), ids(&reload)));
    }
    Ok(true)
}

fn mutated(corpus: &[String], pieces: &[String], random: &mut Random) -> String {
    let mut lines: Vec<String> = corpus[random.below(corpus.len())].lines().map(str::to_owned).collect();
    for _ in 0..random.below(4) {
        let at = random.below(lines.len());
        match random.below(6) {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 => {
                let other: Vec<&str> = corpus[random.below(corpus.len())].lines().collect();
                lines.insert(at, other[random.below(other.len())].to_owned());
            }
            2 => {
                let copy = lines[at].clone();
                lines.insert(random.below(lines.len()), copy);
            }
            _ => {
                let mut words: Vec<String> = lines[at].split(' ').map(str::to_owned).collect();
                let word = random.below(words.len());
                let piece = pieces[random.below(pieces.len())].clone();
                match random.below(3) {
                    0 => words[word] = piece,
                    1 => words.insert(word, piece),
                    _ => drop(words.remove(word)),
                }
                lines[at] = words.join(" ");
            }
        }
    }
    lines.join("\n") + "\n"
}

/// xorshift64*, so that a seed says everything.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
