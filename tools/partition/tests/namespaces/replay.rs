//! The cuts of a recorded run, made again.

use std::time::Duration;

use breakit_tests::Running;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bed::*;

#[test]
fn a_recorded_run_is_made_again_with_the_same_cuts_at_the_same_offsets() {
    let bed = bed!(4);
    // Two holders at once, one of them with a cut of packets.
    let first =
        "cut random-halves --seed 5 --first 300ms --every 900ms --for 400ms --time-limit 2s";
    let second = "cut one-way n1 n2 --port 80 --proto tcp --first 500ms --for 450ms";
    let (first, second) =
        (Running::start(&mut partition(&bed, first)), Running::start(&mut partition(&bed, second)));
    let history = [first.end(SOON).expect(0).stdout, second.end(SOON).expect(0).stdout].concat();
    let mut lines: Vec<Value> = history.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    lines.sort_by_key(|line| line["time"].as_u64());
    let slow = r#"{"time":1,"process":"nemesis","type":"info","f":"start-slow","value":{}}"#;
    let text: String =
        lines.iter().map(|line| format!("{line}\n")).chain([format!("{slow}\n")]).collect();
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
        let apart = offset(&lines, i).abs_diff(offset(&replayed, i));
        assert!(apart < Duration::from_millis(250), "line {i}: {apart:?}");
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
