//! The programs that break things during the load, and the fault lines that they print.
//!
//! Each runs in a process group of its own, so that ^C on a pipeline reaches them through us: their faults
//! are healed before the final reads. If we die, the kernel sends them TERM.

mod lines;

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use breakit::clock::show;
use breakit::exit::{Error, Result, Status};
use breakit::messages;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::process::{Child, ChildStdout};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::child::{CommandLine, Group};
use crate::phases::Shared;
use crate::record::history::own_line;

/// How long a nemesis may take to heal after TERM: a cut over ssh to many hosts takes its time.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the run says about one whose fault did not last as long as it should have.
const ENDED_EARLY: &str = "reports a fault that ended before its time: somebody healed it, or its lease ran out; its stop line says when";

/// How long a killed one may take to end, and how long its children may keep its stdout open after its end.
const GRACE: Duration = Duration::from_secs(2);

/// The nemeses of a run, at work.
pub struct Nemeses(Vec<Running>);

struct Running {
    text: String,
    group: Option<Group>,
    end_requested: watch::Sender<bool>,
    work: JoinHandle<std::result::Result<Ended, String>>,
}

/// How a nemesis ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// In order.
    InOrder,
    /// In order, but a fault of it had ended before its time: another program healed it, or its lease ran out.
    Early,
}

/// What is left to say of nemeses that have ended, a sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Those that failed.
    pub failed: Vec<String>,
    /// Those of which a fault ended before its time.
    pub early: Vec<String>,
}

impl Nemeses {
    /// Starts them. Must be called from the thread that lives as long as the process: the kernel binds
    /// their lives to it.
    ///
    /// # Errors
    /// 71 if one cannot be started; those before it are killed.
    pub fn start(commands: &[CommandLine], seed: u64, shared: &Arc<Shared>) -> Result<Nemeses> {
        commands.iter().map(|words| start(words, seed, shared)).collect::<Result<_>>().map(Nemeses)
    }

    /// Sends TERM to all and reads their last lines; those that do not end in time are killed.
    pub async fn end(mut self) -> Ends {
        for nemesis in &self.0 {
            nemesis.end_requested.send_replace(true);
            if let Some(group) = &nemesis.group {
                group.signal(Signal::SIGTERM);
            }
        }
        let deadline = Instant::now() + PATIENCE;
        let mut ends = Ends::default();
        for nemesis in &mut self.0 {
            match nemesis.ended(deadline).await {
                Ok(Ended::InOrder) => {}
                Ok(Ended::Early) => {
                    ends.early.push(format!("the nemesis {:?} {ENDED_EARLY}", nemesis.text));
                }
                Err(why) => ends.failed.push(format!("the nemesis {:?} {why}", nemesis.text)),
            }
        }
        ends
    }
}

impl Running {
    async fn ended(&mut self, deadline: Instant) -> std::result::Result<Ended, String> {
        if let Ok(ended) = timeout_at(deadline, &mut self.work).await {
            return ended.unwrap_or_else(|error| Err(format!("was lost sight of: {error}")));
        }
        self.group = None;
        // Its lines so far are in the history; what it still held is left to its lease.
        let _ = timeout_at(Instant::now() + GRACE, &mut self.work).await;
        let why = format!(
            "did not end within {} of TERM and was killed; its fault ends with its lease",
            show(PATIENCE)
        );
        messages::error(format!("the nemesis {:?} {why}", self.text));
        Err(why)
    }
}

fn start(words: &CommandLine, seed: u64, shared: &Arc<Shared>) -> Result<Running> {
    let mut command = words.command(Signal::SIGTERM);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // Its group is killed when we are done with it; the child alone is no measure of that.
    command.kill_on_drop(false).env("BREAKIT_SEED", seed.to_string());
    let mut child =
        command.spawn().map_err(|e| Error::io(format!("run the nemesis {:?}", words.text), &e))?;
    let group = Group::of(&child);
    let end_requested = watch::Sender::new(false);
    let text = words.text.clone();
    let watcher = Watcher {
        text: text.clone(),
        shared: Arc::clone(shared),
        end_requested: end_requested.subscribe(),
    };
    let stdout = child.stdout.take();
    let work = tokio::spawn(watcher.watch(child, stdout));
    Ok(Running { text, group, end_requested, work })
}

struct Watcher {
    text: String,
    shared: Arc<Shared>,
    end_requested: watch::Receiver<bool>,
}

impl Watcher {
    /// Reads its lines to the end, then judges its end.
    async fn watch(
        self,
        mut child: Child,
        stdout: Option<ChildStdout>,
    ) -> std::result::Result<Ended, String> {
        let mut ended_early = false;
        tokio::select! {
            () = lines::read(&self.text, stdout, &self.shared.history, &mut ended_early) => {}
            // What it started and left running, in whatever group, may hold its stdout for ever.
            () = self.ended_for_good(&mut child) => {}
        }
        let status = child.wait().await.map_err(|error| format!("was lost sight of: {error}"))?;
        let judged = self.judge(status, ended_early);
        let (word, why) = match &judged {
            Ok(Ended::InOrder) => return judged,
            Ok(Ended::Early) => ("nemesis-ended-early", ENDED_EARLY),
            Err(why) => ("nemesis-failed", why.as_str()),
        };
        messages::error(format!("the nemesis {:?} {why}", self.text));
        let mut op = own_line(word, json!({ "command": self.text }));
        op.error = Some(why.into());
        // The run ends for that reason already.
        let _ = self.shared.history.record(op);
        judged
    }

    /// Waits until it was asked to end, has ended, and has left the time to read its last lines.
    async fn ended_for_good(&self, child: &mut Child) {
        // Without a sender the end cannot be requested any more.
        let _ = self.end_requested.clone().wait_for(|asked| *asked).await;
        // How it ended is asked again.
        let _ = child.wait().await;
        sleep(GRACE).await;
    }

    /// Death by our TERM is success, and so is an end of its own before. The status for a fault that ended early
    /// counts as such if its lines say the same: other programs have other meanings for it.
    fn judge(&self, status: ExitStatus, ended_early: bool) -> std::result::Result<Ended, String> {
        const TERM: i32 = Signal::SIGTERM as i32;
        const EARLY: i32 = Status::EndedEarly as i32;
        let asked = *self.end_requested.borrow();
        let of_term = status.signal() == Some(TERM) || status.code() == Some(128 + TERM);
        if ended_early && (status.success() || status.code() == Some(EARLY) || (asked && of_term)) {
            return Ok(Ended::Early);
        }
        if status.success() || (asked && of_term) {
            return Ok(Ended::InOrder);
        }
        Err(format!("failed ({status})"))
    }
}
