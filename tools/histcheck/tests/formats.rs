//! Histories in every format that there is, read by the binary as users run it.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use breakit_tests::process::{Run, run, run_with};
use breakit_tests::{Folder, skip};

fn histcheck() -> Command {
    Command::new(env!("CARGO_BIN_EXE_histcheck"))
}

fn judge(args: &[&str], input: &str) -> Run {
    run_with(histcheck().args(args), input)
}

const LINEAR: [&str; 3] = ["linear", "--model", "cas-register"];

fn linear(input: &str) -> Run {
    judge(&LINEAR, input)
}

/// One stale read in each format: 1 was replaced by 2 when the read began.
const STALE: [(&str, &str); 6] = [
    (
        "jsonl",
        r#"{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":0,"type":"invoke","f":"write","value":2}
{"process":0,"type":"ok","f":"write","value":2}
{"process":1,"type":"invoke","f":"read","value":null}
{"process":1,"type":"ok","f":"read","value":1}
"#,
    ),
    (
        "json",
        r#"[{"process":0,"type":"invoke","f":"write","value":1},
{"process":0,"type":"ok","f":"write","value":1},
{"process":0,"type":"invoke","f":"write","value":2},
{"process":0,"type":"ok","f":"write","value":2},
{"process":1,"type":"invoke","f":"read","value":null},
{"process":1,"type":"ok","f":"read","value":1}]
"#,
    ),
    (
        "edn",
        "[{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1} #_{:not :there}
{:process 0, :type :invoke, :f :write, :value 2} ; a comment
#jepsen.history.Op{:process 0, :type :ok, :f :write, :value 2N}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 1, :why #{:x [1 2]}}]
",
    ),
    (
        "edn",
        "{:process 0 :type :invoke :f :write :value 1}{:process 0 :type :ok :f :write :value 1}
{:process 0 :type :invoke :f :write :value 2}
{:process 0 :type :ok :f :write :value 2}
{:process 1 :type :invoke :f :read}
{:process 1 :type :ok :f :read :value 1}",
    ),
    (
        "log",
        "2015-03-26 INFO  jepsen.core - Running test
INFO  jepsen.util - 0\t:invoke\t:write\t1
INFO  jepsen.util - 0\t:ok\t:write\t1
INFO  jepsen.util - 0\t:invoke\t:write\t2
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 0\t:ok\t:write\t2
INFO  jepsen.util - 1\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:ok\t:read\t1
",
    ),
    (
        "csv",
        "type,f,process,value,note\ninvoke,write,0,1,\"a, \"\"b\"\"\"\nok,write,0,1,\ninvoke,write,0,2,\nok,write,0,2,\ninvoke,read,1,,\nok,read,1,1,\n",
    ),
];

#[test]
fn every_format_is_recognised_and_says_the_same() {
    for (format, text) in STALE {
        let bad = linear(text).expect(1);
        assert!(bad.stdout.contains("stale"), "{format}: {}", bad.stdout);
        let forced = [&LINEAR[..], &["--format", format]].concat();
        judge(&forced, text).expect(1);
        let good = text.replace("read\t1", "read\t2").replace("read,1,1", "read,1,2");
        let good = good.replace(":read, :value 1", ":read, :value 2");
        let good = good.replace(":read :value 1", ":read :value 2");
        let good = good.replace(r#""read","value":1"#, r#""read","value":2"#);
        let good = linear(&good).expect(0);
        assert!(good.stdout.contains("3 operations (3 ok, 0 fail, 0 info)"), "{}", good.stdout);
    }
}

#[test]
fn packed_histories_are_read_as_what_they_hold() {
    let folder = Folder::new("packed");
    for (tool, ending) in [("gzip", "gz"), ("zstd", "zst")] {
        if !breakit_tests::has(tool) {
            skip!("no {tool}");
        }
        for (at, (format, text)) in STALE.into_iter().enumerate() {
            let file = folder.write(&format!("{at}.{format}"), text);
            let packed = pack(tool, &file);
            // Two packed pieces one after the other are one text.
            let half = text.len() / 2;
            let first = pack(tool, &folder.write("first", &text.as_bytes()[..half]));
            let second = pack(tool, &folder.write("second", &text.as_bytes()[half..]));
            for bytes in [packed.clone(), [first, second].concat()] {
                let file = folder.write(&format!("{at}.{format}.{ending}"), &bytes);
                run(histcheck().args(LINEAR).arg(&file)).expect(1);
            }
            let cut = folder.write(&format!("cut.{ending}"), &packed[..packed.len() - 9]);
            let cut = run(histcheck().args(LINEAR).arg(&cut)).expect(65);
            assert!(cut.stderr.contains("damaged or cut short"), "{}", cut.stderr);
        }
    }
}

fn pack(tool: &str, file: &str) -> Vec<u8> {
    Command::new(tool).args(["-q", "-c"]).arg(file).output().unwrap().stdout
}

#[test]
fn what_is_wrong_is_named_with_line_and_column_in_every_format() {
    for (text, said) in [
        (
            "[{:process :nemesis :type :info :f :x}\n {:process",
            "line 2: column 11: not EDN: the text ends within a form",
        ),
        ("{:process 0 :type :invoke :f :r}\n 7", "line 2: column 2: an event must be a map, not 7"),
        ("{:process 0 :type :done :f :r}", "line 1: column 19: \"type\" must be invoke"),
        ("[{:process 0 :type :invoke :f :r}] x", "line 1: column 36: something follows"),
        ("[{\"process\":0,\n\"type\":}]", "line 2: column 8: not JSON: expected value"),
        (
            "[{\"process\":1,\"type\":\"invoke\",\"f\":\"r\"},{\"process\":0,\"type\":\"ok\",\"f\":\"r\"}]",
            "completes \"r\" and has nothing open",
        ),
        ("0\t:invoke\t:read\tnil\n0\t:ok\t:read\t[1\n", "line 2: column 15: not EDN"),
        ("process,type,f\n0,invoke\n", "line 2: column 9: the row has 2 cells and the header 3"),
        ("process,type,f\n\n0,start,r\n", "line 3: column 3: \"type\" must be invoke"),
        ("r(1,2,3,4)\nr(1,2,3)\n", "line 2: column 1: a line must be r(KEY,VALUE"),
        ("w 1 2\nw 1\n", "line 2: column 1: a line must be \"r KEY VALUE\""),
    ] {
        let run = linear(text).expect(65);
        assert!(run.stderr.contains(said), "{said:?} is not in {}", run.stderr);
    }
    let lenient = [&LINEAR[..], &["--lenient"]].concat();
    for (format, text) in STALE {
        if ["json", "edn"].contains(&format) {
            let cut = &text[..text.len() - 12];
            linear(cut).expect(65);
            let run = judge(&lenient, cut);
            assert!(run.stdout.contains("1 cut short and dropped"), "{format}: {}", run.stdout);
        }
    }
}

#[test]
fn any_format_cut_at_any_byte_is_a_verdict_or_an_error_and_never_a_panic() {
    for (format, text) in STALE {
        for end in (0..text.len()).step_by(23) {
            for format in [None, Some(format)] {
                let forced = format.map(|format| ["--format", format]);
                let args = [&LINEAR[..], &["--lenient"], forced.as_ref().map_or(&[], |f| &f[..])];
                let run = judge(&args.concat(), &text[..end]);
                assert!([0, 2, 65].contains(&run.status), "{format:?} {end}: {}", run.stderr);
            }
        }
    }
}

#[test]
fn converting_there_and_back_gives_the_same_bytes() {
    let line = r#"{"time":5,"process":3,"type":"ok","f":"txn","key":"k","value":[["append","x",[1,null]],["r",7,["a","b"]]],"node":"n2","error":{"code":12345678901234567890123,"a b":1.50},"index":4,"why":{"deep":[{},[],true,"\u0001é,\"\n"]}}
{"process":"nemesis","type":"info","f":"start-partition","value":{"began":1}}
{"process":0,"type":"invoke","f":"read"}
{"process":0,"type":"ok","f":"read","value":null}
"#;
    for to in ["jsonl", "edn", "csv"] {
        let there = judge(&["convert", "--to", to], line).expect(0);
        let back = judge(&["convert", "--to", "jsonl"], &there.stdout).expect(0);
        assert_eq!(back.stdout, line, "by way of {to}:\n{}", there.stdout);
    }
    let edn = judge(&["convert", "--to", "edn"], line).expect(0);
    assert!(edn.stdout.starts_with("{:time 5, :process 3, :type :ok, :f :txn, :key \"k\", :value [[:append \"x\" [1 nil]] [:r 7 [\"a\" \"b\"]]]"), "{}", edn.stdout);
}

#[test]
fn what_is_left_out_in_converting_is_said() {
    let log = STALE.iter().find(|(format, _)| *format == "log").unwrap().1;
    let run = judge(&["convert", "--to", "jsonl"], log).expect(0);
    assert_eq!(run.stdout.lines().count(), 7);
    assert!(run.stderr.contains("left out: 1 line of a log that are no events"), "{}", run.stderr);
    let sessions = judge(&["convert", "--to", "jsonl"], "w 1 2\n===\nr 1 2\n").expect(0);
    assert!(sessions.stderr.contains("which transaction ended before"), "{}", sessions.stderr);
    assert_eq!(
        sessions.stdout.lines().last(),
        Some(r#"{"process":1,"type":"ok","f":"txn","value":[["r",1,2]]}"#)
    );
}

#[test]
fn keyed_values_are_taken_apart_on_every_line() {
    let text = "{:process 0 :type :invoke :f :write :value [1 5]}
{:process 0 :type :ok :f :write :value [1 5]}
{:process 0 :type :invoke :f :read :value [2 nil]}
{:process 0 :type :ok :f :read :value [2 5]}";
    let keyed = [&LINEAR[..], &["--keyed"]].concat();
    let run = judge(&keyed, text).expect(1);
    assert!(run.stdout.contains("1 of 2 keys are not linearizable: 2"), "{}", run.stdout);
    let converted = judge(&["convert", "--keyed", "--to", "jsonl"], text).expect(0);
    assert_eq!(
        linear(&converted.stdout).expect(1).stdout,
        run.stdout.replace("forms read", "lines read").replace("fault forms", "fault lines")
    );
    let wrong = judge(&keyed, "{:process 0 :type :invoke :f :write :value 5}").expect(65);
    assert!(wrong.stderr.contains("must be [key, value], not 5"), "{}", wrong.stderr);
}

#[test]
fn of_two_events_with_one_index_the_invocation_goes_first() {
    let text = r#"{"index":1,"process":0,"type":"invoke","f":"write","value":1}
{"index":2,"process":0,"type":"ok","f":"write","value":1}
{"index":3,"process":0,"type":"invoke","f":"write","value":2}
{"index":4,"process":0,"type":"ok","f":"write","value":2}
{"index":4,"process":1,"type":"invoke","f":"read","value":null}
{"index":5,"process":1,"type":"ok","f":"read","value":1}
"#;
    linear(text).expect(0);
    linear(&text.replacen("\"index\":4,\"process\":0", "\"index\":3.5,\"process\":0", 1))
        .expect(65);
    let later = text
        .replace("\"index\":5", "\"index\":6")
        .replace("{\"index\":4,\"process\":1", "{\"index\":5,\"process\":1");
    linear(&later).expect(1);
}

#[test]
fn a_number_is_the_same_however_a_format_writes_it_and_no_other() {
    let line = |process: u8, kind: &str, f: &str, value: &str| {
        [
            format!(r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#),
            format!("{{:process {process} :type :{kind} :f :{f} :value {value}}}"),
            format!("{process},{kind},{f},\"{value}\""),
        ]
    };
    for (written, read, status) in [
        ("100", "1E+2", 0),
        ("-0", "0", 0),
        ("[1.50]", "[1.5]", 0),
        ("1.0", "1", 0),
        ("1e400", "10e399", 0),
        ("1.5", "1.5000000000000000001", 1),
        ("1234567890123456789012345678901234567890", "1234567890123456789012345678901234567891", 1),
    ] {
        let events = [
            line(0, "invoke", "write", written),
            line(0, "ok", "write", written),
            line(1, "invoke", "read", ""),
            line(1, "ok", "read", read),
        ];
        for format in 0..3 {
            let header = ["", "", "process,type,f,value\n"][format];
            let text = events.each_ref().map(|event| event[format].clone()).join("\n");
            let text = text.replace(",\"value\":}", "}").replace(" :value }", "}");
            let run = linear(&format!("{header}{text}\n")).expect(status);
            let engine = if status == 0 { "are linearizable" } else { "not linearizable" };
            assert!(run.stdout.contains(engine), "{text}: {}", run.stdout);
        }
    }
}

/// A history of `count` operations of 5 processes on a register, as `workload` writes it, with a word in it here
/// and there that no layout knows.
fn long(count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for at in 0..count / 5 {
        for (kind, value) in [("invoke", "null"), ("ok", "")] {
            for process in 0..5 {
                let (f, value) = match process {
                    0 => ("write", at.to_string()),
                    _ if kind == "ok" && at > 0 => ("read", (at - 1 + process % 2).to_string()),
                    _ if kind == "ok" => {
                        ("read", if process % 2 == 0 { "null" } else { "0" }.into())
                    }
                    _ => ("read", value.to_string()),
                };
                let error = if at % 97 == 3 { r#","error":"é""# } else { "" };
                lines.push(format!(
                    r#"{{"time":{},"process":{process},"type":"{kind}","f":"{f}","value":{value},"node":"n{process}"{error}}}"#,
                    at * 1000 + process
                ));
            }
        }
    }
    lines
}

#[test]
fn a_large_file_says_the_same_by_one_thread_and_by_two() {
    let folder = Folder::new("threads");
    let mut lines = long(85_000);
    let fault = r#"{"time":1,"process":"nemesis","type":"info","f":"kill","value":{}}"#;
    for at in [1, 80_000, 160_000] {
        lines.insert(at, fault.into());
    }
    // What a part has open at its end, and what is never completed.
    let cut = lines.len() - 3;
    lines.truncate(cut);
    let whole = lines.join("\n");
    let stale = whole.replace("\"read\",\"value\":16000,", "\"read\",\"value\":15000,");
    let twice =
        whole.replacen(&lines[100_001], &format!("{}\n{}", lines[100_001], lines[100_001]), 1);
    for (name, text, status) in [("valid", &whole, 0), ("stale", &stale, 1), ("twice", &twice, 65)]
    {
        let file = folder.write(name, text);
        assert!(text.len() > 8 << 20, "{}: too small to be read in parts", text.len());
        for check in ["linear", "stats"] {
            let args: &[&str] = if check == "linear" { &LINEAR } else { &["stats"] };
            let by_all = run(histcheck().args(args).args(["--json"]).arg(&file));
            let alone = judge(&[args, &["--json"]].concat(), text);
            let status = if check == "stats" && status == 1 { 0 } else { status };
            assert_eq!(
                (by_all.status, alone.status),
                (status, status),
                "{name}: {}",
                by_all.stderr
            );
            let path = &file;
            assert_eq!(by_all.stdout.replace(path, "stdin"), alone.stdout, "{name}");
            assert_eq!(by_all.stderr.replace(path, "stdin"), alone.stderr, "{name}");
        }
    }
}

#[test]
fn an_index_gives_the_order_of_a_large_file_by_one_thread_and_by_two() {
    let folder = Folder::new("indexed");
    let indexed =
        |index: usize, line: &String| line.replacen('{', &format!("{{\"index\":{index},"), 1);
    let grows: Vec<String> =
        long(85_000).iter().enumerate().map(|(at, line)| indexed(2 * at, line)).collect();
    let (count, half) = (grows.len(), grows.len() / 2);
    let mut late = grows.clone();
    late.swap(count - 7, count - 6);
    let mut halves = grows[half..].to_vec();
    halves.extend_from_slice(&grows[..half]);
    let mut lacking = long(85_000)[..half].to_vec();
    lacking.extend_from_slice(&grows[half..]);
    let order = |lines: &[String]| {
        let text = lines.join("\n") + "\n";
        assert!(text.len() > 8 << 20, "{}: too small to be read in parts", text.len());
        let file = folder.write("history", &text);
        let by_all = run(histcheck().args(["stats", "--json"]).arg(&file));
        let alone = judge(&["stats", "--json"], &text);
        assert_eq!(by_all.status, alone.status, "{}", by_all.stderr);
        assert_eq!(by_all.stdout.replace(&file, "stdin"), alone.stdout);
        assert_eq!(by_all.stderr.replace(&file, "stdin"), alone.stderr);
        let verdict = judge(&LINEAR, &text);
        (alone, verdict)
    };
    let (told, verdict) = order(&grows);
    assert_eq!((told.status, verdict.status), (0, 0), "{}", verdict.stderr);
    for other in [late, halves] {
        let (told_too, verdict) = order(&other);
        assert_eq!((&told_too.stdout, verdict.status), (&told.stdout, 0), "{}", verdict.stderr);
    }
    let (told, verdict) = order(&lacking);
    assert_eq!((told.status, verdict.status), (65, 65));
    assert!(
        told.stderr.contains("this line has an \"index\" and line 1 has none"),
        "{}",
        told.stderr
    );
}

#[test]
fn processes_and_nodes_of_any_number_are_told_as_they_came() {
    let folder = Folder::new("many");
    let mut text = String::new();
    let mut event = |n: u32, kind: &str, f: &str, value: u32| {
        let who = n % 700;
        text += &format!(
            "{{\"time\":{n},\"process\":{who},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value},\"node\":\"n{who}\"}}\n"
        );
    };
    let last = 60_000;
    for n in 1..=last {
        event(n, "invoke", "write", n);
        event(n, "ok", "write", n);
    }
    let reader = last + 1;
    event(reader, "invoke", "read", 0);
    event(reader, "ok", "read", last - 1);
    assert!(text.len() > 8 << 20, "{}: too small to be read in parts", text.len());
    let file = folder.write("many", &text);
    let by_all = run(histcheck().args(LINEAR).arg("--json").arg(&file)).expect(1);
    let alone = judge(&[&LINEAR[..], &["--json"]].concat(), &text).expect(1);
    assert_eq!(by_all.stdout.replace(&file, "stdin"), alone.stdout);
    let operations = &alone.lines()[0]["keys"][0]["witness"]["operations"];
    let mut told: Vec<(u64, String)> = operations
        .as_array()
        .unwrap()
        .iter()
        .map(|op| (op["process"].as_u64().unwrap(), op["node"].as_str().unwrap().to_string()))
        .collect();
    told.sort();
    let of = |n: u32| (u64::from(n % 700), format!("n{}", n % 700));
    let mut expected = [of(last - 1), of(last), of(reader)];
    expected.sort();
    assert_eq!(told, expected);
}

/// The folder of the published histories, where it is there.
fn published() -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find_map(|ancestor| {
        let folder = ancestor.join("../shared/histories");
        folder.is_dir().then_some(folder)
    })
}

/// The flags that a cell of `VERDICTS.tsv` says in words.
fn flags(options: &str) -> Vec<&str> {
    let mut flags: Vec<&str> =
        options.split([';', '(']).next().unwrap().split_whitespace().collect();
    flags.extend(options.contains("(--fail-observes)").then_some("--fail-observes"));
    flags
}

#[test]
fn the_published_histories_have_their_verdicts() {
    let Some(folder) = published() else { skip!("no ../shared/histories") };
    let table = std::fs::read_to_string(folder.join("VERDICTS.tsv")).unwrap();
    let mut judged = 0;
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let &[file, _, "linear", options, verdict] = cells.as_slice() else { continue };
        let file = folder.join(file);
        let run = run(histcheck().arg("linear").args(flags(options)).arg(&file));
        let begins = format!("{}: linear: {verdict}: ", file.display());
        assert!(run.stdout.starts_with(&begins), "{begins}\n{}{}", run.stdout, run.stderr);
        assert_eq!(run.status, i32::from(verdict == "invalid"), "{}", run.stdout);
        judged += 1;
    }
    assert_eq!(judged, 119);
}

#[test]
fn a_cas_that_was_refused_is_an_answer_and_a_read_that_failed_is_none() {
    let text =
        "{:process 0 :type :invoke :f :F :value [4 4]}{:process 0 :type :fail :f :F :value [4 4]}";
    let cas = linear(&text.replace(":F", ":cas")).expect(0);
    assert!(cas.stdout.contains("1 operation is linearizable"), "{}", cas.stdout);
    let read = linear(&text.replace(":F", ":read")).expect(2);
    assert!(read.stdout.contains("nothing was checked"), "{}", read.stdout);
}

#[test]
fn all_published_histories_are_read() {
    let Some(folder) = published() else { skip!("no ../shared/histories") };
    let mut files = 0;
    for part in ["elle-cli", "elle", "porcupine-kv", "awdit/tests/causal", "awdit/tests/none"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let file = entry.unwrap().path();
            let stats = run(histcheck().arg("stats").arg(&file)).expect(0);
            let jsonl = run(histcheck().args(["convert", "--to", "jsonl"]).arg(&file)).expect(0);
            let edn = judge(&["convert", "--to", "edn"], &jsonl.stdout).expect(0);
            let back = judge(&["convert", "--to", "jsonl"], &edn.stdout).expect(0);
            assert_eq!(back.stdout, jsonl.stdout, "{}", file.display());
            let again = judge(&["stats"], &jsonl.stdout).expect(0);
            let first =
                |text: &str| text.lines().next().unwrap().rsplit(": ").next().unwrap().to_string();
            assert_eq!(first(&stats.stdout), first(&again.stdout), "{}", file.display());
            files += 1;
        }
    }
    assert!(files > 20, "{files}");
}

#[test]
fn a_live_pipe_is_read_without_waiting_for_its_end_to_know_its_format() {
    let mut child =
        histcheck().args(LINEAR).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for byte in STALE[0].1.bytes() {
        stdin.write_all(&[byte]).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
