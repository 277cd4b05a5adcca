//! The online register against the batch: on every prefix of random histories, with everything forgotten that can
//! be, both find the same; and what is kept is as good as the whole.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use breakit_tests::Random;
use histcheck::budget::Budget;
use histcheck::history::OPEN;
use histcheck::linear::general::{self, Search};
use histcheck::linear::online::{Kept, Known, Online, Stop, Window};
use histcheck::linear::op::{Act, Fate, Op};
use histcheck::linear::register::Register;
use histcheck::linear::{Decision, decide};
use histcheck::values::{Id, NULL};

/// An operation with the place at which its end came, of whatever kind.
#[derive(Clone, Copy, Debug)]
struct Ended {
    op: Op,
    at: u32,
}

/// How a random history is made.
#[derive(Clone, Copy)]
struct Shape {
    operations: u32,
    processes: u32,
    /// How many values are written, each again and again; 0: each once.
    values: u32,
    with_cas: bool,
    /// One in so many operations has no known outcome, or fails.
    odd: u32,
    /// One in so many reads says something else than what the register held.
    wrong: u32,
}

/// A history of a register whose operations take effect at a moment between invocation and return.
fn random_history(random: &mut Random, shape: Shape) -> Vec<Ended> {
    struct Open {
        op: Op,
        took_effect: bool,
    }
    let mut open: Vec<Option<Open>> = (0..shape.processes).map(|_| None).collect();
    let mut done = Vec::new();
    let (mut state, mut fresh, mut pos, mut begun) = (NULL, 0, 0, 0);
    let mut old = vec![NULL];
    // Operations of unknown outcome that may take effect at any time.
    let mut pending: Vec<Act> = Vec::new();
    while begun < shape.operations || open.iter().any(Option::is_some) {
        if !pending.is_empty() && random.below(20) == 0 {
            let act = pending.swap_remove(random.below(pending.len() as u32) as usize);
            state = act.step(state).unwrap_or(state);
            old.push(state);
        }
        let process = random.below(shape.processes) as usize;
        let Some(mut current) = open[process].take() else {
            if begun == shape.operations {
                continue;
            }
            (begun, pos) = (begun + 1, pos + 1);
            let mut new = |random: &mut Random| {
                fresh += 1;
                Id(if shape.values == 0 { fresh } else { 1 + random.below(shape.values) })
            };
            let act = match random.below(4) {
                0 if shape.with_cas => match new(random) {
                    same if same == state => Act::Read(NULL),
                    value => Act::Cas(state, value),
                },
                0 | 1 => Act::Write(new(random)),
                _ => Act::Read(NULL),
            };
            let op = Op { act, fate: Fate::Ok, inv: pos, res: OPEN, source: done.len() };
            open[process] = Some(Open { op, took_effect: false });
            continue;
        };
        if !current.took_effect && random.below(shape.odd) == 0 && current.op.act.puts().is_some() {
            pos += 1;
            current.op.fate = if random.below(2) == 0 { Fate::Fail } else { Fate::Info };
            if current.op.fate == Fate::Info {
                pending.push(current.op.act);
            }
            done.push(Ended { op: current.op, at: pos });
        } else if !current.took_effect {
            match current.op.act {
                Act::Read(_) if random.below(shape.wrong) == 0 => {
                    let near = old.len() as u32 - random.below(old.len().min(6) as u32) - 1;
                    current.op.act = Act::Read(old[near as usize]);
                }
                Act::Read(_) => current.op.act = Act::Read(state),
                Act::Cas(from, to) if from != state => {
                    // It fails.
                    pos += 1;
                    let op = Op { act: Act::Cas(from, to), fate: Fate::Fail, ..current.op };
                    done.push(Ended { op, at: pos });
                    continue;
                }
                act => {
                    state = act.puts().unwrap();
                    old.push(state);
                }
            }
            current.took_effect = true;
            open[process] = Some(current);
        } else {
            pos += 1;
            current.op.res = pos;
            done.push(Ended { op: current.op, at: pos });
        }
    }
    done.sort_by_key(|ended| ended.op.inv);
    for (source, ended) in done.iter_mut().enumerate() {
        ended.op.source = source;
    }
    done
}

fn budget() -> Budget {
    Budget::start(Duration::from_secs(60), 1 << 30)
}

/// What the history is up to `pos`: what had not ended by then may have happened.
fn prefix(history: &[Ended], pos: u32) -> Vec<Op> {
    let begun = history.iter().filter(|ended| ended.op.inv <= pos);
    let known = begun.map(|ended| match ended.at <= pos {
        true => ended.op,
        false => Op { fate: Fate::Info, res: OPEN, ..ended.op },
    });
    known.filter_map(|op| Op::new(op.act, op.fate, op.inv, op.res, op.source)).collect()
}

fn is_valid(ops: &[Op], initial: &[Id]) -> bool {
    match general::decide(&Register::default(), ops, initial, &budget()) {
        Search::Valid => true,
        Search::Invalid(_) => false,
        other => panic!("{other:?}"),
    }
}

fn known(op: Op) -> Known {
    let Op { act, fate, inv, res, .. } = op;
    Known { act, inv, res, process: 0, node: None.into(), f: 0, fate }
}

/// What engines and reports rely on: only what happened has returned, and each operation names its place.
fn are_as_they_are_taken(ops: &[Op]) {
    for (at, op) in ops.iter().enumerate() {
        assert_eq!((op.source, op.res != OPEN), (at, op.fate == Fate::Ok), "{ops:?}");
    }
}

/// Both engines find no order among what is kept, and the evidence says so too.
fn convicts(window: &Window, history: &[Ended]) {
    let ops = window.ops();
    are_as_they_are_taken(&ops);
    for &initial in &window.initial {
        assert!(!is_valid(&ops, &[initial]), "{window:?} of {history:?}");
        let (_, decision) = decide(&ops, initial, &budget());
        assert!(matches!(decision, Decision::Invalid(_)), "{decision:?}: {window:?}");
    }
}

/// How a history ended.
#[derive(Debug, Default)]
struct Tally {
    valid: u32,
    violations: u32,
    ambiguous: u32,
    let_go: u32,
}

/// Feeds a history event by event and holds each answer against the prefix.
fn follow(history: &[Ended], remembered: usize, tally: &mut Tally) {
    let mut online = Online::new(NULL, remembered);
    let mut kept: Option<Kept> = None;
    let last = history.iter().map(|ended| ended.at.max(ended.op.inv)).max().unwrap_or(0);
    for pos in 1..=last {
        let is_open = |ended: &&Ended| ended.op.inv < pos && ended.at >= pos;
        let oldest = history.iter().filter(is_open).map(|ended| ended.op.inv).min();
        online.advance(oldest.unwrap_or(pos));
        let Some(ended) = history.iter().find(|e| e.op.inv == pos || e.at == pos) else { continue };
        let op = ended.op;
        let event = known(op);
        let stop = match (&mut kept, op.fate) {
            (Some(kept), _) if op.inv == pos && op.act.puts().is_some() => {
                kept.begin(event);
                Ok(())
            }
            (None, _) if op.inv == pos && op.act.puts().is_some() => {
                online.begin(event);
                Ok(())
            }
            _ if op.inv == pos => Ok(()),
            (Some(kept), Fate::Ok) => {
                kept.returned(event);
                Ok(())
            }
            (Some(kept), Fate::Fail) => {
                kept.failed(event);
                Ok(())
            }
            (None, Fate::Ok) => online.returned(event),
            (None, Fate::Fail) => online.failed(event),
            (_, Fate::Info) => Ok(()),
        };
        let expected = is_valid(&prefix(history, pos), &[NULL]);
        if let Some(kept) = &kept {
            are_as_they_are_taken(&kept.ops());
            let found = is_valid(&kept.ops(), &kept.initial[..1]);
            assert_eq!(found, expected, "at {pos} of {history:?}: {kept:?}");
            if !expected {
                tally.violations += 1;
                return;
            }
            continue;
        }
        let shown = || format!("{stop:?} at {pos} of {history:?}");
        match stop {
            Ok(()) => assert!(expected, "{}", shown()),
            Err(Stop::Violation) => {
                assert!(!expected, "{}", shown());
                let last = (op.fate == Fate::Ok).then_some(event);
                convicts(&online.window(last), history);
                tally.violations += 1;
                tally.let_go += u32::from(online.has_let_go(0));
                return;
            }
            Err(Stop::Ambiguous) => {
                tally.ambiguous += 1;
                tally.let_go += u32::from(online.has_let_go(0));
                let after = Kept::after(online.window(Some(event)));
                let found = is_valid(&after.ops(), &after.initial[..1]);
                assert_eq!(found, expected, "{} {after:?}", shown());
                if !expected {
                    return;
                }
                kept = Some(after);
            }
        }
        if kept.is_none() && pos % 7 == 0 {
            let window = online.window(None);
            let ops = window.ops();
            are_as_they_are_taken(&ops);
            for &initial in &window.initial {
                assert!(is_valid(&ops, &[initial]), "{window:?} at {pos} of {history:?}");
            }
        }
    }
    tally.valid += 1;
    tally.let_go += u32::from(online.has_let_go(0));
}

fn many() -> u64 {
    std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

fn agreement(seed: u64, shape: Shape) -> Tally {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    for round in 0..many() {
        let operations = 2 + random.below(shape.operations);
        let shape = Shape { operations, ..shape };
        let history = random_history(&mut random, shape);
        follow(&history, if round % 3 == 0 { 20 } else { 0 }, &mut tally);
    }
    let share = |n: u32| f64::from(n) / many() as f64;
    assert!(share(tally.valid) > 0.05, "{tally:?}");
    assert!(share(tally.violations) > 0.05, "{tally:?}");
    assert!(share(tally.let_go) > 0.2, "{tally:?}");
    tally
}

const PLAIN: Shape =
    Shape { operations: 60, processes: 3, values: 0, with_cas: false, odd: 30, wrong: 30 };

#[test]
fn writes_of_unique_values_are_decided_as_the_whole_is_at_every_event() {
    agreement(1, PLAIN);
    agreement(2, Shape { processes: 5, odd: 8, wrong: 60, operations: 40, ..PLAIN });
}

#[test]
fn chains_of_cas_are_decided_as_the_whole_is_at_every_event() {
    agreement(3, Shape { with_cas: true, ..PLAIN });
    agreement(
        4,
        Shape { with_cas: true, processes: 5, odd: 8, operations: 40, wrong: 50, ..PLAIN },
    );
}

#[test]
fn values_that_come_again_later_are_told_apart_and_those_that_come_at_once_are_searched() {
    let tally = agreement(5, Shape { values: 20, ..PLAIN });
    assert!(tally.ambiguous > 0, "{tally:?}");
    agreement(6, Shape { values: 6, processes: 2, with_cas: true, ..PLAIN });
}

/// Operations that end one after the other, in the order of their invocation.
fn history(ops: &[(Act, Fate, u32, u32)]) -> Vec<Ended> {
    let ended = |(source, &(act, fate, inv, at)): (usize, &(Act, Fate, u32, u32))| {
        let res = if fate == Fate::Ok { at } else { OPEN };
        Ended { op: Op { act, fate, inv, res, source }, at }
    };
    ops.iter().enumerate().map(ended).collect()
}

#[test]
fn what_is_open_when_values_come_again_is_there_once_and_binds_nobody_until_it_returns() {
    let [one, five, seven, nine] = [1, 5, 7, 9].map(Id);
    let ops = [
        (Act::Cas(NULL, one), Fate::Ok, 1, 8),
        (Act::Write(five), Fate::Ok, 2, 3),
        (Act::Write(five), Fate::Ok, 4, 5),
        (Act::Read(five), Fate::Ok, 6, 7),
        // There was no nine.
        (Act::Cas(nine, seven), Fate::Ok, 9, 12),
        (Act::Read(five), Fate::Ok, 10, 11),
    ];
    let mut tally = Tally::default();
    follow(&history(&ops), 0, &mut tally);
    assert_eq!((tally.ambiguous, tally.violations), (1, 1), "{tally:?}");
}

#[test]
fn what_went_of_a_chain_began_as_late_as_the_last_of_it() {
    let [one, two, three, four, other] = [1, 2, 3, 4, 9].map(Id);
    let ops = [
        (Act::Write(other), Fate::Ok, 1, 5),
        (Act::Write(one), Fate::Ok, 2, 3),
        (Act::Cas(two, three), Fate::Ok, 4, 8),
        // Nobody heard of it, but what came of it was replaced.
        (Act::Cas(one, two), Fate::Info, 6, 7),
        (Act::Cas(three, four), Fate::Ok, 9, 10),
        // So the other write comes before the chain, and this read after a part of it.
        (Act::Read(other), Fate::Ok, 11, 12),
    ];
    let mut tally = Tally::default();
    follow(&history(&ops), 0, &mut tally);
    assert_eq!((tally.violations, tally.let_go), (1, 1), "{tally:?}");
}
