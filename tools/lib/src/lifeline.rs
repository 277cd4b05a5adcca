//! Lifelines: pipes by whose end a process beside us, a fault's guard, knows that we are gone.
//!
//! A pipe ends when the last process that holds it has ended. So the guard outlives us exactly as long as what we
//! started keeps a [`Lifeline`] too, by [`spawn`].

use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

/// The lifelines that this process holds, and some that it has let go.
static HELD: Mutex<Vec<Weak<ChildStdin>>> = Mutex::new(Vec::new());

/// Our end of a guard's pipe.
#[derive(Debug)]
pub struct Lifeline(Arc<ChildStdin>);

impl Lifeline {
    /// Holds the pipe to a guard.
    pub fn of(pipe: ChildStdin) -> Lifeline {
        let pipe = Arc::new(pipe);
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|other| other.strong_count() > 0);
        held.push(Arc::downgrade(&pipe));
        Lifeline(pipe)
    }

    /// From now on what a guard that was stopped has no room for is an error, and keeps nobody waiting.
    ///
    /// # Errors
    /// Whatever fcntl(2) says.
    pub fn never_wait(&self) -> io::Result<()> {
        fcntl(&*self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(())
    }
}

impl Write for Lifeline {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

/// Spawns a command for whose end the guards wait too, not only for ours: where we are killed while it puts something
/// in force, a guard that came first would find nothing to heal, and the fault would come after.
///
/// The pipes are open to every program that is started meanwhile; those that live long are kept from them by
/// [`let_go`].
///
/// Nothing is done between fork and exec: so the standard library needs no fork(2), which copies the page tables of
/// all our threads, and takes the longer the more of them there are.
///
/// # Errors
/// Whatever fcntl(2) or the start says.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let pipes: Vec<Arc<ChildStdin>> = {
        let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter_map(Weak::upgrade).collect()
    };
    let inherited = |pipe: &Arc<ChildStdin>| {
        let copy = fcntl(&**pipe, FcntlArg::F_DUPFD(FIRST))?;
        // SAFETY: the descriptor was just made, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(copy) })
    };
    let copies = pipes.iter().map(inherited).collect::<io::Result<Vec<OwnedFd>>>()?;
    let child = command.spawn();
    drop(copies);
    child
}

/// The first descriptor behind stdin, stdout and stderr.
const FIRST: i32 = 3;

/// From linux/close_range.h: descriptors are not closed at once but by exec.
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;

/// The descriptors that are looked at where the kernel cannot mark all, before 5.11.
const FEW: i32 = 1024;

/// Lets `command`, which may outlive us, keep nothing of ours but stdin, stdout and stderr.
pub fn let_go(command: &mut Command) {
    let mark = || {
        // SAFETY: the call takes numbers only.
        let marked = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST as libc::c_uint,
                libc::c_uint::MAX,
                CLOSE_RANGE_CLOEXEC,
            )
        };
        if marked != 0 {
            for descriptor in FIRST..FEW {
                // SAFETY: the call takes numbers only; one that is not open is no matter.
                unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes system calls with numbers, and allocates nothing.
    unsafe { command.pre_exec(mark) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::Stdio;

    fn cat() -> Child {
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_lifeline_ends_with_what_was_spawned_on_it_and_not_with_what_let_go() {
        let mut guard = cat();
        let mut lifeline = Lifeline::of(guard.stdin.take().unwrap());
        lifeline.write_all(b"word").unwrap();
        let mut kept = spawn(Command::new("cat").stdin(Stdio::piped())).unwrap();
        let mut long = Command::new("sleep");
        let_go(long.arg("600"));
        let mut long = spawn(&mut long).unwrap();
        drop(lifeline);
        assert!(guard.try_wait().unwrap().is_none(), "what was spawned on it still runs");
        drop(kept.stdin.take());
        kept.wait().unwrap();
        let mut said = String::new();
        guard.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "word");
        guard.wait().unwrap();
        long.kill().unwrap();
        long.wait().unwrap();
    }

    #[test]
    fn a_guard_that_reads_nothing_keeps_nobody_waiting() {
        let mut guard = Command::new("sleep").arg("600").stdin(Stdio::piped()).spawn().unwrap();
        let mut lifeline = Lifeline::of(guard.stdin.take().unwrap());
        lifeline.never_wait().unwrap();
        let refused = (0..1 << 20).find_map(|_| lifeline.write_all(b"word\n").err()).unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        guard.kill().unwrap();
        guard.wait().unwrap();
    }
}
