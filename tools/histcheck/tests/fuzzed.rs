//! What fuzzing found interesting, read once more: the corpus of `fuzz/`, and each of its texts cut and spoilt.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::{Path, PathBuf};

use breakit::rng::{Pcg64, RngExt, generator};

/// The corpus of a target.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_fuzzing_kept_still_holds() {
    for target in checks::TARGETS {
        let files = corpus(target);
        assert!(files.len() > 3, "{target}: {} files", files.len());
        for file in files {
            let data = std::fs::read(&file).unwrap();
            let held = std::panic::catch_unwind(|| checks::run(target, &data));
            assert!(held.is_ok(), "{target}: {}", file.display());
        }
    }
}

/// A text with pieces cut out, doubled, or taken from another, and bytes changed.
fn spoilt(data: &[u8], other: &[u8], rng: &mut Pcg64) -> Vec<u8> {
    let mut spoilt = data.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let place = |rng: &mut Pcg64, length: usize| rng.random_range(0..=length);
        let (at, end) = (place(rng, spoilt.len()), place(rng, spoilt.len()));
        let (at, end) = (at.min(end), at.max(end).min(at.min(end) + 40));
        match rng.random_range(0..5) {
            0 => drop(spoilt.drain(at..end)),
            1 => {
                let piece = spoilt[at..end].to_vec();
                let to = place(rng, spoilt.len());
                spoilt.splice(to..to, piece);
            }
            2 => {
                let from = place(rng, other.len());
                let piece = &other[from..(from + 60).min(other.len())];
                spoilt.splice(at..at, piece.iter().copied());
            }
            3 => spoilt.truncate(end),
            _ => {
                let bytes = b"{}[]()\":,;#\\ \n\r\t019-.eE/_nulo\xff\x00";
                if let Some(byte) = spoilt.get_mut(at) {
                    *byte = bytes[rng.random_range(0..bytes.len())];
                }
            }
        }
    }
    spoilt
}

/// `SPOILT=1000` takes so many of each text.
#[test]
fn what_fuzzing_kept_holds_when_it_is_spoilt() {
    let rounds: u64 = std::env::var("SPOILT").ok().map_or(4, |text| text.parse().unwrap());
    for target in checks::TARGETS {
        let texts: Vec<Vec<u8>> =
            corpus(target).iter().map(|file| std::fs::read(file).unwrap()).collect();
        let mut rng = generator(rounds, target);
        for (round, text) in (0..rounds).flat_map(|round| texts.iter().map(move |t| (round, t))) {
            let other = &texts[rng.random_range(0..texts.len())];
            let data = spoilt(text, other, &mut rng);
            let held = std::panic::catch_unwind(|| checks::run(target, &data));
            let shown = String::from_utf8_lossy(&data);
            assert!(held.is_ok(), "{target}, round {round}:\n{shown}\n{data:?}");
        }
    }
}
