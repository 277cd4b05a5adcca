//! A violation ends the run that it is found in: `workload | histcheck --follow`.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use breakit_tests::process::{Running, json_lines, run, shell};
use breakit_tests::pty::Terminal;
use breakit_tests::{Folder, Namespaces, has, skip};

/// Much longer than a violation takes to come, however busy the machine is.
const RUN: &str = "120s";
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_run_ends_at_its_first_stale_read_and_what_was_recorded_is_kept() {
    let folder = Folder::new("follow");
    let file = folder.file("history.jsonl");
    let line = format!(
        "workload register --client mem:stale -q --time-limit {RUN} -o {} | histcheck linear --follow --model register",
        file.display()
    );
    let began = Instant::now();
    let mut running = Running::start(&mut shell(&line));
    running.stdin.take();
    let said = running.end(LIMIT).expect(1);
    assert!(said.stdout.contains("is stale"), "{said:?}");
    assert!(said.stdout.contains("the run went on; no more of it was read"), "{said:?}");
    let lines = json_lines(&file);
    let end = lines.last().unwrap();
    assert_eq!(end["value"]["status"], "reader-gone", "after {:?}: {end}", began.elapsed());
    // What it kept is invalid in the same way.
    let whole = run(&mut shell(&format!("histcheck {}", file.display()))).expect(1);
    assert!(whole.stdout.contains("is stale"), "{whole:?}");
}

#[test]
fn a_run_without_a_violation_is_followed_to_its_end() {
    let said = run(&mut shell(
        "workload cas-register --client mem -q --time-limit 1s | histcheck linear --follow --model cas-register",
    ));
    let said = said.expect(0);
    assert!(said.stdout.contains("are linearizable as a cas-register"), "{said:?}");
    assert!(said.stdout.contains("the run ended: done"), "{said:?}");
}

#[test]
fn the_network_is_whole_again_when_a_violation_ends_the_run_in_the_middle_of_a_partition() {
    let ns = match Namespaces::make(3) {
        Ok(_) if !has("nft") => skip!("nft is missing; install the package nftables"),
        Ok(ns) => ns,
        Err(why) => skip!("{why}"),
    };
    let folder = Folder::new("heal");
    let file = folder.file("history.jsonl");
    let cut =
        format!("partition cut isolate n1 -n {} --first 0s --for 100s --every 110s", ns.spec());
    // The store answers stale reads from the beginning; it is only heard of once the cut is in force.
    let line = format!(
        "workload register --client mem:stale -q --rate 20 --time-limit {RUN} --nemesis '{cut}' -o {0} \
         | (until grep -q start-partition {0}; do sleep 0.1; done; \
            exec histcheck linear --follow --model register)",
        file.display()
    );
    let mut running = Running::start(&mut ns.shell(&line));
    running.stdin.take();
    let said = running.end(LIMIT).expect(1);
    assert!(said.stdout.contains("is stale"), "{said:?}");
    let lines = json_lines(&file);
    let at = |f: &str| lines.iter().position(|line| line["f"] == f);
    let (start, stop, end) = (at("start-partition"), at("stop-partition"), at("end"));
    assert!(start.is_some() && start < stop && stop < end, "{start:?} {stop:?} {end:?}");
    assert!(ns.reaches(0, &ns.v4(1)), "healed with the end of the pipe");
}

#[test]
fn a_terminal_shows_how_far_it_is_and_an_interrupt_ends_the_whole_pipeline_in_order() {
    let mut terminal = Terminal::start(&format!(
        "workload register --client mem -q --time-limit {RUN} | histcheck linear --follow --model register"
    ));
    terminal.wait_for("valid so far", LIMIT);
    terminal.wait_for("the oldest open one began", LIMIT);
    terminal.press("\x03");
    let (status, screen) = terminal.end(LIMIT);
    assert!(screen.contains("are linearizable as a register"), "{status}: {screen}");
    assert!(screen.contains("the run ended"), "{status}: {screen}");
}
