//! What `push` and `pull` share: files go through tar(1) on both sides.
//!
//! Never through the node's root as the host sees it: a node is not trusted, and a link in it that points to / would
//! lead us onto the host's own files.

use std::io::{self, Read};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::signal::{Wake, Watch};

use crate::fleet::select::{are_names, of_specs};
use crate::node::container::{Container, at_once};
use crate::process::inside::Inside;
use crate::process::program_group::Killed;
use crate::process::wait::{End, wait_unless};

/// To how many nodes is copied at once.
const WAVE: usize = 16;

/// How many lines of a program's complaints are kept.
const LINES: usize = 10;

/// How many bytes of a line are kept.
const LINE: usize = 300;

/// What a program said on stderr: the first lines, and how many more there were.
#[derive(Debug, Default)]
pub struct Said {
    lines: Vec<String>,
    more: usize,
}

impl Said {
    /// Reads all that it says, to the end, and keeps the beginning.
    pub fn listen(mut from: impl Read) -> Said {
        let (mut said, mut line, mut bytes) = (Said::default(), Vec::new(), vec![0; 1 << 16]);
        loop {
            let n = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            for byte in &bytes[..n] {
                match byte {
                    b'\n' => said.keep(&std::mem::take(&mut line)),
                    byte if line.len() < LINE => line.push(*byte),
                    _ => {}
                }
            }
        }
        said.keep(&line);
        said
    }

    fn keep(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        match line.trim() {
            "" => {}
            line if self.lines.len() < LINES => self.lines.push(line.to_string()),
            _ => self.more += 1,
        }
    }

    /// The error that it explains: the first line is the reason, and tar's last one only says that there was one.
    pub fn complaint(&self, status: ExitStatus) -> Error {
        let words =
            self.lines.first().cloned().unwrap_or_else(|| format!("tar ended with {status}"));
        let words = words.strip_prefix("tar: ").unwrap_or(&words);
        let said = format!("cannot copy: {words}");
        // The scripts in nodes end with our own status for what is not there.
        match status.code() {
            Some(code) if code == i32::from(Status::NoInput.code()) => Error::no_input(said),
            _ => Error::system(said),
        }
    }

    /// Passes it on as warnings.
    pub fn warn(&self, container: &Container) {
        let name = &container.member.name;
        for line in &self.lines {
            messages::error(format!("node {name}: {line}"));
        }
        if self.more > 0 {
            messages::error(format!("node {name}: {} more lines of that kind", self.more));
        }
    }
}

/// Copies to or from all containers, some at once: each takes a dozen of the descriptors that we may have.
///
/// # Errors
/// All that `copy` says, or [`Error::Signal`] as soon as there was one.
pub fn in_waves(
    containers: &[Container],
    watch: &Watch,
    copy: impl Fn(&Container) -> Result<()> + Sync,
) -> Result<Status> {
    let mut errors = Vec::new();
    for wave in containers.chunks(WAVE) {
        errors.extend(at_once(wave, &copy).into_iter().filter_map(Result::err));
        if let Some(number) = watch.signal() {
            return Err(Error::Signal(number));
        }
    }
    Error::all(errors).map(|()| Status::Done)
}

/// Whether a side of a copy did its work. GNU tar ends with 1 if a file changed as it was read: only a warning.
pub fn is_done(status: ExitStatus) -> bool {
    matches!(status.code(), Some(0 | 1))
}

/// Waits for the program in a node; a signal ends it, and so does `stopped`.
///
/// # Errors
/// [`Error::Signal`] after a signal, 71 if waiting fails.
pub fn wait_inside(
    program: Inside,
    container: &Container,
    watch: &Watch,
    stopped: impl Fn() -> bool,
) -> Result<Option<ExitStatus>> {
    // Not the watch's own wait: whether anybody reads our output is no matter of a copy.
    let until = |time: Instant| {
        std::thread::sleep(time.saturating_duration_since(Instant::now()).min(LOOK_UP));
        Ok(watch.signal().map_or(Wake::Time, Wake::Signal))
    };
    let ends = wait_unless(&mut [program], None, until, stopped)?;
    if let Some(End::Outside(_, killed) | End::Stopped(killed)) = ends.first()
        && *killed != Killed::Dead
    {
        messages::error(format!("node {}: its tar is not dead yet", container.member.name));
    }
    match ends.first() {
        Some(End::Itself(status)) => Ok(Some(*status)),
        Some(End::Outside(Wake::Signal(number), _)) => Err(Error::Signal(*number)),
        _ => Ok(None),
    }
}

/// The longest time until a signal is noticed.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The containers that `n1..n5:/path` means, and the path.
///
/// # Errors
/// As [`place`] and [`of_specs`].
pub fn remote(text: &str) -> Result<(Vec<Container>, String)> {
    let (specs, path) = place(text)?;
    Ok((of_specs(&specs)?, path))
}

/// `n1..n5:/path` as its nodes and the path; `:/path` means all nodes.
///
/// # Errors
/// 64 for what is neither.
pub fn place(text: &str) -> Result<(Vec<String>, String)> {
    let wrong = |why: &str| {
        Error::usage(format!(
            "{text:?} names no place in a node: {why}; write n1:/path, n1..n5:/path or :/path"
        ))
    };
    let (nodes, path) = text.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
    if !path.starts_with('/') {
        return Err(wrong("the path must begin with /"));
    }
    let specs: Vec<String> =
        nodes.split(',').filter(|s| !s.is_empty()).map(str::to_string).collect();
    are_names(&specs)?;
    Ok((specs, path.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_of_complaints_the_beginning_is_kept_and_the_rest_counted() {
        let flood = format!("\ntar: {}\n", "x".repeat(LINE * 3)).repeat(5_000);
        let said = Said::listen(flood.as_bytes());
        assert_eq!((said.lines.len(), said.more), (LINES, 5_000 - LINES));
        assert!(said.lines.iter().all(|line| line.len() == LINE));
    }
}
