//! `exec`: a program in nodes, with its output as it comes and its exit status kept.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use breakit::clock;
use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use breakit::signal::{Wake, Watch};

use crate::attend::{End, attend};
use crate::cli::ExecArgs;
use crate::container::{self, Container, at_once};
use crate::last_words::LastWords;

/// How often a drain looks up for a signal or a reader that left.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Runs the program in all nodes at once.
///
/// # Errors
/// As [`crate::cli::Which::containers`]; 71 for a node that does not run or is paused; 75 at the limit;
/// [`Error::Passed`] with the status of the program, of several the highest.
pub fn exec(args: &ExecArgs) -> Result<Status> {
    let containers = args.which.containers()?;
    if args.interactive && containers.len() > 1 {
        return Err(Error::usage(format!(
            "--interactive hands stdin to one node, and {} are meant; name one",
            containers.len()
        )));
    }
    container::all(at_once(&containers, Container::must_run))?;
    let watch = Watch::start_without_input("ending the program goes on")?;
    let prefix = args.prefix || containers.len() > 1;
    let (done, finished) = channel();
    // Its other end is held until all programs have ended, and never written to.
    let (ended, running) = std::io::pipe().map_err(|e| Error::io("make a pipe", &e))?;
    let passing = Passing { done, ended: Arc::new(ended) };
    let mut children = Vec::new();
    for container in &containers {
        let stdin = if args.interactive { Stdio::inherit() } else { Stdio::null() };
        match start(container, &args.command, stdin, prefix, &passing) {
            Ok(child) => children.push(child),
            Err(error) => {
                give_up(&mut children);
                return Err(error.at(format!("node {}", container.member.name)));
            }
        }
    }
    drop(passing);
    let ends = attend(&mut children, args.limit, &watch)?;
    drop(running);
    drain(&finished, &watch)?;
    judge(&containers, &ends, args.limit)
}

/// What every thread that passes output on shares.
struct Passing {
    /// Dropped by the last of them.
    done: Sender<()>,
    /// Ends when all programs have ended.
    ended: Arc<PipeReader>,
}

fn start(
    container: &Container,
    program: &[OsString],
    stdin: Stdio,
    prefix: bool,
    passing: &Passing,
) -> Result<Child> {
    let mut command = container.attach()?;
    command.args(program).stdin(stdin);
    if prefix {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = command.spawn().map_err(|e| Error::io("run lxc-attach", &e))?;
    let name = &container.member.name;
    if let Some(stdout) = child.stdout.take() {
        pass_on(stdout, std::io::stdout(), name, passing);
    }
    if let Some(stderr) = child.stderr.take() {
        pass_on(stderr, std::io::stderr(), name, passing);
    }
    Ok(child)
}

fn give_up(children: &mut [Child]) {
    for child in children {
        // Another node's program could not be started: this one is of no use any more.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Passes lines on, the node's name in front of each, each in one write.
fn pass_on(
    from: impl Read + AsFd + Send + 'static,
    to: impl AsFd + Send + 'static,
    name: &str,
    passing: &Passing,
) {
    let (name, done) = (name.to_string(), passing.done.clone());
    let from = LastWords::of(from, Arc::clone(&passing.ended));
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(std::result::Result::ok) {
            let line = format!("{name}: {}", String::from_utf8_lossy(&line));
            if jsonl::write_line(&to, &line).is_err() {
                // The watch sees a reader that left; there is nobody to pass lines to.
                break;
            }
        }
        drop(done);
    });
}

/// Waits until all output is passed on, however slowly it is read; a signal or a reader that leaves ends that.
fn drain(finished: &Receiver<()>, watch: &Watch) -> Result<()> {
    // Nothing is ever sent: when all threads have ended, the channel is closed.
    while finished.recv_timeout(LOOK_UP) != Err(RecvTimeoutError::Disconnected) {
        match watch.until(Some(Instant::now()))? {
            Wake::Signal(number) => return Err(Error::Signal(number)),
            Wake::ReaderGone => return Err(Error::ReaderGone),
            Wake::Time | Wake::InputEnded => {}
        }
    }
    Ok(())
}

fn judge(containers: &[Container], ends: &[End], limit: Option<Duration>) -> Result<Status> {
    let mut worst = 0;
    let mut errors = Vec::new();
    for (container, end) in containers.iter().zip(ends) {
        match end {
            End::Itself(status) => worst = worst.max(code(*status)),
            End::Limit => errors.push(Error::waited(format!(
                "node {}: the program did not end within {} and was killed",
                container.member.name,
                limit.map(clock::show).unwrap_or_default()
            ))),
            End::Outside(Wake::Signal(number)) => return Err(Error::Signal(*number)),
            End::Outside(_) => return Err(Error::ReaderGone),
        }
    }
    Error::all(errors)?;
    match worst {
        0 => Ok(Status::Done),
        code => Err(Error::Passed(code)),
    }
}

/// The status as a shell gives it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}
