//! What becomes of a fleet if the disk of the host is small, full, or was left by an earlier version.

use std::fs;
use std::path::PathBuf;

use breakit_tests::process::Run;

use crate::bed::{Fleet, fleet, sh};
use crate::hosts::in_a_network_of_its_own;

#[test]
fn a_stores_room_is_taken_from_the_disk_at_once_unless_it_is_to_be_sparse() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let host = Host::new(&fleet, "1500M");
    let look =
        "stat -c '%s %b' /var/lib/breakit/store.img; findmnt -no OPTIONS /var/lib/breakit/store";
    let said = host.run(&format!(
        "{tool} up n1 --store-size 400M; {look}
         {tool} exec n1 -- sh -c 'head -c 100M /dev/urandom > /srv/a; sync; rm /srv/a; sync'; {look}
         {tool} down"
    ));
    let lines: Vec<&str> = said.stdout.lines().collect();
    for line in [lines[0], lines[2]] {
        let (size, blocks) = line.split_once(' ').unwrap();
        assert_eq!(size, (400 << 20).to_string());
        assert!(blocks.parse::<u64>().unwrap() * 512 >= 400 << 20, "{said:?}");
    }
    assert!(!lines[1].contains("discard"), "{said:?}");

    let said = host.run(&format!(
        "{tool} image rm --all; {tool} up n1 --sparse --store-size 1G; {look}; {tool} down; {tool} image rm --all"
    ));
    let lines: Vec<&str> = said.stdout.lines().collect();
    let (size, blocks) = lines[0].split_once(' ').unwrap();
    assert_eq!(size, (1u64 << 30).to_string());
    assert!(blocks.parse::<u64>().unwrap() * 512 < 200 << 20, "{said:?}");
    assert!(lines[1].contains("discard"), "{said:?}");

    let said = host.run(&format!(
        "head -c 1200M /dev/zero > /var/lib/breakit/fill
         {tool} up n1; echo up $?; {tool} up n1 --store-size 2G; echo up $?; ls /var/lib/breakit"
    ));
    assert_eq!(said.stdout, "up 71\nup 71\nfill\n", "{said:?}");
    assert!(said.stderr.contains("choose a smaller --store-size"), "{said:?}");
}

#[test]
fn a_full_disk_of_the_host_stops_no_node_of_a_reserved_store() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let said = Host::new(&fleet, "1G").run(&format!(
        "{tool} up n1..n2 --store-size 400M || exit 1
         cat /dev/zero > /var/lib/breakit/fill 2>/dev/null; test $(df --output=avail /var/lib/breakit | tail -1) -lt 1000 && echo full
         {tool} exec n1 -- sh -c 'head -c 200M /dev/urandom > /srv/a && sync && ls -l /srv/a | cut -d\" \" -f5'
         {tool} exec n1 -- sh -c 'cat /dev/zero > /srv/b 2>/dev/null; rm /srv/b; echo again > /srv/c && cat /srv/c'
         {tool} kill n2; {tool} start n2; {tool} exec n2 -- echo alive
         {tool} down n2; echo down $?; {tool} ls | cut -f1; {tool} down; echo down $?; ls /var/lib/breakit"
    ));
    let expected = "full\n209715200\nagain\nalive\ndown 0\nn1\ndown 0\nfill\nstore.img\n";
    assert_eq!(said.stdout, expected, "{said:?}");
}

#[test]
fn a_sparse_store_that_a_full_disk_made_read_only_comes_down_and_is_repaired() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    for down in ["down", "down --all"] {
        let said = Host::new(&fleet, "900M").run(&format!(
            "{tool} up n1..n2 --sparse || exit 1
             cat /dev/zero > /var/lib/breakit/fill 2>/dev/null
             {tool} exec n1 -- sh -c 'head -c 300M /dev/urandom > /srv/a; sync' >/dev/null 2>&1
             i=0; while touch /var/lib/breakit/store/x 2>/dev/null && [ $i -lt 300 ]; do sync; sleep 0.1; i=$((i+1)); done
             touch /var/lib/breakit/store/x 2>/dev/null || echo sick
             {tool} up n3; echo up $?
             {tool} -v {down}; echo down $?; {tool} ls
             ps -eo args | grep '[b]reakit-{name}-'; ls /var/lib/breakit; findmnt -rno TARGET | grep breakit/store
             rm /var/lib/breakit/fill; {tool} up n1..n2 || exit 1; {tool} exec n1 -- sh -c 'ls -A /srv; echo fine > /srv/x && cat /srv/x'
             {tool} down; echo down $?; {tool} image rm --all; echo rm $?; ls -A /var/lib/breakit",
            name = fleet.name
        ));
        let expected = "sick\nup 71\ndown 0\nfill\nstore.img\nfine\ndown 0\nrm 0\n";
        assert_eq!(said.stdout, expected, "{said:?}");
    }
}

#[test]
fn what_an_earlier_version_left_open_is_closed_by_the_next_command() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let said = Host::new(&fleet, "900M").run(&format!(
        "umask 022; cd /var/lib/breakit; chmod 755 .; mkdir -p fleets lxc/breakit-x-n1 store; echo > lxc/breakit-x-n1/config
         truncate -s 300M store.img; mkfs.ext4 -q -F store.img; mount -o loop store.img store; mkdir -p store/nodes/x/n1/upper
         chmod 777 /run/breakit; {tool} up --dry-run n1 >/dev/null; stat -c %a .
         {tool} ls
         stat -c '%a %n' /var/lib/breakit store.img fleets lxc lxc/breakit-x-n1 lxc/breakit-x-n1/config /run/breakit
         findmnt -no OPTIONS store; umount store
         {tool} up n1; findmnt -no OPTIONS store; stat -c %a store; ls store/nodes"
    ));
    let lines: Vec<&str> = said.stdout.lines().collect();
    let modes = ["755", "700 /var/lib/breakit", "600 store.img", "700 fleets", "711 lxc"];
    assert_eq!(lines[..5], modes, "{said:?}");
    let modes = ["700 lxc/breakit-x-n1", "600 lxc/breakit-x-n1/config", "755 /run/breakit"];
    assert_eq!(lines[5..8], modes, "{said:?}");
    assert!(lines[8].starts_with("rw,nosuid,nodev"), "{said:?}");
    // A store of an earlier version stays sparse, and what no fleet remembers is gone.
    assert!(lines[9].contains("nosuid,nodev") && lines[9].contains("discard"), "{said:?}");
    assert_eq!(lines[10..], ["700", fleet.name.as_str()], "{said:?}");
}

#[test]
fn files_that_no_fleet_remembers_never_become_a_new_nodes() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let name = &fleet.name;
    // As after a reboot: the store is not mounted when the fleet is taken down.
    let said = Host::new(&fleet, "900M").run(&format!(
        "{tool} up n1..n2 --store-size 300M && {tool} exec n1 -- sh -c 'echo old > /srv/old' && {tool} stop || exit 1
         umount /var/lib/breakit/store; {tool} down; echo down $?
         {tool} up n1; {tool} exec n1 -- ls -A /srv; ls /var/lib/breakit/store/nodes/{name}"
    ));
    assert_eq!(said.stdout, "down 0\nn1\n", "{said:?}");
}

#[test]
fn a_folder_of_another_user_is_not_taken_for_ours() {
    let fleet = fleet!();
    let tool = env!("CARGO_BIN_EXE_lxc-fleet");
    let said = Host::new(&fleet, "900M").run(&format!(
        "chown 65534 /run/breakit; {tool} up n1 --store-size 300M; echo up $?; chown 0 /run/breakit
         chown 65534 /var/lib/breakit; {tool} up n1 --store-size 300M; echo up $?; chown 0 /var/lib/breakit; ls /var/lib/breakit"
    ));
    assert_eq!(said.stdout, "up 71\nup 71\n", "{said:?}");
    assert!(said.stderr.contains("belongs to another user (uid 65534)"), "{said:?}");
}

/// A host whose /var/lib/breakit is a small disk of its own; its mounts and its network are seen by nobody else.
struct Host<'a> {
    fleet: &'a Fleet,
    disk: PathBuf,
}

impl<'a> Host<'a> {
    fn new(fleet: &'a Fleet, size: &str) -> Host<'a> {
        let disk = std::env::temp_dir().join(format!("breakit-host-{}.img", fleet.name));
        let path = disk.display();
        let mkfs = "mkfs.ext4 -q -F -m 0 -E lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0";
        sh(&format!("truncate -s {size} {path} && {mkfs} {path}")).expect(0);
        Host { fleet, disk }
    }

    fn run(&self, script: &str) -> Run {
        // Other tests' store is in this copy of the host's mounts: without it, it would lie hidden beneath the disk.
        let script = format!(
            "umount -lR /var/lib/breakit/store 2>/dev/null
             mkdir -p /var/lib/breakit && mount -o loop {disk} /var/lib/breakit && mount -t tmpfs -o mode=755 run /run && mkdir /run/breakit || exit 99
             rmdir /var/lib/breakit/lost+found 2>/dev/null
             trap '{tool} down -q; cd /; umount -lR /var/lib/breakit' EXIT
             {script}",
            disk = self.disk.display(),
            tool = env!("CARGO_BIN_EXE_lxc-fleet"),
        );
        in_a_network_of_its_own(self.fleet, &script, &[])
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.disk);
    }
}
