//! The store: who may see it, how large it is, and what happens if it is full, read-only or damaged.
//!
//! Each test has a folder of fleets and a network of its own, so that a store which it harms is nobody else's.

use breakit_tests::process::Run;

use crate::bed::{Fleet, fleet};
use crate::hosts::in_a_network_of_its_own;

/// In memory, of size `$1`; `$2` is the tool. Whatever is shown as a `step` has ended with that status.
const OWN: &str = r#"
# What other tests have mounted there would only lie beneath.
umount -lR /var/lib/breakit/store 2>/dev/null; umount -lR /var/lib/breakit 2>/dev/null
mount -t tmpfs -o mode=755,size="$1" own /var/lib/breakit || exit 1
# As in host_disk.rs: whoever removes the empty /run/breakit of the host unmounts what lies on it, here too.
mount -t tmpfs -o mode=755 run /run && mkdir /run/breakit || exit 1
fleet() { "$tool" "$@"; }
step() { name=$1; shift; "$@"; echo "$name $?"; }
# Through a shell, as setpriv itself has its capabilities until it becomes another program.
as_other() { setpriv --reuid 65534 --regid 65534 --clear-groups sh -c '"$0" "$@"' "$@"; }
base=/var/lib/breakit
store=$base/store
tool=$2
trap '"$tool" down --all -q; umount -l $store' EXIT
exec 2>&1
"#;

fn on_own_store(fleet: &Fleet, size: &str, script: &str) -> String {
    let script = format!("mkdir -p /var/lib/breakit /run/breakit{OWN}{script}");
    let said: Run =
        in_a_network_of_its_own(fleet, &script, &[size, env!("CARGO_BIN_EXE_lxc-fleet")]);
    said.stdout
}

fn steps(said: &str, expected: &[&str]) {
    for step in expected {
        assert!(said.lines().any(|line| line == *step), "not {step:?} in: {said}");
    }
}

#[test]
fn another_user_sees_no_file_of_a_node_runs_none_and_holds_no_lock() {
    let fleet = fleet!();
    let said = on_own_store(
        &fleet,
        "2g",
        r#"
step up fleet up n1 --store-size 256M
fleet exec n1 -- sh -c 'cp "$(command -v id)" /srv/id; chmod 4755 /srv/id; mknod /srv/zero c 1 5'
file=$store/nodes/$BREAKIT_FLEET/n1/upper/srv/id
step there test -u "$file"
step run as_other "$file"
step list as_other ls $base
step image as_other head -c 1 $base/store.img
step memory as_other cat $base/fleets/$BREAKIT_FLEET.json
step configuration as_other cat $base/lxc/breakit-$BREAKIT_FLEET-n1/config
for lock in /run/breakit/.lock /run/breakit/.lock/$BREAKIT_FLEET /run/breakit/.lock/.all; do
    step lock as_other flock -n $lock true
done
step nodes as_other "$tool" nodes
# What others can open is no lock of ours.
for folder in /run/breakit /run/breakit/$BREAKIT_FLEET /run/breakit/.root; do
    as_other flock $folder sleep 60 & holders="$holders $!"
done
step held timeout 20 "$tool" up n2
kill $holders
grep " $store " /proc/self/mountinfo
chmod 755 $base $base/fleets; chmod 644 $base/store.img $base/fleets/*
mount -o remount,bind,suid,dev $store
step narrow fleet ls
stat -c '%a %n' $base $base/fleets $base/store.img $base/fleets/*
grep " $store " /proc/self/mountinfo
step down fleet down
"#,
    );
    steps(&said, &["up 0", "there 0", "run 126", "list 2", "image 1", "memory 1"]);
    steps(&said, &["configuration 1", "lock 66", "nodes 0", "held 0", "narrow 0", "down 0"]);
    assert!(!said.contains("lock 0"), "{said}");
    assert!(said.contains(&format!("lxc:breakit-{}-n1", fleet.name)), "{said}");
    assert_eq!(said.matches("rw,nosuid,nodev").count(), 2, "{said}");
    for line in
        ["700 /var/lib/breakit", "700 /var/lib/breakit/fleets", "600 /var/lib/breakit/store.img"]
    {
        assert!(said.lines().any(|said| said == line), "not {line}: {said}");
    }
    assert!(said.contains(&format!("600 /var/lib/breakit/fleets/{}.json", fleet.name)), "{said}");
}

#[test]
fn a_full_store_is_enospc_in_the_nodes_and_a_full_host_reaches_no_node() {
    let fleet = fleet!();
    let said = on_own_store(
        &fleet,
        "900m",
        r#"
step up fleet up n1,n2 --store-size 256M
step other fleet up n3 --store-size 300M
step sparse fleet up n3 --sparse
# The host's disk is full first.
dd if=/dev/zero of=$base/filler bs=1M 2>/dev/null
step writes fleet exec n1 -- sh -c 'dd if=/dev/urandom of=/srv/x bs=1M count=100 && sync'
step reads fleet exec n1 -- sh -c 'test $(stat -c %s /srv/x) = 104857600'
step stops fleet up n3
rm $base/filler
step fills fleet exec n1 -- sh -c 'cat /dev/zero > /srv/y'
step says fleet up n3
step clears fleet exec n1 -- sh -c 'rm /srv/y && echo alive > /srv/z && cat /srv/z'
fleet exec n1 -- sh -c 'cat /dev/zero > /srv/y'
step one fleet down n1
step down fleet down
step again fleet up n1
step absent fleet exec n1 -- test -e /srv/x
# What is freed stays reserved.
test $(stat -c %b $base/store.img) -ge 524288 && echo reserved
"#,
    );
    steps(&said, &["up 0", "other 64", "sparse 64", "writes 0", "reads 0", "stops 71", "fills 1"]);
    steps(&said, &["says 71", "clears 0", "alive", "one 0", "down 0", "again 0", "absent 1"]);
    steps(&said, &["reserved"]);
    assert!(
        said.contains("No space left on device") && said.contains("the store is full"),
        "{said}"
    );
    assert!(said.contains("the store is there and has 256M, not 300M"), "{said}");
}

/// Nothing of the fleet is left but its files in the store.
const NOTHING_LEFT: &str = r#"
nothing_left() {
    ls $base/fleets/$BREAKIT_FLEET.json $base/lxc /run/breakit/$BREAKIT_FLEET 2>/dev/null
    ip -o link show | grep "bk-$BREAKIT_FLEET"
    ip route show type unreachable | grep 4278198272
    grep " $store " /proc/self/mountinfo
    ps -eo args | grep "[b]reakit-$BREAKIT_FLEET-"
}
"#;

#[test]
fn a_store_that_went_read_only_stops_no_down_and_the_next_up_repairs_it() {
    let fleet = fleet!();
    let ways = [("ro", "2g"), ("abort", "2g")];
    for (way, size) in ways {
        let said = on_own_store(
            &fleet,
            size,
            &format!(
                r#"{NOTHING_LEFT}
step up fleet up n1,n2 --store-size 256M
fleet exec n1 -- sh -c 'echo mine > /srv/x; sync'
mount -o remount,{way} $store || exit 1
step more fleet up n3
step one fleet down n2
step down fleet down
echo left: $(nothing_left)
step again fleet up n1
step absent fleet exec n1 -- test -e /srv/x
step writes fleet exec n1 -- sh -c 'echo new > /srv/x && cat /srv/x'
mount -o remount,{way} $store || exit 1
step all fleet down --all
echo left: $(nothing_left)
step images fleet image rm --all
test -e $base/store.img; echo file $?
"#
            ),
        );
        steps(&said, &["up 0", "more 71", "one 0", "down 0", "left:", "again 0", "absent 1"]);
        steps(&said, &["writes 0", "new", "all 0", "images 0", "file 1"]);
        assert!(said.contains("run lxc-fleet down --all, and then this again"), "{said}");
    }
}

#[test]
fn a_fleet_whose_memory_is_damaged_comes_down() {
    let fleet = fleet!();
    let said = on_own_store(
        &fleet,
        "2g",
        &format!(
            r#"{NOTHING_LEFT}
step up fleet up n1,n2 --store-size 256M
first=$BREAKIT_FLEET
# Its containers begin as those of the first do.
BREAKIT_FLEET=$first-n
step other fleet up n1
BREAKIT_FLEET=$first
echo '{{"subnet":' > $base/fleets/$first.json
step shown fleet ls
step down fleet down
echo left in the store: $(ls $store/nodes)
BREAKIT_FLEET=$first-n
step runs fleet exec n1 -- true
: > $base/fleets/$first-n.json
ip link del "bk-$first-n" 2>/dev/null || ip link del $(ip -o link show type bridge | sed 's/^[0-9]*: \([^:]*\):.*/\1/')
step all fleet down --all
echo left: $(nothing_left)
BREAKIT_FLEET=$first
echo left: $(nothing_left)
"#
        ),
    );
    steps(&said, &["up 0", "other 0", "shown 65", "down 0", "runs 0", "all 0"]);
    steps(&said, &[&format!("left in the store: {}-n", fleet.name)]);
    assert_eq!(said.lines().filter(|line| *line == "left:").count(), 2, "{said}");
}

#[test]
fn a_tree_of_any_depth_in_a_node_comes_down_with_few_descriptors() {
    let fleet = fleet!();
    let said = on_own_store(
        &fleet,
        "3g",
        r#"
step up fleet up n1 --store-size 1G
fleet exec n1 -- perl -e 'chdir "/srv"; for (1..20000) { mkdir "d" or die $!; chdir "d" or die $! } print "deep\n"'
ulimit -n 64
step down fleet down
ls $base
"#,
    );
    steps(&said, &["up 0", "deep", "down 0", "store.img"]);
}

#[test]
fn a_disk_of_its_own_fills_alone_and_outlives_the_node() {
    let fleet = fleet!();
    let said = on_own_store(
        &fleet,
        "2g",
        r#"
step up fleet up n1,n2 --store-size 400M --disk 64M
step large fleet up n3 --disk 400M
step small fleet up n3 --disk 1M
step other fleet up n1 --disk 128M
step fills fleet exec n1 -- sh -c 'cat /dev/zero > /srv/x'
step neighbour fleet exec n2 -- sh -c 'dd if=/dev/zero of=/srv/x bs=1M count=32 && sync'
fleet exec n1 -- sh -c 'rm /srv/x; echo kept > /srv/kept; sync'
step kill fleet kill n1
step start fleet start n1
step keeps fleet exec n1 -- cat /srv/kept
step owner fleet exec n1 -- sh -c 'chown daemon /srv/kept && su -s /bin/sh daemon -c "echo more >> /srv/kept"'
fleet ls n1 --json
grep disk.img /proc/self/mountinfo; losetup -n -O BACK-FILE | grep -c disk.img
step down fleet down
echo loops $(losetup -n -O BACK-FILE | grep -c disk.img)
"#,
    );
    steps(&said, &["up 0", "large 71", "small 64", "other 64", "fills 1", "neighbour 0"]);
    steps(&said, &["kill 0", "start 0", "kept", "keeps 0", "owner 0", "down 0"]);
    assert!(said.contains(r#""disk":67108864"#), "{said}");
    assert!(said.contains("has a disk of 64M, not one of 128M"), "{said}");
}
