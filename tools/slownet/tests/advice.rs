//! What messages advise: it works as it is printed. And what a message cites of others is short.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use std::process::{Child, Command, Stdio};

use breakit_tests::process::{Run, run, run_with, tool};
use breakit_tests::{Namespaces, Running, skip};

use bed::*;

/// The command that a message prints in brackets, or at its end.
#[track_caller]
fn advised(message: &str) -> String {
    let message = message.trim_end();
    assert!(message.len() <= 200 && message.lines().count() == 1, "{}: {message}", message.len());
    match message.split_once('(').filter(|(_, rest)| rest.starts_with("slownet ")) {
        Some((_, rest)) => rest.split(')').next().unwrap().to_string(),
        None => message.rsplit(": ").next().unwrap().to_string(),
    }
}

/// Types it into a shell.
#[track_caller]
fn typed(bed: &Namespaces, advice: &str) -> Run {
    run(&mut bed.shell(advice)).expect(0)
}

/// A process in a network of its own that `ip netns` does not know.
struct Process(Child);

impl Process {
    fn start() -> Process {
        let mut unshare = Command::new("unshare");
        let script =
            "ip link add eth0 type veth peer name eth1 && ip addr add 10.5.0.1/24 dev eth0 &&
                      ip link set eth1 up && ip link set eth0 up && echo up && exec sleep 600";
        let mut child =
            unshare.args(["-n", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        assert_eq!(line, "up\n");
        Process(child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_advice_for_a_packet_of_two_faults_clears_the_first_wherever_it_is() {
    let bed = bed!(2, "all");
    let process = Process::start();
    let other = format!("p=pid:{}", process.0.id());
    let (one, two) = (node(&bed, 0), node(&bed, 1));
    let at_other_end = ["--to", &one, "--delay", "5ms"];
    let many: Vec<String> = (0..60).map(|n| format!("10.77.0.{}", 100 + n)).collect();
    for (first, flags, second, more) in [
        (&one, &["--delay", "5ms"][..], &one, &["--delay", "5ms"][..]),
        (&one, &["--delay", "5ms", "--direction", "in"], &two, &at_other_end),
        (&one, &["--delay", "5ms", "--to", &many.join(",")], &one, &["--delay", "5ms"]),
        (&other, &["--delay", "5ms"], &other, &["--delay", "5ms"]),
    ] {
        let mut held = Running::start(&mut set(&bed, first, flags));
        let id = held.line(SOON)["value"]["id"].as_str().unwrap().to_string();
        let again = || run(set(&bed, second, more).args(["--for", "100ms"]));
        let advice = advised(&again().expect(71).stderr);
        let cleared = typed(&bed, &advice);
        assert_eq!(cleared.lines()[0]["value"]["id"], id.as_str(), "{advice}");
        assert_eq!(held.line(SOON)["value"]["healed"], "by another");
        held.end(SOON).expect(3);
        again().expect(0);
    }
    let refused = run(bed.tool("slownet").args(["clear", "--id", "x"])).expect(64);
    assert!(refused.stderr.contains("slownet list"), "{}", refused.stderr);
    typed(&bed, "slownet list");
}

#[test]
fn the_advice_for_a_queue_of_somebody_else_removes_it_in_its_network() {
    let bed = bed!(2, "rate");
    let process = Process::start();
    let pid = process.0.id().to_string();
    for (node, enter) in [
        (node(&bed, 0), vec!["ip", "netns", "exec"]),
        (format!("p=pid:{pid}"), vec!["nsenter", "-t", &pid, "-n"]),
    ] {
        let name = bed.name(0);
        let mut words = enter.clone();
        if enter[0] == "ip" {
            words.push(&name);
        }
        let mut queue = Command::new(words[0]);
        queue
            .args(&words[1..])
            .args(["tc", "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb"]);
        run(&mut queue).expect(0);
        let mut class = Command::new(words[0]);
        class
            .args(&words[1..])
            .args("tc class add dev eth0 parent 1: classid 1:1 htb rate 1gbit".split(' '));
        run(&mut class).expect(0);
        let again = || {
            run(&mut set(&bed, &node, &["--rate", "5mbit", "--backend", "htb", "--for", "100ms"]))
        };
        typed(&bed, &advised(&again().expect(71).stderr));
        again().expect(0);
    }
}

#[test]
fn every_network_of_this_host_is_listed_and_cleared_if_asked() {
    let bed = bed!(2, "loss");
    let process = Process::start();
    let nodes = format!("{},p=pid:{}", bed.spec(), process.0.id());
    let mut held = Running::start(&mut set(&bed, &nodes, &["--loss", "1%"]));
    let id = held.line(SOON)["value"]["id"].as_str().unwrap().to_string();
    let listed = |args: &[&str]| {
        let lines = run(bed.tool("slownet").arg("list").args(args)).expect(0).lines();
        lines.into_iter().filter(|line| line["id"] == id.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]).len(), 0, "the host has none");
    let names: Vec<String> =
        listed(&["--all"]).iter().map(|line| line["node"].as_str().unwrap().to_string()).collect();
    for wanted in [
        format!("netns-{}", bed.name(0)),
        format!("netns-{}", bed.name(1)),
        format!("pid-{}", process.0.id()),
    ] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    assert_eq!(names.len(), 3, "each once: {names:?}");
    // A node that was named is called by its name.
    let named = listed(&["--all", "-n", &node(&bed, 0)]);
    assert!(named.len() == 3 && named.iter().any(|line| line["node"] == "n1"), "{named:?}");
    let shown =
        run(bed.tool("slownet").args(["clear", "--all", "--dry-run", "--id", &id])).expect(0);
    assert_eq!(shown.lines().len(), 3);
    assert_eq!(listed(&["--all"]).len(), 3, "a rehearsal clears nothing");
    run(bed.tool("slownet").args(["clear", "--all", "--id", &id])).expect(0);
    assert_eq!(listed(&["--all"]).len(), 0);
    assert_eq!(held.line(SOON)["value"]["healed"], "by another");
    held.end(SOON).expect(3);
    let again = run(bed.tool("slownet").args(["clear", "--all", "--id", &id])).expect(0);
    assert_eq!((again.stdout.as_str(), again.stderr.contains("there was no fault")), ("", true));
    // A node that does not run has none, as for partition.
    let gone = run(bed.tool("slownet").args(["list", "-n", "x=netns:no-such-namespace"])).expect(0);
    assert_eq!(gone.stdout, "");
}

#[test]
fn no_message_is_longer_than_a_glance_whatever_it_cites() {
    let long = "x".repeat(3000);
    let short = |run: Run, what: &str| {
        assert!(run.status >= 64, "{what}: {}", run.stdout);
        assert!(run.stderr.lines().count() == 1, "{what}: {}", run.stderr);
        assert!(run.stderr.trim_end().len() <= 200, "{what}: {}: {}", run.stderr.len(), run.stderr);
    };
    let mut words = Vec::new();
    for flag in [
        "--delay",
        "--jitter",
        "--distribution",
        "--correlation",
        "--loss",
        "--loss-state",
        "--loss-gemodel",
        "--duplicate",
        "--reorder",
        "--corrupt",
        "--rate",
        "--slot",
        "--limit",
        "--to",
        "--direction",
        "--interface",
        "--protocol",
        "--port",
        "--except",
        "--backend",
        "--preset",
        "--for",
        "--every",
    ] {
        for value in [
            long.clone(),
            format!("-{long}"),
            format!("{long}%"),
            format!("{}/9", &long[..300]),
            format!("{long}.dist"),
            "9".repeat(500),
            "9".repeat(500) + "ms",
            format!("port:{long}"),
        ] {
            words.push((flag, value));
        }
    }
    for (flag, value) in &words {
        let base = if *flag == "--delay" { "--loss=1%" } else { "--delay=5ms" };
        let mut command = tool("slownet");
        let run = run(command.args([
            "set",
            "-n",
            "me=local",
            "--dry-run",
            base,
            &format!("{flag}={value}"),
        ]));
        // A netns of the host needs root for less; some of these are taken for what they say.
        if run.status != 0 {
            short(run, &format!("{flag} {}", &value[..20]));
        }
    }
    for line in [
        format!("\"{long}\""),
        format!(r#"{{"from":"n1","delay":"{long}"}}"#),
        format!(r#"{{"from":"n1","{long}":"5ms"}}"#),
        format!(r#"{{"from":"n1","delay":{{"{long}":1}}}}"#),
        format!(r#"{{"from":{{"{long}":1}},"delay":"5ms"}}"#),
        format!(r#"{{"from":"n1","to":"{long}","delay":"5ms"}}"#),
        format!(r#"{{"from":"n1","delay":"5ms","both":"{long}"}}"#),
        format!(r#"{{"region":"{long}","nodes":"n1"}}"#),
        format!(r#"{{"region":"eu","nodes":"n1","{long}":1}}"#),
        format!(r#"{{"region":"eu","nodes":"{long}"}}"#),
    ] {
        let mut command = tool("slownet");
        short(run_with(command.args(["set", "@-", "-n", "n1=local"]), &line), &line[..30]);
    }
    for args in [vec!["set", &long], vec!["clear", "--id", &long], vec!["list", "-n", &long]] {
        short(run(tool("slownet").args(&args)), args[0]);
    }
    for value in [
        format!(r#"{{"nodes":["n1"],"to":["{long}"],"parts":{{"delay":"5ms"}}}}"#),
        format!(r#"{{"nodes":["n1"],"to":"everybody","parts":{{"delay":"{long}"}}}}"#),
        format!(r#"{{"nodes":["{long}"],"to":"everybody","parts":{{"delay":"5ms"}}}}"#),
    ] {
        let history = format!(
            r#"{{"time":1,"process":"nemesis","type":"info","f":"start-slow","value":{value}}}"#
        );
        let mut command = tool("slownet");
        short(
            run_with(command.args(["replay", "-", "-n", "n1=local", "--dry-run"]), &history),
            &value[..30],
        );
    }
}
