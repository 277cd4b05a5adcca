//! What fuzzing found interesting, read once more: the corpus of `fuzz/`, and each of its texts cut and spoilt.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::{Path, PathBuf};

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
