//! `drain`, with which Jepsen's queues end: it is the dequeues of what it lists.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use breakit_tests::Folder;
use breakit_tests::process::{Run, run, run_with};

fn queue(more: &[&str], input: &str) -> Run {
    let args = [&["linear", "--model", "unordered-queue"], more].concat();
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

/// 1 and 2 are put, the latter by an enqueue of unknown outcome, and this is drained.
fn drained(end: &str) -> String {
    format!(
        "{{:process 0, :type :invoke, :f :enqueue, :value 1}}
{{:process 0, :type :ok, :f :enqueue, :value 1}}
{{:process 1, :type :invoke, :f :enqueue, :value 2}}
{{:process 1, :type :info, :f :enqueue, :value 2}}
{{:process 0, :type :invoke, :f :dequeue}}
{{:process 0, :type :fail, :f :dequeue, :error :empty}}
{{:process 2, :type :invoke, :f :drain}}
{{:process 2, {end}}}
"
    )
}

#[test]
fn a_drain_takes_each_of_its_elements_once() {
    for (taken, status) in [
        ("[1 2]", 0),
        ("[2 1]", 0),
        ("[1]", 0),
        ("[1 1]", 1),
        ("[1 3]", 1),
        ("[2 1 2]", 1),
        // A drain that took nothing shows nothing.
        ("[]", 2),
    ] {
        let run = queue(&[], &drained(&format!(":type :ok, :f :drain, :value {taken}")));
        assert_eq!(run.status, status, "{taken}: {}{}", run.stdout, run.stderr);
    }
    let run = queue(&[], &drained(":type :ok, :f :drain, :value [1 3]"));
    assert!(run.stdout.contains("dequeue 3"), "{}", run.stdout);
    assert!(run.stdout.contains("line 8"), "{}", run.stdout);
    assert!(run.stdout.contains("8 forms read: 4 operations"), "{}", run.stdout);
}

#[test]
fn an_element_is_taken_while_its_drain_is_open() {
    let later = drained(":type :ok, :f :drain, :value [1 4]")
        + "{:process 0, :type :invoke, :f :enqueue, :value 4}\n{:process 0, :type :ok, :f :enqueue, :value 4}\n";
    assert_eq!(queue(&[], &later).status, 1);
    let lines: Vec<&str> = later.lines().collect();
    let (drain_end, enqueue) = (lines[7], &lines[8..]);
    let within = [&lines[..7], enqueue, &[drain_end]].concat().join("\n");
    let run = queue(&[], &within);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_drain_that_failed_took_nothing_and_one_of_unknown_outcome_is_refused() {
    assert_eq!(queue(&[], &drained(":type :fail, :f :drain")).status, 2);
    let run = queue(&[], &drained(":type :info, :f :drain"));
    assert_eq!(run.status, 65, "{}", run.stdout);
    assert!(run.stderr.contains("nobody knows what it took"), "{}", run.stderr);
    let run = queue(&[], &drained(":type :ok, :f :drain, :value 7"));
    assert!(
        run.stderr.contains("line 8: column 43: the value of a drain must be"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_drain_that_is_followed_has_the_verdict_of_the_whole_however_slowly_it_comes() {
    let event = |process: u32, kind: &str, f: &str, value: &str| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    for (taken, status) in [("[1]", 0), ("[2]", 1)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["linear", "--follow", "--model", "fifo-queue"]);
        let mut follower = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = follower.stdin.take().unwrap();
        let mut say = |lines: String| pipe.write_all(lines.as_bytes()).unwrap();
        say(event(0, "invoke", "enqueue", "1") + &event(0, "ok", "enqueue", "1"));
        say(event(1, "invoke", "drain", "null"));
        // Many lines of another process, at each of which it might decide.
        for value in 10..600 {
            let value = value.to_string();
            say(event(2, "invoke", "enqueue", &value) + &event(2, "ok", "enqueue", &value));
        }
        say(event(1, "ok", "drain", taken));
        drop(pipe);
        let output = follower.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).to_string();
        let error = String::from_utf8_lossy(&output.stderr).to_string();
        assert_eq!(output.status.code(), Some(status), "{taken}: {said}{error}");
    }
}

/// The verdict of a model on events, a word each: `w1` puts 1 wholly, `+1` begins to and `-1` ends it, `(0` begins the drain
/// of process 90, and `)0:1,2` ends it with these elements.
fn ordered(model: &str, events: &str) -> Run {
    let put = match model {
        "stack" => "push",
        "priority-queue" => "insert",
        _ => "enqueue",
    };
    let event = |process: u32, kind: &str, f: &str, value: &str| {
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    let mut history = String::new();
    for word in events.split(' ') {
        let (kind, rest) = word.split_at(1);
        let (number, elements) = rest.split_once(':').unwrap_or((rest, ""));
        let process: u32 = number.parse().unwrap();
        history += &match kind {
            "w" => event(process, "invoke", put, number) + &event(process, "ok", put, number),
            "+" => event(process, "invoke", put, number),
            "-" => event(process, "ok", put, number),
            "(" => event(90 + process, "invoke", "drain", "nil"),
            ")" => event(90 + process, "ok", "drain", &format!("[{}]", elements.replace(',', " "))),
            other => panic!("{other}"),
        };
    }
    let args = ["linear", "--model", model];
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), &history)
}

#[test]
fn a_drain_of_a_queue_with_an_order_took_its_elements_in_that_of_the_list() {
    for (model, events, status) in [
        ("fifo-queue", "w1 w2 w3 (0 )0:1,2,3", 0),
        ("fifo-queue", "w1 w2 w3 (0 )0:2,1,3", 1),
        ("fifo-queue", "w1 w2 (0 )0:1,1", 1),
        ("fifo-queue", "+1 +2 -1 -2 (0 )0:2,1", 0),
        ("stack", "w1 w2 w3 (0 )0:3,2,1", 0),
        ("stack", "w1 w2 w3 (0 )0:1,2,3", 1),
        ("priority-queue", "w2 w3 w1 (0 )0:1,2,3", 0),
        ("priority-queue", "w2 w3 w1 (0 )0:2,1,3", 1),
        // What is put while a drain is open may be taken by it, behind what was there or before it.
        ("fifo-queue", "w1 (0 +2 )0:1,2 -2", 0),
        ("fifo-queue", "w1 (0 +2 )0:2,1 -2", 1),
        ("fifo-queue", "w1 (0 w2 )0:1,2", 0),
        ("fifo-queue", "w1 (0 w2 )0:2,1", 1),
        ("priority-queue", "w1 w3 (0 +2 )0:1,2,3 -2", 0),
        ("priority-queue", "w1 w3 (0 +2 )0:1,3,2 -2", 0),
        ("priority-queue", "w1 w3 +2 (0 -2 )0:3,1", 1),
        ("fifo-queue", "+1 +2 (0 -1 -2 )0:2,1", 0),
        ("fifo-queue", "+1 +2 (0 +3 -1 -2 )0:2,1,3 -3", 0),
        ("fifo-queue", "+1 +2 (0 +3 -1 -2 )0:2,3,1 -3", 0),
        ("fifo-queue", "w1 +2 (0 +3 -2 )0:2,3 -3", 1),
        // Drains that took one element or none need no such moment, nor do those of which one follows the other.
        ("fifo-queue", "w1 w2 (0 (1 )0:1,2 )1:", 0),
        ("fifo-queue", "w1 w2 w3 (0 (1 )0:1,3 )1:2", 0),
        ("fifo-queue", "w1 w2 w3 (0 (1 )0:1,2 )1:1", 1),
        ("fifo-queue", "w1 w2 w3 w4 (0 )0:1,2 (0 )0:3,4", 0),
    ] {
        let run = ordered(model, events);
        assert_eq!(run.status, status, "{model} {events}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn a_drain_whose_elements_others_may_come_between_is_refused_with_what_to_do() {
    for (model, events) in [
        ("fifo-queue", "w1 w2 (0 w3 w4 )0:1,2"),
        ("priority-queue", "w1 w2 (0 w3 w4 )0:1,2"),
        ("fifo-queue", "w1 w2 w3 w4 (0 (1 )0:1,3 )1:2,4"),
    ] {
        let run = ordered(model, events);
        assert_eq!(run.status, 65, "{model} {events}: {}", run.stdout);
        assert!(
            run.stderr.contains("this drain took several elements while others"),
            "{}",
            run.stderr
        );
        let hint = "or take the model unordered-queue";
        assert_eq!(run.stderr.contains(hint), model == "fifo-queue", "{}", run.stderr);
    }
    assert_eq!(ordered("unordered-queue", "w1 w2 w3 w4 (0 (1 )0:1,3 )1:2,4").status, 0);
    let run = ordered("register", "(0 )0:1,2");
    assert!(run.stderr.contains("the model register has no operation \"drain\""), "{}", run.stderr);
}

#[test]
fn completions_with_values_of_their_own_stay_with_their_operations_where_a_drain_is() {
    let mut history = drained(":type :ok, :f :drain, :value [1 2]");
    // The failed dequeue and drain before them go, and places with them.
    history = "{:process 7, :type :invoke, :f :drain}\n{:process 7, :type :fail, :f :drain}\n"
        .to_string()
        + &history;
    history = history.replacen(":ok, :f :enqueue, :value 1", ":ok, :f :enqueue, :value \"OK\"", 1);
    let run = queue(&[], &history.replace("[1 2]", "[1 3]"));
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let run = queue(&[], &history);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn the_order_of_a_history_with_a_drain_is_written_and_verified() {
    let folder = Folder::new("drains");
    let history = folder.write("h.edn", drained(":type :ok, :f :drain, :value [2 1]"));
    let order = folder.file("order.jsonl");
    let histcheck = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        run(command.args(args).arg("--witness").arg(&order).arg(&history))
    };
    let model = ["--model", "unordered-queue"];
    assert_eq!(histcheck(&[&["linear"], &model[..]].concat()).status, 0);
    let run = histcheck(&[&["verify"], &model[..]].concat());
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
}
