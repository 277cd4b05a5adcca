//! Cuts under a kernel without nf_tables and without IPv6.

#![allow(clippy::unwrap_used)]

use breakit_tests::{Uml, skip};

/// Two nodes under a kernel that knows IPv4, ip_tables and ipset, and will load nothing more.
const WORLD: &str = "
for module in iptable_raw xt_set ip_set_hash_net xt_comment veth; do modprobe $module; done
echo /bin/false >/proc/sys/kernel/modprobe
ip netns add a; ip netns add b
ip link add va netns a type veth peer name vb netns b
ip -n a addr add 10.0.0.1/24 dev va; ip -n a link set va up
ip -n b addr add 10.0.0.2/24 dev vb; ip -n b link set vb up
N=a=netns:a,b=netns:b P=./partition
state() { for n in a b; do ip netns exec $n ipset list -n; ip netns exec $n iptables-legacy -t raw -S; done; }
whole() { for i in $(seq 600); do state | cmp -s - before && break; sleep 0.1; done; state | diff before - >&2; }
state > before
";

#[test]
fn without_nf_tables_a_cut_is_made_by_ipset_and_healed_by_whoever_comes() {
    let programs = [("nft", "nftables"), ("iptables-legacy", "iptables"), ("ipset", "ipset")];
    let uml = match Uml::with("partition", &programs) {
        Ok(uml) => uml,
        Err(why) => skip!("{why}"),
    };
    let run = uml.run(&format!("{WORLD}{SCRIPT}")).expect(0);
    for line in [
        "lacking 1",
        "cut 0",
        "legacy 1",
        "listed 1",
        "heal 0",
        "healed 1",
        "swept 0",
        "guarded 0",
        "nft 69",
        "six 69",
        "whole 0",
    ] {
        let said = run.stdout.lines().any(|said| said == line);
        assert!(said, "{line}\n{}\n{}", run.stdout, run.stderr);
    }
}

const SCRIPT: &str = r#"
nft list tables 2>&1 | grep -c 'cache initialization failed\|Unable to initialize' | sed 's/^/lacking /'
$P cut isolate a -n $N --keep --lease 600s --verify > lines; echo "cut $?"
grep -c '"backend":"ipset-legacy"' lines | sed 's/^/legacy /'
$P list -n $N | grep -c '"in_force":true,.*ipset-legacy\|ipset-legacy.*"in_force":true' | sed 's/^/listed /'
$P heal -n $N > lines; echo "heal $?"; grep -c stop-partition lines | sed 's/^/healed /'
whole; echo "swept $?"
$P cut isolate a -n $N --lease 600s > lines & holder=$!
until grep -q start-partition lines || ! kill -0 $holder; do sleep 0.05; done
kill -KILL $holder; wait $holder
whole; echo "guarded $?"
$P cut isolate a -n $N --backend nft --keep; echo "nft $?"
printf '%s\n' '{"node":"a","addrs":["fd00::1"],"via":"netns:a"}' '{"node":"b","addrs":["fd00::2"],"via":"netns:b"}' > six
$P cut isolate a -n @six --backend ipset-legacy --keep; echo "six $?"
whole; echo "whole $?"
"#;

#[test]
fn where_the_table_of_neighbours_overflows_nothing_is_known_to_be_cut() {
    let uml = match Uml::with("partition", &[("ip", "iproute2")]) {
        Ok(uml) => uml,
        Err(why) => skip!("{why}"),
    };
    let script = "
$P check -n $N > /dev/null; echo \"roomy $?\"
for n in a b; do ip -n $n neigh flush all; done
echo 1 > /proc/sys/net/ipv4/neigh/default/gc_thresh3
$P check -n $N --timeout 300ms; echo \"full $?\"
";
    let run = uml.run(&format!("{WORLD}{script}")).expect(0);
    let said = run.stdout.lines().collect::<Vec<_>>();
    assert!(said.contains(&"roomy 0") && said.contains(&"full 2"), "{run:?}");
    assert!(run.stdout.contains("\"unreached\":[]"), "{run:?}");
    assert!(run.stdout.contains("raise net.ipv4.neigh.default.gc_thresh3"), "{run:?}");
}
