//! Ends that no program wants: memory, threads and stack that run out. Each is an error with its status, and every
//! history has a verdict line all the same.

#![allow(clippy::unwrap_used)]

use breakit_tests::process::{Run, run, shell};
use breakit_tests::{Folder, has, is_root, skip};
use serde_json::Value;

const VALID: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":1,"type":"invoke","f":"read","value":null}
{"process":1,"type":"ok","f":"read","value":1}
"#;

fn folder() -> Folder {
    let folder = Folder::new("ends");
    folder.write("valid.jsonl", VALID);
    folder.write("bad.jsonl", VALID.replace("\"read\",\"value\":1", "\"read\",\"value\":2"));
    folder
}

#[track_caller]
fn line(folder: &Folder, line: &str) -> Run {
    run(shell(line).current_dir(folder.path()))
}

/// One event whose value is a list of so many ones: small as text, large in memory.
fn one_long_event(folder: &Folder, ones: usize) {
    let list = |between: &str| vec!["1"; ones].join(between);
    let json = format!(r#"{{"process":0,"type":"invoke","f":"write","value":[{}]}}"#, list(","));
    folder.write("long.jsonl", format!("{json}\n"));
    folder.write("long.json", format!("[{json}]\n"));
    folder.write(
        "long.edn",
        format!("{{:process 0, :type :invoke, :f :write, :value [{}]}}\n", list(" ")),
    );
    folder.write("long.csv", format!("process,type,f,value\n0,invoke,write,\"[{}]\"\n", list(",")));
}

/// Writes an event without an end, and no newline.
const ENDLESS: &str = r#"(printf '{"value" "'; yes a | tr -d '\n') |"#;

#[test]
fn an_event_without_an_end_comes_to_the_memory_in_every_format() {
    let folder = folder();
    let formats = ["jsonl", "edn", "log", "csv", "plume", "sessions"];
    let commands = formats.map(|format| format!("linear --model register --format {format}"));
    for command in
        commands.into_iter().chain(["stats".into(), "linear --model register --follow".into()])
    {
        // Beyond that the system would refuse.
        let limited =
            format!("{ENDLESS} (ulimit -v 400000; histcheck {command} --memory 20M 2>&1)");
        let run = line(&folder, &limited).expect(2);
        assert!(run.stdout.contains("--memory 20M ran out within one "), "{command}: {run:?}");
        assert!(run.stdout.contains(": unknown: a limit was reached"), "{command}: {run:?}");
    }
    for command in ["convert --to edn", "split --shards 2 --into shards"] {
        let limited =
            format!("{ENDLESS} (ulimit -v 400000; histcheck {command} --memory 20M - 2>&1)");
        let run = line(&folder, &limited).expect(2);
        assert!(run.stdout.contains("--memory 20M ran out within one event"), "{run:?}");
    }
    let run = line(&folder, "ulimit -v 400000; histcheck merge --memory 20M /dev/zero").expect(2);
    assert!(run.stdout.starts_with("merged: none: unknown: --memory"), "{run:?}");
}

#[test]
fn what_is_no_text_is_refused_at_once_though_it_has_no_end() {
    let run = line(&folder(), "histcheck stats /dev/zero").expect(65);
    assert!(run.stderr.contains("this is binary data and no text"), "{run:?}");
}

#[test]
fn a_long_event_comes_to_the_time() {
    let folder = folder();
    let mut text = vec![b'a'; 200 << 20];
    text[..9].copy_from_slice(b"{\"value\" ");
    folder.write("long", &text);
    for command in ["stats", "linear --model register", "convert --to csv"] {
        let command = format!("histcheck {command} --timeout 5ms --memory 4G");
        for from in ["long", "- <long"] {
            let run = line(&folder, &format!("{command} {from}")).expect(2);
            // It may be over before the first byte is read; in any case it is within the event.
            assert!(run.stderr.contains("--timeout 5ms ran out"), "{run:?}");
        }
    }
}

#[test]
fn an_event_that_is_larger_than_its_text_comes_to_the_memory() {
    let folder = folder();
    one_long_event(&folder, 3_000_000);
    for name in ["long.jsonl", "long.json", "long.edn", "long.csv"] {
        for command in ["stats", "linear --model register --json"] {
            let line_of = format!("histcheck {command} --memory 20M {name} bad.jsonl");
            let run = line(&folder, &format!("ulimit -v 400000; {line_of}"));
            // Whether the second is still looked at depends on where the first ran out.
            assert!([1, 2].contains(&run.status), "{line_of}: {run:?}");
            assert!(run.stderr.contains("--memory"), "{run:?}");
            let verdicts = run.stdout.lines().filter(|line| !line.starts_with(' '));
            assert_eq!(verdicts.count(), 2, "{line_of}: {run:?}");
        }
        let convert = format!("ulimit -v 400000; histcheck convert --to csv --memory 20M {name}");
        line(&folder, &convert).expect(2);
    }
}

#[test]
fn where_the_system_gives_no_more_memory_every_history_has_its_line_and_the_worst_status_counts() {
    let folder = folder();
    one_long_event(&folder, 3_000_000);
    let files = ["long.jsonl valid.jsonl", "bad.jsonl long.edn", "valid.jsonl long.json"];
    for (files, status) in files.into_iter().zip([71, 1, 71]) {
        let command = format!("histcheck linear --model register --memory 10G {files}");
        let run = line(&folder, &format!("ulimit -v 150000; {command}")).expect(status);
        assert!(run.stderr.contains("the system gives no more memory"), "{run:?}");
        for file in files.split(' ') {
            let lines = run.stdout.lines().filter(|line| line.starts_with(&format!("{file}: ")));
            assert_eq!(lines.count(), 1, "{file}: {run:?}");
        }
        let run = line(&folder, &format!("ulimit -v 150000; {command} --json")).expect(status);
        let files: Vec<Value> =
            run.lines().into_iter().map(|mut line| line["file"].take()).collect();
        assert_eq!(files.len(), 2, "{run:?}");
    }
}

/// Runs a command as a user who may have no second process or thread.
fn alone(folder: &Folder, command: &str) -> Run {
    let nobody =
        "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all";
    let limited = format!("bash -c 'ulimit -u 1; exec {command}'");
    line(folder, &if is_root() { format!("{nobody} {limited}") } else { limited })
}

#[test]
fn where_the_system_gives_no_thread_one_does_all() {
    let folder = folder();
    if is_root() && (!has("setpriv") || alone(&folder, "histcheck --version").status != 0) {
        skip!("another user cannot run the binary, or there is no setpriv");
    }
    // Enough for several threads, in reading and in deciding.
    let key = |key: usize| VALID.replace('}', &format!(",\"key\":{key}}}"));
    folder.write("many.jsonl", (0..40_000).map(|at| key(at % 4)).collect::<String>().as_bytes());
    let check = "histcheck linear --model cas-register --initial 1";
    let expected = line(&folder, &format!("{check} many.jsonl"));
    let run = alone(&folder, &format!("{check} many.jsonl")).expect(expected.status);
    assert_eq!((run.stdout, run.stderr), (expected.stdout, expected.stderr));
    alone(&folder, "histcheck linear --model set --follow valid.jsonl").expect(65);
}

#[test]
fn no_nesting_exhausts_the_stack() {
    let folder = folder();
    let deep = 100_000;
    for (piece, says) in [
        ("#_", "the text ends within a form"),
        ("[#_", "more than 130 forms"),
        ("[#_[", "more than 130 forms"),
        ("{:a #_ ", "more than 130 forms"),
        ("#a ", "more than 130 forms"),
        ("#_#{", "more than 130 forms"),
        ("(", "more than 130 forms"),
    ] {
        folder.write("deep.edn", format!("{}\n", piece.repeat(deep)));
        let run = line(&folder, "histcheck stats --format edn deep.edn").expect(65);
        assert!(run.stderr.contains(says), "{piece}: {run:?}");
    }
    for text in ["[", "{\"a\":", "\"\\"] {
        folder.write("deep.jsonl", format!("{}\n", text.repeat(deep)));
        for format in ["jsonl", "json", "edn", "csv", "log", "plume", "sessions"] {
            let run = line(&folder, &format!("histcheck stats --format {format} deep.jsonl"));
            assert!([0, 65].contains(&run.status), "{text}, {format}: {run:?}");
        }
    }
}

#[test]
fn discarded_forms_may_stand_in_a_row() {
    let folder = folder();
    let event = |rest: &str| format!("{{:process 0, :type :invoke, :f :read, {rest}}}\n");
    folder.write(
        "a.edn",
        event(":value #_ #_ 1 #_ 2 3 nil") + &event(":value [#_#_ 1 2]").replace("invoke", "ok"),
    );
    let run = line(&folder, "histcheck convert --to jsonl a.edn").expect(0);
    assert_eq!(run.lines()[0]["value"], Value::Null);
    assert_eq!(run.lines()[1]["value"], Value::Array(Vec::new()));
}

#[test]
fn a_model_that_does_not_fit_many_keys_is_one_error_and_does_not_look_for_each() {
    let folder = folder();
    let key = |key: usize| VALID.replace('}', &format!(",\"key\":{key}}}"));
    folder.write("keys.jsonl", (0..50_000).map(key).collect::<String>().as_bytes());
    // It took longer than a test may last when the place of each was looked for.
    for command in ["linear --model fifo-queue", "linear --model set --follow", "set"] {
        let run = line(&folder, &format!("histcheck {command} keys.jsonl")).expect(65);
        assert!(run.stderr.contains("keys.jsonl, line "), "{command}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{command}: {run:?}");
    }
}

#[test]
fn a_text_that_is_not_utf_8_is_bad_input_with_its_line() {
    let folder = folder();
    folder.write("order", b"{\"line\":1}\n{\"line\":\xff3}\n");
    folder.write("table", b"start a\na go \xff a\n");
    folder.write("grudge", b"{\"n1\":\n[\"\xff\"]}\n");
    for (command, place) in [
        (
            "histcheck verify --model register --witness order valid.jsonl",
            "order, line 2: column 9",
        ),
        ("histcheck linear --model @table valid.jsonl", "table, line 2: column 6"),
        ("histcheck merge order", "order, line 1"),
        ("partition plan grudge grudge -n n1,n2", "grudge, line 2: column 3"),
    ] {
        let run = line(&folder, command).expect(65);
        assert!(run.stderr.contains(place), "{command}: {run:?}");
    }
}

#[test]
fn following_many_keys_keeps_the_memory_and_reads_on_to_the_end() {
    let folder = folder();
    let key = |key: usize| VALID.replace('}', &format!(",\"key\":{key}}}"));
    folder.write("keys.jsonl", (0..80_000).map(key).collect::<String>().as_bytes());
    let check = "histcheck linear --model register --follow --memory 8M";
    // A writer that were not read to its end would make the pipeline fail.
    let run = line(&folder, &format!("cat keys.jsonl | (ulimit -v 120000; {check})")).expect(2);
    assert!(run.stdout.contains("unknown: --memory 8M ran out after "), "{run:?}");
    let enough = "histcheck linear --model register --follow --memory 1G keys.jsonl";
    line(&folder, enough).expect(0);
}

#[test]
fn a_split_comes_to_its_memory_and_leaves_no_shards() {
    let folder = folder();
    let text = |at: usize| VALID.replace(":1}", &format!(":\"a value of some length: {at}\"}}"));
    folder.write("strings.jsonl", (0..150_000).map(text).collect::<String>().as_bytes());
    let split = "histcheck split --shards 4 --into shards strings.jsonl --memory";
    let run = line(&folder, &format!("{split} 2M")).expect(2);
    assert!(run.stderr.contains("--memory 2M ran out"), "{run:?}");
    assert_eq!(std::fs::read_dir(folder.file("shards")).unwrap().count(), 0);
    line(&folder, &format!("{split} 200M")).expect(0);
}

#[test]
fn without_a_limit_of_our_own_that_of_the_process_is_kept() {
    let limited = format!("{ENDLESS} (ulimit -v 400000; histcheck stats 2>&1)");
    let run = line(&folder(), &limited).expect(2);
    assert!(run.stdout.contains("--memory 195M ran out within one event"), "{run:?}");
}
