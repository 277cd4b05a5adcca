//! What nemeses write: pairs of lines that are one fault, and words that begin and end faults without saying so.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::run_with;

/// The report on lines of a nemesis, a microsecond apart, each a type and a word.
fn stats(lines: &[(&str, &str)]) -> String {
    let line = |(number, (kind, f)): (u32, &(&str, &str))| {
        let time = number * 1000;
        format!(
            "{{\"time\":{time},\"process\":\"nemesis\",\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":null}}\n"
        )
    };
    let history: String = (1..).zip(lines).map(line).collect();
    let run = run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg("stats"), &history);
    assert_eq!(run.status, 0, "{}", run.stderr);
    run.stdout
}

#[test]
fn jepsens_pairs_of_lines_count_once_whatever_their_types() {
    for (first, second) in [("info", "info"), ("invoke", "ok"), ("invoke", "info")] {
        let mut lines = Vec::new();
        for f in ["start-partition", "stop-partition", "kill", "start", "pause", "resume"] {
            lines.extend([(first, f), (second, f)]);
        }
        let report = stats(&lines);
        assert!(report.contains("0 operations, 3 faults"), "{report}");
        for fault in ["partition", "kill", "pause"] {
            assert!(report.contains(&format!("{fault}: 0.000 s to 0.000 s (lines ")), "{report}");
        }
        assert!(report.contains("partition: 0.000 s to 0.000 s (lines 1 and 4)"), "{report}");
    }
}

#[test]
fn lines_that_are_no_pairs_count_one_by_one() {
    let words = ["start-slow", "start-slow", "stop-slow", "kill"];
    let report = stats(&words.map(|word| ("info", word)));
    assert!(report.contains("3 faults"), "{report}");
    let report = stats(&[("info", "kill"), ("info", "start"), ("info", "kill")]);
    assert!(report.contains("2 faults"), "{report}");
    assert!(report.contains("(lines 1 and 2)"), "{report}");
}
