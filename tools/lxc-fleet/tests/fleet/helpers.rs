//! Programs that somebody put first in `PATH`: never run on the host, whatever lxc-fleet does.

use breakit_tests::process::{Run, run};
use breakit_tests::{Fakes, Folder};

use crate::bed::*;

#[test]
fn no_program_of_somebodys_path_is_run() {
    let fleet = fleet!();
    let helpers = [
        "ip",
        "nft",
        "mount",
        "umount",
        "losetup",
        "mkfs.ext4",
        "tar",
        "sh",
        "unshare",
        "ping",
        "lxc-start",
        "lxc-attach",
        "lxc-info",
        "lxc-stop",
        "lxc-freeze",
        "lxc-unfreeze",
        "cat",
        "chroot",
        "env",
        "newuidmap",
        "newgidmap",
    ];
    let fakes = Fakes::new(&helpers);
    let folder = Folder::new("copied");
    let file = folder.write("file", "text");
    let with = |args: &[&str]| -> Run {
        let mut command = fleet.command(args);
        fakes.first_in_path(&mut command);
        run(&mut command)
    };
    with(&["up", "n1,n2"]).expect(0);
    assert_eq!(with(&["exec", "n1", "--", "cat", "/etc/hostname"]).expect(0).stdout, "n1\n");
    with(&["push", &file, "n1:/root"]).expect(0);
    with(&["pull", "n1:/root/file", &folder.file("back").display().to_string()]).expect(0);
    with(&["pause", "n1", "--for", "100ms"]).expect(0);
    with(&["stop", "n1"]).expect(0);
    with(&["start", "n1"]).expect(0);
    with(&["ls"]).expect(0);
    with(&["logs"]).expect(0);
    with(&["down"]).expect(0);
    fakes.are_left_alone();
}

#[test]
fn what_a_node_prints_on_its_console_steers_no_terminal() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let hostile = breakit_tests::hostile::TEXT;
    fleet.sh("n1", &format!("printf '%s\\xff\\n' '{hostile}' >/dev/console"));
    let shown = format!(r"{}\xff", breakit_tests::hostile::SHOWN);
    until("its console has it", SOON, || fleet.run(&["logs", "n1"]).stdout.contains(&shown));
    fleet.run(&["logs", "n1"]).expect(0).shows(&shown);
    // What exec passes on is the program's own.
    assert!(fleet.sh("n1", &format!("printf %s '{hostile}'")).contains(hostile));
}
