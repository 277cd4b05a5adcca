//! Whether the kernel lays overlays over the host's root.

use breakit::exit::{Error, Result};
use nix::errno::Errno;

/// The error of an overlay that the kernel did not mount.
pub fn refused(what: &str, errno: Errno) -> Error {
    match errno {
        Errno::ENODEV => {
            Error::missing("this kernel has no overlay filesystem; load the module overlay")
        }
        Errno::EINVAL if is_overlay().unwrap_or(false) => Error::missing(
            "the root of this host is an overlay itself and cannot be the bottom of another; use lxc-fleet up --image busybox, or run on the host instead of in a container",
        ),
        other => Error::io(format!("mount {what}"), &other.into()),
    }
}

/// Whether the host's root is an overlay itself.
///
/// # Errors
/// 71 if the kernel does not say.
pub fn is_overlay() -> Result<bool> {
    let text = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| Error::io("read /proc/self/mountinfo", &e))?;
    // What was mounted last lies above.
    let root = text.lines().rev().find(|line| line.split(' ').nth(4) == Some("/"));
    Ok(root.is_some_and(|line| line.contains(" - overlay ")))
}

/// Whether there is room for a view over the host's root: the kernel lays at most two overlays on one another.
///
/// # Errors
/// 71 if the kernel does not say what is mounted.
pub fn has_room() -> Result<bool> {
    is_overlay().map(|overlay| !overlay)
}
