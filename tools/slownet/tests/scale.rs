//! Many nodes at once.

#![allow(clippy::unwrap_used)]

mod bed;

use std::time::Duration;

use bed::{SOON, bed, state};
use breakit_tests::process::{json_lines, run};
use breakit_tests::{Folder, skip};

/// A hundred nodes with names that do not fit a line together.
const NODES: usize = 100;

#[test]
fn a_hundred_nodes_are_struck_at_once_and_their_lines_fit_a_shared_pipe() {
    let bed = match bed(NODES, "all") {
        Ok(bed) => bed,
        Err(why) => skip!("{why}"),
    };
    let name = |i: usize| format!("a-node-with-a-very-long-name-as-clouds-give-them-{i}");
    let spec = (0..NODES).map(|i| format!("{}=netns:{}", name(i), bed.name(i)));
    let spec = spec.collect::<Vec<_>>().join(",");
    let folder = Folder::new("scale");
    let history = folder.file("history.jsonl");
    let line =
        format!("slownet set -n {spec} --delay 20ms --for 1s --lease 60s > {}", history.display());
    run(&mut bed.shell(&line)).expect(0);
    let text = std::fs::read_to_string(&history).unwrap();
    assert!(text.lines().all(|line| line.len() < 4096), "{:?}", text.lines().map(str::len));
    let lines = json_lines(&history);
    let time = |line: &serde_json::Value| Duration::from_nanos(line["time"].as_u64().unwrap());
    let start = lines.iter().find(|line| line["f"] == "start-slow").unwrap();
    let began = Duration::from_nanos(start["value"]["began"].as_u64().unwrap());
    // A second on an idle machine; before, with a program for each question, it was half a minute.
    assert!(time(start) - began < Duration::from_secs(15), "{:?}", time(start) - began);
    let stop = lines.last().unwrap();
    assert_eq!((&stop["f"], &stop["value"]["id"]), (&"stop-slow".into(), &start["value"]["id"]));
    assert!(time(stop) - time(start) < Duration::from_secs(15), "{:?}", time(stop) - time(start));
    for i in [0, NODES - 1] {
        assert!(!state(&bed, i).contains("breakit"), "{}", state(&bed, i));
    }
    // The pieces make the fault again on every node.
    let replay = format!("slownet replay {} -n {spec} --dry-run", history.display());
    let planned = breakit_tests::Running::start(&mut bed.shell(&replay)).end(SOON * 3).expect(0);
    assert_eq!(planned.lines().len(), NODES);
}
