//! Attributes of a mount that is there already (mount_setattr(2), Linux 5.12).

use std::ffi::CStr;
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::libc;

// From linux/mount.h; the libc crate has none of them for Linux.
/// Nothing below it can be written.
pub const RDONLY: u64 = 0x1;
/// Programs below it get no other rights by their owner.
pub const NOSUID: u64 = 0x2;
/// Devices below it cannot be opened.
pub const NODEV: u64 = 0x4;
/// Files below it show other owners, by a user namespace.
pub const IDMAP: u64 = 0x0010_0000;

/// From linux/fcntl.h: all mounts below too.
pub const AT_RECURSIVE: libc::c_uint = 0x8000;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// What is changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// The attributes that the mount gets.
    pub set: u64,
    /// The attributes that it loses.
    pub clear: u64,
    /// The user namespace of [`IDMAP`]; 0 for none.
    pub user_namespace: RawFd,
}

/// Changes the mount at `path`, which is looked up from the folder `at`. It allocates nothing, so that it may be called
/// between fork and exec.
///
/// # Errors
/// What the kernel says: ENOSYS before Linux 5.12.
pub fn change(at: RawFd, path: &CStr, flags: libc::c_uint, change: Change) -> Result<(), Errno> {
    let attr = MountAttr {
        attr_set: change.set,
        attr_clr: change.clear,
        userns_fd: change.user_namespace as u64,
        ..MountAttr::default()
    };
    // SAFETY: the call reads a string and a struct of the size that it is told; both live until it returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at,
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    Errno::result(done).map(drop)
}
