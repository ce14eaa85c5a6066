//! Replays every transcript of `tests/dialogues/`, cut at 1, 2, 7 and 4,096 bytes: the verdict must be the
//! same.

use evenkeel_check::dialogue::transcript::Transcript;
use evenkeel_check::words::{self, CheckWords, Defaults};
use evenkeel_core::evidence::Verdict;
use std::collections::BTreeMap;

#[test]
fn every_transcript_ends_as_it_says_however_it_is_cut() {
    let mut faults = Vec::new();
    let mut kinds: BTreeMap<&str, [u32; 2]> = words::kinds().iter().map(|kind| (kind.name, [0; 2])).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let transcripts = Transcript::parse(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        for transcript in transcripts {
            let check = check(&transcript.words);
            kinds.get_mut(check.spec.kind).unwrap()[usize::from(transcript.verdict == "pass")] += 1;
            if let Some(fault) = fault(&transcript, &check) {
                let Transcript { title, words, verdict, .. } = &transcript;
                let name = path.file_name().unwrap().to_string_lossy();
                faults.push(format!("{name}: {title}\n{words}{fault}\ninstead of: {verdict}\n"));
            }
        }
    }
    assert!(faults.is_empty(), "{} transcripts end otherwise:\n\n{}", faults.len(), faults.join("\n"));
    for (kind, [fails, passes]) in kinds {
        // Half-open has no conversation that could fail: its failures are the transport's.
        assert!(passes > 0 && (fails > 0 || kind == "half-open"), "{kind}: {passes} passes, {fails} fails");
    }
}

fn fault(transcript: &Transcript, check: &CheckWords) -> Option<String> {
    [1, 2, 7, 4096, usize::MAX].into_iter().find_map(|cut| {
        let verdict = match transcript.replay(&*check.spec.dialogue, cut, "10.0.0.1:80".parse().ok()) {
            Ok(Verdict::Pass) => "pass".to_string(),
            Ok(Verdict::Fail(reason)) => reason.to_string(),
            Err(why) => why,
        };
        (verdict != transcript.verdict).then(|| format!("cut at {cut}: {verdict}"))
    })
}

fn check(text: &str) -> CheckWords {
    let (tree, mut errors) = evenkeel_syntax::parse("transcript", text.as_bytes());
    let lines = evenkeel_syntax::read(&tree.root, words::forms(), &mut errors);
    let check = lines.first().and_then(|line| words::read(line, &Defaults::default(), &mut errors));
    match check {
        Some(check) if errors.is_empty() => check,
        _ => panic!("{text}{}", evenkeel_syntax::render(&errors, &tree.files)),
    }
}
