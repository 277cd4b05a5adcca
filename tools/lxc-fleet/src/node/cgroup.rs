//! The control groups of a node: where they lie in every hierarchy, of both versions.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result, Status};
use nix::sched::{CloneFlags, setns};

/// The group of a process in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The controllers of version 1, none for version 2.
    pub controllers: Option<Vec<String>>,
    /// Its folder.
    pub folder: PathBuf,
}

impl Group {
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
///
/// # Errors
/// 71 if /proc cannot be read.
pub fn of_self() -> Result<Vec<Group>> {
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

/// The groups right below one.
pub fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(io::Result::ok);
    entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::freezer::Freezer;

    const TWO: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const BOTH: &str = "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                        31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                        32 23 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";

    #[test]
    fn version_two_is_taken_where_it_is_alone_and_the_group_is_the_root_of_the_nodes_namespace() {
        let groups = parse("0::/breakit-x/n1/init.scope\n", "0::/init.scope\n", TWO);
        let folder = PathBuf::from("/sys/fs/cgroup/breakit-x/n1");
        assert_eq!(groups, [Group { controllers: None, folder: folder.clone() }]);
        assert_eq!(Freezer::among(&groups), Some(Freezer::Two(folder)));
    }

    #[test]
    fn version_one_is_taken_where_it_has_the_freezer() {
        let outside = "7:freezer:/lxc.payload.breakit-x-n1\n3:cpu,cpuacct:/a\n0::/x\n";
        let groups = parse(outside, "7:freezer:/\n3:cpu,cpuacct:/\n0::/\n", BOTH);
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[1].folder, Path::new("/sys/fs/cgroup/cpu,cpuacct/a"));
        let state = "/sys/fs/cgroup/freezer/lxc.payload.breakit-x-n1/freezer.state";
        assert_eq!(Freezer::among(&groups), Some(Freezer::One(state.into())));
    }

    #[test]
    fn a_host_without_a_freezer_has_none_and_the_root_of_a_hierarchy_is_nobodys_group() {
        let groups = parse("3:cpu,cpuacct:/a\n7:freezer:/\n", "", BOTH);
        assert_eq!(groups.len(), 1, "{groups:?}");
        assert_eq!(Freezer::among(&groups), None);
    }

    #[test]
    fn a_mount_that_shows_a_part_of_a_hierarchy_is_looked_into_from_there() {
        let part = "30 23 0:26 /docker/7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let groups = parse("0::/docker/7/n1\n", "", part);
        assert_eq!(groups[0].folder, Path::new("/sys/fs/cgroup/n1"));
        assert_eq!(parse("0::/elsewhere/n1\n", "", part), []);
    }
}
