//! The image `busybox`: a tiny root of its own, for hosts whose root cannot be the bottom of an overlay.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use breakit::exit::{Error, Result, reason};
use breakit::program;
use serde_json::json;

use crate::files;
use crate::image::layers::{folder, label};
use crate::places;
use crate::store::mounts;
use crate::store::remove;

/// Makes the busybox root where it is missing. The store is open.
///
/// # Errors
/// 69 where busybox is missing or not static, 71 where the system refuses.
pub fn make() -> Result<()> {
    if label("busybox").is_some() {
        return Ok(());
    }
    let (program, bytes) = program()?;
    let list =
        program::succeed(program::clean(&program).arg("--list"), None, Duration::from_secs(10))?;
    let site = folder().join(format!(".build-busybox-{}", std::process::id()));
    remove::remove_tree(&site)?;
    lay_busybox(&site.join("upper"), &bytes, &list)
        .map_err(|e| Error::system(format!("cannot make the image busybox: {}", reason(&e))))?;
    files::write_whole(
        &site.join("image.json"),
        &json!({ "packages": ["busybox-static"] }).to_string(),
    )?;
    fs::rename(&site, folder().join("busybox")).map_err(|e| Error::io("make the image busybox", &e))
}

/// What is shown of [`make`]. What lies in a store that is not mounted cannot be seen.
///
/// # Errors
/// 71 if the kernel does not say what is mounted.
pub fn shown_making() -> Result<Option<String>> {
    let place = folder().join("busybox");
    let perhaps = if mounts::is_mounted(&places::store())? { "" } else { ", where it is missing" };
    let line = || format!("# make {} of the host's static busybox{perhaps}", place.display());
    Ok(label("busybox").is_none().then(line))
}

/// The host's busybox and its bytes, where it is static.
///
/// # Errors
/// 69 where it is missing or not static.
pub fn program() -> Result<(PathBuf, Vec<u8>)> {
    let program = program::find("busybox", "busybox-static")?;
    let bytes =
        fs::read(&program).map_err(|e| Error::io(format!("read {}", program.display()), &e))?;
    if is_dynamic(&bytes) {
        return Err(Error::missing(format!(
            "{} is not static, and the image has no libraries; install the package busybox-static",
            program.display()
        )));
    }
    Ok((program, bytes))
}

/// Whether an ELF program asks for an interpreter (the dynamic linker).
pub fn is_dynamic(program: &[u8]) -> bool {
    program.windows(8).any(|window| window == b"/ld-linu" || window == b"/ld-musl")
}

fn lay_busybox(root: &Path, program: &[u8], applets: &str) -> std::io::Result<()> {
    for folder in [
        "usr/bin", "usr/sbin", "etc", "dev", "proc", "sys", "run", "tmp", "root", "var/log",
        "var/tmp",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    for (folder, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(mode))?;
    }
    symlink("usr/bin", root.join("bin"))?;
    symlink("usr/sbin", root.join("sbin"))?;
    let path = root.join("usr/bin/busybox");
    File::create(&path)?.write_all(program)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    for applet in applets.lines().filter(|name| *name != "busybox" && !name.contains('/')) {
        symlink("busybox", root.join("usr/bin").join(applet))?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")
}
