//! Removing a folder with all that is in it, however deep it is: it may be the work of a hostile node.
//!
//! Nothing recurses, and at most three descriptors are open at a time. No link is followed and no mount is entered.
//! The way up is `..`, whose identity is compared with that of the folder that we came from.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use breakit::exit::{Error, Result};
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

type Done<T> = std::result::Result<T, Errno>;

/// Which file it is, whatever its name.
type Identity = (nix::libc::dev_t, nix::libc::ino_t);

/// A folder that we are in, and how to leave it.
struct Level {
    /// Its name in the folder above.
    name: CString,
    /// The folder above.
    above: Identity,
    /// The folders in it that are still to be removed, as far as they have been read.
    rest: Vec<CString>,
}

/// How many names of folders are read at a time.
const BATCH: usize = 1_000;

/// Removes a folder with all that is in it, or a file; nothing happens if it is not there.
///
/// # Errors
/// 71 or 77; what could be removed is gone.
pub fn remove_tree(tree: &Path) -> Result<()> {
    match removed(tree) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EXDEV) => Err(Error::system(format!(
            "cannot remove {}: something is mounted in it; unmount that first",
            tree.display()
        ))),
        Err(errno) => Err(Error::io(format!("remove {}", tree.display()), &errno.into())),
    }
}

/// As [`remove_tree`]; ENOENT if it is not there, EXDEV if something is mounted in it.
///
/// # Errors
/// What the kernel says; ESTALE if somebody moves folders in it meanwhile.
pub fn removed(tree: &Path) -> Done<()> {
    let (Some(parent), Some(name)) = (tree.parent(), tree.file_name()) else {
        return Err(Errno::EINVAL);
    };
    let parent = if parent == Path::new("") { Path::new(".") } else { parent };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let parent = nix::fcntl::open(parent, flags, Mode::empty())?;
    match unlinkat(&parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
        Err(Errno::EISDIR | Errno::EPERM) => empty(enter(&parent, &name)?, &name, &parent)?,
        other => return other,
    }
    unlinkat(&parent, name.as_c_str(), UnlinkatFlags::RemoveDir)
}

/// Empties the folder `top`, whose name in `parent` is `name`.
fn empty(top: OwnedFd, name: &CStr, parent: &OwnedFd) -> Done<()> {
    let device = fstat(&top)?.st_dev;
    let mut levels =
        vec![Level { name: name.into(), above: identity(&fstat(parent)?), rest: Vec::new() }];
    let mut here = Dir::from_fd(top)?;
    while let Some(level) = levels.last_mut() {
        if level.rest.is_empty() {
            level.rest = folders_left(&mut here)?;
        }
        if let Some(name) = level.rest.pop() {
            let below = match enter(&here, &name) {
                Err(Errno::ENOENT) => continue,
                other => other?,
            };
            if fstat(&below)?.st_dev != device {
                return Err(Errno::EXDEV);
            }
            let above = identity(&fstat(&here)?);
            levels.push(Level { name, above, rest: Vec::new() });
            here = Dir::from_fd(below)?;
            continue;
        }
        let Some(Level { name, above, .. }) = levels.pop() else { break };
        if levels.is_empty() {
            break;
        }
        let up = Dir::from_fd(enter(&here, c"..")?)?;
        if identity(&fstat(&up)?) != above {
            return Err(Errno::ESTALE);
        }
        unlinkat(&up, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        here = up;
    }
    Ok(())
}

fn identity(stat: &FileStat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// Removes what is no folder, and reads the names of folders; none are left if it gives none.
fn folders_left(folder: &mut Dir) -> Done<Vec<CString>> {
    let mut folders = Vec::new();
    // A second descriptor, as removing what is being read needs one beside the iterator's.
    let place = folder.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    // The iterator starts at the beginning each time: names that were left in the first batch come again.
    for entry in folder.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == Some(Type::Directory) || !unlinked(&place, name)? {
            folders.push(name.to_owned());
        }
        if folders.len() == BATCH {
            break;
        }
    }
    Ok(folders)
}

/// Whether the name was removed, as it is that of no folder.
fn unlinked(folder: &OwnedFd, name: &CStr) -> Done<bool> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EISDIR) => Ok(false),
        Err(Errno::EPERM) if is_folder(folder, name)? => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn is_folder(folder: &OwnedFd, name: &CStr) -> Done<bool> {
    let stat = nix::sys::stat::fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR)
}

/// Opens a folder, unless its name is a link or something is mounted on it.
fn enter(folder: impl AsFd, name: &CStr) -> Done<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_XDEV);
    match openat2(&folder, name, how) {
        // Before Linux 5.6; what lies on another filesystem is found out by its device.
        Err(Errno::ENOSYS) => openat(&folder, name, flags, Mode::empty()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::process::Command;

    struct Ground(PathBuf);

    impl Ground {
        fn new(name: &str) -> Ground {
            // A disk takes half a minute to make a hundred thousand folders.
            let memory = Path::new("/dev/shm");
            let base = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
            let folder = base.join(format!("breakit-remove-{name}-{}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            Ground(folder)
        }
    }

    impl Drop for Ground {
        fn drop(&mut self) {
            let _ = remove_tree(&self.0);
        }
    }

    /// A chain of folders in `top`, longer than any path may be.
    fn dig(top: &Path, depth: usize) {
        let name = c"d";
        let mut here = OwnedFd::from(fs::File::open(top).unwrap());
        for _ in 0..depth {
            nix::sys::stat::mkdirat(&here, name, Mode::from_bits_truncate(0o755)).unwrap();
            here = enter(&here, name).unwrap();
        }
    }

    #[test]
    fn a_tree_of_a_hundred_thousand_levels_is_removed_with_three_descriptors() {
        let ground = Ground::new("deep");
        let tree = ground.0.join("tree");
        fs::create_dir(&tree).unwrap();
        dig(&tree, 100_000);
        fs::create_dir(tree.join("wide")).unwrap();
        fs::write(tree.join("wide/file"), "x").unwrap();
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        let before = open();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        // Other tests of this process open files too, but not thousands.
        assert!(open() < before + 500);
    }

    #[test]
    fn links_are_removed_and_never_followed() {
        let ground = Ground::new("links");
        let kept = ground.0.join("kept");
        fs::create_dir_all(kept.join("folder")).unwrap();
        fs::write(kept.join("file"), "kept").unwrap();
        let tree = ground.0.join("tree");
        fs::create_dir_all(tree.join("a")).unwrap();
        for (target, link) in
            [(kept.as_path(), "a/out"), (Path::new(".."), "a/up"), (Path::new("/"), "root")]
        {
            symlink(target, tree.join(link)).unwrap();
        }
        symlink(&kept, ground.0.join("link")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&ground.0.join("link")).unwrap();
        assert!(!tree.exists() && kept.join("folder").is_dir());
        assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "kept");
    }

    #[test]
    fn wide_trees_of_all_kinds_of_files_are_removed() {
        let ground = Ground::new("wide");
        let tree = ground.0.join("tree");
        for n in 0..2 * BATCH + 7 {
            let folder = tree.join(format!("folder {n}"));
            fs::create_dir_all(folder.join("inner/most")).unwrap();
            fs::write(folder.join("inner/\u{e4} \n"), "x").unwrap();
            fs::write(tree.join(format!("file{n}")), "").unwrap();
        }
        nix::unistd::mkfifo(&tree.join("pipe"), Mode::from_bits_truncate(0o600)).unwrap();
        let closed = tree.join("folder 1/inner");
        fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn a_file_is_removed_as_well_and_what_is_not_there_is_no_error() {
        let ground = Ground::new("file");
        let file = ground.0.join("file");
        fs::write(&file, "").unwrap();
        remove_tree(&file).unwrap();
        remove_tree(&file).unwrap();
        assert!(!file.exists());
        remove_tree(&ground.0.join("no/such/folder")).unwrap();
    }

    #[test]
    fn random_trees_leave_nothing_and_their_neighbours_stay() {
        let ground = Ground::new("random");
        let mut seed = 0x2545_f491_4f6c_dd1du64;
        let mut next = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for round in 0..20 {
            let tree = ground.0.join(format!("tree{round}"));
            let mut folders = vec![tree.clone()];
            fs::create_dir(&tree).unwrap();
            for n in 0..200 {
                let place = folders[next(folders.len() as u64) as usize].join(n.to_string());
                match next(3) {
                    0 => fs::write(&place, "x").unwrap(),
                    1 => symlink(&folders[0], &place).unwrap(),
                    _ => {
                        fs::create_dir(&place).unwrap();
                        folders.push(place);
                    }
                }
            }
            fs::write(ground.0.join("neighbour"), "x").unwrap();
            remove_tree(&tree).unwrap();
            let left: Vec<_> = fs::read_dir(&ground.0).unwrap().flatten().collect();
            assert_eq!(left.len(), 1, "{left:?}");
        }
    }

    #[test]
    fn what_is_mounted_in_a_tree_is_not_entered() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let ground = Ground::new("mount");
        let tree = ground.0.join("tree");
        let kept = ground.0.join("kept");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "kept").unwrap();
        // The same filesystem, so that the device alone would not tell.
        let bind =
            |args: &[&str]| Command::new(args[0]).args(&args[1..]).status().unwrap().success();
        let place = tree.join("a/b");
        let place = place.to_str().unwrap();
        assert!(bind(&["mount", "--bind", kept.to_str().unwrap(), place]));
        let outcome = removed(&tree);
        assert!(bind(&["umount", place]));
        assert_eq!(outcome, Err(Errno::EXDEV));
        assert_eq!(fs::read_to_string(kept.join("file")).unwrap(), "kept");
    }
}
