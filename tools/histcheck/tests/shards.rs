//! A history split by key, checked in shards, and the verdicts merged: the same verdict as that of the whole.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use breakit_tests::process::{run, run_with};
use breakit_tests::{Folder, skip};
use serde_json::Value;

fn histcheck() -> Command {
    Command::new(env!("CARGO_BIN_EXE_histcheck"))
}

const START: &str = r#"{"process":"workload","type":"info","f":"start","value":{"check":[{"name":"linear","options":{"model":"register"}}]}}"#;
const END: &str = r#"{"process":"workload","type":"info","f":"end","value":{"status":"done"}}"#;

/// A write and a read of each key by one process; the completion does not say the key. Of `stale` keys the
/// read returns what was never there, `unread` keys are only written.
fn history(keys: usize, stale: &[usize], unread: &[usize]) -> String {
    let mut text = format!("{START}\n");
    for key in 0..keys {
        let read = if stale.contains(&key) { "null".to_string() } else { key.to_string() };
        for (f, argument, result) in
            [("write", key.to_string(), key.to_string()), ("read", "null".into(), read)]
        {
            if f == "read" && unread.contains(&key) {
                continue;
            }
            let process = key % 7;
            writeln!(text, r#"{{"process":{process},"type":"invoke","f":"{f}","key":"k{key}","value":{argument}}}"#).unwrap();
            writeln!(text, r#"{{"process":{process},"type":"ok","f":"{f}","value":{result}}}"#)
                .unwrap();
        }
    }
    text + END + "\n"
}

/// The verdicts on all shards, a line each.
fn shards(folder: &Folder, text: &str, count: usize) -> Vec<String> {
    let count = count.to_string();
    let into = folder.file(&format!("shards-{count}"));
    let split = ["split", "--by", "key", "--shards", &count, "--into"];
    let made = run_with(histcheck().args(split).arg(&into), text).expect(0);
    let files: Vec<&str> = made.stdout.lines().collect();
    let run = run(histcheck().arg("--json").args(&files));
    run.stdout.lines().map(str::to_string).collect()
}

fn merged(verdicts: &[String], status: i32) -> Value {
    run_with(histcheck().args(["merge", "--json"]), &verdicts.join("\n"))
        .expect(status)
        .lines()
        .remove(0)
}

#[test]
fn the_merged_verdict_is_that_of_the_whole() {
    for (name, stale, unread, status) in [
        ("valid", vec![], vec![3, 4, 5], 0),
        ("invalid", vec![17], vec![], 1),
        ("nothing", vec![], (0..40).collect(), 2),
    ] {
        let folder = Folder::new(&format!("merge-{name}"));
        let text = history(40, &stale, &unread);
        let whole = run_with(histcheck().arg("--json"), &text).expect(status).lines().remove(0);
        for count in [1, 3, 100] {
            let verdicts = shards(&folder, &text, count);
            assert_eq!(verdicts.len(), count);
            let merged = merged(&verdicts, status);
            assert_eq!(merged["valid"], whole["valid"], "{name} {count}: {merged}");
            let is_thin = |verdict: &Value| verdict["rests_on_little"].is_array();
            assert_eq!(is_thin(&merged), is_thin(&whole), "{name} {count}: {merged}");
            assert_eq!(is_thin(&whole), name == "valid", "{whole}");
            for counted in ["operations", "ok", "info", "workload_lines"] {
                assert_eq!(merged["counts"][counted], whole["counts"][counted], "{name} {counted}");
            }
        }
    }
}

#[test]
fn a_shard_without_a_verdict_makes_the_whole_unknown_and_never_hides_an_invalid_one() {
    let folder = Folder::new("merge-missing");
    let verdicts = shards(&folder, &history(40, &[], &[]), 4);
    let missing = merged(&verdicts[1..], 2);
    assert_eq!(missing["because"], "1 of 4 shards have no verdict, the first of them shard 1");
    let twice = merged(&[&verdicts[..], &verdicts[..1]].concat(), 2);
    assert_eq!(twice["because"], "shard 1 of 4 has two verdicts");
    let failed =
        r#"{"file":"shard-1.jsonl","check":"linear","valid":"unknown","status":65,"error":"no"}"#;
    let failed = [&[failed.to_string()], &verdicts[1..]].concat();
    assert_eq!(merged(&failed, 2)["valid"], "unknown");
    let other = Folder::new("merge-other");
    let bad = shards(&other, &history(40, &[17], &[]), 4);
    let bad: Vec<String> =
        bad.into_iter().filter(|line| line.contains("\"valid\":false,\"because\"")).collect();
    assert_eq!(merged(&bad[..1], 1)["valid"], false);
    assert_eq!(merged(&[], 2)["because"], "there is no verdict to merge");
    let text = run_with(histcheck().arg("merge"), "nope\n").expect(65);
    assert!(text.stderr.contains("stdin, line 1: column 2: not JSON"), "{}", text.stderr);
}

#[test]
fn shards_are_never_mixed_with_others_and_a_bad_history_is_not_split_in_silence() {
    let folder = Folder::new("split-twice");
    let into = folder.file("shards");
    let split = |text: &str| {
        run_with(histcheck().args(["split", "--shards", "2", "--into"]).arg(&into), text)
    };
    split(&history(4, &[], &[])).expect(0);
    let again = split(&history(4, &[], &[])).expect(64);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    std::fs::remove_dir_all(&into).unwrap();
    let stray = split("{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"key\":1}\n").expect(65);
    assert!(stray.stderr.contains("line 1: column 21: process 0 completes"), "{}", stray.stderr);
}

/// The pipeline of the manual page, with what runs `histcheck linear` on each shard in the place of `each`.
fn pipeline(folder: &Folder, name: &str, each: &str, status: i32) -> Value {
    let tools = PathBuf::from(env!("CARGO_BIN_EXE_histcheck"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", tools.parent().unwrap().display());
    let line = format!(
        "histcheck split --shards 16 --into {name} history.jsonl | {each} | histcheck merge --json"
    );
    let mut shell = Command::new("sh");
    run(shell.current_dir(folder.path()).env("PATH", path).args(["-c", &line]))
        .expect(status)
        .lines()
        .remove(0)
}

/// Of a valid history, of one with a stale read, and of one of whose shards one is never checked.
fn pipelines_say_what_the_whole_says(name: &str, each: &str) {
    for (kind, stale, status) in [("valid", vec![], 0), ("invalid", vec![17, 100], 1)] {
        let folder = Folder::new(&format!("pipeline-{name}-{kind}"));
        // So few keys a shard that a verdict line is below 4,096 bytes, which writers of one pipe never tear.
        let text = history(120, &stale, &[5]);
        folder.write("history.jsonl", &text);
        let whole = run_with(histcheck().arg("--json"), &text).expect(status).lines().remove(0);
        let merged = pipeline(&folder, "shards", each, status);
        assert_eq!(merged["valid"], whole["valid"], "{merged}");
        assert_eq!(merged["verdicts"], 16);
        assert_eq!(merged["counts"]["operations"], whole["counts"]["operations"]);
        // Only the first six shards are checked.
        if status == 0 {
            let some = pipeline(&folder, "again", &format!("head -n 6 | {each}"), 2);
            let because = some["because"].as_str().unwrap();
            assert!(because.starts_with("10 of 16 shards have no verdict"), "{some}");
        }
    }
}

#[test]
fn four_processes_at_a_time_say_what_the_whole_says() {
    let each = "xargs -P 4 -n 1 histcheck linear --model register --json";
    pipelines_say_what_the_whole_says("xargs", each);
}

#[test]
fn gnu_parallel_says_what_the_whole_says() {
    let version = Command::new("parallel").arg("--version").output();
    if !version.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("GNU parallel")) {
        skip!("no GNU parallel; install the package parallel");
    }
    let each = "parallel -j 4 histcheck linear --model register --json {}";
    pipelines_say_what_the_whole_says("parallel", each);
}

#[test]
fn an_index_that_does_not_grow_is_refused_as_completions_would_go_to_other_shards() {
    let folder = Folder::new("shuffled");
    // The completions say no key: in the order of the text each would be that of the other.
    let text = r#"{"index":0,"process":0,"type":"invoke","f":"write","key":"a","value":1}
{"index":3,"process":0,"type":"ok","f":"write","value":2}
{"index":2,"process":0,"type":"invoke","f":"write","key":"b","value":2}
{"index":1,"process":0,"type":"ok","f":"write","value":1}
"#;
    let split = |text: &str| {
        let args = ["split", "--by", "key", "--shards", "2", "--into"];
        run_with(histcheck().args(args).arg(folder.file("shards")), text)
    };
    let refused = split(text).expect(65);
    assert!(
        refused.stderr.contains("line 3: column 10: \"index\" 2 is no greater"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("sort them by their index first"), "{}", refused.stderr);
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    split(&(lines.join("\n") + "\n")).expect(0);
}

#[test]
fn a_last_line_cut_within_its_ending_is_dropped_by_convert_and_split_and_refused_by_merge() {
    let folder = Folder::new("endings");
    let line =
        |kind: &str| format!(r#"{{"process":0,"type":"{kind}","f":"write","key":1,"value":"#);
    let whole = format!("{}3}}\r\n{}3}}\r\n", line("invoke"), line("ok"));
    for cut in ["\r", "3\r", "\"a\r"] {
        let text = format!("{whole}{}{cut}", line("invoke"));
        let into = folder.file(&format!("shards-{}", cut.len()));
        let lenient = |args: &[&str]| run_with(histcheck().args(args).arg("--lenient"), &text);
        let into_name = into.to_str().unwrap();
        let split = ["split", "--by", "key", "--shards", "1", "--into", into_name];
        let converted = lenient(&["convert", "--to", "jsonl"]).expect(0);
        assert_eq!(converted.stdout.lines().count(), 2, "{}", converted.stdout);
        assert!(!converted.stdout.contains('\r'), "{}", converted.stdout);
        let shard = std::fs::read_to_string(lenient(&split).expect(0).stdout.trim()).unwrap();
        assert_eq!(shard.lines().count(), 3, "{shard}");
        assert!(!shard.contains('\r'), "{shard}");
        // Without --lenient all say that it was cut.
        for args in [&["convert", "--to", "jsonl"][..], &["stats"]] {
            let strict = run_with(histcheck().args(args), &text).expect(65);
            assert!(strict.stderr.contains("the last line was cut short"), "{}", strict.stderr);
        }
        std::fs::remove_dir_all(&into).unwrap();
        let strict = run_with(histcheck().args(split), &text).expect(65);
        assert!(strict.stderr.contains("the last line was cut short"), "{}", strict.stderr);
    }
    let verdict = r#"{"file":"a","check":"linear","valid":true,"because":"x"}"#;
    let merge = |text: &str| run_with(histcheck().args(["merge", "--json"]), text);
    assert!(
        merge(&format!("{verdict}\r\n{verdict}\r")).expect(0).stdout.contains("\"verdicts\":2")
    );
    let cut = merge(&format!("{verdict}\r\n{}\r", &verdict[..20])).expect(65);
    assert!(cut.stderr.contains("stdin, line 2"), "{}", cut.stderr);
}
