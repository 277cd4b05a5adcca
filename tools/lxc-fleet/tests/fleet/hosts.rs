//! Hosts that cannot bear a fleet, and networks that others use.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use breakit_tests::process::{Run, run};
use breakit_tests::{has, skip};

use crate::bed::{Fleet, fleet, sh};
use crate::images::no_busybox;

#[test]
fn a_packet_to_a_node_never_leaves_by_the_default_route() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let address = fleet.address("n1");
    let route = || sh(&format!("ip route get {address} 2>&1")).stdout;
    assert!(route().contains(&fleet.bridge()), "{}", route());
    sh(&format!("ip link del {}", fleet.bridge())).expect(0);
    assert!(route().contains("No route to host") || route().contains("unreachable"), "{}", route());
    let error = TcpStream::connect_timeout(
        &format!("{address}:1").parse().unwrap(),
        Duration::from_secs(2),
    );
    assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::HostUnreachable);
}

#[test]
fn a_host_that_cannot_bear_a_fleet_is_told_why() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    // In a mount namespace of its own, so that this host stays as it is.
    let on = |change: &str| {
        let script = format!("{change} && exec {tool} up n1");
        run(Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env("BREAKIT_FLEET", &fleet.name))
    };
    for folder in ["/usr", "/var"] {
        // With what is mounted below it: the store of other fleets may be.
        let said = on(&format!("mount --rbind {folder} {folder}")).expect(69).stderr;
        let sentence = format!("{folder} is a filesystem of its own");
        assert!(said.contains(&sentence) && said.contains("busybox"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(fleet.run(&["ls"]).expect(0).stdout.is_empty(), "the failed up left a fleet");
    }
    let lxc = "p=$(command -v lxc-start); mount --bind /dev/null $p";
    let said = on(lxc).expect(69).stderr;
    assert!(said.contains("lxc-start is missing") && said.contains("package lxc"), "{said}");
    let full = "mkdir -p /var/lib/breakit; umount -lR /var/lib/breakit/store 2>/dev/null; mount -t tmpfs -o size=100m full /var/lib/breakit";
    let said = on(full).expect(71).stderr;
    assert!(
        said.contains("only 100M are free under /var/lib/breakit") && said.contains("make room"),
        "{said}"
    );
    fleet.run(&["down"]).expect(0);
}

/// Runs `up n1`, `nodes` and `down` with an overlay of the given depth as root; shows what each said.
const ON_OVERLAYS: &str = r#"
set -e
site=$1 depth=$2 tool=$3
mount -t tmpfs overlays "$site"
lower=/
for i in $(seq "$depth"); do
    mkdir -p "$site/$i/upper" "$site/$i/work" "$site/$i/root"
    mount -t overlay -o "lowerdir=$lower,upperdir=$site/$i/upper,workdir=$site/$i/work" root "$site/$i/root"
    lower=$site/$i/root
done
for part in proc sys dev; do mount --rbind "/$part" "$lower/$part"; done
mount -t tmpfs run "$lower/run"
cp "$tool" "$lower/opt/lxc-fleet"
# Covered and not removed: what lies there is other fleets', who go on making and removing it.
mkdir -p "$lower/var/lib/breakit"
mount -t tmpfs base "$lower/var/lib/breakit"
(umask 077; echo secret > "$lower/usr/share/breakit-key")
mkdir "$lower/usr/local/breakit-data" "$lower/breakit-top"
mkdir -p "$lower/media/old"
cd "$lower"
# No chroot: there is no fleet from within one.
pivot_root . media/old
umount -l /media/old
exec chroot . sh -c '/opt/lxc-fleet up n1 --sparse; echo "mapped $?"; /opt/lxc-fleet up n1 --privileged; echo "up $?"; /opt/lxc-fleet exec n1 -- hostname;
    /opt/lxc-fleet exec n1 -- ls -d /usr/share/breakit-key /usr/local/breakit-data /breakit-top /opt/lxc-fleet; /opt/lxc-fleet down;
    find /run/breakit /var/lib/breakit/fleets 2>/dev/null; true' 2>&1
"#;

#[test]
fn a_root_that_is_an_overlay_will_do_for_privileged_nodes_and_one_on_another_is_told_to_be_too_many()
 {
    let fleet = fleet!();
    let on = |depth: &str| {
        let site = std::env::temp_dir().join(format!("{}-{depth}", fleet.name));
        fs::create_dir(&site).unwrap();
        let tool = env!("CARGO_BIN_EXE_lxc-fleet");
        // It knows nothing of other fleets' subnets, so that it needs a network of its own.
        let said =
            in_a_network_of_its_own(&fleet, ON_OVERLAYS, &[site.to_str().unwrap(), depth, tool]);
        fs::remove_dir(&site).unwrap();
        said.expect(0).stdout
    };
    let said = on("1");
    assert!(
        said.contains("with --privileged they share") && said.contains("mapped 69\n"),
        "{said}"
    );
    assert!(said.contains("up 0\nn1\n"), "{said}");
    assert!(!said.lines().any(|line| line.starts_with('/')), "seen or left over: {said}");
    let said = on("2");
    assert!(said.contains("is an overlay itself") && said.contains("up 69\n"), "{said}");
    assert!(!said.contains("/run/breakit") && !said.contains("/fleets"), "left over: {said}");
}

#[test]
fn a_subnet_that_a_route_covers_is_not_taken() {
    let fleet = fleet!();
    if let Some(why) = no_busybox() {
        skip!("{why}");
    }
    let within = |routes: &str| {
        let tool = env!("CARGO_BIN_EXE_lxc-fleet");
        let script = format!(
            "for net in {routes}; do ip route add $net dev lo; done; ip -br link; \
             {tool} up b1 --image busybox && {tool} nodes; status=$?; {tool} down; ip -br link; exit $status"
        );
        in_a_network_of_its_own(&fleet, &script, &[])
    };
    let said = within("10.213.0.0/16").expect(0).stdout;
    assert!(said.contains(r#""addrs":["172.29."#), "{said}");
    assert!(!said.lines().last().unwrap().contains("bk-"), "the bridge is left: {said}");
    let said = within("10.0.0.0/8 172.16.0.0/12 198.18.0.0/15").expect(71).stderr;
    assert!(said.contains("in use on this host"), "{said}");
}

/// Runs `script` in a network of its own, so that this host's routes stay as they are. It has the /sys of that
/// network, which LXC asks for bridges, but the host's cgroups.
pub fn in_a_network_of_its_own(fleet: &Fleet, script: &str, args: &[&str]) -> Run {
    let enter = "mount --rbind /sys/fs/cgroup /mnt && mount -t sysfs sysfs /sys && \
        mount --rbind /mnt /sys/fs/cgroup && umount -l /mnt && ip link set lo up || exit 99\n";
    let mut command = Command::new("unshare");
    command.args(["-nm", "sh", "-c", &format!("{enter}{script}"), "sh"]).args(args);
    run(command.env("BREAKIT_FLEET", &fleet.name))
}

#[test]
fn a_host_that_sends_bridged_frames_through_a_forward_drop_is_told_so_and_nothing_is_left() {
    let fleet = fleet!();
    if !Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables").exists() || !has("iptables") {
        skip!("no br_netfilter in this kernel, or no iptables");
    }
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script =
        format!("iptables -P FORWARD DROP && {tool} up n1..n2; s=$?; ip -br link; exit $s");
    let done = in_a_network_of_its_own(&fleet, &script, &[]).expect(71);
    assert!(
        done.stderr.contains("br_netfilter") && done.stderr.contains("iptables -I FORWARD"),
        "{done:?}"
    );
    assert!(!done.stdout.contains(&fleet.bridge()), "{done:?}");
    assert!(!fleet.files().exists());
}

#[test]
fn in_a_chroot_no_fleet_is_made() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let script = format!(
        "mount -t tmpfs root /mnt && cd / && for d in *; do
             if [ -L $d ]; then cp -P $d /mnt/; continue; fi
             if [ ! -d $d ] || [ $d = mnt ]; then continue; fi
             mkdir /mnt/$d && mount --rbind /$d /mnt/$d
         done; exec chroot /mnt {tool} up n1"
    );
    let mut up = Command::new("unshare");
    up.args(["-m", "--propagation", "private", "sh", "-c", &script]);
    let said = run(up.env("BREAKIT_FLEET", &fleet.name)).expect(69).stderr;
    assert!(said.contains("this is a chroot"), "{said}");
}
