//! The filesystem of layers and nodes: a sparse ext4 image of our own, mounted while a fleet needs it.
//!
//! It must not be the root filesystem itself: an overlay refuses two lower directories of which one lies inside
//! the other, and a submount of / does not appear in an overlay of /, so that nodes cannot see one another's
//! files. All callers hold [`crate::state::lock_all`].

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::node::Name;
use breakit::program;
use breakit::talk;
use nix::mount::{MntFlags, umount2};
use nix::sys::statvfs::statvfs;

pub use crate::remove::remove_tree;
use crate::state::{self, BASE};

/// How large the store can become; it takes room on the disk only for what is in it.
pub const LARGEST: u64 = 64 << 30;

/// What must be free before anything is made.
const LEAST: u64 = 512 << 20;

/// Where the store is mounted.
pub fn root() -> PathBuf {
    PathBuf::from(BASE).join("store")
}

/// The file that it lies in.
pub fn file() -> PathBuf {
    PathBuf::from(BASE).join("store.img")
}

/// The folder of a node's files.
pub fn node(fleet: &Name, node: &str) -> PathBuf {
    fleet_dir(fleet).join(node)
}

/// The folder of a fleet's files.
pub fn fleet_dir(fleet: &Name) -> PathBuf {
    root().join("nodes").join(fleet.as_str())
}

/// Mounts the store, and makes it first where it is missing.
///
/// # Errors
/// 69 where a program or loop devices are missing, 71 where the disk is full or mounting fails.
pub fn open() -> Result<()> {
    if is_mounted(&root())? {
        return enough(&root());
    }
    if !file().exists() {
        make()?;
    }
    fs::create_dir_all(root()).map_err(|e| Error::io("make the store's folder", &e))?;
    mount().map_err(|e| {
        let loopless = !Path::new("/dev/loop-control").exists();
        if loopless {
            return Error::missing(
                "this kernel has no loop devices (/dev/loop-control), which the store needs; load the module loop",
            );
        }
        e.at(format!("the store {}", file().display()))
    })
}

fn mount() -> Result<()> {
    program::succeed(&mut mount_command()?, None, Duration::from_secs(60)).map(drop)
}

/// What mounts the store.
///
/// # Errors
/// 69 where mount is missing.
pub fn mount_command() -> Result<Command> {
    let mut command = program::command("mount", "mount")?;
    // Without noinit_itable the kernel would go on writing zeros into a file that is sparse on purpose.
    command.args(["-t", "ext4", "-o", "loop,noatime,discard,noinit_itable"]);
    command.arg(file()).arg(root());
    Ok(command)
}

/// Makes the store beside its final name: a making that is killed leaves nothing that looks whole.
fn make() -> Result<()> {
    enough(Path::new(BASE))?;
    let mut mkfs = mkfs_command()?;
    let new = draft();
    let place = |e: std::io::Error| Error::io(format!("make {}", new.display()), &e);
    File::create(&new).and_then(|file| file.set_len(LARGEST)).map_err(place)?;
    program::succeed(&mut mkfs, None, Duration::from_secs(120))?;
    fs::rename(&new, file()).map_err(place)
}

/// The name under which the store's file is made.
pub fn draft() -> PathBuf {
    file().with_extension("new")
}

/// What makes the filesystem in [`draft`], which is [`LARGEST`] long.
///
/// # Errors
/// 69 where mkfs.ext4 is missing.
pub fn mkfs_command() -> Result<Command> {
    let mut command = program::command("mkfs.ext4", "e2fsprogs")?;
    command.args(["-q", "-F", "-m", "0", "-L", "breakit"]);
    command.args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-i", "32768"]);
    command.arg(draft());
    Ok(command)
}

/// Whether there is room to work in.
///
/// # Errors
/// 71 where there is not.
pub fn enough(place: &Path) -> Result<()> {
    for folder in [place, Path::new(BASE)] {
        let room = statvfs(folder)
            .map_err(|e| Error::io(format!("ask {} for its room", folder.display()), &e.into()))?;
        let free = room.blocks_available() * room.fragment_size();
        if free < LEAST {
            return Err(Error::system(format!(
                "only {} MB are free under {}, and a fleet needs {}; make room there",
                free >> 20,
                folder.display(),
                LEAST >> 20
            )));
        }
    }
    Ok(())
}

/// Unmounts the store where no fleet is left and nothing is being built in it.
///
/// # Errors
/// 71 where unmounting fails for another reason than that somebody is at work there.
pub fn release() -> Result<()> {
    if !state::fleets()?.is_empty() || !is_mounted(&root())? {
        return Ok(());
    }
    sweep()?;
    match umount2(&root(), MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => {
            // The kernel detaches the loop device by itself: mount(8) asked for that.
            let _ = fs::remove_dir(root());
            state::forget_run_root();
            Ok(())
        }
        Err(nix::errno::Errno::EBUSY) => {
            talk::detail("the store stays mounted: somebody is at work in it");
            Ok(())
        }
        Err(errno) => Err(Error::io("unmount the store", &errno.into())),
    }
}

/// Removes files of nodes that no fleet remembers.
fn sweep() -> Result<()> {
    let nodes = root().join("nodes");
    for path in mounts_under(&nodes)? {
        unmount(&path)?;
    }
    remove_tree(&nodes)
}

/// Removes the store's file; all layers go with it.
///
/// # Errors
/// 71 where a fleet still uses it.
pub fn remove() -> Result<()> {
    release()?;
    if is_mounted(&root())? {
        return Err(Error::system(
            "the store is in use; run lxc-fleet down --all first, or wait for the image that is being built",
        ));
    }
    match fs::remove_file(file()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", file().display()), &e))
        }
        _ => Ok(()),
    }
}

/// Unmounts one place, at once where it is idle and else as soon as its last user is gone.
///
/// # Errors
/// 71 or 77.
pub fn unmount(place: &Path) -> Result<()> {
    use nix::errno::Errno;
    match umount2(place, MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(Errno::EBUSY) => umount2(place, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .map_err(|e| Error::io(format!("unmount {}", place.display()), &e.into())),
        Err(e) => Err(Error::io(format!("unmount {}", place.display()), &e.into())),
    }
}

/// Whether something is mounted exactly there.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn is_mounted(place: &Path) -> Result<bool> {
    Ok(mount_points()?.iter().any(|point| point == place))
}

/// What is mounted below `folder`, the deepest first.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn mounts_under(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut points = mount_points()?;
    points.retain(|point| point.starts_with(folder));
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    Ok(points)
}

/// All mount points of our mount namespace.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn mount_points() -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| Error::io("read /proc/self/mountinfo", &e))?;
    Ok(text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape).collect())
}

/// The kernel writes blanks in a path as `\040`.
fn unescape(field: &str) -> PathBuf {
    let plain = field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    PathBuf::from(plain.replace("\\134", "\\"))
}
