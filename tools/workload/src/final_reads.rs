//! After the last fault: waiting until the nodes agree again, then reading everything from every one of them.
//!
//! While the nodes recover they are asked in rounds that do not enter the history: a read changes nothing, so
//! leaving it out takes nothing away, and what a node says while it still recovers is no promise broken.
//! When all nodes answer, say the same and said so in the round before, or when the time for recovery is
//! over, one recorded read of everything goes to every node. Nodes that still differ are then a finding.

use std::sync::Arc;
use std::time::Duration;

use breakit::clock;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::attempt::Line;
use crate::client::{Client, Outcome, Purpose, Request};
use crate::history::remark;
use crate::load::{Shared, completion, invocation};

/// The pause after the first round; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// No round waits longer for the next.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A node that does not answer its recorded read is asked so many times.
const TRIES: usize = 3;

/// Waits for agreement for `recovery` at the most, then reads. Processes are numbered from `first` on.
pub async fn read_all(shared: &Arc<Shared>, recovery: Duration, first: u64) {
    let requests: Arc<[Request]> = shared.generator().reads_of_all().into();
    let agreement = agree(shared, &requests, recovery).await;
    if shared.history.record(remark("recovery", agreement)).is_err() {
        return;
    }
    let mut readers = JoinSet::new();
    for number in 0..shared.nodes.len() {
        let (shared, requests) = (Arc::clone(shared), Arc::clone(&requests));
        readers
            .spawn(async move { record(&shared, number, first + number as u64, &requests).await });
    }
    readers.join_all().await;
}

/// Asks in rounds until the nodes agree; gives what is to be said of it.
async fn agree(shared: &Arc<Shared>, requests: &Arc<[Request]>, recovery: Duration) -> Value {
    let begin = Instant::now();
    let (mut pause, mut before, mut rounds) = (FIRST_PAUSE, None, 0_u64);
    let (answers, agreed) = loop {
        let answers = round(shared, requests).await;
        rounds += 1;
        let whole = unanimous(&answers);
        if whole && before.as_ref() == Some(&answers) {
            break (answers, true);
        }
        if begin.elapsed() + pause >= recovery {
            break (answers, false);
        }
        before = Some(answers);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    let silent: Vec<&str> = shared
        .nodes
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_none())
        .map(|(node, _)| node.name.as_str())
        .collect();
    json!({
        "agreed": agreed,
        "rounds": rounds,
        "lasted": clock::nanos(begin.elapsed()),
        "silent": silent,
    })
}

/// What a node answered to all reads; `None` where it did not answer one of them.
type Answers = Option<Vec<Value>>;

fn unanimous(answers: &[Answers]) -> bool {
    answers.iter().all(|answer| answer.is_some() && *answer == answers[0])
}

/// One round: all reads, from all nodes at once, in the nodes' order.
async fn round(shared: &Arc<Shared>, requests: &Arc<[Request]>) -> Vec<Answers> {
    let mut asking = JoinSet::new();
    for number in 0..shared.nodes.len() {
        let (shared, requests) = (Arc::clone(shared), Arc::clone(requests));
        asking.spawn(async move { (number, ask(&shared, number, &requests).await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn ask(shared: &Shared, number: usize, requests: &[Request]) -> Answers {
    let line = line(shared, number);
    let mut client: Option<Box<dyn Client>> = None;
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        match line.attempt(&mut client, request).await {
            Outcome::Ok(value) => answers.push(sorted(value)),
            // The rest of its answers would not make this round whole.
            Outcome::Fail(_) | Outcome::Info(_) => return None,
        }
    }
    Some(answers)
}

/// A set has no order: two nodes that list it differently agree.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut elements) => {
            elements.sort_by_cached_key(Value::to_string);
            Value::Array(elements)
        }
        other => other,
    }
}

/// The recorded reads of one node, by one process (and its successors): an answer to each, or three tries.
async fn record(shared: &Shared, number: usize, process: u64, requests: &[Request]) {
    let line = line(shared, number);
    let mut client: Option<Box<dyn Client>> = None;
    let mut tries = 0;
    let mut left = requests;
    while let Some((request, rest)) = left.split_first() {
        let mut invoke = invocation(process, line.node, request);
        invoke.extra.insert("final".into(), true.into());
        let Ok(invoke) = shared.history.announce(invoke) else { return };
        if invoke.written().await.is_err() {
            return;
        }
        let outcome = line.attempt(&mut client, request).await;
        let answered = matches!(outcome, Outcome::Ok(_));
        let mut done = completion(process, line.node, request, outcome);
        done.extra.insert("final".into(), true.into());
        if shared.history.record(done).is_err() {
            return;
        }
        if answered {
            left = rest;
            continue;
        }
        tries += 1;
        if tries == TRIES {
            return;
        }
        sleep(FIRST_PAUSE).await;
    }
}

fn line(shared: &Shared, number: usize) -> Line<'_> {
    Line {
        database: &*shared.database,
        node: &shared.nodes[number],
        prefix: &shared.prefix,
        purpose: Purpose::FinalRead,
        timeout: shared.timeout,
    }
}
