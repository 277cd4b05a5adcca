//! External programs: run with a limit, their words kept when they fail. Where they are found: [`crate::helper`].

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::exit::{Error, Result};
pub use crate::helper::{clean, command, find};
use crate::lifeline;
use crate::size::show_size;

/// What a program may say on one stream, in bytes. A node may answer over ssh, and a node is not trusted.
const MOST: u64 = 64 << 20;

/// How long a program that was killed may take to be gone.
const DYING: Duration = Duration::from_secs(1);

/// Runs `command` with `input` on its stdin (none: /dev/null) and waits for `limit` at the most, whatever it and
/// the programs that it starts do. They are a process group of their own, which is killed as one.
///
/// The output is whatever came, and the status is not judged.
///
/// # Errors
/// 71 if it cannot be started or says more than 64 MiB, 75 if it does not end in time (it is killed then).
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
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let deadline = Instant::now() + limit;
    let mut child = spawn(command).map_err(|e| Error::io(format!("run {name}"), &e))?;

    // One thread a stream, or a child that fills one pipe while we wait at another would hang us both.
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    if let Some((mut stdin, input)) = child.stdin.take().zip(input.map(<[u8]>::to_vec)) {
        // A child that stops reading early is judged by its status, not by our broken pipe.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let said = |stream: Receiver<Said>| stream.recv_timeout(until(deadline)).ok();
    let ended = said(out).zip(said(err)).and_then(|(out, err)| match (out, err) {
        (Said::All(out), Said::All(err)) => {
            exit_status(&mut child, deadline).map(|status| Ok((status, out, err)))
        }
        _ => Some(Err(())),
    });
    let failed = match ended {
        Some(Ok((status, stdout, stderr))) => return Ok(Output { status, stdout, stderr }),
        Some(Err(())) => Error::system(format!("{name} said more than {}", show_size(MOST))),
        None => Error::waited(format!("{name} did not end within {}", crate::clock::show(limit))),
    };
    let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
    // A process that hangs in the kernel does not go: it is left to itself.
    let _ = exit_status(&mut child, Instant::now() + DYING);
    Err(failed)
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Waits for the end of a child whose streams are closed: as a rule that is now.
fn exit_status(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    let mut pause = Duration::from_micros(100);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(pause.min(until(deadline)));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
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
    typed(std::iter::once(command.get_program()).chain(command.get_args()))
}

/// The words of a command as one would type them.
pub fn typed(words: impl IntoIterator<Item: AsRef<OsStr>>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
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

/// What came on a stream.
enum Said {
    /// All that there was.
    All(Vec<u8>),
    /// More than it may be.
    TooMuch,
}

fn drain(stream: Option<impl Read + Send + 'static>) -> Receiver<Said> {
    let (sender, said) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error still says more than nothing.
            let _ = stream.take(MOST + 1).read_to_end(&mut bytes);
        }
        let all = bytes.len() as u64 <= MOST;
        let _ = sender.send(if all { Said::All(bytes) } else { Said::TooMuch });
    });
    said
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
    fn what_a_program_started_is_killed_with_it() {
        let file = std::env::temp_dir().join(format!("breakit-group-{}", std::process::id()));
        let script = format!("sleep 30 & echo $! > {}; wait", file.display());
        let began = Instant::now();
        // Both write to the pipes that are read: the end of one alone would not end the wait.
        run(Command::new("sh").args(["-c", &script]), None, Duration::from_millis(500))
            .unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(20));
        let started = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let is_alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", started.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let end = Instant::now() + Duration::from_secs(10);
        while is_alive() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!is_alive());
    }

    #[test]
    fn the_limit_is_one_for_all_that_is_waited_for() {
        // Its first stream ends late, its second never, and it goes on without both.
        for script in ["sleep 0.4; exec >&-; sleep 30", "exec >&- 2>&-; sleep 30"] {
            let began = Instant::now();
            run(Command::new("sh").args(["-c", script]), None, Duration::from_millis(500))
                .unwrap_err();
            assert!(began.elapsed() < Duration::from_secs(5), "{script}");
        }
    }

    #[test]
    fn a_program_that_never_stops_talking_is_ended_before_memory_is_full() {
        let said = run(&mut Command::new("yes"), None, Duration::from_secs(60)).unwrap_err();
        assert_eq!(said.to_string(), "yes said more than 64M");
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
