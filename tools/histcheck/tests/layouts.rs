//! However a history is laid out, the readers made for speed say of it what those that know everything say.

#![allow(clippy::unwrap_used)]

#[path = "../fuzz/checks.rs"]
#[allow(dead_code)]
mod checks;

use breakit::rng::{IndexedRandom, Pcg64, RngExt, SliceRandom, generator};
use histcheck::read::{self, format::Format};

/// How a notation writes things.
struct Notation {
    target: &'static str,
    word: fn(&str) -> String,
    field: fn(&str, &str) -> String,
    between_fields: &'static [&'static str],
    values: &'static [&'static str],
    others: &'static [&'static str],
    null: &'static str,
    begin: &'static [&'static str],
    between: &'static [&'static str],
    open: &'static [&'static str],
}

const JSON: Notation = Notation {
    target: "json",
    word: |word| format!("{word:?}"),
    field: |name, value| format!("{name:?}:{value}"),
    between_fields: &[",", ", ", ",\n  "],
    values: &[
        "null",
        "1",
        "42",
        "123456789012",
        "-7",
        "\"v1\"",
        "\"é\"",
        "[1,2]",
        "[\"a\",[3]]",
        "2.50",
        "true",
        "{\"a\":1}",
        "\"a\\n\"",
        "1e2",
    ],
    others: &[
        "null",
        "1.5",
        "-2e7",
        "\"a \\\"b\\\"\"",
        "{\"a\":[1,{\"b\":null}],\"c\":{}}",
        "[]",
        "false",
        "\"\\u00e9\"",
        "{\"a\":1,\"a\":2}",
    ],
    null: "null",
    begin: &["[", "[\n"],
    between: &[",", ",\n", " ,\n  "],
    open: &["{"],
};

const JSONL: Notation = Notation {
    target: "jsonl",
    between_fields: &[",", ", "],
    begin: &["", "\u{feff}", "\n"],
    between: &["\n", "\r\n", " \n"],
    ..JSON
};

const EDN: Notation = Notation {
    target: "edn",
    word: |word| format!(":{word}"),
    field: |name, value| format!(":{name} {value}"),
    between_fields: &[", ", " ", ",\n  "],
    values: &[
        "nil",
        "1",
        "42",
        "123456789012",
        "-7",
        "\"v1\"",
        "\"é\"",
        "[1 2]",
        "[\"a\" [3]]",
        "2.50",
        "true",
        "[[:r 1 nil] [:append 2 3]]",
        "{:a 1}",
        "#{1}",
        ":x",
        "1/3",
        "[[\"r\" 1 2]]",
        "[[:r 1]]",
    ],
    others: &[
        "nil",
        "1.5",
        ":timeout",
        "[:a \"b\" {:c 1}]",
        "{:a {:b 2}}",
        "#{1 2}",
        "\\a",
        "foo",
        "1.5M",
        "{:a 1 :a 2}",
    ],
    null: "nil",
    begin: &["[", "", "(", "; a comment\n"],
    between: &["\n", " ", ",\n ", " ; more\n", " #_ 1 "],
    open: &["{", "#jepsen.history.Op{"],
};

const CSV: Notation = Notation {
    target: "csv",
    word: str::to_string,
    field: |_, value| value.to_string(),
    between_fields: &[","],
    values: &[
        "",
        "null",
        "1",
        "42",
        "123456789012",
        "-7",
        "v1",
        "\"é\"",
        "\"[1,2]\"",
        "2.50",
        "true",
        "\"\"\"a\"\"\"",
        "007",
        " 3",
        "{}",
    ],
    others: &["", "1", "x", "\"a,b\"", "1.5", "{\"a\":1", "\"a\nb\""],
    null: "",
    begin: &[""],
    between: &["\n", "\r\n"],
    open: &[""],
};

/// The fields of a history's events, in their order, and what all of them write alike.
struct Shape {
    fields: Vec<&'static str>,
    between_fields: &'static str,
    between: &'static str,
    open: &'static str,
    /// How many values the history has.
    values: usize,
}

fn shape(notation: &Notation, rng: &mut Pcg64) -> Shape {
    let mut fields = vec!["process", "type", "f"];
    for (name, share) in [
        ("value", 9),
        ("time", 6),
        ("node", 5),
        ("index", 5),
        ("key", 2),
        ("error", 3),
        ("final", 1),
        ("a longer name of a field", 3),
        ("start", 1),
    ] {
        if rng.random_range(0..10) < share {
            fields.push(name);
        }
    }
    fields.shuffle(rng);
    Shape {
        fields,
        between_fields: notation.between_fields.choose(rng).unwrap(),
        between: notation.between.choose(rng).unwrap(),
        open: notation.open.choose(rng).unwrap(),
        values: rng.random_range(1..=notation.values.len()),
    }
}

fn history(notation: &Notation, rng: &mut Pcg64) -> String {
    let shape = shape(notation, rng);
    let mut text = notation.begin.choose(rng).unwrap().to_string();
    if notation.target == "csv" {
        text += &(shape.fields.join(",") + "\n");
    }
    let mut open: [Option<(&str, &str)>; 4] = [None; 4];
    let count = rng.random_range(1..40);
    for number in 0..count {
        let process = rng.random_range(0..open.len());
        let (kind, f, key) = match open[process].take() {
            Some((f, key)) => (*["ok", "ok", "fail", "info"].choose(rng).unwrap(), f, key),
            None => {
                let f = *["read", "write"].choose(rng).unwrap();
                let key = *["1", "2"].choose(rng).unwrap();
                open[process] = Some((f, key));
                ("invoke", f, key)
            }
        };
        let rarely = |share: u32, rng: &mut Pcg64| rng.random_range(0..100) < share;
        let field = |name: &&'static str, rng: &mut Pcg64| {
            let value = match *name {
                "process" if rarely(1, rng) => (notation.word)("nemesis"),
                "process" => process.to_string(),
                "type" => (notation.word)(kind),
                "f" => (notation.word)(f),
                "value" => notation.values[..shape.values].choose(rng).unwrap().to_string(),
                "time" if rarely(2, rng) => notation.null.to_string(),
                "time" => (number * 12_345_678_u64).to_string(),
                "node" if rarely(3, rng) => notation.null.to_string(),
                "node" if notation.target == "csv" => format!("n{process}"),
                "node" => format!("\"n{process}\""),
                "index" if rarely(1, rng) => rng.random_range(0..count).to_string(),
                "index" => (2 * number).to_string(),
                "key" => key.to_string(),
                "final" => ["true", "false", notation.null].choose(rng).unwrap().to_string(),
                "error" if rarely(80, rng) => notation.null.to_string(),
                "start" => number.to_string(),
                _ => notation.others.choose(rng).unwrap().to_string(),
            };
            (notation.field)(name, &value)
        };
        let fields: Vec<String> = shape.fields.iter().map(|name| field(name, rng)).collect();
        let fields = fields.join(shape.between_fields);
        let close = if notation.target == "csv" { "" } else { "}" };
        text += &format!("{}{fields}{close}", shape.open);
        if number + 1 < count || notation.target.ends_with('l') || notation.target == "csv" {
            text += shape.between;
        }
    }
    match text.trim_start().bytes().next() {
        Some(b'[') => text += "]\n",
        Some(b'(') => text += ")",
        _ => {}
    }
    text
}

/// A piece left out, doubled, or put elsewhere, or a byte changed.
fn spoilt(text: &str, rng: &mut Pcg64) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.random_range(0..3) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..80)).min(bytes.len());
        let piece = bytes[at..end].to_vec();
        match rng.random_range(0..6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(end..end, piece)),
            2 => {
                let to = rng.random_range(0..bytes.len());
                drop(bytes.splice(to..to, piece));
            }
            3 => bytes[at] = rng.random(),
            4 => bytes[at] = *b"{}[]\",:;#\\ \n\r\t0-.eNn".choose(rng).unwrap(),
            _ => bytes.truncate(end),
        }
    }
    bytes
}

#[test]
fn whatever_layout_a_history_has_and_however_it_is_spoilt_fast_and_careful_readers_agree() {
    let rounds: u64 = std::env::var("LAYOUTS").ok().map_or(1500, |text| text.parse().unwrap());
    for notation in [JSONL, JSON, EDN, CSV] {
        for round in 0..rounds {
            let mut rng = generator(round, notation.target);
            let text = history(&notation, &mut rng);
            let data = match round % 3 {
                0 => text.into_bytes(),
                _ => spoilt(&text, &mut rng),
            };
            let held = std::panic::catch_unwind(|| checks::run(notation.target, &data));
            let shown = String::from_utf8_lossy(&data);
            assert!(held.is_ok(), "{}, round {round}:\n{shown}", notation.target);
        }
    }
}

/// What became of each operation, in the order of their invocations, and between which others it was.
fn order(text: &str) -> Vec<String> {
    let options = read::Options { format: Some(Format::JSONL), ..read::Options::default() };
    let history = read::read("h", std::io::Cursor::new(text.to_string()), options).unwrap();
    let mut events: Vec<(u32, String)> = Vec::new();
    for op in history.ops.iter() {
        let value = op.value.map(|value| history.values.show(value));
        let told = format!("{} {} {value:?} {:?}", op.process, history.word(op.f), op.outcome);
        events.push((op.inv, format!("begins {told}")));
        events.push((op.res, format!("ends {told}")));
    }
    // What never ends comes behind all else.
    events.sort();
    events.into_iter().map(|(_, told)| told).collect()
}

#[test]
fn events_that_carry_an_index_are_read_alike_in_whatever_order_their_lines_stand() {
    for round in 0..300 {
        let mut rng = generator(round, "index");
        let mut lines = Vec::new();
        let mut open = [None; 3];
        for number in 0..rng.random_range(2..30) {
            let process = rng.random_range(0..open.len());
            let (kind, f) = match open[process].take() {
                Some(f) => (*["ok", "fail", "info"].choose(&mut rng).unwrap(), f),
                None => {
                    ("invoke", *open[process].insert(*["read", "write"].choose(&mut rng).unwrap()))
                }
            };
            let value = ["null", "1", "\"a\"", "[1,2]"].choose(&mut rng).unwrap();
            lines.push(format!(
                r#"{{"index":{},"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#,
                3 * number
            ));
        }
        let grows = order(&(lines.join("\n") + "\n"));
        let at = rng.random_range(0..lines.len());
        match round % 3 {
            0 => lines.shuffle(&mut rng),
            1 => lines.rotate_left(at),
            _ => lines.swap(at, at / 2),
        }
        let moved = order(&(lines.join("\n") + "\n"));
        assert_eq!(grows, moved, "round {round}:\n{}", lines.join("\n"));
    }
}
