//! What of the host's files others than their owner and group may not read, found by a walk.
//!
//! A look at every file of /usr takes longer than all else that an `up` does. So what was found is remembered, a
//! folder at a time, and a folder that has not changed since (its ctime says so) is not listed again. A file whose
//! mode alone has changed does not change its folder: it keeps its name in the node until the folder changes, and
//! is unreadable there none the less, as [`crate::host::view`] says.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use breakit::exit::{Error, Result};

/// The first word of the file in which a walk is remembered; another one, another layout.
const LAYOUT: &[u8] = b"breakit walk 1";

/// A folder that changed so shortly before the walk may change again without a new ctime.
const GRAIN: i64 = 2;

/// With fewer items than this, a second thread costs more than it brings.
const WORTH_A_THREAD: usize = 64;

/// What is walked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The folders that are walked with all that is below them, but for what is mounted there.
    pub roots: Vec<PathBuf>,
    /// The folders below them that are left out.
    pub but: Vec<PathBuf>,
}

/// A folder, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    path: PathBuf,
    stamp: Stamp,
    hidden: Vec<OsString>,
}

/// What changes when the folder does: its device, number, and ctime in seconds and nanoseconds.
type Stamp = [i64; 4];

/// A stamp that no folder has.
const NEVER: Stamp = [-1; 4];

/// What was seen of a folder that is remembered.
enum Seen {
    Same,
    Changed,
    /// It may not be read any more, or is gone: its parent has the news.
    Unreadable,
}

/// Whether all users of the host may read it, as far as its own mode says. An access list adds rights for some
/// users, and takes none of those of all.
pub fn readable_by_all(found: &Metadata) -> bool {
    let needed = if found.is_dir() { 0o5 } else { 0o4 };
    found.is_symlink() || found.mode() & needed == needed
}

/// What is below `folder` and may not be read by others, or is a folder of another account than root: there, a
/// server keeps its own state (a cluster's files in /etc/postgresql, the database in /etc/ldap/slapd.d).
///
/// # Errors
/// 71 if a folder cannot be read.
pub fn private(folder: &Path, into: &mut BTreeSet<PathBuf>) -> Result<()> {
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop() {
        for path in children(&folder)? {
            // Whatever vanished meanwhile needs no hiding.
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            if !readable_by_all(&found) || found.is_dir() && found.uid() != 0 {
                into.insert(path);
            } else if found.is_dir() {
                left.push(path);
            }
        }
    }
    Ok(())
}

/// What is in a folder; nothing if it is not there.
///
/// # Errors
/// 71 if it cannot be read.
pub fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(list) => Ok(list.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io(format!("list {}", folder.display()), &e)),
    }
}

impl Walk {
    /// Everything that others may not read; `memory` is the file in which the walk is remembered.
    pub fn unreadable(&self, memory: Option<&Path>) -> BTreeSet<PathBuf> {
        let known = memory.and_then(|file| self.recall(&fs::read(file).ok()?)).unwrap_or_default();
        let (mut folders, mut next) = self.compare(known);
        let changed = !next.is_empty();
        let mut seen: HashSet<PathBuf> = match next.is_empty() {
            true => HashSet::new(),
            false => folders.iter().map(|folder| &folder.path).chain(&next).cloned().collect(),
        };
        let (mut failed, young) = (BTreeSet::new(), now() - GRAIN);
        while !next.is_empty() {
            let looked = in_parallel(&next, |path| self.look(path, young));
            next.clear();
            for (path, found) in looked {
                match found {
                    Ok((folder, below)) => {
                        next.extend(below.into_iter().filter(|path| seen.insert(path.clone())));
                        folders.push(folder);
                    }
                    Err(e)
                        if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                    // What cannot be judged is not shown.
                    Err(_) => drop(failed.insert(path)),
                }
            }
        }
        if let Some(file) = memory.filter(|_| changed && failed.is_empty()) {
            // Without it, the next walk takes longer; that is all.
            let _ = self.remember(&folders, file);
        }
        let inside = |folder: &Folder| {
            folder.hidden.iter().map(|name| folder.path.join(name)).collect::<Vec<_>>()
        };
        failed.extend(folders.iter().flat_map(inside));
        failed
    }

    /// Which of the folders that are remembered have not changed, and which are to be looked at (again).
    fn compare(&self, known: Vec<Folder>) -> (Vec<Folder>, Vec<PathBuf>) {
        let (mut same, mut stale) = (Vec::new(), BTreeSet::new());
        let mut again: BTreeSet<&OsStr> = self.roots.iter().map(|root| root.as_os_str()).collect();
        again.retain(|root| !known.iter().any(|folder| folder.path.as_os_str() == *root));
        let mut again: BTreeSet<PathBuf> = again.into_iter().map(PathBuf::from).collect();
        let seen = in_parallel(&known, Folder::seen);
        for (folder, seen) in known.into_iter().zip(seen) {
            match seen {
                Seen::Same => same.push(folder),
                Seen::Changed => drop(again.insert(folder.path)),
                Seen::Unreadable => stale.extend(folder.path.parent().map(Path::to_path_buf)),
            }
        }
        // A root has no parent that is walked.
        stale.retain(|path| self.roots.iter().any(|root| path.starts_with(root)));
        same.retain(|folder| !stale.contains(&folder.path));
        again.extend(stale);
        (same, again.into_iter().collect())
    }

    /// A folder with what in it is hidden, and the folders in it that are to be walked.
    fn look(&self, path: &Path, young: i64) -> (PathBuf, std::io::Result<(Folder, Vec<PathBuf>)>) {
        (path.to_path_buf(), self.list(path, young))
    }

    fn list(&self, path: &Path, young: i64) -> std::io::Result<(Folder, Vec<PathBuf>)> {
        // Before it is listed: a change meanwhile is seen the next time.
        let own = fs::symlink_metadata(path)?;
        let stamp = if own.ctime() < young { stamp(&own) } else { NEVER };
        let (mut hidden, mut below) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let found = match entry.metadata() {
                Ok(found) => found,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            if !readable_by_all(&found) {
                hidden.push(entry.file_name());
            } else if found.is_dir() && found.dev() == own.dev() {
                below.push(entry.path());
            }
        }
        below.retain(|path| !self.but.contains(path));
        Ok((Folder { path: path.to_path_buf(), stamp, hidden }, below))
    }

    /// What the file says that an earlier walk found, as far as it is walked now; `None` for a damaged file.
    fn recall(&self, bytes: &[u8]) -> Option<Vec<Folder>> {
        // A file that was cut short lacks the word at its end.
        let mut fields = bytes.strip_suffix(LAYOUT)?.split(|byte| *byte == 0);
        let is_known = fields.next() == Some(LAYOUT);
        let mut list = || fields.by_ref().take_while(|path| !path.is_empty()).map(path).collect();
        let walk = Walk { roots: list(), but: list() };
        let mut folders = Vec::new();
        while let Some(place) = fields.next().filter(|path| is_known && !path.is_empty()) {
            let numbers = std::str::from_utf8(fields.next()?).ok()?;
            let mut numbers = numbers.split(' ').map(str::parse::<i64>);
            let mut stamp = NEVER;
            for number in &mut stamp {
                *number = numbers.next()?.ok()?;
            }
            let count = numbers.next()?.ok()?;
            let hidden = (0..count).map(|_| Some(path(fields.next()?).into_os_string()));
            let hidden = hidden.collect::<Option<Vec<_>>>()?;
            folders.push(Folder { path: path(place), stamp, hidden });
        }
        if walk != *self {
            // What was left out then is not known of where it is listed.
            let left_out = walk.but.iter().filter(|path| !self.but.contains(path));
            let listed: BTreeSet<&Path> = left_out.filter_map(|path| path.parent()).collect();
            folders.retain(|folder| {
                self.goes_to(&folder.path) && !listed.contains(folder.path.as_path())
            });
        }
        is_known.then_some(folders)
    }

    /// Whether the walk comes to that folder.
    fn goes_to(&self, folder: &Path) -> bool {
        let is_below = |above: &PathBuf| folder.starts_with(above);
        self.roots.iter().any(is_below) && !self.but.iter().any(is_below)
    }

    fn remember(&self, folders: &[Folder], file: &Path) -> std::io::Result<()> {
        let mut bytes = self.head();
        for folder in folders {
            let [device, number, seconds, nanoseconds] = folder.stamp;
            let count = folder.hidden.len();
            bytes.extend(folder.path.as_os_str().as_bytes());
            bytes.extend(format!("\0{device} {number} {seconds} {nanoseconds} {count}\0").bytes());
            for name in &folder.hidden {
                bytes.extend(name.as_bytes());
                bytes.push(0);
            }
        }
        bytes.extend(LAYOUT);
        let new = file.with_extension(std::process::id().to_string());
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(&new)
            .and_then(|mut out| std::io::Write::write_all(&mut out, &bytes))
            .and_then(|()| fs::rename(&new, file));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }

    /// What such a file begins with: what was walked.
    fn head(&self) -> Vec<u8> {
        let mut bytes = LAYOUT.to_vec();
        bytes.push(0);
        for list in [&self.roots, &self.but] {
            for path in list {
                bytes.extend(path.as_os_str().as_bytes());
                bytes.push(0);
            }
            bytes.push(0);
        }
        bytes
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

impl Folder {
    fn seen(&self) -> Seen {
        let Ok(found) = fs::symlink_metadata(&self.path) else {
            return Seen::Unreadable;
        };
        // Where something is mounted now, the walk does not go.
        let elsewhere = self.stamp != NEVER && stamp(&found)[0] != self.stamp[0];
        if !found.is_dir() || !readable_by_all(&found) || elsewhere {
            return Seen::Unreadable;
        }
        let still_hidden = |name: &OsString| {
            fs::symlink_metadata(self.path.join(name)).is_ok_and(|found| !readable_by_all(&found))
        };
        if stamp(&found) == self.stamp && self.hidden.iter().all(still_hidden) {
            return Seen::Same;
        }
        Seen::Changed
    }
}

fn stamp(found: &Metadata) -> Stamp {
    [found.dev() as i64, found.ino() as i64, found.ctime(), found.ctime_nsec()]
}

/// Seconds since 1970, on the clock of ctimes.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(i64::MAX, |since| since.as_secs() as i64)
}

/// Does `work` for all items on all processors; the results are in order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(processors.min(8)).max(WORTH_A_THREAD);
    if items.len() <= share {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|chunk| (chunk, scope.spawn(move || chunk.iter().map(work).collect::<Vec<R>>())))
            .collect();
        let join = |(chunk, thread): (&[T], std::thread::ScopedJoinHandle<'_, Vec<R>>)| {
            thread.join().unwrap_or_else(|_| chunk.iter().map(work).collect())
        };
        threads.into_iter().flat_map(join).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder of a test's own.
    struct Ground(PathBuf);

    impl Ground {
        fn new(name: &str) -> Ground {
            let path = std::env::temp_dir().join(format!("walk-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("tree/a/b")).unwrap();
            for name in ["tree/open", "tree/a/secret", "tree/a/b/secret"] {
                fs::write(path.join(name), "x").unwrap();
            }
            let ground = Ground(path);
            ["tree/a/secret", "tree/a/b/secret"].iter().for_each(|name| ground.mode(name, 0o600));
            ground
        }

        fn mode(&self, name: &str, mode: u32) {
            fs::set_permissions(self.0.join(name), Permissions::from_mode(mode)).unwrap();
        }

        fn memory(&self) -> PathBuf {
            self.0.join("memory")
        }

        fn walk(&self) -> Walk {
            Walk { roots: vec![self.0.join("tree")], but: vec![self.0.join("tree/left-out")] }
        }

        /// What a walk with the memory finds, which is what a walk without it finds.
        fn found(&self) -> Vec<String> {
            let found = self.walk().unreadable(Some(&self.memory()));
            assert_eq!(found, self.walk().unreadable(None));
            let name = |path: &PathBuf| path.strip_prefix(&self.0).unwrap().display().to_string();
            found.iter().map(name).collect()
        }

        /// Lets what is remembered count, although all is younger than the grain of the clock.
        fn settle(&self) {
            let walk = self.walk();
            let mut folders = walk.recall(&fs::read(self.memory()).unwrap()).unwrap();
            for folder in &mut folders {
                folder.stamp = stamp(&fs::symlink_metadata(&folder.path).unwrap());
            }
            walk.remember(&folders, &self.memory()).unwrap();
        }
    }

    impl Drop for Ground {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_changes_after_a_walk_is_found_by_the_next_one() {
        let ground = Ground::new("changes");
        assert_eq!(ground.found(), ["tree/a/b/secret", "tree/a/secret"]);
        ground.settle();
        assert_eq!(ground.found(), ["tree/a/b/secret", "tree/a/secret"]);
        fs::create_dir_all(ground.0.join("tree/new/deep")).unwrap();
        fs::write(ground.0.join("tree/new/deep/key"), "x").unwrap();
        ground.mode("tree/new/deep/key", 0o640);
        assert_eq!(ground.found(), ["tree/a/b/secret", "tree/a/secret", "tree/new/deep/key"]);
        ground.settle();
        // Neither changes the folder that it is in.
        ground.mode("tree/a/secret", 0o644);
        ground.mode("tree/new", 0o700);
        let found = ground.walk().unreadable(Some(&ground.memory()));
        assert!(found.contains(&ground.0.join("tree/new")), "{found:?}");
        assert!(!found.contains(&ground.0.join("tree/a/secret")), "{found:?}");
        fs::remove_dir_all(ground.0.join("tree/a/b")).unwrap();
        ground.mode("tree/new", 0o755);
        assert_eq!(ground.found(), ["tree/new/deep/key"]);
    }

    #[test]
    fn a_mode_that_changes_alone_is_found_when_the_folder_changes() {
        let ground = Ground::new("mode");
        ground.found();
        ground.settle();
        ground.mode("tree/open", 0o600);
        fs::write(ground.0.join("tree/another"), "x").unwrap();
        assert!(ground.found().contains(&"tree/open".to_string()));
    }

    #[test]
    fn a_damaged_memory_is_not_believed_and_one_of_another_walk_as_far_as_it_goes() {
        let ground = Ground::new("damaged");
        let whole = ground.found();
        let bytes = fs::read(ground.memory()).unwrap();
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(ground.walk().recall(&bytes[..cut]), None);
        }
        let paths = |walk: Walk| {
            let folders = walk.recall(&bytes).unwrap();
            folders.into_iter().map(|folder| folder.path).collect::<BTreeSet<_>>()
        };
        let tree = ground.0.join("tree");
        let all = BTreeSet::from([tree.clone(), tree.join("a"), tree.join("a/b")]);
        assert_eq!(paths(ground.walk()), all);
        let roots = vec![tree.join("a"), tree.join("new")];
        let but = vec![tree.join("a/b")];
        assert_eq!(paths(Walk { roots, but }), BTreeSet::from([tree.join("a")]));
        let (roots, but) = (vec![tree.clone()], Vec::new());
        assert_eq!(paths(Walk { roots, but }), BTreeSet::from([tree.join("a"), tree.join("a/b")]));
        fs::write(ground.memory(), vec![0; bytes.len()]).unwrap();
        assert_eq!(ground.found(), whole);
    }

    #[test]
    fn what_is_left_out_is_not_walked() {
        let ground = Ground::new("but");
        fs::create_dir_all(ground.0.join("tree/left-out")).unwrap();
        fs::write(ground.0.join("tree/left-out/key"), "x").unwrap();
        ground.mode("tree/left-out/key", 0o600);
        assert_eq!(ground.found(), ["tree/a/b/secret", "tree/a/secret"]);
    }
}
