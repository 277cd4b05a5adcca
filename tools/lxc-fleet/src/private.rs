//! Who may see and open what we keep: root alone, but for the node lines and what nodes themselves must reach.
//!
//! Setuid programs of nodes, their secrets and our locks are no business of the host's other users.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result, Status};
use breakit::node::{LXCPATH, RUN};

use crate::places::{self, BASE};

/// The mode of a file of ours.
pub const FILE: u32 = 0o600;

/// The mode of a folder of ours.
pub const FOLDER: u32 = 0o700;

/// The mode of a folder through which others come to what they may read.
const OPEN_FOLDER: u32 = 0o755;

/// The mode of a folder through which nodes come to what LXC made for them.
pub const WAY: u32 = 0o711;

/// How often the folders above one are made anew.
const TRIES: usize = 10;

/// Where the locks are.
pub fn locks() -> PathBuf {
    Path::new(RUN).join(".lock")
}

/// Makes a folder of ours with those above it, each with its mode; what is there and looser is narrowed.
///
/// # Errors
/// 71 or 77; 71 if one of them is no folder or belongs to another user.
pub fn folder(place: &Path) -> Result<()> {
    // Another invocation may remove an empty folder above while we make those below it.
    (1..TRIES)
        .find_map(|_| made(place).map_or_else(unless_gone, |()| Some(Ok(()))))
        .unwrap_or_else(|| made(place))
}

fn unless_gone(error: Error) -> Option<Result<()>> {
    (error.status() != Status::NoInput).then_some(Err(error))
}

fn made(place: &Path) -> Result<()> {
    let above: Vec<&Path> = place.ancestors().collect();
    above
        .into_iter()
        .rev()
        .filter(|folder| is_ours(folder))
        .try_for_each(|folder| make(folder, mode_of(folder)))
}

fn mode_of(folder: &Path) -> u32 {
    match folder {
        _ if folder == Path::new(RUN) => OPEN_FOLDER,
        // Below one that is closed, it is seen open by nodes' own starters alone: see [`crate::node::launch`].
        _ if folder == Path::new(LXCPATH) => WAY,
        _ => FOLDER,
    }
}

fn is_ours(folder: &Path) -> bool {
    [RUN, BASE].iter().any(|ours| folder.starts_with(ours))
}

fn make(folder: &Path, mode: u32) -> Result<()> {
    match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => secure(folder, mode).map(drop),
        // A host without /var/lib is made one by hand; its modes are nobody's promise.
        Err(e) if e.kind() == ErrorKind::NotFound && is_top(folder) => {
            let parent = folder.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| DirBuilder::new().mode(mode).create(folder))
                .map_err(|e| Error::io(format!("make {}", folder.display()), &e))
        }
        Err(e) => Err(Error::io(format!("make {}", folder.display()), &e)),
    }
}

fn is_top(folder: &Path) -> bool {
    [RUN, BASE].iter().any(|ours| folder == Path::new(ours))
}

/// Takes from others what `mode` does not give them; says whether there was something to take.
fn secure(folder: &Path, mode: u32) -> Result<bool> {
    let found =
        fs::metadata(folder).map_err(|e| Error::io(format!("look at {}", folder.display()), &e))?;
    judge(folder, &found)?;
    let now = found.mode() & 0o7777;
    // The set-group-ID bit of a folder gives nobody anything.
    let loose = now & !mode & 0o777 != 0;
    if loose {
        fs::set_permissions(folder, Permissions::from_mode(mode))
            .map_err(|e| Error::io(format!("close {} to others", folder.display()), &e))?;
    }
    Ok(loose)
}

/// A folder of another user could lead us anywhere.
fn judge(folder: &Path, found: &Metadata) -> Result<()> {
    let us = nix::unistd::geteuid().as_raw();
    if !found.is_dir() {
        return Err(Error::system(format!("{} is no folder; remove it", folder.display())));
    }
    if found.uid() != us && found.uid() != 0 {
        return Err(Error::system(format!(
            "{} belongs to another user (uid {}), who could mislead us; remove it, or give it to root",
            folder.display(),
            found.uid()
        )));
    }
    Ok(())
}

/// Narrows what an earlier version, or anybody else, left open to others.
///
/// # Errors
/// 71 if one of our folders belongs to another user.
pub fn narrow() -> Result<()> {
    if Path::new(RUN).exists() {
        secure(Path::new(RUN), OPEN_FOLDER)?;
    }
    if locks().exists() {
        secure(&locks(), FOLDER)?;
    }
    let base = Path::new(BASE);
    if base.exists() && secure(base, FOLDER)? {
        within(base);
    }
    Ok(())
}

/// Narrows what is in a folder that was open until now: nobody comes to it any more, but what is closed twice stays
/// closed if somebody opens the folder again.
fn within(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() {
            let _ = fs::set_permissions(&path, Permissions::from_mode(FILE));
        } else if kind.is_dir() && path != places::store() {
            let _ = fs::set_permissions(&path, Permissions::from_mode(mode_of(&path)));
            within(&path);
        }
    }
}
