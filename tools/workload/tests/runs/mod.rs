//! A run of `workload` and its history, for the files of tests beside this folder.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use serde_json::{Value, json};

/// The built tool with these arguments.
pub fn workload(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workload"));
    command.args(arguments.split_whitespace()).env_remove("BREAKIT_SEED");
    command
}

/// The lines with that `f`.
pub fn of<'a>(lines: &'a [Value], f: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["f"] == f).collect()
}

/// The value of the last line.
#[track_caller]
pub fn end(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!((&last["process"], &last["f"]), (&json!("workload"), &json!("end")), "{last}");
    &last["value"]
}

/// What `breakit-history(5)` demands of any history of ours; gives how often an operation ended how.
#[track_caller]
pub fn well_formed(lines: &[Value]) -> HashMap<String, u64> {
    let first = &lines[0];
    assert_eq!((&first["process"], &first["f"]), (&json!("workload"), &json!("start")), "{first}");
    let mut open = HashMap::new();
    let mut gone = HashSet::new();
    let mut counts = HashMap::new();
    let mut before = 0;
    for line in lines {
        let Some(process) = line["process"].as_u64() else { continue };
        let time = line["time"].as_u64().unwrap();
        assert!(time >= before, "time runs backwards at {line}");
        before = time;
        let kind = line["type"].as_str().unwrap();
        *counts.entry(kind.to_string()).or_insert(0) += 1;
        if kind == "invoke" {
            assert!(!gone.contains(&process), "used again after info: {line}");
            assert!(open.insert(process, line).is_none(), "two open operations: {line}");
            continue;
        }
        let invoke = open.remove(&process).unwrap_or_else(|| panic!("no invoke: {line}"));
        for field in ["f", "key", "node"] {
            assert_eq!(invoke[field], line[field], "{invoke} {line}");
        }
        if kind == "info" {
            assert_ne!(line["f"], "read", "a read changes nothing: {line}");
            gone.insert(process);
        }
        assert_eq!(kind == "ok", line["error"].is_null(), "{line}");
    }
    assert!(open.is_empty(), "{open:?}");
    counts
}
