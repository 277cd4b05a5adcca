//! `slownet` as its users type it, without root and without a network.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::{run, run_with};
use breakit_tests::{Fakes, Run, hostile};

fn slownet(args: &[&str]) -> Run {
    run(Command::new(env!("CARGO_BIN_EXE_slownet")).args(args))
}

#[track_caller]
fn refused(args: &[&str], status: i32, says: &str) {
    let run = slownet(args).expect(status);
    assert!(run.stderr.contains(says), "{args:?}\n{says}\n{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "one sentence: {}", run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
}

#[test]
fn a_quantity_that_cannot_be_is_wrong_usage_in_one_sentence() {
    let set = |flag: &str, value: &str, says: &str| {
        refused(&["set", "-n", "me=local", flag, value], 64, says);
    };
    set("--delay", "-50ms", "negative");
    set("--delay", "50", "is no duration; write 30s, 1m30s or 50ms");
    set("--delay", "2h", "for an hour at the most");
    set("--loss", "101%", "101% is out of range");
    set("--loss", "-1%", "-1% is out of range");
    set("--loss", "5", "write 1% or 0.5%");
    set("--loss", "0%", "leave the flag out");
    set("--rate", "0mbit", "a rate of 0mbit is out of range");
    set("--rate", "1mbps", "bits a second");
    set("--slot", "5ms,4ms", "the shorter first");
    set("--slot", "0", "is no span of time");
    set("--slot-packets", "0", "0 is not in 1..=");
    set("--distribution", "/no/such.dist", "/no/such.dist");
    set("--limit", "0", "0 is not in 1..=");
    set("--port", "7003-7000", "runs backwards");
    set("--port", "0", "is no port");
    set("--backend", "magic", "magic");
    set("--direction", "up", "out, in, both");
    set("--preset", "5g", "5g");
}

#[test]
fn an_unknown_distribution_is_refused_with_those_that_there_are() {
    let args =
        ["set", "-n", "me=local", "--delay", "1ms", "--jitter", "1ms", "--distribution", "x"];
    refused(&args, 64, "uniform, normal, pareto, paretonormal");
}

#[test]
fn a_part_that_needs_another_says_so() {
    let set = |flags: &[&str], says: &str| {
        refused(&[&["set", "-n", "me=local"], flags].concat(), 64, says);
    };
    set(&[], "nothing is asked for");
    set(&["--limit", "5"], "nothing is asked for");
    set(&["--jitter", "5ms"], "--jitter needs --delay");
    set(&["--delay", "5ms", "--distribution", "normal"], "need --jitter");
    set(&["--reorder", "5%"], "--reorder needs --delay");
    set(&["--delay", "5ms", "--gap", "5"], "--reorder");
    set(&["--delay", "5ms", "--slot-bytes", "1500"], "--slot");
    set(&["--loss", "5%", "--loss-state", "1%"], "cannot be used with");
    set(&["--loss-state", "1%,1%,1%,1%,1%,1%"], "five percentages at the most");
    set(&["--loss", "5%", "--keep", "--for", "1s", "--every", "3s"], "cannot be used with");
    set(&["--loss", "5%", "--for", "3s", "--every", "3s"], "leave a gap");
    set(&["--loss", "5%", "--keep", "--for", "30d"], "a lease takes 1s to 24h");
    set(&["--loss", "5%", "--lease", "0s"], "take 1s to 24h");
}

#[test]
fn a_node_that_is_none_is_refused_and_named() {
    let set = |nodes: &str, status: i32, says: &str| {
        refused(&["set", "--loss", "5%", "-n", nodes], status, says);
    };
    set("../x", 64, "../x");
    set("-v", 64, "--nodes");
    set("n5..n1=local", 64, "n5..n1");
    set("a=netns:no-such-namespace", 66, "netns:no-such-namespace is not running");
    set("a=pid:999999999", 66, "pid:999999999 is not running");
    set("a=addr:192.0.2.1", 64, "only the address 192.0.2.1 of node a is known");
    set("a=local,a=local", 64, "named twice");
    set("@/no/such/file", 66, "/no/such/file");
}

#[test]
fn a_rehearsal_that_fails_prints_nothing() {
    let args = ["set", "--dry-run", "--loss", "5%", "-n", "a=netns:no-such-namespace"];
    refused(&args, 66, "netns:no-such-namespace is not running");
}

#[test]
fn a_target_that_is_none_is_refused_and_named() {
    let to = |to: &str, status: i32, says: &str| {
        refused(&["set", "--loss", "5%", "-n", "me=local", "--to", to], status, says);
    };
    to("10.0.0.0/33", 64, "\"10.0.0.0/33\" is no block of addresses");
    to("10.0.0.999", 66, "10.0.0.999 is no address, and no node that -n or the fleet");
    to(
        "db.example",
        66,
        "write an address, a block such as 10.0.0.0/8, or db.example=addr:ADDRESS",
    );
    to("-x", 64, "-x");
}

#[test]
fn links_that_are_none_are_bad_input_with_file_and_line() {
    let links = |input: &str, status: i32, says: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slownet"));
        let run = run_with(command.args(["set", "@-", "-n", "n1=local,n2=addr:192.0.2.2"]), input);
        let run = run.expect(status);
        assert!(run.stderr.contains(says), "{input}\n{says}\n{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "one sentence: {}", run.stderr);
    };
    let good = r#"{"from":"n1","to":"n2","delay":"5ms"}"#;
    links("", 66, "has no link");
    links(&format!("{good}\nrubbish"), 65, "stdin, line 2");
    links(&format!("{good}\n{good}"), 65, "that line 1 strikes already");
    links(r#"{"from":"n1","loss":"101%"}"#, 65, "101% is out of range");
    links(r#"{"from":"n1","magic":"1"}"#, 65, "unknown field 'magic");
    links(&good.replace("n1", "-x"), 65, "is no node name");
    refused(&["set", "links.jsonl"], 64, "write @links.jsonl");
    refused(&["set", "@links.jsonl", "--delay", "5ms"], 64, "cannot be used with");
    refused(&["set", "@links.jsonl", "--to", "n1"], 64, "cannot be used with");
    refused(&["set", "@/no/such/links"], 66, "/no/such/links");
}

#[test]
fn a_history_without_our_faults_is_bad_input() {
    refused(&["replay", "/no/such/history"], 66, "/no/such/history");
    refused(&["replay", "-", "-n", "-"], 64, "cannot both come on stdin");
    let mut command = Command::new(env!("CARGO_BIN_EXE_slownet"));
    let run = run_with(command.args(["replay", "-"]), "").expect(65);
    assert!(run.stderr.contains("no start-slow line"), "{}", run.stderr);
}

#[test]
fn an_empty_list_of_nodes_is_no_input() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slownet"));
    let run = run_with(command.args(["set", "--loss", "5%", "-n", "-"]), "").expect(66);
    assert!(run.stderr.contains("names no node"), "{}", run.stderr);
}

#[test]
fn a_fleet_that_is_not_up_is_named_where_a_fault_needs_nodes_and_holds_none() {
    let of = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slownet"));
        run(command.args(line.split(' ')).env("BREAKIT_FLEET", "no-such-fleet"))
    };
    let said = of("set --delay 1ms --dry-run").expect(66).stderr;
    assert!(said.contains("fleet no-such-fleet is not up"), "{said}");
    let said = of("list -n n1").expect(66).stderr;
    assert!(said.contains("fleet no-such-fleet is not up"), "{said}");
    if breakit_tests::is_root() {
        for line in ["list", "clear --dry-run"] {
            assert_eq!(of(line).expect(0).stderr, "", "{line}");
        }
    }
}

#[test]
fn a_fault_is_known_by_four_digits() {
    refused(&["clear", "-n", "me=local", "--id", "everything"], 64, "is no fault of ours");
}

#[test]
fn what_others_wrote_steers_no_terminal() {
    slownet(&[&format!("--{}", hostile::TEXT)]).expect(64).shows(r"\u{202e}");
    let file = format!("@/nowhere/{}\nhealed", hostile::TEXT);
    let missing = slownet(&["set", &file, "-n", "n1=local"]).expect(66);
    let shown = format!("{}\\nhealed", hostile::SHOWN);
    assert_eq!(missing.shows(&shown).stderr.lines().count(), 1);
}

#[test]
fn helpers_come_from_the_systems_folders_or_from_those_of_path() {
    let fakes = Fakes::new(&["ssh", "tc", "nft", "ip", "sh"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_slownet"));
    command.args(["list", "-n", "n1=ssh:root@127.0.0.1"]);
    fakes.first_in_path(&mut command);
    // Whether an sshd lets us in here does not matter.
    run(&mut command);
    fakes.are_left_alone();
    run(command.arg("--path").arg(fakes.path()));
    fakes.were_run_with_a_clean_environment();
    refused(&["list", "--path", "/nowhere"], 66, "--path: /nowhere is no folder");
    refused(&["list", "--path", "/usr/bin:"], 64, "empty");
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    let mut unset = Command::new(env!("CARGO_BIN_EXE_slownet"));
    let unset = run(unset
        .args(["list", "-n", "no-such-node"])
        .env_remove("BREAKIT_FLEET")
        .env_remove("BREAKIT_SEED"));
    let mut empty = Command::new(env!("CARGO_BIN_EXE_slownet"));
    let empty = run(empty
        .args(["list", "-n", "no-such-node"])
        .env("BREAKIT_FLEET", "")
        .env("BREAKIT_SEED", ""));
    assert!([0, 66].contains(&unset.status), "{unset:?}");
    assert_eq!(
        (empty.status, empty.stdout, empty.stderr),
        (unset.status, unset.stdout, unset.stderr)
    );
}
