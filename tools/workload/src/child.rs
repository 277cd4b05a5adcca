//! Programs that we start: split into words, found, put into a process group that does not outlive us.

use std::io;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use breakit::helper;
use breakit::program::typed;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid};
use tokio::process::Command;

use crate::record::commands::Record;

/// How many characters of a line that a program printed are quoted.
const CITED: usize = 200;

/// The beginning of a line that may be endless.
pub fn cited(line: &str) -> String {
    breakit::escape::beginning(line, CITED).into()
}

/// A command as the user wrote it, with its program found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// What is recorded of it, for messages and the history.
    pub text: String,
    program: PathBuf,
    arguments: Vec<String>,
    recorded: Vec<String>,
}

impl CommandLine {
    /// Splits `text` by the shell's quoting rules, without any expansion, and looks for its program.
    ///
    /// `flag` is what errors call the place: `--nemesis`.
    ///
    /// # Errors
    /// 64 if it is empty or a quote is not closed, 69 if the program is missing.
    pub fn of(text: &str, flag: &str, record: Record) -> Result<CommandLine> {
        let words = shlex::split(text).ok_or_else(|| {
            Error::usage(format!("{flag}: a quote or a backslash stands open; close it"))
        })?;
        let Some((name, arguments)) = words.split_first() else {
            return Err(Error::usage(format!("{flag} names no program; write a command")));
        };
        let program = helper::written(name).ok_or_else(|| {
            Error::missing(format!(
                "{flag}: there is no program {name}; install it or write its whole path"
            ))
        })?;
        let recorded = record.command(&words);
        Ok(CommandLine { text: typed(&recorded), program, arguments: arguments.to_vec(), recorded })
    }

    /// What is recorded of the words that would be run, the program's path first.
    pub fn argv(&self) -> Vec<String> {
        let program = self.program.display().to_string();
        std::iter::once(program).chain(self.recorded.iter().skip(1).cloned()).collect()
    }

    /// The files that may hold a run which the command makes again, as `partition replay history.jsonl` does.
    pub fn replayed(&self) -> impl Iterator<Item = &Path> {
        let mut words = self.arguments.iter();
        let replays = words.any(|word| word == "replay");
        words.take(if replays { usize::MAX } else { 0 }).map(Path::new)
    }

    /// The command: in a process group of its own, which the kernel sends `at_our_death` when we die.
    ///
    /// The kernel watches the *thread* that starts it: start it from one that lives as long as the run.
    pub fn command(&self, at_our_death: Signal) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).process_group(0).kill_on_drop(true);
        let us = nix::unistd::getpid();
        let bind = move || bind_to_parent(us, at_our_death);
        // SAFETY: between fork and exec the closure makes two system calls and touches no lock or heap.
        unsafe { command.pre_exec(bind) };
        command
    }
}

fn bind_to_parent(parent: Pid, at_its_death: Signal) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(at_its_death)?;
    // It may have died before we asked.
    if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

/// The process group of a child that we started. Dropped, what is left of the group is killed.
#[derive(Debug)]
pub struct Group(Pid);

impl Group {
    /// The group of a child that was made by [`CommandLine::command`]; `None` if it has ended already.
    pub fn of(child: &tokio::process::Child) -> Option<Group> {
        child.id().and_then(|id| i32::try_from(id).ok()).map(|id| Group(Pid::from_raw(id)))
    }

    /// Sends a signal to all of it.
    pub fn signal(&self, signal: Signal) {
        // A group that is gone already is what we want.
        let _ = killpg(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
