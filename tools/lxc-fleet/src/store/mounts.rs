//! What is mounted where, in our mount namespace.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use nix::mount::{MntFlags, umount2};

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

/// Whether a filesystem of its own is mounted exactly there, where we can come to it: it may have been, and lie
/// beneath a later mount of a folder above.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn is_mounted(place: &Path) -> Result<bool> {
    if !mount_points()?.iter().any(|point| point == place) {
        return Ok(false);
    }
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
    match (device(place), place.parent().map(device)) {
        (Ok(own), Some(Ok(above))) => Ok(own != above),
        (Err(e), _) if e.kind() == ErrorKind::NotFound => Ok(false),
        // A filesystem that the kernel has given up says nothing.
        _ => Ok(true),
    }
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
