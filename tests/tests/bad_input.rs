//! Bad input, the same way to every tool that takes it: one sentence that names the thing, the place and the
//! remedy, on stderr, with the status of the table.

#![allow(clippy::unwrap_used)]

use breakit_tests::process::{built, run, shell};
use breakit_tests::{Folder, skip};

/// Each line is run by a shell; a fleet that is not up is what bare names find.
#[track_caller]
fn refused(line: &str, status: i32, words: &[&str]) {
    let done = run(shell(line).env("BREAKIT_FLEET", "nowhere"));
    let tool = line.split([' ', '/']).find(|word| !word.contains('=')).unwrap();
    assert_eq!(done.status, status, "{line}: {done:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{line}: one sentence, not {:?}", done.stderr);
    assert!(done.stderr.starts_with(&format!("{tool}: ")), "{line}: {:?}", done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "{line}: {word:?} is not in {:?}", done.stderr);
    }
    assert!(done.stderr.len() < 600, "{line}: {} characters", done.stderr.len());
}

/// A command of each tool that acts on nodes.
const TAKE_NODES: [&str; 4] = [
    "lxc-fleet exec -n NODES -- true",
    "partition cut halves -n NODES --for 1s",
    "slownet set --delay 5ms -n NODES --for 1s",
    "workload set --client redis -n NODES --time-limit 1s",
];

#[test]
fn what_is_no_name_is_refused_by_every_tool() {
    let long = "n".repeat(300);
    for command in TAKE_NODES {
        for bad in ["../x", "'n1;rm'", "-v", "'a b'", "\"''\"", &long, "n5..n1", "n1..m4", "n1,n1"]
        {
            let nodes = format!("--nodes={bad}");
            refused(&command.replace("-n NODES", &nodes), 64, &[]);
        }
    }
}

#[test]
fn a_node_that_the_fleet_does_not_know_is_named_by_every_tool() {
    for command in TAKE_NODES {
        refused(&command.replace("NODES", "n1,n2"), 66, &["nowhere"]);
    }
}

#[test]
fn a_bad_node_line_is_named_with_its_place() {
    let folder = Folder::new("nodes");
    let file = folder.write(
        "nodes.jsonl",
        "{\"node\":\"n1\",\"addrs\":[\"192.0.2.1\"]}\n{\"node\":\"n2\",\"addrs\":[\"nonsense\"]}\n",
    );
    let nodes = format!("-n @{file}");
    refused(&format!("partition plan halves {nodes}"), 65, &["line 2", "nonsense"]);
    refused("partition plan halves -n @/no/such/file", 66, &["/no/such/file"]);
}

#[test]
fn a_program_that_is_missing_is_named_with_its_package() {
    if !breakit_tests::is_root() {
        skip!("hiding a program needs root");
    }
    for (line, program, package) in [
        ("partition cut isolate a -n a=local,b=addr:192.0.2.9 --for 1s", "nft", "nftables"),
        ("lxc-fleet up n1", "lxc-start", "lxc"),
    ] {
        if !breakit_tests::has(program) {
            skip!("{program} is missing already; install the package {package}");
        }
        // What cannot be executed is not there; only this mount namespace sees it so. A network of its own, in
        // case the tool should find something to act on after all.
        let hide = "ip addr add 192.0.2.1/24 dev lo; hidden=$1; shift; mount --bind /dev/null \"$(readlink -f \"$(command -v $hidden)\")\" && exec \"$@\"";
        let hidden =
            format!("unshare -nm sh -c '{hide}' sh {program} {}/{line}", built().display());
        let done = run(shell(&hidden).env("BREAKIT_FLEET", "nowhere"));
        assert_eq!(done.status, 69, "{line}: {done:?}");
        assert!(done.stderr.contains(program) && done.stderr.contains(package), "{line}: {done:?}");
    }
}

#[test]
fn who_is_not_root_is_told_so_and_what_to_do() {
    if !nix::unistd::Uid::effective().is_root() || nix::unistd::setgroups(&[]).is_err() {
        skip!("playing somebody else needs root");
    }
    let folder = Folder::new("nobody");
    let dir = folder.path();
    let copy = format!(
        "cp {1}/lxc-fleet {1}/partition {1}/slownet {0} && chmod -R a+rX {0}",
        dir.display(),
        built().display()
    );
    run(&mut shell(&copy)).expect(0);
    for line in [
        "lxc-fleet up n1..n2",
        "lxc-fleet image x --packages redis-server",
        "partition cut isolate a -n a=local,b=addr:192.0.2.9 --for 1s",
        "slownet set --rate 1mbit -n a=local --for 1s",
    ] {
        let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        let done = run(&mut shell(&format!("{nobody} {}/{line}", dir.display())));
        assert_eq!(done.status, 77, "{line}: {done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{line}: {done:?}");
        assert!(done.stderr.contains("root"), "{line}: {done:?}");
    }
}

#[test]
fn a_fault_that_would_not_end_before_the_next_is_wrong_usage() {
    for command in ["partition cut halves -n a=local,b=local", "slownet set --delay 5ms -n a=local"]
    {
        refused(&format!("{command} --every 10s --for 10s"), 64, &["--every", "--for"]);
        refused(&format!("{command} --lease 10ms --for 1s"), 64, &["--lease"]);
        refused(&format!("{command} --for soon"), 64, &["soon"]);
    }
}

#[test]
fn a_wrong_command_line_is_answered_at_one_glance() {
    let verbs = [
        ("lxc-fleet", "up down exec push pull kill pause stop start logs image ls nodes"),
        ("partition", "cut plan heal list check probe replay"),
        ("slownet", "set clear list probe replay"),
        ("workload", "set register list-append"),
        ("histcheck", "linear set convert split merge stats"),
    ];
    let long = "x".repeat(500);
    let ends = [
        "--fo 3s",
        "--for 3",
        "--nods n1",
        "-Z",
        "--every",
        "--seed -1",
        "--format zzz",
        "--backend zzz",
    ];
    for (tool, verbs) in verbs {
        let wrong =
            ends.iter().flat_map(|end| verbs.split(' ').map(move |verb| format!("{verb} {end}")));
        for line in
            wrong.chain([String::new(), "nonsense".into(), format!("--{long}"), long.clone()])
        {
            let mut command = breakit_tests::process::tool(tool);
            command.args(line.split_whitespace()).env("BREAKIT_FLEET", "nowhere");
            let done = run(&mut command);
            // Some are right for some tools; none of them does anything here.
            if done.status == 64 {
                let said = done.stderr.trim_end();
                assert!(said.len() <= 200 && !said.contains("tip:"), "{tool} {line}: {said}");
            }
        }
    }
}
