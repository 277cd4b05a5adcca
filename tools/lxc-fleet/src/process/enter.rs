//! What a program leaves behind before it enters a node or starts one.
//!
//! Root in a node is not trusted, and whatever crosses with a program is in its hands: a descriptor on a folder of
//! the host leads to all of the host's files, and our terminal takes keys and escape sequences from it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::setsid;

/// From linux/close_range.h: descriptors are not closed at once but by exec.
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;

/// The first descriptor behind stdin, stdout and stderr.
const FIRST: libc::c_uint = 3;

/// Lets `command` keep its stdin, stdout and stderr, and no other descriptor and no terminal of ours.
///
/// Descriptors are marked and not closed: the standard library learns through one of them whether exec failed.
pub fn alone(command: &mut Command) -> &mut Command {
    let leave = || {
        // It fails for the leader of a process group only, which a child that was just forked is not.
        let _ = setsid();
        close_on_exec()
    };
    // SAFETY: between fork and exec the closure makes system calls alone, and allocates nothing.
    unsafe { command.pre_exec(leave) }
}

/// Lets `command` and what it starts have `soft` open files, and up to `hard` if they ask for more; as many as we may
/// have ourselves if we may not raise that.
pub fn limit_files(command: &mut Command, soft: u64, hard: u64) {
    let limit = move || match setrlimit(Resource::RLIMIT_NOFILE, soft, hard) {
        Err(Errno::EPERM) => {
            let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
            Ok(setrlimit(Resource::RLIMIT_NOFILE, soft.min(most), hard.min(most))?)
        }
        other => Ok(other?),
    };
    // SAFETY: between fork and exec the closure makes system calls with numbers, and allocates nothing.
    unsafe { command.pre_exec(limit) };
}

/// Marks every descriptor but the first three to be closed by exec.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC)
    };
    match Errno::result(done) {
        Ok(_) => Ok(()),
        // Kernels before 5.11.
        Err(Errno::ENOSYS | Errno::EINVAL) => close_each_on_exec(),
        Err(errno) => Err(errno.into()),
    }
}

fn close_each_on_exec() -> io::Result<()> {
    // The hard limit: the soft one may have been lowered below what was open by then.
    let (_, limit) = getrlimit(Resource::RLIMIT_NOFILE)?;
    for fd in FIRST as libc::c_int..libc::c_int::try_from(limit).unwrap_or(libc::c_int::MAX) {
        // SAFETY: the call takes numbers only; for a descriptor that is not open it fails.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
