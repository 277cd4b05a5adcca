//! What is wrong with a history is named with its line and the column of the very thing, in every format.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run, run_with};

fn histcheck(args: &[&str]) -> Command {
    let mut histcheck = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    histcheck.args(args);
    histcheck
}

fn judge(model: &str, input: &str) -> Run {
    run_with(&mut histcheck(&["linear", "--model", model]), input)
}

/// The place that the error names is that of the last `thing` in the text, and the error has the `clause`.
fn is_placed(model: &str, input: &str, thing: &str, clause: &str) {
    let at = input.rfind(thing).unwrap();
    let line = input[..at].matches('\n').count() + 1;
    let column = at - input[..at].rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let said = format!("stdin, line {line}: column {column}: {clause}");
    let run = judge(model, input).expect(65);
    assert!(run.stderr.contains(&said), "{said:?} is not in {}{input}", run.stderr);
}

/// A word as the format of a text has it.
fn named(text: &str, word: &str) -> String {
    let forms = [format!(":{word}"), format!("\"{word}\""), word.to_string()];
    forms.into_iter().find(|form| text.contains(form.as_str())).unwrap()
}

/// A history in every format whose events have process, type, f and value.
fn in_all_formats(events: &[(&str, &str, &str, &str)]) -> Vec<String> {
    let each = |write: fn(&(&str, &str, &str, &str)) -> String| events.iter().map(write).collect();
    let json: Vec<String> = each(|(process, kind, f, value)| {
        format!(r#"{{"process": {process}, "type":"{kind}","f":"{f}","value":{value}}}"#)
    });
    let edn: Vec<String> = each(|(process, kind, f, value)| {
        format!("{{:process {process}, :type :{kind} :f :{f} :value {value}}}")
    });
    let csv: Vec<String> =
        each(|(process, kind, f, value)| format!("{kind},{f},{process},\"{value}\""));
    let log: Vec<String> = each(|(process, kind, f, value)| {
        format!("INFO jepsen.util - {process}\t:{kind}\t:{f}\t{value}")
    });
    vec![
        json.join("\n") + "\n",
        format!("[{}]", json.join(",\n")),
        format!("[{}]\n", json.join(", ")),
        edn.join("\n"),
        format!("[{}]", edn.join(" ")),
        format!("type,f,process,value\n{}\n", csv.join("\n")),
        log.join("\n") + "\n",
    ]
}

#[test]
fn what_does_not_fit_what_came_before_is_placed_at_the_field_that_shows_it() {
    for text in in_all_formats(&[("8", "invoke", "read", "1"), ("77", "ok", "read", "1")]) {
        let kind = named(&text, "ok");
        is_placed("register", &text, &kind, "process 77 completes \"read\" and has nothing open");
    }
    for text in in_all_formats(&[("77", "invoke", "write", "1"), ("77", "invoke", "read", "1")]) {
        is_placed("register", &text, "77", "process 77 invokes \"read\" while its \"write\"");
    }
    for text in in_all_formats(&[("7", "invoke", "write", "1"), ("7", "ok", "read", "1")]) {
        let f = named(&text, "read");
        is_placed("register", &text, &f, "process 7 completes \"read\" while its \"write\"");
    }
}

#[test]
fn a_field_that_holds_something_wrong_is_placed_where_that_begins() {
    for text in in_all_formats(&[("0", "invoke", "read", "0"), ("-1", "ok", "read", "2")]) {
        // A line of a log with such a process is none of an operation.
        if !text.contains("jepsen.util") {
            is_placed("register", &text, "-1", "\"process\" must be a whole number below 2^64");
        }
    }
    for (text, thing) in [
        ("process,type,f,time\n0,invoke,r,1\n0,invok,r,1\n", "invok,"),
        ("process;type;f;time\n0;invoke;\"r;s\";\"1.5\"\n", "\"1.5"),
        ("process,type,f,extra\n0,invoke,r,\"{\"\"index\"\":-2}\"\n", "\"{"),
        ("process,type,f,extra\n0,invoke,r,[]\n", "[]"),
        ("process,type,f,extra\n0,invoke,r,\"{\"\"f\"\":1}\"\n", "\"{"),
        ("process,type,f,value\n0,invoke,r,\"{\"\"a\"\":1,\"\"a\"\":1}\"\n", "\"{"),
        ("process,type,f\n0,invoke,r,1\n", "1\n"),
        ("process,type,f,f\n0,invoke,r,1\n", "f\n0"),
        ("process,type,f,value\n0,invoke,r,1\n0,ok,r,\"a\"\"\n1,invoke,r,2\n", "\"a\""),
        ("{\"process\":0,\"type\":\"ok\",\"f\":\"r\",\"f\" :\"r\"}\n", "\"f\" :"),
        ("[{\"process\":0,\"type\":\"ok\",\n\"f\":\"r\",\"f\" :\"r\"}]\n", "\"f\" :"),
        ("[{:process 0 :type :invoke :f :r\n :type :ok}]", ":type :ok"),
        ("{:process 0 :type :invoke :f :r :value {[1] 1 [1 ] 2}}", "[1 ]"),
        ("{:process 0 :type :invoke :f :r :value #{1 [2] 1.0 [2 ]}}", "[2 ]"),
        ("{:process 0 :type :invoke :f :r :node 7}", "7"),
        ("{:process 0 :type :invoke :f :r}{:process 0 :type :ok :f :r :index 3}", "3}"),
        ("{\"process\":0,\"type\":\"invoke\",\"f\":\"r\",\"index\":18446744073709551616}\n", "184"),
    ] {
        is_placed("register", text, thing, "");
    }
}

#[test]
fn a_value_that_the_model_does_not_have_is_placed_where_it_begins() {
    for text in in_all_formats(&[
        ("0", "invoke", "add", "1"),
        ("1", "invoke", "add", "true"),
        ("1", "ok", "add", "true"),
    ]) {
        let value = if text.contains("\"true\"") { "\"true\"" } else { "true" };
        is_placed(
            "counter",
            &text,
            value,
            "a counter counts in whole numbers of 64 bits, not true",
        );
    }
    for text in in_all_formats(&[("0", "invoke", "add", "1")]) {
        let word = named(&text, "add");
        is_placed("register", &text, &word, "the model register has no operation \"add\"");
    }
    // Only the invocation says it.
    let text = "{:process 0 :type :invoke :f :add :value true} {:process 0 :type :ok :f :add}";
    is_placed("counter", text, "true", "a counter counts");
    let text = "process,f,value,start,end\n1,read,2,7,9\n0,add,x,1,5\n";
    is_placed("counter", text, "x,", "a counter counts");
    // The order is that of an index.
    let text = "{:index 2 :process 0 :type :ok :f :add :value \"x\"} {:index 1 :process 0 :type :invoke :f :add}";
    is_placed("counter", text, "\"x\"", "a counter counts");
    let text =
        "{:index 2 :process 5 :type :ok :f :add} {:index 1 :process 4 :type :invoke :f :add}";
    is_placed("counter", text, ":ok", "process 5 completes \"add\" and has nothing open");
    let set = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}\n{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":7}\n";
    let set = run_with(&mut histcheck(&["set"]), set).expect(65);
    assert!(set.stderr.contains("line 2: column 45: the result of an ok read"), "{}", set.stderr);
}

#[test]
fn a_file_is_looked_into_again_for_the_place_however_long_and_packed_it_is() {
    let folder = std::env::temp_dir().join(format!("histcheck-{}-places", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let line = |kind: &str, value: &str| {
        format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"add\",\"value\":{value}}}\n")
    };
    let pair = line("invoke", "1") + &line("ok", "1");
    let count = 90_000;
    let text = pair.repeat(count) + &line("invoke", "[]") + &line("ok", "[]");
    assert!(text.len() > 8 << 20, "{}: too small to be read in parts", text.len());
    let file = folder.join("h.jsonl");
    std::fs::write(&file, &text).unwrap();
    let said = format!("line {}: column 44: a counter counts", 2 * count + 2);
    let by_file = run(histcheck(&["linear", "--model", "counter"]).arg(&file)).expect(65);
    assert!(by_file.stderr.contains(&said), "{said}: {}", by_file.stderr);
    let short = pair.repeat(15_000) + &line("invoke", "[]") + &line("ok", "[]");
    assert!(short.len() > 1 << 20, "{}: too small to be forgotten", short.len());
    let followed = folder.join("followed.jsonl");
    std::fs::write(&followed, line("invoke", "[]") + &line("ok", "[]")).unwrap();
    for (model, column) in [("counter", 44), ("register", 30)] {
        let follow = ["linear", "--follow", "--model", model];
        let by_follow = run(histcheck(&follow).arg(&followed)).expect(65);
        let said = format!("column {column}: ");
        assert!(by_follow.stderr.contains(&said), "{said}: {}", by_follow.stderr);
    }
    let said = "line 30002: column 44: a counter counts";
    let packed = folder.join("h.jsonl.gz");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, short.as_bytes()).unwrap();
    std::fs::write(&packed, packer.finish().unwrap()).unwrap();
    let by_packed = run(histcheck(&["linear", "--model", "counter"]).arg(&packed)).expect(65);
    assert!(by_packed.stderr.contains(said), "{said}: {}", by_packed.stderr);
    // Of a pipe only the beginning is kept: then it is the line.
    let by_pipe = judge("counter", &short).expect(65);
    assert!(by_pipe.stderr.contains(&said.replace("44", "1")), "{}", by_pipe.stderr);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn data_packed_in_a_way_that_is_not_unpacked_are_named_with_the_tool_that_does() {
    let pack = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, bytes).unwrap();
        packer.finish().unwrap()
    };
    let file = std::env::temp_dir().join(format!("histcheck-{}-packed", std::process::id()));
    for (bytes, tool, how) in [
        (pack(&pack(b"{}\n")), "gzip", "packed twice, the inner time by gzip"),
        (pack(b"\x28\xb5\x2f\xfd\x04\x00"), "zstd", "packed twice, the inner time by zstd"),
        (b"\xfd7zXZ\0\0\x04".to_vec(), "xz", "packed by xz"),
        (b"BZh91AY&SY".to_vec(), "bzip2", "packed by bzip2"),
        (b"\x04\x22\x4d\x18\x64\x40".to_vec(), "lz4", "packed by lz4"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        for args in [&["stats"][..], &["stats", "--format", "edn"], &["convert", "--to", "csv"]] {
            let run = run(histcheck(args).arg(&file)).expect(65);
            assert!(run.stderr.contains(how), "{}", run.stderr);
            assert!(run.stderr.contains(&format!("as {tool} -dc does")), "{}", run.stderr);
            assert!(run.stderr.contains("line 1: column 1: "), "{}", run.stderr);
        }
    }
    let _ = std::fs::remove_file(&file);
}
