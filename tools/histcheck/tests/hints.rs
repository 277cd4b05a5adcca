//! Remarks on invalid verdicts that may rest on how values were written down, and the option for reads of null.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn linear(args: &[&str], lines: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    run_with(command.args(["linear", "--model"]).args(args), lines)
}

fn done(process: u64, f: &str, value: &str) -> String {
    let line = |kind: &str, value: &str| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let asked = if f == "read" || f == "get" || f == "txn" { "null" } else { value };
    line("invoke", asked) + &line("ok", value)
}

#[test]
fn an_ok_read_of_null_counts_as_null_unless_it_is_ignored() {
    let text = done(0, "write", "5") + &done(1, "read", "null") + &done(1, "read", "5");
    let remark = "read null (line 4) says that null was there; if its client means that it saw nothing, take \
                  --ignore-null-reads";
    for model in ["register", "cas-register"] {
        let said = linear(&[model], &text).expect(1).stdout;
        assert!(said.contains(remark), "{said}");
        for more in [&[][..], &["--follow"], &["--fail-observes"]] {
            let args = [&[model, "--ignore-null-reads"], more].concat();
            linear(&args, &text).expect(0);
            linear(&args, &(text.clone() + &done(1, "read", "4"))).expect(1);
            // Nothing else says what the register held.
            linear(&args, &(done(0, "write", "5") + &done(1, "read", "null"))).expect(2);
        }
    }
    let strings = done(0, "put", "\"a\"") + &done(1, "get", "null") + &done(1, "get", "\"a\"");
    linear(&["kv-append"], &strings).expect(1);
    linear(&["kv-append", "--ignore-null-reads"], &strings).expect(0);
}

#[test]
fn an_order_found_without_reads_of_null_is_verified_without_them() {
    let folder = breakit_tests::Folder::new("null");
    let text = done(0, "write", "5") + &done(1, "read", "null") + &done(1, "read", "5");
    let (file, order) = (folder.write("h.jsonl", text), folder.file("order"));
    for check in ["linear", "verify"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args([check, "--model", "register", "--ignore-null-reads", "--witness"]);
        run_with(command.arg(&order).arg(&file), "").expect(0);
    }
}

#[test]
fn values_that_differ_only_in_their_type_are_named() {
    for (wrote, read, pair) in [
        ("83", "\"83\"", "\"83\" (operation of line 3) and 83 (of line 1)"),
        ("\"1.50\"", "1.5", ""),
        ("\"1.5\"", "1.50", "1.5 (operation of line 3) and \"1.5\" (of line 1)"),
        ("\"true\"", "true", "true (operation of line 3) and \"true\" (of line 1)"),
        ("\"x\"", "{\"#keyword\":\"x\"}", "{\"#keyword\":\"x\"} (operation of line 3) and \"x\""),
    ] {
        let said =
            linear(&["register"], &(done(0, "write", wrote) + &done(1, "read", read))).expect(1);
        let told = said.stdout.contains("are two values, of two types");
        assert_eq!(told, !pair.is_empty(), "{said:?}");
        assert!(said.stdout.contains(pair), "{pair}: {said:?}");
    }
    let list = done(0, "append", "1") + &done(1, "read", "[\"1\"]");
    let said = linear(&["list-append"], &list).expect(1).stdout;
    assert!(
        said.contains("\"1\" (operation of line 3) and 1 (of line 1) are two values"),
        "{said}"
    );
    let plain = done(0, "write", "1") + &done(1, "read", "2");
    assert!(!linear(&["register"], &plain).expect(1).stdout.contains("two types"));
}

#[test]
fn names_in_initial_are_those_of_keywords_and_numbers_too_and_unknown_ones_are_told() {
    let read = |x: &str| done(0, "txn", &format!("[[\"r\",{x},5]]"));
    for name in ["\"x\"", "{\"#keyword\":\"x\"}"] {
        linear(&["multi-register", "--initial", "{\"x\":5}"], &read(name)).expect(0);
        let said =
            linear(&["multi-register", "--initial", "{\"y\":5,\"x\":4}"], &read(name)).expect(1);
        assert!(said.stdout.contains("--initial names \"y\", which no operation does"), "{said:?}");
    }
    linear(&["multi-register", "--initial", "{\"7\":5}"], &read("7")).expect(0);
}
