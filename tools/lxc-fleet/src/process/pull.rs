//! `pull`: files and folders out of nodes.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use breakit::exit::{Error, Result, Status};
use breakit::signal::Watch;

use crate::cli::PullArgs;
use crate::node::container::Container;
use crate::process::copy::{Said, in_waves, is_done, remote, wait_inside};
use crate::process::drain_output::DrainOutput;
use crate::process::inside::{Inside, Site, Stdios};
use crate::process::unpack::{Arrived, make_harmless, receive};
use crate::store::remove;

/// Sends one thing: a word that says how it comes, and then an archive, or what is in the file.
///
/// The files of /proc and /sys have no size before they are read, so tar takes them for empty.
const SEND: &str = r#"
case $(readlink -f -- "$1/$2") in /proc/*|/sys/*)
    if [ -d "$1/$2" ]; then
        echo "the files of /proc and /sys are made when they are read; name a single one" >&2; exit 2
    fi
    if [ -f "$1/$2" ]; then echo file; exec cat -- "$1/$2"; fi ;;
esac
case $(tar --version 2>/dev/null) in *GNU*) sparse=--sparse ;; *) sparse= ;; esac
echo tar
tar -c -h $sparse -f - -C "$1" -- "$2"
code=$?
[ "$code" -gt 1 ] && [ ! -e "$1/$2" ] && exit 66
# Only GNU's tar means a warning by 1.
[ -z "$sparse" ] && [ "$code" -eq 1 ] && exit 2
exit "$code"
"#;

/// Copies out of nodes.
///
/// # Errors
/// 64 for what is no NODES:PATH, 66 for what is not there, 71 where a node refuses or sends what does harm.
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
    let watch = Watch::start("ending the copy goes on")?;
    in_waves(&containers, &watch, |container| {
        let target = match (several, args.local.is_dir()) {
            (true, _) => args.local.join(&container.member.name).join(name),
            (false, true) => args.local.join(name),
            (false, false) => args.local.clone(),
        };
        let site = Site::of(container)?;
        let landing = Landing::make(&target, &container.member.name)?;
        let fetched = fetch(container, site, folder, name, &landing.folder, &watch)
            .and_then(|()| landing.take(name, &target));
        let removed = landing.remove();
        fetched.and(removed)
    })
}

/// A folder beside the target, which nobody else can enter: what comes out of a node is only judged there.
struct Landing {
    folder: PathBuf,
}

impl Landing {
    fn make(target: &Path, node: &str) -> Result<Landing> {
        let place = |e: io::Error| Error::io(format!("write {}", target.display()), &e);
        let parent = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(place)?;
        let parent = fs::canonicalize(parent).map_err(place)?;
        let folder = parent.join(format!(".pull-{}-{node}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(place)?;
        Ok(Landing { folder })
    }

    /// Takes what was asked for, and nothing else that may have come along.
    fn take(&self, name: &str, target: &Path) -> Result<()> {
        let arrived = self.folder.join(name);
        make_harmless(&arrived)?;
        if target.is_dir() {
            return Err(Error::usage(format!(
                "{} is there already and is a folder; remove it or name another place",
                target.display()
            )));
        }
        fs::rename(&arrived, target)
            .map_err(|e| Error::io(format!("write {}", target.display()), &e))
    }

    fn remove(self) -> Result<()> {
        remove::remove_tree(&self.folder)
    }
}

fn fetch(
    container: &Container,
    site: Site,
    folder: &Path,
    name: &str,
    landing: &Path,
    watch: &Watch,
) -> Result<()> {
    // Nothing is written to its stdin: a program that reads it finds the end at once.
    let (stdin, _) = site.root.pipe()?;
    let (data, stdout) = site.root.pipe()?;
    let (errors, stderr) = site.root.pipe()?;
    let script = ["/bin/sh".as_ref(), "-c".as_ref(), SEND.as_ref(), "sh".as_ref()];
    let words = script.into_iter().chain([folder.as_os_str(), name.as_ref()]);
    let stdios = Stdios {
        stdin: stdin.into(),
        stdout: stdout.into(),
        stderr: stderr.into(),
        terminal: false,
    };
    let program: Inside = site.start(container, words, stdios)?;

    let (ended, running) = io::pipe().map_err(|e| Error::io("make a pipe", &e))?;
    let (ended, failed) = (Arc::new(ended), AtomicBool::new(false));
    let (end, arrived, said) = std::thread::scope(|scope| {
        let saying = scope.spawn(|| Said::listen(DrainOutput::of(errors, Arc::clone(&ended))));
        let unpacking = scope.spawn(|| {
            let arrived = receive(DrainOutput::of(data, Arc::clone(&ended)), landing, name);
            failed.store(arrived.is_err(), Ordering::SeqCst);
            arrived
        });
        let end = wait_inside(program, container, watch, || failed.load(Ordering::SeqCst));
        drop(running);
        (end, unpacking.join(), saying.join().unwrap_or_default())
    });
    let arrived = arrived.unwrap_or_else(|_| Err(Error::system("the thread that unpacks died")));
    judge(container, end?, arrived?, &said)
}

/// Both sides must have done their work. If less came than an archive, the node's says why.
fn judge(
    container: &Container,
    end: Option<ExitStatus>,
    arrived: Arrived,
    said: &Said,
) -> Result<()> {
    match (end, arrived) {
        (Some(status), _) if !is_done(status) => Err(said.complaint(status)),
        (Some(_), Arrived::Whole(ours)) => {
            said.warn(container);
            ours.warn(container);
            Ok(())
        }
        (_, Arrived::Part(error)) => Err(error),
        (None, Arrived::Whole(_)) => Err(Error::system("cannot copy: the node's tar was ended")),
    }
}
