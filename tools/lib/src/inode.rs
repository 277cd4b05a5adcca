//! Files by what the kernel knows them by: whether two names are one file.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A file by what the kernel knows it by, whatever its names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    /// `None` for a terminal, /dev/null and their like: reading from one and writing to it harm nothing.
    pub fn of(metadata: &Metadata) -> Option<Inode> {
        let kind = metadata.file_type();
        let holds_data = kind.is_file() || kind.is_fifo() || kind.is_block_device();
        holds_data.then(|| Inode { device: metadata.dev(), number: metadata.ino() })
    }

    pub fn of_path(path: &Path) -> Option<Inode> {
        Inode::of(&fs::metadata(path).ok()?)
    }

    /// Of what is read there; `-` is stdin.
    pub fn of_input(input: &Path) -> Option<Inode> {
        match input == Path::new("-") {
            true => Inode::of_open(io::stdin()),
            false => Inode::of_path(input),
        }
    }

    /// Of an open file that is no pipe: what goes through a pipe is not overwritten.
    pub fn of_open(file: impl AsFd) -> Option<Inode> {
        let metadata = File::from(file.as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
        Inode::of(&metadata).filter(|_| !metadata.file_type().is_fifo())
    }
}
