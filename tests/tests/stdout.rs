//! stdout that takes nothing: closed, full, or with a reader that left, the same way in every tool.

#![allow(clippy::unwrap_used)]

use breakit_tests::process::{Run, run, shell};
use breakit_tests::{Folder, is_root, skip};

const VALID: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":1,"type":"invoke","f":"read","value":null}
{"process":1,"type":"ok","f":"read","value":1}
"#;

/// A history whose read saw what was never written.
fn invalid() -> String {
    VALID.replace("\"read\",\"value\":1", "\"read\",\"value\":2")
}

fn histories() -> Folder {
    let folder = Folder::new("stdout");
    folder.write("valid.jsonl", VALID);
    folder.write("invalid.jsonl", invalid());
    folder.write("bad.jsonl", "nope\n");
    folder
}

#[track_caller]
fn line(folder: &Folder, line: &str) -> Run {
    run(shell(line).current_dir(folder.path()).env("BREAKIT_FLEET", "nowhere"))
}

/// A command line whose stdout has no reader from the beginning.
#[track_caller]
fn unread(folder: &Folder, command: &str) -> Run {
    line(folder, &format!("exec 3> >(:); wait $!; {command} >&3"))
}

#[track_caller]
fn closed(folder: &Folder, command: &str) -> Run {
    line(folder, &format!("{command} >&-"))
}

#[test]
fn a_verdict_keeps_its_status_whether_it_is_read_or_not() {
    let folder = histories();
    for (status, command) in [
        (0, "histcheck linear --model register valid.jsonl"),
        (1, "histcheck linear --model register invalid.jsonl"),
        (1, "histcheck linear --model register --json invalid.jsonl"),
        (1, "histcheck linear --model register valid.jsonl invalid.jsonl bad.jsonl"),
        (65, "histcheck linear --model register bad.jsonl valid.jsonl"),
        (2, "histcheck linear --model register --memory 1 valid.jsonl"),
        (1, "histcheck linear --model register --follow invalid.jsonl"),
        (0, "histcheck stats invalid.jsonl"),
    ] {
        let read = line(&folder, command).expect(status);
        let unread = unread(&folder, command).expect(status);
        assert_eq!(unread.stderr, read.stderr, "{command}");
    }
    let verdict = line(&folder, "histcheck linear --model register --json invalid.jsonl").stdout;
    folder.write("verdict.json", verdict);
    unread(&folder, "histcheck merge verdict.json").expect(1);
}

#[test]
fn what_only_writes_data_ends_quietly_when_its_reader_left() {
    let folder = histories();
    for command in [
        "histcheck --help",
        "histcheck convert --to edn valid.jsonl",
        "histcheck split --shards 2 --into shards valid.jsonl",
        "workload register --client mem --ops 10 --quiet",
        "partition plan halves -n n1..n4 --quiet",
    ] {
        let run = unread(&folder, command).expect(0);
        assert_eq!(run.stderr, "", "{command}");
    }
}

#[test]
fn a_closed_stdout_is_refused_before_anything_is_done() {
    let folder = histories();
    for command in [
        "histcheck stats valid.jsonl",
        "histcheck convert --to edn valid.jsonl",
        "histcheck split --shards 2 --into shards valid.jsonl",
        "histcheck linear --model register --witness order.jsonl valid.jsonl",
        "histcheck --version",
        "histcheck stats valid.jsonl <&-",
        "workload register --client mem --ops 10",
        "workload register --client mem --ops 10 -o history.jsonl",
        "workload register --client 'exec:touch sent' --ops 10 -n me=local",
        // No node has these names: a tool that looked for them would say that.
        "partition cut halves -n n1,n2",
        "partition plan halves -n n1,n2",
        "partition list -n n1",
        "slownet set --delay 5ms -n n1",
        "slownet list -n n1",
        "lxc-fleet kill -n n1 --for 1s",
        "lxc-fleet exec -n n1 -- true",
        "lxc-fleet up n1",
    ] {
        let run = closed(&folder, command).expect(71);
        assert!(run.stderr.contains("cannot write to stdout: it is closed"), "{command}: {run:?}");
    }
    for made in ["shards", "order.jsonl", "history.jsonl", "sent"] {
        assert!(!folder.file(made).exists(), "{made}");
    }
}

#[test]
fn what_heals_does_not_ask_whether_somebody_listens() {
    let folder = histories();
    for command in ["partition heal -n n1", "slownet clear -n n1"] {
        let run = closed(&folder, command).expect(66);
        assert!(run.stderr.contains("nowhere"), "{command}: {run:?}");
    }
}

#[test]
fn a_stdout_that_is_open_for_reading_only_is_refused_too() {
    let folder = histories();
    let run = line(&folder, "histcheck stats valid.jsonl 1</dev/null").expect(71);
    assert!(run.stderr.contains("it is closed"), "{run:?}");
}

#[test]
fn a_full_disk_is_an_error_before_anything_is_sent() {
    let folder = histories();
    for command in [
        "histcheck linear --model register invalid.jsonl",
        "histcheck convert --to edn valid.jsonl",
        "histcheck --help",
        "workload register --client 'exec:touch sent' --ops 10 -n me=local",
        "workload register --client 'exec:touch sent' --ops 10 -n me=local -o /dev/full",
        "partition plan halves -n n1,n2",
    ] {
        let run = line(&folder, &format!("{command} >/dev/full")).expect(71);
        assert!(run.stderr.contains("no space left on device"), "{command}: {run:?}");
    }
    assert!(!folder.file("sent").exists());
}

#[test]
fn a_check_of_the_network_keeps_its_status_whether_it_is_read_or_not() {
    if !is_root() {
        skip!("only root may look into networks");
    }
    let folder = Folder::new("stdout");
    let node = |name: &str, address: &str| {
        format!("{{\"node\":{name:?},\"addrs\":[{address:?}],\"via\":\"local\"}}\n")
    };
    folder.write("nodes", node("a", "127.0.0.2") + &node("b", "127.0.0.3"));
    // Nothing arrives in so short a time.
    for command in [
        "partition check -n @nodes --timeout 1ns",
        "partition check -n @nodes --timeout 1ns --table",
    ] {
        line(&folder, command).expect(1);
        assert_eq!(unread(&folder, command).expect(1).stderr, "", "{command}");
    }
}

#[test]
fn stdout_never_goes_into_a_file_that_is_read() {
    let folder = histories();
    let node = "{\"node\":\"n1\",\"via\":\"local\"}\n";
    folder.write("nodes", node);
    let fault = |f: &str| format!("{{\"process\":\"nemesis\",\"type\":\"info\",\"f\":{f:?}}}\n");
    folder.write("run.jsonl", fault("start-partition") + &fault("stop-partition"));
    folder.write("grudge", "{\"n1\":[\"n2\"]}\n");
    let files = ["nodes", "run.jsonl", "grudge", "valid.jsonl"];
    let before = files.map(|file| std::fs::read(folder.file(file)).unwrap());
    for command in [
        "partition plan halves -n @nodes >>nodes",
        "partition plan halves -n - <nodes >>nodes",
        "partition plan grudge grudge -n n1,n2 >>grudge",
        "partition replay run.jsonl -n @nodes --dry-run >>run.jsonl",
        "slownet replay run.jsonl -n @nodes --dry-run >>run.jsonl",
        "slownet set @run.jsonl -n @nodes --dry-run >>run.jsonl",
        "workload register --client exec:true -n @nodes >>nodes",
        "workload register --client exec:true -n @nodes -o nodes",
        "workload register --client exec:true -n @nodes -o ./nodes --dry-run",
        "workload register --client exec:true -n - -o nodes <nodes",
        "workload register --client mem --ops 10 -o valid.jsonl >>valid.jsonl",
        "workload register --client mem --nemesis 'partition replay run.jsonl' -o run.jsonl",
    ] {
        let run = line(&folder, command).expect(64);
        assert_eq!(run.stderr.lines().count(), 1, "{command}: {run:?}");
        let said = ["which is read", "stdout writes into"].map(|words| run.stderr.contains(words));
        assert!(said.contains(&true), "{command}: {run:?}");
        let after = files.map(|file| std::fs::read(folder.file(file)).unwrap());
        assert_eq!(after, before, "{command}");
    }
}

#[test]
fn a_text_without_an_end_is_refused_and_not_held() {
    let folder = histories();
    for command in [
        "partition plan halves -n @/dev/zero",
        "partition plan grudge /dev/zero -n n1,n2",
        "partition plan primaries - -n n1,n2 </dev/zero",
        "partition replay /dev/zero -n me=local",
        "slownet set @/dev/zero -n me=local",
        "histcheck linear --model @/dev/zero valid.jsonl",
    ] {
        let run = line(&folder, &format!("ulimit -v 1000000; {command}")).expect(65);
        assert!(run.stderr.contains("longer than 64M"), "{command}: {run:?}");
    }
}
