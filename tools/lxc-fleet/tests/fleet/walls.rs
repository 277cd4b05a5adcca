//! What a node may send to its fleet and to the host.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::bed::{Fleet, SOON, fleet, sh, until};

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
