//! Which packets are struck: ports by name, protocols, what is left alone.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use breakit_tests::process::{run, run_with};
use breakit_tests::{Namespaces, Running, skip};

use bed::which::{Case, EXCEPTED, PORTS, PROTOCOLS, SCRIPT, SCTP_PORTS};
use bed::*;

/// An address that node 1 has beside those of the bed.
const FURTHER: &str = "10.77.0.99";

/// What which.py says of packets from node 0 to node 1.
fn lateness(bed: &Namespaces, asks: &str) -> String {
    let mut python = std::process::Command::new("python3");
    run_with(python.args(["-c", SCRIPT, &bed.name(0), &bed.name(1)]), asks).expect(0).stdout
}

/// Holds `case` against the delay line at the sender, and at the receiver.
#[track_caller]
fn shows_itself(bed: &Namespaces, case: &Case) {
    for (node_at, direction) in [(0, "out"), (1, "in")] {
        let flags = case.flags(FURTHER);
        let mut all: Vec<&str> = flags.iter().map(String::as_str).collect();
        all.extend(["--delay", "60ms", "--direction", direction]);
        let mut held = Running::start(&mut set(bed, &node(bed, node_at), &all));
        let start = held.line(SOON)["value"].clone();
        let listed = list(bed).remove(0);
        for field in ["ports", "protocol", "except"] {
            assert_eq!(start[field], listed[field], "{field}: {listed}");
        }
        let asks = case.asks(&bed.v4(1), &bed.v6(1), FURTHER);
        let mut wrong = Ok(());
        // What is left alone may be late on a busy machine.
        for _ in 0..3 {
            wrong = case.judge(&lateness(bed, &asks));
            if wrong.is_ok() {
                break;
            }
        }
        if let Err(why) = wrong {
            panic!("{direction}, {}: {why}", start["feeder"]);
        }
        end(held);
    }
}

fn further(nodes: usize) -> Result<Namespaces, String> {
    let bed = bed::bed(nodes, "all")?;
    run(bed.at(1, "ip").args(["addr", "add", &format!("{FURTHER}/24"), "dev", "eth0"])).expect(0);
    Ok(bed)
}

macro_rules! further {
    ($nodes:expr) => {
        match further($nodes) {
            Ok(bed) => bed,
            Err(why) => skip!("{why}"),
        }
    };
}

#[test]
fn excepted_ports_and_addresses_are_left_alone_at_either_end() {
    shows_itself(&further!(2), &EXCEPTED);
}

#[test]
fn ports_are_named_as_the_system_names_them_and_each_may_have_its_protocol() {
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    if !services.lines().any(|line| line.starts_with("postgresql")) {
        skip!("/etc/services has no postgresql");
    }
    shows_itself(&further!(2), &PORTS);
}

#[test]
fn each_protocol_is_told_from_the_others_and_sctp_has_ports() {
    let bed = further!(2);
    for case in PROTOCOLS.iter().chain([&SCTP_PORTS]) {
        shows_itself(&bed, case);
    }
}

#[test]
fn what_is_left_alone_is_shown_recorded_and_made_again() {
    let bed = further!(2);
    let one = node(&bed, 0);
    let (two, except) = (node(&bed, 1), ["--except", "port:ssh,n2"]);
    let flags = [&except[..], &["--to", &two, "--delay", "60ms"]].concat();
    let wanted = serde_json::json!(["port:22", bed.v4(1), FURTHER, bed.v6(1)]);
    let shown = run(set(&bed, &one, &flags).arg("--dry-run")).expect(0);
    assert_eq!(shown.lines()[0]["except"], wanted, "a node that is named is all its addresses");
    assert!(shown.stdout.contains(&bed.v4(1)) && shown.stdout.contains("th dport 22 return"));
    let recorded = run(set(&bed, &one, &flags).args(["--for", "200ms"])).expect(0);
    let history = Temporary::with("except", &recorded.stdout);
    let file = history.0.to_str().unwrap();
    let replay = |more: &[&str]| {
        run(bed.tool("slownet").args(["replay", file, "-n", &bed.spec()]).args(more))
    };
    let again = replay(&["--dry-run"]).expect(0).stdout;
    assert!(again.contains("th dport 22 return") && again.contains(FURTHER), "{again}");
    assert_eq!(replay(&[]).expect(0).lines()[0]["value"]["except"], wanted);
    // In a file of links, too.
    let link = r#"{"from":"n1","delay":"5ms","except":["port:53/udp","n2"],"port":"domain"}"#;
    let links = Temporary::with("except-links", link);
    let shown =
        run(bed.tool("slownet").args(["set", &links.spec(), "-n", &bed.spec(), "--dry-run"]));
    assert_eq!(shown.expect(0).lines()[0]["except"][0], "port:53/udp");
    // More than a note has room for: the list says so.
    let many: Vec<String> = (1..30).map(|n| format!("10.9.0.{n}")).collect();
    let mut held =
        Running::start(&mut set(&bed, &one, &["--delay", "5ms", "--except", &many.join(",")]));
    assert_eq!(held.line(SOON)["value"]["except"].as_array().unwrap().len(), 29);
    let listed = list(&bed)[0]["except"].as_array().unwrap().clone();
    assert_eq!((&listed[0], listed.last().unwrap()), (&"10.9.0.1".into(), &"...".into()));
    end(held);
}

#[test]
fn what_one_fault_leaves_alone_another_may_strike() {
    let bed = further!(2);
    let one = node(&bed, 0);
    let mut first = Running::start(&mut set(
        &bed,
        &one,
        &["--delay", "60ms", "--except", "port:7001,10.9.9.9"],
    ));
    first.line(SOON);
    for other in [&["--port", "7001/tcp"][..], &["--to", "10.9.9.9"]] {
        let flags = [&["--delay", "5ms", "--for", "100ms"], other].concat();
        run(bed.at(0, "ip").args(["route", "replace", "10.9.9.9", "dev", "eth0"])).expect(0);
        run(&mut set(&bed, &one, &flags)).expect(0);
    }
    for other in [&["--port", "7000-7001"][..], &["--to", "10.9.9.0/24"], &["--protocol", "tcp"]] {
        run(bed.at(0, "ip").args(["route", "replace", "10.9.9.0/24", "dev", "eth0"])).expect(0);
        run(&mut set(&bed, &one, &[&["--delay", "5ms"], other].concat())).expect(71);
    }
    end(first);
}

#[test]
fn what_cannot_be_excepted_is_refused_and_named() {
    let refused = |flags: &[&str], status: i32, says: &str| {
        let mut slownet = breakit_tests::process::tool("slownet");
        let refused =
            run(slownet.args(["set", "-n", "me=local", "--loss", "5%"]).args(flags)).expect(status);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
        assert!(refused.stderr.lines().all(|line| line.len() <= 200), "{}", refused.stderr);
    };
    refused(&["--except", "port:0"], 64, "--except port:0: \"0\" is no port");
    refused(&["--except", "10.0.0.0/33"], 64, "--except \"10.0.0.0/33\" is no address");
    refused(&["--except", "no-such-host.invalid"], 66, "--except no-such-host.invalid");
    refused(&["--protocol", "icmp", "--port", "53"], 64, "ICMP has no ports");
    refused(&["--protocol", "tcp", "--port", "53/udp"], 64, "--port 53/udp is of another protocol");
    refused(&["--port", "no-such-service"], 64, "\"no-such-service\" is no port");
    refused(
        &["--direction", "in", "--port", "5/sctp", "--backend", "netem"],
        69,
        "the ports of SCTP",
    );
}
