//! A node's own disk (`up --disk`): an ext4 filesystem in a file of the store, in which all that the node writes lies.
//!
//! Its room is reserved in the store. So a node that fills its disk meets ENOSPC alone, and it keeps the disk over
//! `kill`, `start` and a reboot. It is mounted in the node's own mount namespace only.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::program;
use breakit::size::show_size;

use crate::node::ids::Ids;
use crate::places;
use crate::store::ext4::{self, Superblock};
use crate::store::room;

/// What a disk has at least: below that the filesystem has no journal.
pub const LEAST: u64 = 16 << 20;

/// What is left in the store for what is not on disks.
const BESIDE: u64 = 64 << 20;

/// The file of the disk of the node whose files lie in `files`.
pub fn file(files: &Path) -> PathBuf {
    files.join("disk.img")
}

/// Where it is mounted, in the node's mount namespace.
pub fn place(files: &Path) -> PathBuf {
    files.join("disk")
}

/// Whether a disk can have this size.
///
/// # Errors
/// 64 if it is too small.
pub fn checked(size: Option<u64>) -> Result<()> {
    match size.filter(|size| *size < LEAST) {
        Some(size) => Err(Error::usage(format!(
            "--disk {} is too small; give it {} or more",
            show_size(size),
            show_size(LEAST)
        ))),
        None => Ok(()),
    }
}

/// Whether the store has room for so many new disks.
///
/// # Errors
/// 71 if it has not.
pub fn fit(count: usize, size: u64) -> Result<()> {
    let needed = size.saturating_mul(count as u64);
    let free = room::free(&places::store())?;
    if needed.saturating_add(BESIDE) <= free {
        return Ok(());
    }
    Err(Error::system(format!(
        "{count} disks of {} need {}, and the store has {} left; choose a smaller --disk, or make a larger store: lxc-fleet down --all, image rm --all, and then --store-size",
        show_size(size),
        breakit::size::show_about(needed),
        breakit::size::show_about(free)
    )))
}

/// Makes the disk of the node whose files lie in `files`, if it is missing. It is made beside its final name: a making
/// that is killed leaves nothing that looks whole.
///
/// # Errors
/// 71 if the store has too little room, 69 if mkfs.ext4 is missing.
pub fn make(files: &Path, size: u64) -> Result<()> {
    let (disk, new) = (file(files), files.join("disk.new"));
    fs::create_dir_all(place(files))
        .map_err(|e| Error::io(format!("make {}", place(files).display()), &e))?;
    if disk.exists() {
        return Ok(());
    }
    let made =
        room::new_file(&new).and_then(|opened| room::reserve(&opened, &new, size)).and_then(|()| {
            let mut mkfs = ext4::mkfs(&new, "breakit-node", 16_384)?;
            program::succeed(&mut mkfs, None, Duration::from_secs(60))?;
            fs::rename(&new, &disk).map_err(|e| Error::io(format!("make {}", disk.display()), &e))
        });
    if made.is_err() {
        let _ = fs::remove_file(&new);
    }
    made
}

/// What mounts the disk of the node whose files lie in `files`.
///
/// # Errors
/// 69 if mount is missing.
pub fn mount_command(files: &Path) -> Result<Command> {
    ext4::mount(&file(files), &place(files), "")
}

/// Mounts the disk at [`place`], with the folders of an overlay in it, which belong to the ids of the node. The caller
/// has a mount namespace of its own.
///
/// # Errors
/// 71 if the system refuses or the disk is damaged, 75 if the node that had it mounted before has not let it go.
pub fn mount(files: &Path, ids: Ids) -> Result<()> {
    let (disk, place) = (file(files), place(files));
    // Two filesystems over one file would destroy it: the end of a node that was just killed is waited for.
    if !ext4::is_let_go(&disk)? {
        return Err(Error::waited(format!(
            "{} is still mounted for the node's last life",
            disk.display()
        )));
    }
    if !Superblock::read(&disk)?.clean {
        ext4::check(&disk)?;
    }
    program::succeed(&mut mount_command(files)?, None, Duration::from_secs(60))?;
    for (folder, mode) in [("upper", 0o755), ("work", 0o700)] {
        let folder = place.join(folder);
        match DirBuilder::new().mode(mode).create(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::io(format!("make {}", folder.display()), &e));
            }
            _ => {}
        }
    }
    ids.own_alone(&place.join("upper"))
}
