//! A watchdog beside a holder of delay lines, for when the holder hangs.
//!
//! Then the lease lets all new packets pass by. But those that the kernel had queued to the holder stay there,
//! and of a packet that still lies in its own host's queue TCP sends no second copy: a flow that had some there
//! would stand still for as long as the holder hangs. So where nothing is heard of the holder for longer than a
//! lease the watchdog clears the fault, which releases them.
//!
//! It is a shell in a session of its own that reads words from a pipe, and dies with the holder.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::{helper, lifeline};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

/// Reads words, in force no later than the limit after the last; when it is over it clears, once.
/// A limit of 0 is none.
const LISTEN: &str = r#"
silence=$1; limit=0; shift
while :; do
  word=$(timeout "$limit" sh -c 'read -r word && echo "$word"')
  case "$? $word" in
    "0 in force") limit=$silence ;;
    "0 ended") limit=0 ;;
    124*) limit=0; "$@" ;;
    *) exit ;;
  esac
done"#;

/// A watchdog at its post. It is sent home when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    child: Child,
}

impl Watchdog {
    /// Posts a watchdog that runs `clear` where it hears nothing of a fault in force for `silence`. It lives no
    /// longer than the calling thread.
    ///
    /// # Errors
    /// 71 where it cannot be started.
    pub fn post(clear: &Command, silence: Duration) -> Result<Watchdog> {
        let mut shell = helper::shell();
        shell.args(["-c", LISTEN, "watchdog", &silence.as_secs_f64().to_string()]);
        shell.arg(clear.get_program()).args(clear.get_args());
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let alone = || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            nix::unistd::setsid().map(drop).map_err(io::Error::from)
        };
        // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
        unsafe { shell.pre_exec(alone) };
        lifeline::let_go(&mut shell);
        let post = |e: &io::Error| Error::io("post a watchdog for the delay line", e);
        let child = shell.spawn().map_err(|e| post(&e))?;
        if let Some(pipe) = &child.stdin {
            // One that does not listen must not stop us.
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| post(&e.into()))?;
        }
        Ok(Watchdog { child })
    }

    /// Tells it that the holder lives and the fault is in force.
    pub fn in_force(&mut self) {
        self.tell("in force");
    }

    /// Tells it that the fault has ended: silence means nothing until the next.
    pub fn ended(&mut self) {
        self.tell("ended");
    }

    fn tell(&mut self, word: &str) {
        if let Some(pipe) = &mut self.child.stdin {
            // Where it is gone the lease alone has to do.
            let _ = pipe.write_all(format!("{word}\n").as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};
    use std::time::Instant;

    fn posted(name: &str, silence: Duration) -> (Watchdog, PathBuf) {
        let file = format!("slownet-watchdog-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let mut touch = Command::new("touch");
        touch.arg(&path);
        (Watchdog::post(&touch, silence).unwrap(), path)
    }

    fn comes(path: &Path) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !path.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::remove_file(path).is_ok()
    }

    #[test]
    fn it_clears_where_nothing_is_heard_of_a_fault_in_force_and_again_of_the_next() {
        let (mut watchdog, path) = posted("silent", Duration::from_millis(300));
        for _ in 0..2 {
            watchdog.in_force();
            assert!(comes(&path));
            // Once: whoever hangs for hours needs no more.
            std::thread::sleep(Duration::from_millis(700));
            assert!(!path.exists());
        }
    }

    #[test]
    fn it_leaves_alone_what_is_heard_of_or_has_ended_or_has_not_begun() {
        let (mut watchdog, path) = posted("heard", Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(300));
        (0..5).for_each(|_| watchdog.in_force());
        watchdog.ended();
        std::thread::sleep(Duration::from_millis(300));
        drop(watchdog);
        assert!(!path.exists());
    }
}
