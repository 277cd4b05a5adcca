//! Room on a disk: what is free, and reserving it for a file.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use breakit::exit::{Error, Result};
use breakit::size::show_about;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc;
use nix::sys::statvfs::statvfs;

use crate::private;

/// How many bytes are free in the filesystem of `folder`.
///
/// # Errors
/// 71 or 77.
pub fn free(folder: &Path) -> Result<u64> {
    let room = statvfs(folder)
        .map_err(|e| Error::io(format!("ask {} for its room", folder.display()), &e.into()))?;
    Ok(room.blocks_available() * room.fragment_size())
}

/// Makes a file for root alone, or empties the one that is there.
///
/// # Errors
/// 71 or 77.
pub fn new_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(private::FILE);
    options.open(path).map_err(|e| Error::io(format!("make {}", path.display()), &e))
}

/// Reserves `size` bytes on the disk for a file: what is written to it later never meets a full disk.
///
/// # Errors
/// 71 if the disk has not that much, 69 if its filesystem cannot reserve.
pub fn reserve(file: &File, path: &Path, size: u64) -> Result<()> {
    never_copied(file);
    let length = i64::try_from(size).map_err(|_| Error::usage("no disk is that large"))?;
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) => {}
        Err(Errno::ENOSPC | Errno::EDQUOT) => {
            return Err(Error::system(format!(
                "cannot reserve {} for {}: the disk has not that much left",
                show_about(size),
                path.display()
            )));
        }
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Err(cannot_reserve(path)),
        Err(errno) => {
            return Err(Error::io(format!("reserve room for {}", path.display()), &errno.into()));
        }
    }
    // Some filesystems say yes and reserve nothing.
    if is_reserved(file, size).map_err(|e| Error::io(format!("look at {}", path.display()), &e))? {
        Ok(())
    } else {
        Err(cannot_reserve(path))
    }
}

/// Whether a file has all the blocks that `size` bytes take.
///
/// # Errors
/// What the system says.
pub fn is_reserved(file: &File, size: u64) -> std::io::Result<bool> {
    let found = file.metadata()?;
    Ok(found.len() >= size && found.blocks() * 512 >= size)
}

fn cannot_reserve(path: &Path) -> Error {
    Error::missing(format!(
        "the filesystem of {} cannot reserve room; with --sparse the store takes room as it is filled, and a full disk stops the nodes",
        path.display()
    ))
}

/// A filesystem that copies what is written anew (btrfs) would need further room for each write.
fn never_copied(file: &File) {
    const NOCOW: libc::c_int = 0x0080_0000;
    let mut flags: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the kernel writes an int's worth of flags into the variable.
    let read = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) };
    if read == 0 && flags & NOCOW == 0 {
        flags |= NOCOW;
        // SAFETY: as above; the kernel only reads it. Other filesystems refuse, and need it not.
        let _ = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_has_its_blocks_and_what_is_only_long_has_not() {
        let path = std::env::temp_dir().join(format!("breakit-room-{}", std::process::id()));
        let file = new_file(&path).unwrap();
        file.set_len(4 << 20).unwrap();
        assert!(!is_reserved(&file, 4 << 20).unwrap());
        let outcome = reserve(&file, &path, 4 << 20);
        let reserved = is_reserved(&file, 4 << 20).unwrap();
        std::fs::remove_file(&path).unwrap();
        match outcome {
            Ok(()) => assert!(reserved),
            Err(error) => assert_eq!(error.status(), breakit::exit::Status::Missing, "{error}"),
        }
    }
}
