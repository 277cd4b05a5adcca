//! Nothing of the host's crosses into a node with a program.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use breakit_tests::process::{Run, run};

use crate::bed::{Fleet, fleet};

/// Runs lxc-fleet (`TOOL` in the line) in a shell that has descriptors on the host's root.
fn leaky(fleet: &Fleet, line: &str) -> Run {
    let line = line.replace("TOOL", env!("CARGO_BIN_EXE_lxc-fleet"));
    let line = format!("exec 7</ 9</etc 33<>/dev/zero; {line}");
    run(Command::new("bash").args(["-c", &line]).env("BREAKIT_FLEET", &fleet.name))
}

/// Lists the descriptors of whoever runs it; 3 is the listing's own.
const LIST: &str = "ls /proc/self/fd | tr '\\n' ' '";

#[test]
fn a_node_gets_stdin_stdout_and_stderr_and_no_descriptor_besides() {
    let fleet = fleet!();
    leaky(&fleet, "TOOL up n1").expect(0);
    for flags in ["", "-i", "--prefix"] {
        let said = leaky(&fleet, &format!("TOOL exec {flags} n1 -- sh -c \"{LIST}\"")).expect(0);
        assert_eq!(said.stdout.trim_end().trim_start_matches("n1: "), "0 1 2 3", "exec {flags}");
    }

    // What push and pull run in a node is the node's own.
    fleet.sh(
        "n1",
        "printf '#!/bin/sh\\nls /proc/self/fd | tr \"\\\\n\" \" \" >> /tmp/seen\\nexec /bin/tar \"$@\"\\n' \
         > /usr/local/bin/tar; chmod +x /usr/local/bin/tar",
    );
    let target = std::env::temp_dir().join(&fleet.name);
    leaky(&fleet, "TOOL push /etc/hostname n1:/tmp/x").expect(0);
    leaky(&fleet, &format!("TOOL pull n1:/tmp/x {}", target.display())).expect(0);
    fs::remove_file(target).unwrap();
    assert_eq!(fleet.sh("n1", "cat /tmp/seen").trim_end(), "0 1 2 3 ".repeat(4).trim_end());

    // Its first process has the node's console, and the script that it runs.
    for entry in fs::read_dir(format!("/proc/{}/fd", fleet.init("n1"))).unwrap() {
        let file = fs::read_link(entry.unwrap().path()).unwrap();
        let file = file.to_str().unwrap();
        assert!(
            file.starts_with("/dev/pts/") || file.ends_with("/usr/sbin/breakit-init"),
            "{file}"
        );
    }
}

#[test]
fn what_a_program_does_to_its_descriptors_changes_no_file_of_the_caller_and_no_device_of_the_host()
{
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let dir = std::env::temp_dir().join(&fleet.name);
    fs::create_dir_all(&dir).unwrap();
    let devices = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/full"];
    let modes = || devices.map(|path| fs::metadata(path).map(|m| (m.mode(), m.uid())).unwrap());
    let before = modes();
    let attack = "for fd in 0 1 2; do chmod 4777 /proc/self/fd/$fd; chown 1:1 /proc/self/fd/$fd; done; \
         cp /bin/true /proc/self/fd/1; echo done";
    for flags in ["", "-i"] {
        for streams in
            ["<in >out 2>err", "</dev/zero >out 2>/dev/null", "<in >/dev/null 2>/dev/full"]
        {
            for name in ["in", "out", "err"] {
                fs::write(dir.join(name), "").unwrap();
                fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o640)).unwrap();
                std::os::unix::fs::chown(dir.join(name), Some(1234), Some(1234)).unwrap();
            }
            let line =
                format!("cd {}; TOOL exec {flags} n1 -- sh -c '{attack}' {streams}", dir.display());
            leaky(&fleet, &line);
            for name in ["in", "out", "err"] {
                let found = fs::metadata(dir.join(name)).unwrap();
                let found = (found.mode() & 0o7777, found.uid(), found.gid());
                assert_eq!(found, (0o640, 1234, 1234), "{name} after {flags} {streams}");
            }
            assert_eq!(modes(), before, "after {flags} {streams}");
        }
    }
    fs::remove_dir_all(dir).unwrap();
}
