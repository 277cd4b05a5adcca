//! What of the host a node does not see.
//!
//! Two layers lie between the host's root and everything above it. `hide` has a whiteout for each thing that is
//! hidden, `bare` the empty folders and made-up files that stand in its place. Both are *lower* layers of the
//! overlay: root in the node can neither unmount nor delete them, as it could a tmpfs laid over a path.
//!
//! At the top and in /var only known names are shown, so that a data folder nobody thought of stays hidden; in
//! /etc and /opt, what others than its owner may not read is hidden, and so are the host's keys.

use std::collections::BTreeSet;
use std::fs::{self, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

/// What is shown of the root itself.
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

/// What is shown of /var/lib: what package managers and their scripts keep. No database keeps its data there.
const VAR_LIB: [&str; 21] = [
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
    "systemd",
    "ucf",
    "xml-core",
    "zypp",
];

/// Keys and passwords, hidden whatever their modes say, whether they are there now or not.
const SECRET: [&str; 29] = [
    "/boot",
    "/etc/NetworkManager",
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
    "/usr/local/etc",
    "/var/backups",
    "/var/cache/debconf/passwords.dat",
    "/var/mail",
    "/var/spool",
];

/// Data of databases and containers: hidden even where a package of the host puts it there while nodes run.
const DATA: [&str; 22] = [
    "/var/lib/breakit",
    "/var/lib/cassandra",
    "/var/lib/clickhouse",
    "/var/lib/consul",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/elasticsearch",
    "/var/lib/etcd",
    "/var/lib/incus",
    "/var/lib/influxdb",
    "/var/lib/kubelet",
    "/var/lib/libvirt",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/mongodb",
    "/var/lib/mysql",
    "/var/lib/nats",
    "/var/lib/postgresql",
    "/var/lib/rabbitmq",
    "/var/lib/redis",
    "/var/lib/zookeeper",
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

/// Folders of which what others may not read is hidden.
const BY_MODE: [&str; 2] = ["/etc", "/opt"];

/// Folders that an overlay of / must hold itself: a filesystem of its own mounted there would not appear.
const NEEDED: [&str; 9] =
    ["/bin", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/usr/lib", "/var", "/var/lib"];

/// For whom the mask is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// A node.
    Node,
    /// The building of a layer: the package manager's own keys are seen.
    Build,
}

/// A mask: what is hidden, and what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    whiteouts: BTreeSet<PathBuf>,
    folders: Vec<(PathBuf, u32)>,
}

impl Mask {
    /// Looks at the host, and decides what is hidden but for the paths `shown`.
    ///
    /// # Errors
    /// 69 where the host's layout does not allow an overlay of its root; 64 for a path that cannot be shown;
    /// 71 where a folder cannot be read.
    pub fn of_host(shown: &[PathBuf], whom: For) -> Result<Mask> {
        in_one_piece()?;
        shown.iter().try_for_each(|path| can_be_shown(path))?;
        let mut shown = shown.to_vec();
        if whom == For::Build {
            shown.extend(APT_KEYS.iter().map(PathBuf::from));
        }
        let mut whiteouts = BTreeSet::new();
        for path in hidden()? {
            hide(&path, &shown, &mut whiteouts)?;
        }
        let keep = |path: &Path| !shown.iter().any(|shown| path.starts_with(shown));
        let folders = BARE.map(|(path, mode)| (PathBuf::from(path), mode));
        let folders = folders.into_iter().filter(|(path, _)| keep(path)).collect();
        Ok(Mask { whiteouts, folders })
    }

    /// Makes the two layers, `hide` and `bare`, in `folder`.
    ///
    /// # Errors
    /// 71 where the system refuses.
    pub fn lay(&self, folder: &Path) -> Result<()> {
        let (hide, bare) = (folder.join("hide"), folder.join("bare"));
        for layer in [&hide, &bare] {
            fs::create_dir_all(layer).map_err(|e| place(layer, &e))?;
        }
        for path in &self.whiteouts {
            whiteout(&hide, path)?;
        }
        for (path, mode) in &self.folders {
            let inside = folder_like_host(&bare, path)?;
            fs::set_permissions(&inside, Permissions::from_mode(*mode))
                .map_err(|e| place(&inside, &e))?;
        }
        for file in ["/etc/shadow", "/etc/gshadow"] {
            if self.whiteouts.contains(Path::new(file)) {
                locked_accounts(&bare, Path::new(file))?;
            }
        }
        Ok(())
    }
}

/// An overlay shows one filesystem: what the nodes need must all lie on that of /.
fn in_one_piece() -> Result<()> {
    let points = crate::store::mount_points()?;
    match points.iter().find(|point| NEEDED.iter().any(|needed| *point == Path::new(needed))) {
        None => Ok(()),
        Some(point) => Err(Error::missing(format!(
            "{} is a filesystem of its own here, and an overlay of / does not show it; use lxc-fleet up --image busybox, or a host whose system lies on one filesystem",
            point.display()
        ))),
    }
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
    let root = fs::metadata("/").map_err(|e| Error::io("look at /", &e))?;
    if found.dev() != root.dev() {
        return Err(wrong(
            "it lies on a filesystem of its own, and nodes see that of / alone; push it",
        ));
    }
    Ok(())
}

/// Everything that is hidden from a node that is shown nothing.
fn hidden() -> Result<BTreeSet<PathBuf>> {
    let mut paths: BTreeSet<PathBuf> =
        SECRET.iter().chain(&DATA).chain(&APT_KEYS).map(PathBuf::from).collect();
    for (folder, shown) in
        [("/", &TOP[..]), ("/var", &VAR), ("/var/cache", &VAR_CACHE), ("/var/lib", &VAR_LIB)]
    {
        let others = children(Path::new(folder))?
            .into_iter()
            .filter(|path| !shown.iter().any(|name| path.file_name().is_some_and(|n| n == *name)));
        paths.extend(others);
    }
    for folder in BY_MODE {
        unreadable(Path::new(folder), &mut paths)?;
    }
    Ok(paths)
}

/// What lies in `folder` and others than its owner may not read.
fn unreadable(folder: &Path, into: &mut BTreeSet<PathBuf>) -> Result<()> {
    for path in children(folder)? {
        // Whatever vanished meanwhile needs no hiding.
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.is_symlink() {
            continue;
        }
        if !readable_by_all(&found) {
            into.insert(path);
        } else if found.is_dir() {
            unreadable(&path, into)?;
        }
    }
    Ok(())
}

fn readable_by_all(found: &Metadata) -> bool {
    let needed = if found.is_dir() { 0o5 } else { 0o4 };
    found.mode() & needed == needed
}

/// Hides `path`, but for what in it is shown.
fn hide(path: &Path, shown: &[PathBuf], whiteouts: &mut BTreeSet<PathBuf>) -> Result<()> {
    if shown.iter().any(|shown| path.starts_with(shown)) {
        return Ok(());
    }
    if shown.iter().any(|shown| shown.starts_with(path)) {
        return children(path)?.iter().try_for_each(|child| hide(child, shown, whiteouts));
    }
    // What lies below something hidden is hidden with it, and nothing can be made below a whiteout.
    if !path.ancestors().skip(1).any(|above| whiteouts.contains(above)) {
        whiteouts.insert(path.to_path_buf());
    }
    Ok(())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(list) => Ok(list.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::io(format!("list {}", folder.display()), &e)),
    }
}

/// A whiteout, as overlayfs knows it: a character device 0:0.
fn whiteout(layer: &Path, path: &Path) -> Result<()> {
    if let Some(above) = path.parent() {
        folder_like_host(layer, above)?;
    }
    let inside = within(layer, path);
    match mknod(&inside, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Error::io(format!("hide {}", path.display()), &errno.into())),
    }
}

/// A folder in a layer, and those above it, with the host's owners and modes: an upper folder's own count.
fn folder_like_host(layer: &Path, path: &Path) -> Result<PathBuf> {
    let mut inside = layer.to_path_buf();
    for (i, part) in path.components().enumerate().skip(1) {
        inside.push(part);
        match fs::create_dir(&inside) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(place(&inside, &e)),
        }
        let host: PathBuf = path.components().take(i + 1).collect();
        if let Ok(found) = fs::metadata(&host) {
            like(&inside, &found)?;
        }
    }
    Ok(inside)
}

fn like(inside: &Path, host: &Metadata) -> Result<()> {
    chown(inside, Some(host.uid()), Some(host.gid())).map_err(|e| place(inside, &e))?;
    fs::set_permissions(inside, Permissions::from_mode(host.mode() & 0o7777))
        .map_err(|e| place(inside, &e))
}

/// A shadow file in which every account of the host is there and locked: login programs and the scripts of
/// packages need the file, and nobody needs the host's hashes.
fn locked_accounts(bare: &Path, file: &Path) -> Result<()> {
    let (names, rest) = match file.file_name().and_then(|name| name.to_str()) {
        Some("gshadow") => ("/etc/group", ":!::\n"),
        _ => ("/etc/passwd", ":*:19000:0:99999:7:::\n"),
    };
    let names = fs::read_to_string(names).map_err(|e| Error::io(format!("read {names}"), &e))?;
    let text: String = names
        .lines()
        .filter_map(|line| line.split(':').next())
        .map(|name| format!("{name}{rest}"))
        .collect();
    folder_like_host(bare, Path::new("/etc"))?;
    let inside = within(bare, file);
    fs::write(&inside, text).map_err(|e| place(&inside, &e))?;
    match fs::metadata(file) {
        Ok(host) => like(&inside, &host),
        Err(_) => fs::set_permissions(&inside, Permissions::from_mode(0o600))
            .map_err(|e| place(&inside, &e)),
    }
}

fn within(layer: &Path, path: &Path) -> PathBuf {
    layer.join(path.strip_prefix("/").unwrap_or(path))
}

fn place(path: &Path, error: &std::io::Error) -> Error {
    Error::io(format!("make {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_something_hidden_needs_no_whiteout_of_its_own() {
        let mut whiteouts = BTreeSet::new();
        for path in ["/var/lib/mysql", "/var/lib/mysql/ibdata1"] {
            hide(Path::new(path), &[], &mut whiteouts).unwrap();
        }
        assert_eq!(whiteouts.len(), 1);
    }

    #[test]
    fn a_path_that_is_shown_comes_out_of_what_is_hidden_with_nothing_beside_it() {
        let dir = std::env::temp_dir().join(format!("mask-{}", std::process::id()));
        for name in ["secret", "open"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let mut whiteouts = BTreeSet::new();
        hide(&dir, &[dir.join("open")], &mut whiteouts).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(whiteouts.into_iter().collect::<Vec<_>>(), [dir.join("secret")]);
    }

    #[test]
    fn only_a_plain_path_that_exists_can_be_shown() {
        for bad in ["/", "etc/passwd", "/etc/../root", "/no/such/path"] {
            assert!(can_be_shown(Path::new(bad)).is_err(), "{bad}");
        }
        can_be_shown(Path::new("/etc/passwd")).unwrap();
    }
}
