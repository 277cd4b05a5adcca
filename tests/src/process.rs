//! Running the built tools as their users do, with a limit on everything.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::within;

/// What a finished run left: its status and all that it said.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit status; 128+n for death by signal n.
    pub status: i32,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Run {
    /// Requires a status; shows everything where it is another.
    ///
    /// # Panics
    /// With all that the run said.
    #[track_caller]
    pub fn expect(self, status: i32) -> Run {
        assert_eq!(
            self.status, status,
            "wrong exit status\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Its stdout as JSON lines.
    ///
    /// # Panics
    /// Where a line is no JSON.
    #[track_caller]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(json).collect()
    }
}

#[track_caller]
fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

/// The folder with the built tools: that of the test's own build.
///
/// # Panics
/// Where the test was not built by cargo.
pub fn built() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    let dir = exe.ancestors().nth(2).map(PathBuf::from);
    dir.unwrap_or_else(|| panic!("{} does not lie in cargo's target folder", exe.display()))
}

/// A command for one of the built tools, with the others first in PATH.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(built().join(name));
    command.env("PATH", path());
    command
}

/// A shell command line with the built tools first in PATH: for pipelines as users write them.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", line]).env("PATH", path());
    command
}

fn path() -> String {
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}:/usr/sbin:/sbin", built().display())
}

/// Runs a command to its end with /dev/null on stdin; a minute is the limit.
///
/// # Panics
/// Where it cannot be started or does not end.
#[track_caller]
pub fn run(command: &mut Command) -> Run {
    Running::start_with(command, Stdio::null()).end(Duration::from_secs(60))
}

/// As [`run`], with `input` on stdin.
///
/// # Panics
/// As [`run`].
#[track_caller]
pub fn run_with(command: &mut Command, input: &str) -> Run {
    let mut running = Running::start(command);
    if let Some(mut stdin) = running.stdin.take() {
        // A tool that needs no input may be gone already.
        let _ = stdin.write_all(input.as_bytes());
    }
    running.end(Duration::from_secs(60))
}

/// A tool at work. Dropped, it is killed: no test leaves a process behind.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Its stdin, a pipe; drop it to end the input.
    pub stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    read: Vec<String>,
    stderr: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    /// Starts a command with pipes on all three.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Running {
        Running::start_with(command, Stdio::piped())
    }

    /// As [`Running::start`], with another stdin.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[track_caller]
    pub fn start_with(command: &mut Command, stdin: Stdio) -> Running {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let stdin = child.stdin.take();
        let (send, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stderr = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = stderr.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Running { child, stdin, lines, read: Vec::new(), stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid(), signal);
    }

    /// Waits until it has a handler for a signal, which would only kill it before.
    ///
    /// # Panics
    /// Where it has none in time.
    #[track_caller]
    pub fn wait_until_it_catches(&self, signal: Signal) {
        let bit = 1_u64 << (signal as i32 - 1);
        let is_caught = || signals(self.pid(), "SigCgt:") & bit != 0;
        within(Duration::from_secs(60), &format!("a handler for {signal}"), is_caught);
    }

    /// Waits until a signal that was sent is not pending any more: another one is not merged with it.
    ///
    /// # Panics
    /// Where it is pending for too long.
    #[track_caller]
    pub fn wait_until_it_has_taken(&self, signal: Signal) {
        let bit = 1_u64 << (signal as i32 - 1);
        let is_taken = || signals(self.pid(), "ShdPnd:") & bit == 0;
        within(Duration::from_secs(60), &format!("{signal} is taken"), is_taken);
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The next line of its stdout, as JSON.
    ///
    /// # Panics
    /// Where none comes in time.
    #[track_caller]
    pub fn line(&mut self, limit: Duration) -> serde_json::Value {
        match self.lines.recv_timeout(limit) {
            Ok(line) => {
                let value = json(&line);
                self.read.push(line);
                value
            }
            Err(_) => panic!(
                "no line within {limit:?}; so far {:?}; {:?}",
                self.read,
                self.child.try_wait()
            ),
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not end in time; it is killed then.
    #[track_caller]
    pub fn end(mut self, limit: Duration) -> Run {
        let deadline = Instant::now() + limit;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2))
                }
                other => {
                    let _ = self.child.kill();
                    panic!("did not end within {limit:?}: {other:?}; stdout so far {:?}", self.read)
                }
            }
        };
        use std::os::unix::process::ExitStatusExt;
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        // The pipe ends when the last holder does; a grandchild that keeps it is not waited for.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(2)) {
            self.read.push(line);
        }
        let mut stdout = std::mem::take(&mut self.read).join("\n");
        if !stdout.is_empty() {
            stdout.push('\n');
        }
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Run { status, stdout, stderr }
    }
}

/// The signals in a field of a process's status, as bits: those that it has handlers for, or that are pending.
fn signals(pid: Pid, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(field));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The JSON lines of a file.
///
/// # Panics
/// Where it is not there or a line is no JSON.
#[track_caller]
pub fn json_lines(path: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(json).collect()
}
