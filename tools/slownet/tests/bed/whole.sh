# What becomes of packets that a host sends while a fault strikes all of them.
#
# whole.sh SLOWNET PREFIX BACKEND IPTABLES: makes a host with two containers behind a bridge, which it masquerades, and
# a server at two of its interfaces, and shows by whole.py what comes.
set -eu
slownet=$1 p=$2 backend=$3 iptables=$4 here=$(dirname "$0")
holder=
trap 'kill $holder 2>/dev/null || true; for n in r c d s; do ip netns del "$p$n" 2>/dev/null || true; done' EXIT
for n in r c d s; do ip netns add "$p$n"; ip -n "$p$n" link set lo up; done
ip -n "${p}r" link add r1 type veth peer name s1 netns "${p}s"
ip -n "${p}r" link add r2 type veth peer name s2 netns "${p}s"
ip -n "${p}r" link add br0 type bridge
for n in c d; do
    ip -n "${p}r" link add "v$n" type veth peer name eth0 netns "$p$n"
    ip -n "${p}r" link set "v$n" master br0 up
done
address() { ip -n "$p$1" addr add "$3" dev "$2" "${@:4}"; ip -n "$p$1" link set "$2" up; }
address r r1 10.0.0.1/24; address s s1 10.0.0.2/24
address r r1 fd00::1/64 nodad; address s s1 fd00::2/64 nodad
address r r2 10.2.0.1/24; address s s2 10.2.0.2/24
address r r2 fd02::1/64 nodad; address s s2 fd02::2/64 nodad
address s s2 fe80::2/64 nodad
address r br0 10.1.0.1/24; address c eth0 10.1.0.2/24; address d eth0 10.1.0.3/24
address s lo 10.9.9.9/32
for n in c d; do ip -n "$p$n" route add default via 10.1.0.1; done
ip -n "${p}s" route add 10.1.0.0/24 via 10.0.0.1
ip -n "${p}r" route add 10.9.9.9 via 10.0.0.2
ip -n "${p}r" route add 10.3.3.3 via 10.0.0.2
ip -n "${p}r" route add 10.9.9.9 via 10.2.0.2 table 100
ip -n "${p}r" rule add fwmark 7 table 100
ip -n "${p}r" rule add from 10.2.0.1 table 100
at() { local n=$1; shift; ip netns exec "$p$n" "$@"; }
at r sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
# What Docker does: frames between containers pass the host's rules.
at r sh -c 'echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables'
for f in all default s1 s2; do at s sh -c "echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter"; done
at r "$iptables" -w -t nat -A POSTROUTING -s 10.1.0.0/24 -o r1 -j MASQUERADE
at r "$iptables" -w -t nat -A OUTPUT -d 10.3.3.3 -j DNAT --to-destination 10.0.0.2
for n in c d; do at "$n" ping -q -c 1 -W 5 10.0.0.2 >/dev/null; done
at r ping -q -c 1 -W 5 10.2.0.2 >/dev/null
at c ping -q -c 1 -W 5 10.1.0.3 >/dev/null

fault() {
    "$slownet" set -n "host=netns:${p}r" --direction out --backend "$backend" --force --lease 120s "$@" >"$here/lines" &
    holder=$!
    until grep -q start-slow "$here/lines"; do kill -0 "$holder"; sleep 0.05; done
}
end() { kill "$holder"; wait "$holder" || true; holder=; }
pings() {
    local name=$1; shift
    at r ping -n -U -i 0.05 -W 3 -c 5 "$@" | awk -v name="$name" -F'time=' '
        /wrong data/ { wrong = 1 }
        NF > 1 { split($2, words, " "); if (!n++ || words[1] < least) least = words[1] }
        END { print name, n ? least : "never", wrong ? "wrong" : n + 0 }'
}
fault --delay 60ms
python3 "$here/whole.py" "$p"
pings ping 10.0.0.2
pings ping-4000 -s 4000 10.0.0.2
pings ping-whole -M "do" -s 1472 10.0.0.2
pings ping6-4000 -s 4000 fd00::2
end
fault --duplicate 100%
python3 "$here/whole.py" "$p" doubled
end
