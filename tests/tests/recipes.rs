//! What the recipes and the demo refuse, and say about it; and the recipe that users copy for their own database, run whole.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use breakit_tests::process::{Running, built, json_lines, run, shell};
use breakit_tests::{Fleet, Folder, has, skip};
use serde_json::{Value, json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn the_demo_does_not_touch_a_fleet_that_is_up_already() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = Fleet::new("dm");
    fleet.sh("lxc-fleet -q up n1 --image busybox").expect(0);
    let demo = format!("DEMO_FLEET={} {ROOT}/scripts/demo {}", fleet.name, built().display());
    let refused = fleet.sh(&demo).expect(75);
    assert!(refused.stderr.contains("is up already"), "{refused:?}");
    assert!(refused.stderr.contains("DEMO_FLEET="), "{refused:?}");
    fleet.sh("lxc-fleet exec n1 -- true").expect(0);
}

#[test]
fn an_etcd_older_than_the_recipe_can_drive_is_refused_before_anything_starts() {
    let folder = Folder::new("old-etcd");
    for (version, status) in [("2.3.8", 69), ("3.3.25", 69)] {
        // What an old etcd answers to --version; whatever else is asked of it is a failure of this test.
        let says = format!("#!/bin/sh\n[ \"$*\" = --version ] && echo 'etcd Version: {version}'\n");
        let etcd = folder.write("etcd", says);
        std::fs::set_permissions(&etcd, std::fs::Permissions::from_mode(0o755)).unwrap();
        let start =
            format!("PATH={}:$PATH sh {ROOT}/recipes/etcd/node start n1", folder.path().display());
        let refused = run(&mut shell(&start)).expect(status);
        assert!(refused.stderr.contains(&format!("etcd is {version}")), "{refused:?}");
        assert!(refused.stderr.contains("needs 3.4 or later"), "{refused:?}");
    }
}

/// The adds of these nodes that were sent and acknowledged while the cut was in force.
fn acknowledged_in_the_cut(lines: &[Value], nodes: &[&str]) -> usize {
    let place = |f: &str| lines.iter().position(|line| line["f"] == f).unwrap();
    let cut = &lines[place("start-partition")..place("stop-partition")];
    let sent: BTreeSet<u64> =
        cut.iter().filter(|l| l["type"] == "invoke").filter_map(|l| l["value"].as_u64()).collect();
    cut.iter()
        .filter(|line| line["f"] == "add" && line["type"] == "ok")
        .filter(|line| nodes.iter().any(|node| line["node"] == *node))
        .filter(|line| line["value"].as_u64().is_some_and(|value| sent.contains(&value)))
        .count()
}

/// The elements of the adds that were acknowledged.
fn acknowledged(lines: &[Value]) -> BTreeSet<u64> {
    let adds = lines.iter().filter(|line| line["f"] == "add" && line["type"] == "ok");
    adds.filter_map(|line| line["value"].as_u64()).collect()
}

/// The command lines of the processes of this host that belong to a fleet.
fn processes_of(fleet: &Fleet) -> Vec<String> {
    let mine = format!("BREAKIT_FLEET={}\0", fleet.name);
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter(|process| {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&mine)
    })
    .map(|process| std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default())
    .collect()
}

#[test]
fn a_client_of_ones_own_judges_a_database_of_ones_own_under_a_partition_and_leaves_nothing_behind()
{
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    if !has("python3") {
        skip!("no python3; install the package python3");
    }
    let (fleet, folder) = (Fleet::up("nats", 3, "nats", "nats-server"), Folder::new("nats"));
    let history = folder.file("history.jsonl");
    let make = format!("make -s -C {ROOT}/recipes/nats HISTORY={}", history.display());
    fleet.sh(&format!("{make} up")).expect(0);
    // A recipe that finds everything up leaves it alone.
    fleet.sh(&format!("{make} up")).expect(0);

    let whole = Running::start(&mut fleet.shell(&format!("{make} run")));
    let whole = whole.end(Duration::from_secs(180)).expect(0);
    assert!(whole.stdout.contains("set: valid: all "), "{whole:?}");
    assert!(!whole.stdout.contains("rests on little"), "{whole:?}");

    let mut lines = json_lines(&history);
    assert_eq!(lines[0]["value"]["client"], "exec");
    let kept = acknowledged(&lines);
    assert!(kept.len() > 200, "only {} messages were acknowledged", kept.len());
    // A quorum of three is two: the cut hit n1 alone, and hit it.
    assert_eq!(acknowledged_in_the_cut(&lines, &["n1"]), 0);
    assert!(acknowledged_in_the_cut(&lines, &["n2", "n3"]) > 0, "n2 and n3 stood still");
    assert_eq!(lines.last().unwrap()["value"]["read"], json!(["n1", "n2", "n3"]));
    let is_final = |line: &&mut Value| line["final"] == true && line["type"] == "ok";
    for read in lines.iter_mut().filter(is_final) {
        let held = read["value"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        assert!(kept.is_subset(&held), "{} lacks {:?}", read["node"], &kept - &held);
    }

    // Had the database lost one, the verdict would be another.
    let lost = json!(kept.first().unwrap());
    for read in lines.iter_mut().filter(is_final) {
        read["value"].as_array_mut().unwrap().retain(|element| *element != lost);
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let judged = fleet.sh(&format!("histcheck {}", folder.write("lossy.jsonl", text))).expect(1);
    assert!(judged.stdout.contains("acknowledged writes were lost"), "{judged:?}");

    fleet.sh(&format!("{make} down")).expect(0);
    let left = fleet.sh("lxc-fleet exec n1..n3 -- sh -c 'ls /var/lib/breakit-recipe; grep -l nats-server /proc/[0-9]*/comm'");
    assert_eq!(left.stdout, "", "{left:?}");
    assert_eq!(processes_of(&fleet), Vec::<String>::new());
    assert_eq!(fleet.cuts(), "");
}
