//! The main phase: operations fall due at their pace, and processes take them as they become free.
//!
//! The load is open: nothing that happens to an operation delays the moments at which later ones fall due.
//! At most `concurrency` are open at a time; one that finds no free process waits for it, and its `invoke`
//! line then says in `due` when it should have been sent, so that latency can count from there.

use std::iter::{Peekable, Take};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breakit::clock;
use breakit::exit::Error;
use breakit::node::Node;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::action::{Action, Outcome};
use crate::clients::{Client, Purpose};
use crate::generator::pace::Pace;
use crate::phases::Shared;
use crate::phases::attempt::Session;
use crate::phases::operation_lines::{completion, invocation};
use crate::record::history::{NotWritten, PendingLine};
use crate::stop::{Cause, Stop};

/// An operation sent later than this after it fell due says so on its line; below is the timer's own grain.
const LATE: Duration = Duration::from_millis(2);

/// How often those that fell due are counted.
const COUNTED: Duration = Duration::from_millis(50);

/// When the load ends, and how many processes carry it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Operations open at a time, at the most.
    pub concurrency: u32,
    /// The number of the first process.
    pub process_base: u64,
    /// The end, counted from the beginning.
    pub time: Option<Duration>,
    /// The end, counted in operations.
    pub ops: Option<u64>,
}

/// A load that is running or has just ended.
pub struct Load {
    workers: JoinSet<u64>,
    queue: Arc<Queue>,
    /// How many operations fell due before its end.
    due: u64,
    next_process: u64,
    stop: Stop,
}

/// What is left of the load when all its operations have completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Operations that fell due and found no free process before the end.
    pub unsent: u64,
    /// The first process number that was never used.
    pub next_process: u64,
}

/// Operations as they fall due. Nothing is kept of one until a process takes it: however far the database is
/// behind, the queue takes no memory.
struct Queue {
    /// When each of those that no process has taken yet falls due, counted from the beginning.
    moments: tokio::sync::Mutex<Moments>,
    begin: Instant,
    /// The beginning by CLOCK_MONOTONIC, in nanoseconds.
    zero: u64,
    taken: AtomicU64,
    closed: watch::Sender<bool>,
}

type Moments = Take<Pace>;

impl Queue {
    fn new(moments: Moments) -> Queue {
        Queue {
            moments: tokio::sync::Mutex::new(moments),
            begin: Instant::now(),
            zero: clock::now(),
            taken: AtomicU64::new(0),
            closed: watch::Sender::new(false),
        }
    }

    /// Waits for the next one, and gives when it fell due, by CLOCK_MONOTONIC; `None` when there will be no more.
    /// The process that has waited longest is served first.
    async fn next(&self) -> Option<u64> {
        let mut moments = self.moments.lock().await;
        if *self.closed.borrow() {
            return None;
        }
        let at = moments.next()?;
        let due = self.begin.checked_add(at);
        if due.is_none_or(|due| due > Instant::now()) {
            tokio::select! {
                biased;
                () = self.closed() => return None,
                () = until(due) => {}
            }
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(self.zero + clock::nanos(at))
    }

    async fn closed(&self) {
        // The sender lives as long as `self`: there is no error to come.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Ends the load: no more operations can be taken. Returns how long that is after its beginning.
    fn close(&self) -> Duration {
        self.closed.send_replace(true);
        self.begin.elapsed()
    }
}

/// Counts the operations that fall due, whether or not a process takes them.
struct Due {
    moments: Peekable<Moments>,
    number: u64,
}

impl Due {
    /// Those up to `now`, counted from the beginning.
    fn count(&mut self, now: Duration) {
        while self.moments.next_if(|at| *at <= now).is_some() {
            self.number += 1;
        }
    }

    /// Counts on and on, so that the end has little left to count at the highest rate.
    async fn follow(&mut self, begin: Instant) {
        loop {
            sleep(COUNTED).await;
            self.count(begin.elapsed());
        }
    }
}

impl Load {
    /// Runs the load until its limits or until the run is stopped. Operations may still be open then.
    pub async fn run(shared: &Arc<Shared>, limits: Limits, pace: Pace) -> Load {
        let count = usize::try_from(limits.ops.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let queue = Arc::new(Queue::new(pace.clone().take(count)));
        let concurrency = u64::from(limits.concurrency);
        let mut workers = JoinSet::new();
        for slot in 0..concurrency {
            let worker = Worker {
                shared: Arc::clone(shared),
                queue: Arc::clone(&queue),
                node: (slot % shared.nodes.len() as u64) as usize,
                process: limits.process_base + slot,
                concurrency,
            };
            workers.spawn(worker.work());
        }
        let next_process = limits.process_base + concurrency;
        let mut due = Due { moments: pace.take(count).peekable(), number: 0 };
        let mut load = Load { workers, queue, due: 0, next_process, stop: shared.stop.clone() };
        // An end later than the clock can say is none.
        let begin = load.queue.begin;
        let end = limits.time.and_then(|time| begin.checked_add(time));
        tokio::select! {
            () = due.follow(begin) => {}
            () = load.finish_workers() => {}
            () = shared.stop.rung() => {}
            () = until(end) => {}
        }
        due.count(load.queue.close());
        load.due = due.number;
        load
    }

    /// Waits for the operations that are still open; each has its timeout.
    pub async fn finish(mut self) -> Ended {
        self.finish_workers().await;
        let taken = self.queue.taken.load(Ordering::Relaxed);
        Ended { unsent: self.due.saturating_sub(taken), next_process: self.next_process }
    }

    async fn finish_workers(&mut self) {
        while let Some(ended) = self.workers.join_next().await {
            match ended {
                Ok(next) => self.next_process = self.next_process.max(next),
                Err(error) => self.stop.ring(Cause::Broken(Error::system(format!(
                    "a process of the load died, and the history is not whole: {error}"
                )))),
            }
        }
    }
}

/// One process after another on the same node: an operation whose outcome is not known ends its process.
struct Worker {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    node: usize,
    process: u64,
    concurrency: u64,
}

impl Worker {
    /// Takes operations until there are no more; gives the next number that it would have used.
    async fn work(mut self) -> u64 {
        let shared = Arc::clone(&self.shared);
        let session = Session {
            database: &*shared.database,
            node: &shared.nodes[self.node],
            prefix: &shared.prefix,
            purpose: Purpose::Load,
            timeout: shared.timeout,
        };
        let mut client: Option<Box<dyn Client>> = None;
        while let Some(due) = self.queue.next().await {
            let Ok((action, invoke)) = self.invoke(session.node, due) else { break };
            if invoke.written().await.is_err() {
                break;
            }
            let outcome = session.attempt(&mut client, &action).await;
            shared.generator().learn(self.process, &action, &outcome);
            let unknown = matches!(outcome, Outcome::Info(_));
            if shared
                .history
                .record(completion(self.process, session.node, &action, outcome))
                .is_err()
            {
                break;
            }
            if unknown {
                self.process += self.concurrency;
            }
        }
        self.process + self.concurrency
    }

    /// Draws the next operation and gives its line its place: as one step, so that the history has the
    /// generator's order. The request must not leave before the line is written.
    fn invoke(&self, node: &Node, due: u64) -> Result<(Action, PendingLine), NotWritten> {
        let mut generator = self.shared.generator();
        let action = generator.next(self.process);
        let mut op = invocation(self.process, node, &action);
        if clock::now().saturating_sub(due) > clock::nanos(LATE) {
            op.extra.insert("due".into(), due.into());
        }
        self.shared.history.announce(op).map(|invoke| (action, invoke))
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
