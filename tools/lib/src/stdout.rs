//! The stdout that we were given: whether it takes data at all.
//!
//! Rust opens /dev/null where stdout is closed (`>&-`), before `main`, and all that is written there is lost in
//! silence. So a closed stdout is replaced before that, by a descriptor on which every write(2) fails; no file that is
//! opened later gets its number.

use std::io;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::exit::{Error, Result};

/// Run by the loader before Rust's own start-up.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = replace_closed;

extern "C" fn replace_closed() {
    // SAFETY: asks for the flags of a descriptor by its number; no memory is involved.
    if unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } != -1 {
        return;
    }
    // SAFETY: the path is a string that ends with NUL and lives for ever.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) };
    // It has the number 1 already, unless stdin is closed as well.
    if null == libc::STDOUT_FILENO || null == -1 {
        return;
    }
    // SAFETY: both are numbers of descriptors, and nobody else has opened one yet.
    unsafe { libc::dup2(null, libc::STDOUT_FILENO) };
    // SAFETY: this descriptor was opened above and is used by nobody.
    unsafe { libc::close(null) };
}

/// Whether stdout takes data; asked before anything is cut, harmed or sent.
///
/// # Errors
/// 71 for one that is closed, or open for reading only.
pub fn must_be_open() -> Result<()> {
    let flags = fcntl(io::stdout().as_fd(), FcntlArg::F_GETFL);
    let mode = flags.map(|flags| OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE);
    match mode {
        Ok(mode) if mode != OFlag::O_RDONLY => Ok(()),
        _ => Err(Error::closed_stdout()),
    }
}
