//! `slownet` on nodes that are network namespaces: what it does here and now, measured.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use breakit_tests::process::run;
use breakit_tests::wait::{is_within, throughout};
use breakit_tests::{Running, skip};
use nix::sys::signal::Signal;

use bed::*;

#[test]
fn packets_are_lost_as_often_as_asked_and_only_on_their_way_out() {
    let bed = bed!(2, "loss");
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &["--loss", "20%"]));
    let start = held.line(SOON);
    assert_eq!(start["f"], "start-slow");
    assert_eq!(start["value"]["parts"]["loss"], "20%");
    for address in [bed.v4(1), bed.v6(1)] {
        let answered = answered(&bed, 0, &address, 1000);
        // Four deviations of a binomial around 800.
        assert!((749..=851).contains(&answered), "{answered} of 1000 to {address}");
    }
    held.signal(Signal::SIGINT);
    let end = held.end(SOON);
    assert_eq!(end.status, 130, "{}", end.stderr);
    assert_eq!(end.lines()[1]["f"], "stop-slow");
    assert_eq!(answered(&bed, 0, &bed.v4(1), 300), 300);
}

#[test]
fn a_rate_holds_for_the_named_peer_and_for_nobody_else() {
    let bed = bed!(3, "rate");
    let to = format!("n2=netns:{}", bed.name(1));
    let mut held =
        Running::start(&mut set(&bed, &node(&bed, 0), &["--rate", "20mbit", "--to", &to]));
    held.line(SOON);
    let slow = throughput(&bed, 0, 1, Duration::from_secs(2));
    let quick = throughput(&bed, 0, 2, Duration::from_secs(1));
    // 20 Mbit/s on the wire are some 19 of payload.
    assert!((17.0..=20.5).contains(&slow), "{slow} Mbit/s");
    assert!(quick > 200.0, "{quick} Mbit/s");
    held.signal(Signal::SIGTERM);
    held.end(SOON).expect(143);
    assert!(throughput(&bed, 0, 1, Duration::from_secs(1)) > 200.0);
}

#[test]
fn nothing_of_ours_is_left_after_a_fault_and_nothing_foreign_was_touched() {
    let bed = bed!(2, "rate");
    let foreign = "table inet theirs {
        set to4 { type ipv4_addr; flags timeout; }
        chain c { type filter hook postrouting priority -150; tcp dport 22 accept; }
    }";
    run(bed.at(0, "nft").arg(foreign)).expect(0);
    let before = state(&bed, 0);
    let spec = bed.spec();
    run(&mut set(&bed, &spec, &["--rate", "5mbit", "--for", "300ms"])).expect(0);
    run(&mut set(&bed, &spec, &["--loss", "5%", "--for", "300ms"])).expect(0);
    run(&mut set(&bed, &spec, &["--delay", "5ms", "--for", "300ms"])).expect(0);
    assert_eq!(state(&bed, 0), before);
    assert!(list(&bed).is_empty());
}

#[test]
fn two_faults_on_one_interface_do_not_end_one_another() {
    let bed = bed!(3, "rate");
    let one = node(&bed, 0);
    let mut first = Running::start(&mut set(&bed, &one, &["--rate", "5mbit", "--to", &bed.v4(1)]));
    let mut second = Running::start(&mut set(&bed, &one, &["--rate", "9mbit", "--to", &bed.v4(2)]));
    let id = first.line(SOON)["value"]["id"].clone();
    second.line(SOON);
    assert_eq!(list(&bed).len(), 2);
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end(SOON).status, 143);
    let left = list(&bed);
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0]["id"], &left[0]["in_force"]), (&id, &true.into()));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.end(SOON).status, 143);
    assert!(list(&bed).is_empty());
}

#[test]
fn a_holder_that_is_killed_leaves_nothing_for_longer_than_its_guardian_needs() {
    let bed = bed!(1, "rate");
    let before = state(&bed, 0);
    let mut held =
        Running::start(&mut set(&bed, &node(&bed, 0), &["--rate", "5mbit", "--lease", "20s"]));
    held.line(SOON);
    assert_ne!(state(&bed, 0), before);
    held.signal(Signal::SIGKILL);
    assert_eq!(held.end(SOON).status, 137);
    let deadline = Instant::now() + Duration::from_secs(15);
    while state(&bed, 0) != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(state(&bed, 0), before);
}

#[test]
fn where_the_guardian_is_killed_too_the_lease_ends_the_fault_and_clear_sweeps_the_rest() {
    let bed = bed!(2, "loss");
    let before = state(&bed, 0);
    let mut held =
        Running::start(&mut set(&bed, &node(&bed, 0), &["--loss", "100%", "--lease", "2s"]));
    held.line(SOON);
    assert!(!bed.reaches(0, &bed.v4(1)));
    for child in children(held.pid().as_raw()) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), Signal::SIGKILL).unwrap();
    }
    let killed = Instant::now();
    held.signal(Signal::SIGKILL);
    while !bed.reaches(0, &bed.v4(1)) && killed.elapsed() < SOON {}
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(15), "healed after {took:?} of a lease of 2 s");
    assert_eq!(list(&bed)[0]["in_force"], false);
    let cleared = run(bed.tool("slownet").args(["clear", "-n", &bed.spec()])).expect(0);
    assert_eq!(cleared.lines()[0]["f"], "stop-slow");
    assert_eq!(state(&bed, 0), before);
    let again = run(bed.tool("slownet").args(["clear", "-n", &bed.spec()])).expect(0);
    assert_eq!(again.stdout, "", "clearing twice is fine and says nothing");
}

fn children(pid: i32) -> Vec<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn a_lease_is_renewed_for_as_long_as_the_fault_is_held() {
    let bed = bed!(2, "loss");
    let mut held =
        Running::start(&mut set(&bed, &node(&bed, 0), &["--loss", "100%", "--lease", "1s"]));
    held.line(SOON);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        assert!(!bed.reaches(0, &bed.v4(1)), "reached after {:?}", begin.elapsed());
    }
    held.signal(Signal::SIGINT);
    assert_eq!(held.end(SOON).status, 130);
}

#[test]
fn a_fault_that_somebody_clears_ends_its_holder() {
    let bed = bed!(1, "rate");
    // Long before the next renewal; and where it ends by itself just then, it says so too.
    for (signal, status) in [(None, 3), (Some(Signal::SIGTERM), 143)] {
        let mut held =
            Running::start(&mut set(&bed, &node(&bed, 0), &["--rate", "5mbit", "--lease", "10m"]));
        let id = held.line(SOON)["value"]["id"].as_str().unwrap().to_string();
        run(bed.tool("slownet").args(["clear", "-n", &bed.spec(), "--id", &id])).expect(0);
        if let Some(signal) = signal {
            held.signal(signal);
        }
        let end = held.end(SOON);
        assert!([3, status].contains(&end.status), "it may have ended before the signal: {end:?}");
        assert_eq!(end.lines()[1]["value"]["healed"], "by another");
    }
}

#[test]
fn rules_that_somebody_flushed_beside_their_sets_are_no_fault_any_more() {
    let bed = bed!(1, "all");
    let mut held =
        Running::start(&mut set(&bed, &node(&bed, 0), &["--delay", "5ms", "--lease", "10m"]));
    let start = held.line(SOON);
    assert_eq!(list(&bed)[0]["in_force"], true);
    let flush = match start["value"]["feeder"].as_str() {
        Some("ipset") => "iptables -t mangle -F".to_string(),
        _ => {
            format!("nft flush table inet breakit_slow_{}", start["value"]["id"].as_str().unwrap())
        }
    };
    let mut words = flush.split(' ');
    let mut command = bed.at(0, words.next().unwrap());
    run(command.args(words)).expect(0);
    // The holder may have seen it already.
    assert!(list(&bed).iter().all(|line| line["in_force"] == false), "{:?}", list(&bed));
    let end = held.end(SOON).expect(3);
    assert_eq!(end.lines()[1]["value"]["healed"], "by another");
    assert!(list(&bed).is_empty());
    assert!(!state(&bed, 0).contains("breakit"), "{}", state(&bed, 0));
}

#[test]
fn kept_faults_outlive_their_command_until_their_lease_ends_and_leave_nothing() {
    let bed = bed!(2, "loss");
    let before = state(&bed, 0);
    let flags = ["--loss", "100%", "--keep", "--for", "1500ms"];
    let begin = Instant::now();
    run(&mut set(&bed, &node(&bed, 0), &flags)).expect(0);
    assert!(!bed.reaches(0, &bed.v4(1)));
    assert!(
        is_within(Duration::from_secs(2), || bed.reaches(0, &bed.v4(1))),
        "ended with its lease"
    );
    assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
    assert!(is_within(SOON, || state(&bed, 0) == before), "{}", state(&bed, 0));
}

/// Gives node `i` a root queue of its own, by words of tc.
fn own_root(bed: &breakit_tests::Namespaces, i: usize, words: &str) {
    for line in words.split(';') {
        run(bed.at(i, "tc").args(line.split_whitespace())).expect(0);
    }
}

#[test]
fn a_foreign_queue_that_could_not_be_put_back_is_refused_and_no_node_is_half_done() {
    let bed = bed!(2, "rate");
    own_root(
        &bed,
        1,
        "qdisc add dev eth0 root handle 1: htb default 10; class add dev eth0 parent 1: classid 1:10 htb rate 1gbit",
    );
    let (first, second) = (state(&bed, 0), state(&bed, 1));
    let refused = run(&mut set(&bed, &bed.spec(), &["--rate", "5mbit"])).expect(71);
    assert!(refused.stderr.contains("tc qdisc del dev eth0 root"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    assert_eq!((state(&bed, 0), state(&bed, 1)), (first, second));
    // A delay line needs no queue there.
    if run(bed.tool("slownet").arg("probe")).lines()[0]["works"]["tap"]["works"] == true {
        let flags = ["--rate", "5mbit", "--backend", "nfqueue"];
        let mut held = Running::start(&mut set(&bed, &bed.spec(), &flags));
        held.line(SOON);
        end(held);
    }
}

#[test]
fn a_root_queue_of_the_user_is_kept_during_the_fault_and_put_back_after_it_whatever_dies() {
    let bed = bed!(2, "rate");
    for words in ["tbf rate 200mbit burst 200k latency 50ms", "handle 5: pfifo limit 77"] {
        own_root(&bed, 0, &format!("qdisc add dev eth0 root {words}"));
        let before = state(&bed, 0);
        // What ticks of the kernel's clock make of a burst: numbers may differ in their last digits.
        let same = || {
            let words =
                |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>();
            let (now, before) = (words(&state(&bed, 0)), words(&before));
            let digits = |word: &str| word.chars().any(|c| c.is_ascii_digit());
            now.len() == before.len()
                && now.iter().zip(&before).all(|(now, before)| {
                    now == before || digits(now) && digits(before) && now[..3] == before[..3]
                })
        };
        let start = |lease: &str| {
            let flags = ["--rate", "5mbit", "--to", "10.77.0.99", "--lease", lease];
            let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
            held.line(SOON);
            held
        };
        let held = start("60s");
        // It is at work for whatever is not struck.
        let kept = run(bed.at(0, "tc").args(["qdisc", "show", "dev", "eth0"])).stdout;
        let kind = words.split(' ').find(|word| ["tbf", "pfifo"].contains(word)).unwrap();
        assert!(
            kept.lines().any(|line| line.contains(kind) && line.contains("parent 77:1 ")),
            "{kept}"
        );
        if kind == "tbf" {
            let rate = throughput(&bed, 0, 1, Duration::from_secs(2));
            assert!(rate < 220.0, "200 Mbit/s were the user's: {rate}");
        }
        assert!(bed.reaches(0, &bed.v4(1)));
        end(held);
        assert!(same(), "{}", state(&bed, 0));
        // Two faults, of which the last one off puts it back.
        let held = start("60s");
        let flags = ["--rate", "7mbit", "--to", "10.77.0.98"];
        let mut other = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
        other.line(SOON);
        end(held);
        assert!(!same());
        end(other);
        assert!(same(), "{}", state(&bed, 0));
        let held = start("60s");
        held.signal(Signal::SIGKILL);
        held.end(SOON).expect(137);
        assert!(is_within(SOON, same), "its guardian: {}", state(&bed, 0));
        // Holder and guardian dead: the next clear.
        let held = start("60s");
        let children = format!("/proc/{0}/task/{0}/children", held.pid());
        for child in std::fs::read_to_string(children).unwrap().split_whitespace() {
            run(std::process::Command::new("kill").args(["-KILL", child]));
        }
        held.signal(Signal::SIGKILL);
        held.end(SOON).expect(137);
        run(bed.tool("slownet").args(["clear", "-n", &node(&bed, 0)])).expect(0);
        assert!(same(), "somebody's clear: {}", state(&bed, 0));
        run(bed.at(0, "tc").args(["qdisc", "del", "dev", "eth0", "root"])).expect(0);
    }
}

#[test]
fn two_names_of_one_network_are_refused_whatever_the_backend() {
    let bed = bed!(1, "rate");
    let both = format!("{},other=netns:{}", node(&bed, 0), bed.name(0));
    for flags in [["--rate", "1mbit"], ["--delay", "5ms"]] {
        let run = run(&mut set(&bed, &both, &flags)).expect(65);
        assert!(run.stderr.contains("nodes n1 and other are one network"), "{}", run.stderr);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
    }
    assert!(list(&bed).is_empty());
}

#[test]
fn a_peer_is_found_first_among_the_nodes_that_are_named() {
    let bed = bed!(2, "rate");
    let run = run(&mut set(&bed, &bed.spec(), &["--rate", "1mbit", "--to", "n2", "--dry-run"]));
    let (v4, v6) = (bed.v4(1), bed.v6(1));
    assert_eq!(run.expect(0).lines()[0]["to"], serde_json::json!([v4, v6]));
}

#[test]
fn a_name_with_several_addresses_means_all_of_them() {
    let bed = bed!(2, "loss");
    run(bed.at(1, "ip").args(["addr", "add", "10.77.0.112/24", "dev", "eth0"])).expect(0);
    let to = node(&bed, 1);
    let flags = ["--loss", "100%", "--to", &to];
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
    let value = held.line(SOON)["value"].clone();
    let all = serde_json::json!([bed.v4(1), "10.77.0.112", bed.v6(1)]);
    assert_eq!((&value["to"], &value["to_nodes"]["n2"]), (&all, &all));
    for address in all.as_array().unwrap() {
        assert!(!bed.reaches(0, address.as_str().unwrap()), "{address}");
    }
    end(held);
}

#[test]
fn who_may_not_is_told_so_in_one_sentence() {
    use std::os::unix::fs::PermissionsExt;

    let bed = bed!(1, "loss");
    let before = state(&bed, 0);
    // The tool itself may lie where nobody else looks.
    let tool = Temporary::with("nobody", "");
    std::fs::copy(env!("CARGO_BIN_EXE_slownet"), &tool.0).unwrap();
    std::fs::set_permissions(&tool.0, PermissionsExt::from_mode(0o755)).unwrap();
    for command in [
        "set -n me=local --loss 5% --for 1s",
        "set -n me=local --delay 5ms --backend nfqueue --for 1s",
        "clear -n me=local",
        "list -n me=local",
    ] {
        let mut nobody = bed.at(0, "setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&tool.0);
        let refused = run(nobody.args(command.split(' '))).expect(77);
        let lines: Vec<&str> = refused.stderr.lines().collect();
        assert!(lines.iter().all(|line| line.contains("run as root")), "{command}: {lines:?}");
        // Clearing tries all that there may be, and says all that stood in the way.
        assert!(lines.len() == 1 || command.starts_with("clear"), "{command}: {lines:?}");
        assert_eq!(refused.stdout, "", "{command}");
    }
    assert_eq!(state(&bed, 0), before);
}

#[test]
fn a_reader_that_leaves_is_the_end_of_the_fault() {
    let bed = bed!(1, "rate");
    let before = state(&bed, 0);
    let mut command = set(&bed, &node(&bed, 0), &["--rate", "5mbit"]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.stdin(std::process::Stdio::null()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0_u8; 1];
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(state(&bed, 0), before);
}

#[test]
fn a_rehearsal_shows_the_parts_of_a_preset_and_changes_nothing() {
    let bed = bed!(1, "rate");
    let before = state(&bed, 0);
    let flags = ["--preset", "dialup", "--delay", "0", "--jitter", "0", "--dry-run"];
    let run = run(&mut set(&bed, &bed.spec(), &flags));
    assert_eq!(run.lines()[0]["parts"]["rate"], "56kbit");
    assert_eq!(state(&bed, 0), before);
}

#[test]
fn a_fault_that_comes_and_goes_costs_bystanders_no_packet() {
    let bed = bed!(3, "rate");
    let address = bed.v4(2);
    let mut command = set(&bed, &node(&bed, 0), &["--rate", "1mbit", "--to", &bed.v4(1)]);
    command.args(["--first", "0s", "--every", "200ms", "--for", "100ms"]);
    let mut held = Running::start(&mut command);
    held.line(SOON);
    let mut ping = bed.at(0, "ping");
    let said = run(ping.args(["-n", "-q", "-i", "0.005", "-c", "400", &address]));
    held.signal(Signal::SIGINT);
    let end = held.end(SOON);
    assert!(said.stdout.contains(" 400 received"), "{}", said.stdout);
    assert!(end.lines().len() >= 10, "ten windows in two seconds: {}", end.stdout);
    assert!(list(&bed).is_empty());
}

#[test]
fn a_delay_is_exact_and_only_towards_the_named_peers() {
    let bed = bed!(4, "all");
    let one = node(&bed, 0);
    let near = [bed.v4(1), bed.v6(1)].join(",");
    let far = bed.v4(2);
    let mut first = Running::start(&mut set(&bed, &one, &["--delay", "20ms", "--to", &near]));
    let mut second = Running::start(&mut set(&bed, &one, &["--delay", "50ms", "--to", &far]));
    first.line(SOON);
    second.line(SOON);
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 50), 50, 20.0);
    delayed_by(&rtts(&bed, 0, &bed.v6(1), 50), 50, 20.0);
    delayed_by(&rtts(&bed, 0, &bed.v4(2), 50), 50, 50.0);
    delayed_by(&rtts(&bed, 0, &bed.v4(3), 50), 50, 0.0);
    for held in [first, second] {
        held.signal(Signal::SIGINT);
        assert_eq!(held.end(SOON).status, 130);
    }
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 50), 50, 0.0);
}

#[test]
fn a_matrix_of_links_gives_each_pair_of_regions_its_own_delay_and_ends_as_one() {
    let bed = bed!(4, "all");
    let before: Vec<String> = (0..4).map(|i| state(&bed, i)).collect();
    let links = Temporary::with(
        "links",
        r#"{"region":"eu","nodes":"n1,n2"}
{"from":"eu","to":"n3","delay":"20ms","both":true}
{"from":"eu","to":"n4","delay":"40ms"}
{"from":"n3","to":"n4","delay":"30ms"}
{"from":"n1","to":"n2","loss":"100%","protocol":"udp"}
"#,
    );
    let mut held = Running::start(bed.tool("slownet").args([
        "set",
        &links.spec(),
        "-n",
        &bed.spec(),
        "--lease",
        "3s",
    ]));
    let value = held.line(SOON)["value"].clone();
    let ids: Vec<&str> =
        value["links"].as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 5);
    // The pings last longer than the lease.
    for (a, b, millis) in [(0, 2, 40.0), (1, 2, 40.0), (0, 3, 40.0), (2, 3, 30.0), (0, 1, 0.0)] {
        let rtts = rtts(&bed, a, &bed.v4(b), 20);
        assert_eq!(rtts.len(), 20);
        // Delays are ten milliseconds apart; how exact they are is another test.
        assert!((millis..millis + 9.0).contains(&rtts[2]), "{a} to {b}: {rtts:?}");
    }
    assert_eq!(datagrams(&bed, 0, 1), 0);
    assert_eq!(datagrams(&bed, 1, 0), 20);
    // Five links: each is shown on every node that it strikes, which its start line names.
    let list = list(&bed);
    let nodes: usize = value["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["nodes"].as_array().unwrap().len())
        .sum();
    assert_eq!(list.iter().filter(|line| line["in_force"] == true).count(), nodes, "{list:?}");
    held.signal(Signal::SIGTERM);
    let end = held.end(SOON);
    assert_eq!((end.status, end.lines().len()), (143, 2), "{}{}", end.stdout, end.stderr);
    assert_eq!((0..4).map(|i| state(&bed, i)).collect::<Vec<_>>(), before);
}

#[test]
fn a_recorded_run_is_made_again_with_its_parts_nodes_and_offsets() {
    let bed = bed!(2, "all");
    let began = |line: &serde_json::Value| line["value"]["began"].as_u64().unwrap();
    let flags = ["--delay", "20ms", "--loss", "10%", "--seed", "7", "--first", "1s"];
    let mut first = set(&bed, &node(&bed, 0), &flags);
    first.args(["--to", &bed.v4(1), "--every", "3s", "--for", "1500ms", "--time-limit", "5s"]);
    let begin = breakit::clock::now();
    let recorded = run(&mut first).expect(0);
    let opened = format!(
        r#"{{"time":{begin},"process":"workload","type":"info","f":"start","value":{{}}}}
{{"time":{begin},"process":"nemesis","type":"info","f":"start-partition","value":{{}}}}"#
    );
    let history = Temporary::with("history", &format!("{opened}\n{}", recorded.stdout));
    let again = breakit::clock::now();
    let replayed = run(bed.tool("slownet").args(["replay", "-n", &bed.spec()]).arg(&history.0));
    let (before, after) = (recorded.lines(), replayed.expect(0).lines());
    assert_eq!((before.len(), after.len()), (4, 4));
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before["f"], after["f"]);
        assert_eq!(before["value"]["nodes"], after["value"]["nodes"]);
        for field in ["parts", "to", "direction", "seed"] {
            assert_eq!(before["value"][field], after["value"][field], "{field}");
        }
    }
    // A busy machine takes its time to begin; but what comes late comes late together.
    let late = (began(&after[0]) - again).abs_diff(began(&before[0]) - begin);
    assert!(late < 1_500_000_000, "{late} ns from where it was");
    let apart = |lines: &[serde_json::Value]| began(&lines[2]) - began(&lines[0]);
    let moved = apart(&after).abs_diff(apart(&before));
    assert!(moved < 1_000_000_000, "{} ns apart, not {}", apart(&after), apart(&before));
    assert!(list(&bed).is_empty());
}

/// An `ssh` that runs its words by a shell in the namespace that the destination names, as sshd would.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
destination=$2
shift 2
case $destination in gone) echo "ssh: connect to host gone port 22: No route to host" >&2; exit 255;; esac
SSH_CONNECTION="10.77.0.1 40000 10.77.0.11 2222" exec ip netns exec "$destination" sh -c "$*"
"#;

#[test]
fn hosts_over_ssh_are_slow_in_their_own_networks_and_our_way_to_them_stays_quick() {
    use std::os::unix::fs::PermissionsExt;

    let bed = bed!(3, "rate");
    let folder = std::env::temp_dir().join(format!("slownet-ssh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ssh"), SSH).unwrap();
    std::fs::set_permissions(folder.join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    let with_ssh = |args: &str, nodes: &str| {
        let mut command = bed.tool("slownet");
        command.arg("--path").arg(&folder);
        command.args(args.split(' ')).args(["-n", nodes]);
        command
    };
    let before = state(&bed, 0);
    let nodes = format!("n1=ssh:{},n2=ssh:{}", bed.name(0), bed.name(1));
    let probed = run(&mut with_ssh("probe", &nodes)).expect(0).lines();
    assert_eq!(probed.len(), 2);
    assert_eq!(probed[0]["works"]["queue"]["works"], false, "no process of ours runs there");
    let mut held = Running::start(&mut with_ssh("set --rate 5mbit --lease 3s", &nodes));
    assert_eq!(held.line(SOON)["value"]["backend"], probed[0]["chosen"]["rate"]);
    let slow = throughput(&bed, 0, 2, Duration::from_secs(1));
    assert!(slow < 10.0, "{slow} Mbit/s");
    let rules = state(&bed, 0);
    assert!(rules.contains("tcp sport 22 ") && rules.contains("tcp sport 2222 "), "{rules}");
    assert_eq!(run(&mut with_ssh("list", &nodes)).expect(0).lines().len(), 2);
    assert_eq!(run(&mut with_ssh("list --exit-code", &nodes)).expect(1).lines().len(), 2);
    held.signal(Signal::SIGKILL);
    held.end(SOON).expect(137);
    let deadline = Instant::now() + Duration::from_secs(10);
    while state(&bed, 0) != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(state(&bed, 0), before, "the guardian has cleared");

    let half = format!("n1=ssh:{},n2=ssh:gone", bed.name(0));
    let refused = run(&mut with_ssh("set --rate 5mbit --for 1s", &half)).expect(71);
    assert!(refused.stderr.contains("No route to host"), "{}", refused.stderr);
    assert_eq!((refused.stdout, state(&bed, 0)), (String::new(), before));
    if probed[0]["works"]["netem"]["works"] == false {
        let refused = run(&mut with_ssh("set --delay 5ms --for 1s", &nodes)).expect(69);
        assert!(refused.stderr.contains("is another host"), "{}", refused.stderr);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn where_one_link_cannot_be_struck_none_is() {
    let bed = bed!(2, "rate");
    let before = state(&bed, 0);
    let links = Temporary::with(
        "half",
        r#"{"from":"n1","to":"n2","rate":"5mbit"}
{"from":"n2","to":"192.0.2.1","delay":"5ms"}
"#,
    );
    run(bed.at(1, "ip").args(["route", "add", "unreachable", "192.0.2.1"])).expect(0);
    let refused =
        run(bed.tool("slownet").args(["set", &links.spec(), "-n", &bed.spec()])).expect(71);
    assert!(refused.stderr.contains("no route to 192.0.2.1"), "{}", refused.stderr);
    assert_eq!((refused.stdout, state(&bed, 0)), (String::new(), before));
}

#[test]
fn a_slow_flow_still_flows() {
    let bed = bed!(2, "all");
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &["--delay", "20ms"]));
    held.line(SOON);
    // Two packets a round trip, which is what TCP sends while the kernel holds its packets, are 1 Mbit/s.
    let rate = throughput(&bed, 0, 1, Duration::from_secs(3));
    assert!(rate > 20.0, "{rate} Mbit/s at 20 ms");
}

#[test]
fn what_a_node_receives_is_struck_and_not_what_it_sends() {
    let bed = bed!(3, "all");
    let flags = ["--loss", "100%", "--direction", "in", "--to", &bed.v4(1)];
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
    assert_eq!(held.line(SOON)["value"]["direction"], "in");
    assert_eq!(datagrams(&bed, 0, 1), 20);
    assert_eq!(datagrams(&bed, 1, 0), 0);
    assert_eq!(datagrams(&bed, 2, 0), 20);
    assert_eq!(list(&bed)[0]["in_force"], true);
    held.signal(Signal::SIGINT);
    assert_eq!(held.end(SOON).status, 130);
    assert_eq!(datagrams(&bed, 1, 0), 20);
}

#[test]
fn a_fault_at_the_other_end_of_a_packet_is_in_the_way_as_one_at_its_own_end() {
    let bed = bed!(3, "all");
    let (one, two, three) = (node(&bed, 0), node(&bed, 1), node(&bed, 2));
    let flags = |way: &'static str, to: &str| {
        ["--direction", way, "--to", to, "--delay", "20ms"].map(str::to_string)
    };
    let held = |nodes: &str, flags: &[String]| {
        let mut held = Running::start(bed.tool("slownet").args(["set", "-n", nodes]).args(flags));
        let id = held.line(SOON)["value"]["id"].as_str().unwrap().to_string();
        (held, id)
    };
    let tried = |nodes: &str, flags: &[String], more: &[&str]| {
        run(bed.tool("slownet").args(["set", "-n", nodes, "--dry-run"]).args(flags).args(more))
    };
    for (first, way, second, back) in [(&two, "in", &one, "out"), (&one, "out", &two, "in")] {
        let (held, id) = held(first, &flags(way, second));
        let refused = tried(second, &flags(back, first), &[]).expect(71);
        assert!(
            refused.stderr.contains(&id) && refused.stderr.contains("other end"),
            "{refused:?}"
        );
        // Both ends of one link, of which one is struck already.
        tried(
            &format!("{second},{three}"),
            &["--delay", "5ms"].map(str::to_string),
            &["--to", first],
        )
        .expect(if back == "out" { 71 } else { 0 });
        // Other packets of the same nodes.
        tried(second, &flags(way, first), &[]).expect(0);
        tried(second, &flags(back, &three), &[]).expect(0);
        end(held);
        tried(second, &flags(back, first), &[]).expect(0);
    }
    let (held, _) =
        held(&two, &[&flags("in", &one)[..], &["--protocol".into(), "tcp".into()]].concat());
    tried(&one, &flags("out", &two), &["--protocol", "udp"]).expect(0);
    tried(&one, &flags("out", &two), &["--protocol", "tcp"]).expect(71);
    end(held);
}

#[test]
fn links_of_one_file_that_meet_at_two_ends_are_bad_input() {
    let bed = bed!(2, "all");
    let file = |last: &str| {
        let first = r#"{"from":"n1","to":"n2","delay":"20ms"}"#;
        Temporary::with("two-ends", &format!("{first}\n{last}\n"))
    };
    for (last, status) in [
        (r#"{"from":"n2","to":"n1","direction":"in","delay":"40ms"}"#, 65),
        (r#"{"from":"n2","to":"n1","direction":"out","delay":"40ms"}"#, 0),
    ] {
        let links = file(last);
        let mut command = bed.tool("slownet");
        let run = run(command.args(["set", &links.spec(), "-n", &bed.spec(), "--dry-run"]));
        let run = run.expect(status);
        assert!(status == 0 || run.stderr.contains("line 1 strikes already"), "{run:?}");
    }
}

#[test]
fn a_root_queue_that_another_program_deletes_ends_the_fault_as_healed_long_before_a_renewal() {
    let bed = bed!(1, "rate");
    let flags = ["--rate", "5mbit", "--lease", "300s"];
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
    if held.line(SOON)["value"]["backend"] == "nfqueue" {
        skip!("a delay line has no queue there");
    }
    run(bed.at(0, "tc").args(["qdisc", "del", "dev", "eth0", "root"])).expect(0);
    // A renewal comes after a third of the lease.
    let stop = &held.end(SOON).lines()[1];
    assert_eq!((&stop["f"], &stop["value"]["healed"]), (&"stop-slow".into(), &"by another".into()));
}

/// Another link between nodes 0 and 1: 10.78.0.11 and 10.78.0.12, each an interface eth1.
fn second_link(bed: &breakit_tests::Namespaces) {
    let (a, b) = (bed.name(0), bed.name(1));
    let script = format!(
        "set -e; ip -n {a} link add eth1 type veth peer name eth1 netns {b}
         ip -n {a} addr add 10.78.0.11/24 dev eth1; ip -n {a} link set eth1 up
         ip -n {b} addr add 10.78.0.12/24 dev eth1; ip -n {b} link set eth1 up"
    );
    run(std::process::Command::new("sh").args(["-c", &script])).expect(0);
}

#[test]
fn a_fault_on_one_interface_leaves_the_others_alone_and_another_fault_may_be_there() {
    let bed = bed!(2, "all");
    second_link(&bed);
    let one = node(&bed, 0);
    for direction in ["out", "in"] {
        let by = |name: &'static str, delay: &'static str| {
            ["--interface", name, "--delay", delay, "--direction", direction]
        };
        let mut held = Running::start(&mut set(&bed, &one, &by("eth1", "40ms")));
        let value = held.line(SOON)["value"].clone();
        assert_eq!(value["interfaces"], serde_json::json!(["eth1"]));
        assert_eq!(list(&bed)[0]["interfaces"], value["interfaces"]);
        delayed_by(&rtts(&bed, 0, "10.78.0.12", 20), 20, 40.0);
        assert!(rtts(&bed, 0, &bed.v4(1), 20)[2] < 40.0, "the other interface");
        let taken = run(&mut set(&bed, &one, &by("eth1", "5ms"))).expect(71);
        assert!(taken.stderr.contains(value["id"].as_str().unwrap()), "{taken:?}");
        let mut other = Running::start(&mut set(&bed, &one, &by("eth0", "20ms")));
        other.line(SOON);
        delayed_by(&rtts(&bed, 0, "10.78.0.12", 20), 20, 40.0);
        delayed_by(&rtts(&bed, 0, &bed.v4(1), 20), 20, 20.0);
        end(other);
        end(held);
    }
    let wrong = run(&mut set(&bed, &one, &["--interface", "eth7", "--delay", "5ms"])).expect(71);
    assert!(wrong.stderr.contains("eth7") && wrong.stderr.contains("eth1"), "{wrong:?}");
    run(&mut set(&bed, &one, &["--interface", "eth0;x", "--delay", "5ms"])).expect(64);
}

#[test]
fn of_a_peer_with_several_addresses_those_without_a_route_are_left_out() {
    let bed = bed!(2, "all");
    run(bed.at(1, "ip").args(["addr", "add", "fd99::1/64", "dev", "lo", "nodad"])).expect(0);
    let (one, two) = (node(&bed, 0), node(&bed, 1));
    let mut held = Running::start(&mut set(&bed, &one, &["--to", &two, "--delay", "30ms"]));
    held.line(SOON);
    for address in [bed.v4(1), bed.v6(1)] {
        delayed_by(&rtts(&bed, 0, &address, 20), 20, 30.0);
    }
    end(held);
    // One that was written itself was meant.
    let refused = run(&mut set(&bed, &one, &["--to", "fd99::1", "--delay", "30ms"])).expect(71);
    assert!(refused.stderr.contains("no route to fd99::1"), "{refused:?}");
    // A host's name, whatever it has.
    let local = run(&mut set(&bed, &one, &["--to", "localhost", "--delay", "5ms", "--dry-run"]));
    let said = local.expect(0).lines()[0].clone();
    assert!(said["to"].as_array().unwrap().contains(&"127.0.0.1".into()), "{said}");
}

/// How many bytes the interface of node `i` has received.
fn received(bed: &breakit_tests::Namespaces, i: usize) -> u64 {
    let lines = run(bed.at(i, "cat").arg("/proc/net/dev")).stdout;
    let line = lines.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_low_rate_is_the_same_from_second_to_second_whichever_backend_limits_it() {
    let bed = bed!(2, "rate");
    for backend in ["htb", "nfqueue"] {
        let flags = ["--rate", "300kbit", "--backend", backend];
        let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
        held.line(SOON);
        let rates: Vec<f64> = std::thread::scope(|scope| {
            let flow = scope.spawn(|| throughput(&bed, 0, 1, Duration::from_secs(9)));
            // The bucket is full at first, and what is in it comes at once.
            let begin = received(&bed, 1);
            assert!(is_within(SOON, || received(&bed, 1) - begin > 60_000), "{backend}");
            let (mut rates, mut before, mut at) = (Vec::new(), received(&bed, 1), Instant::now());
            for _ in 0..5 {
                std::thread::sleep(Duration::from_secs(1));
                let (now, bytes) = (Instant::now(), received(&bed, 1));
                let seconds = (now - at).as_secs_f64();
                rates.push((bytes - before) as f64 * 8.0 / 1000.0 / seconds);
                (before, at) = (bytes, now);
            }
            flow.join().unwrap();
            rates
        });
        // A packet is 12 kbit, one may be counted early and one late. A machine that is busy for a part of a second
        // makes it slower; a burst of TCP that passed whole would leave a second without any packet.
        assert!(rates.iter().all(|rate| (150.0..=330.0).contains(rate)), "{backend}: {rates:?}");
        end(held);
    }
}

#[test]
fn both_directions_are_delayed_each_by_the_whole_time() {
    let bed = bed!(2, "all");
    let before = state(&bed, 0);
    let flags = ["--delay", "20ms", "--direction", "both"];
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
    held.line(SOON);
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 50), 50, 40.0);
    delayed_by(&rtts(&bed, 0, &bed.v6(1), 50), 50, 40.0);
    held.signal(Signal::SIGINT);
    assert_eq!(held.end(SOON).status, 130);
    assert_eq!(state(&bed, 0), before);
    let before = state(&bed, 1);
    let mut held = Running::start(&mut set(&bed, &node(&bed, 1), &flags));
    held.line(SOON);
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 30), 30, 0.0);
    let deadline = Instant::now() + Duration::from_secs(5);
    while state(&bed, 1) != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(state(&bed, 1), before);
}

#[test]
fn what_comes_in_is_damaged_overtaken_and_limited_as_asked() {
    let bed = bed!(2, "all");
    let into = |flags: &[&str]| {
        let flags = [&["--direction", "in"], flags].concat();
        let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
        held.line(SOON);
        held
    };
    let held = into(&["--corrupt", "20%"]);
    // Only requests: ping itself would take damaged replies.
    let whole = answered(&bed, 1, &bed.v4(0), 1000);
    assert!((749..=851).contains(&whole), "{whole} of 1000 undamaged");
    end(held);
    let held = into(&["--delay", "20ms", "--reorder", "25%"]);
    let early = rtts(&bed, 0, &bed.v4(1), 200).iter().filter(|rtt| **rtt < 10.0).count();
    // Four deviations of a binomial around 50.
    assert!((26..=74).contains(&early), "{early} of 200 overtook");
    end(held);
    let _held = into(&["--rate", "20mbit"]);
    let rate = throughput(&bed, 1, 0, Duration::from_secs(2));
    assert!((17.0..=20.5).contains(&rate), "{rate} Mbit/s");
}

#[test]
fn packets_that_nothing_happens_to_are_carried_without_copies() {
    let bed = bed!(2, "all");
    let second = Duration::from_secs(1);
    for direction in ["out", "in"] {
        // In turn, so that whatever else the machine does comes to both alike.
        let (mut plain, mut carried) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            plain.push(throughput(&bed, 0, 1, second));
            let flags = ["--delay", "0", "--backend", "nfqueue", "--direction", direction];
            let one = node(&bed, usize::from(direction == "in"));
            let mut held = Running::start(&mut set(&bed, &one, &flags));
            held.line(SOON);
            carried.push(throughput(&bed, 0, 1, second));
            end(held);
        }
        plain.sort_by(f64::total_cmp);
        let best = carried.iter().copied().fold(0.0, f64::max);
        // benches/slownet measures how much; with a copy of each packet it is a fifth.
        assert!(best > plain[1] * 0.35, "{direction}: {carried:?} of {plain:?} Mbit/s");
    }
}

#[test]
fn packets_still_held_when_the_fault_ends_arrive() {
    let bed = bed!(2, "all");
    for (direction, delay) in [("out", "200ms"), ("in", "200ms"), ("in", "1s")] {
        let flags = ["--delay", delay, "--direction", direction];
        let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
        held.line(SOON);
        let mut ping = bed.at(0, "ping");
        // Without -w it waits for the last answers only twice as long as the quickest took. With it, it may send one more.
        ping.args(["-n", "-q", "-i", "0.01", "-c", "50", "-w", "20", &bed.v4(1)]);
        let ping = std::thread::spawn(move || run(&mut ping));
        std::thread::sleep(Duration::from_millis(250));
        held.signal(Signal::SIGINT);
        assert_eq!(held.end(SOON).status, 130);
        let said = ping.join().unwrap();
        let received = said.stdout.split(" received").next().and_then(|it| it.rsplit(' ').next());
        let received: u32 = received.and_then(|number| number.parse().ok()).unwrap_or_default();
        assert!(received >= 50, "{direction} {delay}: {}", said.stdout);
    }
}

#[test]
fn a_delay_line_that_is_killed_lets_packets_through_at_once() {
    let bed = bed!(2, "all");
    let before = state(&bed, 0);
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &["--delay", "300ms"]));
    held.line(SOON);
    held.signal(Signal::SIGKILL);
    held.end(SOON);
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 30), 30, 0.0);
    let deadline = Instant::now() + Duration::from_secs(15);
    while state(&bed, 0) != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(state(&bed, 0), before);
}

#[test]
fn a_delay_line_that_hangs_is_passed_by_when_its_lease_ends() {
    let bed = bed!(2, "all");
    let mut held =
        Running::start(&mut set(&bed, &node(&bed, 0), &["--delay", "5ms", "--lease", "2s"]));
    held.line(SOON);
    held.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    while !bed.reaches(0, &bed.v4(1)) && stopped.elapsed() < SOON {}
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(15), "reachable after {took:?} of a lease of 2 s");
    held.signal(Signal::SIGCONT);
    let stop = held.line(SOON);
    assert!(stop["value"]["lapsed"].is_u64(), "{stop}");
    held.end(SOON).expect(3);
}

#[test]
fn a_table_from_a_file_spreads_delays_and_slots_gather_packets() {
    let bed = bed!(2, "all");
    let path = std::env::temp_dir().join(format!("slownet-{}.dist", std::process::id()));
    std::fs::write(&path, "# early or late, and nothing between\n-8192 8192\n").unwrap();
    let mut flags = vec!["--delay", "30ms", "--jitter", "20ms", "--backend", "nfqueue"];
    flags.extend(["--distribution", path.to_str().unwrap()]);
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
    held.line(SOON);
    let times = rtts(&bed, 0, &bed.v4(1), 100);
    let early = times.iter().filter(|rtt| (10.0..30.0).contains(*rtt)).count();
    let late = times.iter().filter(|rtt| **rtt >= 50.0).count();
    // Four deviations of a binomial around 50, and few that a busy machine holds longer.
    assert!((30..=70).contains(&early) && early + late >= 90, "{times:?}");
    end(held);
    std::fs::remove_file(&path).unwrap();

    let flags = ["--slot", "100ms", "--backend", "nfqueue"];
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
    held.line(SOON);
    // Ten packets a slot: the first waits the longest.
    let times = rtts(&bed, 0, &bed.v4(1), 100);
    assert!(times[10] < 20.0 && times[50] > 30.0 && times[89] > 80.0, "{times:?}");
}

#[test]
fn what_a_backend_cannot_do_is_refused_and_not_approximated() {
    let bed = bed!(1, "all");
    let spec = bed.spec();
    let refused = |flags: &[&str], status: i32, says: &str| {
        let run = run(&mut set(&bed, &spec, flags)).expect(status);
        assert!(run.stderr.contains(says), "{flags:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    };
    refused(&["--delay", "5ms", "--backend", "htb"], 64, "limits the rate and does nothing else");
    refused(&["--loss", "5%,5%", "--backend", "blackhole"], 64, "without correlation");
    let blackhole = ["--loss", "5%", "--backend", "blackhole", "--direction", "in"];
    refused(&blackhole, 64, "name the senders");
    let doubles = ["--duplicate", "5%", "--direction", "both", "--backend"];
    refused(&[&doubles[..], &["nfqueue"]].concat(), 64, "leave --direction out");
    refused(&["--delay", "5ms", "--backend", "nfqueue", "--keep"], 64, "leave --keep out");
    refused(&["--rate", "5mbit", "--backend", "htb", "--seed", "1"], 64, "draws its own");
    for flags in [
        &["--delay", "5ms", "--jitter", "1ms", "--correlation", "25%"][..],
        &["--duplicate", "5%,25%"],
        &["--corrupt", "5%,25%", "--direction", "in"],
        &["--delay", "5ms", "--reorder", "5%,25%"],
    ] {
        // netem would take it and not do it, whether or not it is here.
        let flags = [flags, &["--backend", "netem"]].concat();
        refused(&flags, 64, "leave the correlation out or take --backend nfqueue");
    }
    let probe = run(bed.tool("slownet").arg("probe")).expect(0).lines().remove(0);
    if probe["works"]["netem"]["works"] == false {
        refused(&["--delay", "5ms", "--backend", "netem"], 69, "modprobe sch_netem");
        let into = ["--delay", "5ms", "--backend", "netem", "--direction", "in"];
        refused(&into, 69, "modprobe sch_netem");
        refused(&[&doubles[..], &["auto"]].concat(), 69, "leave --direction out");
    }
}

#[test]
fn a_node_that_comes_back_with_a_new_network_is_struck_again() {
    let bed = bed!(2, "rate");
    let mut held =
        Running::start(&mut set(&bed, &bed.spec(), &["--rate", "5mbit", "--lease", "2s"]));
    held.line(SOON);
    let (name, host) = (bed.name(0), bed.host());
    let script = format!(
        "set -e; ip netns del {name}; ip netns add {name}
         ip -n {host} link add w0 type veth peer name eth0 netns {name}
         ip -n {host} link set w0 master br0 up
         ip -n {name} link set eth0 up; ip -n {name} addr add 10.77.0.11/24 dev eth0"
    );
    run(Command::new("sh").args(["-c", &script])).expect(0);
    let again = held.line(SOON);
    assert_eq!(again["f"], "renew-slow");
    assert_eq!(again["value"]["nodes"], serde_json::json!(["n1"]));
    assert_eq!(list(&bed).len(), 2);
    held.signal(Signal::SIGINT);
    assert_eq!(held.end(SOON).status, 130);
    assert!(list(&bed).is_empty());
}

/// Holds that the next line puts the fault in force again on n1, soon after `since`, and says so.
#[track_caller]
fn struck_again(held: &mut Running, since: u64) {
    let again = held.line(SOON);
    assert_eq!(
        (&again["f"], &again["value"]["nodes"]),
        (&"renew-slow".into(), &serde_json::json!(["n1"])),
        "{again}"
    );
    let time = |value: &serde_json::Value| value.as_u64().unwrap();
    assert!(time(&again["value"]["since"]) <= time(&again["time"]), "{again}");
    // A second, and more on a busy machine; a renewal comes after ten.
    let took = Duration::from_nanos(time(&again["time"]).saturating_sub(since));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn an_interface_that_comes_up_during_a_fault_is_struck_within_a_second() {
    for flags in [
        &["--delay", "40ms"][..],
        &["--delay", "40ms", "--to", "10.78.0.12"],
        &["--delay", "40ms", "--direction", "both", "--to", "10.78.0.0/24"],
        &["--loss", "100%"],
        &["--loss", "100%", "--to", "10.78.0.12"],
    ] {
        let bed = bed!(2, "all");
        let mut held = Running::start(&mut set(&bed, &node(&bed, 0), flags));
        held.line(SOON);
        second_link(&bed);
        struck_again(&mut held, breakit::clock::now());
        match flags[0] {
            "--delay" => {
                let each = if flags.contains(&"both") { 80.0 } else { 40.0 };
                delayed_by(&rtts(&bed, 0, "10.78.0.12", 20), 20, each);
            }
            _ => assert!(!bed.reaches(0, "10.78.0.12"), "{flags:?}"),
        }
        // One that has nothing to do with the fault: nothing happens.
        let more = "ip link add x0 type veth peer name x1; ip addr add 10.79.0.1/24 dev x0; ip link set x0 up";
        if flags.contains(&"--to") {
            run(bed.at(0, "sh").args(["-c", more])).expect(0);
        }
        held.signal(Signal::SIGINT);
        let ended = held.end(SOON).expect(130);
        assert_eq!(ended.lines().len(), 3, "{flags:?}: {}", ended.stdout);
        assert_eq!(list(&bed), [] as [serde_json::Value; 0]);
    }
}

#[test]
fn an_interface_that_is_made_anew_has_its_queue_again_and_no_fault_ends_for_it() {
    let bed = bed!(2, "loss");
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &["--loss", "100%"]));
    held.line(SOON);
    let (host, a) = (bed.host(), bed.name(0));
    let script = format!(
        "set -e; ip -n {a} link del eth0
         ip -n {host} link add v0 type veth peer name eth0 netns {a}
         ip -n {host} link set v0 master br0 up; ip -n {a} link set eth0 up
         ip -n {a} addr add 10.77.0.11/24 dev eth0"
    );
    for _ in 0..5 {
        run(Command::new("sh").args(["-c", &script])).expect(0);
        struck_again(&mut held, breakit::clock::now());
        assert!(!bed.reaches(0, &bed.v4(1)));
    }
    end(held);
}

#[test]
fn a_node_that_restarts_a_hundred_times_is_struck_again_each_time() {
    let bed = bed!(2, "loss");
    let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &["--loss", "100%"]));
    held.line(SOON);
    let (name, host) = (bed.name(0), bed.host());
    for round in 0..100 {
        // At once, or when it was seen to be gone: then the kernel may give the number of its namespace anew.
        let pause = if round % 4 == 0 { "sleep 0.5" } else { "true" };
        let script = format!(
            "set -e; ip netns del {name}; {pause}; ip netns add {name}
             ip -n {host} link add v{round}r type veth peer name eth0 netns {name}
             ip -n {host} link set v{round}r master br0 up
             ip -n {name} link set eth0 up; ip -n {name} addr add 10.77.0.11/24 dev eth0"
        );
        run(Command::new("sh").args(["-c", &script])).expect(0);
        struck_again(&mut held, breakit::clock::now());
        assert_eq!(answered(&bed, 0, &bed.v4(1), 3), 0, "after {round} restarts");
    }
    end(held);
}

#[test]
fn a_node_that_is_gone_does_not_keep_the_fault_from_ending_well() {
    let bed = bed!(2, "all");
    let mut held =
        Running::start(&mut set(&bed, &bed.spec(), &["--delay", "5ms", "--lease", "1s"]));
    held.line(SOON);
    run(Command::new("ip").args(["netns", "del", &bed.name(0)])).expect(0);
    // Past its lease: the other node's was renewed.
    throughout(Duration::from_millis(1500), "the other node stays slow", || {
        rtts(&bed, 1, "10.77.0.1", 1).first().is_some_and(|rtt| *rtt >= 5.0)
    });
    held.signal(Signal::SIGINT);
    let end = held.end(SOON);
    assert_eq!(end.status, 130, "{}", end.stderr);
    assert_eq!(end.lines().len(), 2, "{}", end.stdout);
}

#[test]
fn faults_that_come_and_go_at_the_same_moment_leave_nothing() {
    let bed = bed!(2, "rate");
    let before = state(&bed, 0);
    for round in 0..3 {
        let mut held: Vec<Running> = (0..6)
            .map(|n| {
                let lasts = format!("{}ms", 100 + 10 * ((n * 7 + round) % 6));
                let port = format!("{}", 7000 + n);
                let flags = ["--rate", "5mbit", "--to", "10.77.0.12", "--port", &port];
                Running::start(set(&bed, &node(&bed, 0), &flags).args(["--for", &lasts]))
            })
            .collect();
        for held in held.drain(..) {
            let end = held.end(SOON).expect(0);
            assert_eq!(end.lines().len(), 2, "{} {}", end.stdout, end.stderr);
        }
        assert_eq!(state(&bed, 0), before);
    }
}
