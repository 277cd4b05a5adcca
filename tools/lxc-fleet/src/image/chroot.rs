//! No fleet from within a chroot: a program that enters a node begins at the root of the mounts there, and from a
//! chroot that was seen to be the root of the host outside, with all its files.

use breakit::exit::{Error, Result};
use nix::errno::Errno;

use crate::node::idmap;

/// Whether we are in a chroot. There the kernel lets nobody make a user namespace, root neither (unshare(2), EPERM);
/// kernels that have none say otherwise.
///
/// # Errors
/// 69 in a chroot.
pub fn refuse() -> Result<()> {
    match idmap::user_namespace() {
        Err(Errno::EPERM) => Err(Error::missing(
            "this is a chroot (no user namespace can be made), from which a node would see all files of the host outside; run lxc-fleet outside of it",
        )),
        _ => Ok(()),
    }
}
