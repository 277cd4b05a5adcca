//! What a node may send to its fleet and to the host.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::bed::{Fleet, SOON, fleet, sh, until};
use crate::hosts::in_a_network_of_its_own;

/// A listener of the host, on all its addresses.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// What a node hears that opens a connection; python says it in one word.
fn connects(fleet: &Fleet, address: &str, port: u16) -> String {
    let script = format!(
        "import socket\ntry: socket.create_connection(('{address}', {port}), 3); print('open')\n\
         except OSError as e: print(type(e).__name__)"
    );
    fleet.run(&["exec", "n1", "--", "python3", "-c", &script]).stdout.trim().to_string()
}

fn of_host(fleet: &Fleet) -> String {
    let address = fleet.address("n1");
    format!("{}.1", address.rsplit_once('.').unwrap().0)
}

#[test]
fn a_node_reaches_of_the_host_only_the_ports_that_are_opened() {
    let fleet = fleet!();
    let ((_shut, shut), (_open, open)) = (listener(), listener());
    fleet.run(&["up", "n1..n2", "--allow-host", &open.to_string()]).expect(0);
    let host = of_host(&fleet);
    assert_eq!(connects(&fleet, &host, shut), "ConnectionRefusedError");
    assert_eq!(connects(&fleet, &host, open), "open");
    // Another address of the host's, by a route of the node's own.
    fleet.sh("n1", &format!("ip route add 10.255.255.0/24 via {host}"));
    let elsewhere = format!("ip addr add 10.255.255.1/32 dev {}", fleet.bridge());
    sh(&elsewhere).expect(0);
    assert_eq!(connects(&fleet, "10.255.255.1", shut), "ConnectionRefusedError");
    // What is open stays so for those who come later.
    fleet.run(&["up", "n3"]).expect(0);
    assert_eq!(connects(&fleet, &host, open), "open");
}

#[test]
fn the_host_reaches_a_node_and_nodes_reach_each_other() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let serve = "python3 -m http.server 8000 >/dev/null 2>&1 &";
    fleet.sh("n2", serve);
    let address = fleet.address("n2");
    until("n2 serves", SOON, || TcpStream::connect((address.as_str(), 8000)).is_ok());
    assert_eq!(connects(&fleet, &address, 8000), "open");
    let said = fleet.sh(
        "n1",
        "ping -c1 -W2 n2 >/dev/null && echo root; \
         setpriv --reuid 65534 --regid 65534 --clear-groups ping -c1 -W2 n2 >/dev/null && echo other",
    );
    assert_eq!(said, "root\nother\n");
}

#[test]
fn a_frame_with_anothers_address_does_not_leave_the_node() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n2"]).expect(0);
    let (own, other) = (fleet.address("n1"), fleet.address("n2"));
    let foreign = format!("{}.250", own.rsplit_once('.').unwrap().0);
    let ping = |from: &str| {
        fleet.sh("n1", &format!("ping -c1 -W1 -I {from} {other} >/dev/null && echo arrives"))
    };
    assert_eq!(ping(&own), "arrives\n");
    fleet.sh("n1", &format!("ip addr add {foreign}/24 dev eth0"));
    assert_eq!(ping(&foreign), "", "another address");
    fleet.sh(
        "n1",
        "ip link set eth0 down; ip link set eth0 address 02:aa:aa:aa:aa:aa; ip link set eth0 up",
    );
    assert_eq!(ping(&own), "", "another address on the wire");
}

#[test]
fn a_router_advertisement_of_a_node_gives_the_host_no_route() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    // From the node's own addresses, so that it is stopped as what it is: a router for half an hour, and a prefix.
    let advertise = r#"
import socket, struct
mac = bytes.fromhex(open('/sys/class/net/eth0/address').read().strip().replace(':', ''))
def local(mac):
    return bytes.fromhex('fe80000000000000') + bytes([mac[0] ^ 2]) + mac[1:3] + b'\xff\xfe' + mac[3:]
src, dst = local(mac), bytes.fromhex('ff020000000000000000000000000001')
prefix = struct.pack('!BBBBIII16s', 3, 4, 64, 0xc0, 3600, 3600, 0, bytes.fromhex('20010db800000000') + bytes(8))
body = struct.pack('!BBHBBHII', 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
pseudo = src + dst + struct.pack('!II', len(body), 58)
total = sum(struct.unpack('!%dH' % ((len(pseudo) + len(body)) // 2), pseudo + body))
while total >> 16: total = (total & 0xffff) + (total >> 16)
body = body[:2] + struct.pack('!H', ~total & 0xffff) + body[4:]
packet = struct.pack('!IHBB', 6 << 28, len(body), 58, 255) + src + dst + body
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(('eth0', 0))
reserved = ['0180c20000%02x' % n for n in range(16)]
for to in ['333300000001'] * 3 + reserved: sender.send(bytes.fromhex(to) + mac + b'\x86\xdd' + packet)
print('sent')
"#;
    let said = fleet.run(&["exec", "n1", "--", "python3", "-c", advertise]).expect(0).stdout;
    assert_eq!(said, "sent\n");
    // What came before on the same port has been handled when this is answered.
    sh(&format!("ping -c1 -W5 {}", fleet.address("n1"))).expect(0);
    let bridge = fleet.bridge();
    let port = sh(&format!("ls /sys/class/net/{bridge}/brif")).stdout;
    let found = sh(&format!(
        "for dev in {bridge} {}; do ip -6 route show dev $dev; ip -6 addr show dev $dev; done",
        port.trim()
    ))
    .stdout;
    assert!(!found.contains("2001:db8") && !found.contains("default via"), "{found}");
}

#[test]
fn the_bridge_keeps_its_address_and_down_leaves_no_table() {
    let fleet = fleet!();
    fleet.run(&["up", "n1..n3"]).expect(0);
    let address =
        || std::fs::read_to_string(format!("/sys/class/net/{}/address", fleet.bridge())).unwrap();
    let before = address();
    let tables = || sh("nft list tables").expect(0).stdout;
    let ours: Vec<String> = {
        let bridge = fleet.bridge();
        let of = |table: &&str| sh(&format!("nft list {table}")).stdout.contains(&bridge);
        tables().lines().filter(of).map(str::to_string).collect()
    };
    assert_eq!(ours.len(), 1, "the table at the host names the bridge: {ours:?}");
    fleet.run(&["kill", "n1"]).expect(0);
    fleet.run(&["down", "n1"]).expect(0);
    assert_eq!(address(), before);
    fleet.run(&["down"]).expect(0);
    let name = ours[0].rsplit_once(' ').unwrap().1;
    assert!(!tables().contains(name), "left over: {}", tables());
}

/// A host with a way to another one, where a server tells each client which address it came from; that one has an
/// address of a link alone as well.
const OUTSIDE: &str = r#"
tool=$1; other=x$BREAKIT_FLEET; served=
unshare -n sleep 600 & outside=$!
trap '"$tool" down -q; BREAKIT_FLEET=$other "$tool" down -q 2>/dev/null; kill $outside $served' EXIT
out() { nsenter -t $outside -n "$@"; }
while [ "$(readlink /proc/$outside/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add up0 type veth peer name up0 netns $outside || exit 98
ip addr add 192.0.2.1/24 dev up0; ip link set up0 up; ip route add default via 192.0.2.2
out ip addr add 192.0.2.2/24 dev up0; out ip link set up0 up; out ip addr add 169.254.9.9/32 dev up0
echo 0 > /proc/sys/net/ipv4/conf/up0/forwarding
CONNECT='
import socket, sys
try: print("came from", socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).recv(99).decode())
except OSError as e: print(type(e).__name__)'
SERVE='
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
while True:
    client, address = server.accept()
    client.sendall(address[0].encode()); client.close()'
# What a connection from a node, from outside or from the host brings.
asks() { "$tool" exec "$1" -- python3 -c "$CONNECT" "$2" "$3"; }
reaches() { out python3 -c "$CONNECT" "$1" "$2"; }
until_served() { until python3 -c "$CONNECT" "$1" "$2" | grep -q came; do :; done; }
address() { "$tool" nodes "$1" | jq -r '.addrs[0]'; }
host() { address "$1" | sed 's/[0-9]*$/1/'; }
python3 -c "$SERVE" 7000 & served=$!
nsenter -t $outside -n python3 -c "$SERVE" 7000 & served="$served $!"
until_served 192.0.2.1 7000; until_served 192.0.2.2 7000
"#;

fn with_an_outside(fleet: &Fleet, script: &str) -> Vec<String> {
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!("{OUTSIDE}{script}");
    let said = in_a_network_of_its_own(fleet, &script, &[tool]).expect(0);
    said.stdout.lines().map(str::to_string).collect()
}

#[test]
fn nodes_come_to_other_networks_with_nat_alone_and_nobody_comes_in() {
    let fleet = fleet!();
    let said = with_an_outside(
        &fleet,
        r#"
"$tool" up n1 --nat 2>&1; echo up $?
echo 1 > /proc/sys/net/ipv4/conf/up0/forwarding
"$tool" up n1 --nat || exit 1
own=$(address n1)
asks n1 192.0.2.2 7000
asks n1 169.254.9.9 7000
asks n1 192.0.2.1 7000
"$tool" exec n1 -- sh -c 'python3 -c "$0" 9000 >/dev/null 2>&1 &' "$SERVE"
until_served $own 9000
out ip route add $own via 192.0.2.1; reaches $own 9000
mine=$BREAKIT_FLEET; BREAKIT_FLEET=$other
"$tool" up m1 || exit 1
asks m1 192.0.2.2 7000
"$tool" exec m1 -- ip route add default via $(host m1)
asks m1 192.0.2.2 7000
asks m1 $own 9000
"$tool" exec m1 -- sh -c 'python3 -c "$0" 9000 >/dev/null 2>&1 &' "$SERVE"
theirs=$(address m1)
until_served $theirs 9000
BREAKIT_FLEET=$mine
asks n1 $theirs 9000
"$tool" up n2 --nat --dry-run | grep -c sysctl
BREAKIT_FLEET=$other "$tool" up m2 --nat 2>/dev/null; echo later $?
"#,
    );
    assert!(said[0].contains("sysctl -w net.ipv4.conf.up0.forwarding=1"), "{said:?}");
    let expected = [
        "up 71",
        "came from 192.0.2.1",
        // An address of a link alone, and the host.
        "OSError",
        "ConnectionRefusedError",
        // From outside.
        "TimeoutError",
        // From a fleet without a way out, and with a route of its own making; from one fleet to the other.
        "OSError",
        "TimeoutError",
        "TimeoutError",
        "TimeoutError",
        "1",
        "later 64",
    ];
    assert_eq!(said[1..], expected, "{said:?}");
}

#[test]
fn what_nodes_begin_takes_no_room_in_the_hosts_table_of_connections() {
    let fleet = fleet!();
    let said = with_an_outside(
        &fleet,
        r#"
"$tool" up n1 --allow-host 7000 || exit 1
count() { cat /proc/sys/net/netfilter/nf_conntrack_count; }
before=$(count)
"$tool" exec n1 -- python3 -c '
import socket, struct, sys
icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for n in range(400):
    icmp.sendto(struct.pack("!BBHHH", 8, 0, 0xffff - 0x800 - n, n, 0), (sys.argv[1], 0))
    for port in (7000, 7001): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], port))
    tcp = socket.create_connection((sys.argv[1], 7000), 5); tcp.close()
print("sent")' $(host n1)
[ $(($(count) - before)) -lt 50 ] || echo filled from $before to $(count)
"$tool" exec n1 -- ping -c1 -W5 $(host n1) >/dev/null && echo answers
"#,
    );
    assert_eq!(said, ["sent", "answers"]);
}

#[test]
fn walls_that_somebody_flushed_stand_again_with_the_next_start() {
    let fleet = fleet!();
    let said = with_an_outside(
        &fleet,
        r#"
"$tool" up n1..n2 || exit 1
"$tool" exec n1 -- ip route add default via $(host n1)
nft flush ruleset; asks n1 192.0.2.1 7000
"$tool" kill n2; "$tool" start n2; asks n1 192.0.2.1 7000
nft flush ruleset; asks n1 192.0.2.1 7000
"$tool" kill n2 --for 50ms >/dev/null; asks n1 192.0.2.1 7000
# Without walls, too, the host forwards nothing.
nft flush ruleset; out ip route add $(address n1) via 192.0.2.1; echo 1 > /proc/sys/net/ipv4/conf/up0/forwarding
asks n1 192.0.2.2 7000
"#,
    );
    let passes = format!("came from {}", fleet_address(&said));
    let refused = "ConnectionRefusedError";
    assert_eq!(said[..4], [&passes, refused, &passes, refused], "{said:?}");
    assert!(!said[4].contains("came from"), "{said:?}");
}

/// The node's address, as the host's server saw it.
fn fleet_address(said: &[String]) -> &str {
    said[0].strip_prefix("came from ").unwrap_or_else(|| panic!("no connection: {said:?}"))
}
