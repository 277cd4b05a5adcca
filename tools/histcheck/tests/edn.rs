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

/// Four writes and a read of one process each, whole operations: the read began after all writes had ended.
const WHOLE: &str = r#"{:process 3, :type :ok, :f :read, :value 1, :start 50, :end 60}
{:process 0, :type :ok, :f :write, :value 1, :start 10, :end 20} ; why
#_{:process 9} {:process 1, :f :write, :value 2, :start 30, :end 40, :node "n1"}
{:process 2, :type :fail, :f :write, :value 3, :start 30, :end 40, :error :no}
{:process :nemesis, :f :slow, :start 5, :end 45}
"#;

#[test]
fn a_map_with_start_and_end_is_a_whole_operation_as_an_object_of_json_is() {
    let args = ["linear", "--model", "register"];
    let vector = format!("[{WHOLE}]");
    let records = vector.replace("{:process", "#jepsen.history.Op{:process");
    for text in [WHOLE, &vector, &records] {
        let run = histcheck(&args, text);
        assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("is stale"), "{}", run.stdout);
        assert!(
            run.stdout.contains("5 forms read: 4 operations (3 ok, 1 fail, 0 info)"),
            "{}",
            run.stdout
        );
        let run = histcheck(&args, &text.replace(":start 50", ":start 40"));
        assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    }
    for (start, end) in [("invoke", "complete"), ("call", "return"), ("start_time", "end_time")] {
        let other =
            WHOLE.replace(":start", &format!(":{start}")).replace(":end", &format!(":{end}"));
        assert_eq!(histcheck(&args, &other).status, 1, "{start}");
    }
    let events = histcheck(&["convert", "--to", "edn"], WHOLE).stdout;
    assert_eq!(events.lines().count(), 10, "{events}");
    assert!(
        events.starts_with("{:time 5, :process :nemesis, :type :ok, :f :start-slow}"),
        "{events}"
    );
    assert_eq!(histcheck(&args, &events).status, 1, "{events}");
}

#[test]
fn what_is_wrong_with_a_whole_operation_of_edn_is_named_with_its_place() {
    for (text, said) in [
        ("{:process 1, :f :read, :value 1}\n", "it does not say when the operation began"),
        ("{:process 1, :f :read, :start 9, :end 8}\n", "line 6: column 39: \"end\" is 8, before"),
        ("{:process 1, :f :read, :start :a, :end 8}\n", "line 6: column 31: \"start\" must be"),
        (
            "{:process 1, :type :invoke, :f :read, :start 7, :end 8}\n",
            "line 6: column 20: \"type\" is",
        ),
        ("{:process 1, :index 3, :f :read, :start 7, :end 8}\n", "\"index\" cannot stand beside"),
        ("{:process 1, :f :read, :start 7", "the history was cut short"),
    ] {
        let run = histcheck(&["stats"], &format!("{WHOLE}{text}"));
        assert_eq!(run.status, 65, "{text}: {}", run.stdout);
        assert!(run.stderr.contains(said) && run.stderr.contains("line 6"), "{}", run.stderr);
    }
    // Where invocations are written, "start" is a field like others.
    let events = "{:process 0, :type :invoke, :f :write, :value 1, :start 7, :end 9}
{:process 0, :type :ok, :f :write, :value 1}\n";
    assert_eq!(histcheck(&["stats"], events).status, 0);
}
