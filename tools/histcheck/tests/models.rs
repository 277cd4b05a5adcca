//! Every model against an exhaustive oracle: Wing and Gong's search over all subsets, with the model's sequential
//! specification and nothing else. The way without search, the search, the evidence and the orders are held
//! against it, on random histories and on every small one.
//! `HISTCHECK_ORACLE=1000000 cargo test --release -p histcheck --test models` takes as many for each model.

#![allow(clippy::unwrap_used)]

mod intervals;

use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

use breakit_tests::Random;
use histcheck::budget::Budget;
use histcheck::history::OPEN;
use histcheck::linear::general::{self, Search};
use histcheck::linear::models::counter::{self, Counter};
use histcheck::linear::models::fenced_mutex::{self, FencedMutex};
use histcheck::linear::models::fetch_add::{self, FetchAdd};
use histcheck::linear::models::kv_append::{self, KvAppend};
use histcheck::linear::models::list_append::{self, ListAppend};
use histcheck::linear::models::lock::{self, Lock};
use histcheck::linear::models::priority_queue::{PriorityQueue, Ranked};
use histcheck::linear::models::queue::{self, Queue};
use histcheck::linear::models::set::{self, Set};
use histcheck::linear::models::stack::Stack;
use histcheck::linear::object::{Fast, Group, Object};
use histcheck::linear::op::{Fate, Op};
use histcheck::linear::refutation::{self, Found};
use histcheck::linear::replay::replay;
use histcheck::values::Id;
use intervals::intervals;

fn is_linearizable<O: Object>(object: &O, ops: &[Op<O::Act>]) -> bool {
    let ops: Vec<&Op<O::Act>> = ops.iter().filter(|op| op.fate != Fate::Fail).collect();
    let must: u32 = (0..ops.len()).filter(|&i| ops[i].fate == Fate::Ok).map(|i| 1 << i).sum();
    let mut seen = HashSet::new();
    let mut stack = vec![(0_u32, object.initial())];
    while let Some((placed, state)) = stack.pop() {
        if placed & must == must {
            return true;
        }
        if !seen.insert((placed, state.clone())) {
            continue;
        }
        let left = |i: &usize| placed & (1 << i) == 0;
        let first_return = (0..ops.len()).filter(left).map(|i| ops[i].res).min().unwrap_or(OPEN);
        for i in (0..ops.len()).filter(left).filter(|&i| ops[i].inv < first_return) {
            let mut next = Vec::new();
            object.step(&state, &ops[i].act, &mut next);
            stack.extend(next.into_iter().map(|state| (placed | 1 << i, state)));
        }
    }
    false
}

fn budget() -> Budget {
    Budget::start(Duration::from_secs(60), 1 << 30)
}

/// What a model's tests need: an operation for one of a few numbers, and whose it is.
trait Tested: Object {
    fn act_of(&self, number: u32, process: u64) -> Self::Act;
}

impl Tested for Lock {
    fn act_of(&self, number: u32, process: u64) -> lock::Act {
        match number % 2 {
            0 => lock::Act::Acquire(process),
            _ => lock::Act::Release(process),
        }
    }
}

impl Tested for FencedMutex {
    fn act_of(&self, number: u32, process: u64) -> fenced_mutex::Act {
        match number % 4 {
            0 => fenced_mutex::Act::Release(process),
            token => fenced_mutex::Act::Acquire(process, Some(token.into())),
        }
    }
}

fn queue_act(number: u32) -> queue::Act {
    match number % 10 {
        n @ 0..=3 => queue::Act::Put(Id(n)),
        n @ 4..=7 => queue::Act::Take(Id(n - 4)),
        8 => queue::Act::Empty,
        _ => queue::Act::TakeAny,
    }
}

impl Tested for Queue {
    fn act_of(&self, number: u32, _: u64) -> queue::Act {
        queue_act(number)
    }
}

impl Tested for Stack {
    fn act_of(&self, number: u32, _: u64) -> queue::Act {
        queue_act(number)
    }
}

impl Tested for PriorityQueue {
    fn act_of(&self, number: u32, _: u64) -> Ranked {
        let act = queue_act(number);
        let rank = match act {
            queue::Act::Put(value) | queue::Act::Take(value) => i64::from(value.0),
            _ => 0,
        };
        Ranked { act, rank }
    }
}

impl Tested for Counter {
    fn act_of(&self, number: u32, _: u64) -> counter::Act {
        match number % 9 {
            n @ 0..=3 => counter::Act::Read(n.into()),
            8 => counter::Act::Add(2),
            _ => counter::Act::Add(1),
        }
    }
}

impl Tested for FetchAdd {
    fn act_of(&self, number: u32, _: u64) -> fetch_add::Act {
        match number % 9 {
            n @ 0..=3 => fetch_add::Act::Add(1, Some(n.into())),
            n @ 4..=6 => fetch_add::Act::Read(i64::from(n) - 4),
            7 => fetch_add::Act::Add(2, Some(0)),
            _ => fetch_add::Act::Add(-1, Some(1)),
        }
    }
}

impl Tested for Set {
    fn act_of(&self, number: u32, _: u64) -> set::Act {
        let element = Id(number % 2);
        match number / 2 % 5 {
            0 => set::Act::Add(element),
            1 => set::Act::Remove(element),
            4 if number % 20 == 8 => set::Act::Whole(vec![Id(0), Id(1)]),
            n => set::Act::Contains(element, n == 2),
        }
    }
}

impl Tested for ListAppend {
    fn act_of(&self, number: u32, _: u64) -> list_append::Act {
        let list = |items: &[u32]| {
            list_append::Act::Read(items.iter().map(|&n| Id(n)).collect::<Vec<_>>().into())
        };
        match number % 9 {
            n @ 0..=2 => list_append::Act::Append(Id(n)),
            3 => list(&[]),
            4 => list(&[0]),
            5 => list(&[0, 1]),
            6 => list(&[1]),
            7 => list(&[1, 0]),
            _ => list(&[0, 1, 2]),
        }
    }
}

impl Tested for KvAppend {
    fn act_of(&self, number: u32, _: u64) -> kv_append::Act {
        match number % 11 {
            0 => kv_append::Act::Put("p".into()),
            1 => kv_append::Act::Put("q".into()),
            2 => kv_append::Act::Append("a".into()),
            3 => kv_append::Act::Append("b".into()),
            4 => kv_append::Act::Append("ab".into()),
            n => kv_append::Act::Get(["", "a", "pa", "ab", "pab", "qb"][n as usize - 5].into()),
        }
    }
}

/// What an operation of unknown outcome does, as the model reads it from a history: its result is not known.
fn unknown<O: Tested>(object: &O, op: Op<O::Act>, number: u32) -> Option<Op<O::Act>> {
    let op = Op { fate: Fate::Info, res: OPEN, ..op };
    let act =
        (0..10).map(|n| object.act_of(n, 0)).find(|act| format!("{act:?}").contains("TakeAny"));
    let takes = format!("{:?}", op.act).contains("Take(") && !number.is_multiple_of(4);
    match act {
        Some(act) if takes => object.kept(Op { act, ..op }),
        _ => object.kept(op),
    }
}

/// Nobody knows what it took: then it is of unknown outcome.
fn takes_any<A: Debug>(op: &Op<A>) -> bool {
    format!("{:?}", op.act).contains("TakeAny")
}

/// A random history of up to `most` operations of a few processes, each of which has one open at a time.
fn random_history<O: Tested>(object: &O, random: &mut Random, most: u32) -> Vec<Op<O::Act>> {
    let count = 1 + random.below(most);
    let processes = 1 + random.below(3);
    let mut open: Vec<(u32, usize)> = Vec::new();
    let mut ops: Vec<Op<O::Act>> = Vec::new();
    let (mut place, mut used) = (0, HashSet::new());
    while ops.len() < count as usize || !open.is_empty() {
        place += 1;
        let process = random.below(processes);
        match open.iter().position(|&(busy, _)| busy == process) {
            Some(at) => {
                let (_, index) = open.remove(at);
                ops[index].res = place;
            }
            None if ops.len() < count as usize => {
                let mut number = random.below(1000);
                // Mostly, each value is written once.
                for _ in 0..8 {
                    let act = format!("{:?}", object.act_of(number, 0));
                    let writes = ["Put", "Append", "Add(Id"].iter().any(|word| act.contains(word));
                    if random.below(8) == 0 || !writes || used.insert(act) {
                        break;
                    }
                    number = random.below(1000);
                }
                let act = object.act_of(number, process.into());
                let source = ops.len();
                open.push((process, source));
                ops.push(Op { act, fate: Fate::Ok, inv: place, res: OPEN, source });
            }
            None => {}
        }
    }
    let fated = ops.into_iter().filter_map(|op| match random.below(10) {
        _ if takes_any(&op) => unknown(object, op, 0),
        0 => unknown(object, op, random.below(100)),
        1 if random.below(2) == 0 => object.kept(Op { fate: Fate::Fail, ..op }),
        _ => Some(op),
    });
    fated.collect()
}

/// Compares everything on one history; says whether it is valid, and whether it took no search.
fn agree<O: Tested + Debug>(object: &O, ops: &[Op<O::Act>], evidence: bool) -> (bool, bool) {
    let expected = is_linearizable(object, ops);
    let fast = object.decide(ops, &budget());
    match &fast {
        Fast::Valid => assert!(expected, "{object:?} says valid: {ops:?}"),
        Fast::Invalid(reason) => {
            assert!(!expected, "{object:?} says {reason:?}: {ops:?}");
            let named = reason.ops.iter().all(|&at| at < ops.len());
            assert!(named && !reason.text.is_empty(), "{reason:?}: {ops:?}");
        }
        Fast::Unsuited(_) => {}
        Fast::Exhausted(limit) => panic!("{limit}: {ops:?}"),
    }
    let searched = general::decide(object, ops, &[object.initial()], &budget());
    match searched {
        Search::Valid => assert!(expected, "the search says valid for {object:?}: {ops:?}"),
        Search::Invalid(_) => assert!(!expected, "the search says invalid for {object:?}: {ops:?}"),
        other => panic!("the search gave up with {other:?}: {ops:?}"),
    }
    let initial = [object.initial()];
    let breadth = general::decide_with_patience(object, ops, &initial, &budget(), 0);
    assert_eq!(breadth == Search::Valid, expected, "in breadth, {object:?}: {ops:?}");
    if expected && evidence {
        less_is_legal_too(object, ops);
    }
    if expected {
        let by_source =
            |order: Vec<usize>| order.iter().map(|&at| ops[at].source).collect::<Vec<_>>();
        if fast == Fast::Valid {
            let order = object.order(ops, &budget());
            let order =
                by_source(order.unwrap_or_else(|| panic!("{object:?} tells none: {ops:?}")));
            assert_eq!(replay(object, ops, &order), Ok(()), "{object:?}: {order:?} of {ops:?}");
        }
        let order = by_source(general::order(object, ops, &initial, &budget()).unwrap());
        assert_eq!(replay(object, ops, &order), Ok(()), "search: {order:?} of {ops:?}");
    } else if evidence {
        refuted(object, ops, &fast, searched);
    }
    (expected, !matches!(fast, Fast::Unsuited(_)))
}

/// Whatever evidence may leave out or forget leaves a valid history valid: else it would convict the innocent.
fn less_is_legal_too<O: Tested + Debug>(object: &O, ops: &[Op<O::Act>]) {
    let groups = object.groups(ops);
    let useful = object.useful(ops);
    let valid = |fewer: &[Op<O::Act>], what: &str| {
        assert!(
            is_linearizable(object, fewer),
            "{what} left out, {object:?}: {fewer:?} of {ops:?}"
        );
    };
    for at in 0..ops.len() {
        let mut weaker = ops.to_vec();
        weaker[at] = ops[at].clone().weakened();
        valid(&weaker, "a return");
        let is_idle = ops[at].fate == Fate::Fail || ops[at].fate == Fate::Info && !useful[at];
        let is_out = |other: usize| match groups[at] {
            Group::Needed => is_idle && other == at,
            Group::Alone | Group::RestsOn(_) => other == at,
            Group::With(number) => {
                groups[other] == groups[at] || groups[other] == Group::RestsOn(number)
            }
        };
        let left = (0..ops.len()).filter(|&other| !is_out(other));
        valid(&left.map(|other| ops[other].clone()).collect::<Vec<_>>(), "a group");
    }
}

/// Names, places and what lies between them do not matter; wider operations leave a valid history valid.
fn changes_that_do_not_matter<O: Tested + Debug>(object: &O, ops: &[Op<O::Act>]) {
    let judge = |ops: &[Op<O::Act>]| general::decide(object, ops, &[object.initial()], &budget());
    let before = judge(ops);
    let stretched: Vec<Op<O::Act>> = ops
        .iter()
        .map(|op| {
            let far = |pos: u32| if pos == OPEN { OPEN } else { pos * 7 + 100 };
            Op { inv: far(op.inv), res: far(op.res), source: op.source + 9, ..op.clone() }
        })
        .collect();
    assert_eq!(judge(&stretched), before, "stretched: {ops:?}");
    let same = (object.decide(ops, &budget()), object.decide(&stretched, &budget()));
    assert_eq!(same.0, same.1, "stretched: {ops:?}");
    if before == Search::Valid {
        let last = ops.iter().filter(|op| op.res != OPEN).map(|op| op.res).max().unwrap_or(0);
        for at in 0..ops.len() {
            let mut wider = ops.to_vec();
            wider[at].res = if ops[at].res == OPEN { OPEN } else { last + 1 };
            assert_eq!(judge(&wider), Search::Valid, "wider at {at}: {ops:?}");
        }
    }
}

/// The evidence is part of the history, weakened at most, and invalid by the oracle.
fn refuted<O: Tested + Debug>(object: &O, ops: &[Op<O::Act>], fast: &Fast, searched: Search) {
    let found = match (fast, searched) {
        (Fast::Invalid(reason), _) => {
            let found = Found { ops, reason: Some(reason), end: None };
            refutation::of(object, ops, found, &budget())
        }
        (_, Search::Invalid(at)) => {
            let found = Found { ops, reason: None, end: Some(ops[at].res) };
            refutation::of(object, ops, found, &budget())
        }
        other => panic!("{other:?}"),
    };
    let found = found.unwrap_or_else(|| panic!("no evidence, {object:?}: {ops:?}"));
    assert!(found.minimal && found.checked, "{found:?}: {ops:?}");
    let original = |source: usize| ops.iter().find(|op| op.source == source).unwrap();
    let few: Vec<Op<O::Act>> =
        found.ops.iter().map(|op| op.doing(original(op.source).act.clone())).collect();
    for op in &few {
        let whole = original(op.source).clone();
        let whenever = whole.clone().whenever().shown();
        let forms = [whole.clone(), whole.weakened(), whenever];
        assert!(forms.contains(op), "{op:?} is no form of its own");
    }
    assert!(!is_linearizable(object, &few), "evidence {few:?} has a legal order: {ops:?}");
    for at in 0..few.len() {
        let mut fewer = few.clone();
        fewer[at] = few[at].clone().weakened();
        let has_end = few[at].fate == Fate::Ok && few[at].res != OPEN;
        assert!(!has_end || is_linearizable(object, &fewer), "{at} could be less in {few:?}");
    }
}

fn many() -> u32 {
    std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000)
}

/// Random histories, and every history of up to `most` operations over `numbers`.
fn holds<O: Tested + Debug>(object: &O, seed: u64, numbers: u32, most: usize) {
    let mut random = Random(seed);
    let (mut valid, mut direct) = (0, 0);
    for round in 0..many() {
        let ops = random_history(object, &mut random, if round % 2 == 0 { 5 } else { 8 });
        let (is_valid, fast) = agree(object, &ops, round % 16 == 0);
        if round % 16 == 1 {
            changes_that_do_not_matter(object, &ops);
        }
        valid += u32::from(is_valid);
        direct += u32::from(fast);
    }
    let share = |n: u32| f64::from(n) / f64::from(many());
    assert!((0.05..0.95).contains(&share(valid)), "{valid} valid of {}", many());
    assert!(share(direct) > 0.25, "{direct} without search of {}", many());
    for n in 1..=most {
        for intervals in intervals(n) {
            every_history(object, &intervals, numbers, &mut Vec::new());
        }
    }
}

fn every_history<O: Tested + Debug>(
    object: &O,
    intervals: &[(u32, u32)],
    numbers: u32,
    made: &mut Vec<Op<O::Act>>,
) {
    let source = made.len();
    let Some(&(inv, res)) = intervals.get(source) else {
        agree(object, made, false);
        return;
    };
    // The first process that has nothing open.
    let busy = |p: &u64| made.iter().any(|op| op.res > inv && process(op) == Some(*p));
    let process = (0..).find(|p| !busy(p)).unwrap();
    for number in 0..numbers {
        let act = object.act_of(number, process);
        for fate in [Fate::Ok, Fate::Info, Fate::Fail] {
            let op = Op { act: act.clone(), fate, inv, res, source };
            if fate == Fate::Ok && takes_any(&op) {
                continue;
            }
            if let Some(op) = object.kept(op) {
                made.push(op);
                every_history(object, intervals, numbers, made);
                made.pop();
            }
        }
    }
}

/// Whose operation it is, where the model cares.
fn process<A: Debug>(op: &Op<A>) -> Option<u64> {
    let text = format!("{:?}", op.act);
    let inner = text.strip_prefix("Acquire(").or(text.strip_prefix("Release("))?;
    inner.split([',', ')']).next()?.parse().ok()
}

const MOST: usize = if cfg!(debug_assertions) { 2 } else { 3 };

#[test]
fn a_mutex_is_decided_as_the_oracle_does() {
    holds(&Lock::Mutex, 0x11, 2, MOST + 1);
}

#[test]
fn a_reentrant_mutex_is_decided_as_the_oracle_does() {
    holds(&Lock::Reentrant, 0x12, 2, MOST + 1);
}

#[test]
fn a_semaphore_is_decided_as_the_oracle_does() {
    holds(&Lock::Semaphore(2), 0x13, 2, MOST + 1);
}

#[test]
fn a_fenced_mutex_is_decided_as_the_oracle_does() {
    holds(&FencedMutex, 0x14, 3, MOST);
}

#[test]
fn a_fifo_queue_is_decided_as_the_oracle_does() {
    holds(&Queue { is_fifo: true }, 0x15, 10, MOST);
}

#[test]
fn an_unordered_queue_is_decided_as_the_oracle_does() {
    holds(&Queue { is_fifo: false }, 0x16, 10, MOST);
}

#[test]
fn a_stack_is_decided_as_the_oracle_does() {
    holds(&Stack, 0x17, 10, MOST);
}

#[test]
fn a_priority_queue_is_decided_as_the_oracle_does() {
    holds(&PriorityQueue, 0x18, 10, MOST);
}

#[test]
fn a_set_is_decided_as_the_oracle_does() {
    holds(&Set, 0x19, 9, MOST);
}

#[test]
fn a_counter_is_decided_as_the_oracle_does() {
    holds(&Counter { initial: 0 }, 0x1A, 9, MOST);
}

#[test]
fn a_fetch_add_is_decided_as_the_oracle_does() {
    holds(&FetchAdd { initial: 0 }, 0x1B, 9, MOST);
}

#[test]
fn a_list_is_decided_as_the_oracle_does() {
    holds(&ListAppend { initial: Vec::new() }, 0x1C, 9, MOST);
}

#[test]
fn a_string_is_decided_as_the_oracle_does() {
    holds(&KvAppend { initial: "".into() }, 0x1D, 11, MOST);
}

/// A history of a container in which each value is put once, and what is taken is what is due, but for one in
/// `wrong`, which is anything that is there. So it is longer than one of random operations can be without being invalid for many reasons.
fn container_history<O: Tested<Act = queue::Act, State = Vec<Id>>>(
    object: &O,
    random: &mut Random,
    wrong: u32,
) -> Vec<Op<queue::Act>> {
    let (count, processes) = (6 + random.below(7), 2 + random.below(2) as usize);
    let mut open: Vec<Option<(usize, bool)>> = vec![None; processes];
    let mut ops: Vec<Op<queue::Act>> = Vec::new();
    let (mut state, mut place, mut fresh) = (object.initial(), 0, 0);
    while ops.len() < count as usize || open.iter().any(Option::is_some) {
        let process = random.below(processes as u32) as usize;
        match open[process] {
            None if ops.len() < count as usize => {
                place += 1;
                let act = match random.below(2) {
                    0 => {
                        fresh += 1;
                        queue::Act::Put(Id(fresh))
                    }
                    _ => queue::Act::TakeAny,
                };
                let source = ops.len();
                ops.push(Op { act, fate: Fate::Ok, inv: place, res: OPEN, source });
                open[process] = Some((source, false));
            }
            None => {}
            Some((at, false)) => {
                let takes = (0..=fresh).map(|value| queue::Act::Take(Id(value)));
                let mut acts: Vec<queue::Act> = match ops[at].act {
                    queue::Act::TakeAny => takes.chain([queue::Act::Empty]).collect(),
                    put => vec![put],
                };
                let mut next = Vec::new();
                let first = random.below(acts.len() as u32) as usize;
                acts.rotate_left(first);
                let done = acts.into_iter().find(|act| {
                    object.step(&state, act, &mut next);
                    !next.is_empty()
                });
                ops[at].act = done.unwrap();
                let after = next.into_iter().next().unwrap();
                state = match ops[at].act {
                    queue::Act::Take(_) if random.below(wrong) == 0 => {
                        // Whatever is there, and not what is due.
                        let value = state.remove(random.below(state.len() as u32) as usize);
                        ops[at].act = queue::Act::Take(value);
                        state
                    }
                    _ => after,
                };
                open[process] = Some((at, true));
            }
            Some((at, true)) => {
                place += 1;
                ops[at].res = place;
                open[process] = None;
                // What a take of unknown outcome took is not known either.
                if random.below(8) == 0 {
                    let act = match ops[at].act {
                        put @ queue::Act::Put(_) => put,
                        _ => queue::Act::TakeAny,
                    };
                    ops[at] = Op { act, fate: Fate::Info, res: OPEN, ..ops[at] };
                }
            }
        }
    }
    ops
}

fn longer_histories_are_decided_as_the_oracle_does<O>(object: &O, seed: u64)
where
    O: Tested<Act = queue::Act, State = Vec<Id>> + Debug,
{
    let mut random = Random(seed);
    let rounds = many() / 10;
    let (mut valid, mut direct) = (0, 0);
    for round in 0..rounds {
        let ops = container_history(object, &mut random, if round % 3 == 0 { 1000 } else { 8 });
        let (is_valid, fast) = agree(object, &ops, round % 8 == 0);
        assert!(is_valid || round % 3 > 0 || ops.iter().any(|op| op.fate != Fate::Ok), "{ops:?}");
        valid += u32::from(is_valid);
        direct += u32::from(fast);
    }
    // Whatever is there is due to a bag.
    let is_bag = format!("{object:?}").contains("is_fifo: false");
    assert!(valid > rounds / 4 && (valid < rounds || is_bag), "{valid} valid of {rounds}");
    assert!(direct > rounds / 4, "{direct} without search of {rounds}");
}

#[test]
fn longer_histories_of_queues_are_decided_as_the_oracle_does() {
    longer_histories_are_decided_as_the_oracle_does(&Queue { is_fifo: true }, 0x25);
    longer_histories_are_decided_as_the_oracle_does(&Queue { is_fifo: false }, 0x26);
}

#[test]
fn longer_histories_of_stacks_are_decided_as_the_oracle_does() {
    longer_histories_are_decided_as_the_oracle_does(&Stack, 0x27);
}

/// Operations one after the other.
fn one_by_one<A: Clone>(acts: &[A]) -> Vec<Op<A>> {
    let op = |(at, act): (usize, &A)| {
        let inv = 2 * at as u32 + 1;
        Op { act: act.clone(), fate: Fate::Ok, inv, res: inv + 1, source: at }
    };
    acts.iter().enumerate().map(op).collect()
}

#[test]
fn what_was_seen_in_the_whole_set_is_not_left_out() {
    let (one, other) = (Id(0), Id(1));
    let acts = [
        set::Act::Add(one),
        set::Act::Add(other),
        set::Act::Contains(one, true),
        set::Act::Whole(vec![one, other]),
    ];
    assert_eq!(agree(&Set, &one_by_one(&acts), true), (true, false));
}

#[test]
fn an_append_of_nothing_changes_nothing() {
    use kv_append::Act::{Append, Get, Put};
    let text = |text: &str| std::sync::Arc::<str>::from(text);
    let object = KvAppend { initial: text("") };
    let acts = [Put(text("a")), Append(text("")), Append(text("")), Get(text("a"))];
    assert_eq!(agree(&object, &one_by_one(&acts), true), (true, true));
    let acts = [Put(text("a")), Append(text("b")), Append(text("")), Get(text("a"))];
    assert_eq!(agree(&object, &one_by_one(&acts), true), (false, true));
}

#[test]
fn what_nobody_knows_of_takes_the_first_of_a_fifo_queue_and_any_of_another() {
    let held = vec![Id(1), Id(2)];
    for (is_fifo, left) in [(true, vec![vec![Id(2)]]), (false, vec![vec![Id(2)], vec![Id(1)]])] {
        let mut next = Vec::new();
        Queue { is_fifo }.step(&held, &queue::Act::TakeAny, &mut next);
        assert_eq!(next, left);
    }
}

#[test]
fn a_value_that_another_overtook_was_taken_before_that_and_not_only_before_none_was_there() {
    use queue::Act::{Empty, Put, Take, TakeAny};
    let acts = [Put(Id(1)), Put(Id(2)), Take(Id(2)), TakeAny, Empty];
    let mut ops = one_by_one(&acts);
    let queue = Queue { is_fifo: true };
    (ops[3].fate, ops[3].res) = (Fate::Info, OPEN);
    assert_eq!(agree(&queue, &ops, true), (false, true));
    // Two values later than it, put at once: the one that is taken first counts.
    let mut ops =
        one_by_one(&[Put(Id(1)), Put(Id(2)), Put(Id(3)), Take(Id(3)), TakeAny, Take(Id(2))]);
    (ops[1].res, ops[2].inv) = (ops[2].inv, ops[1].res);
    (ops[4].fate, ops[4].res) = (Fate::Info, OPEN);
    assert_eq!(agree(&queue, &ops, true), (false, true));
    // Had the unknown one begun in time, it took the first.
    ops.swap(3, 4);
    let (early, late) = ((ops[4].inv, ops[4].res), ops[3].inv);
    (ops[3].inv, ops[4].inv, ops[4].res) = (early.0, early.1, late);
    ops.iter_mut().enumerate().for_each(|(source, op)| op.source = source);
    assert_eq!(agree(&queue, &ops, true), (true, true));
}

#[test]
fn an_info_operation_takes_effect_beside_an_open_one_like_it_that_has() {
    use counter::Act::{Add, Read};
    let op = |act, fate, inv, res, source| Op { act, fate, inv, res, source };
    let ops = [
        op(Add(1), Fate::Ok, 1, 20, 0),
        op(Read(1), Fate::Ok, 2, 3, 1),
        op(Add(1), Fate::Info, 4, OPEN, 2),
        op(Read(2), Fate::Ok, 5, 6, 3),
    ];
    assert!(agree(&Counter { initial: 0 }, &ops, true).0);
}

#[test]
fn info_operations_that_one_way_used_up_are_there_on_another() {
    // Two is counted in one step or in two, and only the one step leaves what three takes.
    for steps in [[1, 1, 2], [1, 2, 1], [2, 1, 1]] {
        let mut ops = one_by_one(&[counter::Act::Read(2), counter::Act::Read(3)]);
        for (source, (step, inv)) in steps.into_iter().zip(1..).enumerate() {
            let act = counter::Act::Add(step);
            ops.insert(source, Op { act, fate: Fate::Info, inv, res: OPEN, source });
        }
        for (source, op) in ops.iter_mut().enumerate().skip(3) {
            *op = Op { inv: op.inv + 3, res: op.res + 3, source, ..*op };
        }
        assert_eq!(agree(&Counter { initial: 0 }, &ops, true), (true, false));
    }
}
