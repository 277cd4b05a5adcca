//! The ext4 filesystems in files of ours: what their first block says, making, checking and mounting them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::program;

/// How long the kernel may take to let a loop device go.
const SETTLING: Duration = Duration::from_secs(5);

/// What the superblock says of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Its name.
    pub label: String,
    /// Whether it was unmounted in order and no error was met in it.
    pub clean: bool,
}

impl Superblock {
    /// Reads it from the file that the filesystem lies in.
    ///
    /// # Errors
    /// 71 if the file cannot be read or is none of ext4.
    pub fn read(path: &Path) -> Result<Superblock> {
        let place = |e: std::io::Error| Error::io(format!("read {}", path.display()), &e);
        let mut bytes = [0; 256];
        File::open(path).and_then(|file| file.read_exact_at(&mut bytes, 1024)).map_err(place)?;
        Superblock::parse(&bytes).ok_or_else(|| {
            Error::system(format!(
                "{} is no ext4 filesystem any more; remove it with lxc-fleet image rm --all, and the images with it",
                path.display()
            ))
        })
    }

    /// The offsets are those of the kernel's Documentation/filesystems/ext4/super.rst.
    fn parse(bytes: &[u8; 256]) -> Option<Superblock> {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (magic, state, features) = (half(0x38), half(0x3a), half(0x60));
        let label = bytes[0x78..0x88].split(|&byte| byte == 0).next().unwrap_or_default();
        let (in_order, needs_recovery) = (state == 1, features & 4 != 0);
        (magic == 0xef53).then(|| Superblock {
            label: String::from_utf8_lossy(label).into_owned(),
            clean: in_order && !needs_recovery,
        })
    }
}

/// What makes a filesystem in a file that has its length: nothing is discarded, as that would give up room which
/// was reserved, and nothing is filled with zeros, as the file reads as zeros.
///
/// # Errors
/// 69 if mkfs.ext4 is missing.
pub fn mkfs(file: &Path, label: &str, bytes_per_inode: u32) -> Result<Command> {
    let mut command = program::command("mkfs.ext4", "e2fsprogs")?;
    command.args(["-q", "-F", "-m", "0", "-L", label]);
    command.args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]);
    command.args(["-i", &bytes_per_inode.to_string()]).arg(file);
    Ok(command)
}

/// What mounts a filesystem on a loop device that goes with the mount. No program on it runs as another user, and
/// no device on it is one. Without noinit_itable the kernel would go on writing zeros.
///
/// # Errors
/// 69 if mount is missing.
pub fn mount(file: &Path, target: &Path, more: &str) -> Result<Command> {
    let mut command = program::command("mount", "mount")?;
    let options = format!("loop,nosuid,nodev,noatime,noinit_itable{more}");
    command.args(["-t", "ext4", "-o", &options]).arg(file).arg(target);
    Ok(command)
}

/// Checks a filesystem that is not mounted, and repairs what needs no decision.
///
/// # Errors
/// 71 if it needs one, 69 if e2fsck is missing.
pub fn check(file: &Path) -> Result<()> {
    let mut command = program::command("e2fsck", "e2fsprogs")?;
    command.arg("-p").arg(file);
    let output = program::run(&mut command, None, Duration::from_secs(600))?;
    match output.status.code() {
        // 1: errors were corrected.
        Some(0 | 1) => Ok(()),
        _ => Err(Error::system(format!(
            "{} is damaged, and e2fsck -p could not repair it ({}); repair it with e2fsck -f, or remove it with lxc-fleet image rm --all, and the images with it",
            file.display(),
            program::last_words(&output)
        ))),
    }
}

/// The loop device over the file, even if only a mount namespace that we do not see has it mounted.
///
/// # Errors
/// 69 if losetup is missing, 71 if it fails.
pub fn device(file: &Path) -> Result<Option<PathBuf>> {
    let mut command = program::command("losetup", "mount")?;
    command.args(["-n", "-O", "NAME", "-j"]).arg(file);
    let said = program::succeed(&mut command, None, Duration::from_secs(30))?;
    Ok(said.lines().next().map(|line| PathBuf::from(line.trim())))
}

/// Waits until no loop device lies over the file; says whether that came true in time.
///
/// # Errors
/// As [`device`].
pub fn is_let_go(file: &Path) -> Result<bool> {
    let deadline = Instant::now() + SETTLING;
    while device(file)?.is_some() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(state: u16, features: u16) -> [u8; 256] {
        let mut bytes = [0; 256];
        bytes[0x38..0x3a].copy_from_slice(&0xef53u16.to_le_bytes());
        bytes[0x3a..0x3c].copy_from_slice(&state.to_le_bytes());
        bytes[0x60..0x62].copy_from_slice(&features.to_le_bytes());
        bytes[0x78..0x7f].copy_from_slice(b"breakit");
        bytes
    }

    #[test]
    fn a_filesystem_is_clean_after_an_orderly_unmount_alone() {
        for (state, features, clean) in
            [(1, 0x42, true), (1, 0x46, false), (3, 0x42, false), (0, 0x42, false)]
        {
            let expected = Superblock { label: "breakit".into(), clean };
            assert_eq!(Superblock::parse(&superblock(state, features)), Some(expected));
        }
        assert_eq!(Superblock::parse(&[0; 256]), None);
    }
}
