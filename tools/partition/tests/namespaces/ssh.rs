//! Hosts over ssh.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use breakit_tests::process::run;
use breakit_tests::{Namespaces, Running, Sshd, has, skip};
use nix::sys::signal::Signal;

use crate::bed::*;

/// An `ssh` that runs its words by a shell in the namespace that the destination names, as sshd would.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
destination=$2
shift 2
weak=$(cat "$0.weak" 2>/dev/null)
case "$destination $*" in "$weak nft"*) echo "Error: Could not process rule: Out of memory" >&2; exit 1;; esac
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
        command.arg("--path").arg(&folder);
        command.args(args.split(' ')).args(["-n", nodes]);
        command
    };
    let nodes = format!("n1=ssh:{},n2=ssh:{}", bed.name(0), bed.name(1));

    let probed = run(&mut with_ssh("probe", &nodes)).expect(0).lines();
    assert_eq!(probed[0]["chosen"], "nft");
    let mut cut = Running::start(&mut with_ssh("cut halves --lease 5m", &nodes));
    assert_eq!(cut.line(SOON)["value"]["backend"], "nft");
    assert!(!is_whole(&bed));
    let standing = text(bed.at(0, "nft").args(["list", "ruleset"]).output().unwrap());
    assert!(standing.contains("ip saddr 10.77.0.1 tcp dport 22 accept"), "{standing}");
    assert_eq!(run(&mut with_ssh("list", &nodes)).expect(0).lines()[0]["cut"], "n1 | n2");
    // Sockets of ours cannot be opened there, and no ping says which way it was lost: unknown, not cut.
    let matrix = run(&mut with_ssh("check --timeout 100ms", &nodes)).expect(2).lines();
    assert!(matrix[0]["reach"]["n1"]["n2"].is_null(), "{}", matrix[0]);
    cut.signal(Signal::SIGKILL);
    cut.end(SOON).expect(137);
    within(Duration::from_secs(15), "healed by the guard", || is_whole(&bed));
    assert_eq!(rules(&bed, 2), "");
    // What is answered passes both ways, also between a host over ssh and a node of this one.
    for nodes in [&nodes, &format!("n1=ssh:{},n2=netns:{}", bed.name(0), bed.name(1))] {
        let matrix = run(&mut with_ssh("check", nodes)).expect(0).lines();
        assert_eq!(matrix[0]["reach"]["n2"]["n1"], true, "{}", matrix[0]);
    }

    let half = format!("n1=ssh:{},n2=ssh:gone", bed.name(0));
    let refused = run(&mut with_ssh("cut halves --for 1s", &half)).expect(71);
    assert!(
        refused.stderr.contains("node n2") && refused.stderr.contains("No route to host"),
        "{}",
        refused.stderr
    );
    assert_eq!(rules(&bed, 2), "");

    // Both are there, and one refuses at the last moment: what the other has done is taken back.
    std::fs::write(folder.join("ssh.weak"), bed.name(1)).unwrap();
    let refused = run(&mut with_ssh("cut halves --for 1s", &nodes)).expect(71);
    assert!(refused.stderr.contains("node n2: nft refused: Error"), "{}", refused.stderr);
    assert_eq!((refused.stdout.as_str(), rules(&bed, 2).as_str()), ("", ""));
    std::fs::remove_dir_all(&folder).unwrap();
}

fn partition_over(sshd: &Sshd, bed: &Namespaces, args: &str) -> Command {
    sshd.tool(bed, "partition", args)
}

#[test]
fn hosts_behind_a_real_sshd_are_cut_over_one_connection_each_and_heal_when_that_is_lost() {
    if let Some(why) = Sshd::impossible() {
        skip!("{why}");
    }
    let bed = bed!(2);
    let sshd = Sshd::start(&bed, 2);
    let cut = |lease: Duration| {
        let args = format!("cut halves --lease {}ms", lease.as_millis());
        let mut running = Running::start(&mut partition_over(&sshd, &bed, &args));
        let line = running.line(SOON);
        assert_eq!(line["value"]["backend"], "nft", "{line}");
        running
    };

    // The login stays, the nodes are cut off from one another, and so is what was established.
    let port = echo(&bed, &bed.v4(1));
    let mut old = connect(&bed, &bed.v4(1), port).unwrap();
    assert!(echoes(&mut old));
    let (begin, long) = (Instant::now(), Duration::from_secs(600));
    let running = cut(long);
    let lease = short_lease(begin.elapsed());
    assert!(!is_whole(&bed) && !echoes(&mut old));
    assert_eq!(sshd.sockets(running.pid()), 2, "one connection to each host");
    let listed = run(&mut partition_over(&sshd, &bed, "list")).expect(0).lines();
    assert_eq!((&listed[0]["cut"], &listed[0]["held"]), (&"n1 | n2".into(), &true.into()));
    // kill -9: the guard heals over a connection of its own.
    running.signal(Signal::SIGKILL);
    within(SOON, "healed by the guard", || is_whole(&bed));
    let pid = running.pid();
    running.end(SOON);
    within(SOON, "the connections end", || sshd.sockets(pid) == 0);

    let running = cut(lease);
    throughout(more_than(lease), "renewed over ssh", || !is_whole(&bed));
    let pid = running.pid();
    healed(running);
    assert!(is_whole(&bed));
    within(SOON, "the connections end", || sshd.sockets(pid) == 0);
    assert_eq!(rules(&bed, 2), "");

    // The way to the hosts is lost, and nobody can heal: their kernels do.
    let running = cut(Duration::from_secs(15));
    text(host(&bed, "ip", &["addr", "del", "10.77.0.1/24", "dev", "br0"]));
    assert!(!is_whole(&bed));
    within(SOON, "healed by its lease", || is_whole(&bed));
    running.signal(Signal::SIGKILL);
    let guard_gone = || guards(&format!("breakit_partition_{}_", running.pid())).is_empty();
    text(host(&bed, "ip", &["addr", "add", "10.77.0.1/24", "dev", "br0"]));
    within(Duration::from_secs(60), "the guard ends", guard_gone);
    run(&mut partition_over(&sshd, &bed, "heal")).expect(0);
    assert_eq!(rules(&bed, 2), "");
}

/// A connection from node 0 to the sshd of node 1, after its first line.
fn login(bed: &Namespaces, address: &str) -> TcpStream {
    let mut stream = inside(bed, 0, || {
        let scope = nix::net::if_::if_nametoindex("eth0")?;
        let to: SocketAddr = match address.parse::<IpAddr>().unwrap() {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                SocketAddrV6::new(v6, 22, 0, scope).into()
            }
            other => (other, 22).into(),
        };
        TcpStream::connect_timeout(&to, SOON)
    });
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).unwrap();
    }
    stream
}

#[test]
fn a_login_from_one_node_to_another_stays_unless_it_is_forced() {
    if let Some(why) = Sshd::impossible() {
        skip!("{why}");
    }
    let bed = bed!(2);
    for i in 0..2 {
        let address = format!("fe80::77:{}/64", i + 11);
        let add = ["addr", "add", &address, "dev", "eth0", "nodad"];
        text(bed.at(i, "ip").args(add).output().unwrap());
    }
    let _sshd = Sshd::start(&bed, 2);
    for (force, stays) in [("", true), (" --force", false)] {
        for address in [bed.v4(1), bed.v6(1), "fe80::77:12".into()] {
            let mut login = login(&bed, &address);
            let (running, _) = cut(&bed, &format!("halves --backend nft{force}"));
            if !stays {
                login.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            }
            // It answers with its keys.
            login.write_all(b"SSH-2.0-test\r\n").unwrap();
            assert_eq!(login.read_exact(&mut [0; 16]).is_ok(), stays, "{address}{force}");
            assert!(!bed.reaches(0, &bed.v4(1)));
            healed(running);
        }
    }
}

#[test]
fn logins_that_are_not_root_cut_through_sudo_or_are_told_what_stands_in_the_way() {
    if let Some(why) = Sshd::impossible_for_others() {
        skip!("{why}");
    }
    let bed = bed!(2);
    // The second host alone differs: what the first has done must be taken back.
    let with = |rule, without| Sshd::for_admins(&bed, 2, rule, without);

    let sshd = with("NOPASSWD: ALL", "");
    let cut = |lease: Duration| {
        let args = format!("cut halves --sudo --backend nft --lease {}ms", lease.as_millis());
        let mut running = Running::start(&mut partition_over(&sshd, &bed, &args));
        assert_eq!(running.line(SOON)["value"]["backend"], "nft");
        running
    };
    let begin = Instant::now();
    let running = cut(Duration::from_secs(600));
    let lease = short_lease(begin.elapsed());
    assert!(!is_whole(&bed));
    let standing = text(bed.at(0, "nft").args(["list", "ruleset"]).output().unwrap());
    assert!(standing.contains("ip saddr 10.77.0.1 tcp dport 22 accept"), "{standing}");
    let listed = run(&mut partition_over(&sshd, &bed, "list --sudo")).expect(0).lines();
    assert_eq!(listed[0]["cut"], "n1 | n2");
    healed(running);
    let running = cut(lease);
    throughout(more_than(lease), "renewed", || !is_whole(&bed));
    running.signal(Signal::SIGKILL);
    within(SOON, "healed by the guard", || is_whole(&bed) && rules(&bed, 2).is_empty());
    running.end(SOON);
    for backend in ["nft", "ipset-nft"].into_iter().filter(|name| *name == "nft" || has("ipset")) {
        let args = format!("cut one-way n1 n2 --sudo --for 300ms --backend {backend}");
        let done = run(&mut partition_over(&sshd, &bed, &args)).expect(0);
        assert_eq!(done.lines().len(), 2, "{backend}");
    }
    // On hosts over ssh the tables stay that iptables-nft has made.
    for i in 0..2 {
        assert!(!rules(&bed, 2).contains("bkp_"));
        text(bed.at(i, "nft").args(["flush", "ruleset"]).output().unwrap());
    }
    let refused = run(&mut partition_over(&sshd, &bed, "cut halves --for 1s")).expect(77);
    assert!(refused.stderr.contains("log in as root, or give --sudo"), "{}", refused.stderr);
    drop(sshd);

    for (rule, without, status, clause) in [
        (
            "ALL",
            "",
            77,
            "sudo on h2 refuses (sudo: a password is required); allow that user NOPASSWD",
        ),
        ("NOPASSWD: /bin/true", "", 77, "sudo on h2 refuses"),
        (
            "NOPASSWD: ALL",
            "sudo",
            69,
            "the program sudo is missing on h2; install the package sudo",
        ),
        ("NOPASSWD: ALL", "nft", 69, "the program nft is missing on h2"),
    ] {
        let sshd = with(rule, without);
        let refused =
            run(&mut partition_over(&sshd, &bed, "cut halves --sudo --for 1s --backend nft"))
                .expect(status);
        assert!(refused.stderr.contains(clause), "{}", refused.stderr);
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
        assert_eq!(rules(&bed, 2), "", "{rule} {without}: what the other did is taken back");
    }
}
