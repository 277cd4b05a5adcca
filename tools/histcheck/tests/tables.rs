//! Tables in which a row is a whole operation, read by the binary as users run it.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run_with};

fn judge(args: &[&str], input: &str) -> Run {
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

fn linear(input: &str) -> Run {
    judge(&["linear", "--model", "register"], input)
}

/// The events of a table, a word each: process, type, name.
fn events(table: &str) -> Vec<String> {
    let run = judge(&["convert", "--to", "jsonl"], table).expect(0);
    let event = |line: &str| -> String {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{}{}{}", line["process"], line["type"].as_str().unwrap(), line["value"])
    };
    run.stdout.lines().map(event).collect()
}

#[test]
fn a_row_with_two_times_is_an_operation_whatever_the_order_of_the_rows() {
    let stale =
        "f,value,process,end,start,key\nread,1,1,60,50,a\nwrite,2,0,40,30,a\nwrite,1,0,20,10,a\n";
    let run = linear(stale).expect(1);
    assert!(run.stdout.contains("is stale"), "{}", run.stdout);
    assert!(
        run.stdout.contains("3 rows read: 3 operations (3 ok, 0 fail, 0 info)"),
        "{}",
        run.stdout
    );
    linear(&stale.replace("60,50", "60,40")).expect(0);
    for (begin, end) in [("invoke", "complete"), ("call", "return"), ("start_time", "end_time")] {
        let other = stale.replace("start", begin).replace("end", end);
        linear(&other).expect(1);
    }
}

#[test]
fn what_became_of_a_row_is_its_type_or_follows_from_its_end() {
    let table = "process,f,value,start,end,type,error\n0,write,1,1,2,,\n1,write,2,1,,,\n2,write,3,1,5,fail,\"\"\"no\"\"\"\n3,write,4,1,5,info,late\n3,read,4,6,7,ok,\n";
    let run = linear(table).expect(0);
    assert!(run.stdout.contains("5 operations (2 ok, 1 fail, 2 info)"), "{}", run.stdout);
    let lines = judge(&["convert", "--to", "jsonl"], table).expect(0).stdout;
    assert_eq!(lines.lines().count(), 9);
    assert!(
        lines
            .contains(r#"{"time":5,"process":2,"type":"fail","f":"write","value":3,"error":"no"}"#),
        "{lines}"
    );
    assert!(
        !lines.lines().any(|line| line.contains("invoke") && line.contains("error")),
        "{lines}"
    );
}

#[test]
fn events_of_one_time_overlap_as_far_as_their_processes_allow() {
    // Process 0 ends one and begins another at 5; process 1 begins at 5, process 2 ends, process 3 does both.
    let table =
        "process,f,value,call,return\n0,w,1,1,5\n0,w,2,5,9\n1,w,3,5,8\n2,w,4,2,5\n3,w,5,5,5\n";
    assert_eq!(
        events(table),
        [
            "0invoke1", "2invoke4", "3invoke5", "1invoke3", "0ok1", "0invoke2", "2ok4", "3ok5",
            "1ok3", "0ok2"
        ]
    );
    let circle = "process,f,value,call,return\n0,w,1,1,5\n0,w,2,5,9\n1,w,3,2,5\n1,w,4,5,6\n";
    let run = linear(circle).expect(65);
    assert!(run.stderr.contains("at the time 5, which leaves no order"), "{}", run.stderr);
    assert!(run.stderr.contains("stdin, line "), "{}", run.stderr);
}

#[test]
fn a_fault_in_a_table_is_in_force_between_its_times() {
    let table = "process,f,value,start,end\nnemesis,partition,\"{}\",5,30\nnemesis,kill,n1,7,\n0,write,1,1,9\n";
    let stats = judge(&["stats"], table).expect(0);
    assert!(stats.stdout.contains("partition"), "{}", stats.stdout);
    let lines = judge(&["convert", "--to", "jsonl"], table).expect(0).stdout;
    for word in ["\"start-partition\"", "\"stop-partition\"", "\"kill\""] {
        assert!(lines.contains(word), "{lines}");
    }
}

#[test]
fn rows_that_are_no_operations_are_errors_with_their_place() {
    for (rows, said) in [
        ("0,read,1,5,4,", "line 2: column 12: \"end\" is 4, before the operation began at 5"),
        ("0,read,1,,4,", "line 2: column 1: \"start\" is missing"),
        (
            "0,read,1,1.5,4,",
            "line 2: column 10: \"start\" must be a whole number of nanoseconds, not 1.5",
        ),
        ("0,read,1,18446744073709551616,4,", "\"start\" must be a whole number"),
        ("0,read,1,1,4,invoke", "line 2: column 14: \"type\" is what became of an operation"),
        ("0,read,1,1,,ok", "no time says when it ended"),
        ("0,read,1,1,4", "line 2: column 13: the row has 5 cells and the header 6"),
    ] {
        let table = format!("process,f,value,start,end,type\n{rows}\n");
        let run = linear(&table).expect(65);
        assert!(run.stderr.contains(said), "{said:?} is not in {}", run.stderr);
        assert!(run.stderr.contains(": column "), "{}", run.stderr);
    }
    let beside = linear("process,f,start,end,index\n0,read,1,2,3\n").expect(65);
    assert!(beside.stderr.contains("cannot stand beside them"), "{}", beside.stderr);
}

#[test]
fn rows_of_one_process_may_overlap_as_each_is_a_whole_operation() {
    let table = "process,f,value,start,end\n0,write,1,0,30\n0,write,2,15,40\n0,read,2,20,25\n1,read,SEEN,50,60\n";
    for (seen, status) in [("1", 0), ("2", 0), ("3", 1)] {
        let run = linear(&table.replace("SEEN", seen));
        assert_eq!(run.status, status, "{seen}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("4 rows read: 4 operations (4 ok"), "{}", run.stdout);
    }
    // The read of 2 shows that 2 was there before 25, and 1 replaced it at 30 at the latest.
    let run = linear(&table.replace("0,30", "26,30").replace("SEEN", "2")).expect(1);
    assert!(run.stdout.contains("process 0: "), "{}", run.stdout);
    assert!(!run.stdout.contains("0 (2)"), "the process is the row's: {}", run.stdout);
}

#[test]
fn a_process_may_go_on_after_a_row_without_an_end_and_still_holds_its_lock() {
    let table = "process,f,start,end\n0,acquire,0,\n0,release,10,20\n1,acquire,30,40\n";
    let mutex = ["linear", "--model", "mutex"];
    let run = judge(&mutex, table).expect(0);
    assert!(run.stdout.contains("3 operations (2 ok, 0 fail, 1 info)"), "{}", run.stdout);
    judge(&mutex, &table.replace("0,release", "2,release")).expect(1);
    let lines = judge(&["convert", "--to", "jsonl"], table).expect(0).stdout;
    assert!(lines.contains(r#""process":"0 (2)","type":"invoke","f":"release""#), "{lines}");
    judge(&["stats"], &lines).expect(0);
}

#[test]
fn rows_that_touch_are_in_order_unless_their_process_overlaps_itself() {
    let touching = "process,f,value,start,end\n0,write,1,0,10\n0,write,2,10,20\n1,read,1,30,40\n";
    linear(touching).expect(1);
    // A third row shows that process 0 does several things at once.
    linear(&(touching.to_string() + "0,write,3,5,15\n")).expect(0);
}

#[test]
fn json_with_an_operation_an_object_is_read_as_a_table_is() {
    let stale = r#"{"f":"read","value":1,"process":1,"end":60,"start":50}
{"f":"write","value":2,"process":"a","end":4E1,"start":30.0}
{"f":"write","value":1,"process":"a","end":20,"start":10}
"#;
    let array = format!("[{}]", stale.trim_end().replace('\n', ",\n"));
    for history in [stale, &array] {
        let run = linear(history).expect(1);
        assert!(run.stdout.contains("read 1 (line 1) is stale"), "{}", run.stdout);
        assert!(run.stdout.contains("3 objects read: 3 operations (3 ok"), "{}", run.stdout);
        linear(&history.replace("\"end\":60,\"start\":50", "\"end\":60,\"start\":40")).expect(0);
        let other = history.replace("start", "call_time").replace("end", "return_time");
        linear(&other).expect(1);
    }
    let open = stale.replace("\"end\":4E1", "\"end\":null");
    let run = linear(&open).expect(0);
    assert!(run.stdout.contains("(2 ok, 0 fail, 1 info)"), "{}", run.stdout);
}

#[test]
fn what_is_wrong_with_an_operation_in_json_is_named_with_its_place() {
    let first = "{\"process\":0,\"f\":\"write\",\"value\":1,\"start\":0,\"end\":100}\n";
    for (second, said) in [
        (
            r#"{"process":0,"f":"read","start":9,"end":5}"#,
            "line 2: column 41: \"end\" is 5, before",
        ),
        (r#"{"process":0,"f":"read","end":5}"#, "line 2: column 1: it does not say when"),
        (
            r#"{"process":0,"f":"read","start":1,"end":5,"time":3}"#,
            "line 2: column 50: \"time\" cannot",
        ),
        (
            r#"{"process":0,"type":"invoke","f":"read","start":1,"end":5}"#,
            "line 2: column 21: \"type\" is what",
        ),
        (r#"{"process":0,"f":"read","start":1.5,"end":5}"#, "line 2: column 33: \"start\" must be"),
        ("[]", "line 2: column 1: an operation must be a JSON object"),
        ("{\"process\":0", "the text ends within an object"),
    ] {
        let run = judge(&["stats"], &format!("{first}{second}")).expect(65);
        assert!(run.stderr.contains(said), "{second}: {}", run.stderr);
    }
}
