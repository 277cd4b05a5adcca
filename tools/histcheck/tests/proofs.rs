//! What `linear` proves, through the binary: each witness order replays, by `verify` and by the specification of
//! [`spec`], long histories have one too, and one that was tampered with does not; each counterexample is invalid on its
//! own and for the same reason, holds all writers of what it observes, and has nothing to spare. Random histories of
//! every model, by the exhaustive oracle. `HISTCHECK_ORACLE=20000` takes so many of each model.

#![allow(clippy::unwrap_used)]

mod spec;

use std::collections::HashMap;
use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run};
use serde_json::Value;
use spec::written::{Written, written};
use spec::{Act, Fate, Made, NEVER, Op, Random, Spec, State};

/// A folder with a file of histories of one model, which lives as long as the test.
struct Judged {
    folder: Folder,
    name: String,
    spec: Spec,
    histories: Vec<Vec<Made>>,
    written: Written,
}

impl Judged {
    fn new(name: &str, spec: Spec, histories: Vec<Vec<Made>>) -> Judged {
        let folder = Folder::new(name);
        let written = written(&spec, &histories, &mut Random(7));
        folder.write(spec::TABLE_FILE, spec::TABLE);
        folder.write("history.jsonl", &written.text);
        Judged { folder, name: name.into(), spec, histories, written }
    }

    fn histcheck(&self, check: &str, more: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.current_dir(self.folder.path()).args([check, "--json"]).args(self.spec.options());
        run(command.args(more).arg("history.jsonl"))
    }

    /// The verdicts on all keys.
    fn keys(&self) -> Vec<Value> {
        let told = self.histcheck("linear", &["--witness", "order"]);
        assert!(told.status < 3, "{}", told.stderr);
        let mut verdict = told.lines().remove(0);
        let Value::Array(keys) = verdict["keys"].take() else { panic!("{verdict}") };
        assert_eq!(keys.len(), self.histories.len());
        keys
    }

    fn ops(&self, key: usize) -> Vec<Op<'_>> {
        spec::ops(&self.spec, &self.histories[key])
    }

    fn is_valid(&self, key: usize) -> bool {
        spec::is_linearizable(&self.spec, &self.spec.initial, &self.ops(key))
    }

    /// The lines of the order that was written last.
    fn order(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.folder.file("order")).unwrap();
        let line =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap();
        text.lines().map(line).collect()
    }

    /// What the specification says to an order of all keys.
    fn replays(&self, order: &[u64]) -> Result<(), String> {
        let mut orders: HashMap<usize, Vec<usize>> = HashMap::new();
        for line in order {
            let &(key, at) = self.written.begins.get(line).ok_or("no such line")?;
            orders.entry(key).or_default().push(at);
        }
        (0..self.histories.len()).try_for_each(|key| {
            let order = orders.remove(&key).unwrap_or_default();
            spec::replays(&self.spec, &self.ops(key), &order).map_err(|e| format!("key {key}: {e}"))
        })
    }

    /// The exit status of `verify` on an order.
    fn verify(&self, order: &[u64]) -> Run {
        let lines: String = order.iter().map(|line| format!("{{\"line\":{line}}}\n")).collect();
        self.folder.write("tampered", lines);
        self.histcheck("verify", &["--witness", "tampered"])
    }
}

fn many() -> usize {
    std::env::var("HISTCHECK_ORACLE").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

/// Random histories that are valid, or that are not.
fn histories(spec: &Spec, seed: u64, count: usize, valid: bool) -> Vec<Vec<Made>> {
    let mut random = Random(0xF00D + seed);
    let mut found = Vec::new();
    while found.len() < count {
        let made = spec::random_history(spec, &mut random, 8);
        let ops = spec::ops(spec, &made);
        if !made.is_empty() && spec::is_linearizable(spec, &spec.initial, &ops) == valid {
            found.push(made);
        }
    }
    found
}

fn every_witness_replays_and_a_tampered_one_does_not(name: &str) {
    let spec = spec::spec(name);
    let made = histories(&spec, 1, many(), true);
    let judged = Judged::new(name, spec, made);
    for (key, verdict) in judged.keys().iter().enumerate() {
        let nothing = verdict["because"] == "nothing was checked";
        assert!(verdict["valid"] == true || nothing, "{verdict}: {:#?}", judged.ops(key));
    }
    let order = judged.order();
    assert_eq!(judged.replays(&order), Ok(()), "{name}");
    let all = judged.histcheck("verify", &["--witness", "order"]);
    assert_eq!(all.status, 0, "{name}: {}{}", all.stdout, all.stderr);

    let spec = spec::spec(name);
    let few = histories(&spec, 2, 12, true);
    let judged = Judged::new(name, spec, few);
    judged.keys();
    let order = judged.order();
    let mut random = Random(0xBAD);
    let mut refused = 0;
    for round in 0..20 {
        let tampered = tampered(&judged, &order, &mut random, round);
        let legal = judged.replays(&tampered);
        let found = judged.verify(&tampered);
        let expected = i32::from(legal.is_err());
        assert_eq!(found.status, expected, "{name}: {legal:?}, {}{}", found.stdout, found.stderr);
        refused += expected;
    }
    assert!(refused >= 8, "{name}: {refused} refused");
}

/// Histories too long for the oracle: what is found valid has an order, and that replays.
fn every_long_valid_history_has_a_witness(name: &str) {
    let mut random = Random(0x10_000);
    let long = |_| spec::random_history(&spec::spec(name), &mut random, 24);
    let judged = Judged::new(name, spec::spec(name), (0..100).map(long).collect());
    let told = judged.keys();
    let is_valid = |key: &usize| told[*key]["valid"] == true;
    let valid: Vec<usize> = (0..told.len()).filter(is_valid).collect();
    assert!(valid.len() >= 6, "{name}: {} of {}", valid.len(), told.len());
    let made = valid.iter().map(|&key| judged.histories[key].clone()).collect();
    let again = Judged::new(name, spec::spec(name), made);
    assert!(again.keys().iter().all(|verdict| verdict["valid"] == true), "{name}");
    assert_eq!(again.replays(&again.order()), Ok(()), "{name}");
    let all = again.histcheck("verify", &["--witness", "order"]);
    assert_eq!(all.status, 0, "{name}: {}{}", all.stdout, all.stderr);
}

/// The order with one thing wrong, mostly.
fn tampered(judged: &Judged, order: &[u64], random: &mut Random, round: usize) -> Vec<u64> {
    let mut order = order.to_vec();
    let at = random.below(order.len() as u32) as usize;
    let mut lines: Vec<u64> = judged.written.begins.keys().copied().collect();
    lines.sort_unstable();
    match round % 5 {
        0 => drop(order.remove(at)),
        1 => order.insert(at, order[random.below(order.len() as u32) as usize]),
        2 => {
            let other = random.below(order.len() as u32) as usize;
            order.swap(at, other);
        }
        3 => {
            // Another operation than the one that stands there: one that failed, or that is not needed.
            order[at] = lines[random.below(lines.len() as u32) as usize];
        }
        _ => {
            // One more, that failed or is of unknown outcome.
            lines.retain(|line| !order.contains(line));
            if !lines.is_empty() {
                order.insert(at, lines[random.below(lines.len() as u32) as usize]);
            }
        }
    }
    order
}

fn every_counterexample_is_invalid_closed_and_minimal(name: &str) {
    let spec = spec::spec(name);
    // Chains of cas are many-shaped: fewer do not show each way in which one of unknown outcome convicts.
    let count = if name.starts_with("cas-register") { 4 * many() } else { many() };
    let made = histories(&spec, 3, count, false);
    let judged = Judged::new(name, spec, made);
    let keys = judged.keys();
    for (key, verdict) in keys.iter().enumerate() {
        assert!(!judged.is_valid(key) && verdict["valid"] == false, "{verdict}");
        let witness = &verdict["witness"];
        let facts = (&witness["minimal"], &witness["checked"], &witness["left_out"]);
        assert_eq!(facts, (&true.into(), &true.into(), &0.into()), "{verdict}");
        Counterexample::of(&judged, key, witness).convicts(verdict);
    }
    each_alone_has_the_same_reason(&judged, &keys);
}

/// The counterexamples as histories of their own: each is invalid for the reason that the whole was.
fn each_alone_has_the_same_reason(judged: &Judged, keys: &[Value]) {
    let alone = |(key, verdict): (usize, &Value)| {
        let made = Counterexample::of(judged, key, &verdict["witness"]).alone()?;
        Some((reason(verdict), made))
    };
    let (reasons, made): (Vec<String>, Vec<Vec<Made>>) =
        keys.iter().enumerate().filter_map(alone).unzip();
    assert!(10 * made.len() > keys.len(), "{} of {}", made.len(), keys.len());
    let spec = spec::spec(&judged.name);
    let again = Judged::new(&judged.name, spec, made);
    for (key, verdict) in again.keys().iter().enumerate() {
        assert_eq!(verdict["valid"], false, "{verdict}");
        let is_given = !reasons[key].starts_with("no order of the operations explains");
        assert!(!is_given || reason(verdict) == reasons[key], "{}: {verdict}", reasons[key]);
    }
}

/// The sentence, but for its numbers of lines.
fn reason(verdict: &Value) -> String {
    let mut words = Vec::new();
    for word in verdict["because"].as_str().unwrap().split(' ') {
        let is_number = words.last().is_some_and(|last: &&str| last.ends_with("line"));
        words.push(if is_number { "N" } else { word });
    }
    words.join(" ")
}

/// What the JSON of a counterexample says, in the words of the specification.
struct Counterexample<'j> {
    judged: &'j Judged,
    key: usize,
    /// What the object may hold before it.
    initial: Vec<State>,
    /// Whether it begins with the history.
    is_whole: bool,
    ops: Vec<(Act, Op<'j>)>,
}

impl<'j> Counterexample<'j> {
    fn of(judged: &'j Judged, key: usize, witness: &Value) -> Counterexample<'j> {
        let initial = match &witness["initial"] {
            Value::Array(values) => {
                values.iter().map(|value| vec![value.as_i64().unwrap_or(0)]).collect()
            }
            _ => vec![judged.spec.initial.clone()],
        };
        let ops = witness["operations"].as_array().unwrap().iter();
        let ops = ops.map(|told| {
            let (of_key, at) = judged.written.begins[&told["line"].as_u64().unwrap()];
            assert_eq!(of_key, key);
            let op = judged.ops(key)[at];
            let is_end_told = told["end_matters"] == true;
            assert!(op.fate == Fate::Ok || !is_end_told, "{told}");
            let is_sure = told["surely_happened"] == true;
            assert!(is_sure || !is_end_told, "{told}");
            let fate = match op.fate {
                Fate::Ok if !is_sure => Fate::Weak,
                fate => fate,
            };
            let act = match op.act {
                Act::Cas(_, to) if told["comparison_matters"] == false => Act::Write(*to),
                act => act.clone(),
            };
            let res = if is_end_told { op.res } else { NEVER };
            (act, Op { fate, res, ..op })
        });
        let is_whole = witness["after_line"].is_null();
        Counterexample { judged, key, initial, is_whole, ops: ops.collect() }
    }

    fn is_valid(&self, ops: &[(Act, Op<'_>)]) -> bool {
        let ops: Vec<Op<'_>> = ops.iter().map(|(act, op)| Op { act, ..*op }).collect();
        let valid = |initial: &State| spec::is_linearizable(&self.judged.spec, initial, &ops);
        self.initial.iter().any(valid)
    }

    fn convicts(&self, verdict: &Value) {
        assert!(!self.is_valid(&self.ops), "it has a legal order: {verdict}");
        for at in 0..self.ops.len() {
            match self.ops[at].1.fate {
                Fate::Fail => assert!(self.explains(at), "{at} failed: {verdict}"),
                Fate::Ok if self.ops[at].1.res == NEVER => {}
                Fate::Ok => {
                    for fate in [Fate::Weak, Fate::Info] {
                        let mut weaker = self.ops.clone();
                        weaker[at].1 = Op { fate, res: NEVER, ..self.ops[at].1 };
                        assert!(self.is_valid(&weaker), "{at} need not have ended: {verdict}");
                    }
                }
                Fate::Info | Fate::Weak => {}
            }
            for unit in self.units(at) {
                let fewer = self.without(&unit);
                assert!(self.is_valid(&fewer), "{unit:?} need not be there: {verdict}");
            }
            if let Some(fewer) = self.without_the_late(at) {
                assert!(self.is_valid(&fewer), "{at} came too late to be there: {verdict}");
            }
        }
        self.has_all_writers(verdict);
    }

    /// It as a history of its own; `None` where one cannot say all that it says: that it begins later or with one of
    /// several values, what an operation returned that need not have, that a cas need not have compared.
    fn alone(&self) -> Option<Vec<Made>> {
        let initial = &self.judged.spec.initial;
        let last = self.ops.iter().map(|(_, op)| op.inv.max(op.res % NEVER)).max()?;
        let made = self.ops.iter().enumerate().map(|(at, (act, op))| {
            let history = &self.judged.histories[self.key];
            let recorded = *history.iter().find(|made| made.inv == op.inv)?;
            let is_relaxed = matches!(act, Act::Write(_))
                && matches!(self.judged.spec.items[recorded.item].act, Act::Cas(..));
            // Whenever it ended, it may have been at the end, if its process did nothing else.
            let ended = op.fate == Fate::Ok && op.res == NEVER;
            let goes_on = self.ops.iter().any(|(_, other)| {
                other.process == op.process && other.inv > op.inv && other.fate != Fate::Fail
            });
            let (fate, res) = match recorded.fate {
                Fate::Fail => (Fate::Fail, recorded.res),
                _ if ended => (Fate::Ok, last + 1 + at as u32),
                _ => (op.fate, op.res),
            };
            let fits = !(is_relaxed || ended && goes_on || fate == Fate::Weak);
            fits.then_some(Made { fate, res, ..recorded })
        });
        let made = made.collect::<Option<Vec<Made>>>()?;
        (self.is_whole && self.initial == [initial.clone()]).then_some(made)
    }

    fn without(&self, unit: &[usize]) -> Vec<(Act, Op<'j>)> {
        let left = (0..self.ops.len()).filter(|at| !unit.contains(at));
        left.map(|at| self.ops[at].clone()).collect()
    }

    /// The least that can go with an operation, so that a legal order of all leaves a legal order of the rest.
    fn units(&self, at: usize) -> Vec<Vec<usize>> {
        let (act, op) = &self.ops[at];
        let mut units = Vec::new();
        if op.fate == Fate::Fail {
            return units;
        }
        match act {
            Act::Acquire(_) | Act::Release => units.push(self.hold(at)),
            _ => units.push(self.with_observers(at)),
        }
        // Any two of three that took what was put once convict.
        if let Act::Take(value) = act
            && op.fate == Fate::Ok
            && *value != 0
            && self.taken_too_often(*value) >= 2
        {
            units.push(vec![at]);
        }
        // It may have taken what nobody else did; where there is no such thing it has no say.
        let takes_any = op.fate == Fate::Info && matches!(act, Act::Take(_));
        if takes_any && !(1..=3).any(|value| self.is_left_over(value)) {
            units.push(vec![at]);
        }
        units
    }

    /// Without one that began after all had ended whose ends are told. The others happened without it if they had
    /// ended by then in the history.
    fn without_the_late(&self, at: usize) -> Option<Vec<(Act, Op<'j>)>> {
        let late = &self.ops[at].1;
        let others = self.ops.iter().enumerate().filter(|&(other, _)| other != at);
        let others: Vec<&(Act, Op<'j>)> = others.map(|(_, other)| other).collect();
        let is_late = others.iter().all(|(_, other)| other.res == NEVER || other.res < late.inv);
        if late.fate == Fate::Fail || !is_late || self.explains(at) {
            return None;
        }
        let recorded = self.judged.ops(self.key);
        let had_ended =
            |op: &Op<'_>| recorded.iter().any(|known| known.inv == op.inv && known.res < late.inv);
        let left = others.into_iter().map(|(act, op)| match op.fate {
            Fate::Ok if !had_ended(op) => (act.clone(), Op { fate: Fate::Weak, ..*op }),
            _ => (act.clone(), *op),
        });
        Some(left.collect())
    }

    /// With all that may have seen it, and all that may have seen those.
    fn with_observers(&self, at: usize) -> Vec<usize> {
        let mut out = vec![at];
        let mut done = 0;
        while let Some(&writer) = out.get(done) {
            done += 1;
            let (act, op) = &self.ops[writer];
            let takes_any = op.fate == Fate::Info && matches!(act, Act::Take(_));
            if !takes_any && self.is_read(act) {
                continue;
            }
            for (reader, (seen, other)) in self.ops.iter().enumerate() {
                let is_later = other.res > op.inv;
                let rests = if takes_any { is_later } else { rests_on(seen, other, act, is_later) };
                if rests && !out.contains(&reader) {
                    out.push(reader);
                }
            }
        }
        out
    }

    /// The acquire and the release of a hold, where a process gives back first what it took last; and where it went
    /// on after an operation of unknown outcome, all that it held then and did since.
    fn hold(&self, at: usize) -> Vec<usize> {
        let process = self.ops[at].1.process;
        let of_process = |&at: &usize| {
            let op = &self.ops[at].1;
            op.process == process && op.fate != Fate::Fail
        };
        let mine: Vec<usize> = (0..self.ops.len()).filter(of_process).collect();
        let known = mine.iter().take_while(|&&at| self.ops[at].1.fate == Fate::Ok).count();
        let mut holds: Vec<usize> = Vec::new();
        let mut pairs: Vec<Vec<usize>> = Vec::new();
        for (place, &next) in mine.iter().enumerate() {
            if place > known {
                let mut rest = pairs.pop().unwrap_or_default();
                rest.extend(holds.iter().chain(&mine[place..]));
                pairs.push(rest);
                break;
            }
            let hold = match self.ops[next].0 {
                Act::Release => holds.pop(),
                _ => None,
            };
            if matches!(self.ops[next].0, Act::Acquire(_)) && place < known {
                holds.push(next);
            } else {
                pairs.push(hold.into_iter().chain([next]).collect());
            }
        }
        pairs.into_iter().find(|pair| pair.contains(&at)).unwrap_or(vec![at])
    }

    /// Whether it leaves every state as it is.
    fn is_read(&self, act: &Act) -> bool {
        let step = |state: &State| self.judged.spec.step(state, act, 0, true);
        match act {
            Act::Go(..) => (0..3).all(|n| step(&vec![n]).iter().all(|next| *next == [n])),
            Act::Txn(micros) => micros.iter().all(|micro| !micro.0),
            Act::Append(piece) => piece.is_empty(),
            Act::FetchAdd(added, _) => *added == 0,
            Act::Cas(from, to) => from == to,
            Act::Read(_) | Act::Differs(_) | Act::Contains(..) | Act::Whole(_) | Act::Take(0) => {
                true
            }
            _ => false,
        }
    }

    /// Whether something names what only this one can have written: it says that it came too late, or failed.
    fn explains(&self, at: usize) -> bool {
        let known = |(act, op): &(Act, Op<'_>)| match op.fate {
            Fate::Ok | Fate::Weak => true,
            Fate::Info => matches!(act, Act::Cas(..)),
            Fate::Fail => false,
        };
        let names = |act: &Act, other: &Act| match (other, act) {
            (Act::Add(v), Act::Contains(w, true)) => v == w,
            (Act::Add(v), Act::Whole(list)) => list.contains(v),
            (Act::Remove(_), _) => false,
            (_, Act::Contains(..)) => false,
            (Act::Put(v), Act::Take(w)) => v == w,
            (Act::Put(_) | Act::Append(_) | Act::Txn(_), _) => {
                rests_on(act, &self.ops[at].1, other, false)
            }
            (Act::FetchAdd(n, before), Act::FetchAdd(_, sum) | Act::Read(sum)) => {
                // An add of nothing is a read: it put what it found no more than others that found it.
                *n != 0 && n + before == *sum
            }
            _ => observes(act, other),
        };
        self.ops.iter().filter(|op| known(op)).any(|(act, _)| {
            let is_only = |other: usize| {
                let (put, fate) = (&self.ops[other].0, self.ops[other].1.fate);
                // Of pieces each is named for itself.
                let is_piece = [put, &self.ops[at].0].iter().any(|a| matches!(a, Act::Append(_)));
                let same = !is_piece || *put == self.ops[at].0;
                other == at || fate == Fate::Fail || !(same && names(act, put))
            };
            names(act, &self.ops[at].0) && (0..self.ops.len()).all(is_only)
        })
    }

    /// Whether a value was put more often than ok operations took it.
    fn is_left_over(&self, value: i64) -> bool {
        self.taken_too_often(value) < 0
    }

    /// How much more often ok operations took a value than it was put.
    fn taken_too_often(&self, value: i64) -> i64 {
        let puts = |(act, op): &&(Act, Op<'_>)| *act == Act::Put(value) && op.fate != Fate::Fail;
        let takes = |(act, op): &&(Act, Op<'_>)| *act == Act::Take(value) && op.fate == Fate::Ok;
        let count = |found: usize| found as i64;
        count(self.ops.iter().filter(takes).count()) - count(self.ops.iter().filter(puts).count())
    }

    /// Whoever may have put what it observes is in it, or came too late.
    fn has_all_writers(&self, verdict: &Value) {
        let last = self.ops.iter().map(|(_, op)| op.res).filter(|&res| res != NEVER).max();
        for op in self.judged.ops(self.key) {
            let is_shown = |&(_, shown): &&(Act, Op<'_>)| shown.inv == op.inv;
            let shown = self.ops.iter().find(is_shown);
            let may_matter = op.fate != Fate::Fail && last.is_none_or(|last| op.inv < last);
            if !self.is_whole || shown.is_some() || !may_matter {
                continue;
            }
            for (act, observer) in &self.ops {
                let is_known = matches!(observer.fate, Fate::Ok | Fate::Weak);
                let is_needed = is_known && observes(act, op.act);
                assert!(!is_needed, "{op:?} wrote what {observer:?} observes: {verdict}");
            }
        }
    }
}

/// Whether an operation may have seen another, so that without that one it would mean something else: as it names
/// what that one wrote, or as it sees all that came before it and had not ended when that one began.
fn rests_on(reader: &Act, op: &Op<'_>, writer: &Act, is_later: bool) -> bool {
    match (writer, reader) {
        (Act::Write(v) | Act::Cas(_, v), Act::Differs(other)) => v != other && is_later,
        (Act::Write(_) | Act::Cas(..), _) => observes(reader, writer),
        // Who takes a value away lets others find nothing: a value goes with all that put or took it.
        (Act::Put(v) | Act::Take(v), Act::Put(w)) => v == w,
        (Act::Put(v) | Act::Take(v), Act::Take(w)) => v == w && op.fate != Fate::Info,
        (Act::Put(letter), Act::Whole(text)) => text.first() == Some(letter),
        (Act::Append(piece), Act::Whole(list)) => list.windows(piece.len()).any(|w| w == *piece),
        (Act::Add(v), Act::Contains(w, there)) => v == w && *there,
        (Act::Remove(v), Act::Contains(w, there)) => v == w && !there,
        (Act::Add(v), Act::Whole(list)) => list.contains(v),
        (Act::Remove(v), Act::Whole(list)) => !list.contains(v),
        (Act::Add(_) | Act::FetchAdd(..), Act::Read(_)) => is_later,
        (Act::FetchAdd(..), Act::FetchAdd(..)) => is_later && op.fate != Fate::Info,
        (Act::Txn(writes), Act::Txn(reads)) => {
            let put = |name| writes.iter().rfind(|write| write.0 && write.1 == name);
            let known = op.fate != Fate::Info;
            known
                && reads.iter().enumerate().any(|(at, read)| {
                    let is_own = reads[..at].iter().any(|other| other.0 && other.1 == read.1);
                    !read.0 && !is_own && put(read.1).is_some_and(|write| write.2 == read.2)
                })
        }
        (Act::Go(..), Act::Go(..)) => is_later,
        _ => false,
    }
}

/// Whether one put exactly what the other found.
fn observes(reader: &Act, writer: &Act) -> bool {
    let put = match writer {
        // That is a read.
        Act::Cas(from, to) if from == to => return false,
        Act::Write(v) | Act::Cas(_, v) | Act::Put(v) => *v,
        _ => return false,
    };
    match reader {
        Act::Read(v) | Act::Cas(v, _) | Act::Take(v) => *v == put,
        _ => false,
    }
}

/// Three tests for each model.
macro_rules! tests {
    ($($test:ident $name:literal)*) => {
        mod every_witness_replays_and_a_tampered_one_is_refused {
            $(#[test] fn $test() {
                super::every_witness_replays_and_a_tampered_one_does_not($name);
            })*
        }
        mod every_long_valid_history_has_a_witness {
            $(#[test] fn $test() {
                super::every_long_valid_history_has_a_witness($name);
            })*
        }
        mod every_counterexample_is_invalid_closed_and_minimal {
            $(#[test] fn $test() {
                super::every_counterexample_is_invalid_closed_and_minimal($name);
            })*
        }
    };
}

spec::with_every_model!(tests);
