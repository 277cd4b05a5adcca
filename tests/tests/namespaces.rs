//! Pipelines across tools in network namespaces: no containers, real packets.

use breakit_tests::process::{json_lines, run};
use breakit_tests::{Folder, Namespaces, has, skip};

#[test]
fn a_nemesis_in_a_pipeline_is_in_force_between_its_lines_and_gone_after_the_run() {
    let ns = match Namespaces::make(3) {
        Ok(_) if !has("nft") => skip!("nft is missing; install the package nftables"),
        Ok(ns) => ns,
        Err(why) => skip!("{why}"),
    };
    let folder = Folder::new("pipe");
    let file = folder.file("history.jsonl");
    let cut = format!("partition cut isolate n1 -n {} --first 300ms --for 2s", ns.spec());
    let mut workload = ns.tool("workload");
    workload
        .args(["register", "--client", "mem", "--time-limit", "5s", "--nemesis", &cut, "-o"])
        .arg(&file);
    run(&mut workload).expect(0);

    let lines = json_lines(&file);
    let at = |f: &str| lines.iter().position(|line| line["f"] == f);
    let (start, stop, end) = (at("start-partition"), at("stop-partition"), at("end"));
    assert!(start.is_some() && start < stop && stop < end, "{start:?} {stop:?} {end:?}");
    assert!(ns.reaches(0, &ns.v4(1)), "healed after the run");

    let mut judge = ns.tool("histcheck");
    let verdict = run(judge.arg(&file)).expect(0);
    assert!(verdict.stdout.contains("valid"), "{verdict:?}");
}
