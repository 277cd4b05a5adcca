//! Histories made by chance, with odd values, come back from every format as they were.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use breakit::rng::{Pcg64, RngExt, generator};
use breakit_tests::process::run_with;
use serde_json::{Map, Value, json};

const HISTORIES: u64 = 60;
const EVENTS: usize = 40;

/// A text of characters that some format has a meaning for.
fn text(random: &mut Pcg64) -> String {
    const PIECES: [&str; 28] = [
        "", "a", "b c", "\"", "'", "\\", "\n", "\r\n", "\t", ",", ";", ":", "#", "{", "}", "[",
        "]", "é", "日本", "😀", "\u{0}", "\u{7f}", "nil", "null", "12", "-0", "##NaN", "\u{feff}",
    ];
    (0..random.random_range(0..4)).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
}

/// A number by its digits, which no format may change.
fn number(random: &mut Pcg64) -> Value {
    const NUMBERS: [&str; 12] = [
        "0",
        "-1",
        "42",
        "9007199254740993",
        "18446744073709551616",
        "-123456789012345678901234567890",
        "1.0",
        "1.50",
        "-0",
        "1e5",
        "1E+2",
        "0.1e-300",
    ];
    serde_json::from_str(NUMBERS[random.random_range(0..NUMBERS.len())]).unwrap()
}

fn value(random: &mut Pcg64, depth: usize) -> Value {
    let kinds = if depth == 0 { 5 } else { 10 };
    let items = |random: &mut Pcg64| -> Vec<Value> {
        (0..random.random_range(0..4)).map(|_| value(random, depth - 1)).collect()
    };
    match random.random_range(0..kinds) {
        0 => Value::Null,
        1 => random.random::<bool>().into(),
        2 | 3 => number(random),
        4 => text(random).into(),
        5 => items(random).into(),
        // Steps of transactions, and what only looks like one.
        6 => {
            let words = [
                json!("r"),
                json!("append"),
                json!("x"),
                json!({"#string": "w"}),
                json!({"#keyword": "x"}),
            ];
            let word = words[random.random_range(0..words.len())].clone();
            json!([[word, value(random, depth - 1), value(random, depth - 1)]])
        }
        // What stands for EDN, well formed and not.
        7 => {
            const TAGS: [&str; 10] = [
                "#keyword", "#symbol", "#set", "#map", "#ratio", "#decimal", "#char", "#tagged",
                "#string", "#x",
            ];
            let words = [
                json!("a"),
                json!("1/3"),
                json!("1.5M"),
                json!([[null, 1]]),
                json!(["inst", "x"]),
                value(random, depth - 1),
            ];
            let mut object = Map::new();
            object.insert(
                TAGS[random.random_range(0..TAGS.len())].into(),
                words[random.random_range(0..words.len())].clone(),
            );
            Value::Object(object)
        }
        _ => object(random, depth),
    }
}

fn object(random: &mut Pcg64, depth: usize) -> Value {
    let fields = random.random_range(0..4);
    Value::Object((0..fields).map(|_| (text(random), value(random, depth - 1))).collect())
}

/// A word that is not empty.
fn word(random: &mut Pcg64) -> String {
    match text(random) {
        word if word.is_empty() => "read".into(),
        word => word,
    }
}

/// An event with fields that a history may have, and others.
fn event(random: &mut Pcg64) -> String {
    let mut fields = Map::new();
    if random.random() {
        fields.insert("time".into(), random.random::<u64>().into());
    }
    let process = match random.random_range(0..4) {
        0 => word(random).into(),
        1 => "nemesis".into(),
        2 => random.random::<u64>().into(),
        _ => Value::from(random.random_range(0..9_u64)),
    };
    fields.insert("process".into(), process);
    let kind = ["invoke", "ok", "fail", "info"][random.random_range(0..4)];
    fields.insert("type".into(), kind.into());
    fields.insert("f".into(), text(random).into());
    for name in ["key", "value"] {
        if random.random() {
            fields.insert(name.into(), value(random, 3));
        }
    }
    if random.random() {
        fields.insert("node".into(), text(random).into());
    }
    for name in ["error", "extra", "final", "index", "a b", "\"", "type-of", "Time"] {
        if random.random_range(0..4) == 0 {
            fields.insert(name.into(), value(random, 2));
        }
    }
    Value::Object(fields).to_string()
}

/// The bytes that come out, carriage returns and all.
fn convert(format: &str, to: &str, text: &str) -> String {
    let mut histcheck = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    histcheck.args(["convert", "--format", format, "--to", to]);
    let mut child = histcheck.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = text.as_bytes().to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A process that is a number in quotes is that number.
fn as_read(mut event: Value) -> Value {
    let number = event["process"]
        .as_str()
        .and_then(|word| word.parse().ok().filter(|number: &u64| number.to_string() == word));
    if let Some(number) = number {
        event["process"] = number.into();
    }
    event
}

#[test]
fn odd_histories_come_back_from_every_format() {
    for seed in 0..HISTORIES {
        let mut random = generator(seed, "round trips");
        let events: Vec<String> = (0..EVENTS).map(|_| event(&mut random)).collect();
        let first = events.join("\n") + "\n";
        let edn = convert("jsonl", "edn", &first);
        let csv = convert("edn", "csv", &edn);
        let back = convert("csv", "jsonl", &csv);
        for (at, (was, is)) in lines(&first).iter().zip(lines(&back)).enumerate() {
            let edn = edn.split('\n').nth(at).unwrap();
            assert_eq!(as_read(was.clone()), is, "seed {seed}, event {at}, by way of {edn}");
        }
        assert_eq!(lines(&back).len(), EVENTS, "seed {seed}");
        // Once written, the same bytes come of it whichever way it goes.
        assert_eq!(convert("csv", "edn", &csv), convert("jsonl", "edn", &back), "seed {seed}");
    }
}

#[test]
fn what_is_too_deep_to_be_read_again_is_not_written() {
    for (levels, status) in [(99, 0), (101, 65)] {
        let text = format!(
            "{{:process 0 :type :info :f :r :value {}{}}}",
            "[".repeat(levels),
            "]".repeat(levels)
        );
        let mut histcheck = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        let run = run_with(histcheck.args(["convert", "--to", "jsonl"]), &text).expect(status);
        assert!(
            status == 0 || run.stderr.contains("line 1: column 38: more than 100"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_keyword_that_edn_cannot_tell_from_a_word_is_not_written() {
    let line = r##"{"process":0,"type":"info","f":"txn","value":[[{"#keyword":"r"},1,2]]}"##;
    for (text, status) in [(line.to_string(), 65), (line.replace("[[", "[").replace("]]", "]"), 0)]
    {
        let mut histcheck = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        let run = run_with(histcheck.args(["convert", "--to", "edn"]), &text).expect(status);
        assert!(status == 0 || run.stderr.contains("the plain word; write that"), "{}", run.stderr);
    }
}

#[test]
fn what_means_the_same_is_written_in_one_way_and_nothing_else_is_lost() {
    let edn = "{:process \"0\" :type \"info\" :f \"w\" :node :n1 :time nil :error nil :value [(1 2N) 1E2 :a \"a\" \\a a 1/3 1.50M #{:b} {nil 1} #t [1]]}\n";
    let json = convert("edn", "jsonl", edn);
    let expected = r##"{"process":0,"type":"info","f":"w","value":[[1,2],1e+2,{"#keyword":"a"},"a",{"#char":"a"},{"#symbol":"a"},{"#ratio":"1/3"},{"#decimal":"1.50M"},{"#set":[{"#keyword":"b"}]},{"#map":[[null,1]]},{"#tagged":["t",[1]]}],"node":"n1","error":null}
"##;
    assert_eq!(json, expected);
    for way in ["edn", "csv"] {
        assert_eq!(convert(way, "jsonl", &convert("jsonl", way, &json)), json, "by way of {way}");
    }
}
