//! One attack on the host by root in a node that tries all that is known, in nodes of both kinds.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use breakit_tests::process::run;

use crate::bed::{Fleet, fleet, sh};

const ATTACK: &str = include_str!("hostile.py");

/// What of the host the attack could change.
fn host() -> String {
    let mut text = String::new();
    for device in ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/tty"] {
        let found = std::fs::metadata(device).unwrap();
        text +=
            &format!("{device} {:o} {} {}\n", found.permissions().mode(), found.uid(), found.gid());
    }
    let settings = "cat /proc/sys/vm/swappiness /proc/sys/kernel/core_pattern /proc/sys/fs/protected_hardlinks; \
                    hostname; ip -6 route show default; ip route show default";
    text + &sh(settings).stdout
}

fn attack(kind: &[&str]) {
    let (fleet, stranger) = (Fleet::new(), Fleet::new());
    fleet.run(&[&["up", "n1"], kind].concat()).expect(0);
    stranger.run(&["up", "n1"]).expect(0);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let datagrams = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    let own = fleet.address("n1");
    let bridge = format!("{}.1", own.rsplit_once('.').unwrap().0);
    let before = host();

    let script = [&bridge, &port.to_string(), &stranger.address("n1")].map(String::clone);
    let mut command = fleet.command(&["exec", "n1", "--", "python3", "-c", ATTACK]);
    let said = run(command.args(script).stdin(Stdio::null()));

    assert_eq!(said.stdout, "tried all\n", "{kind:?}: what worked stands above; {}", said.stderr);
    assert_eq!(host(), before, "{kind:?}: the host has changed");
    // What the node sent before has been handled when its kernel answers.
    run(Command::new("ping").args(["-c1", "-W5", &own])).expect(0);
    let came = datagrams.recv(&mut [0; 64]);
    assert!(came.is_err(), "{kind:?}: a datagram came to a port of the host that is not open");
}

#[test]
fn root_in_a_node_that_tries_everything_changes_nothing_on_the_host() {
    let _fleet = fleet!();
    attack(&[]);
}

#[test]
fn root_in_a_privileged_node_that_tries_everything_changes_nothing_on_the_host() {
    let _fleet = fleet!();
    attack(&["--privileged"]);
}
