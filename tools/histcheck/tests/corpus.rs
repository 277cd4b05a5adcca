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

fn histories(check: &str, verdict: &str) -> Vec<PathBuf> {
    let folder = corpus().join(check).join(verdict);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

fn folder_is_right(check: &str, verdict: &str, status: i32) {
    let files = histories(check, verdict);
    assert!(files.len() >= 5, "{check}/{verdict} has only {} histories", files.len());
    for file in files {
        let run = judge(check, &file);
        assert_eq!(run.status, status, "{}\n{}{}", file.display(), run.stdout, run.stderr);
        let line = run.stdout.lines().next().unwrap();
        let begins = format!("{}: {check}: {verdict}: ", file.display());
        assert!(line.starts_with(&begins), "{line}");
        let says = std::fs::read_to_string(file.with_extension("says")).unwrap_or_default();
        for phrase in says.lines() {
            assert!(
                run.stdout.contains(phrase),
                "{} does not say {phrase:?}:\n{}",
                file.display(),
                run.stdout
            );
        }
    }
}

#[test]
fn linear_valid_histories_are_valid() {
    folder_is_right("linear", "valid", 0);
}

#[test]
fn linear_invalid_histories_are_invalid_and_say_why() {
    folder_is_right("linear", "invalid", 1);
}

#[test]
fn linear_histories_that_prove_nothing_are_unknown() {
    folder_is_right("linear", "unknown", 2);
}

#[test]
fn set_valid_histories_are_valid() {
    folder_is_right("set", "valid", 0);
}

#[test]
fn set_invalid_histories_are_invalid_and_say_why() {
    folder_is_right("set", "invalid", 1);
}

#[test]
fn set_histories_that_prove_nothing_are_unknown() {
    folder_is_right("set", "unknown", 2);
}

#[test]
fn every_says_file_belongs_to_a_history() {
    for check in ["linear", "set"] {
        for verdict in ["valid", "invalid", "unknown"] {
            for entry in std::fs::read_dir(corpus().join(check).join(verdict)).unwrap() {
                let path = entry.unwrap().path();
                assert!(path.with_extension("jsonl").exists(), "{}", path.display());
            }
        }
    }
}
