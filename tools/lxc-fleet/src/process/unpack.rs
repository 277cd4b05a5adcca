//! Unpacking what a node sends, which may have been packed by somebody who means harm.

use std::fs::{self, File, Permissions};
use std::io::{self, PipeReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use breakit::exit::{Error, Result};
use breakit::program;

use crate::process::confine::writes_only_below;
use crate::process::copy::{Said, is_done};
use crate::process::drain_output::DrainOutput;
use crate::process::pump::{self, Broken};

/// What came.
#[derive(Debug)]
pub enum Arrived {
    /// All of it; and what our tar remarked.
    Whole(Said),
    /// The stream ended too early, or is no archive.
    Part(Error),
}

/// Receives `name` into the folder `landing`.
///
/// # Errors
/// 71 if the host cannot write it, 69 if tar is missing.
pub fn receive(mut from: DrainOutput<PipeReader>, landing: &Path, name: &str) -> Result<Arrived> {
    let mut kind = Vec::new();
    let mut byte = [0];
    while kind.len() < 8
        && from.read(&mut byte).map_err(|e| Error::io("read from a node", &e))? == 1
        && byte != *b"\n"
    {
        kind.push(byte[0]);
    }
    match kind.as_slice() {
        b"tar" => unpack(from, landing),
        b"file" => write(from, &landing.join(name)),
        _ => Ok(Arrived::Part(Error::system("cannot copy: what the node sends is no archive"))),
    }
}

fn write(from: DrainOutput<PipeReader>, path: &Path) -> Result<Arrived> {
    let place = |e: &io::Error| Error::io(format!("write {}", path.display()), e);
    let file = File::create_new(path).map_err(|e| place(&e))?;
    match pump::pass(from, &file) {
        Ok(()) => Ok(Arrived::Whole(Said::default())),
        Err(Broken::Output(e)) => Err(place(&e)),
        Err(Broken::Input(e)) => Err(Error::io("read from a node", &e)),
    }
}

fn unpack(from: DrainOutput<PipeReader>, landing: &Path) -> Result<Arrived> {
    let mut command = program::command("tar", "tar")?;
    command.args(["-x", "-f", "-", "--no-same-owner", "--no-xattrs", "--no-acls"]);
    command.args(["--no-selinux", "-C"]).arg(landing);
    command.env("LC_ALL", "C").env_remove("TAR_OPTIONS").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    writes_only_below(&mut command, landing)?;
    let mut tar = command.spawn().map_err(|e| Error::io("run tar", &e))?;
    let (stdin, stderr) = (tar.stdin.take(), tar.stderr.take());
    let (all_came, said) = std::thread::scope(|scope| {
        let saying = scope.spawn(move || stderr.map(Said::listen).unwrap_or_default());
        let all_came = stdin.is_some_and(|stdin| pump::pass(from, stdin).is_ok());
        (all_came, saying.join().unwrap_or_default())
    });
    let status = tar.wait().map_err(|e| Error::io("wait for tar", &e))?;
    Ok(match (is_done(status), all_came) {
        (true, _) => Arrived::Whole(said),
        // Perhaps because less came than an archive: then the node says why.
        (false, true) => Arrived::Part(said.complaint(status)),
        (false, false) => return Err(said.complaint(status)),
    })
}

/// Leaves no link that leads to files of the host, no device, and no program that runs as another user than its
/// caller.
///
/// # Errors
/// 71 for what is neither a file nor a folder.
pub fn make_harmless(top: &Path) -> Result<()> {
    // Not by recursion: the node says how deep it goes.
    let mut rest = vec![top.to_path_buf()];
    while let Some(path) = rest.pop() {
        let place = |e: io::Error| Error::io(format!("look at {}", path.display()), &e);
        let found = fs::symlink_metadata(&path).map_err(place)?;
        if !found.is_file() && !found.is_dir() {
            let name = path.file_name().map(Path::new).unwrap_or(&path);
            return Err(Error::system(format!(
                "{} is neither a file nor a folder, and is not taken from a node",
                name.display()
            )));
        }
        fs::set_permissions(&path, Permissions::from_mode(found.mode() & 0o777)).map_err(place)?;
        if found.is_dir() {
            for entry in fs::read_dir(&path).map_err(place)? {
                rest.push(entry.map_err(place)?.path());
            }
        }
    }
    Ok(())
}
