//! Every engine of every model against the exhaustive oracle of [`spec`], on every small history up to the names
//! of processes and values, and on random ones of up to eight operations: ok, info and fail, at every place.
//!
//! `HISTCHECK_ORACLE=full cargo test --release -p histcheck --test exhaustive -- --nocapture` takes every history
//! of up to four operations; `HISTCHECK_ORACLE=1000000` so many random ones of each model besides what is
//! always taken. What was run is printed for each model.

#![allow(clippy::unwrap_used)]

mod spec;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use histcheck::budget::Budget;
use histcheck::linear::general::{self, Search};
use histcheck::linear::models::counter::Counter;
use histcheck::linear::models::fenced_mutex::FencedMutex;
use histcheck::linear::models::fetch_add::FetchAdd;
use histcheck::linear::models::kv_append::KvAppend;
use histcheck::linear::models::list_append::ListAppend;
use histcheck::linear::models::lock::Lock;
use histcheck::linear::models::multi_register::MultiRegister;
use histcheck::linear::models::priority_queue::PriorityQueue;
use histcheck::linear::models::queue::Queue;
use histcheck::linear::models::set::Set;
use histcheck::linear::models::stack::Stack;
use histcheck::linear::models::table::Table;
use histcheck::linear::object::{Call, Fast, Object};
use histcheck::linear::op::{self, Op};
use histcheck::linear::register::Register;
use histcheck::linear::zones::{self, Zones};
use histcheck::values::{Id, NULL, Values};
use serde_json::json;
use spec::{Fate, Made, Random, Spec};

/// The operations of an object.
type Ops<O> = [Op<<O as Object>::Act>];

/// What is held against the oracle: the object, and its way without search.
struct Engines<O: Object> {
    object: O,
    without_search: fn(&O, &Ops<O>, &Budget) -> Fast,
    order: fn(&O, &Ops<O>, &Budget) -> Option<Vec<usize>>,
}

fn engines<O: Object>(object: O) -> Engines<O> {
    Engines { object, without_search: O::decide, order: O::order }
}

fn zones_of(register: Register) -> Engines<Register> {
    Engines {
        object: register,
        without_search: |register, ops, _| match zones::decide(ops, register.initial) {
            Zones::Valid => Fast::Valid,
            Zones::Invalid(conflict) => Fast::invalid("zones", conflict.ops),
            Zones::Ambiguous => Fast::Unsuited("ambiguous"),
        },
        order: |register, ops, _| zones::order(ops, register.initial),
    }
}

/// The number 1, which is the same in all [`Values`].
fn one() -> Id {
    Values::default().int(1)
}

fn parsed_table() -> Table {
    Table::parse("table", spec::TABLE).unwrap()
}

/// Calls `run` with the model's specification and its engines.
macro_rules! with_engines {
    ($name:expr, $run:ident) => {
        match $name {
            "register" => {
                let object = Register { initial: NULL, has_cas: false, fail_observes: false };
                $run($name, zones_of(object))
            }
            "cas-register" => $run($name, zones_of(Register::default())),
            "cas-register with fails that observe" => {
                $run($name, zones_of(Register { fail_observes: true, ..Register::default() }))
            }
            "cas-register from 1" => {
                $run($name, zones_of(Register { initial: one(), ..Register::default() }))
            }
            "mutex" => $run($name, engines(Lock::Mutex)),
            "reentrant-mutex" => $run($name, engines(Lock::Reentrant)),
            "semaphore:1" => $run($name, engines(Lock::Semaphore(1))),
            "semaphore:2" => $run($name, engines(Lock::Semaphore(2))),
            "fenced-mutex" => $run($name, engines(FencedMutex)),
            "fifo-queue" => $run($name, engines(Queue { is_fifo: true })),
            "unordered-queue" => $run($name, engines(Queue { is_fifo: false })),
            "stack" => $run($name, engines(Stack)),
            "priority-queue" => $run($name, engines(PriorityQueue)),
            "set" => $run($name, engines(Set)),
            "counter" => $run($name, engines(Counter { initial: 0 })),
            "counter from 1" => $run($name, engines(Counter { initial: 1 })),
            "fetch-add from 1" => $run($name, engines(FetchAdd { initial: 1 })),
            "list-append from 1" => $run($name, engines(ListAppend { initial: vec![one()] })),
            "kv-append from a" => $run($name, engines(KvAppend { initial: "a".into() })),
            "fetch-add" => $run($name, engines(FetchAdd { initial: 0 })),
            "list-append" => $run($name, engines(ListAppend { initial: Vec::new() })),
            "kv-append" => $run($name, engines(KvAppend { initial: Arc::default() })),
            "multi-register" => $run($name, engines(MultiRegister::holding(&json!(null)))),
            "multi-register from x" => {
                $run($name, engines(MultiRegister::holding(&json!({"x": 1}))))
            }
            "@" => $run($name, engines(parsed_table())),
            other => panic!("{other} has no engines"),
        }
    };
}

/// A model with its engines, and its operations as the engines read them.
struct Bench<O: Object> {
    spec: Spec,
    engines: Engines<O>,
    acts: HashMap<(usize, Fate, i64), Option<O::Act>>,
    budget: Budget,
    tally: Tally,
}

/// What was tried.
#[derive(Default)]
struct Tally {
    histories: u64,
    valid: u64,
    without_search: u64,
    /// Those of them that are valid and of which the way without search tells no order.
    without_order: u64,
}

/// Processes that a history of eight operations may have.
const PROCESSES: i64 = 40;

impl<O: Object + Debug> Bench<O> {
    fn new(name: &str, engines: Engines<O>) -> Bench<O> {
        let spec = spec::spec(name);
        let mut values = Values::default();
        let mut acts = HashMap::new();
        for (at, item) in spec.items.iter().enumerate() {
            for fate in [Fate::Ok, Fate::Info, Fate::Fail] {
                let known = if fate == Fate::Ok { &item.result } else { &item.argument };
                let value = Some(values.intern(known));
                for process in 0..if spec.has_owners { PROCESSES } else { 1 } {
                    let call = Call {
                        word: item.f,
                        value,
                        fate: engine_fate(fate),
                        process: process as u64,
                        values: &values,
                    };
                    acts.insert((at, fate, process), engines.object.act(&call).unwrap());
                }
            }
        }
        let budget = Budget::start(Duration::from_secs(36_000), 1 << 30);
        Bench { spec, engines, acts, budget, tally: Tally::default() }
    }

    /// The operations as the engines take them; `source` is the place in `made`.
    fn ops(&self, made: &[Made]) -> Vec<Op<O::Act>> {
        let op = |(source, made): (usize, &Made)| {
            let process = if self.spec.has_owners { made.process } else { 0 };
            let act = self.acts[&(made.item, made.fate, process)].clone()?;
            let fate = engine_fate(made.fate);
            self.engines.object.kept(Op { act, fate, inv: made.inv, res: made.res, source })
        };
        made.iter().enumerate().filter_map(op).collect()
    }

    /// Holds all engines against the oracle on one history.
    fn agree(&mut self, made: &[Made]) {
        let asked = spec::ops(&self.spec, made);
        let expected = spec::is_linearizable(&self.spec, &self.spec.initial, &asked);
        let ops = self.ops(made);
        let Engines { object, without_search, order } = &self.engines;
        let fast = without_search(object, &ops, &self.budget);
        match &fast {
            Fast::Valid => assert!(expected, "valid without search, {object:?}: {asked:#?}"),
            Fast::Invalid(reason) => {
                assert!(!expected, "{reason:?} without search, {object:?}: {asked:#?}");
                assert!(reason.ops.iter().all(|&at| at < ops.len()), "{reason:?}: {asked:#?}");
            }
            Fast::Unsuited(_) => {}
            Fast::Exhausted(limit) => panic!("{limit}: {asked:#?}"),
        }
        let initial = [object.initial()];
        let depth = general::decide(object, &ops, &initial, &self.budget);
        let breadth = general::decide_with_patience(object, &ops, &initial, &self.budget, 0);
        for (name, found) in [("depth", depth), ("breadth", breadth)] {
            let is_valid = match found {
                Search::Valid => true,
                Search::Invalid(_) => false,
                other => panic!("{name} gave up with {other:?}: {asked:#?}"),
            };
            assert_eq!(is_valid, expected, "in {name}, {object:?}: {asked:#?}");
        }
        if expected {
            let by_search = general::order(object, &ops, &initial, &self.budget);
            self.is_legal(&asked, &ops, &by_search.unwrap());
            if fast == Fast::Valid {
                match order(object, &ops, &self.budget) {
                    Some(direct) => self.is_legal(&asked, &ops, &direct),
                    None => self.tally.without_order += 1,
                }
            }
        }
        self.tally.histories += 1;
        self.tally.valid += u64::from(expected);
        self.tally.without_search += u64::from(!matches!(fast, Fast::Unsuited(_)));
    }

    /// An engine's order is one by the specification. Operations that no engine is asked about stand anywhere.
    fn is_legal(&self, asked: &[spec::Op<'_>], ops: &[Op<O::Act>], order: &[usize]) {
        let order: Vec<usize> = order.iter().map(|&at| ops[at].source).collect();
        let replayed = spec::replays(&self.spec, asked, &order);
        assert_eq!(replayed, Ok(()), "{:?}: {order:?} of {asked:#?}", self.engines.object);
    }

    #[allow(clippy::print_stdout)] // How many were run is part of what is asked.
    fn tell(self, name: &str, what: &str) -> Tally {
        let Tally { histories, valid, without_search, .. } = self.tally;
        println!("{name}: {histories} {what}, {valid} valid, {without_search} without search");
        self.tally
    }
}

fn engine_fate(fate: Fate) -> op::Fate {
    match fate {
        Fate::Ok => op::Fate::Ok,
        Fate::Fail => op::Fate::Fail,
        Fate::Info | Fate::Weak => op::Fate::Info,
    }
}

/// What `HISTCHECK_ORACLE` asks for.
fn asked_for() -> String {
    std::env::var("HISTCHECK_ORACLE").unwrap_or_default()
}

/// Every history of up to two operations, and of three about ten thousand, evenly spread; where that is asked for,
/// every one of up to four.
fn on_every_small_history<O: Object + Debug>(name: &str, engines: Engines<O>) {
    let mut bench = Bench::new(name, engines);
    let is_full = asked_for() == "full";
    let most = if is_full { 4 } else { 3 };
    let spec = spec::spec(name);
    for count in 1..=most {
        let step = match count {
            3 if !is_full => spec::every_history(&spec, count, &mut |_| {}) / 10_000,
            _ => 1,
        };
        // An odd one: the last thing that differs is one of three fates, or which of two returns first.
        let step = step.max(1) | 1;
        let mut number = 0;
        spec::every_history(&spec, count, &mut |made| {
            if number % step == 0 {
                bench.agree(made);
            }
            number += 1;
        });
    }
    let tally = bench.tell(name, &format!("of up to {most} operations"));
    assert!(tally.histories > 100, "only {} histories", tally.histories);
    assert!((1..tally.histories).contains(&tally.valid), "{} valid", tally.valid);
}

/// Random ones of up to eight operations.
fn on_random_histories<O: Object + Debug>(name: &str, engines: Engines<O>) {
    let mut bench = Bench::new(name, engines);
    let mut random = Random(0x5EED_0000 + name.len() as u64);
    let many: u64 = asked_for().parse().unwrap_or(2_000);
    for round in 0..many {
        let most = if round % 2 == 0 { 5 } else { 8 };
        let made = spec::random_history(&bench.spec, &mut random, most);
        bench.agree(&made);
    }
    let tally = bench.tell(name, "random ones of up to 8 operations");
    let share = tally.valid as f64 / many as f64;
    assert!((0.1..0.95).contains(&share), "{} of {many} valid", tally.valid);
    if asked_for().is_empty() {
        let least = WITHOUT_SEARCH.iter().find(|(of, _)| *of == name).unwrap().1;
        assert!(tally.without_search >= least, "{} without search", tally.without_search);
    }
    let tells_no_order = WITHOUT_ORDER.contains(&name);
    assert!(tells_no_order || tally.without_order == 0, "{} without order", tally.without_order);
}

/// The models whose way without search tells that there is an order, and not which.
const WITHOUT_ORDER: [&str; 3] = ["multi-register", "multi-register from x", "@"];

/// Of the first 2,000 random histories so many take no search: one that did more often would be right too, and slow.
const WITHOUT_SEARCH: [(&str, u64); 25] = [
    ("cas-register", 1215),
    ("cas-register from 1", 1195),
    ("cas-register with fails that observe", 1045),
    ("counter", 644),
    ("counter from 1", 650),
    ("fenced-mutex", 1968),
    ("fetch-add", 1470),
    ("fetch-add from 1", 1507),
    ("fifo-queue", 1682),
    ("kv-append", 1362),
    ("kv-append from a", 995),
    ("list-append", 1172),
    ("list-append from 1", 721),
    ("multi-register", 0),
    ("multi-register from x", 0),
    ("mutex", 1972),
    ("priority-queue", 1091),
    ("reentrant-mutex", 1973),
    ("register", 1623),
    ("semaphore:1", 1976),
    ("semaphore:2", 1967),
    ("set", 1168),
    ("stack", 1388),
    ("@", 0),
    ("unordered-queue", 1676),
];

/// One test for each model.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        mod every_small_history_is_decided_as_the_oracle_does {
            use super::*;
            $(#[test] fn $test() { with_engines!($name, on_every_small_history); })*
        }
        mod random_histories_are_decided_as_the_oracle_does {
            use super::*;
            $(#[test] fn $test() { with_engines!($name, on_random_histories); })*
        }
    };
}

spec::with_every_model!(tests);

#[test]
fn no_model_is_left_out() {
    for model in histcheck::linear::models::all() {
        let is_tried = spec::MODELS.iter().any(|tried| tried.split(':').next() == Some(model.name));
        assert!(is_tried, "{} has no test", model.name);
    }
}
