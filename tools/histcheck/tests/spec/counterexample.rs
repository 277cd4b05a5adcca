//! What the JSON of a counterexample says, in the words of the specification, and whether it keeps what the manual page
//! promises of evidence.

use serde_json::Value;

use super::judged::Judged;
use super::{Act, Fate, Made, NEVER, Op, State, is_linearizable};

/// What the JSON of a counterexample says, in the words of the specification.
pub struct Counterexample<'j> {
    pub judged: &'j Judged,
    pub key: usize,
    /// What the object may hold before it.
    pub initial: Vec<State>,
    /// Whether it begins with the history.
    pub is_whole: bool,
    pub ops: Vec<(Act, Op<'j>)>,
}

impl<'j> Counterexample<'j> {
    pub fn of(judged: &'j Judged, key: usize, witness: &Value) -> Counterexample<'j> {
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

    /// Whether these have a legal order, whatever those took that may have taken anything and are left out: what an
    /// operation took that surely did, nobody else can have taken, but what one may have that is not shown.
    pub fn is_valid(&self, ops: &[(Act, Op<'_>)]) -> bool {
        let mut ops: Vec<Op<'_>> = ops.iter().map(|(act, op)| Op { act, ..*op }).collect();
        let takes_any = |op: &Op<'_>| op.fate == Fate::Info && matches!(op.act, Act::Take(_));
        let is_shown = |op: &Op<'_>| self.ops.iter().any(|(_, shown)| shown.inv == op.inv);
        let history = self.judged.ops(self.key);
        ops.extend(history.into_iter().filter(|op| takes_any(op) && !is_shown(op)));
        let valid = |initial: &State| is_linearizable(&self.judged.spec, initial, &ops);
        self.initial.iter().any(valid)
    }

    pub fn convicts(&self, verdict: &Value) {
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
    pub fn alone(&self) -> Option<Vec<Made>> {
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
