//! Waiting for a program without missing a signal, a limit, or a reader that left.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::signal::{Wake, Watch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How a program ended that was attended.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// By itself.
    Itself(ExitStatus),
    /// Killed by us: its time was over.
    Limit,
    /// Killed by us: a signal came, or nobody reads any more.
    Outside(Wake),
}

/// Waits for all of `children` at once; kills those with all their descendants that outlast `limit` or a signal.
///
/// # Errors
/// 71 where waiting fails.
pub fn attend(children: &mut [Child], limit: Option<Duration>, watch: &Watch) -> Result<Vec<End>> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut ends: Vec<Option<End>> = children.iter().map(|_| None).collect();
    let mut nap = Duration::from_millis(1);
    loop {
        for (child, end) in children.iter_mut().zip(&mut ends) {
            if end.is_none() {
                *end = child
                    .try_wait()
                    .map_err(|e| Error::io("wait for a program", &e))?
                    .map(End::Itself);
            }
        }
        if let Some(ends) = ends.iter().copied().collect() {
            return Ok(ends);
        }
        let wake = watch.until(Some(Instant::now() + nap))?;
        nap = (nap * 2).min(Duration::from_millis(16));
        if wake != Wake::Time {
            end_rest(children, &mut ends, End::Outside(wake));
        } else if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            end_rest(children, &mut ends, End::Limit);
        }
    }
}

fn end_rest(children: &mut [Child], ends: &mut [Option<End>], how: End) {
    for (child, end) in children.iter_mut().zip(ends) {
        if end.is_none() {
            end_tree(child);
            *end = Some(how);
        }
    }
}

/// Kills a child with its descendants: TERM, and KILL for what is left after a second.
fn end_tree(child: &mut Child) {
    let root = Pid::from_raw(child.id() as i32);
    send(&tree(root), Signal::SIGTERM);
    let patience = Instant::now() + Duration::from_secs(1);
    while Instant::now() < patience && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(5));
    }
    send(&tree(root), Signal::SIGKILL);
    let _ = child.kill();
    let _ = child.wait();
}

fn send(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // One that has just ended needs no signal.
        let _ = kill(*pid, signal);
    }
}

/// The descendants of `root` and itself, the root last.
fn tree(root: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    for child in children_of(root) {
        found.extend(tree(child));
    }
    found.push(root);
    found
}

fn children_of(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect()
}
