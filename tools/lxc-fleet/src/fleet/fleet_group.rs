//! The control groups of a fleet: one for the fleet, and below it one for each node and one for LXC's monitor of it.
//!
//! The fleet's own carries the limit for all nodes together. A monitor that is killed leaves the groups of its node
//! behind, and LXC starts no node whose group is there: they are removed before a start and at the end.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::node::Name;
use breakit::size::show_about;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::node::cgroup::{self, Group};
use crate::step::Step;

/// How long the kernel may take to end what was killed.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a monitor that has just ended its node may take to go by itself.
const GRACE: Duration = Duration::from_millis(500);

/// The fleet's group, below the group in which the host started.
fn of_fleet(fleet: &Name) -> String {
    format!("breakit-{fleet}")
}

/// A node's group, as LXC's configuration names it.
pub fn of_node(fleet: &Name, node: &str) -> String {
    format!("{}/{node}", of_fleet(fleet))
}

/// The group of LXC's monitor of a node. No name of a node has a dot.
pub fn of_monitor(fleet: &Name, node: &str) -> String {
    format!("{}/{node}.monitor", of_fleet(fleet))
}

/// Which version of control groups a controller is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy of its own.
    One,
    /// The one hierarchy of all.
    Two,
}

impl Version {
    /// What LXC's settings of this version begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Version::One => "lxc.cgroup",
            Version::Two => "lxc.cgroup2",
        }
    }
}

/// The hierarchy that has the controller.
fn hierarchy<'a>(roots: &'a [Group], controller: &str) -> Option<(Version, &'a Group)> {
    if let Some(one) = roots.iter().find(|group| group.has(controller)) {
        return Some((Version::One, one));
    }
    let two = roots.iter().find(|group| group.controllers.is_none())?;
    let offered = fs::read_to_string(two.folder.join("cgroup.controllers")).unwrap_or_default();
    offered.split_whitespace().any(|name| name == controller).then_some((Version::Two, two))
}

/// Which version of control groups has the controller.
///
/// # Errors
/// 69 if none has it: then the limits could not be kept.
pub fn version(controller: &str) -> Result<Version> {
    let roots = cgroup::of_host()?;
    hierarchy(&roots, controller).map(|(version, _)| version).ok_or_else(|| missing(controller))
}

fn missing(controller: &str) -> Error {
    Error::missing(format!(
        "no cgroup controller {controller} is mounted on this host, so that nodes would have no limit; mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd"
    ))
}

/// The step that makes it.
pub fn making(fleet: &Name, memory: u64) -> Step<'_> {
    let line =
        format!("# make the control group breakit-{fleet}, with {} of memory", show_about(memory));
    Step::told(line, move || make(fleet, memory))
}

/// Makes the fleet's group, with `memory` bytes for all nodes together. It may be there.
///
/// # Errors
/// 69 if this host cannot limit memory, 71 if the system refuses.
pub fn make(fleet: &Name, memory: u64) -> Result<()> {
    let roots = cgroup::of_host()?;
    let (version, root) = hierarchy(&roots, "memory").ok_or_else(|| missing("memory"))?;
    let folder = root.folder.join(of_fleet(fleet));
    if version == Version::Two {
        // In what lies below, a controller is there only if it is handed on.
        let _ = fs::write(root.folder.join("cgroup.subtree_control"), "+memory +pids");
    }
    match fs::create_dir(&folder) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            return Err(Error::io(format!("make {}", folder.display()), &e));
        }
        _ => {}
    }
    let files: &[&str] = match version {
        Version::One => &["memory.limit_in_bytes"],
        Version::Two => &["memory.max"],
    };
    for file in files.iter().map(|file| folder.join(file)) {
        fs::write(&file, memory.to_string())
            .map_err(|e| Error::io(format!("write {}", file.display()), &e))?;
    }
    Ok(())
}

/// Ends and removes what a killed monitor left of a node; `id` is what LXC calls it.
///
/// # Errors
/// 71 if a process there does not end.
pub fn sweep(fleet: &Name, node: &str, id: &str) -> Result<()> {
    let names = [
        of_node(fleet, node),
        of_monitor(fleet, node),
        // As earlier versions had them.
        format!("lxc.payload.{id}"),
        format!("lxc.monitor.{id}"),
    ];
    let mut errors = Vec::new();
    for root in cgroup::of_host()? {
        for folder in names.iter().map(|name| root.folder.join(name)).filter(|f| f.exists()) {
            errors.extend(end(&folder).err());
        }
    }
    Error::all(errors)
}

/// Removes the fleet's group, in which no node is left.
///
/// # Errors
/// 71 if something is in it still.
pub fn remove(fleet: &Name) -> Result<()> {
    let mut errors = Vec::new();
    for root in cgroup::of_host()? {
        let folder = root.folder.join(of_fleet(fleet));
        if folder.exists() {
            errors.extend(end(&folder).err());
        }
    }
    Error::all(errors)
}

/// Ends all that is in a group and below, and removes it.
fn end(folder: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        let left = members(folder);
        if left.is_empty() && remove_folder(folder)? {
            return Ok(());
        }
        if begun.elapsed() > GRACE {
            left.iter().for_each(|pid| {
                // One that has just ended needs no signal.
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            });
            thaw(folder);
        }
        if begun.elapsed() > LIMIT {
            let left =
                left.first().map_or(String::new(), |pid| format!("; process {pid} is in it"));
            return Err(Error::system(format!("cannot remove {}{left}", folder.display())));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What stands still does not die.
fn thaw(folder: &Path) {
    for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let file = folder.join(file);
        if file.exists() {
            let _ = fs::write(file, word);
        }
    }
    below(folder).iter().for_each(|folder| thaw(folder));
}

fn members(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    // 0 is a process of another pid namespace.
    let own = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0);
    own.chain(below(folder).iter().flat_map(|folder| members(folder))).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    cgroup::subfolders(folder)
}

/// Removes a group with those below; false if the kernel is not done with its processes.
fn remove_folder(folder: &Path) -> Result<bool> {
    for folder in below(folder) {
        if !remove_folder(&folder)? {
            return Ok(false);
        }
    }
    let busy = |e: &io::Error| e.raw_os_error() == Some(nix::libc::EBUSY);
    match fs::remove_dir(folder) {
        Err(e) if busy(&e) => Ok(false),
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", folder.display()), &e))
        }
        _ => Ok(true),
    }
}
