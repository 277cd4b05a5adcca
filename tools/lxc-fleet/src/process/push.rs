//! `push`: files and folders into nodes.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::program;
use breakit::signal::Watch;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cli::PushArgs;
use crate::node::container::Container;
use crate::process::copy::{Said, in_waves, is_done, remote, wait_inside};
use crate::process::drain_output::DrainOutput;
use crate::process::inside::{Site, Stdios};

/// Unpacks into a folder of its own beside the target, so that the target is the old or the new, never half.
///
/// It says first what its tar understands: `sparse`, or `plain` if it is not GNU's.
const RECEIVE: &str = r#"
set -e
case $(tar --version 2>/dev/null) in *GNU*) echo sparse ;; *) echo plain ;; esac
case $1 in */) folder=${1%/} base=$2 ;; *)
    if [ -d "$1" ] && [ ! -L "$1" ]; then folder=$1 base=$2
    else folder=${1%/*} base=${1##*/}; fi ;;
esac
[ -n "$folder" ] || folder=/
mkdir -p "$folder"
site=$(mktemp -d "$folder/.push-XXXXXX")
trap 'rm -rf "$site"' EXIT
trap 'exit 143' TERM
tar -x -p -f - -C "$site"
if [ -d "$folder/$base" ] && [ ! -L "$folder/$base" ] && [ ! -d "$site/$2" ]; then
    echo "$folder/$base is a folder" >&2; exit 1
fi
rm -rf "$folder/$base"
mv -T "$site/$2" "$folder/$base"
"#;

/// How long our tar may go on after the node's has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is copied: a name in a folder of the host.
struct Source<'a> {
    folder: &'a Path,
    name: &'a OsStr,
}

/// How our tar ended.
struct Packed {
    status: ExitStatus,
    said: Said,
    /// Whether the node could read on to the end: else it has the reason.
    was_read: bool,
}

/// Copies into nodes.
///
/// # Errors
/// 64 for what is no NODES:PATH, 66 for what is not there, 71 where a node refuses.
pub fn push(args: &PushArgs) -> Result<Status> {
    let (containers, target) = remote(&args.remote)?;
    let place = |e: io::Error| Error::io(format!("push {}", args.local.display()), &e);
    let local = fs::canonicalize(&args.local).map_err(place)?;
    let (Some(folder), Some(name)) = (local.parent(), local.file_name()) else {
        return Err(Error::usage("the whole root cannot be pushed; name a file or folder"));
    };
    let watch = Watch::start("ending the copy goes on")?;
    let source = Source { folder, name };
    in_waves(&containers, &watch, |container| send(container, &source, &target, &watch))
}

fn send(container: &Container, source: &Source<'_>, target: &str, watch: &Watch) -> Result<()> {
    let site = Site::of(container)?;
    let (stdin, to_node) = site.root.pipe()?;
    let (answers, stdout) = site.root.pipe()?;
    let (errors, stderr) = site.root.pipe()?;
    let script = ["/bin/sh", "-c", RECEIVE, "sh", target].map(OsStr::new);
    let stdios = Stdios {
        stdin: stdin.into(),
        stdout: stdout.into(),
        stderr: stderr.into(),
        terminal: false,
    };
    let program = site.start(container, script.into_iter().chain([source.name]), stdios)?;

    let (ended, running) = io::pipe().map_err(|e| Error::io("make a pipe", &e))?;
    let (ended, over, failed) = (Arc::new(ended), AtomicBool::new(false), AtomicBool::new(false));
    let (end, packed, said) = std::thread::scope(|scope| {
        let kind = hear_kind(DrainOutput::of(answers, Arc::clone(&ended)));
        let saying = scope.spawn(|| Said::listen(DrainOutput::of(errors, Arc::clone(&ended))));
        let (over, failed) = (&over, &failed);
        let packing = scope.spawn(move || {
            let packed = pack(source, &kind, to_node, over);
            failed.store(packed.is_err(), Ordering::SeqCst);
            packed
        });
        let end = wait_inside(program, container, watch, || failed.load(Ordering::SeqCst));
        over.store(true, Ordering::SeqCst);
        drop(running);
        (end, packing.join(), saying.join().unwrap_or_default())
    });
    let packed = packed.unwrap_or_else(|_| Err(Error::system("the thread that packs died")));
    judge(container, end?, packed, &said)
}

/// Both sides must have done their work. If ours could not write, the node's says why.
fn judge(
    container: &Container,
    end: Option<ExitStatus>,
    packed: Result<Option<Packed>>,
    said: &Said,
) -> Result<()> {
    let packed = packed?;
    if let Some(Packed { status, said: ours, was_read: true }) = &packed
        && !is_done(*status)
        && status.code().is_some()
    {
        return Err(ours.complaint(*status));
    }
    match (end, packed) {
        (Some(status), _) if !status.success() => Err(said.complaint(status)),
        (Some(_), Some(Packed { status, said: ours, .. })) if is_done(status) => {
            ours.warn(container);
            said.warn(container);
            Ok(())
        }
        _ => Err(Error::system("cannot copy: the node's tar ended before all was sent")),
    }
}

/// Hears which archives the node understands, and then all that it says, so that it need not wait for us.
fn hear_kind(mut from: DrainOutput<PipeReader>) -> Receiver<String> {
    let (tell, kind) = channel();
    // Not joined: it ends with what it reads from.
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < 16 && from.read(&mut byte).is_ok_and(|n| n == 1) && byte != *b"\n" {
            line.push(byte[0]);
        }
        if byte == *b"\n" {
            let _ = tell.send(String::from_utf8_lossy(&line).into_owned());
        }
        drop(tell);
        let _ = io::copy(&mut from, &mut io::sink());
    });
    kind
}

/// Packs into the node as soon as it says what it understands; nothing if it says nothing.
fn pack(
    source: &Source<'_>,
    kind: &Receiver<String>,
    to_node: PipeWriter,
    over: &AtomicBool,
) -> Result<Option<Packed>> {
    let Ok(kind) = kind.recv() else { return Ok(None) };
    let mut command = program::command("tar", "tar")?;
    command.args(["-c", "-f", "-", "--owner=0", "--group=0", "--numeric-owner"]);
    if kind == "sparse" {
        command.arg("--sparse");
    }
    command.arg("-C").arg(source.folder).arg("--").arg(source.name);
    command.env("LC_ALL", "C").env_remove("TAR_OPTIONS");
    let pipe = to_node.try_clone().map_err(|e| Error::io("make a pipe", &e))?;
    command.stdin(Stdio::null()).stdout(to_node).stderr(Stdio::piped());
    let mut tar = command.spawn().map_err(|e| Error::io("run tar", &e))?;
    // It holds the pipe's end, and the node would never see the end of the archive.
    drop(command);
    let errors = tar.stderr.take();
    std::thread::scope(|scope| {
        let saying = scope.spawn(move || errors.map(Said::listen).unwrap_or_default());
        let status = wait(&mut tar, over).map_err(|e| Error::io("wait for tar", &e))?;
        let was_read = has_reader(&pipe);
        // The node waits for the end of the archive.
        drop(pipe);
        Ok(Some(Packed { status, said: saying.join().unwrap_or_default(), was_read }))
    })
}

/// Whether somebody could still read what is written to a pipe.
fn has_reader(pipe: &PipeWriter) -> bool {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    // No event is waited for: the kernel says of itself that the last reader is gone.
    let asked = poll(&mut fds, PollTimeout::ZERO);
    asked.is_ok() && !fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

/// Waits for our tar. If the node's has ended, somebody else there may hold the pipe, and never read it.
fn wait(tar: &mut Child, over: &AtomicBool) -> io::Result<ExitStatus> {
    let mut since = None;
    loop {
        if let Some(status) = tar.try_wait()? {
            return Ok(status);
        }
        if over.load(Ordering::SeqCst) {
            let since = *since.get_or_insert_with(Instant::now);
            if since.elapsed() > PATIENCE {
                tar.kill()?;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
