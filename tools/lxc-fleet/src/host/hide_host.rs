//! What of the host a node sees: the decision. [`crate::host::lay`] writes it down as layers, and [`crate::host::view`] mounts
//! them.
//!
//! One rule holds for the host's own root: what others than its owner and group may not read is not there in a
//! node. /etc and /usr are shown as they are but for that and for the host's keys; /, /var, /usr/local, /usr/src
//! and /opt are folders of ours, in which only what is named here can be seen, so that neither a data folder
//! nobody thought of nor what comes there later appears. What is shown on request is shown whatever its mode.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};

use crate::host::overlay;
use crate::host::walk::{Walk, children, private, readable_by_all};
use crate::store::mounts;

/// What is shown of the root itself. /opt is empty.
const TOP: [&str; 10] =
    ["bin", "etc", "lib", "lib32", "lib64", "libx32", "opt", "sbin", "usr", "var"];

/// What is shown of /var.
const VAR: [&str; 4] = ["cache", "lib", "lock", "run"];

/// What is shown of /var/cache: what package managers and linkers keep.
const VAR_CACHE: [&str; 9] = [
    "apt",
    "debconf",
    "dictionaries-common",
    "dnf",
    "fontconfig",
    "ldconfig",
    "man",
    "pacman",
    "zypp",
];

/// What is shown of /var/lib: what package managers and their scripts keep. No database keeps its data there, nor
/// systemd what crashed.
const VAR_LIB: [&str; 20] = [
    "alternatives",
    "apt",
    "aspell",
    "ca-certificates-java",
    "dbus",
    "dictionaries-common",
    "dnf",
    "dpkg",
    "emacsen-common",
    "ghostscript",
    "misc",
    "pacman",
    "pam",
    "python",
    "python3",
    "rpm",
    "sgml-base",
    "ucf",
    "xml-core",
    "zypp",
];

/// What is shown of /usr/local: where programs are, and not where they keep their data.
const LOCAL: [&str; 10] =
    ["bin", "games", "include", "lib", "lib32", "lib64", "libexec", "man", "sbin", "share"];

/// The folders in which only these names are shown.
const CLOSED: [(&str, &[&str]); 7] = [
    ("/", &TOP),
    ("/opt", &[]),
    ("/usr/local", &LOCAL),
    ("/usr/src", &[]),
    ("/var", &VAR),
    ("/var/cache", &VAR_CACHE),
    ("/var/lib", &VAR_LIB),
];

/// Keys and passwords in what is shown: hidden whatever their modes say, and whether they are there or not.
const SECRET: [&str; 28] = [
    "/etc/NetworkManager",
    "/etc/apt/auth.conf",
    "/etc/apt/auth.conf.d",
    "/etc/cron.d",
    "/etc/crypttab",
    "/etc/docker",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/ipsec.d",
    "/etc/ipsec.secrets",
    "/etc/krb5.keytab",
    "/etc/kubernetes",
    "/etc/letsencrypt",
    "/etc/machine-id",
    "/etc/netplan",
    "/etc/openvpn",
    "/etc/rancher",
    "/etc/security/opasswd",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/wireguard",
    "/var/cache/debconf/passwords.dat",
    "/var/cache/debconf/passwords.dat-old",
    "/var/lib/dbus/machine-id",
];

/// What the package manager must read to build a layer, and no node must.
const APT_KEYS: [&str; 2] = ["/etc/apt/auth.conf", "/etc/apt/auth.conf.d"];

/// Empty folders that a node finds, with their modes.
const BARE: [(&str, u32); 17] = [
    ("/dev", 0o755),
    ("/home", 0o755),
    ("/media", 0o755),
    ("/mnt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/var/backups", 0o755),
    ("/var/local", 0o755),
    ("/var/log", 0o755),
    ("/var/mail", 0o2775),
    ("/var/opt", 0o755),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];

/// Files of which a node gets one of its own, in which every account is there and locked.
const ACCOUNTS: [&str; 2] = ["/etc/shadow", "/etc/gshadow"];

/// Folders that an overlay of / must hold itself: a filesystem of its own mounted there would not appear.
const NEEDED: [&str; 9] =
    ["/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/lib", "/var", "/var/lib"];

/// For whom the mask is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For<'a> {
    /// A node; with the file in which the walk over the host is remembered.
    Node(&'a Path),
    /// The building of a layer: the package manager's own keys are seen.
    Build,
}

/// What stands at a path of a layer over the host's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A folder like the host's in which nothing of the host's is seen but what has a piece of its own.
    Closed,
    /// The host's folder, with what is in it now and later.
    Folder,
    /// The host's file, with what is in it now and later.
    File,
    /// A link like the host's, to this target.
    Link(PathBuf),
    /// Nothing, whatever the host has there.
    Nothing,
}

/// Pieces by their paths: each folder comes before what is in it.
pub type Pieces = BTreeMap<PathBuf, Piece>;

/// A mask: what is seen of the host, and what stands in place of the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// What all users of the host may read.
    pub host: Pieces,
    /// What is shown on request.
    pub shown: Pieces,
    /// Empty folders of the node's own, with their modes.
    pub folders: Vec<(PathBuf, u32)>,
    /// Files of accounts in which every account is locked.
    pub accounts: Vec<PathBuf>,
}

impl Mask {
    /// Looks at the host, and decides what is seen of it, and also `shown`.
    ///
    /// # Errors
    /// 69 if the host's layout does not allow an overlay of its root; 64 for a path that cannot be shown;
    /// 71 if a folder cannot be read.
    pub fn of_host(shown: &[PathBuf], whom: For<'_>) -> Result<Mask> {
        in_one_piece()?;
        let mut pieces = Pieces::new();
        for path in shown {
            show(path, &mut pieces)?;
        }
        let memory = match whom {
            For::Node(memory) => Some(memory),
            For::Build => {
                for key in APT_KEYS.map(Path::new).iter().filter(|path| path.exists()) {
                    show(key, &mut pieces)?;
                }
                None
            }
        };
        let own = |path: &Path| !path.ancestors().any(|above| pieces.contains_key(above));
        let folders = BARE.map(|(path, mode)| (PathBuf::from(path), mode));
        let folders = folders.into_iter().filter(|(path, _)| own(path)).collect();
        let accounts = ACCOUNTS.map(PathBuf::from).into_iter().filter(|path| own(path)).collect();
        // Without a view, what the walk does not find can be read.
        let memory = memory.filter(|_| overlay::has_room().unwrap_or(false));
        Ok(Mask { host: host(memory)?, folders, accounts, shown: pieces })
    }

    /// Whether something of the host that is at `path` is seen there.
    pub fn sees(&self, path: &Path) -> bool {
        let seen_in = |pieces: &Pieces| {
            let nearest = path.ancestors().find_map(|above| Some((above, pieces.get(above)?)));
            match nearest {
                Some((_, Piece::Folder)) => true,
                Some((_, Piece::Nothing)) | None => false,
                Some((above, _)) => above == path,
            }
        };
        let own = self.folders.iter().any(|(folder, _)| folder == path)
            || self.accounts.iter().any(|file| file == path);
        own || seen_in(&self.host) || seen_in(&self.shown)
    }
}

impl Mask {
    /// All that the host has now and that is not seen: what to hide if nothing but whiteouts will do.
    ///
    /// # Errors
    /// 71 if a folder cannot be read.
    pub fn unseen(&self) -> Result<BTreeSet<PathBuf>> {
        let mut unseen = BTreeSet::new();
        for (path, piece) in &self.host {
            match piece {
                Piece::Nothing => self.all_but_shown(path, &mut unseen)?,
                Piece::Closed => children(path)?
                    .iter()
                    .filter(|child| !self.host.contains_key(*child))
                    .try_for_each(|child| self.all_but_shown(child, &mut unseen))?,
                Piece::Folder | Piece::File | Piece::Link(_) => {}
            }
        }
        Ok(unseen)
    }

    fn all_but_shown(&self, path: &Path, unseen: &mut BTreeSet<PathBuf>) -> Result<()> {
        if path.ancestors().any(|above| self.shown.contains_key(above)) {
            return Ok(());
        }
        if self.shown.keys().any(|shown| shown.starts_with(path)) {
            return children(path)?.iter().try_for_each(|child| self.all_but_shown(child, unseen));
        }
        unseen.insert(path.to_path_buf());
        Ok(())
    }
}

/// An overlay shows one filesystem: what the nodes need must all lie on that of /.
fn in_one_piece() -> Result<()> {
    let points = mounts::mount_points()?;
    match points.iter().find(|point| NEEDED.iter().any(|needed| *point == Path::new(needed))) {
        None => Ok(()),
        Some(point) => Err(Error::missing(format!(
            "{} is a filesystem of its own here, and an overlay of / does not show it; use lxc-fleet up --image busybox, or a host whose system lies on one filesystem",
            point.display()
        ))),
    }
}

/// The pieces that show `path`, and what it is a link to.
fn show(path: &Path, pieces: &mut Pieces) -> Result<()> {
    can_be_shown(path)?;
    let place = |e: std::io::Error| Error::io(format!("show {}", path.display()), &e);
    let real = fs::canonicalize(path).map_err(place)?;
    // The link itself is seen as well, at the place where it really is.
    let above = path.parent().map(fs::canonicalize).transpose().map_err(place)?;
    let named = above.zip(path.file_name()).map_or(real.clone(), |(above, name)| above.join(name));
    for path in [named, real] {
        let found = fs::symlink_metadata(&path).map_err(place)?;
        let piece = match () {
            () if found.is_symlink() => Piece::Link(fs::read_link(&path).map_err(place)?),
            () if found.is_dir() => Piece::Folder,
            () => Piece::File,
        };
        pieces.insert(path, piece);
    }
    Ok(())
}

fn can_be_shown(path: &Path) -> Result<()> {
    let wrong = |why: &str| Error::usage(format!("--show {}: {why}", path.display()));
    let plain =
        |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir);
    if !path.is_absolute() || !path.components().all(plain) || path == Path::new("/") {
        return Err(wrong("name a path from / without dots, and not / itself"));
    }
    let found =
        fs::metadata(path).map_err(|e| Error::io(format!("show {}", path.display()), &e))?;
    if !found.is_dir() && !found.is_file() {
        return Err(wrong("it is neither a file nor a folder"));
    }
    let root = fs::metadata("/").map_err(|e| Error::io("look at /", &e))?;
    if found.dev() != root.dev() {
        return Err(wrong(
            "it lies on a filesystem of its own, and nodes see that of / alone; push it",
        ));
    }
    Ok(())
}

/// What is seen of the host by everybody.
fn host(memory: Option<&Path>) -> Result<Pieces> {
    let mut pieces = Pieces::from([(PathBuf::from("/"), Piece::Closed)]);
    for (folder, names) in CLOSED {
        close(Path::new(folder), names, &mut pieces)?;
    }
    let mut hidden = BTreeSet::new();
    if pieces.contains_key(Path::new("/etc")) {
        private(Path::new("/etc"), &mut hidden)?;
    }
    hidden.extend(walk(&pieces).unreadable(memory));
    hidden.extend(SECRET.map(PathBuf::from));
    hidden.into_iter().for_each(|path| hide(path, &mut pieces));
    Ok(pieces)
}

/// Lets a folder show nothing but these names.
fn close(folder: &Path, names: &[&str], pieces: &mut Pieces) -> Result<()> {
    let found = fs::symlink_metadata(folder);
    if found.as_ref().is_ok_and(|found| found.is_symlink()) || !is_in(folder, pieces) {
        return Ok(());
    }
    if found.is_ok_and(|found| found.is_dir() && readable_by_all(&found)) {
        pieces.insert(folder.to_path_buf(), Piece::Closed);
        return names.iter().try_for_each(|name| offer(folder.join(name), pieces));
    }
    // It is not to appear when it is made, or opened to all, later.
    hide(folder.to_path_buf(), pieces);
    Ok(())
}

/// Shows what is at `path`, if it is a folder that all may read or a link.
fn offer(path: PathBuf, pieces: &mut Pieces) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(&path) else { return Ok(()) };
    let root = fs::metadata("/").map_err(|e| Error::io("look at /", &e))?;
    if found.is_symlink() {
        let target = fs::read_link(&path)
            .map_err(|e| Error::io(format!("read the link {}", path.display()), &e))?;
        pieces.insert(path, Piece::Link(target));
    } else if found.is_dir() && readable_by_all(&found) && found.dev() == root.dev() {
        pieces.insert(path, Piece::Folder);
    }
    Ok(())
}

/// The folders that are walked: all that are shown, but for /etc, which is small and looked at anew each time.
fn walk(pieces: &Pieces) -> Walk {
    let of = |kind: Piece| {
        let paths = pieces.iter().filter(move |(_, piece)| **piece == kind);
        paths.map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let mut roots = of(Piece::Folder);
    roots.retain(|path| path != Path::new("/etc"));
    Walk { roots, but: of(Piece::Closed) }
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether a piece at `path` would be seen: the folder that it is in is shown, or a folder of ours.
fn is_in(path: &Path, pieces: &Pieces) -> bool {
    let Some(above) = path.parent() else { return true };
    match above.ancestors().find_map(|above| Some((above, pieces.get(above)?))) {
        Some((_, Piece::Folder)) => above.ancestors().all(|part| !part.is_symlink()),
        Some((piece, Piece::Closed)) => piece == above,
        _ => false,
    }
}

/// Hides `path`. What lies below something hidden is hidden with it, and nothing can be made below a whiteout; nor
/// must one lie in a folder of ours, where the kernel, which has nothing to merge, would list it.
fn hide(path: PathBuf, pieces: &mut Pieces) {
    let Some(above) = path.parent().filter(|above| is_in(&path, pieces) && is_folder(above)) else {
        return;
    };
    if pieces.get(above) == Some(&Piece::Closed) {
        pieces.retain(|other, _| !other.starts_with(&path));
    } else {
        pieces.insert(path, Piece::Nothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var() -> Pieces {
        Pieces::from([
            ("/".into(), Piece::Closed),
            ("/usr".into(), Piece::Folder),
            ("/usr/local".into(), Piece::Closed),
        ])
    }

    #[test]
    fn what_lies_in_something_hidden_or_closed_needs_no_whiteout_of_its_own() {
        let mut pieces = var();
        pieces.insert("/usr/local/bin".into(), Piece::Folder);
        for path in ["/usr/share", "/usr/share/doc", "/usr/local/bin", "/usr/local/bin/x", "/x/y"] {
            hide(path.into(), &mut pieces);
        }
        let mut expected = var();
        expected.insert("/usr/share".into(), Piece::Nothing);
        assert_eq!(pieces, expected);
    }

    #[test]
    fn what_is_seen_follows_from_the_nearest_piece() {
        let mut host = var();
        host.insert("/usr/share/secret".into(), Piece::Nothing);
        let shown = Pieces::from([(PathBuf::from("/srv/a"), Piece::Folder)]);
        let folders = vec![(PathBuf::from("/srv"), 0o755)];
        let mask = Mask { host, shown, folders, accounts: Vec::new() };
        for seen in ["/usr", "/usr/bin/env", "/usr/local", "/srv", "/srv/a", "/srv/a/b"] {
            assert!(mask.sees(Path::new(seen)), "{seen}");
        }
        for hidden in ["/usr/share/secret", "/usr/share/secret/x", "/usr/local/pgsql", "/srv/b"] {
            assert!(!mask.sees(Path::new(hidden)), "{hidden}");
        }
    }

    #[test]
    fn only_a_plain_path_that_exists_can_be_shown() {
        for bad in ["/", "etc/passwd", "/etc/../root", "/no/such/path", "/dev/null"] {
            assert!(can_be_shown(Path::new(bad)).is_err(), "{bad}");
        }
        can_be_shown(Path::new("/etc/passwd")).unwrap();
    }

    #[test]
    fn the_mask_of_this_host_shows_the_system_and_no_keys() {
        let Ok(mask) = Mask::of_host(&[], For::Build) else { return };
        for seen in ["/usr/bin/env", "/etc/passwd", "/etc/shadow", "/var/log"] {
            assert!(mask.sees(Path::new(seen)), "{seen}");
        }
        for hidden in ["/etc/ssh", "/etc/sudoers", "/var/lib/breakit", "/root/.ssh", "/usr/src/x"] {
            assert!(!mask.sees(Path::new(hidden)), "{hidden}");
        }
    }
}
