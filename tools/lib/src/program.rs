//! External programs: run with a limit, their words kept when they fail. Where they are found: [`crate::helper`].

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::exit::{Error, Result};
pub use crate::helper::{clean, command, find};
use crate::lifeline;

/// Runs `command` with `input` on its stdin (none: /dev/null) and waits for `limit` at the most.
///
/// The output is whatever came, and the status is not judged.
///
/// # Errors
/// 71 where it cannot be started, 75 where it did not end in time (it is killed then).
pub fn run(command: &mut Command, input: Option<&[u8]>, limit: Duration) -> Result<Output> {
    run_spawned(command, input, limit, Command::spawn)
}

/// As [`run`]; the guards of this process wait for the program's end, too.
///
/// # Errors
/// As [`run`].
pub fn run_guarded(command: &mut Command, input: Option<&[u8]>, limit: Duration) -> Result<Output> {
    run_spawned(command, input, limit, lifeline::spawn)
}

fn run_spawned(
    command: &mut Command,
    input: Option<&[u8]>,
    limit: Duration,
    spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
) -> Result<Output> {
    let name = show(command);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).map_err(|e| Error::io(format!("run {name}"), &e))?;
    let pid = Pid::from_raw(child.id() as i32);

    // One thread a stream, or a child that fills one pipe while we wait at another would hang us both.
    let (done, finished) = mpsc::channel();
    let out = drain(child.stdout.take(), done.clone());
    let err = drain(child.stderr.take(), done);
    let feed = child.stdin.take().zip(input.map(<[u8]>::to_vec)).map(|(mut stdin, input)| {
        // A child that stops reading early is judged by its status, not by our broken pipe.
        std::thread::spawn(move || drop(stdin.write_all(&input)))
    });
    let in_time = (0..2).all(|_| finished.recv_timeout(limit).is_ok());
    if !in_time {
        let _ = kill(pid, Signal::SIGKILL);
        let _ = child.wait();
        return Err(Error::waited(format!(
            "{name} did not end within {}",
            crate::clock::show(limit)
        )));
    }
    let status = child.wait().map_err(|e| Error::io(format!("wait for {name}"), &e))?;
    if let Some(feed) = feed {
        let _ = feed.join();
    }
    Ok(Output {
        status,
        stdout: out.join().unwrap_or_default(),
        stderr: err.join().unwrap_or_default(),
    })
}

/// As [`run`], and the program must succeed; gives its stdout.
///
/// # Errors
/// As [`run`], and 71 with the program's own last words.
pub fn succeed(command: &mut Command, input: Option<&[u8]>, limit: Duration) -> Result<String> {
    let name = show(command);
    let output = run(command, input, limit)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::system(format!("{name} failed ({}): {}", output.status, last_words(&output))))
}

/// The last line that is not blank of what a program said, on stderr or else on stdout.
pub fn last_words(output: &Output) -> String {
    [&output.stderr, &output.stdout]
        .into_iter()
        .find_map(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            text.lines().rev().find(|l| !l.trim().is_empty()).map(|l| l.trim().to_string())
        })
        .unwrap_or_else(|| "it said nothing".into())
}

/// The command as one would type it, for messages and `--dry-run`.
pub fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quote)
        .collect::<Vec<_>>()
        .join(" ")
}

/// One word as a shell must see it.
pub fn quote(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn drain(
    stream: Option<impl Read + Send + 'static>,
    done: mpsc::Sender<()>,
) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error still says more than nothing.
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = done.send(());
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_killed_when_its_time_is_over() {
        let error =
            run(Command::new("sleep").arg("30"), None, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "sleep 30 did not end within 50ms");
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let error = succeed(
            Command::new("sh").args(["-c", "echo no luck >&2; exit 3"]),
            None,
            Duration::from_secs(5),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "sh -c 'echo no luck >&2; exit 3' failed (exit status: 3): no luck"
        );
    }

    #[test]
    fn what_goes_in_comes_out_whole() {
        let megabyte = vec![b'x'; 1 << 20];
        let said =
            succeed(&mut Command::new("cat"), Some(&megabyte), Duration::from_secs(5)).unwrap();
        assert_eq!(said.len(), megabyte.len());
    }
}
