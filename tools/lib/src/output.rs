//! Files that are written: never over one that is read, and whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::exit::{Error, Result, reason};
use crate::inode::Inode;
use crate::input;

/// Whether two paths lead to one file that is there, under whatever names. What goes to /dev/null is nobody's.
pub fn is_one(one: &Path, other: &Path) -> bool {
    let known = Inode::of_path(one);
    known.is_some() && known == Inode::of_path(other)
}

/// Refuses to write `output`, which `what` names, over one of `inputs`, of which `-` is stdin.
///
/// # Errors
/// 64 where they are one file, under whatever names.
pub fn not_over<'p>(
    what: &str,
    output: &Path,
    inputs: impl IntoIterator<Item = &'p Path>,
) -> Result<()> {
    let Some(written) = Inode::of_path(output) else { return Ok(()) };
    for input in inputs {
        if Inode::of_input(input) == Some(written) {
            return Err(Error::usage(format!(
                "{what} {} would overwrite {}, which is read; name another file",
                output.display(),
                input::name(input)
            )));
        }
    }
    Ok(())
}

/// Refuses a file that `what` names and that stdout writes to as well.
///
/// # Errors
/// 64 where they are one file.
pub fn not_twice(what: &str, output: &Path) -> Result<()> {
    let written = Inode::of_open(io::stdout());
    if written.is_some() && Inode::of_path(output) == written {
        return Err(Error::usage(format!(
            "{what} {} is the file that stdout writes into; leave one of them out",
            output.display()
        )));
    }
    Ok(())
}

/// A file that is made beside its place and put there once it is whole, so that nobody ever sees half of it, and
/// what was there stays if the work fails. FIFOs, devices and what is our stdout are written where they are.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    out: BufWriter<File>,
    /// Where it lies until then, and where it goes.
    beside: Option<(PathBuf, PathBuf)>,
}

impl NewFile {
    /// Begins the file that is to be at `path`.
    ///
    /// # Errors
    /// 66, 77 or 71 where it cannot be made.
    pub fn create(path: &Path) -> Result<NewFile> {
        NewFile::with_buffer(path, 1 << 16)
    }

    /// As [`NewFile::create`], with a buffer of so many bytes.
    ///
    /// # Errors
    /// As [`NewFile::create`].
    pub fn with_buffer(path: &Path, bytes: usize) -> Result<NewFile> {
        let (file, beside) = open(path).map_err(|e| cannot(path, &e))?;
        Ok(NewFile { path: path.into(), out: BufWriter::with_capacity(bytes, file), beside })
    }

    /// Where it is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes some of it.
    ///
    /// # Errors
    /// 71 where it cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| cannot(&self.path, &e))
    }

    /// It is whole: puts it in its place.
    ///
    /// # Errors
    /// 71 where it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(|e| cannot(&self.path, &e))?;
        match self.beside.take() {
            None => Ok(()),
            Some((beside, place)) => fs::rename(&beside, place).map_err(|e| {
                // It is of no use any more, and may be gone already.
                let _ = fs::remove_file(&beside);
                cannot(&self.path, &e)
            }),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some((beside, _)) = &self.beside {
            // Nobody waits for it; a system that refuses leaves a file whose name says what it is.
            let _ = fs::remove_file(beside);
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::not_permitted(format!(
            "cannot write {}: {}, there or in its folder, in which it is made first",
            path.display(),
            reason(error)
        )),
        _ => Error::io(format!("write {}", path.display()), error),
    }
}

/// The open file, and where it lies and goes where that is not its place.
fn open(path: &Path) -> io::Result<(File, Option<(PathBuf, PathBuf)>)> {
    let there = match fs::metadata(path) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(there) = &there {
        let is = |file: BorrowedFd<'_>| there.is_file() && Inode::of_open(file) == Inode::of(there);
        // Our own descriptor goes on where it stands; another one of the same file would write over what it wrote.
        for ours in [io::stdout().as_fd(), io::stderr().as_fd()] {
            if is(ours) {
                return Ok((File::from(ours.try_clone_to_owned()?), None));
            }
        }
        if !there.is_file() {
            return Ok((OpenOptions::new().append(true).open(path)?, None));
        }
    }
    // Through links, which stay what they are. One that leads nowhere yet is followed by opening it.
    let place = match fs::canonicalize(path) {
        Ok(place) => place,
        Err(_) if fs::symlink_metadata(path).is_ok() => return Ok((File::create(path)?, None)),
        Err(_) => path.to_path_buf(),
    };
    let beside = place.with_file_name(fresh_name());
    let file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    if let Some(there) = there {
        // As whoever made it wanted it. What we may not give away stays ours. By the descriptor: to whom the folder
        // belongs, that one may have put a link to a file of root's in the place of the name meanwhile.
        let _ = fchown(&file, Some(there.uid()), Some(there.gid()));
        let _ = file.set_permissions(Permissions::from_mode(there.mode() & 0o777));
    }
    Ok((file, Some((beside, place))))
}

/// A name that no other process and no other file of ours has.
fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!(".{}-{}-{count}.unfinished", crate::messages::tool(), std::process::id())
}
