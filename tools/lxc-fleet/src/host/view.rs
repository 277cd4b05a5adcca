//! What of the host a node sees: mounted, as lower layers for the overlay that becomes the node's root.
//!
//! Between the host's root and that overlay lies another one, which reads the host as a stranger: overlayfs asks for
//! every file whether the process that mounted it may read it, and that process was no user of the host and had no
//! capability to pass over modes. So what others may not read is unreadable in a node, whenever it came and
//! whoever asks; that it is not even there is the work of [`crate::host::hide_host`].
//!
//! This overlay follows redirects, which [`crate::host::lay`] alone writes; the node's own does not.
//!
//! The kernel lays at most two overlays on one another. So there is no room for this one if the host's root is an
//! overlay itself (a live system, a container): then the mask is a layer of whiteouts, for what the host has at
//! that moment.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use crate::host::lay::NODE;
use crate::host::overlay;

/// A user and group of the host's that owns nothing: an id that no user and no range of nodes has.
const STRANGER: u32 = u32::MAX - 2;

/// CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, of linux/capability.h.
const OVER_MODES: u64 = 1 << 1 | 1 << 2;

/// Who reads the host's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Stranger,
    Root,
}

/// The lower layers through which the host is seen, mounted for as long as this value lives. An overlay that was
/// mounted over them keeps them.
#[derive(Debug, Default)]
pub struct View {
    points: Vec<PathBuf>,
}

impl View {
    /// Mounts what the layers in `folder` (of [`crate::host::hide_host::Mask::lay`]) let be seen of `host`, at folders in
    /// `points`. Whoever calls is root and in the mount namespace in which the view is needed.
    ///
    /// # Errors
    /// 71 with what the kernel says, 69 if it has no overlay filesystem.
    pub fn mount(folder: &Path, host: &Path, points: &Path) -> Result<View> {
        let mut view = View::default();
        if is_flat(folder) {
            return Ok(view);
        }
        if shows(folder) {
            view.add(&folder.join("shown"), host, &points.join("shown"), Reader::Root)?;
        }
        view.add(&folder.join("host"), host, &points.join("host"), Reader::Stranger)?;
        Ok(view)
    }

    fn add(&mut self, layer: &Path, host: &Path, point: &Path, reader: Reader) -> Result<()> {
        fs::create_dir_all(point).map_err(|e| place(point, &e))?;
        let (layer, host, target) = (open(layer)?, open(host)?, open(point)?);
        let through = |file: &File| format!("/proc/self/fd/{}", file.as_raw_fd());
        let options = match reader {
            Reader::Stranger => "redirect_dir=follow,metacopy=off",
            // This lets it follow the redirects of files as well as those of folders.
            Reader::Root => "metacopy=on",
        };
        let options = format!("lowerdir={}:{},{options}", through(&layer), through(&host));
        let target = through(&target);
        let done = reader.does(|| {
            let flags = MsFlags::MS_NODEV | MsFlags::MS_RDONLY;
            mount(Some("overlay"), target.as_str(), Some("overlay"), flags, Some(options.as_str()))
        });
        done.map_err(|errno| overlay::refused("the view of the host", errno))?;
        self.points.push(point.to_path_buf());
        Ok(())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        for point in &self.points {
            let _ = umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
    }
}

/// Whether the layers in `folder` are whiteouts alone.
fn is_flat(folder: &Path) -> bool {
    folder.join("flat").exists()
}

/// Whether the layers in `folder` show something on request.
fn shows(folder: &Path) -> bool {
    folder.join("shown").exists()
}

/// The lower layers of a node or a build over `host`, the uppermost first, whose layers of a mask lie in `folder` and
/// whose view is mounted in `points`.
pub fn lowers(folder: &Path, host: &Path, points: &Path) -> Vec<PathBuf> {
    let bare = folder.join("bare");
    if is_flat(folder) {
        return vec![bare, folder.join("flat"), host.to_path_buf()];
    }
    let shown = shows(folder).then(|| points.join("shown").join(NODE));
    std::iter::once(bare).chain(shown).chain([points.join("host").join(NODE)]).collect()
}

impl Reader {
    /// Does `work` in a thread that has the reader's rights, and keeps the capability to mount.
    fn does(
        self,
        work: impl FnOnce() -> std::result::Result<(), Errno> + Send,
    ) -> std::result::Result<(), Errno> {
        if self == Reader::Root {
            return work();
        }
        let as_stranger = || {
            become_stranger()?;
            work()
        };
        // The ids of a thread's own are gone with it.
        std::thread::scope(|scope| scope.spawn(as_stranger).join()).unwrap_or(Err(Errno::EIO))
    }
}

/// Gives up, for this thread, root's files, root's groups, and with the user of its files all capabilities that are
/// about files.
fn become_stranger() -> std::result::Result<(), Errno> {
    // SAFETY: with a length of 0 the list is not read. (The function of the C library would change all threads.)
    let done = unsafe { libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) };
    Errno::result(done)?;
    setfsgid(Gid::from_raw(STRANGER));
    setfsuid(Uid::from_raw(STRANGER));
    // Neither call says whether it did it; a second one says what was there.
    let (group, user) = (setfsgid(Gid::from_raw(STRANGER)), setfsuid(Uid::from_raw(STRANGER)));
    let is_stranger = group.as_raw() == STRANGER && user.as_raw() == STRANGER;
    if is_stranger && !passes_over_modes() { Ok(()) } else { Err(Errno::EPERM) }
}

/// Whether this thread has a capability to read what its user may not.
fn passes_over_modes() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.is_none_or(|bits| bits & OVER_MODES != 0)
}

/// A folder held open: the stranger could not come to it by its path.
fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(path)
        .map_err(|e| place(path, &e))
}

fn place(path: &Path, error: &std::io::Error) -> Error {
    Error::io(format!("mount what is seen of the host at {}", path.display()), error)
}
