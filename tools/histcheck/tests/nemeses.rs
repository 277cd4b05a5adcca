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

#[test]
fn an_index_gives_the_order_of_faults_too() {
    let line = |index: u32, f: &str| {
        let time = index * 1_000_000;
        format!(
            "{{\"index\":{index},\"time\":{time},\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"{f}\"}}\n"
        )
    };
    let stats = |lines: &[String]| {
        let run =
            run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg("stats"), &lines.concat());
        assert_eq!(run.status, 0, "{}", run.stderr);
        run.stdout
    };
    let words = ["kill", "start", "kill", "start", "start-slow", "stop-slow"];
    let lines: Vec<String> = (0..).zip(words).map(|(index, f)| line(index, f)).collect();
    let in_order = stats(&lines);
    assert!(in_order.contains("kill: 0.000 s to 0.001 s (lines 1 and 2)"), "{in_order}");
    // The same lines in another order: the same faults, with other line numbers.
    for order in [[5, 4, 3, 2, 1, 0], [1, 2, 0, 5, 3, 4]] {
        let report = stats(&order.map(|at: usize| lines[at].clone()));
        let at = |index: usize| 1 + order.iter().position(|&at| at == index).unwrap();
        assert!(report.contains("3 faults"), "{report}");
        for (begin, end, kind) in [(0, 1, "kill"), (2, 3, "kill"), (4, 5, "slow")] {
            let told = format!(
                "{kind}: 0.00{begin} s to 0.00{end} s (lines {} and {})",
                at(begin),
                at(end)
            );
            assert!(report.contains(&told), "{told}: {report}");
        }
    }
}
