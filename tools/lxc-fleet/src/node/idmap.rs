//! Mounts whose files show other owners than they have on disk (mount_setattr(2), MOUNT_ATTR_IDMAP).
//!
//! Debian 12's mount(8) cannot make them (it has no `X-mount.idmap`), so the three system calls are made here.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pause};

use crate::host::mount_attributes::{self, Change};

/// How many ids a node has: all that programs and packages use.
pub const COUNT: u32 = 65_536;

// From linux/mount.h; the libc crate has none of them for Linux.
const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// A map of [`COUNT`] ids, held as the user namespace that the kernel takes it from.
#[derive(Debug)]
pub struct Mapping(File);

impl Mapping {
    /// The mapping under which the file owner `from` is shown as `to`, and so on.
    ///
    /// # Errors
    /// What the kernel says: EPERM or ENOSPC if it allows no further user namespace.
    pub fn new(from: u32, to: u32) -> Result<Mapping, Errno> {
        in_user_namespace(|child| of_process(child.as_raw(), from, to))
    }
}

/// Whether this process can make a user namespace.
///
/// # Errors
/// What the kernel says: EPERM in a chroot, ENOSPC or EUSERS if it allows no further one.
pub fn user_namespace() -> Result<(), Errno> {
    in_user_namespace(|_| Ok(()))
}

/// Does `work` while there is a child process in a user namespace of its own.
fn in_user_namespace<T>(work: impl FnOnce(Pid) -> Result<T, Errno>) -> Result<T, Errno> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let us = getpid();
    // SAFETY: the child makes system calls alone, allocates nothing, and ends without unwinding.
    let child = match unsafe { fork() }? {
        ForkResult::Child => {
            // It must not outlive us, whatever ends us: it holds our locks. We may have ended before it could ask for
            // a signal.
            let made = set_pdeathsig(Signal::SIGKILL)
                .and_then(|()| if getppid() == us { Ok(()) } else { Err(Errno::ESRCH) })
                .and_then(|()| unshare(CloneFlags::CLONE_NEWUSER))
                .map_or_else(|errno| errno as u8, |()| 0);
            let _ = nix::unistd::write(&writer, &[made]);
            if made != 0 {
                // SAFETY: it ends the process at once, without anything of ours.
                unsafe { libc::_exit(0) }
            }
            loop {
                pause();
            }
        }
        ForkResult::Parent { child } => child,
    };
    drop(writer);
    let mut made = [0xff];
    let read = File::from(reader).read_exact(&mut made);
    let done = match (read, made[0]) {
        (Ok(()), 0) => work(child),
        (Ok(()), errno) => Err(Errno::from_raw(i32::from(errno))),
        (Err(_), _) => Err(Errno::EIO),
    };
    let _ = kill(child, Signal::SIGKILL);
    let _ = waitpid(child, None);
    done
}

fn of_process(pid: i32, from: u32, to: u32) -> Result<Mapping, Errno> {
    let place = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{map}"), format!("{from} {to} {COUNT}")).map_err(place)?;
    }
    File::open(format!("/proc/{pid}/ns/user")).map(Mapping).map_err(place)
}

/// A mount of `path` that lies nowhere yet: the same files, with other owners.
///
/// # Errors
/// What the kernel says: EINVAL for a filesystem that cannot do this.
pub fn clone(path: &Path, mapping: &Mapping) -> Result<OwnedFd, Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    let tree = unsafe { OwnedFd::from_raw_fd(fd) };
    let user_namespace = mapping.0.as_raw_fd();
    let owners = Change { set: mount_attributes::IDMAP, user_namespace, ..Change::default() };
    mount_attributes::change(tree.as_raw_fd(), c"", libc::AT_EMPTY_PATH as libc::c_uint, owners)?;
    Ok(tree)
}

/// Lets such a mount lie on `target`.
///
/// # Errors
/// What the kernel says.
pub fn attach(tree: &OwnedFd, target: &Path) -> Result<(), Errno> {
    let target = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both paths are C strings that outlive the call, and the descriptor is open.
    let done = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(done).map(drop)
}
