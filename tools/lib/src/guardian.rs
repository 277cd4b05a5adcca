//! A guardian: a process beside a fault's holder that clears the fault at once where the holder dies.
//!
//! The lease in the kernel ends a fault by itself; the guardian only makes it sooner, and sweeps what has no
//! timeout of its own (an idle qdisc). It is a shell that reads one word from a pipe whose other end is the
//! holder's alone: the word dismisses it, the end of the pipe without the word is the holder's death.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::exit::{Error, Result};
use crate::lifeline::{self, Lifeline};
use crate::{helper, program};

const WATCH: &str = "read -r word && exit 0; exec \"$@\"";

/// A guardian at its post. Dropped without [`Guardian::dismiss`], it acts.
#[derive(Debug)]
pub struct Guardian {
    child: Child,
    lifeline: Option<Lifeline>,
}

impl Guardian {
    /// Posts a guardian that runs `clear` (a program with its arguments) when this process dies.
    ///
    /// It has a session of its own, so that neither ^C nor a hang-up reaches it, and holds none of our
    /// streams, so that no reader waits for it.
    ///
    /// # Errors
    /// 71 where it cannot be started.
    pub fn post(clear: &Command) -> Result<Guardian> {
        let mut shell = helper::shell();
        shell.args(["-c", WATCH, "guardian"]).arg(clear.get_program()).args(clear.get_args());
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let own_session = || nix::unistd::setsid().map(drop).map_err(io::Error::from);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { shell.pre_exec(own_session) };
        lifeline::let_go(&mut shell);
        let mut child = shell
            .spawn()
            .map_err(|e| Error::io(format!("post a guardian for {}", program::show(clear)), &e))?;
        let lifeline = child.stdin.take().map(Lifeline::of);
        Ok(Guardian { child, lifeline })
    }

    /// Whether it is still there.
    pub fn stands(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it home: the fault is healed, or is to outlive us.
    pub fn dismiss(mut self) {
        // A guardian that is gone already cannot act either.
        if let Some(lifeline) = &mut self.lifeline {
            let _ = lifeline.write_all(b"dismissed\n");
        }
        // One that somebody stopped would keep us waiting for ever; and it has nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn touch(path: &std::path::Path) -> Command {
        let mut command = Command::new("touch");
        command.arg(path);
        command
    }

    fn marker(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("breakit-guardian-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_guardian_whose_holder_is_gone_clears() {
        let path = marker("gone");
        drop(Guardian::post(&touch(&path)).unwrap());
        let deadline = Instant::now() + Duration::from_secs(5);
        while !path.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_guardian_that_was_stopped_keeps_nobody_waiting() {
        let path = marker("stopped");
        let mut guardian = Guardian::post(&touch(&path)).unwrap();
        let pid = nix::unistd::Pid::from_raw(guardian.pid() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
        assert!(guardian.stands());
        guardian.dismiss();
        assert!(!path.exists());
    }

    #[test]
    fn a_dismissed_guardian_does_nothing() {
        let path = marker("dismissed");
        Guardian::post(&touch(&path)).unwrap().dismiss();
        assert!(!path.exists());
    }
}
