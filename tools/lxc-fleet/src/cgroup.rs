//! The control groups of a node, and a group of its own for each program that we start in it.
//!
//! A program can fork away from its parent, its session and its process group, but not out of its control group:
//! the group alone says which processes belong to a program, and whether all of them have ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::freezer::{Freezer, Ice};

/// How long processes may take to stand still before they are killed all the same.
const FREEZE_LIMIT: Duration = Duration::from_millis(500);

/// What the names of our own groups begin with; the number of the process that made it follows.
const PREFIX: &str = "exec-";

/// The group of a process in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The controllers of version 1, none for version 2.
    pub controllers: Option<Vec<String>>,
    /// Its folder.
    pub folder: PathBuf,
}

impl Group {
    /// Whether all its processes can be frozen or killed at once.
    fn ends_programs(&self) -> bool {
        self.controllers.is_none() || self.has("freezer")
    }

    /// Whether the controller is in this hierarchy, of version 1.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.as_ref().is_some_and(|all| all.iter().any(|c| c == controller))
    }
}

/// The groups of the node whose first process is `init`, one in each hierarchy that is mounted.
///
/// The first process may have moved into a group below (systemd does); the node's own group is the root of its
/// cgroup namespace.
///
/// # Errors
/// 71 if `init` is gone.
pub fn of_node(init: u32) -> Result<Vec<Group>> {
    let outside = read(&format!("/proc/{init}/cgroup"))?;
    if outside.lines().all(|line| line.ends_with(":/")) {
        // A process that has ended is in the root of every hierarchy until it is reaped.
        return Err(gone());
    }
    let inside = seen_from_inside(init)?;
    Ok(parse(&outside, &inside, &read("/proc/self/mountinfo")?))
}

/// The groups in which the host started, the roots of every hierarchy: LXC makes the groups of root's containers
/// below them.
///
/// # Errors
/// 71 if /proc cannot be read.
pub fn of_host() -> Result<Vec<Group>> {
    let text = read("/proc/1/cgroup")?;
    let mut groups = parse_all(&text, "", &read("/proc/self/mountinfo")?);
    for group in &mut groups {
        // systemd has moved itself into this one.
        if group.folder.ends_with("init.scope") {
            group.folder.pop();
        }
    }
    Ok(groups)
}

/// The groups that this process itself is in.
fn of_self() -> Result<Vec<Group>> {
    Ok(parse_all(&read("/proc/self/cgroup")?, "", &read("/proc/self/mountinfo")?))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => gone(),
        _ if e.raw_os_error() == Some(nix::libc::ESRCH) => gone(),
        _ => Error::io(format!("read {path}"), &e),
    })
}

/// The error of a node whose first process has ended.
pub fn gone() -> Error {
    Error::predicate(Status::System, "did end just now")
}

/// What /proc/INIT/cgroup says to a reader in the node's own cgroup namespace; nothing if it has none.
fn seen_from_inside(init: u32) -> Result<String> {
    let path = |pid: &str| PathBuf::from(format!("/proc/{pid}/ns/cgroup"));
    let theirs = path(&init.to_string());
    match (fs::read_link(&theirs), fs::read_link(path("self"))) {
        (Ok(theirs), Ok(ours)) if theirs != ours => {}
        _ => return Ok(String::new()),
    }
    let namespace = File::open(&theirs).map_err(|_| gone())?;
    // The namespace belongs to a thread: this one alone enters it, and ends there.
    let look = move || {
        setns(&namespace, CloneFlags::CLONE_NEWCGROUP)
            .map_err(|e| Error::io("enter a node's cgroup namespace", &e.into()))?;
        read(&format!("/proc/{init}/cgroup"))
    };
    std::thread::scope(|scope| scope.spawn(look).join())
        .unwrap_or_else(|_| Err(Error::system("the thread in a node's cgroup namespace died")))
}

/// The groups of a node. A hierarchy in which it has none (it is in the root) is left out.
fn parse(outside: &str, inside: &str, mounts: &str) -> Vec<Group> {
    let mut groups = parse_all(outside, inside, mounts);
    let roots: Vec<PathBuf> =
        mounts.lines().filter_map(Mount::parse).map(|mount| mount.point.into()).collect();
    groups.retain(|group| !roots.contains(&group.folder));
    groups
}

/// `outside` and `inside` are the text of one /proc/PID/cgroup, read outside and inside of its namespace.
fn parse_all(outside: &str, inside: &str, mounts: &str) -> Vec<Group> {
    let mounts: Vec<Mount<'_>> = mounts.lines().filter_map(Mount::parse).collect();
    let mut groups = Vec::new();
    for (controllers, path) in outside.lines().filter_map(membership) {
        let below = inside.lines().filter_map(membership).find(|(c, _)| *c == controllers);
        let below = below.map_or("", |(_, path)| path.trim_end_matches('/'));
        let own = path.strip_suffix(below).unwrap_or(path);
        let folder = mounts.iter().find_map(|mount| mount.folder(controllers, own));
        let names = controllers.split(',').map(str::to_string).collect();
        let controllers = (!controllers.is_empty()).then_some(names);
        groups.extend(folder.map(|folder| Group { controllers, folder }));
    }
    groups
}

/// `7:freezer:/a` as the controllers and the path.
fn membership(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

/// A mounted hierarchy.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    version_two: bool,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (front, back) = line.split_once(" - ")?;
        let (mut front, mut back) = (front.split(' ').skip(3), back.split(' '));
        let (root, point, kind) = (front.next()?, front.next()?, back.next()?);
        let version_two = kind == "cgroup2";
        (version_two || kind == "cgroup").then_some(())?;
        Some(Mount { root, point, version_two, options: back.nth(1)? })
    }

    fn folder(&self, controllers: &str, path: &str) -> Option<PathBuf> {
        let fits = match controllers {
            "" => self.version_two,
            list => {
                let has = |c: &str| self.options.split(',').any(|option| option == c);
                !self.version_two && list.split(',').all(has)
            }
        };
        let below = Path::new(path).strip_prefix(self.root).ok()?;
        // Joined with nothing, a path would end with a slash.
        let folder =
            PathBuf::from_iter(Path::new(self.point).components().chain(below.components()));
        fits.then_some(folder)
    }
}

/// The freezer among a node's groups; version 1 if it has the freezer there.
pub fn freezer(groups: &[Group]) -> Option<Freezer> {
    let one = groups.iter().find(|group| group.has("freezer"));
    let two = || groups.iter().find(|group| group.controllers.is_none());
    one.map(|group| Freezer::One(group.folder.join("freezer.state")))
        .or_else(|| two().map(|group| Freezer::Two(group.folder.clone())))
}

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
        let groups = of_node(init)?;
        let node = freezer(&groups).ok_or_else(no_freezer)?;
        let mut made = ProgramGroup { own: Vec::new(), doors: Vec::new(), node };
        let name = free_name(&groups);
        for mut group in groups {
            if group.ends_programs() {
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
        for group in of_self()? {
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
        let Some(freezer) = freezer(&self.own) else { return };
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

/// What is said if there is no freezer.
pub fn no_freezer() -> Error {
    Error::missing(
        "no cgroup freezer is mounted on this host; mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd",
    )
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

/// The groups right below one.
pub fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(io::Result::ok);
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const BOTH: &str = "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                        31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                        32 23 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";

    #[test]
    fn version_two_is_taken_where_it_is_alone_and_the_group_is_the_root_of_the_nodes_namespace() {
        let groups = parse("0::/breakit-x/n1/init.scope\n", "0::/init.scope\n", TWO);
        let folder = PathBuf::from("/sys/fs/cgroup/breakit-x/n1");
        assert_eq!(groups, [Group { controllers: None, folder: folder.clone() }]);
        assert_eq!(freezer(&groups), Some(Freezer::Two(folder)));
    }

    #[test]
    fn version_one_is_taken_where_it_has_the_freezer() {
        let outside = "7:freezer:/lxc.payload.breakit-x-n1\n3:cpu,cpuacct:/a\n0::/x\n";
        let groups = parse(outside, "7:freezer:/\n3:cpu,cpuacct:/\n0::/\n", BOTH);
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[1].folder, Path::new("/sys/fs/cgroup/cpu,cpuacct/a"));
        let state = "/sys/fs/cgroup/freezer/lxc.payload.breakit-x-n1/freezer.state";
        assert_eq!(freezer(&groups), Some(Freezer::One(state.into())));
    }

    #[test]
    fn a_host_without_a_freezer_has_none_and_the_root_of_a_hierarchy_is_nobodys_group() {
        let groups = parse("3:cpu,cpuacct:/a\n7:freezer:/\n", "", BOTH);
        assert_eq!(groups.len(), 1, "{groups:?}");
        assert_eq!(freezer(&groups), None);
    }

    #[test]
    fn a_mount_that_shows_a_part_of_a_hierarchy_is_looked_into_from_there() {
        let part = "30 23 0:26 /docker/7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let groups = parse("0::/docker/7/n1\n", "", part);
        assert_eq!(groups[0].folder, Path::new("/sys/fs/cgroup/n1"));
        assert_eq!(parse("0::/elsewhere/n1\n", "", part), []);
    }

    /// A group beside our own, as one in a node would be.
    fn group() -> Option<ProgramGroup> {
        let mut own = of_self().ok()?;
        own.retain(Group::ends_programs);
        for group in &mut own {
            group.folder.push(format!("breakit-test-{}", std::process::id()));
            make_folder(&group.folder).ok()?;
        }
        let doors = own.iter().map(|group| group.folder.join("cgroup.procs")).collect();
        Some(ProgramGroup { node: freezer(&own)?, own, doors })
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
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
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
