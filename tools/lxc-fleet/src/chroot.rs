//! No fleet from within a chroot: a program that enters a node begins at the root of the mounts there, and from a
//! chroot that was seen to be the root of the host outside, with all its files.

use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::program;

/// Whether we are in a chroot. There the kernel lets nobody make a user namespace, root neither (unshare(2), EPERM);
/// kernels that have none say otherwise.
///
/// # Errors
/// 69 in a chroot.
pub fn refuse() -> Result<()> {
    let mut command = program::command("unshare", "util-linux")?;
    let tried = program::run(command.args(["--user", "true"]), None, Duration::from_secs(10))?;
    if String::from_utf8_lossy(&tried.stderr).contains("Operation not permitted") {
        return Err(Error::missing(
            "this is a chroot (no user namespace can be made), from which a node would see all files of the host outside; run lxc-fleet outside of it",
        ));
    }
    Ok(())
}
