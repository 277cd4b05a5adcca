//! A program that runs in a node: started in a control group of its own, waited for, and ended as a whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use nix::sys::signal::Signal;

use crate::node::cgroup;
use crate::node::container::Container;
use crate::process::pipes::Root;
use crate::process::program_group::{Killed, ProgramGroup};
use crate::process::wait::Program;

/// How long the kernel may take to end what was killed.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// How long lxc-attach may take to end after its program.
const REAP_LIMIT: Duration = Duration::from_secs(1);

nix::ioctl_write_int_bad!(
    /// Makes a terminal the controlling one of this session.
    take_terminal,
    nix::libc::TIOCSCTTY
);

/// What a program has for stdin, stdout and stderr: pipes of ours, or a terminal of ours, and no file of the caller.
#[derive(Debug)]
pub struct Stdios {
    /// What it reads.
    pub stdin: Stdio,
    /// What it writes.
    pub stdout: Stdio,
    /// Where it complains.
    pub stderr: Stdio,
    /// Whether stdin is a terminal.
    pub terminal: bool,
}

/// A place for one program in a node.
#[derive(Debug)]
pub struct Site {
    /// The node's root.
    pub root: Root,
    group: ProgramGroup,
}

impl Site {
    /// Makes a place in the node, if it runs and is not paused.
    ///
    /// # Errors
    /// 71 with what to do if it does not, 69 if LXC or the cgroup freezer is missing.
    pub fn of(container: &Container) -> Result<Site> {
        container.must_run()?;
        let init = container.init().ok_or_else(cgroup::gone)?;
        Ok(Site { root: Root::of(init)?, group: ProgramGroup::make(init)? })
    }

    /// Starts a program there.
    ///
    /// # Errors
    /// 69 if LXC is missing, 71 if the system refuses.
    pub fn start<S: AsRef<OsStr>>(
        self,
        container: &Container,
        program: impl IntoIterator<Item = S>,
        stdios: Stdios,
    ) -> Result<Inside> {
        let mut command = container.attach_in_its_groups()?;
        command.args(program);
        command.stdin(stdios.stdin).stdout(stdios.stdout).stderr(stdios.stderr);
        join_first(&mut command, self.group.doors()?);
        if stdios.terminal {
            own_terminal(&mut command);
        }
        let child = command.spawn().map_err(|e| Error::io("run lxc-attach", &e))?;
        Ok(Inside { attach: child, attach_is_out: false, group: self.group })
    }
}

/// Lets the command join a control group before it is executed: no moment is left in which it could fork elsewhere.
fn join_first(command: &mut Command, doors: Vec<File>) {
    let join = move || doors.iter().try_for_each(|mut door| door.write_all(b"0"));
    // SAFETY: between fork and exec the closure makes system calls on descriptors that it owns, and allocates
    // nothing.
    unsafe { command.pre_exec(join) };
}

/// Makes stdin the controlling terminal of the command's session, so that the kernel tells it of a new size.
fn own_terminal(command: &mut Command) {
    let take = || {
        // SAFETY: the ioctl takes a number and no pointer.
        unsafe { take_terminal(io::stdin().as_raw_fd(), 0) }?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes one system call with numbers, and allocates nothing.
    unsafe { command.pre_exec(take) };
}

/// A program in a node.
#[derive(Debug)]
pub struct Inside {
    /// lxc-attach, whose status is the program's.
    attach: Child,
    attach_is_out: bool,
    group: ProgramGroup,
}

impl Inside {
    /// Takes lxc-attach out of the node's groups as soon as the program is in them: a pause of the node is none of
    /// lxc-attach, and LXC can remove the groups of a node that was killed.
    fn take_attach_out(&mut self) {
        let attach = self.attach.id();
        let has_forked = || self.group.members().iter().any(|pid| *pid as u32 != attach);
        if !self.attach_is_out && has_forked() {
            // As long as it fails, lxc-attach stays there, and ends with its program.
            self.attach_is_out = ProgramGroup::take_out(attach).is_ok();
        }
    }
}

impl Program for Inside {
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.take_attach_out();
        self.attach.try_wait()
    }

    fn terminate(&mut self) {
        self.group.signal(Signal::SIGTERM);
    }

    fn is_gone(&mut self) -> bool {
        self.take_attach_out();
        self.group.members().is_empty()
    }

    fn kill_all(&mut self) -> Killed {
        let killed = self.group.kill(KILL_LIMIT);
        let deadline = Instant::now() + REAP_LIMIT;
        while killed == Killed::Dead
            && Instant::now() < deadline
            && matches!(self.attach.try_wait(), Ok(None))
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.attach.kill();
        // In a paused node not even KILL ends it; then it is not waited for.
        if killed == Killed::Dead || self.attach_is_out {
            let _ = self.attach.wait();
        }
        killed
    }
}
