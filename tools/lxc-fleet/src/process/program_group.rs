//! A control group of its own for each program that we start in a node.
//!
//! A program can fork away from its parent, its session and its process group, but not out of its control group:
//! the group alone says which processes belong to a program, and whether all of them have ended.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::node::cgroup::{self, Group, subfolders};
use crate::node::freezer::{Freezer, Ice, no_freezer};

/// How long processes may take to stand still before they are killed all the same.
const FREEZE_LIMIT: Duration = Duration::from_millis(500);

/// What the names of our own groups begin with; the number of the process that made it follows.
const PREFIX: &str = "exec-";

/// How the killing of a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// None of its processes is left.
    Dead,
    /// The node is paused: its processes die at the moment when they go on.
    WhenResumed,
    /// This process does not die; it may wait for a disk that does not answer.
    Not(i32),
}

/// The group of one program in a node, with all that the program starts.
///
/// It is a group below the node's own in the hierarchies that can freeze or kill; in all others the program is in
/// the node's own group. So the node's limits, its devices and its pauses hold for the program too.
#[derive(Debug)]
pub struct ProgramGroup {
    own: Vec<Group>,
    /// The file `cgroup.procs` of every hierarchy.
    doors: Vec<PathBuf>,
    node: Freezer,
}

impl ProgramGroup {
    /// Makes a group in the node whose first process is `init`.
    ///
    /// # Errors
    /// 69 if this host has no freezer; 71 if the node is gone or the system refuses.
    pub fn make(init: u32) -> Result<ProgramGroup> {
        let groups = cgroup::of_node(init)?;
        let node = Freezer::among(&groups).ok_or_else(no_freezer)?;
        let mut made = ProgramGroup { own: Vec::new(), doors: Vec::new(), node };
        let name = free_name(&groups);
        for mut group in groups {
            if ends_programs(&group) {
                sweep(&group.folder);
                group.folder.push(&name);
                make_folder(&group.folder)?;
                made.own.push(group.clone());
            }
            made.doors.push(group.folder.join("cgroup.procs"));
        }
        Ok(made)
    }

    /// Opens the files to which a process writes `0` to join; its children are born in the group.
    ///
    /// # Errors
    /// 71 if the node is gone.
    pub fn doors(&self) -> Result<Vec<File>> {
        self.doors.iter().map(|file| door(file)).collect()
    }

    /// Takes a process out again, into the groups of this process.
    ///
    /// # Errors
    /// 71 if the system refuses.
    pub fn take_out(pid: u32) -> Result<()> {
        for group in cgroup::of_self()? {
            let file = group.folder.join("cgroup.procs");
            match fs::write(&file, pid.to_string()) {
                // It has just ended.
                Err(e) if e.raw_os_error() == Some(nix::libc::ESRCH) => {}
                other => {
                    other.map_err(|e| Error::io(format!("write {}", file.display()), &e))?;
                }
            }
        }
        Ok(())
    }

    /// The processes in it.
    pub fn members(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let mut folders: Vec<PathBuf> = self.own.iter().map(|group| group.folder.clone()).collect();
        while let Some(folder) = folders.pop() {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            found.extend(
                text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|p| *p > 0),
            );
            folders.extend(subfolders(&folder));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Sends a signal to all in it.
    pub fn signal(&self, signal: Signal) {
        for pid in self.members() {
            // One that has just ended needs no signal.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Kills all in it, and looks again until none is left, `limit` at the most.
    pub fn kill(&self, limit: Duration) -> Killed {
        let deadline = Instant::now() + limit;
        let mut nap = Duration::from_millis(1);
        loop {
            self.kill_once();
            let Some(left) = self.members().first().copied() else { return Killed::Dead };
            if self.is_paused() {
                return Killed::WhenResumed;
            }
            if Instant::now() > deadline {
                return Killed::Not(left);
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(50));
        }
    }

    /// Kills all that are there now. The kernel does it at one stroke where it can (Linux 5.14, version 2);
    /// otherwise all stand still meanwhile, so that nobody forks away.
    fn kill_once(&self) {
        let two = self.own.iter().find(|group| group.controllers.is_none());
        if two.is_none_or(|group| fs::write(group.folder.join("cgroup.kill"), "1").is_err()) {
            self.kill_frozen();
        }
        self.signal(Signal::SIGKILL);
    }

    fn kill_frozen(&self) {
        let Some(freezer) = Freezer::among(&self.own) else { return };
        let deadline = Instant::now() + FREEZE_LIMIT;
        loop {
            let (file, word) = freezer.order_of(true);
            // If it cannot be frozen, it is killed as it runs, again and again.
            let ordered = fs::write(file, word).is_ok();
            if !ordered || freezer.ice().ok() == Some(Ice::Frozen) || Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.signal(Signal::SIGKILL);
        let (file, word) = freezer.order_of(false);
        let _ = fs::write(file, word);
    }

    fn is_paused(&self) -> bool {
        matches!(self.node.ice(), Ok(Ice::Frozen | Ice::Freezing))
    }
}

impl Drop for ProgramGroup {
    fn drop(&mut self) {
        for group in &self.own {
            // A daemon that the program left is still in it; then it is removed with the node.
            let _ = fs::remove_dir(&group.folder);
        }
    }
}

/// A name that no group has. One that was left by a process with our number may still hold a daemon.
fn free_name(groups: &[Group]) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}", std::process::id());
        if !groups.iter().any(|group| group.folder.join(&name).exists()) {
            return name;
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir(folder).map_err(|e| Error::io(format!("make {}", folder.display()), &e))
}

fn door(file: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .open(file)
        .map_err(|e| Error::io(format!("open {}", file.display()), &e))
}

/// Removes the empty groups whose makers were killed. One that is in use cannot be removed.
fn sweep(node: &Path) {
    for folder in subfolders(node) {
        let maker = folder
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if maker.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether all processes of a group can be frozen or killed at once.
fn ends_programs(group: &Group) -> bool {
    group.controllers.is_none() || group.has("freezer")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group beside our own, as one in a node would be.
    fn group() -> Option<ProgramGroup> {
        let mut own = cgroup::of_self().ok()?;
        own.retain(ends_programs);
        for group in &mut own {
            group.folder.push(format!("breakit-test-{}", std::process::id()));
            make_folder(&group.folder).ok()?;
        }
        let doors = own.iter().map(|group| group.folder.join("cgroup.procs")).collect();
        Some(ProgramGroup { node: Freezer::among(&own)?, own, doors })
    }

    #[test]
    fn processes_that_fork_as_fast_as_they_can_are_killed_without_the_kernels_help_too() {
        use std::io::Write;
        use std::os::unix::process::CommandExt;
        let Some(group) = group() else {
            breakit_tests::skip!("no control group can be made here");
        };
        let doors = group.doors().unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "trap '' TERM; echo 1; while :; do sleep 4711 & done"]);
        command.stdout(std::process::Stdio::piped());
        // SAFETY: between fork and exec the closure only writes to descriptors that it owns.
        unsafe { command.pre_exec(move || doors.iter().try_for_each(|mut d| d.write_all(b"0"))) };
        let mut child = command.spawn().unwrap();
        let mut said = [0; 2];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !group.members().is_empty() {
            assert!(Instant::now() < deadline, "{:?} live", group.members());
            group.kill_frozen();
            let _ = child.try_wait();
        }
        child.wait().unwrap();
        assert!(!group.is_paused(), "what is left of the group runs");
    }
}
