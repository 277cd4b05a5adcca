//! EDN as Jepsen, Knossos and Elle print it.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn histcheck(args: &[&str], input: &str) -> Run {
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

#[test]
fn records_of_operations_are_maps_whichever_version_printed_them() {
    for record in ["knossos.op.Op", "jepsen.history.Op", "jepsen.op.Op"] {
        let history = format!(
            "(#{record}{{:process 0, :type :invoke, :f :write, :value 3, :index 0, :time nil}}
             #{record}{{:process 0, :type :ok, :f :write, :value 3, :index 1, :time -1}}
             #{record}{{:process 1, :type :invoke, :f :read, :value nil, :index 2, :time 1.5E3}}
             #{record}{{:process 1, :type :ok, :f :read, :value 4, :index 3, :time 16000000000000.0}})"
        );
        let run = histcheck(&["linear", "--model", "register"], &history);
        assert_eq!(run.status, 1, "{record}: {}{}", run.stdout, run.stderr);
    }
    let history = "#my.Op{:process 0, :type :invoke, :f :write, :value 3}";
    let run = histcheck(&["stats"], history);
    assert_eq!(run.status, 65, "{}", run.stdout);
}

#[test]
fn numbers_that_clojure_prints_are_read_though_edn_lacks_them() {
    let history = r#"{:process 0, :type :invoke, :f :write, :value 0x1f, :o #object[foo.Bar 0x1f "foo"]}
{:process 0, :type :ok, :f :write, :value 31}
{:process 1, :type :invoke, :f :read}
{:process 1, :type :ok, :f :read, :value 2r11111}
"#;
    let run = histcheck(&["linear", "--model", "register"], history);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("2 operations are linearizable"), "{}", run.stdout);
}

#[test]
fn steps_of_a_transaction_may_be_words_or_keywords_short_or_long() {
    for (r, w, x, y) in [
        (":read", ":write", ":x", ":y"),
        (":r", ":w", ":x", ":y"),
        ("\"r\"", "\"w\"", "\"x\"", "\"y\""),
        ("\"read\"", ":w", "\"x\"", ":y"),
    ] {
        let history = |seen: u32| {
            format!(
                "{{:process 0 :type :invoke :f :txn :value [[{w} {x} 1] [{w} {y} 2]]}}
                 {{:process 0 :type :ok :f :txn :value [[{w} {x} 1] [{w} {y} 2]]}}
                 {{:process 1 :type :invoke :f :txn :value [[{r} {x} nil] [{r} {y} nil]]}}
                 {{:process 1 :type :ok :f :txn :value [[{r} {x} 1] [{r} {y} {seen}]]}}"
            )
        };
        let args = ["linear", "--model", "multi-register", "--initial", r#"{"x":0,"y":5}"#];
        for (seen, status) in [(2, 0), (5, 1)] {
            let run = histcheck(&args, &history(seen));
            assert_eq!(run.status, status, "{r} {x}: {}{}", run.stdout, run.stderr);
        }
    }
}
