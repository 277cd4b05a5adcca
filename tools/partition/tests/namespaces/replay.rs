//! The cuts of a recorded run, made again.

use std::time::Duration;

use breakit_tests::Running;
use breakit_tests::process::{run, tool};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bed::*;

#[test]
fn a_recorded_run_is_made_again_with_the_same_cuts_at_the_same_offsets() {
    let bed = bed!(4);
    // Two holders at once, one of them with a cut of packets.
    let first = "cut random-halves --seed 5 --first 2s --every 10s --for 4s --time-limit 18s";
    let second = "cut one-way n1 n2 --port 80 --protocol tcp --first 4s --for 4s";
    let (first, second) =
        (Running::start(&mut partition(&bed, first)), Running::start(&mut partition(&bed, second)));
    let history = [first.end(SOON).expect(0).stdout, second.end(SOON).expect(0).stdout].concat();
    let mut lines: Vec<Value> = history.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    lines.sort_by_key(|line| line["time"].as_u64());
    let slow = r#"{"time":1,"process":"nemesis","type":"info","f":"start-slow","value":{}}"#;
    let text: String =
        lines.iter().map(|line| format!("{line}\n")).chain([format!("{slow}\n")]).collect();
    let mut command = partition(&bed, "replay - --dry-run");
    let shown = breakit_tests::process::run_with(&mut command, &text).expect(0).stdout;
    let headings = shown.lines().filter(|line| line.starts_with("# from ")).count();
    assert_eq!((headings, shown.matches("# in ").count()), (3, 3), "{shown}");
    assert!(shown.contains("add element") && rules(&bed, 4).is_empty(), "{shown}");
    let mut command = partition(&bed, "replay -");
    let again = breakit_tests::process::run_with(&mut command, &text).expect(0);
    assert!(again.stderr.contains("1 faults of other kinds are left out"), "{}", again.stderr);
    let mut replayed = again.lines();
    replayed.sort_by_key(|line| line["time"].as_u64());
    assert_eq!(lines.len(), replayed.len(), "{replayed:?}");
    let offset = |lines: &[Value], i: usize| {
        let began = lines[0]["value"]["began"].as_u64().unwrap();
        Duration::from_nanos(lines[i]["time"].as_u64().unwrap() - began)
    };
    for (i, (was, is)) in lines.iter().zip(&replayed).enumerate() {
        let value = |line: &Value, name: &str| line["value"][name].clone();
        for name in ["cut", "grudge", "packets", "pairs"] {
            assert_eq!(value(was, name), value(is, name), "{was} {is}");
        }
        assert_eq!(was["f"], is["f"]);
        // The times of waking up differ, by far less than the times between the cuts' beginnings and ends.
        let apart = offset(&lines, i).abs_diff(offset(&replayed, i));
        assert!(apart < Duration::from_millis(1900), "line {i}: {apart:?}");
    }
    assert!(is_whole(&bed));
    assert_eq!(rules(&bed, 4), "");
}

#[test]
fn a_replay_that_is_killed_or_ended_heals_all_that_it_holds() {
    let bed = bed!(3);
    let history = r#"{"time":0,"process":"nemesis","type":"info","f":"start-partition","value":{"grudge":{"n1":["n2"]},"table":"a","lease":"60s"}}
{"time":0,"process":"nemesis","type":"info","f":"start-partition","value":{"grudge":{"n2":["n3"]},"table":"b","lease":"60s"}}
"#;
    let file = std::env::temp_dir().join(format!("breakit-history-{}", std::process::id()));
    std::fs::write(&file, history).unwrap();
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGKILL, 137)] {
        let mut running =
            Running::start(&mut partition(&bed, &format!("replay {}", file.display())));
        running.line(SOON);
        running.line(SOON);
        let held = listed(&bed);
        assert_eq!(held.len(), 2);
        assert!(held.iter().all(|cut| cut["held"] == true), "{held:?}");
        running.signal(signal);
        running.end(SOON).expect(status);
        within(SOON, "healed", || is_whole(&bed) && rules(&bed, 3).is_empty());
    }
    std::fs::remove_file(&file).unwrap();
}

/// The lines of a run, without what differs from one run to the next.
fn said(lines: &[Value]) -> Vec<Value> {
    let plain = |line: &Value| {
        let mut line = line.clone();
        line["time"].take();
        for name in ["table", "began", "seed", "shape", "wall"] {
            line["value"][name].take();
        }
        line
    };
    lines.iter().map(plain).collect()
}

#[test]
fn a_cut_too_long_for_its_line_is_told_on_lines_before_it_and_made_again() {
    let bed = bed!(9);
    let long = |i: usize| format!("node-{i}-{}", "x".repeat(50));
    let nodes: Vec<String> = (0..9).map(|i| format!("{}=netns:{}", long(i), bed.name(i))).collect();
    let among = |args: &str| {
        let mut command = bed.tool("partition");
        command.args(args.split(' ')).args(["-n", &nodes.join(",")]);
        command
    };
    let peers: Vec<String> = (0..300).map(|i| format!("10.9.{}.{}", i / 250, i % 250)).collect();
    let peers = format!("cut --from {} --to 10.77.0.12 --for 100ms", peers.join(","));
    let here = |args: &str| {
        let mut command = bed.at(0, tool("partition").get_program().to_str().unwrap());
        command.args(args.split(' ')).env("BREAKIT_FLEET", "no-such-fleet");
        command
    };
    for (mut first, mut again) in [
        (among("cut majorities-ring --for 100ms"), among("replay -")),
        (here(&peers), here("replay -")),
    ] {
        let first = run(&mut first).expect(0);
        let told = first.lines();
        let start = told.iter().position(|line| line["f"] == "start-partition").unwrap();
        assert!(start > 0 && told[start]["value"]["lines"] == start, "{told:?}");
        assert!(first.stdout.lines().all(|line| line.len() < 4096), "{told:?}");
        let again = breakit_tests::process::run_with(&mut again, &first.stdout).expect(0);
        assert_eq!(said(&again.lines()), said(&told));
        // A line that is lost on the way is missed.
        let lost: String = first.stdout.lines().skip(1).map(|line| format!("{line}\n")).collect();
        let refused = breakit_tests::process::run_with(&mut here("replay -"), &lost).expect(65);
        assert!(refused.stderr.contains("grudge-partition lines"), "{}", refused.stderr);
    }
    assert!(is_whole(&bed));
}
