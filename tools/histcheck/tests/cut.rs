//! Histories cut at every byte, and those that are wrong in one way each, in every format.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use breakit::exit::Status;
use clap::ValueEnum;
use histcheck::history::{Counts, History};
use histcheck::read::format::Format;
use histcheck::read::{Options, Tolerance, read};

/// A history of six events and a fault in each format, with what stands for each thing in it.
struct Sample {
    format: &'static str,
    text: &'static str,
}

const SAMPLES: [Sample; 9] = [
    Sample {
        format: "jsonl",
        text: r#"{"time":1,"process":0,"type":"invoke","f":"write","value":"aé\"b"}
{"time":2,"process":0,"type":"ok","f":"write","value":"aé\"b"}

{"time":3,"process":"nemesis","type":"info","f":"kill","value":{"n":[1.5,-20]}}
{"time":4,"process":1,"type":"invoke","f":"read","value":null}
{"time":5,"process":1,"type":"ok","f":"read","value":[12345678901234567890123,true]}
"#,
    },
    Sample {
        format: "json",
        text: r#"[{"time":1,"process":0,"type":"invoke","f":"write","value":"aé\"b"},
  {"time":2,"process":0,"type":"ok","f":"write","value":"a\u00e9\"b"}
, {"time":3,"process":"nemesis","type":"info","f":"kill","value":{"n":[1.5,-20]}},
{"time":4,"process":1,"type":"invoke","f":"read","value":null},
{"time":5,"process":1,"type":"ok","f":"read","value":[12345678901234567890123,true]}
 ]
"#,
    },
    Sample {
        format: "edn",
        text: r#"; a remark é
[{:process 0, :type :invoke, :f :write, :value "aé\"\u00e9\ud83d\ude00b" :time 1}
 #jepsen.history.Op{:process 0, :type :ok, :f :write, :value #{1.5 -20 1/3 2.5M \é \newline}}
 #_{:discarded [1 2]} {:process :nemesis, :type :info, :f :kill, :value {nil #inst "x"}}
 {:process 1 :type :invoke :f :read}{:process 1 :type :ok :f :read :value 12345678901234567890123N}]
"#,
    },
    Sample {
        format: "edn",
        text: "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :ok, :f :write, :value 1}\n{:process 1, :type :invoke, :f :read, :value nil} ; why\n{:process 1, :type :ok, :f :read, :value 1}\n",
    },
    Sample {
        format: "log",
        text: "2015 INFO  jepsen.core - Running é\nINFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t123\n\nINFO  jepsen.util - :nemesis\t:info\t:kill\t{:a \"b\"}\nINFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:info\t:read\t:timed-out\t\"é\"\n",
    },
    Sample {
        format: "csv",
        text: "process,type,f,value,time,\"no \"\"te\"\n0,invoke,write,1,1,\"a, \"\"b\"\"\nc\"\n0,ok,write,123,2,\n\nnemesis,info,kill,\"{\"\"n\"\":1}\",3,é\n1,invoke,read,,4,\n1,ok,read,123,5,\n",
    },
    Sample {
        format: "operations",
        text: r#"{"process":0,"f":"write","value":"aé","start":1,"end":20}
{"process":1,"f":"read","value":null,"start":2,"end":null}
{"process":"nemesis","f":"slow","start":3,"end":4E1}
"#,
    },
    Sample { format: "plume", text: "w(1,23,0,0)\n\nr(1,23,1,1)\nr(1,0,1,-1)\nw(2,34,1,-1)\n" },
    Sample { format: "sessions", text: "w 1 23\nr 1 23\n---\n\nr 1 -2\n===\nw 2 34\n" },
];

fn parse(
    text: &[u8],
    format: Option<&'static str>,
    tolerance: Tolerance,
) -> Result<History, String> {
    let format = format.map(|name| Format::named(name).unwrap());
    let options = Options { format, tolerance, ..Options::default() };
    read("h", Cursor::new(text.to_vec()), options).map_err(|error| {
        assert_eq!(error.status(), Status::Data, "{error}");
        error.to_string()
    })
}

/// Whether an error names file, line and column.
fn is_placed(error: &str) -> bool {
    let numbers = error.strip_prefix("h, line ").and_then(|rest| rest.split_once(": column "));
    numbers.is_some_and(|(line, rest)| {
        let column = rest.split(':').next().unwrap_or_default();
        [line, column].iter().all(|number| number.parse::<u64>().is_ok_and(|number| number > 0))
    })
}

/// What was counted: all lines or events, those dropped, and the missing bracket.
fn counts(history: &History) -> (u64, u64, u64) {
    let Counts { lines, dropped, unclosed, .. } = history.counts;
    (lines, dropped, unclosed)
}

#[test]
fn a_history_cut_at_any_byte_is_read_to_there_or_refused_with_its_place() {
    for Sample { format, text } in SAMPLES {
        let whole = counts(&parse(text.as_bytes(), Some(format), Tolerance::Strict).unwrap());
        let (mut before, mut accepted) = ((0, 0, 0), 0);
        for end in 0..=text.len() {
            let cut = &text.as_bytes()[..end];
            let shown = String::from_utf8_lossy(cut);
            let lenient = parse(cut, Some(format), Tolerance::CutLastLine);
            let lenient = lenient.unwrap_or_else(|error| panic!("{format:?} {shown:?}: {error}"));
            let (read, dropped, unclosed) = counts(&lenient);
            // Nothing that was there vanishes as more comes.
            assert!(read - dropped >= before.0 && dropped + unclosed <= 1, "{format:?} {shown:?}");
            before = (read - dropped, dropped, unclosed);
            match parse(cut, Some(format), Tolerance::Strict) {
                // What is accepted without a word is all there is.
                Ok(strict) => {
                    accepted += 1;
                    assert_eq!(dropped + unclosed, 0, "{format:?} {shown:?}");
                    assert_eq!(counts(&strict), (read, 0, 0), "{format:?} {shown:?}");
                }
                Err(error) => {
                    assert!(is_placed(&error), "{format:?} {shown:?}: {error}");
                    assert_eq!(dropped + unclosed, 1, "{format:?} {shown:?}: {error}");
                    let remedy = ["which takes what is there", "--lenient drops"][dropped as usize];
                    assert!(error.contains(remedy), "{format:?} {shown:?}: {error}");
                }
            }
        }
        assert_eq!(before, whole, "{format:?}");
        let most = if format == "sessions" { text.len() } else { text.len() / 4 };
        assert!(accepted <= most, "{format:?}: {accepted} of {} cuts go unseen", text.len());
    }
}

#[test]
fn a_cut_history_whose_format_is_guessed_is_never_a_panic() {
    for Sample { format, text } in SAMPLES {
        for end in 0..=text.len() {
            for tolerance in [Tolerance::Strict, Tolerance::CutLastLine] {
                if let Err(error) = parse(&text.as_bytes()[..end], None, tolerance) {
                    assert!(is_placed(&error), "{format:?} {end}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_cut_in_a_packed_history_is_an_error_with_its_place() {
    for Sample { text, .. } in SAMPLES {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, text.as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        assert!(parse(&packed, None, Tolerance::Strict).is_ok());
        // What has not even the mark of gzip is no packed text.
        for end in 4..packed.len() {
            for tolerance in [Tolerance::Strict, Tolerance::CutLastLine] {
                let error = parse(&packed[..end], None, tolerance).unwrap_err();
                assert!(is_placed(&error) && error.contains("damaged or cut short"), "{error}");
            }
        }
    }
}

/// An event of a client in a format that has clients: process, type, name, value.
fn event(format: &'static str, process: &str, kind: &str, f: &str, value: &str) -> String {
    match format {
        "jsonl" | "json" => {
            format!(r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#)
        }
        "edn" => format!("{{:process {process} :type :{kind} :f :{f} :value {value}}}"),
        "log" => format!("{process}\t:{kind}\t:{f}\t{value}"),
        "csv" => format!("{process},{kind},{f},{value}"),
        other => unreachable!("{other} has no events"),
    }
}

/// A history of these events, with this at the ends of lines.
fn history(format: &'static str, events: &[[&str; 4]], newline: &str) -> String {
    let events =
        events.iter().map(|[process, kind, f, value]| event(format, process, kind, f, value));
    let events: Vec<String> = events.collect();
    match format {
        "json" => format!("[{}]{newline}", events.join(&format!(",{newline}"))),
        "csv" => {
            let lines = [vec!["process,type,f,value".to_string()], events].concat();
            lines.join(newline) + newline
        }
        _ => events.join(newline) + newline,
    }
}

const WITH_CLIENTS: [&str; 5] = ["jsonl", "json", "edn", "log", "csv"];

/// The line of the second event.
fn second(format: &'static str) -> u64 {
    if format == "csv" { 3 } else { 2 }
}

#[test]
fn a_field_that_stands_twice_in_a_json_event_is_an_error_and_neither_is_dropped() {
    let event = r#"{"process":0,"type":"invoke","f":"write","value":{"a":1}}"#;
    for (field, twice) in [
        ("\"process\"", event.replace("}}", "},\"process\":1}")),
        ("\"value\"", event.replace("}}", "},\"value\":2}")),
        ("\"a\"", event.replace("}}", ",\"a\":2}}")),
    ] {
        for (format, text) in [("jsonl", format!("{twice}\n")), ("json", format!("[{twice}]\n"))] {
            for tolerance in [Tolerance::Strict, Tolerance::CutLastLine] {
                let error = parse(text.as_bytes(), Some(format), tolerance).unwrap_err();
                let said = format!("{field} stands there twice");
                assert!(is_placed(&error) && error.contains(&said), "{format:?}: {error}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_an_error_with_its_line_in_every_format() {
    let invoke = ["0", "invoke", "write", "1"];
    let cases: [(&str, [[&str; 4]; 2]); 7] = [
        ("while its \"write\"", [invoke, invoke]),
        ("has nothing open", [["0", "info", "write", "1"], invoke]),
        ("has nothing open", [invoke, ["1", "ok", "write", "1"]]),
        ("completes \"read\" while", [invoke, ["0", "ok", "read", "1"]]),
        ("whole number", [invoke, ["18446744073709551616", "ok", "write", "1"]]),
        ("invoke, ok, fail or info", [invoke, ["0", "done", "write", "1"]]),
        ("whole number", [invoke, ["99999999999999999999", "ok", "write", "1"]]),
    ];
    for format in WITH_CLIENTS {
        for (said, events) in &cases {
            let text = history(format, events, "\n");
            // A line of a log whose type is none is no event, and counted as another line.
            if format == "log" && text.contains("done") {
                let history = parse(text.as_bytes(), Some(format), Tolerance::Strict).unwrap();
                assert_eq!((history.counts.lines, history.counts.others), (2, 1));
                continue;
            }
            for tolerance in [Tolerance::Strict, Tolerance::CutLastLine] {
                let error = parse(text.as_bytes(), Some(format), tolerance).unwrap_err();
                let line = second(format) - u64::from(events[0][1] == "info");
                assert!(is_placed(&error) && error.contains(said), "{format:?}: {error}");
                assert!(error.starts_with(&format!("h, line {line}: ")), "{format:?}: {error}");
            }
        }
    }
}

#[test]
fn values_beyond_64_bits_are_kept_by_their_digits_and_times_beyond_are_an_error() {
    for format in WITH_CLIENTS {
        for value in
            ["18446744073709551616", "-9223372036854775809", "123456789012345678901234567890.5"]
        {
            let events = [["0", "invoke", "write", value], ["0", "ok", "write", value]];
            let text = history(format, &events, "\n");
            let history = parse(text.as_bytes(), Some(format), Tolerance::Strict).unwrap();
            let kept = history.values.show(history.ops.value(0).unwrap());
            assert_eq!(kept, value, "{format:?}");
        }
    }
    for field in ["time", "index"] {
        let number = "18446744073709551616";
        for (format, text) in [
            (
                "jsonl",
                format!("{{\"process\":0,\"type\":\"invoke\",\"f\":\"r\",\"{field}\":{number}}}\n"),
            ),
            ("edn", format!("{{:process 0 :type :invoke :f :r :{field} {number}}}")),
            ("csv", format!("process,type,f,{field}\n0,invoke,r,{number}\n")),
        ] {
            let error = parse(text.as_bytes(), Some(format), Tolerance::Strict).unwrap_err();
            assert!(is_placed(&error) && error.contains(field), "{format:?}: {error}");
        }
    }
}

#[test]
fn byte_order_marks_and_carriage_returns_change_nothing() {
    for Sample { format, text } in SAMPLES {
        let plain = parse(text.as_bytes(), Some(format), Tolerance::Strict).unwrap();
        // In a quoted cell a carriage return is part of the value.
        let text = text.replace("\"\nc\"", " c\"");
        let with = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        for format in [Some(format), None] {
            let read = parse(with.as_bytes(), format, Tolerance::Strict).unwrap();
            assert_eq!(read.counts, plain.counts, "{format:?}");
            let shown = |history: &History| -> Vec<String> {
                history
                    .ops
                    .iter()
                    .map(|op| {
                        format!("{:?} {:?}", op.outcome, op.value.map(|id| history.values.show(id)))
                    })
                    .collect()
            };
            assert_eq!(shown(&read), shown(&plain), "{format:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_an_error_with_their_place() {
    for format in WITH_CLIENTS {
        let text = history(format, &[["0", "invoke", "write", "\"a\""]], "\n");
        let text = text.as_bytes();
        let at = text.iter().rposition(|&byte| byte == b'a').unwrap();
        let mut spoilt = text.to_vec();
        spoilt[at] = 0xff;
        let error = parse(&spoilt, Some(format), Tolerance::Strict).unwrap_err();
        assert!(is_placed(&error), "{format:?}: {error}");
    }
}

#[test]
fn every_format_has_a_sample() {
    for format in Format::value_variants() {
        assert!(SAMPLES.iter().any(|sample| sample.format == format.name), "{format:?}");
    }
}
