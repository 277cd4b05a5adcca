//! Small files that are whole at every moment, and what is in a folder.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};

use crate::private;

/// The names in a folder; none where it is not there.
///
/// # Errors
/// 71 or 77.
pub fn entries(folder: &Path) -> Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(list) => {
            Ok(list.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io(format!("list {}", folder.display()), &e)),
    }
}

/// The name under which a file is written. It is always the same, and its writers hold one lock: what a killed
/// one left is overwritten or removed by the next.
pub fn draft(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Writes a file for root alone, so that a reader sees the old one or the new one, never half of one.
///
/// # Errors
/// 71 or 77.
pub fn write_whole(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        private::folder(folder)?;
    }
    write(path, text, private::FILE)
}

/// Writes a file with this mode, so that a reader sees the old one or the new one, never half of one.
///
/// # Errors
/// 71 or 77.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let place = |e: io::Error| Error::io(format!("write {}", path.display()), &e);
    match write_beside(path, text, mode) {
        // A fleet that loses nodes must be able to say so on a full disk: less than before has room where that was.
        Err(e) if is_full(&e) && fs::metadata(path).is_ok_and(|f| f.len() >= text.len() as u64) => {
            write_over(path, text).map_err(place)
        }
        done => done.map_err(place),
    }
}

fn write_beside(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = draft(path);
    let written = File::create(&new).and_then(|mut file| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.and_then(|()| fs::rename(&new, path))
}

fn write_over(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Removes a file, if it is there.
///
/// # Errors
/// 71 or 77.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()), &e))
        }
        _ => Ok(()),
    }
}
