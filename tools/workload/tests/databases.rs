//! The clients of real databases, against the real ones: Redis with Sentinel and etcd on a fleet, brought up
//! by their recipes; and what a user is told where there is no database.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

use breakit_tests::process::{built, run};
use breakit_tests::{Fleet, skip};
use serde_json::Value;

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Why a fleet cannot be had by these tests, if so.
fn impossible() -> Option<String> {
    if let Some(why) = Fleet::impossible() {
        return Some(why.to_string());
    }
    let tool = built().join("lxc-fleet");
    (!tool.exists()).then(|| format!("{} is not built; run cargo build first", tool.display()))
}

/// A fleet of three with the recipe's database on it.
fn database(recipe: &str, image: &str, packages: &str) -> Fleet {
    let fleet = Fleet::up(image, NODES.len(), image, packages);
    let folder = format!("{}/../../recipes/{recipe}", env!("CARGO_MANIFEST_DIR"));
    fleet.sh(&format!("make -s -C {folder} up NODES=n1..n3")).expect(0);
    // A recipe that finds everything up leaves it alone.
    fleet.sh(&format!("make -s -C {folder} up NODES=n1..n3")).expect(0);
    fleet
}

/// A busy machine does in eight seconds what an idle one does in a part of one.
fn workload(fleet: &Fleet, line: &str) -> Vec<Value> {
    // On a busy machine a final read may take longer than the second that it has by default.
    let line = format!("workload {line} -n n1..n3 --recovery 5s --timeout 10s");
    fleet.sh(&line).expect(0).lines()
}

/// The values of all client lines of this kind.
fn of_kind<'a>(
    lines: &'a [Value],
    kind: &'a str,
    f: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Value> {
    lines
        .iter()
        .filter(move |line| line["process"].is_number() && line["type"] == kind && line["f"] == f)
}

fn integers(values: impl Iterator<Item = Value>) -> BTreeSet<i64> {
    values.map(|value| value.as_i64().unwrap()).collect()
}

/// What was acknowledged, and for every node what its last final read had.
#[track_caller]
fn every_final_read_has_all_that_was_acknowledged(lines: &[Value]) {
    let acknowledged = integers(of_kind(lines, "ok", "add").map(|line| line["value"].clone()));
    assert!(acknowledged.len() > 100, "{} adds were acknowledged", acknowledged.len());
    for node in NODES {
        let last = of_kind(lines, "ok", "read")
            .rfind(|line| line["final"] == true && line["node"] == node)
            .unwrap_or_else(|| panic!("no final read of {node}"));
        let held = integers(last["value"].as_array().unwrap().iter().cloned());
        assert!(acknowledged.is_subset(&held), "{node} lacks {:?}", &acknowledged - &held);
    }
}

/// Why operations failed, each reason once.
fn failures(lines: &[Value], f: &str) -> BTreeSet<String> {
    of_kind(lines, "fail", f).map(|line| line["error"].as_str().unwrap().to_string()).collect()
}

#[track_caller]
fn registers_were_read_written_and_compared(lines: &[Value]) {
    let written: BTreeSet<String> =
        of_kind(lines, "ok", "write").map(|line| line["value"].to_string()).collect();
    assert!(written.len() > 20, "{} writes", written.len());
    let read = of_kind(lines, "ok", "read")
        .filter(|line| written.contains(&line["value"].to_string()))
        .count();
    assert!(read > 10, "{read} reads saw what was written");
    assert!(of_kind(lines, "ok", "cas").count() > 0, "no cas succeeded");
    // On a busy machine a sentinel or the primary may say too late who it is: then nothing was sent.
    let mut failures = failures(lines, "cas");
    failures.retain(|said| !said.ends_with("no answer within 500ms"));
    assert_eq!(failures, BTreeSet::from(["precondition".to_string()]));
}

#[test]
fn redis_and_its_sentinels_keep_what_they_acknowledge_while_nothing_is_broken() {
    if let Some(why) = impossible() {
        skip!("{why}");
    }
    let fleet = database("redis-sentinel", "redis", "redis-server,redis-sentinel");

    let set = workload(&fleet, "set --client redis-sentinel --time-limit 8s");
    every_final_read_has_all_that_was_acknowledged(&set);

    let registers = workload(&fleet, "cas-register --client redis-sentinel --time-limit 8s");
    registers_were_read_written_and_compared(&registers);

    // Asked directly, a replica refuses: that is a fail, and proved to be one.
    let direct = workload(&fleet, "set --client redis --time-limit 8s");
    every_final_read_has_all_that_was_acknowledged(&direct);
    let refusals = failures(&direct, "add");
    assert!(!refusals.is_empty(), "no replica refused");
    assert!(refusals.iter().all(|said| said.starts_with("READONLY")), "{refusals:?}");
    assert_eq!(of_kind(&direct, "info", "add").count(), 0);

    // A password comes from the environment, and goes nowhere else.
    fleet
        .sh("lxc-fleet exec n3 -- sh -c 'redis-cli -h $(hostname) CONFIG SET requirepass s3cret'")
        .expect(0);
    let line = "workload register --client redis -n n3 --time-limit 1s --ready 500ms";
    let refused = fleet.sh(line).expect(75);
    assert!(refused.stderr.contains("n3: NOAUTH"), "{}", refused.stderr);
    let let_in = fleet.sh(&format!("REDISCLI_AUTH=s3cret {line}")).expect(0);
    assert!(of_kind(&let_in.lines(), "ok", "read").count() > 10);
    assert!(!format!("{let_in:?}").contains("s3cret"), "{let_in:?}");

    // A node whose Redis is dead is not ready, whatever its sentinel believes.
    fleet.sh("lxc-fleet exec n1 -- pkill -9 -x redis-server").expect(0);
    let line = "workload set --client redis-sentinel -n n1..n3 --time-limit 1s --ready 500ms";
    let refused = fleet.sh(line).expect(75);
    assert!(refused.stderr.contains("n1: "), "{}", refused.stderr);
}

#[test]
fn etcd_keeps_registers_and_sets_while_nothing_is_broken() {
    if let Some(why) = impossible() {
        skip!("{why}");
    }
    let fleet = database("etcd", "etcd", "etcd-server");

    let set = workload(&fleet, "set --client etcd --time-limit 8s");
    every_final_read_has_all_that_was_acknowledged(&set);

    let registers = workload(&fleet, "cas-register --client etcd --time-limit 8s");
    registers_were_read_written_and_compared(&registers);

    let serializable = workload(&fleet, "register --client etcd:serializable --time-limit 1s");
    assert!(of_kind(&serializable, "ok", "read").count() > 10);
}

#[test]
fn a_database_that_is_never_ready_is_named_with_its_node_and_what_it_said() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for client in ["redis", "redis-sentinel", "etcd"] {
        let run = run(Command::new(env!("CARGO_BIN_EXE_workload")).args([
            "set",
            "--client",
            &format!("{client}:port={free}"),
            "-n",
            "db=addr:127.0.0.1",
            "--ready",
            "300ms",
        ]))
        .expect(75);
        let said = format!("db: cannot connect to 127.0.0.1:{free}: connection refused");
        assert!(run.stderr.contains(&said), "{}", run.stderr);
        assert!(run.stderr.contains("--ready"), "{}", run.stderr);
        let lines = run.lines();
        assert!(lines.iter().all(|line| line["process"] == "workload"), "{}", run.stdout);
        assert_eq!(lines.last().unwrap()["value"]["status"], "failed");
    }
}

#[test]
fn an_option_that_a_client_does_not_have_is_wrong_usage() {
    for (client, remedy) in [
        ("redis:serializable", "port=N"),
        ("redis-sentinel:primary=x", "master=NAME"),
        ("redis-sentinel:master=a b", "sentinel monitor"),
        ("etcd:fast", "serializable"),
        ("etcd:port=0", "1 to 65535"),
    ] {
        let run = run(Command::new(env!("CARGO_BIN_EXE_workload")).args([
            "set",
            "--client",
            client,
            "-n",
            "db=addr:127.0.0.1",
        ]))
        .expect(64);
        assert!(run.stderr.contains(remedy), "{client}: {}", run.stderr);
    }
}
