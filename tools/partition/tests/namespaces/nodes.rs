//! Nodes cut off from one another: exactly those packets, by the backend that fits, or nothing at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use breakit_tests::process::{run, tool};
use breakit_tests::{Namespaces, Running, has, skip};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::bed::*;

#[test]
fn exactly_the_planned_packets_are_dropped_and_all_pass_again_afterwards() {
    let bed = bed!(3);
    for backend in BACKENDS {
        let (running, line) = cut(&bed, &format!("isolate n1 --backend {backend}"));
        assert_eq!(line["value"]["backend"], backend);
        assert_eq!(line["value"]["cut"], "n1 | n2,n3");
        assert_eq!(line["value"]["grudge"]["n1"], serde_json::json!(["n2", "n3"]));
        let (no, yes) = ((false, false), (true, true));
        assert_eq!(pings(&bed, 3), [no, no, no, yes, no, yes], "{backend}");
        running.signal(Signal::SIGTERM);
        let ended = running.end(SOON).expect(128 + 15);
        assert_eq!(ended.lines()[1]["f"], "stop-partition");
        assert_eq!(pings(&bed, 3), [yes; 6], "{backend}");
        assert_eq!(rules(&bed, 3), "", "{backend}");
    }
}

#[test]
fn the_bridge_is_chosen_where_all_nodes_hang_on_it_and_their_own_networks_where_not() {
    let bed = bed!(2);
    let (running, line) = cut(&bed, "halves --for 50ms");
    assert_eq!(line["value"]["backend"], "nft-bridge");
    running.end(SOON).expect(0);
    let probed = done(&bed, "probe").expect(0).lines();
    assert_eq!(probed[0]["chosen"], "nft-bridge");

    // Off the bridge, its port still has a peer of the same number elsewhere.
    text(host(&bed, "ip", &["link", "set", "v1", "nomaster"]));
    let (running, line) = cut(&bed, "halves --for 50ms");
    assert_eq!(line["value"]["backend"], "nft");
    running.end(SOON).expect(0);
    let probed = done(&bed, "probe").expect(0).lines();
    assert_eq!(probed[0]["chosen"], "nft");
    let rows = probed[0]["backends"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["backend"].as_str().unwrap()).collect();
    assert_eq!(names, [BACKENDS, IPTABLES].concat());
    let why = probed[0]["backends"][0]["why"].as_str().unwrap().to_string();
    assert!(
        why.contains("n2's address 10.77.0.12 is on no interface that hangs on a bridge"),
        "{why}"
    );
    let refused = done(&bed, "cut halves --backend nft-bridge").expect(69);
    assert!(refused.stderr.contains("n2's address"), "{}", refused.stderr);
}

#[test]
fn list_and_heal_of_some_nodes_leave_the_cuts_of_others_on_the_same_bridge_alone() {
    let bed = bed!(4);
    let specs = bed.spec();
    let specs: Vec<&str> = specs.split(',').collect();
    let (ours, theirs) = (specs[..2].join(","), specs[2..].join(","));
    let of = |args: &str, nodes: &str| {
        let mut command = bed.tool("partition");
        command.args(args.split(' ')).args(["-n", nodes]);
        command
    };
    let start = |nodes: &str| {
        let mut running = Running::start(&mut of("cut halves --lease 60s", nodes));
        assert_eq!(running.line(SOON)["value"]["backend"], "nft-bridge");
        running
    };
    let (mine, other) = (start(&ours), start(&theirs));
    let words = |args: &str, nodes: &str| -> Vec<Value> {
        run(&mut of(args, nodes)).expect(0).lines().iter().map(|line| line["cut"].clone()).collect()
    };
    assert_eq!(words("list", &ours), ["n1 | n2"]);
    assert_eq!(words("list", &theirs), ["n3 | n4"]);
    let all = run(bed.tool("partition").arg("list").env("BREAKIT_FLEET", "none")).expect(0);
    assert_eq!(all.lines().len(), 2, "without nodes it is all of this network: {all:?}");

    let healed = run(&mut of("heal", &theirs)).expect(0).lines();
    assert_eq!(healed.len(), 1, "{healed:?}");
    assert_eq!(healed[0]["value"]["cut"], "n3 | n4");
    assert_eq!(words("list", &ours), ["n1 | n2"]);
    assert_eq!(words("list", &theirs), Vec::<Value>::new());
    for running in [mine, other] {
        running.signal(Signal::SIGTERM);
        running.end(SOON);
    }
}

#[test]
fn a_one_way_cut_drops_one_way_even_when_neighbour_entries_are_gone() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, line) = cut(&bed, &format!("one-way n1 n2 --backend {backend}"));
        assert_eq!(line["value"]["cut"], "n2 drops n1");
        for i in 0..2 {
            text(bed.at(i, "ip").args(["neigh", "flush", "all"]).output().unwrap());
        }
        for address in [|b: &Namespaces, i| b.v4(i), |b: &Namespaces, i| b.v6(i)] {
            let passes = |from: usize, to: usize| {
                let ear = inside(&bed, to, || UdpSocket::bind((address(&bed, to).as_str(), 0)));
                ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                let mouth =
                    inside(&bed, from, || UdpSocket::bind((address(&bed, from).as_str(), 0)));
                mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
                ear.recv(&mut [0; 8]).is_ok()
            };
            assert!(!passes(0, 1), "{backend}");
            assert!(passes(1, 0), "{backend}");
        }
        let check = done(&bed, "check --timeout 1s").expect(1);
        assert_eq!(check.lines()[0]["unreached"], serde_json::json!([["n1", "n2"]]));
        running.signal(Signal::SIGINT);
        running.end(SOON).expect(130);
    }
}

#[test]
fn an_established_connection_is_cut_although_a_firewall_accepts_established_ones_first() {
    let bed = bed!(2);
    let firewall = "add table inet fw; add chain inet fw in { type filter hook input priority 0; policy accept; }; \
                    add rule inet fw in ct state established,related accept";
    text(bed.at(1, "nft").arg(firewall).output().unwrap());
    for backend in BACKENDS {
        let server = inside(&bed, 1, || TcpListener::bind("0.0.0.0:0"));
        let port = server.local_addr().unwrap().port();
        let mut client = inside(&bed, 0, || TcpStream::connect(("10.77.0.12", port)));
        let (mut peer, _) = server.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        client.write_all(b"1").unwrap();
        peer.read_exact(&mut [0]).unwrap();

        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        client.write_all(b"2").unwrap();
        assert!(peer.read_exact(&mut [0]).is_err(), "{backend}: the byte came through");
        running.signal(Signal::SIGTERM);
        running.end(SOON).expect(143);
        // What was sent while cut arrives: TCP has kept it.
        peer.set_read_timeout(Some(SOON)).unwrap();
        peer.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn each_window_draws_anew_and_the_first_is_what_plan_shows() {
    let bed = bed!(4);
    let (running, first) =
        cut(&bed, "random-halves --seed 5 --first 0s --every 1500ms --for 700ms --time-limit 9s");
    let lines = running.end(SOON).expect(0).lines();
    let planned =
        run(tool("partition").args(["plan", "random-halves", "--seed", "5", "-n", "n1..n4"]))
            .expect(0);
    assert_eq!(first["value"]["grudge"], planned.lines()[0]);
    assert!(lines.len() >= 8 && lines.len() % 2 == 0, "{lines:?}");
    for pair in lines.chunks(2) {
        assert_eq!(
            (&pair[0]["f"], &pair[1]["f"]),
            (&"start-partition".into(), &"stop-partition".into())
        );
        assert_eq!(pair[0]["value"]["cut"], pair[1]["value"]["cut"]);
        assert!(pair[0]["value"]["began"].as_u64() <= pair[0]["time"].as_u64());
    }
    let mut cuts: Vec<String> = lines.iter().map(|line| line["value"]["cut"].to_string()).collect();
    cuts.sort();
    cuts.dedup();
    assert!(cuts.len() > 1, "{cuts:?}");
    assert!(is_whole(&bed));
}

#[test]
fn the_primary_of_the_moment_is_cut_off_as_the_command_names_it() {
    let bed = bed!(3);
    let file = std::env::temp_dir().join(format!("breakit-primary-{}", std::process::id()));
    std::fs::write(&file, "10.77.0.12\n6379\n").unwrap();
    let mut command =
        partition(&bed, "cut primaries --first 0s --every 5s --for 1s --time-limit 8s");
    command.args(["--primaries", &format!("cat '{}'", file.display())]);
    let mut running = Running::start(&mut command);
    assert_eq!(running.line(SOON)["value"]["cut"], "n1,n3 | n2");
    std::fs::write(&file, "n3").unwrap();
    assert_eq!(running.line(SOON)["f"], "stop-partition");
    assert_eq!(running.line(SOON)["value"]["cut"], "n1,n2 | n3");
    running.end(SOON).expect(0);
    std::fs::write(&file, "nobody").unwrap();
    let refused = run(&mut command).expect(65);
    assert!(refused.stderr.contains("none of the nodes"), "{}", refused.stderr);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn verify_finds_packets_that_pass_by_another_address() {
    let bed = bed!(2);
    done(&bed, "cut halves --for 100ms --verify").expect(0);
    let masquerade = "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; \
                      add rule ip nat out ip daddr 10.77.0.12 snat to 10.77.0.99";
    text(bed.at(0, "ip").args(["addr", "add", "10.77.0.99/24", "dev", "eth0"]).output().unwrap());
    text(bed.at(0, "nft").arg(masquerade).output().unwrap());
    let lines = format!(
        "{{\"node\":\"n1\",\"addrs\":[\"10.77.0.11\"],\"via\":\"netns:{}\"}}\n\
         {{\"node\":\"n2\",\"addrs\":[\"10.77.0.12\"],\"via\":\"netns:{}\"}}\n",
        bed.name(0),
        bed.name(1)
    );
    let mut command = bed.tool("partition");
    command.args(["cut", "halves", "--verify", "--for", "1s", "-n", "-"]);
    let found = breakit_tests::process::run_with(&mut command, &lines).expect(71);
    assert!(found.stderr.contains("packets still pass from n1 to n2"), "{}", found.stderr);
    assert_eq!(found.stdout, "");
    assert!(is_whole(&bed));
}

#[test]
fn verify_says_which_ways_nobody_could_measure() {
    let bed = bed!(2);
    let mut command = bed.tool("partition");
    let nodes = format!("n1=netns:{},n2=addr:10.77.0.12", bed.name(0));
    command.args(["cut", "halves", "--verify", "--for", "100ms", "-n", &nodes]);
    let told = run(&mut command).expect(0).stderr;
    assert!(told.contains("--verify could not measure"), "{told}");
    assert!(told.contains("n1 to n2") && told.contains("n2 to n1"), "{told}");
}

#[test]
fn check_tells_who_reaches_whom_in_json_and_as_a_table() {
    let bed = bed!(3);
    let whole = done(&bed, "check").expect(0).lines();
    assert_eq!(whole[0]["unreached"], serde_json::json!([]));
    let (_running, _) = cut(&bed, "isolate n1");
    let cut = done(&bed, "check --timeout 1s").expect(1).lines();
    assert_eq!(cut[0]["reach"]["n1"], serde_json::json!({"n2": false, "n3": false}));
    assert_eq!(cut[0]["reach"]["n2"], serde_json::json!({"n1": false, "n3": true}));
    let table = done(&bed, "check --timeout 1s --table").expect(1).stdout;
    assert_eq!(
        table.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["n1", "-", "no", "no"]
    );
    // Only an address is known of n9: nobody can measure there.
    let mut command = bed.tool("partition");
    command.args(["check", "-n", "n9=addr:10.77.0.9,n2=local"]);
    assert_eq!(run(&mut command).expect(2).lines()[0]["reach"]["n9"]["n2"], Value::Null);
}

#[test]
fn a_cut_that_cannot_be_whole_is_not_made_at_all() {
    let bed = bed!(2);
    for (nodes, status, clause) in [
        ("n1=netns:no-such-netns,n2=local".to_string(), 66, "netns:no-such-netns is not running"),
        ("n1=pid:4194000,n2=local".to_string(), 66, "pid:4194000 is not running"),
        ("n1=local,n3=addr:10.77.0.13,n4=addr:10.77.0.14".into(), 69, "only the addresses of n"),
        (format!("{},n3=netns:{}", bed.spec(), bed.name(0)), 65, "n1 and n3 share the address"),
    ] {
        let mut command = bed.tool("partition");
        // In the last group n3 and n4 are to be cut off from one another, and nobody can act at either.
        let shape = if nodes.contains("n4") { "n3" } else { "n1" };
        command.args(["cut", "isolate", shape, "--for", "1s", "-n", &nodes]);
        let run = run(&mut command).expect(status);
        assert!(run.stderr.contains(clause), "{nodes}: {}", run.stderr);
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{nodes}");
        assert_eq!(rules(&bed, 2), "");
    }
}

#[test]
fn an_unprivileged_user_cuts_in_a_network_of_their_own() {
    if !has("unshare") || !has("setpriv") || !has("nft") || !breakit_tests::is_root() {
        skip!(
            "unshare, setpriv, nft and root are needed to become nobody in a network of their own"
        );
    }
    let tool = tool("partition").get_program().to_owned();
    if !Path::new(&tool).exists() {
        skip!("the built tool is out of reach");
    }
    let script = r#"
        set -e
        ip link set lo up; ip link add br0 type bridge; ip link set br0 up; ip addr add 10.77.0.1/24 dev br0
        for i in 1 2; do
            unshare -n sleep 60 & pid[$i]=$!
            until [ "$(readlink /proc/${pid[$i]}/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
            ip link add v$i type veth peer name eth0 netns ${pid[$i]}
            ip link set v$i master br0 up
            nsenter -n -t ${pid[$i]} sh -c "ip link set eth0 up; ip addr add 10.77.0.1$i/24 dev eth0"
        done
        trap 'kill ${pid[1]} ${pid[2]}' EXIT
        "$0" cut halves -n n1=pid:${pid[1]},n2=pid:${pid[2]} --for 200ms --verify
    "#;
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--inh-caps=-all",
            "unshare",
            "-Urnm",
        ])
        .args(["bash", "-c", script])
        .arg(&tool);
    let run = run(&mut command);
    if run.stderr.contains("unshare: unshare failed") {
        skip!("this kernel gives users no namespaces of their own");
    }
    let run = run.expect(0);
    assert_eq!(run.lines()[0]["value"]["backend"], "nft-bridge");
    assert_eq!(run.lines().len(), 2);
}

#[test]
fn a_missing_nft_names_its_package_and_iptables_takes_its_place() {
    let bed = bed!(2);
    // Its places are searched whatever PATH says: in a mount namespace of its own it can be hidden.
    let script = "mount --bind /dev/null \"$(command -v nft)\" && exec \"$@\"";
    let without = |args: &str| {
        let inner = partition(&bed, args);
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        run(&mut command)
    };
    let said = without("cut halves --for 1s --backend nft").expect(69).stderr;
    assert!(said.contains("nft is missing; install the package nftables"), "{said}");
    if !has("ipset") || !has("iptables-nft") {
        skip!("ipset or iptables-nft is missing");
    }
    let lines = without("cut halves --for 300ms --verify").expect(0).lines();
    assert_eq!(lines[0]["value"]["backend"], "ipset-nft");
    assert!(without("list").expect(0).stdout.is_empty());
}

#[test]
fn a_node_that_died_between_plan_and_cut_is_named_and_nothing_is_cut() {
    let bed = bed!(2);
    let mut third = bed.at(0, "unshare").args(["-n", "sleep", "600"]).spawn().unwrap();
    let nodes = format!("{},n3=pid:{}", bed.spec(), third.id());
    let at = |command: &str| {
        let mut tool = bed.tool("partition");
        tool.args(command.split(' ')).args(["-n", &nodes]);
        tool
    };
    let plan = run(&mut at("plan isolate n3 --seed 1")).expect(0).stdout;
    third.kill().unwrap();
    third.wait().unwrap();
    let file = std::env::temp_dir().join(format!("breakit-plan-{}", bed.host()));
    std::fs::write(&file, plan).unwrap();
    for backend in BACKENDS {
        let cut = format!("cut grudge {} --for 1s --backend {backend}", file.display());
        let refused = run(&mut at(&cut)).expect(66);
        assert!(refused.stderr.contains("node n3: pid:"), "{}", refused.stderr);
        assert!(refused.stderr.contains("is not running"), "{}", refused.stderr);
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn where_nothing_can_cut_each_backend_says_why_in_one_sentence_and_nothing_is_half_made() {
    let bed = bed!(2);
    // Hidden in a mount namespace of its own: their places are searched whatever PATH says.
    let script = "for p in nft ipset iptables-nft iptables-legacy; do
            at=$(command -v $p) && mount --bind /dev/null \"$(realpath \"$at\")\"
        done; exec \"$@\"";
    let inner = partition(&bed, "cut halves --for 1s");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(inner.get_program());
    let refused = run(command.args(inner.get_args())).expect(69);
    assert!(refused.stderr.contains("no backend can cut these nodes"), "{}", refused.stderr);
    for backend in BACKENDS.iter().chain(&IPTABLES) {
        assert!(refused.stderr.contains(&format!("{backend}: ")), "{}", refused.stderr);
    }
    assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn list_tells_scripts_by_its_exit_status_whether_a_cut_stands() {
    let bed = bed!(2);
    done(&bed, "list --exit-code").expect(0);
    let ways = format!("netns:{},netns:{}", bed.name(0), bed.name(1));
    let mut command = bed.tool("partition");
    let mut running = Running::start(command.args(["cut", "halves", "-n", &ways]));
    let line = running.line(SOON);
    assert_eq!(line["value"]["cut"], format!("{} | {}", bed.name(0), bed.name(1)));
    assert_eq!(done(&bed, "list --exit-code").expect(1).lines().len(), 1);
    done(&bed, "list").expect(0);
    healed(running);
    done(&bed, "list --exit-code").expect(0);
}
