//! How a cut ends: with its holder, with its lease, by somebody else; and what is left then.

use std::process::Command;
use std::time::{Duration, Instant};

use breakit_tests::has;
use breakit_tests::process::{run, tool};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::bed::*;

#[test]
fn when_the_holder_is_killed_its_guard_heals_at_once() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --lease 10m --backend {backend}"));
        assert!(!is_whole(&bed));
        running.signal(Signal::SIGKILL);
        let took = within(SOON, "healed by the guard", || is_whole(&bed));
        let ended = running.end(SOON).expect(128 + 9);
        assert!(
            ended.stderr.contains("the holder of the cut n1 | n2 is gone: healed"),
            "{}",
            ended.stderr
        );
        assert!(took < Duration::from_secs(100), "not by the lease");
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn when_holder_and_guard_are_killed_the_kernel_ends_the_cut_with_its_lease() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --lease 6s --backend {backend}"));
        let begin = Instant::now();
        kill(guard_of(running.pid()), Signal::SIGKILL).unwrap();
        running.signal(Signal::SIGKILL);
        running.end(SOON).expect(128 + 9);
        assert!(!is_whole(&bed), "{backend}: the lease has not ended yet");
        let left = listed(&bed);
        assert_eq!(
            (left[0]["held"].clone(), left[0]["cut"].clone()),
            (false.into(), "n1 | n2".into())
        );
        within(SOON, "the lease ends", || is_whole(&bed));
        // It was renewed at most a third of itself before.
        assert!(begin.elapsed() > Duration::from_millis(3900), "{:?}", begin.elapsed());
        assert!(listed(&bed).is_empty(), "{backend}");
        // The next one sweeps the empty table away.
        done(&bed, "cut halves --for 50ms").expect(0);
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn a_holder_that_was_stopped_past_its_lease_says_when_it_lapsed_and_does_not_cut_again() {
    let bed = bed!(2);
    let ipset = if has("ipset") && has("iptables-nft") { &["ipset-nft"][..] } else { &[] };
    let _ = iptables_rules(&bed, 2);
    for backend in BACKENDS.iter().chain(ipset) {
        let (running, _) = cut(&bed, &format!("halves --lease 1s --backend {backend}"));
        running.signal(Signal::SIGSTOP);
        within(SOON, "the lease ends", || is_whole(&bed));
        // Its guard is not stopped, and takes away what the lease has ended.
        let clean =
            || !rules(&bed, 2).contains("breakit") && !iptables_rules(&bed, 2).contains("bkp_");
        // Where it was stopped while it renewed the guard gives that a minute.
        within(SOON * 3, backend, clean);
        running.signal(Signal::SIGCONT);
        let ended = running.end(SOON).expect(3);
        let stop = &ended.lines()[1];
        assert_eq!(stop["f"], "stop-partition");
        assert_eq!(stop["value"]["lapsed"], stop["time"], "{backend}: {stop} {}", ended.stderr);
        assert!(is_whole(&bed));
        assert!(clean(), "{backend}");
    }
}

#[test]
fn a_signal_that_waited_while_the_lease_ran_out_does_not_hide_that_it_did() {
    let bed = bed!(2);
    let (running, _) = cut(&bed, "halves --lease 1s --for 60s");
    running.signal(Signal::SIGSTOP);
    within(SOON, "the lease ends", || is_whole(&bed));
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGCONT);
    let ended = running.end(SOON).expect(143);
    let stop = &ended.lines()[1];
    assert_eq!(stop["f"], "stop-partition");
    assert_eq!(stop["value"]["lapsed"], stop["time"]);
}

#[test]
fn a_lease_is_renewed_as_long_as_the_cut_is_held() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let begin = Instant::now();
        healed(cut(&bed, &format!("halves --backend {backend}")).0);
        let lease = short_lease(begin.elapsed());
        let args = format!("halves --lease {}ms --backend {backend}", lease.as_millis());
        let (running, _) = cut(&bed, &args);
        throughout(more_than(lease), backend, || !is_whole(&bed));
        running.signal(Signal::SIGINT);
        let ended = running.end(SOON).expect(130);
        assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    }
}

#[test]
fn a_reader_that_is_gone_ends_the_cut() {
    let bed = bed!(2);
    let line = format!(
        "{} cut halves -n {} | head -n 1",
        tool("partition").get_program().display(),
        bed.spec()
    );
    let begin = Instant::now();
    let said = text(host(&bed, "bash", &["-o", "pipefail", "-c", &line]));
    assert!(said.contains("start-partition"), "{said}");
    assert!(begin.elapsed() < SOON);
    assert!(is_whole(&bed));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn two_holders_do_not_disturb_each_other_and_heal_ends_both() {
    let bed = bed!(3);
    let (first, _) = cut(&bed, "one-way n1 n2 --lease 6s");
    let (second, _) = cut(&bed, "one-way n2 n3 --lease 6s");
    let mut cuts: Vec<String> = listed(&bed).iter().map(|cut| cut["cut"].to_string()).collect();
    cuts.sort();
    assert_eq!(cuts, ["\"n2 drops n1\"", "\"n3 drops n2\""]);
    first.signal(Signal::SIGINT);
    first.end(SOON).expect(130);
    assert_eq!(listed(&bed).len(), 1);

    let (third, _) = cut(&bed, "isolate n3 --lease 6s --backend nft");
    let healed = done(&bed, "heal").expect(0);
    assert_eq!(healed.lines().len(), 2);
    assert!(healed.lines().iter().all(|line| line["f"] == "stop-partition"));
    assert!(is_whole(&bed));
    for holder in [second, third] {
        let ended = holder.end(SOON).expect(3);
        assert_eq!(ended.lines()[1]["value"]["healed"], "by another", "{}", ended.stdout);
    }
    assert_eq!(rules(&bed, 3), "");
    let again = done(&bed, "heal").expect(0);
    assert_eq!((again.stdout.as_str(), again.stderr.contains("nothing was cut")), ("", true));
}

#[test]
fn heal_all_finds_a_cut_in_networks_that_nobody_names() {
    let bed = bed!(2);
    // In a process namespace of its own, and without the names of ip-netns: there it sees this bed only.
    let script = r#"
        set -e
        ip netns exec "$2" sleep 60 & one=$!
        ip netns exec "$3" sleep 60 & two=$!
        until [ "$(cat /proc/$one/comm)$(cat /proc/$two/comm)" = sleepsleep ]; do sleep 0.01; done
        mount -t tmpfs none /run/netns
        "$1" cut halves --backend nft --keep --for 30s -n n1=pid:$one,n2=pid:$two
        "$1" list
        "$1" list --all
        "$1" heal --all
        "$1" check -n n1=pid:$one,n2=pid:$two
    "#;
    let tool = tool("partition").get_program().to_string_lossy().into_owned();
    let inner = ["-pfm", "--kill-child", "--mount-proc", "bash", "-c", script, "bash"];
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &bed.host(), "unshare"]).args(inner);
    command.args([&tool, &bed.name(0), &bed.name(1)]).env("BREAKIT_FLEET", "no-such-fleet");
    let lines = run(&mut command).expect(0).lines();
    let said: Vec<&Value> = lines.iter().map(|line| &line["f"]).collect();
    // A start line, one line of list --all (none of list), a stop line, and a matrix that is whole.
    assert_eq!(
        said,
        ["start-partition".into(), Value::Null, "stop-partition".into(), Value::Null].each_ref()
    );
    assert_eq!((&lines[1]["cut"], &lines[1]["backend"]), (&"n1 | n2".into(), &"nft".into()));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_node_that_comes_back_with_a_new_network_is_cut_again() {
    let bed = bed!(2);
    // Its next regular renewal would come after ten minutes.
    let (mut running, _) = cut(&bed, "halves --lease 30m --backend nft");
    let (host, name) = (bed.host(), bed.name(0));
    let script = format!(
        "set -e; ip netns del {name}; ip -n {host} link del v0 2>/dev/null || true; ip netns add {name}
         ip -n {host} link add v0 type veth peer name eth0 netns {name}; ip -n {host} link set v0 master br0 up
         ip -n {name} link set eth0 up; ip -n {name} addr add 10.77.0.11/24 dev eth0"
    );
    text(Command::new("sh").args(["-c", &script]).output().unwrap());
    let line = running.line(SOON);
    assert_eq!(line["f"], "renew-partition", "{line}");
    assert_eq!(line["value"]["nodes"], serde_json::json!(["n1"]), "{line}");
    let (since, time) = (line["value"]["since"].as_u64().unwrap(), line["time"].as_u64().unwrap());
    assert!(since < time && time - since < 20_000_000_000, "{line}");
    assert!(!bed.reaches(0, "10.77.0.12") && !bed.reaches(1, "10.77.0.11"));
    running.signal(Signal::SIGTERM);
    running.end(SOON).expect(143);
    assert!(bed.reaches(0, "10.77.0.12"));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_node_that_gets_another_address_is_cut_there_too_and_named() {
    let bed = bed!(3);
    for (backend, address) in [("nft", "10.77.0.77"), ("nft-bridge", "10.77.0.78")] {
        let (mut running, _) = cut(&bed, &format!("isolate n1 --lease 30m --backend {backend}"));
        let added =
            bed.at(1, "ip").args(["addr", "add", &format!("{address}/24"), "dev", "eth0"]).output();
        text(added.unwrap());
        let line = running.line(SOON);
        assert_eq!(line["f"], "renew-partition", "{line}");
        assert_eq!(line["value"]["nodes"], serde_json::json!(["n2"]), "{backend}: {line}");
        assert!(!bed.reaches(0, address) && bed.reaches(2, address), "{backend}");
        running.signal(Signal::SIGTERM);
        running.end(SOON).expect(143);
        assert!(bed.reaches(0, address));
    }
}

#[test]
fn a_kept_cut_ends_with_its_lease_and_leaves_nothing() {
    let bed = bed!(2);
    let kept = done(&bed, "cut halves --keep --for 5s").expect(0);
    assert_eq!(kept.lines().len(), 1);
    assert!(!is_whole(&bed));
    assert_eq!(listed(&bed).len(), 1);
    within(SOON, "the lease ends", || is_whole(&bed));
    within(SOON, "the table is swept", || rules(&bed, 2).is_empty());
    // And heal ends one before its lease, and its guard with it.
    let kept = done(&bed, "cut halves --keep --for 1h").expect(0).lines();
    let table = kept[0]["value"]["table"].as_str().unwrap();
    assert!(guards(table).len() == 1, "one guard waits for the lease to end");
    done(&bed, "heal").expect(0);
    assert!(is_whole(&bed));
    within(SOON, "the guard ends", || guards(table).is_empty());
}
