//! Zones from the columns of a history: whether a register is linearizable, without a copy of its operations.
//!
//! It says *valid* or nothing. What it leaves open (a conflict, a value with several writers, a cas that saw what
//! the value was not, an operation that is none of a register's) is for [`super::zones`] and the search, which
//! know the reasons too. The theorem is the one of [`super::zones`]; this is how it is computed here.
//!
//! A value has a [`Value`]: where its writer was invoked, and of its writer and all that read it the first
//! return `f` and the last invocation `s`. A cas from `a` to `b` is the writer of `b`, and a link from `a`. A chain
//! is legal within iff no operation returned before one of an earlier layer was invoked; and that is, for each of
//! its values, that `f` is not before the writer's invocation (a read ended before its write began; the writer
//! itself returned later than that), nor before `s` of any value earlier on the chain.
//!
//! Then the blocks, in the order of the lesser of `f` and `s`. Let `reach` be the greatest `s` of the forward zones
//! so far. A forward zone that begins before `reach` overlaps one of these, as that one begins earlier; a backward
//! one that ends before `reach` lies inside of one; and if neither happens, no two forward zones overlap and no
//! backward one lies inside a forward one, since of such a pair the outer, or the earlier, comes first.

use rustc_hash::FxHashMap;

use super::models::register::Register;
use crate::budget::{Budget, Exhausted};
use crate::history::{History, OPEN, Operations, Outcome, Pos};
use crate::keys::Rows;
use crate::values::{Id, NULL};

/// What is known of a register of which some order is legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid {
    /// How many operations say what it held.
    pub observations: usize,
}

/// Why nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Another engine must say.
    Other,
    /// A limit was reached.
    Budget(Exhausted),
}

impl From<Exhausted> for Open {
    fn from(limit: Exhausted) -> Open {
        Open::Budget(limit)
    }
}

/// Decides registers of one history, one after the other.
#[derive(Debug)]
pub struct Columns<'h> {
    history: &'h History,
    register: Register,
    /// What each of the history's words means.
    meanings: Vec<Meaning>,
    budget: &'h Budget,
    chains: Chains,
}

/// How many operations are taken between two looks at the budget.
const BETWEEN_LOOKS: usize = 1 << 16;

impl<'h> Columns<'h> {
    /// Decides registers like this one. The budget is for what is taken beyond the history itself.
    pub fn new(history: &'h History, register: Register, budget: &'h Budget) -> Columns<'h> {
        let meanings = history.words.iter().map(|word| Meaning::of(word, &register)).collect();
        Columns { history, register, meanings, budget, chains: Chains::default() }
    }

    /// Whether some order of these operations is legal.
    ///
    /// # Errors
    /// Why it is not said.
    pub fn decide(&mut self, rows: Rows<'_>) -> Result<Valid, Open> {
        let mut chains = std::mem::take(&mut self.chains);
        let decided = self.fill(rows, &mut chains).and_then(|observations| {
            chains.are_consecutive()?;
            Ok(Valid { observations })
        });
        self.chains = chains;
        decided
    }

    /// Puts the operations into chains; says how many say what the register held.
    fn fill(&self, rows: Rows<'_>, chains: &mut Chains) -> Result<usize, Open> {
        let numbering = self.numbering(rows)?;
        // What will be taken at once is asked for before.
        if let Numbering::Near { span, .. } = numbering {
            self.budget.spend(span * size_of::<Value>())?;
        }
        chains.begin(numbering, self.register.initial);
        let mut observations = 0;
        for place in 0..rows.len() {
            if place % BETWEEN_LOOKS == 0 {
                self.budget.spend(chains.bytes())?;
            }
            let index = rows.get(place);
            let ops = &self.history.ops;
            match self.step(index)? {
                Step::Nothing => {}
                Step::Refused => observations += 1,
                Step::Read(value) => {
                    observations += 1;
                    chains.read(value, ops, index);
                }
                Step::Write(value) => chains.write(value, ops, index)?,
                Step::Cas(from, to) if ops.outcome(index) == Outcome::Ok => {
                    observations += 1;
                    chains.write(to, ops, index)?;
                    chains.replace(from, to)?;
                }
                Step::Cas(from, to) => {
                    chains.write(to, ops, index)?;
                    chains.perhaps_replace(from, to);
                }
            }
        }
        self.budget.spend(chains.bytes() + chains.bytes_to_come())?;
        Ok(observations)
    }

    /// How the values of these operations are numbered.
    fn numbering(&self, rows: Rows<'_>) -> Result<Numbering, Open> {
        let (mut lowest, mut highest, mut count) = (u32::MAX, 0, 0);
        let mut see = |id: Id| {
            if id != self.register.initial {
                (lowest, highest, count) = (lowest.min(id.0), highest.max(id.0), count + 1);
            }
        };
        for index in rows.iter() {
            match self.step(index)? {
                Step::Nothing | Step::Refused => {}
                Step::Read(value) | Step::Write(value) => see(value),
                Step::Cas(from, to) => {
                    see(from);
                    see(to);
                }
            }
        }
        let span = highest.saturating_sub(lowest) as usize + 1;
        // Each value once written and once read: twice as many as there are numbers.
        Ok(match span <= count {
            true => Numbering::Near { lowest, span },
            false => Numbering::Far(FxHashMap::default()),
        })
    }

    /// What an operation does here, as [`Register`] reads it.
    #[inline]
    fn step(&self, index: usize) -> Result<Step, Open> {
        let ops = &self.history.ops;
        let (outcome, value) = (ops.outcome(index), ops.value(index));
        match (self.meanings[usize::from(ops.f(index))], outcome, value) {
            (Meaning::Read, Outcome::Ok, Some(value)) => Ok(Step::Read(value)),
            (Meaning::Read, Outcome::Info | Outcome::Fail, _) => Ok(Step::Nothing),
            (Meaning::Write, Outcome::Fail, _) => Ok(Step::Nothing),
            (Meaning::Write, _, Some(value)) => Ok(Step::Write(value)),
            (Meaning::Cas, _, _) => self.cas(outcome, value),
            _ => Err(Open::Other),
        }
    }

    fn cas(&self, outcome: Outcome, value: Option<Id>) -> Result<Step, Open> {
        let Some(value) = value else {
            return if outcome == Outcome::Fail { Ok(Step::Refused) } else { Err(Open::Other) };
        };
        let Some(&[from, to]) = self.history.values.list(value) else { return Err(Open::Other) };
        match outcome {
            Outcome::Fail if self.register.fail_observes => Err(Open::Other),
            Outcome::Fail => Ok(Step::Refused),
            Outcome::Ok if from == to => Ok(Step::Read(from)),
            Outcome::Info if from == to => Ok(Step::Nothing),
            Outcome::Ok | Outcome::Info => Ok(Step::Cas(from, to)),
        }
    }
}

/// What a word of the history means to a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Read,
    Write,
    Cas,
    /// Nothing: an error, which others tell.
    Nothing,
}

impl Meaning {
    fn of(word: &str, register: &Register) -> Meaning {
        match word {
            "read" => Meaning::Read,
            "write" => Meaning::Write,
            "cas" if register.has_cas => Meaning::Cas,
            _ => Meaning::Nothing,
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Nothing that matters or is seen.
    Nothing,
    /// A cas that found another value; which one is not weighed.
    Refused,
    Read(Id),
    /// Perhaps, where its outcome is info.
    Write(Id),
    /// Perhaps, where its outcome is info.
    Cas(Id, Id),
}

/// Values as small numbers.
#[derive(Debug)]
enum Numbering {
    /// Their ids lie close together.
    Near { lowest: u32, span: usize },
    /// They do not.
    Far(FxHashMap<Id, u32>),
}

/// A value of the register.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// Where its one writer was invoked, or [`NOBODY`].
    begun: Pos,
    /// The first return of its writer and of those that read it.
    f: Pos,
    /// The last invocation of these, and [`OBSERVED`].
    s: Pos,
}

const NOBODY: Pos = 0;
/// Places are numbers of 31 bits: the highest says whether anything that happened found the value.
const OBSERVED: Pos = 1 << 31;

impl Value {
    /// One that nobody knows of yet.
    const NEW: Value = Value { begun: NOBODY, f: OPEN, s: 0 };
    /// The initial one, which is there at place 1 at the latest: nothing returns earlier.
    const INITIAL: Value = Value { begun: 1, f: OPEN, s: 0 };

    fn is_observed(self) -> bool {
        self.s & OBSERVED != 0
    }

    fn s(self) -> Pos {
        self.s & !OBSERVED
    }

    #[inline]
    fn take(&mut self, inv: Pos, res: Pos) {
        self.f = self.f.min(res);
        self.s = self.s & OBSERVED | self.s().max(inv);
    }
}

/// The number of no value.
const NO_VALUE: u32 = u32::MAX;

/// The values of one register, and what joins them.
#[derive(Debug)]
struct Chains {
    initial: Id,
    numbering: Numbering,
    /// The initial one first.
    values: Vec<Value>,
    /// By value, the one that a cas put in its place; empty where there was no such cas.
    next: Vec<u32>,
    /// By value, whether a cas that happened put it; as long as `next`.
    is_next: Vec<bool>,
    /// How many links there are.
    links: usize,
    /// From and to of each cas of which nobody knows whether it happened.
    perhaps: Vec<(u32, u32)>,
    /// Blocks as one number each: the lesser of `f` and `s`, the greater, and whether it is a forward zone.
    blocks: Vec<u64>,
}

impl Default for Chains {
    fn default() -> Chains {
        Chains {
            initial: NULL,
            numbering: Numbering::Near { lowest: 0, span: 0 },
            values: Vec::new(),
            next: Vec::new(),
            is_next: Vec::new(),
            links: 0,
            perhaps: Vec::new(),
            blocks: Vec::new(),
        }
    }
}

impl Chains {
    /// Forgets all, and keeps the room.
    fn begin(&mut self, numbering: Numbering, initial: Id) {
        self.values.clear();
        self.values.push(Value::INITIAL);
        if let Numbering::Near { span, .. } = &numbering {
            self.values.resize(1 + span, Value::NEW);
        }
        self.numbering = numbering;
        self.initial = initial;
        self.next.clear();
        self.is_next.clear();
        self.links = 0;
        self.perhaps.clear();
        self.blocks.clear();
    }

    /// Bytes held.
    fn bytes(&self) -> usize {
        let numbers = match &self.numbering {
            Numbering::Near { .. } => 0,
            Numbering::Far(numbers) => numbers.capacity() * size_of::<(Id, u32)>(),
        };
        numbers
            + self.values.len() * size_of::<Value>()
            + self.next.len() * (size_of::<u32>() + size_of::<bool>())
            + self.perhaps.len() * size_of::<(u32, u32)>()
            + self.blocks.len() * size_of::<u64>()
    }

    /// Bytes that [`Chains::are_consecutive`] will take: blocks, links, and a table of the cas that perhaps happened.
    fn bytes_to_come(&self) -> usize {
        let link = if self.perhaps.is_empty() { 0 } else { size_of::<u32>() + size_of::<bool>() };
        self.values.len() * (size_of::<u64>() + link)
            + 3 * self.perhaps.len() * size_of::<(u32, u32)>()
    }

    #[inline]
    fn number(&mut self, id: Id) -> u32 {
        if id == self.initial {
            return 0;
        }
        match &mut self.numbering {
            Numbering::Near { lowest, .. } => id.0 - *lowest + 1,
            Numbering::Far(numbers) => {
                // There are fewer values than 32 bits can count.
                let next = self.values.len() as u32;
                let number = *numbers.entry(id).or_insert(next);
                if number == next {
                    self.values.push(Value::NEW);
                }
                number
            }
        }
    }

    #[inline]
    fn read(&mut self, id: Id, ops: &Operations, index: usize) {
        let value = self.number(id) as usize;
        self.values[value].take(ops.inv(index), ops.res(index));
        self.values[value].s |= OBSERVED;
    }

    /// # Errors
    /// Where it is not the only writer.
    #[inline]
    fn write(&mut self, id: Id, ops: &Operations, index: usize) -> Result<(), Open> {
        let value = self.number(id) as usize;
        let (inv, res) = (ops.inv(index), ops.res(index));
        let value = &mut self.values[value];
        if value.begun != NOBODY {
            return Err(Open::Other);
        }
        value.begun = inv;
        value.take(inv, res);
        Ok(())
    }

    /// Takes a cas that happened.
    ///
    /// # Errors
    /// Where another replaced the same value.
    fn replace(&mut self, from: Id, to: Id) -> Result<(), Open> {
        let (from, to) = (self.number(from), self.number(to));
        self.link(from, to)
    }

    fn link(&mut self, from: u32, to: u32) -> Result<(), Open> {
        if self.next.len() < self.values.len() {
            self.next.resize(self.values.len(), NO_VALUE);
            self.is_next.resize(self.values.len(), false);
        }
        self.values[from as usize].s |= OBSERVED;
        self.is_next[to as usize] = true;
        self.links += 1;
        match std::mem::replace(&mut self.next[from as usize], to) {
            NO_VALUE => Ok(()),
            _ => Err(Open::Other),
        }
    }

    fn perhaps_replace(&mut self, from: Id, to: Id) {
        let both = (self.number(from), self.number(to));
        self.perhaps.push(both);
    }

    /// Whether the blocks can stand one after the other.
    ///
    /// # Errors
    /// Where they cannot, or something else is wrong with them.
    fn are_consecutive(&mut self) -> Result<(), Open> {
        self.settle()?;
        let mut followed = 0;
        for value in 0..self.values.len() {
            if !self.is_next.get(value).is_some_and(|&is| is) {
                followed += self.block(value)?;
            }
        }
        // Those that no chain reaches rest on one another in a circle.
        if followed < self.links {
            return Err(Open::Other);
        }
        self.blocks.sort_unstable();
        let mut reach = 0;
        for (lesser, greater, is_forward) in self.blocks.iter().map(|&block| unpacked(block)) {
            let first_that_must_be_out = if is_forward { lesser } else { greater };
            if first_that_must_be_out < reach {
                return Err(Open::Other);
            }
            if is_forward {
                reach = greater;
            }
        }
        Ok(())
    }

    /// Of the cas of which nobody knows, takes those that happened: something that happened found their value.
    fn settle(&mut self) -> Result<(), Open> {
        let perhaps = std::mem::take(&mut self.perhaps);
        let by_value: FxHashMap<u32, u32> = perhaps.iter().map(|&(from, to)| (to, from)).collect();
        let observed = |&&(_, to): &&(u32, u32)| self.values[to as usize].is_observed();
        let mut work: Vec<(u32, u32)> = perhaps.iter().filter(observed).copied().collect();
        while let Some((from, to)) = work.pop() {
            let known = self.values[from as usize].is_observed();
            self.link(from, to)?;
            if let (false, Some(&before)) = (known, by_value.get(&from)) {
                work.push((before, from));
            }
        }
        Ok(())
    }

    /// Adds the block that begins with a value; says how many links it has.
    fn block(&mut self, root: usize) -> Result<usize, Open> {
        // Nothing comes before the initial value.
        let mut f = if root == 0 { 0 } else { OPEN };
        let (mut s, mut links) = (0, 0);
        let mut at = root;
        loop {
            let value = self.values[at];
            if value.f < value.begun || value.f < s || value.is_observed() && value.begun == NOBODY
            {
                return Err(Open::Other);
            }
            (f, s) = (f.min(value.f), s.max(value.s()));
            match self.next.get(at) {
                Some(&next) if next != NO_VALUE => at = next as usize,
                _ => break,
            }
            links += 1;
        }
        // Nobody wrote it, or nobody knows whether anybody did, as nothing saw it; so with the initial value.
        let is_seen = root != 0 || self.values[0].is_observed();
        if f != OPEN && is_seen {
            self.blocks.push(packed(f, s));
        }
        Ok(links)
    }
}

/// A block by `f` and `s`, so that blocks sort by the lesser.
fn packed(f: Pos, s: Pos) -> u64 {
    u64::from(f.min(s)) << 32 | u64::from(f.max(s)) << 1 | u64::from(f < s)
}

/// The lesser of `f` and `s`, the greater, and whether the block is a forward zone.
fn unpacked(block: u64) -> (Pos, Pos, bool) {
    ((block >> 32) as Pos, (block as u32 >> 1) as Pos, block & 1 == 1)
}
