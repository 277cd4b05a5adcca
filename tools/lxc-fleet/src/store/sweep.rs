//! Files in the store that belong to no fleet any more: what a `down` could not remove, or did without the store.

use std::path::Path;

use breakit::exit::Result;
use breakit::messages;
use breakit::node::Name;
use nix::errno::Errno;

use crate::files;
use crate::fleet::state;
use crate::host::views;
use crate::places;
use crate::store::mounts;
use crate::store::remove::{remove_tree, removed};

/// What the names of folders begin with that wait for their removal; no fleet's does.
const AWAY: &str = ".away-";

/// Removes the files of nodes that no fleet remembers, so that no new node of the same name finds them. The store
/// is mounted and can be written to.
///
/// # Errors
/// 71 if they can be neither removed nor moved away.
pub fn forgotten() -> Result<()> {
    for fleet in files::entries(&places::nodes())? {
        let folder = places::nodes().join(&fleet);
        match Name::new(&fleet).ok().filter(|name| !fleet.starts_with(AWAY) && is_known(name)) {
            None => clear(&folder)?,
            Some(name) => members(&name)?.iter().try_for_each(|node| clear(&folder.join(node)))?,
        }
    }
    Ok(())
}

fn is_known(fleet: &Name) -> bool {
    state::fleets().map_or(true, |fleets| fleets.contains(fleet))
}

/// The folders of nodes that their fleet does not remember; none if its memory is damaged.
fn members(fleet: &Name) -> Result<Vec<String>> {
    let Ok(Some(state)) = state::load(fleet) else { return Ok(Vec::new()) };
    let mut names = files::entries(&places::fleet_dir(fleet))?;
    names.retain(|name| !name.starts_with(views::NAME) && state.member(name).is_none());
    Ok(names)
}

fn clear(folder: &Path) -> Result<()> {
    unmount_below(folder)?;
    let Err(error) = remove_tree(folder) else { return Ok(()) };
    let number = std::process::id();
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let away = places::nodes().join(format!("{AWAY}{number}-{name}"));
    if name.starts_with(AWAY) || std::fs::rename(folder, &away).is_ok() {
        messages::error(format!("files that no node needs any more stay: {error}"));
        return Ok(());
    }
    Err(error)
}

/// Removes all nodes' files; what a store that cannot be written to keeps is left to [`forgotten`].
///
/// # Errors
/// 71 for anything else.
pub fn nodes() -> Result<()> {
    unmount_below(&places::nodes())?;
    files(&places::nodes())
}

/// Earlier versions mounted nodes' roots there.
fn unmount_below(folder: &Path) -> Result<()> {
    mounts::mounts_under(folder)?.iter().try_for_each(|place| mounts::unmount(place))
}

/// Removes files in the store; what one that cannot be written to keeps is left to [`forgotten`].
///
/// # Errors
/// 71 for anything else.
pub fn files(tree: &Path) -> Result<()> {
    match removed(tree) {
        Err(errno) if is_ill(errno) || errno == Errno::ENOSPC => {
            messages::detail(format!("{} stays for now: {}", tree.display(), errno.desc()));
            Ok(())
        }
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(_) => remove_tree(tree),
    }
}

/// Says what became of files that could not be removed, if there are any.
pub fn say_what_stays(fleet: &Name) {
    if places::fleet_dir(fleet).exists() {
        messages::say(
            "the store cannot be written to any more; the nodes' files stay in it until an up or image repairs it, and go then",
        );
    }
}

/// Whether the kernel says this of a filesystem that it has given up, or whose disk has.
pub fn is_ill(errno: Errno) -> bool {
    use Errno::{EIO, EROFS, ESHUTDOWN, EUCLEAN};
    matches!(errno, EROFS | EIO | EUCLEAN | ESHUTDOWN)
}
