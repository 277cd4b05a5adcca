//! A fleet of real containers for a test, and what must be gone after it.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::process::{Run, run, shell};

/// In a chroot even root may make no user namespace: unshare(2), EPERM.
fn is_chroot() -> bool {
    let tried = Command::new("unshare").args(["--user", "true"]).output();
    tried.is_ok_and(|tried| {
        String::from_utf8_lossy(&tried.stderr).contains("Operation not permitted")
    })
}

/// A fleet under a name of its own. Dropped, it is taken down, whatever happened to the test.
#[derive(Debug)]
pub struct Fleet {
    /// What `$BREAKIT_FLEET` must be for the tools to find it.
    pub name: String,
}

impl Fleet {
    /// Says why there can be no fleet here, if so.
    pub fn impossible() -> Option<&'static str> {
        if !crate::is_root() {
            Some("not root: LXC containers need it")
        } else if !crate::has("lxc-start") {
            Some("no LXC; install the package lxc")
        } else if std::fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|map| !map.contains("4294967295"))
        {
            Some("root of a user namespace only: LXC containers need the system's")
        } else if is_chroot() {
            Some("a chroot, from which a node would see the files of the host outside")
        } else {
            None
        }
    }

    /// One that is not up yet; `tag` is all that the names of two tests of one process differ in.
    ///
    /// The process has as many digits in every name, so that no name is the beginning of another: what is left of
    /// a fleet is looked for by its name.
    ///
    /// # Panics
    /// Where the name would be too long for a bridge's.
    #[track_caller]
    pub fn new(tag: &str) -> Fleet {
        let name = format!("{tag}{:07}", std::process::id());
        assert!(name.len() <= 12, "{name}: a tag has five letters at most");
        Fleet { name }
    }

    /// Builds the image and brings `n1..nN` up.
    ///
    /// # Panics
    /// Where `lxc-fleet` fails.
    #[track_caller]
    pub fn up(tag: &str, nodes: usize, image: &str, packages: &str) -> Fleet {
        let fleet = Fleet::new(tag);
        fleet.sh(&format!("lxc-fleet -q image {image} --packages {packages}")).expect(0);
        fleet.sh(&format!("lxc-fleet -q up n1..n{nodes} --image {image}")).expect(0);
        fleet
    }

    /// Prepares a shell line so that its tools find this fleet.
    pub fn shell(&self, line: &str) -> std::process::Command {
        let mut command = shell(line);
        command.env("BREAKIT_FLEET", &self.name);
        command
    }

    /// Runs a shell line to its end.
    ///
    /// # Panics
    /// Where it takes longer than a minute.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Run {
        run(&mut self.shell(line))
    }

    /// The cuts among its nodes: another fleet's, of a test that runs beside this one, are none of ours.
    #[track_caller]
    pub fn cuts(&self) -> String {
        self.sh("lxc-fleet nodes | partition list -n -").expect(0).stdout
    }

    /// Waits until no cut stands among its nodes, and no table of the holder `holder`.
    ///
    /// # Panics
    /// Where something is left after `limit`.
    #[track_caller]
    pub fn wait_until_healed(&self, holder: Pid, limit: Duration) {
        let (deadline, table) = (Instant::now() + limit, format!("_{holder}_"));
        loop {
            let cuts = self.cuts();
            let tables = self.sh("nft list tables").expect(0).stdout;
            if cuts.is_empty() && !tables.contains(&table) {
                return;
            }
            assert!(Instant::now() < deadline, "left after {limit:?}:\n{cuts}{tables}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let line = "lxc-fleet nodes | partition -q heal -n -; lxc-fleet -q down";
        let _ = self.shell(line).output();
    }
}
