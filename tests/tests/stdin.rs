//! Standard input belongs to the script that runs our tools: nothing reads it that was not asked to.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use breakit_tests::fleet::Fleet;
use breakit_tests::process::run_with;
use breakit_tests::{Folder, Namespaces, Running, has, skip};

/// A script that has this behind a tool's command line, and what it prints then.
const REST: &str = "echo the rest\n";

const SOON: Duration = Duration::from_secs(60);

/// A host of two nodes, or a skip.
macro_rules! bed {
    () => {
        match Namespaces::make(2) {
            Ok(_) if !has("nft") => skip!("nft is missing; install the package nftables"),
            Ok(bed) => bed,
            Err(why) => skip!("{why}"),
        }
    };
}

/// Lines of a script, each with a tool that has nothing to read.
fn commands(bed: &Namespaces, folder: &Folder) -> Vec<String> {
    let history = folder.write(
        "history.jsonl",
        r#"{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
"#,
    );
    let nodes = bed.spec();
    [
        "partition cut halves -n NODES --for 300ms --backend nft",
        "partition cut primaries --primaries 'echo n1' -n NODES --for 300ms",
        "partition cut halves -n NODES --keep --for 1s; partition heal -n NODES",
        "partition plan halves -n n1,n2",
        "partition list -n NODES",
        "partition heal -n NODES",
        "partition check -n NODES",
        "partition probe -n NODES",
        "slownet set -n NODES --delay 1ms --for 300ms --backend nfqueue",
        "slownet list -n NODES",
        "slownet clear -n NODES",
        "slownet probe",
        "lxc-fleet ls",
        "workload set --client mem --time-limit 300ms -o h.jsonl --nemesis 'partition cut halves -n NODES --first 0s --for 100ms'",
        "workload register --client 'exec:cat' --time-limit 200ms --no-final -o h.jsonl",
        "histcheck linear --model register HISTORY",
        "histcheck stats HISTORY",
    ]
    .map(|line| line.replace("NODES", &nodes).replace("HISTORY", &history))
    .to_vec()
}

#[test]
fn a_script_on_stdin_goes_on_behind_each_of_our_tools() {
    let bed = bed!();
    let folder = Folder::new("script");
    for line in commands(&bed, &folder) {
        // `cat script | bash`, where what runs may read the script's own next lines.
        let mut shell = bed.shell("cat | bash");
        shell.current_dir(folder.path()).env("BREAKIT_FLEET", "nowhere");
        let said = run_with(&mut shell, &format!("{line}\n{REST}"));
        assert!(said.stdout.ends_with("the rest\n"), "{line}: {said:?}");
        // `while read n; do ...; done < list`.
        let mut shell =
            bed.shell(&format!("while read n; do {{ {line}; }} >out 2>&1; echo $n; done"));
        shell.current_dir(folder.path()).env("BREAKIT_FLEET", "nowhere");
        let said = run_with(&mut shell, "one\ntwo\n").expect(0);
        assert_eq!(said.stdout, "one\ntwo\n", "{line}");
    }
}

#[test]
fn a_fault_lasts_as_long_as_it_should_with_whatever_on_stdin() {
    let bed = bed!();
    for stdin in ["</dev/null", "<&-", "< <(echo a line)", "< <(sleep 0.5)", "< /etc/passwd"] {
        let cut = format!("partition cut halves -n {} --for 1500ms {stdin}", bed.spec());
        let said = run_with(&mut bed.shell(&cut), "").expect(0).lines();
        let [start, stop] = &said[..] else { panic!("{stdin}: {said:?}") };
        let time = |line: &serde_json::Value| line["time"].as_u64().unwrap();
        let length = time(stop) - start["value"]["began"].as_u64().unwrap();
        assert!(length >= 1_500_000_000, "{stdin}: {length} ns");
    }
}

#[test]
fn the_end_of_input_ends_a_fault_that_waits_for_it_alone() {
    let bed = bed!();
    for tool in ["partition cut halves", "slownet set --delay 1ms --backend nfqueue"] {
        let line = format!("exec {tool} -n {} --for 10m --until-eof", bed.spec());
        let mut held = Running::start(&mut bed.shell(&line));
        held.line(SOON);
        let begin = Instant::now();
        // What comes in before the end is of no interest, however much it is.
        let mut stdin = held.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &vec![b'x'; 300_000]).unwrap();
        drop(stdin);
        let ended = held.end(SOON).expect(0).lines();
        assert!(ended[1]["f"].as_str().unwrap().starts_with("stop-"), "{ended:?}");
        assert!(begin.elapsed() < SOON, "not after ten minutes");
        for stdin in ["</dev/null", "< /etc/passwd", "<&-"] {
            let said = run_with(&mut bed.shell(&format!("{line} {stdin}")), "").expect(64);
            assert!(said.stderr.contains("--until-eof waits for the end"), "{}", said.stderr);
        }
    }
    let nodes = format!("partition cut halves -n - --until-eof --for 1s <<< '{}'", bed.spec());
    let said = run_with(&mut bed.shell(&nodes), "");
    assert_ne!(said.status, 0, "{said:?}");
}

#[test]
fn a_fleet_and_its_faults_leave_the_script_alone() {
    if let Some(why) = Fleet::impossible() {
        skip!("{why}");
    }
    let fleet = Fleet::new("stdin");
    for line in [
        "lxc-fleet -q up n1",
        "lxc-fleet exec n1 -- cat",
        "lxc-fleet exec n1 -- sh -c 'read word; true'",
        "lxc-fleet pause n1 --for 300ms",
        "lxc-fleet kill n1 --for 300ms",
        "lxc-fleet -q stop n1; lxc-fleet -q start n1",
        "lxc-fleet push /etc/hostname n1:/tmp/x",
        "lxc-fleet pull n1:/etc/hostname /dev/shm/breakit-stdin-test; rm -f /dev/shm/breakit-stdin-test",
        "lxc-fleet nodes; lxc-fleet ls; lxc-fleet logs n1",
        "lxc-fleet -q down",
    ] {
        let said = run_with(&mut fleet.shell("cat | bash"), &format!("{line}\n{REST}"));
        assert!(said.stdout.ends_with("the rest\n"), "{line}: {said:?}");
    }
}
