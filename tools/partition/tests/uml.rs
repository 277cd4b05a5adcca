//! Kernels that lack something: `uml-run` boots one in seconds, and it has only the modules that it is given.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use breakit_tests::{Run, Running, skip};

/// `uml-run`, which lies beside the repository and not in it.
fn uml_run() -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/tools/uml/uml-run");
    if !path.is_file() {
        return Err(
            "uml-run is not there; it lies in ../shared/tools/uml beside the repository".into()
        );
    }
    for (program, package) in [
        ("linux.uml", "user-mode-linux"),
        ("gcc", "gcc"),
        ("modprobe", "kmod"),
        ("nft", "nftables"),
        ("iptables-legacy", "iptables"),
        ("ipset", "ipset"),
    ] {
        if !breakit_tests::has(program) {
            return Err(format!("{program} is missing; install the package {package}"));
        }
    }
    path.canonicalize().map_err(|e| e.to_string())
}

/// Runs `script` under the other kernel, which knows IPv4, ip_tables and ipset, and will load nothing more:
/// neither nf_tables nor IPv6.
fn run(uml_run: &Path, name: &str, script: &str) -> Run {
    let bench = std::env::temp_dir().join(format!("partition-uml-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&bench).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_partition"), bench.join("partition")).unwrap();
    std::fs::write(bench.join("script"), format!("{WORLD}{script}")).unwrap();
    let mut command = Command::new(uml_run);
    command.args(["bash"]).arg(bench.join("script")).env("UML_RW", &bench).current_dir(&bench);
    // It boots in seconds, but has what a busy machine leaves it.
    command.env("UML_TIMEOUT", "600");
    let run = Running::start(&mut command).end(Duration::from_secs(620));
    let _ = std::fs::remove_dir_all(&bench);
    run
}

const WORLD: &str = "
for module in iptable_raw xt_set ip_set_hash_net xt_comment veth; do modprobe $module; done
echo /bin/false >/proc/sys/kernel/modprobe
ip netns add a; ip netns add b
ip link add va netns a type veth peer name vb netns b
ip -n a addr add 10.0.0.1/24 dev va; ip -n a link set va up
ip -n b addr add 10.0.0.2/24 dev vb; ip -n b link set vb up
N=a=netns:a,b=netns:b P=./partition
state() { for n in a b; do ip netns exec $n ipset list -n; ip netns exec $n iptables-legacy -t raw -S; done; }
state > before
";

#[test]
fn without_nf_tables_a_cut_is_made_by_ipset_and_healed_by_whoever_comes() {
    let uml_run = match uml_run() {
        Ok(path) => path,
        Err(why) => skip!("{why}"),
    };
    let run = run(
        &uml_run,
        "legacy",
        r#"
nft list tables 2>&1 | grep -c 'cache initialization failed\|Unable to initialize' | sed 's/^/lacking /'
$P cut isolate a -n $N --keep --lease 600s --verify > lines; echo "cut $?"
grep -c '"backend":"ipset-legacy"' lines | sed 's/^/legacy /'
$P list -n $N | grep -c ipset-legacy | sed 's/^/listed /'
$P heal -n $N > lines; echo "heal $?"; grep -c stop-partition lines | sed 's/^/healed /'
state | cmp - before; echo "swept $?"
$P cut isolate a -n $N --lease 600s > lines & holder=$!
until grep -q start-partition lines || ! kill -0 $holder; do sleep 0.05; done
kill -KILL $holder; wait $holder
for i in $(seq 600); do state | cmp -s - before && break; sleep 0.1; done
state | cmp - before; echo "guarded $?"
$P cut isolate a -n a=netns:a,b=netns:b --backend nft --keep; echo "nft $?"
printf '%s\n' '{"node":"a","addrs":["fd00::1"],"via":"netns:a"}' '{"node":"b","addrs":["fd00::2"],"via":"netns:b"}' > six
$P cut isolate a -n @six --backend ipset-legacy --keep; echo "six $?"
state | cmp - before; echo "whole $?"
"#,
    )
    .expect(0);
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
        assert!(
            run.stdout.lines().any(|said| said == line),
            "{line}\n{}\n{}",
            run.stdout,
            run.stderr
        );
    }
}
