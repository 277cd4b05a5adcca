//! The kernel's freezer: lets all processes of a container stand still.
//!
//! Not through lxc-freeze: with cgroups of version 1 that looks once whether the processes stand still, and where
//! they do not yet, it sleeps for a whole second.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use breakit::clock;
use breakit::exit::{Error, Result, Status};

use crate::node::cgroup::{self, Group};

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
        Freezer::among(&cgroup::of_node(init)?).ok_or_else(no_freezer)
    }

    /// The freezer among a node's groups; version 1 if it has the freezer there.
    pub fn among(groups: &[Group]) -> Option<Freezer> {
        let one = groups.iter().find(|group| group.has("freezer"));
        let two = || groups.iter().find(|group| group.controllers.is_none());
        one.map(|group| Freezer::One(group.folder.join("freezer.state")))
            .or_else(|| two().map(|group| Freezer::Two(group.folder.clone())))
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
                let (what, limit) = (if frozen { "pause" } else { "go on" }, clock::show(limit));
                let late = format!("did not {what} within {limit}");
                return Err(Error::predicate(Status::Waited, late));
            }
        }
    }
}

/// What is said if there is no freezer.
pub fn no_freezer() -> Error {
    Error::missing(
        "no cgroup freezer is mounted on this host; mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
