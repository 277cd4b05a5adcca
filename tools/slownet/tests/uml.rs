//! netem itself, under a kernel that has it: `uml-run` boots one in seconds.

#![allow(clippy::unwrap_used)]

#[path = "bed/pings.rs"]
mod pings;
#[path = "bed/which.rs"]
mod which;
#[path = "bed/whole.rs"]
mod whole;

use breakit_tests::uml::Uml;
use breakit_tests::{Run, skip};

use pings::{CASES, Case, Pings, verdict};

/// The other kernel, or the reason why it cannot be had here.
fn uml() -> Result<Uml, String> {
    Uml::with("slownet", &[("ping", "iputils-ping"), ("ipset", "ipset")])
}

macro_rules! uml {
    () => {
        match uml() {
            Ok(uml) => uml,
            Err(why) => skip!("{why}"),
        }
    };
}

/// Runs `script` there, where node a (10.0.0.1) sends to node b (10.0.0.2).
#[track_caller]
fn run(uml: &Uml, script: &str) -> Run {
    uml.run(&format!("{WORLD}{script}")).expect(0)
}

const WORLD: &str = "set -e
modprobe ip_tables; modprobe iptable_mangle
ip netns add a; ip netns add b
ip link add va netns a type veth peer name vb netns b
ip -n a addr add 10.0.0.1/24 dev va; ip -n a link set va up
ip -n b addr add 10.0.0.2/24 dev vb; ip -n b link set vb up
S=./slownet
rtts() { ip netns exec a ping -n -i 0.05 -c $1 10.0.0.2 | sed -n 's/.*time=\\([0-9.]*\\) ms/rtt \\1/p'; }
answered() { ip netns exec a ping -n -q -f -W 0.2 -c $1 10.0.0.2 | sed -n 's/.* \\([0-9]*\\) received.*/\\1/p'; }
state() { ip netns exec a tc qdisc show; ip netns exec a ipset list -n; ip netns exec a iptables-legacy -t mangle -S; }
ip netns exec a iptables-legacy -t mangle -S >/dev/null
state > before
";

/// The values of the lines that begin with `word`.
fn values(run: &Run, word: &str) -> Vec<f64> {
    let prefix = format!("{word} ");
    run.stdout.lines().filter_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok()).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn netem_delays_as_asked_and_ends_with_its_lease_or_its_guardian() {
    let run = run(
        &uml!(),
        r#"
$S set -n a=netns:a --delay 50ms --lease 25s > lines & holder=$!
until grep -q start-slow lines; do sleep 0.05; done
rtts 20 | sed 's/^rtt/slow/'
kill -KILL $(cat /proc/$holder/task/$holder/children) $holder; wait $holder || true
sleep 25.5
rtts 5 | sed 's/^rtt/lapsed/'
echo "idle $($S list -n a=netns:a | grep -c '"in_force":false')"
$S clear -n a=netns:a >/dev/null
state | cmp - before && echo "swept 1"

$S set -n a=netns:a --delay 50ms > lines & holder=$!
until grep -q start-slow lines; do sleep 0.05; done
kill -KILL $holder; wait $holder || true
for i in $(seq 100); do state | cmp -s - before && break; sleep 0.1; done
state | cmp - before && echo "guarded 1"
"#,
    );
    let mut slow = values(&run, "slow");
    assert_eq!(slow.len(), 20, "{}", run.stdout);
    assert!(slow.iter().all(|rtt| *rtt >= 50.0), "no packet comes early: {slow:?}");
    assert!((50.0..=55.0).contains(&median(&mut slow)), "{slow:?}");
    let lapsed = values(&run, "lapsed");
    assert!(lapsed.len() == 5 && lapsed.iter().all(|rtt| *rtt < 10.0), "{lapsed:?}");
    for word in ["idle", "swept", "guarded"] {
        assert_eq!(values(&run, word), [1.0], "{word}\n{}\n{}", run.stdout, run.stderr);
    }
}

#[test]
fn netem_loses_doubles_and_spreads_as_asked_and_only_towards_the_named_peer() {
    let run = run(
        &uml!(),
        r#"
$S set -n a=netns:a --loss 20% --keep >/dev/null
echo "left $(answered 500)"
$S clear -n a=netns:a >/dev/null
$S set -n a=netns:a --duplicate 50% --keep >/dev/null
echo "doubled $(ip netns exec a ping -n -i 0.01 -c 100 10.0.0.2 | grep -c DUP)"
$S clear -n a=netns:a >/dev/null
$S set -n a=netns:a --delay 40ms --jitter 20ms --keep >/dev/null
rtts 40 | sed 's/^rtt/spread/'
$S clear -n a=netns:a >/dev/null
$S set -n a=netns:a --delay 100ms --to 10.0.0.99 --keep >/dev/null
rtts 5 | sed 's/^rtt/other/'
$S clear -n a=netns:a >/dev/null
printf '# one jitter\n8192 8192\n8192 8192\n' > ./x.dist
$S set -n a=netns:a --delay 20ms --jitter 10ms --distribution ./x.dist --keep >/dev/null
rtts 20 | sed 's/^rtt/table/'
$S clear -n a=netns:a >/dev/null
$S set -n a=netns:a --slot 30ms,40ms --slot-packets 5 --keep >/dev/null
rtts 20 | sed 's/^rtt/slot/'
$S clear -n a=netns:a >/dev/null
$S set -n a=netns:a --preset 3g --reorder 5% --gap 3 --corrupt 0.1% --limit 500 --keep > /dev/null
echo "parts $($S list -n a=netns:a | grep -c '"backend":"netem".*"limit":500.*"rate":200000')"
$S clear -n a=netns:a >/dev/null
state | cmp - before && echo "swept 1"
"#,
    );
    let one = |word: &str| values(&run, word)[0];
    assert!((355.0..=445.0).contains(&one("left")), "{} of 500 at 20 %", one("left"));
    assert!((30.0..=70.0).contains(&one("doubled")), "{} of 100 at 50 %", one("doubled"));
    let spread = values(&run, "spread");
    assert!(spread.iter().all(|rtt| *rtt >= 19.9), "{spread:?}");
    // The other kernel has half a busy processor: one packet in ten may wait for it.
    assert!(spread.iter().filter(|rtt| **rtt <= 65.0).count() >= 36, "{spread:?}");
    assert!(spread.iter().any(|rtt| *rtt < 38.0) && spread.iter().any(|rtt| *rtt > 42.0));
    let (mut table, mut slot) = (values(&run, "table"), values(&run, "slot"));
    assert_eq!((table.len(), slot.len()), (20, 20), "{}", run.stdout);
    assert!((30.0..=35.0).contains(&median(&mut table)) && table[0] >= 30.0, "{table:?}");
    assert!((5.0..=60.0).contains(&median(&mut slot)), "{slot:?}");
    assert!(values(&run, "other").iter().all(|rtt| *rtt < 10.0), "{}", run.stdout);
    assert_eq!((one("parts"), one("swept")), (1.0, 1.0), "{}", run.stdout);
}

/// A script that shows each of `cases` by pings, each line with the case's name in front. The set and the
/// removal are held away from the pings, which take the longest.
fn pinged<'a>(cases: impl Iterator<Item = &'a Case>, direction: &str) -> String {
    let each = cases.map(|Case { name, flags, pings }| {
        format!(
            "$S set -n a=netns:a {flags} --direction {direction} --backend netem --lease 120s --keep >/dev/null
             ip netns exec a ping -n -U -i 0.01 -W 1 -c {pings} 10.0.0.2 | sed 's/^/{name} /' || true
             $S clear -n a=netns:a >/dev/null\n"
        )
    });
    // Who makes a device of a kind that the kernel loads gets the two that it comes with, too.
    each.collect::<String>()
        + "state | cmp - before && echo swept 1; ip link show type ifb | grep -q ifb || echo alone 1\n"
}

/// Holds each of `cases` against what it must do. A busy machine makes packets late now and then, and a fault
/// that does something else does so every time: what is wrong three times over is wrong.
#[track_caller]
fn judged<'a>(cases: impl Iterator<Item = &'a Case>, direction: &str) {
    let mut wrong: Vec<(&Case, String)> = cases.map(|case| (case, String::new())).collect();
    for _ in 0..3 {
        let run = run(&uml!(), &pinged(wrong.iter().map(|(case, _)| *case), direction));
        for word in ["swept", "alone"] {
            assert_eq!(values(&run, word), [1.0], "{word}\n{}", run.stdout);
        }
        let found = wrong.into_iter().filter_map(|(case, _)| {
            let prefix = format!("{} ", case.name);
            let lines = run.stdout.lines().filter_map(|line| line.strip_prefix(&prefix));
            verdict(case.name, &Pings::read(lines, case.pings)).err().map(|why| (case, why))
        });
        wrong = found.collect();
        if wrong.is_empty() {
            return;
        }
    }
    panic!("{:?}", wrong.iter().map(|(_, why)| why).collect::<Vec<_>>());
}

#[test]
fn each_fault_of_time_does_what_it_says_by_netem() {
    judged(CASES.iter().take(5), "out");
}

#[test]
fn each_other_fault_does_what_it_says_by_netem() {
    // A sender on the same host is told of a full queue, and ping sends again.
    let others = CASES.iter().skip(6).filter(|case| case.name != "limit");
    judged(others, "out");
}

#[test]
fn what_comes_in_is_struck_by_netem_as_what_goes_out() {
    let wanted = ["delay", "normal", "loss-gemodel", "duplicate", "reorder", "limit"];
    judged(CASES.iter().filter(|case| wanted.contains(&case.name)), "in");
}

#[test]
fn a_kernel_without_nf_tables_is_served_by_ipset_and_told_where_nothing_is_left() {
    let run = run(
        &uml!(),
        r#"
for m in ip6table_mangle ip_set_hash_net ip_set_bitmap_port xt_set xt_CLASSIFY xt_comment xt_tcpudp sch_htb sch_tbf; do modprobe $m; done
echo /bin/false >/proc/sys/kernel/modprobe
ip netns exec a nft list tables 2>/dev/null || echo "lacks 1"
$S list -n a=netns:a && echo "list $?"
$S clear -n a=netns:a && echo "clear $?"
$S set -n a=netns:a --rate 1mbit > lines & holder=$!
until grep -q start-slow lines; do sleep 0.05; kill -0 $holder; done
grep -q '"feeder":"ipset"' lines && echo "by-ipset 1"
echo "in-force $($S list -n a=netns:a | grep -c '"in_force":true')"
kill $holder; wait $holder || true
rmmod xt_CLASSIFY
set +e
$S set -n a=netns:a --rate 1mbit --for 1s; echo "set $?"
"#,
    );
    for (word, value) in
        [("lacks", 1.0), ("list", 0.0), ("clear", 0.0), ("by-ipset", 1.0), ("in-force", 1.0)]
    {
        assert_eq!(values(&run, word), [value], "{word}\n{}\n{}", run.stdout, run.stderr);
    }
    assert_eq!(values(&run, "set"), [69.0], "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn netem_strikes_and_leaves_alone_the_same_packets_as_the_delay_line() {
    let uml = uml!();
    which::put_into(uml.folder());
    let world = "modprobe xt_multiport; modprobe xt_tcpudp; modprobe ip6table_mangle || true
ip -n a addr add fd00::1/64 dev va nodad; ip -n b addr add fd00::2/64 dev vb nodad
ip -n b addr add 10.0.0.99/24 dev vb
ip netns exec a ping -q -c 1 -W 5 10.0.0.2 >/dev/null; ip netns exec a ping -q -c 1 -W 5 fd00::2 >/dev/null\n";
    let sctp = [&which::SCTP_PORTS];
    let cases = [&which::EXCEPTED, &which::PORTS].into_iter().chain(&which::PROTOCOLS);
    // Filters of tc(8) do not see the ports of SCTP.
    let arriving = cases.clone().map(|case| (case, "b", "in"));
    let leaving = cases.chain(sctp).map(|case| (case, "a", "out"));
    let all: Vec<_> = leaving.chain(arriving).collect();
    let script = |of: &[(usize, &(&which::Case, &str, &str))]| {
        let each = of.iter().map(|(number, (case, node, direction))| {
            let (flags, asks) = (case.flags("10.0.0.99").join(" "), case.asks("10.0.0.2", "fd00::2", "10.0.0.99"));
            format!(
                "$S set -n n=netns:{node} {flags} --delay 60ms --direction {direction} --backend netem --lease 120s --keep >/dev/null
                 python3 ./which.py a b <<'END' | sed 's/^/{number} /'\n{asks}END
                 $S clear -n n=netns:{node} >/dev/null\n"
            )
        });
        world.to_string() + &each.collect::<String>() + "state | cmp - before && echo swept 1\n"
    };
    let mut left: Vec<(usize, _)> = all.iter().enumerate().collect();
    let mut wrong = Vec::new();
    // It has half a busy processor: what is left alone may be late.
    for _ in 0..3 {
        let run = run(&uml, &script(&left));
        assert_eq!(values(&run, "swept"), [1.0], "{}\n{}", run.stdout, run.stderr);
        wrong.clear();
        left.retain(|(number, (case, _, direction))| {
            let prefix = format!("{number} ");
            let said: Vec<&str> =
                run.stdout.lines().filter_map(|l| l.strip_prefix(&prefix)).collect();
            let judged = case.judge(&said.join("\n")).map_err(|why| format!("{direction}: {why}"));
            wrong.extend(judged.clone().err());
            judged.is_err()
        });
        if left.is_empty() {
            return;
        }
    }
    panic!("{}", wrong.join("\n"));
}

#[test]
fn netem_strikes_what_the_node_translates_on_its_way_out_and_says_that_it_cannot_on_its_way_in() {
    let uml = uml!();
    which::put_into(uml.folder());
    let run = run(
        &uml,
        r#"
for m in iptable_nat ip6table_mangle xt_conntrack xt_tcpudp; do modprobe $m || true; done
ip -n a route add default via 10.0.0.2
for p in tcp udp; do
    ip netns exec a iptables-legacy -w -t nat -A OUTPUT -d 10.96.0.10 -p $p --dport 443 -j DNAT --to-destination 10.0.0.2:6443
done
lateness() { echo "$1 $2 $3 $4 9" | python3 ./which.py a b; }
lateness before tcp 10.96.0.10 443:6443
for flags in "--to 10.96.0.10" "--to 10.96.0.10 --port 443" "--port 443/tcp"; do
    $S set -n n=netns:a $flags --delay 60ms --backend netem --lease 120s --keep >/dev/null
    lateness struck tcp 10.96.0.10 443:6443
    lateness alone tcp 10.0.0.2 6443
    $S clear -n n=netns:a >/dev/null
done
$S set -n n=netns:a --to 10.96.0.10 --except port:443 --delay 60ms --backend netem --lease 120s --keep >/dev/null
lateness alone tcp 10.96.0.10 443:6443
$S clear -n n=netns:a >/dev/null
set +e
$S set -n n=netns:a --to 10.96.0.10 --direction in --delay 60ms --backend netem --for 1s; echo "in $?"
"#,
    );
    let (struck, alone) = (values(&run, "struck"), values(&run, "alone"));
    let said = format!("{}\n{}", run.stdout, run.stderr);
    assert!(struck.len() == 3 && struck.iter().all(|late| *late >= which::DELAY), "{said}");
    assert!(alone.len() == 4 && alone.iter().all(|late| *late < which::DELAY), "{said}");
    assert_eq!(values(&run, "in"), [69.0], "{said}");
    assert!(said.contains("translates (NAT) an address of --to"), "{said}");
}

#[test]
fn what_a_host_sends_goes_on_as_it_would_have_when_netem_lets_it_go() {
    let uml = uml!();
    whole::put_into(uml.folder());
    let modules = "ip_tables iptable_mangle iptable_nat ip6_tables ip6table_mangle xt_MASQUERADE br_netfilter";
    let script = format!(
        "for m in {modules}; do modprobe $m; done; bash ./whole.sh ./slownet x netem iptables-legacy"
    );
    let mut wrong = Ok(());
    // It has half a busy processor, on which a single packet may come late.
    for _ in 0..3 {
        let run = uml.run(&script);
        wrong = whole::judge(&run.stdout).map_err(|why| format!("{why}\n{}", run.stderr));
        if wrong.is_ok() {
            return;
        }
    }
    wrong.unwrap();
}

/// How many random runs: `$BREAKIT_RUNS`, or a few.
fn runs() -> u64 {
    std::env::var("BREAKIT_RUNS").map_or(8, |runs| runs.parse().unwrap())
}

#[test]
fn runs_of_netem_whose_holder_gets_random_signals_leave_nothing() {
    let (runs, seed) = (runs(), std::process::id() % 32768);
    let run = run(&uml!(), &format!("RUNS={runs}; RANDOM={seed}\n{RANDOM_RUNS}"));
    let done: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("run ")).collect();
    assert_eq!(done.len() as u64, runs, "seed {seed}: {}\n{}", run.stdout, run.stderr);
    let bad: Vec<&&str> = done.iter().filter(|line| !line.ends_with(" quick clean")).collect();
    assert!(bad.is_empty(), "seed {seed}: {bad:#?}\n{}", run.stderr);
}

/// After each signal: nobody is slow when the lease has ended; and, with nothing cleared, no process, queue, set or
/// chain is left. Who is stopped is killed at last, for its guardian waits for its death.
const RANDOM_RUNS: &str = r#"
faults=("--delay 300ms" "--loss 100%" "--delay 50ms --rate 20kbit" "--delay 300ms --direction in" "--delay 300ms --direction both")
times=("" "--every 600ms --for 300ms --first 0s" "--for 400ms" "--keep")
signals=(KILL KILL STOP TERM HUP)
soon() { for i in $(seq 200); do "$@" && return; sleep 0.1; done; return 1; }
quick() { [ "$($S list -n a=netns:a | grep -c '"in_force":true')" = 0 ] && ip netns exec a ping -n -q -c 1 -W 0.2 10.0.0.2 >/dev/null; }
clean() { state | cmp -s - before && [ -z "$($S list -n a=netns:a)" ] && ! grep -sqa 'netns[:]a' /proc/[0-9]*/cmdline; }
for n in $(seq $RUNS); do
  fault=${faults[RANDOM % 5]} time=${times[RANDOM % 4]} signal=${signals[RANDOM % 5]} wait=0.$((RANDOM % 10))
  $S set -n a=netns:a $fault $time --backend netem --lease 2s >/dev/null 2>&1 & holder=$!
  sleep $wait
  kill -$signal $holder 2>/dev/null || true
  soon quick && found=quick || found=slow
  case $signal in STOP) kill -KILL $holder || true ;; *) kill -TERM $holder 2>/dev/null || true ;; esac
  wait $holder 2>/dev/null || true
  soon clean && found="$found clean" || found="$found $(state | diff - before | tr '\n' ' ')"
  echo "run $n: $fault $time; $signal after $wait: $found"
done
"#;
