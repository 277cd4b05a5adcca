//! What the values of lines mean: null, a value that is missing, numbers, keys, and what an object holds first.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run_with};

/// `0 i write 1; 0 o write 1` as lines: process, the first letter of `invoke`, `ok` and `fail`, and n for `info`.
fn history(text: &str) -> String {
    text.split(';').map(|event| line(event.trim())).collect()
}

fn line(event: &str) -> String {
    let mut parts = event.splitn(4, ' ');
    let mut part = || parts.next().unwrap();
    let (process, kind, f) = (part(), part(), part());
    let kind = match kind {
        "i" => "invoke",
        "o" => "ok",
        "f" => "fail",
        "n" => "info",
        other => panic!("{other}"),
    };
    let value = parts.next().map_or(String::new(), |value| format!(",\"value\":{value}"));
    format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\"{value}}}\n")
}

/// Judges `text` as `options` say, after `linear --model`, and the same with `--follow`: both end with `status`.
fn judge(options: &str, text: &str, status: i32) -> Run {
    let judged = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["linear", "--model"]).args(options.split(' ')).args(more);
        run_with(&mut command, &history(text)).expect(status)
    };
    judged(&["--follow"]);
    judged(&[])
}

#[test]
fn a_write_of_null_that_never_ends_may_have_been_read() {
    for model in ["register --initial 1", "cas-register --initial 1"] {
        judge(model, "0 i write null; 1 i read; 1 o read null", 0);
        judge(model, "0 i write null; 1 i read; 1 o read null; 0 n write null", 0);
        judge(model, "0 i write null; 1 i read; 1 o read null; 0 f write null", 1);
        judge(model, "0 i write null; 1 i read; 1 o read 5; 0 n write", 1);
        judge(model, "0 i write null; 1 i read; 1 o read 5; 0 o write 5", 0);
    }
    judge("list-append", "0 i append null; 1 i read; 1 o read [null]", 0);
    judge("set", "0 i add null; 1 i contains null; 1 o contains [null,true]", 0);
}

#[test]
fn what_is_put_may_be_null_without_its_completion_saying_so_again() {
    judge("register --initial 1", "0 i write null; 0 o write; 1 i read; 1 o read null", 0);
    judge("register --initial 1", "0 i write null; 0 o write; 1 i read; 1 o read 1", 1);
    judge("list-append", "0 i append null; 0 o append; 1 i read; 1 o read [null]", 0);
    judge("set", "0 i add null; 0 o add; 1 i contains null; 1 o contains [null,true]", 0);
    judge("kv-append", "0 i put \"a\"; 0 o put; 0 i put null; 0 o put; 1 i get; 1 o get \"\"", 0);
    // Of a read it says only that the answer was not known yet.
    let said = judge("register", "0 i write 1; 0 o write 1; 1 i read null; 1 o read", 65);
    assert!(said.stderr.contains("line 4") && said.stderr.contains("says no value"), "{said:?}");
}

#[test]
fn null_is_put_into_nothing_whose_taker_would_say_that_nothing_was_there() {
    for (model, put, take) in [
        ("fifo-queue", "enqueue", "dequeue"),
        ("unordered-queue", "enqueue", "dequeue"),
        ("stack", "push", "pop"),
        ("priority-queue", "insert", "extract"),
    ] {
        // The value that counts is that of the completion where it succeeded, else that of the invocation.
        for (kind, named) in [("o", "line 4: column "), ("n", "line 3: "), ("f", "line 3: ")] {
            let text = format!(
                "0 i {put} 1; 0 o {put} 1; 0 i {put} null; 0 {kind} {put} null; 1 i {take}; 1 o {take} null"
            );
            let said = judge(model, &text, 65);
            let says = [&format!("{put:?}"), named, "write another value"];
            assert!(says.iter().all(|part| said.stderr.contains(*part)), "{said:?}");
        }
    }
}

#[test]
fn with_keyed_a_completion_without_a_value_has_key_and_value_of_its_invocation() {
    let keyed = "register --keyed";
    let writes = "0 i write [7,1]; 0 o write; 0 i write [8,2]; 0 n write";
    judge(keyed, &format!("{writes}; 1 i read [7,null]; 1 o read [7,1]"), 0);
    judge(keyed, &format!("{writes}; 1 i read [8,null]; 1 o read [8,2]"), 0);
    judge(keyed, &format!("{writes}; 1 i read [7,null]; 1 o read [7,2]"), 1);
    let said = judge(keyed, &format!("{writes}; 1 i read; 1 o read [7,2]"), 65);
    assert!(said.stderr.contains("line 5"), "{said:?}");

    let folder = Folder::new("keyed");
    let text = history(&format!("{writes}; 1 i read [8,null]; 1 f read"));
    let mut convert = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    convert.current_dir(folder.path()).args(["convert", "--keyed", "--to", "jsonl"]);
    let plain = run_with(&mut convert, &text).expect(0).stdout;
    assert!(plain.contains(r#""key":8,"value":2"#) && !plain.contains('['), "{plain}");
}

#[test]
fn null_is_a_key_and_no_key_is_another() {
    let keyed = |text: &str| history(text).replace("\"f\"", "\"key\":null,\"f\"");
    let write = "0 i write 1; 0 o write 1";
    let read = "0 i read; 0 o read null";
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["linear", "--model", "register"]);
        command
    };
    run_with(&mut command(), &(keyed(write) + &keyed(read))).expect(1);
    run_with(&mut command(), &(history(write) + &history(read))).expect(1);
    let said = run_with(&mut command(), &(keyed(write) + &history(read))).expect(0);
    assert!(said.stdout.contains("2 operations on 2 keys"), "{said:?}");
}

#[test]
fn a_number_is_the_same_however_it_is_written() {
    for (wrote, other) in [
        ("100000", &["1e5", "1e05", "1E+05", "100000.0", "0.1e6"][..]),
        ("0", &["-0", "-0.0", "0e05"]),
        ("-1.5", &["-1.50", "-15e-01"]),
    ] {
        for read in other {
            let first = format!("register --initial {wrote}");
            judge(&first, &format!("1 i read; 1 o read {read}"), 0);
            judge(
                "register",
                &format!("0 i write {wrote}; 0 o write {read}; 1 i read; 1 o read {wrote}"),
                0,
            );
            judge(
                "register",
                &format!("0 i write {read}; 0 o write; 1 i read; 1 o read {wrote}"),
                0,
            );
        }
    }
    for model in ["counter", "fetch-add"] {
        judge(&format!("{model} --initial 1e1"), "0 i read; 0 o read 10", 0);
    }
    judge("multi-register --initial 1e1", "0 i read; 0 o read {\"x\":10}", 0);
}

#[test]
fn registers_begin_with_the_values_that_an_object_gives_their_names_or_all_with_one() {
    let named = r#"multi-register --initial {"x":5,"y":[1]}"#;
    judge(named, r#"0 i read; 0 o read {"x":5,"y":[1],"z":null}"#, 0);
    judge(named, r#"0 i txn [["r","x",null]]; 0 o txn [["r","x",5]]"#, 0);
    judge(named, r#"0 i read; 0 o read {"x":null}"#, 1);
    judge(named, r#"0 i read; 0 o read {"z":5}"#, 1);
    judge(
        named,
        r#"0 i write {"x":6,"z":1}; 0 o write {"x":6,"z":1}; 0 i read; 0 o read {"x":6,"z":1}"#,
        0,
    );
    judge(
        named,
        r#"0 i write {"x":6}; 0 o write {"x":6}; 0 i write {"x":5}; 0 o write {"x":5}; 0 i read; 0 o read {"x":5}"#,
        0,
    );
    judge("multi-register --initial 0", r#"0 i read; 0 o read {"x":0,"y":0}"#, 0);
    judge("multi-register", r#"0 i read; 0 o read {"x":null}"#, 0);
}

#[test]
fn an_operation_of_a_table_that_ended_unknown_without_an_answer_fits_all_its_rows() {
    let folder = Folder::new("table");
    let table = folder.write(
        "lamp.model",
        "start off\noff press 1 on\non press 2 off\noff look \"off\" off\non look \"on\" on\n",
    );
    let model = format!("@{table}");
    for press in ["press", "press null"] {
        judge(&model, &format!("0 i {press}; 0 n {press}; 1 i look; 1 o look \"on\""), 0);
    }
    judge(&model, "0 i press 2; 0 n press 2; 1 i look; 1 o look \"on\"", 1);
    judge(&model, "0 i press; 0 o press; 1 i look; 1 o look \"on\"", 1);
}

/// What `verify` says to an order of the operations on these lines.
fn verified(model: &str, text: &str, order: &[u32], status: i32) -> Run {
    let folder = Folder::new("verified");
    let lines: String = order.iter().map(|line| format!("{{\"line\":{line}}}\n")).collect();
    let order = folder.write("order", lines);
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    command.args(["verify", "--model"]).args(model.split(' ')).args(["--witness", &order]);
    run_with(&mut command, &history(text)).expect(status)
}

#[test]
fn an_order_may_hold_what_ended_unknown_and_changed_nothing_but_not_before_its_time() {
    let text = "0 i write 1; 0 o write 1; 1 i read; 1 n read; 0 i write 2; 0 o write 2";
    for order in [&[1, 5][..], &[1, 3, 5], &[1, 5, 3]] {
        verified("register", text, order, 0);
    }
    verified("register", text, &[3, 1, 5], 1);
    let said = verified("register", text, &[1, 3, 3, 5], 1);
    assert!(said.stdout.contains("twice"), "{said:?}");
    verified("register", &text.replace("1 n", "1 f"), &[1, 3, 5], 1);

    let text = "1 i cas [5,6]; 1 n cas [5,6]; 0 i read; 0 o read null";
    verified("cas-register", text, &[1, 3], 0);
    for (model, put, take) in [
        ("fifo-queue", "enqueue", "dequeue"),
        ("unordered-queue", "enqueue", "dequeue"),
        ("stack", "push", "pop"),
        ("priority-queue", "insert", "extract"),
    ] {
        let text =
            format!("1 i {take}; 1 n {take}; 0 i {put} 1; 0 o {put} 1; 2 i {take}; 2 o {take} 1");
        for order in [&[3, 5][..], &[1, 3, 5], &[3, 5, 1]] {
            verified(model, &text, order, 0);
        }
        verified(model, &text, &[3, 1, 5], 1);
    }
}

#[test]
fn an_order_of_strings_has_the_appends_of_nothing_where_they_were() {
    let folder = Folder::new("nothing");
    for text in [
        r#"1 i append ""; 1 o append ""; 0 i get; 0 o get """#,
        r#"0 i put "b"; 0 o put "b"; 1 i append ""; 2 i append ""; 2 o append ""; 1 o append ""; 0 i append "c"; 0 o append "c"; 0 i get; 0 o get "bc"; 1 i append ""; 1 o append """#,
    ] {
        let file = folder.write("h.jsonl", history(text));
        for check in ["linear", "verify"] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
            command.current_dir(folder.path()).args([check, "--model", "kv-append"]);
            run_with(command.args(["--witness", "order", &file]), "").expect(0);
        }
    }
}

#[test]
fn numbers_with_exponents_beyond_64_bits_are_compared_as_numbers() {
    for (wrote, read, status) in [
        ("1e9223372036854775808", "10e9223372036854775807", 0),
        ("1.50E-99999999999999999999", "15e-100000000000000000000", 0),
        ("1e9223372036854775808", "1e9223372036854775809", 1),
    ] {
        let text = format!("0 i write {wrote}; 0 o write {wrote}; 1 i read; 1 o read {read}");
        judge("register", &text, status);
    }
}
