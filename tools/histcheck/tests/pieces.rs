//! A large file is read by several threads, and nothing that is said of it shows how many they were.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{Run, run};
use breakit_tests::random::Random;
use breakit_tests::{Folder, skip};

/// Of each line with its ending, so that few of them make a file that is worth several threads.
const LINE: usize = 1 << 10;
/// How many lines `histcheck` takes for a piece: what is odd stands near the ends of pieces.
const PIECE: usize = (2 << 20) / LINE;
const LINES: usize = 4 * PIECE + PIECE / 3;
const PROCESSES: usize = 7;

/// How the events of a file are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Lines,
    Array,
    Edn,
    Csv,
}

/// What the values of a file are.
#[derive(Clone, Copy, Debug)]
enum Values {
    Numbers,
    Strings,
    Mixed,
}

#[derive(Clone, Debug)]
struct Event {
    process: String,
    kind: &'static str,
    f: &'static str,
    key: Option<u32>,
    value: String,
}

/// The number of a line: any, or one near the end of a piece.
fn odd_place(random: &mut Random) -> usize {
    match random.below(3) {
        0 => 1 + random.index(LINES - 1),
        _ => PIECE * (1 + random.index(4)) + random.index(8) - 4,
    }
}

/// A history of a register or of several, in which each process has one operation open at most.
fn events(random: &mut Random, values: Values, has_keys: bool) -> Vec<Event> {
    // A write takes effect where it ends, and so does a read.
    let mut registers: [Option<usize>; 3] = [None; 3];
    let mut open: Vec<Option<(Event, usize)>> = vec![None; PROCESSES];
    let mut numbers: Vec<usize> = (0..PROCESSES).collect();
    let mut all = Vec::with_capacity(LINES);
    let mut some = |one_in: u32| {
        let never = random.below(one_in) > 0;
        if never { usize::MAX } else { odd_place(random) }
    };
    let (replies_from, infos_from, mut stale) = (some(3), some(2), some(2));
    while all.len() < LINES {
        let client = random.index(PROCESSES);
        let process = numbers[client].to_string();
        let key = has_keys.then(|| random.below(3));
        let show = |value: usize| match values {
            Values::Numbers => value.to_string(),
            Values::Strings => format!("\"v{value}\""),
            Values::Mixed => match value % 4 {
                0 => format!("[{value},\"é{value}\"]"),
                1 => format!("-{value}"),
                2 => format!("\"a rather long value {value}\""),
                _ => value.to_string(),
            },
        };
        let event = match open[client].take() {
            None => {
                let is_write = random.below(2) == 0;
                let value = if is_write { show(all.len()) } else { "null".into() };
                let f = if is_write { "write" } else { "read" };
                let event = Event { process, kind: "invoke", f, key, value };
                open[client] = Some((event.clone(), all.len()));
                event
            }
            Some((event, _)) if all.len() > infos_from && random.below(50) == 0 => {
                numbers[client] += PROCESSES;
                Event { kind: "info", ..event }
            }
            Some((event, _)) if event.f == "write" && random.below(9) == 0 => {
                Event { kind: "fail", ..event }
            }
            Some((event, written)) if event.f == "write" => {
                registers[event.key.unwrap_or(0) as usize] = Some(written);
                let is_reply = all.len() > replies_from && random.below(2) == 0;
                let value = if is_reply { "\"OK\"".into() } else { event.value.clone() };
                Event { kind: "ok", value, ..event }
            }
            Some((event, _)) => {
                let seen = registers[event.key.unwrap_or(0) as usize];
                let is_stale = all.len() >= stale;
                let seen = if is_stale { seen.map(|seen| seen / 2) } else { seen };
                stale = if is_stale { usize::MAX } else { stale };
                Event { kind: "ok", value: seen.map_or("null".into(), show), ..event }
            }
        };
        all.push(event);
    }
    all
}

/// An event as a line, or as a piece of another form, of [`LINE`] bytes.
fn line(form: Form, at: usize, index: Option<usize>, event: &Event) -> String {
    let short = text(form, at, index, event, "");
    text(form, at, index, event, &"r".repeat(LINE - 1 - short.len()))
}

fn text(form: Form, at: usize, index: Option<usize>, event: &Event, padding: &str) -> String {
    let Event { process, kind, f, key, value } = event;
    let (time, node) = (at * 1000, at % 23);
    let is_client = process.parse::<u64>().is_ok();
    match form {
        Form::Lines | Form::Array => {
            let index = index.map_or(String::new(), |index| format!("\"index\":{index},"));
            let process = if is_client { process.clone() } else { format!("\"{process}\"") };
            let key = key.map_or(String::new(), |key| format!("\"key\":{key},"));
            format!(
                "{{{index}\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",{key}\"value\":{value},\
                 \"node\":\"n{node}\",\"remark\":\"{padding}\"}}"
            )
        }
        Form::Edn => {
            let value = value.replace("null", "nil");
            let process = if is_client { process.clone() } else { format!(":{process}") };
            let key = key.map_or(String::new(), |key| format!(" :key {key}"));
            format!(
                "{{:time {time} :process {process} :type :{kind} :f :{f}{key} :value {value} :remark \"{padding}\"}}"
            )
        }
        Form::Csv => {
            let value = value.replace('"', "\"\"");
            let key = key.map_or(String::new(), |key| key.to_string());
            format!("{time},{process},{kind},{f},{key},\"{value}\",{padding}")
        }
    }
}

/// Puts something odd into the lines of a file, or nothing.
fn spoil(random: &mut Random, lines: &mut Vec<String>) {
    let at = odd_place(random);
    match random.below(24) {
        0 => lines.insert(at, "no event".into()),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.insert(at, String::new()),
        3 => lines[at].insert(0, '\u{feff}'),
        4 => lines[at].push('\r'),
        5 => _ = lines.remove(at),
        6 => lines.swap(at - 1, at),
        7 => lines[at].truncate(40),
        8 => lines[at] = lines[at].replacen("\"f\":", "\"g\":", 1),
        9 => lines[at] = lines[at].replacen("\"process\":", "\"process\":\"a client\",\"was\":", 1),
        10 => lines[at] = " ".repeat(70_000),
        _ => {}
    }
}

/// The text of a large file, and what is asked of it.
fn large(random: &mut Random) -> (String, Vec<&'static str>) {
    let form = match random.below(8) {
        0 => Form::Array,
        1 => Form::Edn,
        2 => Form::Csv,
        _ => Form::Lines,
    };
    let values = [Values::Numbers, Values::Strings, Values::Mixed][random.index(3)];
    let has_keys = random.below(2) == 0;
    let has_index = form == Form::Lines && random.below(3) == 0;
    let events = events(random, values, has_keys);
    let mut lines: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(at, event)| line(form, at, has_index.then_some(2 * at), event))
        .collect();
    if form == Form::Lines {
        for f in ["kill", "start", "kill"] {
            let (process, key) = ("nemesis".into(), None);
            let fault = Event { process, kind: "info", f, key, value: "[\"n1\"]".into() };
            let at = odd_place(random);
            lines.insert(at, line(form, at, None, &fault));
        }
        spoil(random, &mut lines);
    }
    let text = match form {
        Form::Lines => lines.join("\n") + if random.below(2) == 0 { "\n" } else { "" },
        Form::Array => format!("[{}]", lines.join(",\n")),
        Form::Edn => lines.join("\n"),
        Form::Csv => format!("time,process,type,f,key,value,remark\n{}\n", lines.join("\n")),
    };
    let check = match random.below(3) {
        0 => vec!["stats", "--json"],
        1 => vec!["linear", "--model", "register", "--json", "--lenient"],
        _ => vec!["linear", "--model", "register"],
    };
    (text, check)
}

/// What is said of a file, which must be the same by one thread and by all.
fn said(folder: &Folder, text: &str, check: &[&str], what: &str) -> Run {
    assert!(text.len() > 8 << 20, "{} bytes are read by one thread", text.len());
    let file = folder.write("history", text);
    let histcheck = env!("CARGO_BIN_EXE_histcheck");
    let by_all = run(Command::new(histcheck).args(check).arg(&file));
    let alone = run(Command::new("taskset").args(["-c", "0", histcheck]).args(check).arg(&file));
    assert_eq!(by_all.status, alone.status, "{what}: {}{}", by_all.stderr, alone.stderr);
    assert_eq!(by_all.stderr, alone.stderr, "{what}");
    assert!(by_all.stdout == alone.stdout, "{what}:\n{}\n{}", by_all.stdout, alone.stdout);
    alone
}

/// Why no two threads can be compared here with one.
fn impossible() -> Option<&'static str> {
    if !breakit_tests::has("taskset") {
        return Some("no taskset; install the package util-linux");
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores < 2).then_some("one processor only")
}

#[test]
fn what_is_said_of_a_large_file_is_the_same_by_one_thread_and_by_several() {
    if let Some(why) = impossible() {
        skip!("{why}");
    }
    let folder = Folder::new("pieces");
    let mut statuses = [0; 3];
    for seed in 1..=24 {
        let (text, check) = large(&mut Random(seed));
        match said(&folder, &text, &check, &format!("seed {seed}, {check:?}")).status {
            0 => statuses[0] += 1,
            1 => statuses[1] += 1,
            _ => statuses[2] += 1,
        }
    }
    assert!(statuses.iter().all(|&count| count > 2), "{statuses:?}");
}

#[test]
fn a_byte_order_mark_at_the_beginning_of_a_piece_is_none_of_the_files() {
    if let Some(why) = impossible() {
        skip!("{why}");
    }
    let mut lines: Vec<String> = events(&mut Random(1), Values::Numbers, false)
        .iter()
        .enumerate()
        .map(|(at, event)| line(Form::Lines, at, None, event))
        .collect();
    lines[PIECE].insert(0, '\u{feff}');
    let run = said(&Folder::new("mark"), &lines.join("\n"), &["stats"], "a mark").expect(65);
    assert!(run.stderr.contains(&format!("line {}: column 1: ", PIECE + 1)), "{}", run.stderr);
}

#[test]
fn the_first_reply_is_the_first_in_the_file_wherever_its_operation_began() {
    if let Some(why) = impossible() {
        skip!("{why}");
    }
    let event = |at: usize, process: usize, kind: &'static str, value: &str| {
        let (process, value) = (process.to_string(), value.to_string());
        let event = Event { process, kind, f: "write", key: None, value };
        line(Form::Lines, at, None, &event)
    };
    // One after the other, but for two that overlap around the end of a piece.
    let mut lines: Vec<String> = (0..LINES)
        .map(|at| event(at, 0, ["invoke", "ok"][at % 2], &(at / 2).to_string()))
        .collect();
    lines[PIECE - 2] = event(PIECE - 2, 2, "invoke", "1000000");
    lines[PIECE - 1] = event(PIECE - 1, 0, "invoke", "1000001");
    lines[PIECE] = event(PIECE, 1, "invoke", "1000002");
    lines[PIECE + 1] = event(PIECE + 1, 1, "ok", "\"OK\"");
    lines[PIECE + 2] = event(PIECE + 2, 2, "ok", "\"OK\"");
    lines[PIECE + 3] = event(PIECE + 3, 0, "ok", "\"OK\"");
    let check = ["linear", "--model", "register"];
    let run = said(&Folder::new("replies"), &lines.join("\n"), &check, "replies");
    let first = format!("and line {} completes it with \"OK\"", PIECE + 2);
    assert!(run.stdout.contains(&first), "{}", run.stdout);
}
