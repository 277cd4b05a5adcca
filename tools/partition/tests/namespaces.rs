//! `partition` on real packets: a host with a bridge and nodes on it, all network namespaces of the test.

#![allow(clippy::unwrap_used)] // helpers of tests may panic as tests do

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use breakit::exit::Error;
use breakit::node::{Node, resolve};
use breakit::reach::Network;
use breakit::rng::RngExt;
use breakit_tests::process::{Run, run, tool};
use breakit_tests::{Namespaces, Running, has, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A bed of `$n` nodes, or a skip.
macro_rules! bed {
    ($n:expr) => {
        match Namespaces::make($n) {
            Some(bed) if has("nft") => bed,
            Some(_) => skip!("nft is missing"),
            None => skip!("not root"),
        }
    };
}

const SOON: Duration = Duration::from_secs(10);
const BACKENDS: [&str; 2] = ["nft-bridge", "nft"];
const IPTABLES: [&str; 4] =
    ["ipset-nft", "ipset-legacy", "iptables-nft --no-lease", "iptables-legacy --no-lease"];

fn partition(bed: &Namespaces, args: &str) -> Command {
    let mut command = bed.tool("partition");
    command.args(args.split(' ')).args(["-n", &bed.spec()]);
    command
}

fn done(bed: &Namespaces, args: &str) -> Run {
    run(&mut partition(bed, args))
}

/// A cut that is in force, and its start line.
fn cut(bed: &Namespaces, args: &str) -> (Running, Value) {
    let mut running = Running::start(&mut partition(bed, &format!("cut {args}")));
    let line = running.line(SOON);
    assert_eq!(line["f"], "start-partition", "{line}");
    (running, line)
}

/// The namespace of the test's host, where the bridge is.
fn host(bed: &Namespaces, program: &str, args: &[&str]) -> Output {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &bed.host(), program]).args(args);
    command.output().unwrap()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All rules of the host and of every node.
fn rules(bed: &Namespaces, nodes: usize) -> String {
    let mut all = text(host(bed, "nft", &["list", "ruleset"]));
    for i in 0..nodes {
        all += &text(bed.at(i, "nft").args(["list", "ruleset"]).output().unwrap());
    }
    all
}

/// Which pings from node to node are answered, in the order (0,1), (0,2), (1,0), ...; v4 then v6.
fn pings(bed: &Namespaces, nodes: usize) -> Vec<(bool, bool)> {
    let pairs = (0..nodes).flat_map(|a| (0..nodes).filter(move |b| *b != a).map(move |b| (a, b)));
    std::thread::scope(|scope| {
        let threads: Vec<_> = pairs
            .map(|(a, b)| {
                scope.spawn(move || (bed.reaches(a, &bed.v4(b)), bed.reaches(a, &bed.v6(b))))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn node(bed: &Namespaces, i: usize) -> Node {
    resolve(&[bed.spec()]).unwrap().swap_remove(i)
}

fn inside<T: Send>(
    bed: &Namespaces,
    i: usize,
    work: impl FnOnce() -> std::io::Result<T> + Send,
) -> T {
    let network = Network::of(&node(bed, i)).unwrap();
    network.inside(|| work().map_err(|e| Error::io("work in a node", &e))).unwrap()
}

/// Waits until `holds`, `limit` at the most; gives how long it took.
#[track_caller]
fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begin.elapsed()
}

fn guard_of(holder: Pid) -> Pid {
    let path = format!("/proc/{holder}/task/{holder}/children");
    let children = std::fs::read_to_string(path).unwrap();
    let guards: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(guards.len(), 1, "the holder has one child, its guard");
    Pid::from_raw(guards[0])
}

/// How many guards of this table there are.
fn guards(table: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&format!("guard\0{table}"))).count()
}

fn is_whole(bed: &Namespaces) -> bool {
    done(bed, "check --timeout 200ms").status == 0
}

fn listed(bed: &Namespaces) -> Vec<Value> {
    done(bed, "list").expect(0).lines()
}

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
    assert_eq!(probed[0]["backends"].as_array().map(Vec::len), Some(6));
    let why = probed[0]["backends"][0]["why"].as_str().unwrap().to_string();
    assert!(
        why.contains("n2's address 10.77.0.12 is on no interface that hangs on a bridge"),
        "{why}"
    );
    let refused = done(&bed, "cut halves --backend nft-bridge").expect(69);
    assert!(refused.stderr.contains("n2's address"), "{}", refused.stderr);
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
                ear.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
                let mouth =
                    inside(&bed, from, || UdpSocket::bind((address(&bed, from).as_str(), 0)));
                mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
                ear.recv(&mut [0; 8]).is_ok()
            };
            assert!(!passes(0, 1), "{backend}");
            assert!(passes(1, 0), "{backend}");
        }
        let check = done(&bed, "check --timeout 200ms").expect(1);
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
        peer.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        client.write_all(b"1").unwrap();
        peer.read_exact(&mut [0]).unwrap();

        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        client.write_all(b"2").unwrap();
        assert!(peer.read_exact(&mut [0]).is_err(), "{backend}: the byte came through");
        running.signal(Signal::SIGTERM);
        running.end(SOON).expect(143);
        // What was sent while cut arrives: TCP has kept it.
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn foreign_rules_are_byte_for_byte_the_same_before_and_after() {
    let bed = bed!(2);
    let foreign = "add table inet fw; add chain inet fw c { type filter hook input priority 0; }; \
                   add rule inet fw c counter packets 0 bytes 0 tcp dport 9 drop; add table bridge other; \
                   add set bridge other s { type ipv4_addr; flags timeout; }";
    text(host(&bed, "nft", &[foreign]));
    for i in 0..2 {
        text(bed.at(i, "nft").arg(foreign).output().unwrap());
    }
    let before = rules(&bed, 2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --for 100ms --backend {backend}"));
        running.end(SOON).expect(0);
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        done(&bed, "heal").expect(0);
        drop(running);
        within(SOON, "the guard ends", || rules(&bed, 2) == before);
    }
}

#[test]
fn when_the_holder_is_killed_its_guard_heals_at_once() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --lease 30s --backend {backend}"));
        assert!(!is_whole(&bed));
        running.signal(Signal::SIGKILL);
        let took = within(Duration::from_secs(3), "healed by the guard", || is_whole(&bed));
        let ended = running.end(SOON).expect(128 + 9);
        assert!(
            ended.stderr.contains("the holder of the cut n1 | n2 is gone: healed"),
            "{}",
            ended.stderr
        );
        assert!(took < Duration::from_secs(3));
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn when_holder_and_guard_are_killed_the_kernel_ends_the_cut_with_its_lease() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --lease 2s --backend {backend}"));
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
        within(Duration::from_secs(4), "the lease ends", || is_whole(&bed));
        assert!(begin.elapsed() > Duration::from_millis(1300), "{:?}", begin.elapsed());
        assert!(listed(&bed).is_empty(), "{backend}");
        // The next one sweeps the empty table away.
        done(&bed, "cut halves --for 50ms").expect(0);
        assert_eq!(rules(&bed, 2), "", "{backend}");
    }
}

#[test]
fn a_holder_that_was_stopped_past_its_lease_says_when_it_lapsed_and_does_not_cut_again() {
    let bed = bed!(2);
    let (running, _) = cut(&bed, "halves --lease 1s");
    running.signal(Signal::SIGSTOP);
    within(Duration::from_secs(4), "the lease ends", || is_whole(&bed));
    running.signal(Signal::SIGCONT);
    let ended = running.end(SOON).expect(0);
    let stop = &ended.lines()[1];
    assert_eq!(stop["f"], "stop-partition");
    assert_eq!(stop["value"]["lapsed"], stop["time"]);
    assert!(is_whole(&bed));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_lease_is_renewed_as_long_as_the_cut_is_held() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let (running, _) = cut(&bed, &format!("halves --lease 1s --backend {backend}"));
        std::thread::sleep(Duration::from_millis(2500));
        assert!(!is_whole(&bed), "{backend}");
        running.signal(Signal::SIGINT);
        let ended = running.end(SOON).expect(130);
        assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    }
}

#[test]
fn the_end_of_input_ends_the_cut() {
    let bed = bed!(2);
    let (mut running, _) = cut(&bed, "halves");
    drop(running.stdin.take());
    running.end(SOON).expect(0);
    assert!(is_whole(&bed));
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
    let (first, _) = cut(&bed, "one-way n1 n2 --lease 1500ms");
    let (second, _) = cut(&bed, "one-way n2 n3 --lease 1500ms");
    let mut cuts: Vec<String> = listed(&bed).iter().map(|cut| cut["cut"].to_string()).collect();
    cuts.sort();
    assert_eq!(cuts, ["\"n2 drops n1\"", "\"n3 drops n2\""]);
    first.signal(Signal::SIGINT);
    first.end(SOON).expect(130);
    assert_eq!(listed(&bed).len(), 1);

    let (third, _) = cut(&bed, "isolate n3 --lease 1500ms --backend nft");
    let healed = done(&bed, "heal").expect(0);
    assert_eq!(healed.lines().len(), 2);
    assert!(healed.lines().iter().all(|line| line["f"] == "stop-partition"));
    assert!(is_whole(&bed));
    for holder in [second, third] {
        let ended = holder.end(SOON).expect(0);
        assert_eq!(ended.lines()[1]["value"]["healed"], "by another", "{}", ended.stdout);
    }
    assert_eq!(rules(&bed, 3), "");
    let again = done(&bed, "heal").expect(0);
    assert_eq!((again.stdout.as_str(), again.stderr.contains("nothing was cut")), ("", true));
}

#[test]
fn each_window_draws_anew_and_the_first_is_what_plan_shows() {
    let bed = bed!(4);
    let (running, first) =
        cut(&bed, "random-halves --seed 5 --first 0s --every 300ms --for 150ms --time-limit 2s");
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
        partition(&bed, "cut primaries --first 0s --every 800ms --for 100ms --time-limit 1500ms");
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
    let (mut running, _) = cut(&bed, "halves --lease 1s --backend nft");
    let (host, name) = (bed.host(), bed.name(0));
    let script = format!(
        "set -e; ip netns del {name}; ip -n {host} link del v0 2>/dev/null || true; ip netns add {name}
         ip -n {host} link add v0 type veth peer name eth0 netns {name}; ip -n {host} link set v0 master br0 up
         ip -n {name} link set eth0 up; ip -n {name} addr add 10.77.0.11/24 dev eth0"
    );
    text(Command::new("sh").args(["-c", &script]).output().unwrap());
    let line = running.line(SOON);
    assert_eq!(line["f"], "renew-partition", "{line}");
    assert!(line["value"]["nodes"].to_string().contains("n1"), "{line}");
    assert!(!bed.reaches(0, "10.77.0.12") && !bed.reaches(1, "10.77.0.11"));
    running.signal(Signal::SIGTERM);
    running.end(SOON).expect(143);
    assert!(bed.reaches(0, "10.77.0.12"));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_kept_cut_ends_with_its_lease_and_leaves_nothing() {
    let bed = bed!(2);
    let kept = done(&bed, "cut halves --keep --for 1500ms").expect(0);
    assert_eq!(kept.lines().len(), 1);
    assert!(!is_whole(&bed));
    assert_eq!(listed(&bed).len(), 1);
    within(Duration::from_secs(4), "the lease ends", || is_whole(&bed));
    within(Duration::from_secs(4), "the table is swept", || rules(&bed, 2).is_empty());
    // And heal ends one before its lease, and its guard with it.
    let kept = done(&bed, "cut halves --keep --for 1h").expect(0).lines();
    let table = kept[0]["value"]["table"].as_str().unwrap();
    assert!(guards(table) == 1, "one guard waits for the lease to end");
    done(&bed, "heal").expect(0);
    assert!(is_whole(&bed));
    within(Duration::from_secs(6), "the guard ends", || guards(table) == 0);
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
fn check_tells_who_reaches_whom_in_json_and_as_a_table() {
    let bed = bed!(3);
    let whole = done(&bed, "check").expect(0).lines();
    assert_eq!(whole[0]["unreached"], serde_json::json!([]));
    let (_running, _) = cut(&bed, "isolate n1");
    let cut = done(&bed, "check --timeout 200ms").expect(1).lines();
    assert_eq!(cut[0]["reach"]["n1"], serde_json::json!({"n2": false, "n3": false}));
    assert_eq!(cut[0]["reach"]["n2"], serde_json::json!({"n1": false, "n3": true}));
    let table = done(&bed, "check --timeout 200ms --table").expect(1).stdout;
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

/// An `ssh` that runs its words by a shell in the namespace that the destination names, as sshd would.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
destination=$2
shift 2
case "$destination $*" in "$WEAK nft"*) echo "Error: Could not process rule: Out of memory" >&2; exit 1;; esac
case $destination in gone) echo "ssh: connect to host gone port 22: No route to host" >&2; exit 255;; esac
SSH_CONNECTION="10.77.0.1 40000 10.77.0.11 22" exec ip netns exec "$destination" sh -c "$*"
"#;

#[test]
fn hosts_over_ssh_are_cut_in_their_own_networks_and_our_way_to_them_stays() {
    use std::os::unix::fs::PermissionsExt;

    let bed = bed!(2);
    let folder = std::env::temp_dir().join(format!("breakit-ssh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ssh"), SSH).unwrap();
    std::fs::set_permissions(folder.join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    let with_ssh = |args: &str, nodes: &str| {
        let mut command = bed.tool("partition");
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", folder.display()));
        command.args(args.split(' ')).args(["-n", nodes]);
        command
    };
    let nodes = format!("n1=ssh:{},n2=ssh:{}", bed.name(0), bed.name(1));

    let probed = run(&mut with_ssh("probe", &nodes)).expect(0).lines();
    assert_eq!(probed[0]["chosen"], "nft");
    let mut cut = Running::start(&mut with_ssh("cut halves --lease 1500ms", &nodes));
    assert_eq!(cut.line(SOON)["value"]["backend"], "nft");
    assert!(!is_whole(&bed));
    let standing = text(bed.at(0, "nft").args(["list", "ruleset"]).output().unwrap());
    assert!(standing.contains("ip saddr 10.77.0.1 tcp dport 22 accept"), "{standing}");
    assert_eq!(run(&mut with_ssh("list", &nodes)).expect(0).lines()[0]["cut"], "n1 | n2");
    // Sockets of ours cannot be opened there: unknown, not cut.
    run(&mut with_ssh("check --timeout 100ms", &nodes)).expect(2);
    cut.signal(Signal::SIGKILL);
    cut.end(SOON).expect(137);
    within(Duration::from_secs(3), "healed by the guard", || is_whole(&bed));
    assert_eq!(rules(&bed, 2), "");

    let half = format!("n1=ssh:{},n2=ssh:gone", bed.name(0));
    let refused = run(&mut with_ssh("cut halves --for 1s", &half)).expect(71);
    assert!(
        refused.stderr.contains("node n2") && refused.stderr.contains("No route to host"),
        "{}",
        refused.stderr
    );
    assert_eq!(rules(&bed, 2), "");

    // Both are there, and one refuses at the last moment: what the other has done is taken back.
    let mut command = with_ssh("cut halves --for 1s", &nodes);
    let refused = run(command.env("WEAK", bed.name(1))).expect(71);
    assert!(refused.stderr.contains("node n2: nft refused: Error"), "{}", refused.stderr);
    assert_eq!((refused.stdout.as_str(), rules(&bed, 2).as_str()), ("", ""));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A TCP server at a node that answers each byte with the same byte, until the test ends.
fn echo(bed: &Namespaces, address: &str) -> u16 {
    let node = (0..2).find(|i| [bed.v4(*i), bed.v6(*i)].iter().any(|own| own == address)).unwrap();
    let server = inside(bed, node, || TcpListener::bind((address, 0)));
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut peer in server.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while peer.read_exact(&mut byte).is_ok() && peer.write_all(&byte).is_ok() {}
            });
        }
    });
    port
}

/// A connection from node 0 to node 1, or the other way.
fn connect(bed: &Namespaces, address: &str, port: u16) -> std::io::Result<TcpStream> {
    let from = usize::from([bed.v4(0), bed.v6(0)].iter().any(|own| own == address));
    let to = std::net::SocketAddr::new(address.parse().unwrap(), port);
    let limit = Duration::from_millis(700);
    let made = inside(bed, from, || Ok(TcpStream::connect_timeout(&to, limit)))?;
    made.set_read_timeout(Some(limit))?;
    Ok(made)
}

/// Whether a byte comes back.
fn echoes(connection: &mut TcpStream) -> bool {
    connection.write_all(b"x").is_ok() && connection.read_exact(&mut [0]).is_ok()
}

/// A cut at node 0 alone, as a user there types it: no -n, no fleet.
fn cut_here(bed: &Namespaces, args: &str) -> (Running, Value) {
    let mut command = bed.at(0, tool("partition").get_program().to_str().unwrap());
    command.env("BREAKIT_FLEET", "no-such-fleet").arg("cut").args(args.split(' '));
    let mut running = Running::start(&mut command);
    let line = running.line(SOON);
    assert_eq!(line["f"], "start-partition", "{line}");
    (running, line)
}

fn healed(running: Running) -> Run {
    running.signal(Signal::SIGTERM);
    running.end(SOON).expect(143)
}

#[test]
fn one_host_alone_is_cut_off_from_a_peers_port_and_from_nothing_else() {
    let bed = bed!(2);
    for address in [bed.v4(1), bed.v6(1)] {
        let (one, other) = (echo(&bed, &address), echo(&bed, &address));
        let mut to_one = connect(&bed, &address, one).unwrap();
        let mut to_other = connect(&bed, &address, other).unwrap();
        assert!(echoes(&mut to_one) && echoes(&mut to_other));
        for flag in ["--from", "--to"] {
            let (running, line) = cut_here(&bed, &format!("{flag} {address} --port {one}"));
            assert_eq!(line["value"]["packets"], format!("port {one}"));
            let words = line["value"]["cut"].as_str().unwrap().to_string();
            let said = match flag {
                "--from" => format!("{address} to here"),
                _ => format!("here to {address}"),
            };
            assert_eq!(words, said);
            assert!(!echoes(&mut to_one), "{flag}");
            assert!(echoes(&mut to_other), "{flag}");
            assert!(bed.reaches(0, &address), "{flag}: a ping has no port");
            let mut list = bed.at(0, tool("partition").get_program().to_str().unwrap());
            let listed = run(list.env("BREAKIT_FLEET", "no-such-fleet").arg("list")).expect(0);
            let listed = listed.lines();
            assert_eq!(
                (&listed[0]["cut"], &listed[0]["packets"]),
                (&said.into(), &line["value"]["packets"])
            );
            healed(running);
            // What was sent while cut comes now: TCP has kept it.
            to_one.set_read_timeout(Some(SOON)).unwrap();
            to_one.read_exact(&mut [0]).unwrap();
            to_one.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
            assert_eq!(rules(&bed, 2), "");
        }
    }
}

#[test]
fn what_is_sent_to_a_cut_off_peer_vanishes_without_a_word_to_the_sender() {
    let bed = bed!(2);
    let (running, _) = cut_here(&bed, &format!("--to {} --proto udp", bed.v4(1)));
    let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:0"));
    ear.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mouth = inside(&bed, 0, || UdpSocket::bind("10.77.0.11:0"));
    for _ in 0..20 {
        mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
    }
    assert!(ear.recv(&mut [0]).is_err());
    assert!(bed.reaches(0, &bed.v4(1)), "a ping is no UDP");
    healed(running);
    mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
    ear.recv(&mut [0]).unwrap();
}

#[test]
fn a_network_and_everything_are_peers_and_loopback_is_let_alone() {
    let bed = bed!(2);
    let talks_to_itself = || {
        let ear = inside(&bed, 0, || UdpSocket::bind("127.0.0.1:0"));
        ear.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        inside(&bed, 0, || UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", ear.local_addr()?));
        ear.recv(&mut [0]).is_ok()
    };
    for (peers, v4, v6, itself) in [
        ("--from 10.77.0.8/29", false, true, true),
        ("--from 10.77.0.64/26", true, true, true),
        ("--from fd77::/64", true, false, true),
        ("--from 0.0.0.0/0,::/0", false, false, true),
        ("--to 0.0.0.0/0 --to ::/0", false, false, true),
        ("--from 127.0.0.1", true, true, false),
    ] {
        let (running, _) = cut_here(&bed, peers);
        let found = (bed.reaches(0, &bed.v4(1)), bed.reaches(0, &bed.v6(1)), talks_to_itself());
        assert_eq!(found, (v4, v6, itself), "{peers}");
        healed(running);
    }
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_name_is_all_of_its_addresses() {
    let bed = bed!(2);
    let hosts = format!("{} db.example\n{} db.example\n", bed.v4(1), bed.v6(1));
    let file = std::env::temp_dir().join(format!("breakit-hosts-{}", std::process::id()));
    std::fs::write(&file, hosts).unwrap();
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let mut command = bed.at(0, "unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(&file).arg(tool("partition").get_program());
    command.args(["cut", "--from", "db.example"]).env("BREAKIT_FLEET", "no-such-fleet");
    let mut running = Running::start(&mut command);
    let line = running.line(SOON);
    assert_eq!(line["value"]["cut"], "db.example to here");
    assert!(!bed.reaches(0, &bed.v4(1)) && !bed.reaches(0, &bed.v6(1)));
    healed(running);
    assert!(bed.reaches(0, &bed.v4(1)) && bed.reaches(0, &bed.v6(1)));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn new_only_refuses_new_connections_and_keeps_the_established() {
    let bed = bed!(2);
    for backend in BACKENDS {
        let port = echo(&bed, &bed.v4(1));
        let mut old = connect(&bed, &bed.v4(1), port).unwrap();
        assert!(echoes(&mut old));
        let (running, _) = cut(&bed, &format!("halves --new-only --backend {backend}"));
        assert!(echoes(&mut old), "{backend}");
        assert!(connect(&bed, &bed.v4(1), port).is_err(), "{backend}");
        assert!(bed.reaches(0, &bed.v4(1)), "{backend}");
        healed(running);
        assert!(echoes(&mut connect(&bed, &bed.v4(1), port).unwrap()), "{backend}");
    }
}

#[test]
fn reject_answers_at_once_with_a_reset() {
    let bed = bed!(2);
    let port = echo(&bed, &bed.v4(1));
    let mut old = connect(&bed, &bed.v4(1), port).unwrap();
    assert!(echoes(&mut old));
    let refused = |running: Running, address: &str, port: u16| {
        let begin = Instant::now();
        let kind = connect(&bed, address, port).unwrap_err().kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionRefused);
        assert!(begin.elapsed() < Duration::from_millis(500));
        healed(running);
    };
    let (running, line) = cut(&bed, "halves --reject");
    assert_eq!(line["value"]["packets"], "rejected");
    let _ = old.write_all(b"x");
    let end = old.read_exact(&mut [0]).unwrap_err().kind();
    assert_eq!(end, std::io::ErrorKind::ConnectionReset);
    refused(running, &bed.v4(1), port);
    // Whoever sends is told: a peer that sends to us, or our own program that sends to a peer.
    let (running, _) = cut_here(&bed, &format!("--from {} --reject", bed.v4(1)));
    refused(running, &bed.v4(0), echo(&bed, &bed.v4(0)));
    let (running, _) = cut_here(&bed, &format!("--to {} --reject", bed.v4(1)));
    refused(running, &bed.v4(1), port);
    assert!(echoes(&mut connect(&bed, &bed.v4(1), port).unwrap()));
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn a_partial_cut_loses_the_share_that_was_asked_for() {
    let bed = bed!(2);
    for args in BACKENDS.map(|backend| format!("cut one-way n1 n2 --loss 30% --backend {backend}"))
    {
        let mut running = Running::start(&mut partition(&bed, &args));
        running.line(SOON);
        let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:0"));
        ear.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mouth = inside(&bed, 0, || UdpSocket::bind("10.77.0.11:0"));
        let mut arrived = 0;
        for _ in 0..20 {
            for _ in 0..100 {
                mouth.send_to(b"x", ear.local_addr().unwrap()).unwrap();
            }
            while ear.recv(&mut [0]).is_ok() {
                arrived += 1;
            }
        }
        // 1400 of 2000 are expected; five standard deviations are 102.
        assert!((1290..1510).contains(&arrived), "{args}: {arrived}");
        healed(running);
    }
}

#[test]
fn a_node_of_which_only_the_address_is_known_is_cut_off_at_the_others() {
    let bed = bed!(3);
    let nodes = format!("n1=netns:{},n2=addr:{},n3=netns:{}", bed.name(0), bed.v4(1), bed.name(2));
    let mut command = bed.tool("partition");
    command.args(["cut", "isolate", "n2", "-n", &nodes]);
    let mut running = Running::start(&mut command);
    let line = running.line(SOON);
    assert_eq!(
        (&line["value"]["backend"], &line["value"]["cut"]),
        (&"nft".into(), &"n1,n3 | n2".into())
    );
    for i in [0, 2] {
        let ear = inside(&bed, 1, || UdpSocket::bind("10.77.0.12:0"));
        ear.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        inside(&bed, i, || UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", ear.local_addr()?));
        assert!(ear.recv(&mut [0]).is_err(), "what node {i} sends does not arrive");
    }
    assert!(bed.reaches(0, &bed.v4(2)));
    healed(running);
    assert!(bed.reaches(0, &bed.v4(1)));
    assert_eq!(rules(&bed, 3), "");
}

#[test]
fn a_recorded_run_is_made_again_with_the_same_cuts_at_the_same_offsets() {
    let bed = bed!(4);
    // Two holders at once, one of them with a cut of packets.
    let first =
        "cut random-halves --seed 5 --first 300ms --every 900ms --for 400ms --time-limit 2s";
    let second = "cut one-way n1 n2 --port 80 --proto tcp --first 500ms --for 450ms";
    let (first, second) =
        (Running::start(&mut partition(&bed, first)), Running::start(&mut partition(&bed, second)));
    let history = [first.end(SOON).expect(0).stdout, second.end(SOON).expect(0).stdout].concat();
    let mut lines: Vec<Value> = history.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    lines.sort_by_key(|line| line["time"].as_u64());
    let slow = r#"{"time":1,"process":"nemesis","type":"info","f":"start-slow","value":{}}"#;
    let text: String =
        lines.iter().map(|line| format!("{line}\n")).chain([format!("{slow}\n")]).collect();
    let mut command = partition(&bed, "replay -");
    let again = breakit_tests::process::run_with(&mut command, &text).expect(0);
    assert!(again.stderr.contains("1 faults of other kinds are left out"), "{}", again.stderr);
    let mut replayed = again.lines();
    replayed.sort_by_key(|line| line["time"].as_u64());
    assert_eq!(lines.len(), replayed.len(), "{replayed:?}");
    let offset = |lines: &[Value], i: usize| {
        let began = lines[0]["value"]["began"].as_u64().unwrap();
        Duration::from_nanos(lines[i]["time"].as_u64().unwrap() - began)
    };
    for (i, (was, is)) in lines.iter().zip(&replayed).enumerate() {
        let value = |line: &Value, name: &str| line["value"][name].clone();
        for name in ["cut", "grudge", "packets", "pairs"] {
            assert_eq!(value(was, name), value(is, name), "{was} {is}");
        }
        assert_eq!(was["f"], is["f"]);
        let apart = offset(&lines, i).abs_diff(offset(&replayed, i));
        assert!(apart < Duration::from_millis(250), "line {i}: {apart:?}");
    }
    assert!(is_whole(&bed));
    assert_eq!(rules(&bed, 4), "");
}

#[test]
fn a_replay_that_is_killed_or_ended_heals_all_that_it_holds() {
    let bed = bed!(3);
    let history = r#"{"time":0,"process":"nemesis","type":"info","f":"start-partition","value":{"grudge":{"n1":["n2"]},"table":"a","lease":"60s"}}
{"time":0,"process":"nemesis","type":"info","f":"start-partition","value":{"grudge":{"n2":["n3"]},"table":"b","lease":"60s"}}
"#;
    let file = std::env::temp_dir().join(format!("breakit-history-{}", std::process::id()));
    std::fs::write(&file, history).unwrap();
    for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGKILL, 137)] {
        let mut running =
            Running::start(&mut partition(&bed, &format!("replay {}", file.display())));
        running.line(SOON);
        running.line(SOON);
        let held = listed(&bed);
        assert_eq!(held.len(), 2);
        assert!(held.iter().all(|cut| cut["held"] == true), "{held:?}");
        running.signal(signal);
        running.end(SOON).expect(status);
        within(SOON, "healed", || is_whole(&bed) && rules(&bed, 3).is_empty());
    }
    std::fs::remove_file(&file).unwrap();
}

/// The rules that iptables(8) has in all networks, in both its flavours, and the sets, without their counters.
fn iptables_rules(bed: &Namespaces, nodes: usize) -> String {
    let script = "ipset save; for v in '' 6; do for f in nft legacy; do for t in raw filter; do \
                  ip${v}tables-$f-save -t $t 2>/dev/null | sed 's/\\[.*//' | grep -v '^#'; done; done; done";
    let saved = (0..nodes).map(|i| text(bed.at(i, "sh").args(["-c", script]).output().unwrap()));
    saved.collect()
}

#[test]
fn iptables_of_both_flavours_cuts_and_heals_as_nft_does() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") || !has("iptables-legacy") {
        skip!("ipset or iptables is missing");
    }
    // The tables and their built-in chains are there before, as on any host that uses them.
    let _ = iptables_rules(&bed, 2);
    let before = iptables_rules(&bed, 2);
    for backend in IPTABLES {
        let (running, line) = cut(&bed, &format!("one-way n1 n2 --backend {backend} --verify"));
        assert_eq!(line["value"]["backend"], backend.split(' ').next().unwrap());
        for address in [bed.v4(1), bed.v6(1)] {
            assert!(!bed.reaches(0, &address), "{backend}");
        }
        assert_eq!(line["value"]["leased"] == false, backend.contains("no-lease"));
        let stands = listed(&bed);
        assert_eq!(stands[0]["cut"], "n2 drops n1", "{backend}");
        assert_eq!(stands[0]["backend"], line["value"]["backend"]);
        assert_eq!(stands[0]["expires"].is_null(), backend.contains("no-lease"));
        let ended = healed(running);
        assert_eq!(ended.stderr.contains("has no lease"), backend.contains("no-lease"));
        assert!(is_whole(&bed), "{backend}");
        assert_eq!(iptables_rules(&bed, 2), before, "{backend}");

        // Everything that selects packets, in one cut.
        let port = echo(&bed, &bed.v4(1));
        let args = format!("halves --port {port} --new-only --reject --backend {backend}");
        let mut old = connect(&bed, &bed.v4(1), port).unwrap();
        let (running, line) = cut(&bed, &args);
        assert!(echoes(&mut old), "{backend}");
        let refused = connect(&bed, &bed.v4(1), port).unwrap_err().kind();
        assert_eq!(refused, std::io::ErrorKind::ConnectionRefused, "{backend}");
        assert_eq!(listed(&bed)[0]["packets"], line["value"]["packets"]);
        // heal needs nothing of the run that cut.
        done(&bed, "heal").expect(0);
        assert!(echoes(&mut connect(&bed, &bed.v4(1), port).unwrap()), "{backend}");
        assert_eq!(iptables_rules(&bed, 2), before, "{backend}");
        drop(running);
    }
    let refused = done(&bed, "cut halves --backend iptables-nft").expect(69);
    assert!(refused.stderr.contains("--no-lease allows that"), "{}", refused.stderr);
    let mut outward = bed.at(0, tool("partition").get_program().to_str().unwrap());
    let refused =
        run(outward.args(["cut", "--to", "10.0.0.5", "--backend", "ipset-nft"])).expect(69);
    assert!(refused.stderr.contains("take --reject"), "{}", refused.stderr);
}

#[test]
fn ipset_ends_a_cut_with_its_lease_and_a_held_one_is_renewed() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") || !has("iptables-legacy") {
        skip!("ipset or iptables is missing");
    }
    for backend in ["ipset-nft", "ipset-legacy"] {
        let (running, _) = cut(&bed, &format!("halves --lease 2s --backend {backend}"));
        std::thread::sleep(Duration::from_secs(3));
        assert!(!is_whole(&bed), "{backend}: renewed");
        kill(guard_of(running.pid()), Signal::SIGKILL).unwrap();
        running.signal(Signal::SIGKILL);
        running.end(SOON).expect(137);
        assert!(!is_whole(&bed), "{backend}: the lease has not ended yet");
        within(Duration::from_secs(5), "the lease ends", || is_whole(&bed));
        assert!(listed(&bed).is_empty(), "{backend}");
        done(&bed, "heal").expect(0);
        assert!(!iptables_rules(&bed, 2).contains("bkp_"), "{backend}");
    }
}

/// How many random runs: `$BREAKIT_RUNS`, or a few.
fn runs() -> u64 {
    std::env::var("BREAKIT_RUNS").map_or(12, |runs| runs.parse().unwrap())
}

/// A cut of random shape, backend and schedule, ended by a random signal at a random time. Gives what was done.
fn random_run(bed: &Namespaces, seed: u64) -> String {
    let mut rng = breakit::rng::generator(seed, "random runs");
    let mut one_of = |all: &[&str]| all[rng.random_range(0..all.len())].to_string();
    let shape = one_of(&["isolate", "random-halves", "bridge", "one-way n1 n2", "flapping 2"]);
    let backend = one_of(&["nft-bridge", "nft", "nft", "ipset-nft"]);
    let when = one_of(&["", " --every 300ms --for 100ms --first 0s", " --for 200ms", " --keep"]);
    let packets = one_of(&["", " --reject", " --port 80", " --loss 30%"]);
    let packets = if backend == "nft-bridge" { packets.replace(" --reject", "") } else { packets };
    let args = format!("cut {shape} --backend {backend}{when}{packets} --lease 1s --seed {seed}");
    let signals =
        [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    let signal = signals[rng.random_range(0..signals.len())];
    let wait = Duration::from_millis(rng.random_range(0..700));
    let what = format!("run {seed}: {args}; {signal} after {wait:?}");
    let running = Running::start(&mut partition(bed, &args));
    std::thread::sleep(wait);
    running.signal(signal);
    if signal == Signal::SIGSTOP {
        // The lease alone ends what it holds; then nothing is left of it but itself.
        within(SOON, &what, || is_whole(bed) && listed(bed).is_empty());
    }
    let signal = if signal == Signal::SIGSTOP { Signal::SIGKILL } else { signal };
    let pid = running.pid();
    // Whoever runs us in the background may have INT or HUP ignored, and so has the tool until it listens.
    within(SOON, &what, || {
        std::thread::sleep(Duration::from_millis(100));
        running.signal(signal);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    running.end(SOON);
    let trace = |rules: &str| rules.contains("breakit_partition") || rules.contains("bkp_");
    let clean = || {
        is_whole(bed)
            && listed(bed).is_empty()
            && guards(&format!("breakit_partition_{pid}_")) == 0
            && !trace(&rules(bed, 3))
            && !trace(&iptables_rules(bed, 3))
    };
    within(SOON, &what, clean);
    what
}

#[test]
fn runs_that_are_ended_by_random_signals_leave_nothing_after_their_lease() {
    use std::sync::atomic::{AtomicU64, Ordering};

    if !has("ipset") || !has("iptables-nft") {
        skip!("ipset or iptables-nft is missing");
    }
    let beds = [bed!(3), bed!(3), bed!(3)];
    let (next, first) = (AtomicU64::new(0), u64::from(std::process::id()) << 16);
    std::thread::scope(|scope| {
        for bed in &beds {
            let next = &next;
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= runs() {
                        break;
                    }
                    let what = random_run(bed, first + number);
                    // Where it stays like this: no cut comes back by itself.
                    assert!(is_whole(bed) && listed(bed).is_empty(), "{what}");
                }
            });
        }
    });
}

/// Real hosts over real ssh: an sshd in each node's network, with keys and configuration of the test's own.
struct Sshd {
    folder: std::path::PathBuf,
    servers: Vec<std::process::Child>,
}

impl Sshd {
    fn start(bed: &Namespaces, nodes: usize) -> Sshd {
        use std::os::unix::fs::PermissionsExt;

        let folder = std::env::temp_dir().join(format!("breakit-sshd-{}", std::process::id()));
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            text(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).output().unwrap());
        }
        let server = format!(
            "Port 22\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n",
            at("host"),
            at("user.pub")
        );
        let hosts: String =
            (0..nodes).map(|i| format!("Host h{}\n HostName {}\n", i + 1, bed.v4(i))).collect();
        let client = format!(
            "{hosts}Host *\n User root\n IdentityFile {}\n IdentitiesOnly yes\n StrictHostKeyChecking no\n \
             UserKnownHostsFile /dev/null\n LogLevel ERROR\n",
            at("user")
        );
        let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("client"));
        std::fs::write(folder.join("server"), server).unwrap();
        std::fs::write(folder.join("client"), client).unwrap();
        std::fs::write(folder.join("ssh"), ssh).unwrap();
        std::fs::set_permissions(folder.join("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
        let servers = (0..nodes)
            .map(|i| bed.at(i, "/usr/sbin/sshd").args(["-D", "-f", &at("server")]).spawn().unwrap())
            .collect();
        let sshd = Sshd { folder, servers };
        within(SOON, "sshd answers", || {
            (0..nodes).all(|i| {
                let mut command = sshd.command(bed, &bed.host(), "ssh");
                command.args([&format!("h{}", i + 1), "true"]).output().unwrap().status.success()
            })
        });
        sshd
    }

    /// A program in a namespace, with our ssh first in its PATH.
    fn command(&self, bed: &Namespaces, namespace: &str, program: &str) -> Command {
        assert_eq!(namespace, bed.host());
        let path =
            format!("{}:{}:/usr/sbin:/sbin", self.folder.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "env", &format!("PATH={path}"), program]);
        command
    }

    fn partition(&self, bed: &Namespaces, args: &str) -> Command {
        let tool = tool("partition").get_program().to_str().unwrap().to_string();
        let mut command = self.command(bed, &bed.host(), &tool);
        command.args(args.split(' ')).args(["-n", "n1=ssh:h1,n2=ssh:h2"]);
        command
    }

    /// How many connections a process of ours shares, by their sockets.
    fn sockets(&self, pid: Pid) -> usize {
        let all = std::fs::read_dir("/run/breakit").into_iter().flatten().flatten();
        let own = format!("ssh-{pid}-");
        all.filter(|entry| entry.file_name().to_string_lossy().starts_with(&own)).count()
    }
}

impl std::ops::Drop for Sshd {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn hosts_behind_a_real_sshd_are_cut_over_one_connection_each_and_heal_when_that_is_lost() {
    if !Path::new("/usr/sbin/sshd").exists() || !has("ssh") || !has("ssh-keygen") {
        skip!("sshd is missing; install the package openssh-server");
    }
    let bed = bed!(2);
    let sshd = Sshd::start(&bed, 2);
    let cut = |args: &str| {
        let mut running = Running::start(&mut sshd.partition(&bed, &format!("cut halves {args}")));
        let line = running.line(SOON);
        assert_eq!(line["value"]["backend"], "nft", "{line}");
        running
    };

    // The login stays, the nodes are cut off from one another, and so is what was established.
    let port = echo(&bed, &bed.v4(1));
    let mut old = connect(&bed, &bed.v4(1), port).unwrap();
    assert!(echoes(&mut old));
    let running = cut("--lease 3s");
    assert!(!is_whole(&bed) && !echoes(&mut old));
    assert_eq!(sshd.sockets(running.pid()), 2, "one connection to each host");
    let listed = run(&mut sshd.partition(&bed, "list")).expect(0).lines();
    assert_eq!((&listed[0]["cut"], &listed[0]["held"]), (&"n1 | n2".into(), &true.into()));
    std::thread::sleep(Duration::from_secs(4));
    assert!(!is_whole(&bed), "renewed over ssh");
    let pid = running.pid();
    healed(running);
    assert!(is_whole(&bed));
    within(SOON, "the connections end", || sshd.sockets(pid) == 0);
    assert_eq!(rules(&bed, 2), "");

    // kill -9: the guard heals over a connection of its own.
    let running = cut("--lease 30s");
    running.signal(Signal::SIGKILL);
    within(SOON, "healed by the guard", || is_whole(&bed));
    let pid = running.pid();
    running.end(SOON);
    within(SOON, "the connections end", || sshd.sockets(pid) == 0);

    // The way to the hosts is lost, and nobody can heal: their kernels do.
    let running = cut("--lease 2s");
    text(host(&bed, "ip", &["addr", "del", "10.77.0.1/24", "dev", "br0"]));
    assert!(!is_whole(&bed));
    within(Duration::from_secs(8), "healed by its lease", || is_whole(&bed));
    running.signal(Signal::SIGKILL);
    let guard_gone = || guards(&format!("breakit_partition_{}_", running.pid())) == 0;
    text(host(&bed, "ip", &["addr", "add", "10.77.0.1/24", "dev", "br0"]));
    within(Duration::from_secs(60), "the guard ends", guard_gone);
    run(&mut sshd.partition(&bed, "heal")).expect(0);
    assert_eq!(rules(&bed, 2), "");
}

/// Chains as Docker makes them with iptables.
const DOCKER: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br0 -j DOCKER
-A DOCKER -d 10.77.0.12/32 ! -i br0 -o br0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -d 10.77.0.99/32 ! -i br0 -j DROP
COMMIT
";

/// A table as firewalld makes it with nft.
const FIREWALLD: &str = "table inet firewalld {
  ct helper helper-netbios-ns-udp { type \"netbios-ns\" protocol udp; l3proto ip; }
  chain raw_PREROUTING { type filter hook prerouting priority -290; policy accept; icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept; }
  chain filter_INPUT { type filter hook input priority 10; policy accept;
    ct state { established, related } accept
    ct state invalid drop
    iifname \"lo\" accept
    jump filter_INPUT_POLICIES
  }
  chain filter_INPUT_POLICIES { accept; }
}
";

#[test]
fn chains_like_dockers_and_firewallds_neither_stop_a_cut_nor_are_they_touched() {
    let bed = bed!(2);
    if !has("ipset") || !has("iptables-nft") || !has("iptables-legacy") {
        skip!("ipset or iptables is missing");
    }
    let load = |program: &str, input: &str| {
        for i in 0..2 {
            let mut command = bed.at(i, "sh");
            let script = format!("{program} <<'END'\n{input}END\n");
            text(command.args(["-c", &script]).output().unwrap());
        }
    };
    load("iptables-nft-restore", DOCKER);
    load("iptables-legacy-restore", DOCKER);
    let helper = "  ct helper helper-netbios-ns-udp";
    let without_helper: String = FIREWALLD
        .lines()
        .filter(|line| !line.starts_with(helper))
        .map(|line| format!("{line}\n"))
        .collect();
    load("nft -f -", &without_helper);
    // A set of somebody else's, and the tables that the backends would load.
    load("ipset restore", "create others hash:ip family inet timeout 0\nadd others 10.77.0.99\n");
    // Tables that iptables makes at its first use stay, empty, as after any use of it.
    for table in ["raw", "filter"] {
        let chain = if table == "raw" { "PREROUTING" } else { "FORWARD" };
        let rule = format!("{chain} -s ::1 -j ACCEPT");
        let both = format!(
            "ip6tables-nft -t {table} -A {rule} && ip6tables-nft -t {table} -D {rule}; cat"
        );
        load(&both, "");
    }
    // Counters count on, whoever cuts.
    let foreign = || {
        let tables = |i| text(bed.at(i, "nft").args(["-s", "list", "ruleset"]).output().unwrap());
        iptables_rules(&bed, 2) + &tables(0) + &tables(1)
    };
    let _ = foreign();
    let before = foreign();
    assert!(before.contains("DOCKER-USER") && before.contains("firewalld"), "{before}");
    let port = echo(&bed, &bed.v4(1));
    for backend in BACKENDS.iter().chain(&IPTABLES) {
        let mut old = connect(&bed, &bed.v4(1), port).unwrap();
        assert!(echoes(&mut old));
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        assert!(!echoes(&mut old), "{backend}: an established connection");
        assert!(!bed.reaches(0, &bed.v4(1)) && !bed.reaches(1, &bed.v4(0)), "{backend}");
        healed(running);
        assert!(foreign() == before, "{backend}: {}\n--- before\n{before}", foreign());
        // And healed by somebody else.
        let (running, _) = cut(&bed, &format!("halves --backend {backend}"));
        done(&bed, "heal").expect(0);
        assert!(foreign() == before, "{backend}: {}\n--- before\n{before}", foreign());
        drop(running);
    }
}
