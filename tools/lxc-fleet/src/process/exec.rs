//! `exec`: a program in nodes, with its output as it comes and its exit status kept.
//!
//! The caller's stdin, stdout and stderr never enter a node: root there could change the mode and owner of the
//! files behind them. The program has pipes of ours, and we pass on what goes through them.

use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use breakit::clock;
use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::signal::{Wake, Watch};

use crate::cli::ExecArgs;
use crate::node::container::{self, Container, at_once};
use crate::process::drain_output::DrainOutput;
use crate::process::inside::{Inside, Site, Stdios};
use crate::process::pipes::Root;
use crate::process::program_group::Killed;
use crate::process::pump::{self, Broken, Input};
use crate::process::terminal::{self, OurEnd, Terminal};
use crate::process::wait::{End, Program, wait_unless};

/// How often a drain looks up for a signal or a reader that left.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Runs the program in all nodes at once.
///
/// # Errors
/// As [`crate::fleet::select::Selection::containers`]; 71 for a node that does not run or is paused, or where our own output
/// cannot be written; 75 at the limit; [`Error::Passed`] with the status of the program, of several the highest.
pub fn exec(args: &ExecArgs) -> Result<Status> {
    let containers = args.which.containers()?;
    if args.interactive && containers.len() > 1 {
        return Err(Error::usage(format!(
            "--interactive hands stdin to one node, and {} are meant; name one",
            containers.len()
        )));
    }
    let sites = container::all(at_once(&containers, Site::of))?;
    let watch = Watch::start("ending the program goes on")?;
    let (done, finished) = channel();
    // Its other end is held until all programs have ended, and never written to.
    let (ended, running) = io::pipe().map_err(|e| Error::io("make a pipe", &e))?;
    let failure = Arc::new(OnceLock::new());
    let passing = Passing {
        prefix: args.prefix || containers.len() > 1,
        input: args.interactive,
        done,
        ended: Arc::new(ended),
        failure: Arc::clone(&failure),
    };
    let (mut programs, terminal) = start(&containers, sites, args, &passing)?;
    drop(passing);
    let until = |time| watch.until(Some(time));
    let ends = wait_unless(&mut programs, args.timeout, until, || failure.get().is_some())?;
    // Programs that could not say all have no status of their own; those that ended before have.
    let stopped = failure.get().cloned();
    drop(running);
    let drained = drain(&finished, &watch);
    // From here on there are messages, and the terminal is to show them as its owner set it up.
    drop(terminal);
    let judged = judge(&containers, &ends, args.timeout);
    if let Some(error) = stopped {
        return Err(error);
    }
    match (failure.get(), drained) {
        (Some(Error::ReaderGone), _) | (None, Err(Error::ReaderGone) | Ok(())) => judged,
        (Some(error), _) => Err(error.clone()),
        (None, Err(error)) => Err(error),
    }
}

/// What every thread that passes something on shares.
struct Passing {
    /// Whether the node's name stands before each line.
    prefix: bool,
    /// Whether our stdin is handed on.
    input: bool,
    /// Dropped by the last of those that pass output on.
    done: Sender<()>,
    /// Ends when all programs have ended.
    ended: Arc<PipeReader>,
    /// The first thing that could not be passed on.
    failure: Arc<OnceLock<Error>>,
}

/// Starts the program in all nodes, or in none.
fn start(
    containers: &[Container],
    sites: Vec<Site>,
    args: &ExecArgs,
    passing: &Passing,
) -> Result<(Vec<Inside>, Option<Terminal>)> {
    let at_terminal = passing.input && !passing.prefix && terminal::is_attended();
    let mut programs = Vec::new();
    let mut terminal = None;
    for (container, site) in containers.iter().zip(sites) {
        let name = &container.member.name;
        let stdios = if at_terminal {
            passing.terminal(site.root, name).map(|(opened, stdios)| {
                terminal = Some(opened);
                stdios
            })
        } else {
            passing.pipes(site.root, name)
        };
        match stdios.and_then(|stdios| site.start(container, &args.command, stdios)) {
            Ok(program) => programs.push(program),
            Err(error) => {
                // These are of no use any more.
                for program in &mut programs {
                    program.kill_all();
                }
                return Err(error.at(format!("node {name}")));
            }
        }
    }
    Ok((programs, terminal))
}

impl Passing {
    /// Three pipes, so that stdout and stderr stay apart.
    fn pipes(&self, root: Root, name: &str) -> Result<Stdios> {
        let (stdin, input) = root.pipe()?;
        if self.input {
            self.pass_input(input, |_| {});
        } else {
            // Nothing is written to it: the program finds its end at once.
            drop(input);
        }
        let (output, stdout) = root.pipe()?;
        self.pass_output(output, io::stdout(), "stdout", name);
        let stderr = self.stderr(root, name)?;
        Ok(Stdios { stdin: stdin.into(), stdout: stdout.into(), stderr, terminal: false })
    }

    /// One terminal for all three; stderr has a pipe if the caller's is no terminal.
    fn terminal(&self, root: Root, name: &str) -> Result<(Terminal, Stdios)> {
        let (terminal, end) = Terminal::open()?;
        let another =
            || end.try_clone().map(Stdio::from).map_err(|e| Error::io("open a terminal", &e));
        let to_terminal = io::IsTerminal::is_terminal(&io::stderr());
        let stderr = if to_terminal { another()? } else { self.stderr(root, name)? };
        let (stdin, stdout) = (another()?, another()?);
        self.pass_input(terminal.end()?, OurEnd::settle);
        self.pass_output(terminal.end()?, io::stdout(), "stdout", name);
        Ok((terminal, Stdios { stdin, stdout, stderr, terminal: true }))
    }

    fn stderr(&self, root: Root, name: &str) -> Result<Stdio> {
        let (errors, stderr) = root.pipe()?;
        self.pass_output(errors, io::stderr(), "stderr", name);
        Ok(stderr.into())
    }

    /// Passes our stdin on; its end closes the pipe. Nobody waits for this thread: it may wait for input for ever.
    fn pass_input<T: AsFd + Send + 'static>(&self, to: T, settle: fn(&T)) {
        let failure = Arc::clone(&self.failure);
        std::thread::spawn(move || {
            settle(&to);
            match pump::pass(Input(io::stdin()), to) {
                // A terminal that is gone has ended. Whether a program reads all of its input is its own matter.
                Err(Broken::Input(e)) if e.raw_os_error() != Some(nix::libc::EIO) => {
                    let _ = failure.set(Error::io("read stdin", &e));
                }
                _ => {}
            }
        });
    }

    fn pass_output(
        &self,
        from: impl Read + AsFd + Send + 'static,
        to: impl AsFd + Send + 'static,
        stream: &'static str,
        name: &str,
    ) {
        let prefix = self.prefix.then(|| format!("{name}: "));
        let mut from = DrainOutput::of(from, Arc::clone(&self.ended));
        let (failure, done) = (Arc::clone(&self.failure), self.done.clone());
        std::thread::spawn(move || {
            let passed = match prefix {
                Some(prefix) => pump::pass_lines(&mut from, to, &prefix),
                None => pump::pass(&mut from, to),
            };
            if let Some(error) = passed.err().and_then(|broken| lost(broken, stream)) {
                let _ = failure.set(error);
            }
            // Only now may the program meet a broken pipe: how it ends then is not its own doing.
            drop((from, done));
        });
    }
}

/// Why output was lost, if that is of interest.
fn lost(broken: Broken, stream: &str) -> Option<Error> {
    match broken {
        Broken::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => {
            // Nobody wants to hear complaints; the program meets a broken pipe itself.
            (stream == "stdout").then_some(Error::ReaderGone)
        }
        Broken::Output(e) => {
            Some(Error::system(format!("cannot write to {stream}: {}", breakit::exit::reason(&e))))
        }
        Broken::Input(e) => Some(Error::io(format!("read the program's {stream}"), &e)),
    }
}

/// Waits until all output is passed on, however slowly it is read; a signal or a reader that leaves ends that.
fn drain(finished: &Receiver<()>, watch: &Watch) -> Result<()> {
    // Nothing is ever sent: when all threads have ended, the channel is closed.
    while finished.recv_timeout(LOOK_UP) != Err(RecvTimeoutError::Disconnected) {
        match watch.until(Some(Instant::now()))? {
            Wake::Signal(number) => return Err(Error::Signal(number)),
            Wake::ReaderGone => return Err(Error::ReaderGone),
            Wake::Time | Wake::InputEnded | Wake::Readable => {}
        }
    }
    Ok(())
}

fn judge(containers: &[Container], ends: &[End], limit: Option<Duration>) -> Result<Status> {
    let mut worst = 0;
    let mut errors = Vec::new();
    let mut outside = None;
    for (container, end) in containers.iter().zip(ends) {
        let name = &container.member.name;
        match end {
            End::Itself(status) => worst = worst.max(code(*status)),
            End::Limit(killed) => errors.push(Error::waited(format!(
                "node {name}: the program did not end within {} and {}",
                limit.map(clock::show).unwrap_or_default(),
                fate(*killed)
            ))),
            End::Outside(wake, killed) => {
                outside = Some(*wake);
                warn(name, *killed);
            }
            End::Stopped(killed) => warn(name, *killed),
        }
    }
    match outside {
        Some(Wake::Signal(number)) => return Err(Error::Signal(number)),
        Some(_) => return Err(Error::ReaderGone),
        None => Error::all(errors)?,
    }
    match worst {
        0 => Ok(Status::Done),
        code => Err(Error::Passed(code)),
    }
}

fn fate(killed: Killed) -> String {
    match killed {
        Killed::Dead => "was killed".to_string(),
        Killed::WhenResumed => {
            "is killed as soon as the node, which is paused, goes on".to_string()
        }
        Killed::Not(pid) => format!(
            "cannot be killed: its process {pid} does not end, and may wait for a disk that does not answer"
        ),
    }
}

/// Says it where a program that we ended is not dead.
fn warn(name: &str, killed: Killed) {
    if killed != Killed::Dead {
        messages::error(format!("node {name}: the program {}", fate(killed)));
    }
}

/// The status as a shell gives it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}
