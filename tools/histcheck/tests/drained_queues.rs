//! Small random histories of queues with drains against every order there is: a search that shares no code with
//! histcheck, where a drain is takes, one after the other and each at some time while it was open, between which any
//! other operation may come. `HISTCHECK_ORACLE=20000` takes so many of each model, and `HISTCHECK_SEED=2` others.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::process::Command;

use breakit_tests::Random;
use breakit_tests::process::{Run, run_with};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Fifo,
    Unordered,
    Stack,
    Priority,
}

impl Queue {
    /// The model, and what puts and takes are called.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Queue::Fifo => ("fifo-queue", "enqueue", "dequeue"),
            Queue::Unordered => ("unordered-queue", "enqueue", "dequeue"),
            Queue::Stack => ("stack", "push", "pop"),
            Queue::Priority => ("priority-queue", "insert", "extract"),
        }
    }

    /// The places of the elements that may be taken next.
    fn next(self, held: &[u32]) -> Vec<usize> {
        let all = 0..held.len();
        match self {
            Queue::Fifo => all.take(1).collect(),
            Queue::Stack => all.rev().take(1).collect(),
            Queue::Unordered => all.collect(),
            Queue::Priority => all.min_by_key(|&at| held[at]).into_iter().collect(),
        }
    }
}

#[derive(Clone, Debug)]
enum What {
    Put(u32),
    /// These, one after the other; by a drain or by a take of one.
    Took(Vec<u32>),
    /// One that nobody knows.
    TookOne,
}

#[derive(Clone, Debug)]
struct Call {
    process: u32,
    what: What,
    is_drain: bool,
    begin: usize,
    end: usize,
    /// `ok`, `fail` or `info`.
    fate: &'static str,
}

impl Call {
    fn took_several(&self) -> bool {
        let took_several = matches!(&self.what, What::Took(taken) if taken.len() > 1);
        self.is_drain && self.fate == "ok" && took_several
    }

    /// How many steps it has.
    fn steps(&self) -> usize {
        match (&self.what, self.fate) {
            (_, "fail") => 0,
            (What::Took(taken), _) => taken.len(),
            (What::Put(_) | What::TookOne, _) => 1,
        }
    }
}

/// A history of a queue whose steps happen between beginning and end, of which some results are then changed.
fn random_history(queue: Queue, random: &mut Random) -> Vec<Call> {
    let many = 3 + random.below(7) as usize;
    let (drains, infos) = (1 + random.below(4), random.below(3));
    let mut held: Vec<u32> = Vec::new();
    let mut calls: Vec<Call> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let (mut value, mut processes) = (0, 0);
    for at in 0.. {
        if open.is_empty() && calls.len() == many {
            break;
        }
        let is_idle = open.is_empty() || open.len() < 3 && random.below(3) == 0;
        if calls.len() < many && is_idle {
            let is_drain = random.below(8) < drains;
            let what = match random.below(3) {
                _ if is_drain => What::Took(Vec::new()),
                0 => What::Took(Vec::new()),
                _ => {
                    value += u32::from(value == 0 || random.below(6) > 0);
                    // Of a queue with priorities the later may be the less.
                    What::Put(if random.below(2) == 0 { 20 - value } else { value })
                }
            };
            open.push(calls.len());
            let process = processes;
            processes += 1;
            calls.push(Call { process, what, is_drain, begin: at, end: usize::MAX, fate: "info" });
            continue;
        }
        let nth = random.index(open.len());
        let call = &mut calls[open[nth]];
        let will_end = random.below(2) == 0;
        match (&mut call.what, call.is_drain) {
            // While it is open a put has happened if its fate says `ok`.
            (What::Put(put), _)
                if call.fate == "info" && !(will_end && random.below(9) < infos) =>
            {
                held.push(*put);
                call.fate = "ok";
                continue;
            }
            (What::Took(taken), is_drain) if is_drain || taken.is_empty() => {
                let next = queue.next(&held);
                let ends = next.is_empty() || is_drain && will_end;
                if !ends {
                    taken.push(held.remove(next[random.index(next.len())]));
                    continue;
                }
            }
            _ => {}
        }
        if !will_end {
            continue;
        }
        call.end = at;
        match &call.what {
            What::Put(_) if call.fate == "ok" && random.below(9) < infos => call.fate = "info",
            What::Put(_) if call.fate == "info" && random.below(3) == 0 => call.fate = "fail",
            What::Put(_) => {}
            What::Took(taken) if taken.is_empty() && (!call.is_drain || random.below(2) == 0) => {
                call.fate = "fail";
            }
            What::Took(_) if !call.is_drain && random.below(20) < infos => {
                call.what = What::TookOne
            }
            What::Took(_) | What::TookOne => call.fate = "ok",
        }
        open.swap_remove(nth);
    }
    for _ in 0..random.below(6) {
        falsify(&mut calls, random);
    }
    calls
}

/// Changes what some call took.
fn falsify(calls: &mut [Call], random: &mut Random) {
    let mut took: Vec<usize> = (0..calls.len())
        .filter(|&at| matches!(&calls[at].what, What::Took(taken) if !taken.is_empty()))
        .collect();
    if took.iter().any(|&at| calls[at].took_several()) {
        took.retain(|&at| calls[at].took_several());
    }
    if took.is_empty() {
        return;
    }
    let puts: Vec<u32> = calls
        .iter()
        .filter_map(|call| match call.what {
            What::Put(value) => Some(value),
            _ => None,
        })
        .collect();
    let at = took[random.index(took.len())];
    let What::Took(taken) = &mut calls[at].what else { return };
    let one = random.index(taken.len());
    let other = (one + 1) % taken.len();
    match random.below(5) {
        0 if calls[at].is_drain => drop(taken.remove(one)),
        1 => taken[one] = puts[random.index(puts.len())],
        _ => taken.swap(one, other),
    }
}

fn lines(queue: Queue, calls: &[Call]) -> String {
    let (_, put, take) = queue.names();
    let mut events = Vec::new();
    for call in calls {
        let f = match call.what {
            What::Put(_) => put,
            _ if call.is_drain => "drain",
            _ => take,
        };
        let (argument, result) = match &call.what {
            What::Put(value) => (value.to_string(), value.to_string()),
            What::Took(taken) if call.is_drain && call.fate == "ok" => {
                ("null".into(), format!("{taken:?}"))
            }
            What::Took(taken) => {
                ("null".into(), taken.first().map_or("null".into(), u32::to_string))
            }
            What::TookOne => ("null".into(), "null".into()),
        };
        let process = call.process;
        let event = |kind: &str, value: &str| {
            format!(
                "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n"
            )
        };
        events.push((call.begin, event("invoke", &argument)));
        events.push((call.end, event(call.fate, &result)));
    }
    events.sort();
    events.into_iter().map(|(_, line)| line).collect()
}

/// All that matters of how far a search came: the steps of each call that were taken, and what is held.
type Standing = (Vec<usize>, Vec<u32>);

/// Whether some order of the steps is legal.
fn has_an_order(queue: Queue, calls: &[Call], at: &Standing, seen: &mut HashSet<Standing>) -> bool {
    let (done, held) = at;
    let is_complete = |of: usize| done[of] == calls[of].steps();
    if (0..calls.len()).all(|of| calls[of].fate != "ok" || is_complete(of)) {
        return true;
    }
    if !seen.insert(at.clone()) {
        return false;
    }
    (0..calls.len()).filter(|&of| !is_complete(of)).any(|of| {
        let call = &calls[of];
        let must_wait = |other: usize| {
            calls[other].fate == "ok" && calls[other].end < call.begin && !is_complete(other)
        };
        if (0..calls.len()).any(must_wait) {
            return false;
        }
        let sought = match &call.what {
            What::Put(_) | What::TookOne => None,
            What::Took(taken) => Some(taken[done[of]]),
        };
        let afters: Vec<Vec<u32>> = match call.what {
            What::Put(value) => vec![[held.as_slice(), &[value]].concat()],
            What::Took(_) | What::TookOne => {
                let fits = |&place: &usize| sought.is_none_or(|sought| held[place] == sought);
                let without = |place: usize| [&held[..place], &held[place + 1..]].concat();
                queue.next(held).into_iter().filter(fits).map(without).collect()
            }
        };
        let mut done = done.clone();
        done[of] += 1;
        afters.into_iter().any(|held| has_an_order(queue, calls, &(done.clone(), held), seen))
    })
}

/// Whether the manual says that the history is refused: a drain took several elements, and another operation of the
/// history ended while it was open and one began after that; or two that took several overlap.
fn is_refused(queue: Queue, calls: &[Call]) -> bool {
    let happened = || calls.iter().filter(|call| call.fate != "fail");
    queue != Queue::Unordered
        && happened().filter(|call| call.took_several()).any(|drain| {
            let is_within = |at: usize| drain.begin < at && at < drain.end;
            let ends = happened().filter(|call| call.fate == "ok").map(|call| call.end);
            let begins: Vec<usize> = happened().map(|call| call.begin).collect();
            let is_split = ends
                .filter(|&end| is_within(end))
                .any(|end| begins.iter().any(|&begin| end < begin && is_within(begin)));
            let overlaps = |other: &Call| {
                other.process != drain.process
                    && other.took_several()
                    && other.begin < drain.end
                    && drain.begin < other.end
            };
            is_split || happened().any(overlaps)
        })
}

fn histcheck(queue: Queue, history: &str) -> Run {
    let (model, ..) = queue.names();
    let args = ["linear", "--model", model];
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), history)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

fn drains_are_judged_as_by_every_order(queue: Queue) {
    let rounds = number("HISTCHECK_ORACLE").unwrap_or(200);
    let mut random = Random(0xD4A1 + 97 * number("HISTCHECK_SEED").unwrap_or(1));
    let mut told = [0_u64; 3];
    while told.iter().sum::<u64>() < rounds {
        let calls = random_history(queue, &mut random);
        if !calls.iter().any(Call::took_several) && random.below(6) > 0 {
            continue;
        }
        let history = lines(queue, &calls);
        let run = histcheck(queue, &history);
        let shown = || format!("{queue:?}\n{history}{}{}", run.stdout, run.stderr);
        let is_refusal = run.status == 65 && run.stderr.contains("this drain took several");
        assert_eq!(is_refusal, is_refused(queue, &calls), "{}", shown());
        if is_refusal {
            told[2] += 1;
            continue;
        }
        let begin = (vec![0; calls.len()], Vec::new());
        let is_valid = has_an_order(queue, &calls, &begin, &mut HashSet::new());
        let is_answer = |call: &Call| match &call.what {
            What::Took(taken) => call.fate == "ok" && !taken.is_empty(),
            _ => false,
        };
        let expected = match is_valid {
            false => 1,
            true if calls.iter().any(is_answer) => 0,
            // Nothing was answered.
            true => 2,
        };
        assert_eq!(run.status, expected, "{}", shown());
        told[usize::from(is_valid)] += 1;
    }
    let share = |count: u64| count as f64 / rounds as f64;
    assert!(share(told[0]) > 0.08 && share(told[1]) > 0.2, "{told:?}");
    assert!(queue == Queue::Unordered || share(told[2]) > 0.02, "{told:?}");
}

#[test]
fn drains_of_a_fifo_queue_are_judged_as_by_every_order() {
    drains_are_judged_as_by_every_order(Queue::Fifo);
}

#[test]
fn drains_of_an_unordered_queue_are_judged_as_by_every_order() {
    drains_are_judged_as_by_every_order(Queue::Unordered);
}

#[test]
fn drains_of_a_stack_are_judged_as_by_every_order() {
    drains_are_judged_as_by_every_order(Queue::Stack);
}

#[test]
fn drains_of_a_priority_queue_are_judged_as_by_every_order() {
    drains_are_judged_as_by_every_order(Queue::Priority);
}
