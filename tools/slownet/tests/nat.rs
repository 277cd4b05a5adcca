//! Peers and ports that the node itself translates: a service of Kubernetes, a published port of Docker.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod bed;

use breakit_tests::process::{run, run_with};
use breakit_tests::{Namespaces, Running, skip};

use bed::which::{DELAY, SCRIPT};
use bed::*;

const SERVICE: &str = "10.96.0.10";
const SERVICE6: &str = "fd96::10";

/// Makes node 0 send what is for the services to node 1, whose port 6443 is their port 443; and what comes to its own
/// port 8080 to port 80 there. Node 2 has its way to the services by node 0.
fn translate(bed: &Namespaces) {
    let (own, v4, v6) = (bed.v4(0), bed.v4(1), bed.v6(1));
    let chain = |hook: &str| {
        format!(
            "chain {hook} {{
                type nat hook {hook} priority -100
                ip daddr {SERVICE} tcp dport 443 dnat ip to {v4}:6443
                ip6 daddr {SERVICE6} tcp dport 443 dnat ip6 to [{v6}]:6443
                ip daddr {SERVICE} dnat ip to {v4}
                ip daddr {own} tcp dport 8080 dnat ip to {v4}:80
            }}\n"
        )
    };
    let masquerade = format!(
        "chain post {{
            type nat hook postrouting priority 100
            ip daddr {v4} masquerade
        }}\n"
    );
    let table =
        format!("table inet kube {{\n{}{}{masquerade}}}", chain("output"), chain("prerouting"));
    run(bed.at(0, "nft").arg(table)).expect(0);
    let shell = |i: usize, script: &str| run(bed.at(i, "sh").args(["-ec", script])).expect(0);
    shell(0, "ip -6 route add default via fd77::1; echo 1 >/proc/sys/net/ipv4/ip_forward");
    shell(2, &format!("ip route add {SERVICE} via {own}"));
}

/// How late a packet from node `from` to node 1 is, in milliseconds, as which.py is asked for it.
fn lateness(bed: &Namespaces, from: usize, asked: &str) -> Option<f64> {
    let mut python = std::process::Command::new("python3");
    let said = run_with(
        python.args(["-c", SCRIPT, &bed.name(from), &bed.name(1)]),
        &format!("it {asked}\n"),
    );
    said.expect(0).stdout.trim().strip_prefix("it ")?.parse().ok()
}

/// Holds that under a fault of node 0 with `flags` packets from each node are struck, or left alone.
#[track_caller]
fn strikes(bed: &Namespaces, flags: &str, packets: &[(usize, String, bool)]) {
    let flags: Vec<&str> = flags.split(' ').chain(["--delay", "60ms"]).collect();
    let mut held = Running::start(&mut set(bed, &node(bed, 0), &flags));
    let start = held.line(SOON);
    for (from, packet, struck) in packets {
        let late = || lateness(bed, *from, packet);
        let is_right = |late: Option<f64>| late.is_some_and(|late| (late >= DELAY) == *struck);
        // What is left alone may be late on a busy machine.
        let right = is_right(late()) || !*struck && (0..3).any(|_| is_right(late()));
        let what = if *struck { "struck" } else { "left alone" };
        assert!(
            right,
            "{flags:?}: {packet} from {from} must be {what}, took {:?}: {start}",
            late()
        );
    }
    end(held);
}

#[test]
fn an_address_that_the_node_translates_is_struck_as_any_other() {
    let bed = bed!(3, "all");
    translate(&bed);
    let own = format!("tcp {} 6443 0", bed.v4(1));
    let (tls, web) = (format!("tcp {SERVICE} 443:6443 0"), format!("tcp {SERVICE} 80 0"));
    let (tls6, dns) = (format!("tcp {SERVICE6} 443:6443 0"), format!("udp {SERVICE} 53 9"));
    let all = |list: &[(usize, &String, bool)]| {
        list.iter()
            .map(|(from, packet, struck)| (*from, packet.to_string(), *struck))
            .collect::<Vec<_>>()
    };
    assert!(lateness(&bed, 2, &tls).is_some(), "node 2 has its way there");
    let to = format!("--to {SERVICE},{SERVICE6}");
    let (backend, web_only) =
        (format!("--to {} --except {SERVICE}", bed.v4(1)), format!("--to {SERVICE} --port 80"));
    let (by_port, udp) = (format!("{to} --port 443"), format!("{to} --protocol udp"));
    let except = format!("{to} --except port:443");
    strikes(
        &bed,
        &to,
        &all(&[
            (0, &tls, true),
            (0, &web, true),
            (0, &tls6, true),
            (0, &dns, true),
            (0, &own, false),
            (2, &tls, true),
        ]),
    );
    strikes(
        &bed,
        &by_port,
        &all(&[(0, &tls, true), (0, &web, false), (0, &tls6, true), (2, &tls, true)]),
    );
    strikes(&bed, &web_only, &all(&[(0, &tls, false), (0, &web, true)]));
    strikes(&bed, &udp, &all(&[(0, &dns, true), (0, &tls, false)]));
    strikes(&bed, &except, &all(&[(0, &web, true), (0, &tls, false), (0, &tls6, false)]));
    strikes(
        &bed,
        "--port 443",
        &all(&[(0, &tls, true), (0, &own, false), (0, &web, false), (2, &tls, true)]),
    );
    strikes(&bed, &backend, &all(&[(0, &own, true), (0, &tls, false)]));
    // Answers of theirs, too, by whatever means the kernel feeds a packet queue.
    for flags in [&to, &by_port] {
        let flags = format!("{flags} --direction in");
        strikes(&bed, &flags, &all(&[(0, &tls, true), (0, &tls6, true), (0, &own, false)]));
    }
    let flags = format!("{except} --direction in");
    strikes(&bed, &flags, &all(&[(0, &web, true), (0, &tls, false)]));
}

#[test]
fn a_port_that_the_node_publishes_is_known_by_its_number_outside() {
    let bed = bed!(3, "all");
    translate(&bed);
    let published = format!("tcp {} 8080:80 0", bed.v4(0));
    let packets = |struck: bool| [(2, published.clone(), struck)];
    strikes(&bed, "--port 8080", &packets(true));
    strikes(&bed, &format!("--to {} --port 8080", bed.v4(2)), &packets(true));
    strikes(&bed, "--port 8081", &packets(false));
    strikes(&bed, "--except port:8080", &packets(false));
    strikes(&bed, "--port 8080 --direction in", &packets(true));
}

#[test]
fn what_filters_of_what_comes_in_cannot_see_is_refused_with_its_reason() {
    let bed = bed!(3, "all");
    let asked = |to: &str| {
        let flags =
            ["--to", to, "--delay", "5ms", "--direction", "in", "--backend", "netem", "--dry-run"];
        run(&mut set(&bed, &node(&bed, 0), &flags))
    };
    assert!(!asked(SERVICE).stderr.contains("NAT"), "nothing is translated here");
    translate(&bed);
    let refused = asked(SERVICE).expect(69).stderr;
    assert!(refused.contains("translates (NAT) an address of --to"), "{refused}");
    assert!(refused.lines().all(|line| line.len() <= 200), "{refused}");
    assert!(!asked("10.77.0.77").stderr.contains("NAT"), "no rule is about that one");
}

#[test]
fn a_share_of_what_is_translated_is_lost_once() {
    let bed = bed!(3, "loss");
    translate(&bed);
    let ear =
        network(&bed, 1).inside(|| Ok(std::net::UdpSocket::bind("0.0.0.0:53").unwrap())).unwrap();
    let mouth =
        network(&bed, 0).inside(|| Ok(std::net::UdpSocket::bind("0.0.0.0:53").unwrap())).unwrap();
    ear.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    for flags in [format!("--to {SERVICE},{} --port 53", bed.v4(1)), format!("--to {SERVICE}")] {
        let flags: Vec<&str> = flags.split(' ').chain(["--loss", "30%"]).collect();
        let mut held = Running::start(&mut set(&bed, &node(&bed, 0), &flags));
        held.line(SOON);
        let mut arrived = 0;
        for _ in 0..20 {
            for _ in 0..100 {
                mouth.send_to(b"x", (SERVICE, 53)).unwrap();
            }
            while ear.recv(&mut [0]).is_ok() {
                arrived += 1;
            }
        }
        // 1400 of 2000 are expected; five standard deviations are 102.
        assert!((1290..1510).contains(&arrived), "{flags:?}: {arrived}");
        end(held);
    }
}
