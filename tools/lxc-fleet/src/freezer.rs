//! The kernel's freezer: lets all processes of a container stand still.
//!
//! Not through lxc-freeze: with cgroups of version 1 that looks once whether the processes stand still, and where
//! they do not yet, it sleeps for a whole second.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};

/// How long the kernel may take until every process stands still; one in an uninterruptible wait takes longest.
const LIMIT: Duration = Duration::from_secs(10);

/// How far the freezing of a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ice {
    /// Nobody asked for it.
    Thawed,
    /// It was asked for, and a process does not stand still yet: one in an uninterruptible wait, which may last.
    Freezing,
    /// All processes stand still.
    Frozen,
}

/// The freezer of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freezer {
    /// The file `freezer.state` of cgroups of version 1.
    One(PathBuf),
    /// The folder with `cgroup.freeze` and `cgroup.events` of version 2.
    Two(PathBuf),
}

impl Freezer {
    /// The freezer of the container whose first process is `init`.
    ///
    /// # Errors
    /// 69 where no freezer is mounted; 71 where `init` is gone.
    pub fn of(init: u32) -> Result<Freezer> {
        let read = |path: &str| {
            fs::read_to_string(path).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Error::system("did end just now"),
                _ => Error::io(format!("read {path}"), &e),
            })
        };
        let (groups, mounts) =
            (read(&format!("/proc/{init}/cgroup"))?, read("/proc/self/mountinfo")?);
        if groups.lines().all(|line| line.ends_with(":/")) {
            // A process that has ended lies in the root of every hierarchy until it is reaped.
            return Err(Error::system("did end just now"));
        }
        find(&groups, &mounts).ok_or_else(|| {
            Error::missing(
                "no cgroup freezer is mounted on this host; mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd",
            )
        })
    }

    /// How far the freezing is.
    ///
    /// # Errors
    /// 71 where the kernel does not say.
    pub fn ice(&self) -> Result<Ice> {
        let read = |file: &Path| {
            fs::read_to_string(file).map_err(|e| Error::io(format!("read {}", file.display()), &e))
        };
        match self {
            Freezer::One(file) => Ok(match read(file)?.trim() {
                "FROZEN" => Ice::Frozen,
                "FREEZING" => Ice::Freezing,
                _ => Ice::Thawed,
            }),
            Freezer::Two(folder) => {
                let asked = read(&folder.join("cgroup.freeze"))?.trim() == "1";
                let events = read(&folder.join("cgroup.events"))?;
                Ok(match (events.lines().any(|line| line.trim() == "frozen 1"), asked) {
                    (true, _) => Ice::Frozen,
                    (false, true) => Ice::Freezing,
                    (false, false) => Ice::Thawed,
                })
            }
        }
    }

    /// Freezes, and waits until all processes stand still. Where one does not, all are let go again: an order
    /// that was left to the kernel would be carried out whenever that one wakes, with nobody there to undo it.
    ///
    /// # Errors
    /// 71 where the kernel refuses, 75 where it is not so in time.
    pub fn freeze(&self) -> Result<()> {
        self.freeze_within(LIMIT)
    }

    fn freeze_within(&self, limit: Duration) -> Result<()> {
        self.order(Ice::Frozen, limit).map_err(|error| match self.thaw() {
            Ok(()) => error,
            Err(more) => Error::Many(vec![error, more]),
        })
    }

    /// Takes back every order to freeze, also one that the kernel has not carried out yet, and waits until it
    /// is so.
    ///
    /// # Errors
    /// 71 where the kernel refuses, 75 where it is not so in time.
    pub fn thaw(&self) -> Result<()> {
        self.order(Ice::Thawed, LIMIT)
    }

    /// The file that takes the order to freeze or thaw, and the word for it.
    pub fn order_of(&self, frozen: bool) -> (PathBuf, &'static str) {
        match self {
            Freezer::One(file) => (file.clone(), if frozen { "FROZEN" } else { "THAWED" }),
            Freezer::Two(folder) => (folder.join("cgroup.freeze"), if frozen { "1" } else { "0" }),
        }
    }

    fn order(&self, wanted: Ice, limit: Duration) -> Result<()> {
        let frozen = wanted == Ice::Frozen;
        let (file, word) = self.order_of(frozen);
        let deadline = Instant::now() + limit;
        loop {
            // Written again each time: version 1 tries only when it is told.
            fs::write(&file, word)
                .map_err(|e| Error::io(format!("write {}", file.display()), &e))?;
            if self.ice()? == wanted {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
            // Judged before the next order: who was stopped in here must not give it when its time is over.
            if Instant::now() > deadline {
                return Err(Error::waited(format!(
                    "did not {} within {}",
                    if frozen { "pause" } else { "go on" },
                    breakit::clock::show(limit)
                )));
            }
        }
    }
}

/// Finds the freezer in the texts of /proc/PID/cgroup and /proc/self/mountinfo.
fn find(groups: &str, mounts: &str) -> Option<Freezer> {
    let version_one = groups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|c| c == "freezer").then_some(path)
    });
    if let Some(path) = version_one {
        let point = mount_point(mounts, |kind, options| {
            kind == "cgroup" && options.split(',').any(|o| o == "freezer")
        })?;
        return Some(Freezer::One(below(point, path).join("freezer.state")));
    }
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let point = mount_point(mounts, |kind, _| kind == "cgroup2")?;
    Some(Freezer::Two(below(point, path)))
}

/// The container's own group: its first process may have moved into one below.
fn below(point: &str, path: &str) -> PathBuf {
    let mut folder = PathBuf::from(point);
    for part in Path::new(path).components().skip(1) {
        folder.push(part);
        if part.as_os_str().to_str().is_some_and(|name| name.starts_with("lxc.payload")) {
            break;
        }
    }
    folder
}

/// The first mount whose kind and options are those.
fn mount_point(mounts: &str, is_it: impl Fn(&str, &str) -> bool) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let (kind, options) = (back.next()?, back.nth(1)?);
        is_it(kind, options).then(|| front.split(' ').nth(4)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const BOTH: &str = "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                        31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                        32 23 0:28 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";

    #[test]
    fn version_two_is_taken_where_it_is_alone() {
        let found = find("0::/lxc.payload.breakit-x-n1/init.scope\n", TWO).unwrap();
        assert_eq!(found, Freezer::Two("/sys/fs/cgroup/lxc.payload.breakit-x-n1".into()));
    }

    #[test]
    fn version_one_is_taken_where_it_has_the_freezer() {
        let groups =
            "7:freezer:/lxc.payload.breakit-x-n1\n3:cpu,cpuacct:/a\n0::/lxc.payload.breakit-x-n1\n";
        let found = find(groups, BOTH).unwrap();
        assert_eq!(
            found,
            Freezer::One("/sys/fs/cgroup/freezer/lxc.payload.breakit-x-n1/freezer.state".into())
        );
    }

    /// Version 2 as files that nobody acts on: what is ordered is never carried out.
    fn deaf() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("breakit-freezer-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup.freeze"), "0\n").unwrap();
        fs::write(folder.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        folder
    }

    #[test]
    fn a_freeze_that_does_not_come_in_time_is_taken_back() {
        let folder = deaf();
        let freezer = Freezer::Two(folder.clone());
        let error = freezer.freeze_within(Duration::from_millis(20)).unwrap_err();
        let left = fs::read_to_string(folder.join("cgroup.freeze")).unwrap();
        fs::write(folder.join("cgroup.freeze"), "1").unwrap();
        let ordered = freezer.ice().unwrap();
        freezer.thaw().unwrap();
        let thawed = freezer.ice().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(error.to_string(), "did not pause within 20ms");
        assert_eq!((left.as_str(), ordered, thawed), ("0", Ice::Freezing, Ice::Thawed));
    }

    #[test]
    fn a_host_without_a_freezer_has_none() {
        assert_eq!(find("3:cpu,cpuacct:/a\n", BOTH), None);
    }
}
