//! Lets a program of the host write below one folder alone.
//!
//! An archive from a node can try links that lead out of the folder in which it is unpacked. tar guards against
//! those that are known; in a mount namespace where all else is read-only there is nothing to reach, neither to
//! write nor to make a hard link to.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::host::mount_attributes::{self, AT_RECURSIVE, Change};

/// Lets `command` write below `folder` alone, whose path leads through no link.
///
/// A kernel before 5.12 cannot; there the program is as free as its caller.
///
/// # Errors
/// 71 for a path that the kernel cannot take.
pub fn writes_only_below(command: &mut Command, folder: &Path) -> Result<()> {
    let folder = CString::new(folder.as_os_str().as_bytes())
        .map_err(|_| Error::system(format!("{} is no path", folder.display())))?;
    let confine = move || confine(&folder);
    // SAFETY: between fork and exec the closure makes system calls with a path that it owns, and allocates nothing.
    unsafe { command.pre_exec(confine) };
    Ok(())
}

fn confine(folder: &CStr) -> io::Result<()> {
    let none = None::<&CStr>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, c"/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some(folder), folder, none, MsFlags::MS_BIND, none)?;
    let harmless = mount_attributes::NOSUID | mount_attributes::NODEV;
    match set_attributes(c"/", AT_RECURSIVE, mount_attributes::RDONLY, 0) {
        Err(Errno::ENOSYS) => return Ok(()),
        other => other?,
    }
    Ok(set_attributes(folder, 0, harmless, mount_attributes::RDONLY)?)
}

fn set_attributes(path: &CStr, flags: libc::c_uint, set: u64, clear: u64) -> nix::Result<()> {
    let wanted = Change { set, clear, ..Change::default() };
    mount_attributes::change(libc::AT_FDCWD, path, flags, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn nothing_but_the_folder_can_be_written_or_linked() {
        if !nix::unistd::geteuid().is_root() {
            breakit_tests::skip!("not root");
        }
        let folder = std::env::temp_dir().join(format!("breakit-confine-{}", std::process::id()));
        fs::create_dir_all(folder.join("inside")).unwrap();
        let folder = fs::canonicalize(folder).unwrap();
        fs::write(folder.join("victim"), "whole").unwrap();
        let script = "cd inside && echo a > a; echo evil > ../victim; ln ../victim b; rm ../victim; \
                      ln -s .. c; echo d > c/d; echo e > /tmp/breakit-confine-e; chmod 4755 a; true";
        let mut command = Command::new("sh");
        command.args(["-c", &format!("cd {} && {script}", folder.display())]);
        command.stderr(std::process::Stdio::null());
        writes_only_below(&mut command, &folder.join("inside")).unwrap();
        assert!(command.status().unwrap().success());
        let names = |folder: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let (outside, inside) = (names(&folder), names(&folder.join("inside")));
        let victim = fs::read_to_string(folder.join("victim")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            (outside, inside),
            (vec!["inside".into(), "victim".into()], vec!["a".into(), "c".into()])
        );
        assert_eq!(victim, "whole");
        assert!(!Path::new("/tmp/breakit-confine-e").exists());
    }
}
