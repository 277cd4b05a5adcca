//! One invocation at a time: flock(2) on a folder that only root can open.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::node::RUN;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, fcntl};

use crate::files;
use crate::private;

/// A lock, held as long as this value, and by programs that were started meanwhile as long as they run.
/// The kernel takes it back from a process that is killed.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

impl Lock {
    /// Takes the lock on `folder`, which is made if it is missing; waits for whoever holds it.
    ///
    /// # Errors
    /// 71 or 77 if the folder cannot be made or opened.
    pub fn take(folder: &Path) -> Result<Lock> {
        loop {
            private::folder(folder).or_else(|error| unless_removed(folder, error))?;
            let file = match File::open(folder) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io(format!("open {}", folder.display()), &e)),
            };
            let held = wait(file, folder)?;
            inherited(&held, folder)?;
            // Whoever held it before us may have removed the folder: then we hold a lock on nothing.
            if is_still(&held, folder) {
                return Ok(Lock { _held: held });
            }
        }
    }

    /// Takes the lock on an existing `folder` only where nobody holds it.
    pub fn try_take(folder: &Path) -> Option<Lock> {
        let held = Flock::lock(File::open(folder).ok()?, FlockArg::LockExclusiveNonblock).ok()?;
        is_still(&held, folder).then_some(Lock { _held: held })
    }
}

/// A folder above may be removed by another invocation while we make those below it: that is no error.
fn unless_removed(folder: &Path, error: Error) -> Result<()> {
    let is_gone = folder.starts_with(RUN) && folder.parent().is_some_and(|above| !above.exists());
    if is_gone && error.status() == Status::NoInput { Ok(()) } else { Err(error) }
}

/// The lock on what all fleets share. With the last fleet the folders of locks go as well.
#[derive(Debug)]
pub struct LockOfAll {
    _lock: Lock,
}

/// Where it is: under a name that no fleet can have.
const ALL: &str = ".all";

impl LockOfAll {
    /// Takes it; waits for whoever holds it.
    ///
    /// # Errors
    /// 71 or 77.
    pub fn take() -> Result<LockOfAll> {
        Lock::take(&private::locks().join(ALL)).map(|lock| LockOfAll { _lock: lock })
    }
}

impl Drop for LockOfAll {
    fn drop(&mut self) {
        let locks = private::locks();
        // Each fleet that is up, and whoever works on one, has a folder there.
        if files::entries(&locks).is_ok_and(|names| names == [ALL]) {
            for folder in [locks.join(ALL), locks, RUN.into()] {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// The programs that we run hold the lock with us: where we are killed, whoever comes next waits until the last
/// `ip` or `lxc-start` of ours has ended too. (A container does not hold it: `lxc-start -d` closes all files.)
fn inherited(held: &File, folder: &Path) -> Result<()> {
    fcntl(held, FcntlArg::F_SETFD(FdFlag::empty()))
        .map(drop)
        .map_err(|errno| refused(folder, errno))
}

fn wait(file: File, folder: &Path) -> Result<Flock<File>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(held),
        Err((file, Errno::EWOULDBLOCK)) => {
            messages::detail(format!("waiting for another lxc-fleet ({})", folder.display()));
            blocking(file, folder)
        }
        Err((_, errno)) => Err(refused(folder, errno)),
    }
}

fn blocking(mut file: File, folder: &Path) -> Result<Flock<File>> {
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(held) => return Ok(held),
            Err((same, Errno::EINTR)) => file = same,
            Err((_, errno)) => return Err(refused(folder, errno)),
        }
    }
}

fn refused(folder: &Path, errno: Errno) -> Error {
    Error::io(format!("lock {}", folder.display()), &errno.into())
}

fn is_still(file: &File, folder: &Path) -> bool {
    match (file.metadata(), fs::metadata(folder)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
