//! Both engines and the evidence against an exhaustive oracle that shares no code with them.
//!
//! The oracle is Wing and Gong's search over all subsets: an order is built one operation at a time, and every
//! operation whose invocation comes before the returns of all that is not placed yet may be next.
//! `HISTCHECK_ORACLE=2000000 cargo test --release -p histcheck --test oracle` takes as many random histories.

#![allow(clippy::unwrap_used)]

mod intervals;

use std::collections::HashSet;
use std::time::Duration;

use breakit_tests::Random;
use histcheck::budget::Budget;
use histcheck::history::keys::Rows;
use histcheck::history::{History, OPEN};
use histcheck::linear::blocks;
use histcheck::linear::columns::{Beginnings, Columns};
use histcheck::linear::general::{self, Search};
use histcheck::linear::op::{Act, Fate, Op};
use histcheck::linear::register::Register;
use histcheck::linear::replay::replay;
use histcheck::linear::zones::{self, Zones};
use histcheck::linear::{Decision, Proof, decide};
use histcheck::read::{Options, read};
use histcheck::values::{Id, NULL};
use intervals::intervals;

fn is_linearizable(ops: &[Op], initial: Id) -> bool {
    let ops: Vec<Op> = ops.iter().filter(|op| op.fate != Fate::Fail).copied().collect();
    let must: u32 = (0..ops.len()).filter(|&i| ops[i].fate == Fate::Ok).map(|i| 1 << i).sum();
    let mut seen = HashSet::new();
    let mut stack = vec![(0_u32, initial)];
    while let Some((placed, state)) = stack.pop() {
        if placed & must == must {
            return true;
        }
        if !seen.insert((placed, state)) {
            continue;
        }
        let left = |i: &usize| placed & (1 << i) == 0;
        let first_return = (0..ops.len()).filter(left).map(|i| ops[i].res).min().unwrap_or(OPEN);
        for i in (0..ops.len()).filter(left).filter(|&i| ops[i].inv < first_return) {
            let next = match ops[i].act {
                Act::Read(v) => (v == state).then_some(state),
                Act::Write(v) => Some(v),
                Act::Cas(a, b) => (a == state).then_some(b),
                Act::Differs(v) => (v != state).then_some(state),
            };
            if let Some(next) = next {
                stack.push((placed | 1 << i, next));
            }
        }
    }
    false
}

/// A random history of up to `most` operations; written values are unique or drawn from three.
fn random_history(random: &mut Random, most: u32, unique: bool) -> Vec<Op> {
    let count = 1 + random.below(most);
    let mut places: Vec<u32> = (1..=2 * count).collect();
    let spread = 1 + random.below(6);
    let mut ops = Vec::new();
    let mut fresh = 0;
    for source in 0..count {
        let inv = places.remove(0);
        let res = places.remove(random.below(spread.min(places.len() as u32)) as usize);
        let mut new = |random: &mut Random| {
            fresh += 1;
            Id(if unique { fresh } else { 1 + random.below(3) })
        };
        // Values that are not written yet, or never, come up too.
        let seen = Id(random.below(if unique { count.min(4) + 1 } else { 4 }));
        let act = match random.below(5) {
            0 | 1 => Act::Read(seen),
            2 if !unique && random.below(4) == 0 => Act::Differs(seen),
            2 | 3 => Act::Write(new(random)),
            _ => Act::Cas(seen, new(random)),
        };
        let fate = match random.below(8) {
            0 => Fate::Info,
            1 if random.below(2) == 0 => Fate::Fail,
            _ => Fate::Ok,
        };
        let fate = if matches!(act, Act::Differs(_)) { Fate::Ok } else { fate };
        ops.extend(Op::new(act, fate, inv, res, source as usize));
    }
    ops
}

fn budget() -> Budget {
    Budget::start(Duration::from_secs(60), 1 << 30)
}

/// Compares everything on one history; says whether it is valid and whether the zones decided it.
fn agree(ops: &[Op], evidence: bool) -> (bool, bool) {
    let expected = is_linearizable(ops, NULL);
    let zones = zones::decide(ops, NULL);
    match &zones {
        Zones::Ambiguous => {}
        Zones::Valid => assert!(expected, "zones say valid: {ops:?}"),
        Zones::Invalid(conflict) => assert!(!expected, "zones say {conflict:?}: {ops:?}"),
    }
    columns_agree(ops, &zones);
    let depth = general::decide(&Register::default(), ops, &[NULL], &budget());
    let breadth = general::decide_with_patience(&Register::default(), ops, &[NULL], &budget(), 0);
    let in_blocks = blocks::decide(ops, &[NULL], &budget());
    for (name, found) in [("depth first", depth), ("breadth first", breadth), ("blocks", in_blocks)]
    {
        match found {
            Search::Valid => assert!(expected, "{name} says valid: {ops:?}"),
            Search::Invalid(_) => assert!(!expected, "{name} says invalid: {ops:?}"),
            other => panic!("{name} first gave up with {other:?}: {ops:?}"),
        }
    }
    if let Search::Invalid(at) = general::decide(&Register::default(), ops, &[NULL], &budget()) {
        let breadth =
            general::decide_with_patience(&Register::default(), ops, &[NULL], &budget(), 0);
        let Search::Invalid(first) = breadth else { panic!("{breadth:?}: {ops:?}") };
        assert!(ops[first].res <= ops[at].res, "breadth comes farther: {ops:?}");
    }
    if evidence && !expected {
        evidence_convicts(ops);
    }
    if expected {
        orders_are_legal(ops, zones == Zones::Valid);
    }
    (expected, !matches!(zones, Zones::Ambiguous))
}

/// The zones read from the columns of a history say valid where the zones of its operations do, and never else;
/// they may leave it open where values are written more than once.
fn columns_agree(ops: &[Op], zones: &Zones) {
    let differs = ops.iter().any(|op| matches!(op.act, Act::Differs(_)));
    let register = Register { initial: NULL, has_cas: true, fail_observes: differs };
    let puts: Vec<Id> =
        ops.iter().filter(|op| op.fate != Fate::Fail).filter_map(|op| op.act.puts()).collect();
    let unique = puts.iter().enumerate().all(|(at, id)| *id != NULL && !puts[..at].contains(id));
    let forms = [Form::Near, Form::Far, Form::Text];
    let mix: u32 = ops.iter().map(|op| op.inv + op.source as u32 + 2 * (op.res % 7)).sum();
    // To write and read takes longer than to decide: one in three without optimization.
    if cfg!(debug_assertions) && !(mix / 3).is_multiple_of(3) {
        return;
    }
    let history = written(ops, forms[mix as usize % forms.len()]);
    let rows = Rows::All(history.ops.len());
    let found = Columns::new(&history, register, &budget()).decide(rows);
    if unique && *zones == Zones::Valid {
        assert!(found.is_ok(), "{found:?}, and the zones say valid: {ops:?}");
    }
    if found.is_ok() {
        assert_eq!(*zones, Zones::Valid, "the columns say valid: {ops:?}");
    }
}

/// How values are written down: ids that lie close together, ids that do not, and no numbers at all.
#[derive(Clone, Copy)]
enum Form {
    Near,
    Far,
    Text,
}

/// The operations as a history that was read.
fn written(ops: &[Op], form: Form) -> History {
    let value = |id: Id| match (form, id) {
        (_, NULL) => "null".to_string(),
        (Form::Near, Id(n)) => n.to_string(),
        (Form::Far, Id(n)) => (i64::from(n) * 1_000_003 - 2_000_006).to_string(),
        (Form::Text, Id(n)) => format!("\"{n}\""),
    };
    let mut events = Vec::new();
    for op in ops {
        let (f, value, kind) = match op.act {
            Act::Read(id) => ("read", value(id), "ok"),
            Act::Write(id) => ("write", value(id), "ok"),
            Act::Cas(a, b) => ("cas", format!("[{},{}]", value(a), value(b)), "ok"),
            Act::Differs(id) => ("cas", format!("[{},77]", value(id)), "fail"),
        };
        let line = |kind| {
            format!(r#"{{"process":{},"type":"{kind}","f":"{f}","value":{value}}}"#, op.source)
        };
        events.push((op.inv, 0, line("invoke")));
        match op.fate {
            Fate::Ok => events.push((op.res, 0, line(kind))),
            Fate::Fail => events.push((op.inv, 1, line("fail"))),
            Fate::Info => {}
        }
    }
    events.sort();
    let text: String = events.into_iter().map(|(_, _, line)| line + "\n").collect();
    read("written", std::io::Cursor::new(text), Options::default()).unwrap()
}

/// Each engine's order replays.
fn orders_are_legal(ops: &[Op], by_zones: bool) {
    let by_source =
        |order: Vec<usize>| -> Vec<usize> { order.iter().map(|&at| ops[at].source).collect() };
    let found = general::order(&Register::default(), ops, &[NULL], &budget()).unwrap();
    assert_eq!(replay(&Register::default(), ops, &by_source(found)), Ok(()), "{ops:?}");
    if by_zones {
        let found = by_source(zones::order(ops, NULL).unwrap());
        assert_eq!(replay(&Register::default(), ops, &found), Ok(()), "zones: {found:?} {ops:?}");
    }
}

/// The evidence is part of the history, weakened at most, invalid by the oracle, and minimal.
fn evidence_convicts(ops: &[Op]) {
    let (_, decision) = decide(ops, NULL, &budget());
    let Decision::Invalid(Proof::Register(evidence)) = decision else {
        panic!("{decision:?}: {ops:?}")
    };
    let invalid = |few: &[Op]| evidence.initial.iter().all(|&v| !is_linearizable(few, v));
    assert!(invalid(&evidence.ops), "evidence {evidence:?} has a legal order: {ops:?}");
    assert!(evidence.minimal, "{ops:?}");
    for op in &evidence.ops {
        let original = ops[ops.iter().position(|o| o.source == op.source).unwrap_or(usize::MAX)];
        let acts = [original, original.relaxed()];
        let mut forms = acts.iter().flat_map(|op| [*op, op.weakened(), op.whenever().shown()]);
        assert!(forms.any(|form| form == *op), "{op:?} is no form of {original:?}");
        // What was open then may have taken effect before.
        let is_within = evidence.after.is_none_or(|after| op.inv > after);
        assert!(is_within || op.fate != Fate::Ok, "{op:?} began earlier: {evidence:?}: {ops:?}");
    }
    for (at, op) in evidence.ops.iter().enumerate() {
        let mut fewer = evidence.ops.clone();
        match op.fate {
            Fate::Fail => continue,
            Fate::Ok if op.act.puts().is_some() && op.res != OPEN => fewer[at] = op.weakened(),
            _ if op.act.puts().is_none() => {
                fewer.remove(at);
            }
            _ => continue,
        }
        assert!(!invalid(&fewer), "{op:?} could be less in {evidence:?}");
    }
    let happens = evidence.ops.iter().filter(|op| op.fate != Fate::Fail);
    let observed: HashSet<Id> = happens.filter_map(|op| op.act.observes()).collect();
    for op in ops.iter().filter(|op| op.fate != Fate::Fail && evidence.after.is_none()) {
        let wrote = op.act.puts().filter(|value| observed.contains(value));
        let there = evidence.ops.iter().any(|o| o.source == op.source);
        let last = evidence.ops.iter().map(|op| op.res).filter(|&r| r != OPEN).max();
        assert!(
            wrote.is_none() || there || last.is_some_and(|last| op.inv > last),
            "{op:?} wrote what the evidence observes and is not in {evidence:?}: {ops:?}"
        );
    }
}

/// What the history is up to `end`: of what had not ended by then nobody knows whether it happened.
fn beginning(ops: &[Op], end: u32) -> Vec<Op> {
    let begun = ops.iter().filter(|op| op.inv < end);
    begun.map(|op| if op.res > end { op.weakened() } else { *op }).collect()
}

/// The chains say of each beginning what the oracle says, and evidence ends with the first violation.
fn ends_with_the_first_violation(ops: &[Op], unique: bool) {
    let budget = budget();
    let mut beginnings = Beginnings::new(ops, NULL, &budget);
    let last = ops.iter().map(|op| op.inv).chain(ops.iter().map(|op| op.res % OPEN)).max();
    let mut first = None;
    for end in 1..=last.unwrap_or(0) {
        let expected = is_linearizable(&beginning(ops, end), NULL);
        match beginnings.is_valid(end) {
            Ok(is_valid) => assert_eq!(is_valid, expected, "until {end}: {ops:?}"),
            Err(_) => assert!(!unique, "not said until {end}: {ops:?}"),
        }
        first = first.or((!expected).then_some(end));
    }
    let Some(first) = first else { return };
    let (_, decision) = decide(ops, NULL, &budget);
    let Decision::Invalid(Proof::Register(evidence)) = decision else {
        panic!("{decision:?}: {ops:?}")
    };
    let ends = evidence.ops.iter().filter(|op| op.fate == Fate::Ok && op.res != OPEN);
    let shown = ends.map(|op| op.res).max().unwrap_or(0);
    // What ended later, whenever that was, may convict before.
    let is_later = |op: &Op| {
        let end = ops.iter().find(|other| other.source == op.source).map_or(0, |op| op.res);
        op.fate == Fate::Ok && op.res == OPEN && end > first
    };
    let may_be_earlier = evidence.ops.iter().any(is_later);
    assert!(
        shown == first || may_be_earlier && shown < first,
        "it ends at {shown} and not {first}: {evidence:?}: {ops:?}"
    );
}

fn many() -> u64 {
    std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(25_000)
}

fn random_agreement(seed: u64, unique: bool) {
    let mut random = Random(seed);
    let (mut valid, mut by_zones) = (0, 0);
    for round in 0..many() {
        let ops = random_history(&mut random, if round % 2 == 0 { 5 } else { 9 }, unique);
        let (is_valid, zones) = agree(&ops, round % 4 == 0);
        valid += u64::from(is_valid);
        by_zones += u64::from(zones);
    }
    let share = |n: u64| n as f64 / many() as f64;
    assert!((0.1..0.9).contains(&share(valid)), "{valid} valid of {}", many());
    assert!(!unique || share(by_zones) > 0.9, "zones decided {by_zones} of {}", many());
}

#[test]
fn engines_and_oracle_agree_on_random_histories_of_unique_values() {
    random_agreement(0x5EED_0001, true);
}

#[test]
fn engines_and_oracle_agree_on_random_histories_of_three_values() {
    random_agreement(0x5EED_0002, false);
}

#[test]
fn evidence_ends_with_the_first_violation_of_random_histories() {
    let mut random = Random(0x5EED_0003);
    for round in 0..many() / 4 {
        let unique = round % 2 == 0;
        let ops = random_history(&mut random, if round % 4 < 2 { 5 } else { 9 }, unique);
        let happened = || ops.iter().filter(|op| op.fate != Fate::Fail);
        let puts: Vec<Id> = happened().filter_map(|op| op.act.puts()).collect();
        let is_once = |(at, id): (usize, &Id)| *id != NULL && !puts[..at].contains(id);
        let differs = happened().any(|op| matches!(op.act, Act::Differs(_)));
        ends_with_the_first_violation(&ops, !differs && puts.iter().enumerate().all(is_once));
    }
}

/// Every history of up to three operations over two values and null, up to renaming; of four in release.
#[test]
fn engines_and_oracle_agree_on_every_small_history() {
    let most = if cfg!(debug_assertions) { 3 } else { 4 };
    let mut acts = Vec::new();
    for a in 0..3 {
        acts.push(Act::Read(Id(a)));
        acts.extend((a > 0).then_some(Act::Write(Id(a))));
        acts.extend((1..3).filter(|&b| b != a).map(|b| Act::Cas(Id(a), Id(b))));
    }
    let mut count = 0_u64;
    for n in 1..=most {
        for intervals in intervals(n) {
            count += every_history(&intervals, &acts, &mut Vec::new());
        }
    }
    assert!(count > 10_000, "{count}");
}

fn every_history(intervals: &[(u32, u32)], acts: &[Act], made: &mut Vec<Op>) -> u64 {
    let Some(&(inv, res)) = intervals.get(made.len()) else {
        agree(made, made.len() < 4);
        return 1;
    };
    let mut count = 0;
    for &act in acts {
        let fates: &[Fate] =
            if act.puts().is_some() { &[Fate::Ok, Fate::Info, Fate::Fail] } else { &[Fate::Ok] };
        for &fate in fates {
            made.extend(Op::new(act, fate, inv, res, made.len()));
            count += every_history(intervals, acts, made);
            made.pop();
        }
    }
    count
}

#[test]
fn a_count_in_place_of_the_mask_would_call_this_valid() {
    let op = |act, inv, res, source| Op::new(act, Fate::Ok, inv, res, source).unwrap();
    let ops = [
        op(Act::Write(Id(2)), 40, 96, 0),
        op(Act::Write(Id(1)), 48, 51, 1),
        op(Act::Write(Id(2)), 68, 69, 2),
        op(Act::Read(Id(1)), 74, 80, 3),
    ];
    let (valid, by_zones) = agree(&ops, true);
    assert!(!valid);
    assert!(by_zones, "2 is written twice and observed by nobody");
}

#[test]
fn an_info_write_is_there_when_an_open_write_of_the_same_has_taken_effect() {
    let op = |act, fate, inv, res, source| Op::new(act, fate, inv, res, source).unwrap();
    let ops = [
        op(Act::Write(Id(1)), Fate::Ok, 1, 30, 0),
        op(Act::Write(Id(1)), Fate::Info, 2, 2, 1),
        op(Act::Read(Id(1)), Fate::Ok, 3, 4, 2),
        op(Act::Write(Id(2)), Fate::Ok, 5, 6, 3),
        op(Act::Read(Id(2)), Fate::Ok, 7, 8, 4),
        op(Act::Read(Id(1)), Fate::Ok, 9, 10, 5),
    ];
    assert_eq!(agree(&ops, true), (true, false));
}

#[test]
fn a_circle_of_cas_operations_is_no_legal_order() {
    let op = |act, inv, res, source| Op::new(act, Fate::Ok, inv, res, source).unwrap();
    let ops = [op(Act::Cas(Id(1), Id(2)), 1, 4, 0), op(Act::Cas(Id(2), Id(1)), 2, 3, 1)];
    assert_eq!(agree(&ops, true), (false, true));
}

#[test]
fn a_read_whose_writers_all_come_later_is_no_legal_order() {
    let op = |act, fate, inv, res, source| Op::new(act, fate, inv, res, source).unwrap();
    let ops = [
        op(Act::Write(Id(3)), Fate::Fail, 1, 7, 0),
        op(Act::Cas(Id(3), Id(2)), Fate::Ok, 2, 6, 1),
        op(Act::Read(Id(3)), Fate::Ok, 3, 4, 2),
        op(Act::Write(Id(3)), Fate::Ok, 5, 10, 3),
        op(Act::Write(Id(3)), Fate::Ok, 8, 9, 4),
    ];
    assert_eq!(agree(&ops, true), (false, false));
}
