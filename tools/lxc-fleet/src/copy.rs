//! `push` and `pull`: files and folders into nodes and out of them.
//!
//! They go through tar(1) on both sides, and never through the node's root as the host sees it: a node is not
//! trusted, and a link in it that points to / would lead us onto the host's own files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use breakit::exit::{Error, Result, Status};
use breakit::program;

use crate::cli::{PullArgs, PushArgs};
use crate::container::{self, Container, at_once};
use crate::which::{are_names, of_specs};

/// Unpacks into a folder of its own beside the target, so that the target is the old or the new, never half.
const RECEIVE: &str = r#"
set -e
case $1 in */) folder=${1%/} base=$2 ;; *)
    if [ -d "$1" ] && [ ! -L "$1" ]; then folder=$1 base=$2
    else folder=${1%/*} base=${1##*/}; fi ;;
esac
[ -n "$folder" ] || folder=/
mkdir -p "$folder"
site=$(mktemp -d "$folder/.push-XXXXXX")
trap 'rm -rf "$site"' EXIT
tar -x -p -f - -C "$site"
if [ -d "$folder/$base" ] && [ ! -L "$folder/$base" ] && [ ! -d "$site/$2" ]; then
    echo "$folder/$base is a folder" >&2; exit 1
fi
rm -rf "$folder/$base"
mv -T "$site/$2" "$folder/$base"
"#;

/// Copies into nodes.
///
/// # Errors
/// 64 for what is no NODES:PATH, 66 for what is not there, 71 where a node refuses.
pub fn push(args: &PushArgs) -> Result<Status> {
    let (containers, target) = remote(&args.remote)?;
    fs::symlink_metadata(&args.local)
        .map_err(|e| Error::io(format!("push {}", args.local.display()), &e))?;
    let local = fs::canonicalize(&args.local)
        .map_err(|e| Error::io(format!("push {}", args.local.display()), &e))?;
    let (Some(folder), Some(name)) = (local.parent(), local.file_name()) else {
        return Err(Error::usage("the whole root cannot be pushed; name a file or folder"));
    };
    container::all(at_once(&containers, |container| {
        container.must_run()?;
        let mut pack = program::command("tar", "tar")?;
        pack.args(["-c", "-f", "-", "--owner=0", "--group=0", "--numeric-owner", "-C"]);
        pack.arg(folder).arg("--").arg(name);
        let mut unpack = container.attach()?;
        unpack.args(["/bin/sh", "-c", RECEIVE, "sh"]).arg(&target).arg(name);
        through(pack, unpack)
    }))
    .map(|_| Status::Done)
}

/// Copies out of nodes.
///
/// # Errors
/// As [`push`].
pub fn pull(args: &PullArgs) -> Result<Status> {
    let (containers, source) = remote(&args.remote)?;
    let several = containers.len() > 1;
    let source = PathBuf::from(source);
    let (Some(folder), Some(name)) = (source.parent(), source.file_name().and_then(|n| n.to_str()))
    else {
        return Err(Error::usage(format!(
            "{} names no file or folder in a node",
            source.display()
        )));
    };
    container::all(at_once(&containers, |container| {
        container.must_run()?;
        let target = match (several, args.local.is_dir()) {
            (true, _) => args.local.join(&container.member.name).join(name),
            (false, true) => args.local.join(name),
            (false, false) => args.local.clone(),
        };
        fetch(container, folder, name, &target)
    }))
    .map(|_| Status::Done)
}

/// Fetches one thing: into a folder of its own first, from which only what was asked for is taken.
fn fetch(container: &Container, folder: &Path, name: &str, target: &Path) -> Result<()> {
    let place = |e: std::io::Error| Error::io(format!("write {}", target.display()), &e);
    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(place)?;
    let site = parent.join(format!(".pull-{}-{}", std::process::id(), container.member.name));
    fs::DirBuilder::new().mode(0o700).create(&site).map_err(place)?;
    let mut pack = container.attach()?;
    pack.args(["tar", "-c", "-h", "-f", "-", "-C"]).arg(folder).arg("--").arg(name);
    let mut unpack = program::command("tar", "tar")?;
    unpack.args(["-x", "-f", "-", "--no-same-owner", "-C"]).arg(&site);
    let fetched =
        through(pack, unpack).and_then(|()| make_harmless(&site.join(name))).and_then(|()| {
            if target.is_dir() {
                return Err(Error::usage(format!(
                    "{} is there already and is a folder; remove it or name another place",
                    target.display()
                )));
            }
            fs::rename(site.join(name), target).map_err(place)
        });
    let removed = fs::remove_dir_all(&site).map_err(place);
    fetched.and(removed)
}

/// What came out of a node may have been packed by somebody who means harm: no link that leads to files of the
/// host, no device, and no program that runs as another user than its caller.
fn make_harmless(path: &Path) -> Result<()> {
    let place = |e: std::io::Error| Error::io(format!("look at {}", path.display()), &e);
    let found = fs::symlink_metadata(path).map_err(place)?;
    if !found.is_file() && !found.is_dir() {
        let name = path.file_name().map(Path::new).unwrap_or(path);
        return Err(Error::system(format!(
            "{} is neither a file nor a folder, and is not taken from a node",
            name.display()
        )));
    }
    fs::set_permissions(path, Permissions::from_mode(found.mode() & 0o777)).map_err(place)?;
    if found.is_dir() {
        for entry in fs::read_dir(path).map_err(place)? {
            make_harmless(&entry.map_err(place)?.path())?;
        }
    }
    Ok(())
}

/// Runs two programs with a pipe between them; both must succeed.
fn through(mut from: Command, mut to: Command) -> Result<()> {
    let mut source =
        spawn(from.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let pipe = source.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let sink = spawn(to.stdin(pipe).stdout(Stdio::null()).stderr(Stdio::piped()));
    let sink = match sink {
        Ok(sink) => sink,
        Err(error) => {
            let _ = source.kill();
            let _ = source.wait();
            return Err(error);
        }
    };
    // What they say is short: neither fills its pipe before the other is waited for.
    let (sink, source) = (output(sink)?, output(source)?);
    for side in [&source, &sink] {
        if !side.status.success() {
            return Err(complaint(side));
        }
    }
    Ok(())
}

/// The first line is the reason; tar's last one only says that there was one.
fn complaint(side: &Output) -> Error {
    let text = String::from_utf8_lossy(&side.stderr);
    let words =
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or("tar said nothing").trim();
    let words = words.strip_prefix("tar: ").unwrap_or(words);
    let said = format!("cannot copy: {words}");
    if words.contains("No such file") { Error::no_input(said) } else { Error::system(said) }
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|e| Error::io(format!("run {}", program::show(command)), &e))
}

fn output(child: Child) -> Result<Output> {
    child.wait_with_output().map_err(|e| Error::io("wait for tar", &e))
}

fn remote(text: &str) -> Result<(Vec<Container>, String)> {
    let (specs, path) = place(text)?;
    Ok((of_specs(&specs)?, path))
}

/// `n1..n5:/path` as its nodes and the path; `:/path` means all nodes.
///
/// # Errors
/// 64 for what is neither.
pub fn place(text: &str) -> Result<(Vec<String>, String)> {
    let wrong = |why: &str| {
        Error::usage(format!(
            "{text:?} names no place in a node: {why}; write n1:/path, n1..n5:/path or :/path"
        ))
    };
    let (nodes, path) = text.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
    if !path.starts_with('/') {
        return Err(wrong("the path must begin with /"));
    }
    let specs: Vec<String> =
        nodes.split(',').filter(|s| !s.is_empty()).map(str::to_string).collect();
    are_names(&specs)?;
    Ok((specs, path.to_string()))
}
