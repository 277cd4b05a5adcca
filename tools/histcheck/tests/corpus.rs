//! The histories in `tests/histories/CHECK/VERDICT/`: the folder is the verdict. Beside a history `NAME.jsonl`
//! there may be `NAME.says`, each line of which the report must hold.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use breakit_tests::process::{Run, run};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/histories")
}

/// By the first line where there is one, else by the folder's check.
fn judge(check: &str, file: &Path) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    if !std::fs::read_to_string(file).unwrap().contains("\"check\"") {
        command.arg(check);
        if check == "linear" {
            command.args(["--model", "cas-register"]);
        }
    }
    run(command.arg(file))
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.is_dir());
    all.sort();
    all
}

fn word(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The status of a verdict, by the name of its folder.
fn status(verdict: &str) -> i32 {
    match verdict {
        "valid" => 0,
        "invalid" => 1,
        "unknown" => 2,
        other => panic!("{other} is no verdict; a folder of histories is CHECK/VERDICT"),
    }
}

fn is_right(check: &str, verdict: &str, file: &Path) {
    let run = judge(check, file);
    assert_eq!(run.status, status(verdict), "{}\n{}{}", file.display(), run.stdout, run.stderr);
    let line = run.stdout.lines().next().unwrap();
    let begins = format!("{}: {check}: {verdict}: ", file.display());
    assert!(line.starts_with(&begins), "{line}");
    let says = std::fs::read_to_string(file.with_extension("says")).unwrap_or_default();
    for phrase in says.lines() {
        let is_said = run.stdout.contains(phrase);
        assert!(is_said, "{} does not say {phrase:?}:\n{}", file.display(), run.stdout);
    }
}

#[test]
fn the_folder_of_each_history_is_its_verdict() {
    for check in folders(&corpus()) {
        let verdicts = folders(&check);
        assert_eq!(verdicts.len(), 3, "{} has valid, invalid and unknown", check.display());
        for verdict in verdicts {
            let files = std::fs::read_dir(&verdict).unwrap().map(|entry| entry.unwrap().path());
            let files: Vec<PathBuf> =
                files.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
            assert!(files.len() >= 5, "{} has only {} histories", verdict.display(), files.len());
            files.iter().for_each(|file| is_right(word(&check), word(&verdict), file));
        }
    }
}

#[test]
fn every_file_beside_a_history_belongs_to_it() {
    for verdict in folders(&corpus()).iter().flat_map(|check| folders(check)) {
        for entry in std::fs::read_dir(verdict).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.with_extension("jsonl").exists(), "{}", path.display());
        }
    }
}
