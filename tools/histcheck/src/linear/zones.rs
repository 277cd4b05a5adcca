//! Registers whose observed values were each written once: decided by zones, without search.
//!
//! Gibbons and Korach (1997), extended to compare-and-set by *chains*. Because each observed value has one
//! writer, all operations on one chain of values (a write, the reads of its value, the cas that replaced it,
//! the reads of the new value, ...) stand together in every legal order, as one block. Let `f` be the first
//! return in a block and `s` its last invocation. Block A must stand before block B iff `f(A) < s(B)`, and
//! this relation has a cycle iff it has one of length two:
//!
//! - a block with `f < s` is a *forward* zone: no two of these may overlap;
//! - the others are *backward* zones: none may lie strictly inside a forward one.
//!
//! Proof of the claim: on a cycle take A with the least `f`, C before it (C must precede A) and X before C;
//! then `f(A) <= f(X) < s(C)`, so A must precede C as well. n operations take O(n log n).

use rustc_hash::FxHashMap;

use super::object::{self, Fast};
use super::op::{Act, Fate, Op};
use crate::budget::{Budget, Exhausted, Watch};
use crate::history::Pos;
use crate::values::Id;

/// What the zones say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zones {
    /// A legal order exists.
    Valid,
    /// None does, and these operations alone show it.
    Invalid(Conflict),
    /// An observed value has several writers, or a cas says only what the value was not: another engine must
    /// decide.
    Ambiguous,
}

/// Why no legal order exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The reason.
    pub reason: Reason,
    /// The operations that show it, by their index, with all that they need to stand on their own.
    pub ops: Vec<usize>,
    /// Those of `ops` that are cas operations taken as writes: what they compared with does not matter here.
    pub relaxed: Vec<usize>,
}

/// A reason, naming operations by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A value was observed that nobody wrote.
    NeverWritten(usize),
    /// A value was observed whose only writers failed; one of them.
    Aborted(usize, usize),
    /// Two cas operations replaced the same value, which was written once.
    ReplacedTwice(usize, usize),
    /// Cas operations justify each other in a circle.
    Circle(usize),
    /// The first must stand after the second, but returned before that was invoked.
    Backwards(usize, usize),
    /// The first returned before the second was invoked, so its block stands first; and the third before the
    /// fourth, so the blocks stand the other way round. The first or third may be [`INITIAL`].
    Torn([usize; 4]),
}

/// The index of the pseudo-write of the initial value, before all else.
pub const INITIAL: usize = usize::MAX;

/// Decides a few operations.
pub fn decide(ops: &[Op], initial: Id) -> Zones {
    // Without a limit none is reached.
    decide_within(ops, initial, &Budget::none()).unwrap_or(Zones::Ambiguous)
}

/// Decides.
///
/// # Errors
/// The limit that was reached.
pub fn decide_within(ops: &[Op], initial: Id, budget: &Budget) -> Result<Zones, Exhausted> {
    let is_negative = |op: &Op| matches!(op.act, Act::Differs(_));
    if ops.iter().any(is_negative) {
        return Ok(Zones::Ambiguous);
    }
    let mut watch = budget.watch();
    let writers = match Writers::find(ops, initial, &mut watch)? {
        Ok(writers) => writers,
        Err(answer) => return Ok(answer),
    };
    Ok(match by_blocks(ops, initial, &writers, &mut watch)? {
        Zones::Invalid(conflict) => Zones::Invalid(conflict.with_witnesses(&writers.seen_by)),
        other => other,
    })
}

/// A legal order of all that happened, where [`decide`] says valid.
///
/// Blocks stand in the order of the lesser of `f` and `s`: if A must stand before B, so that `f(A) < s(B)`, and no
/// forward zone holds a backward one or overlaps another, the lesser of A's two comes first.
pub fn order(ops: &[Op], initial: Id) -> Option<Vec<usize>> {
    let budget = Budget::none();
    let watch = &mut budget.watch();
    let writers = Writers::find(ops, initial, watch).ok()?.ok()?;
    let links = Links::find(ops, &writers, watch).ok()?.ok()?;
    let mut reached = vec![false; ops.len()];
    let mut blocks: Vec<(Pos, Vec<usize>)> = Vec::new();
    for root in links.roots(ops, &writers, initial) {
        let block = links.walk(ops, root, &mut reached).ok()??;
        // The initial value stands before all else.
        let place = if root.0 == INITIAL { 0 } else { block.f.min(block.s) };
        blocks.push((place, links.members(ops, root)));
    }
    blocks.sort_by_key(|&(place, _)| place);
    Some(blocks.into_iter().flat_map(|(_, members)| members).collect())
}

/// A conflict among operations that stand for those of another object, which their `source` names, in its words.
pub fn reason(conflict: &Conflict, ops: &[Op]) -> Fast {
    let (text, named): (_, Vec<usize>) = match conflict.reason {
        Reason::NeverWritten(at) => ("{} saw what nobody wrote", vec![at]),
        Reason::Aborted(at, writer) => {
            ("{} saw what only {} wrote, and that failed", vec![at, writer])
        }
        Reason::ReplacedTwice(a, b) => {
            ("{} and {} found the same value, which had been there only once", vec![a, b])
        }
        Reason::Circle(at) => ("{} rests, in a circle, on what rests on it", vec![at]),
        Reason::Backwards(later, earlier) => {
            ("{} had ended before {}, on which it rests, began", vec![later, earlier])
        }
        Reason::Torn([INITIAL, b, c, d] | [c, d, INITIAL, b]) => {
            ("{} stands at the beginning, yet {} had ended before {} began", vec![b, c, d])
        }
        Reason::Torn([a, b, c, d]) => (
            "{} had ended before {} began, and {} before {}, which stand the other way round",
            vec![a, b, c, d],
        ),
    };
    // The first operations are those in the sentence; the others complete the proof.
    let mut all: Vec<usize> = named;
    all.retain(|&at| at != INITIAL);
    Fast::Invalid(object::Reason {
        text,
        ops: all.iter().map(|&at| ops[at].source).collect(),
        lacks_cause: matches!(conflict.reason, Reason::NeverWritten(_) | Reason::Aborted(..)),
    })
}

/// Decides what the written values themselves do not decide.
fn by_blocks(
    ops: &[Op],
    initial: Id,
    writers: &Writers,
    watch: &mut Watch<'_>,
) -> Result<Zones, Exhausted> {
    let links = match Links::find(ops, writers, watch)? {
        Ok(links) => links,
        Err(conflict) => return Ok(Zones::Invalid(conflict)),
    };
    let mut blocks = Vec::new();
    let mut reached = vec![false; ops.len()];
    for root in links.roots(ops, writers, initial) {
        watch.step()?;
        match links.walk(ops, root, &mut reached) {
            Ok(block) => blocks.extend(block),
            Err(conflict) => return Ok(Zones::Invalid(conflict)),
        }
    }
    if let Some(lost) = (0..ops.len()).find(|&i| writers.happened[i] && !reached[i]) {
        return Ok(Zones::Invalid(circle(ops, writers, lost)));
    }
    Ok(match torn(&blocks) {
        Some((a, b)) => Zones::Invalid(tear(ops, &blocks[a], &blocks[b])),
        None => Zones::Valid,
    })
}

/// Who wrote each observed value, and which operations must have happened.
struct Writers {
    of: FxHashMap<Id, usize>,
    happened: Vec<bool>,
    /// For each info operation that must have happened, an operation that saw its value.
    seen_by: FxHashMap<usize, usize>,
}

impl Conflict {
    /// With the operations that show that the info operations among these happened.
    fn with_witnesses(mut self, seen_by: &FxHashMap<usize, usize>) -> Conflict {
        let mut at = 0;
        while at < self.ops.len() {
            if let Some(&witness) = seen_by.get(&self.ops[at]) {
                if !self.ops.contains(&witness) {
                    self.ops.push(witness);
                }
                // As a write it would have seen nothing.
                self.relaxed.retain(|&op| op != witness);
            }
            at += 1;
        }
        self
    }
}

impl Writers {
    fn find(
        ops: &[Op],
        initial: Id,
        watch: &mut Watch<'_>,
    ) -> Result<Result<Writers, Zones>, Exhausted> {
        let mut candidates: FxHashMap<Id, (usize, usize)> = FxHashMap::default();
        let mut failed: FxHashMap<Id, usize> = FxHashMap::default();
        for (index, op) in ops.iter().enumerate() {
            watch.step()?;
            let Some(value) = op.act.puts() else { continue };
            if op.fate == Fate::Fail {
                failed.entry(value).or_insert(index);
            } else {
                candidates.entry(value).and_modify(|(_, n)| *n += 1).or_insert((index, 1));
            }
        }
        let mut happened: Vec<bool> = ops.iter().map(|op| op.fate == Fate::Ok).collect();
        let mut known = (0..ops.len()).filter(|&index| ops[index].fate == Fate::Ok);
        // What must have happened because of those.
        let mut work: Vec<usize> = Vec::new();
        let (mut of, mut seen_by) = (FxHashMap::default(), FxHashMap::default());
        let mut ambiguous = false;
        while let Some(observer) = work.pop().or_else(|| known.next()) {
            watch.step()?;
            let Some(value) = ops[observer].act.observes() else { continue };
            match (candidates.get(&value), value == initial) {
                (None, true) => {}
                (None, false) => {
                    let conflict = unwritten(observer, failed.get(&value).copied());
                    return Ok(Err(Zones::Invalid(conflict.with_witnesses(&seen_by))));
                }
                (Some(&(writer, 1)), false) => {
                    of.insert(value, writer);
                    if !happened[writer] {
                        happened[writer] = true;
                        seen_by.insert(writer, observer);
                        work.push(writer);
                    }
                }
                (Some(_), _) => ambiguous = true,
            }
        }
        Ok(match ambiguous {
            true => Err(Zones::Ambiguous),
            false => Ok(Writers { of, happened, seen_by }),
        })
    }
}

fn unwritten(observer: usize, failed: Option<usize>) -> Conflict {
    let mut ops = vec![observer];
    ops.extend(failed);
    let reason = match failed {
        Some(writer) => Reason::Aborted(observer, writer),
        None => Reason::NeverWritten(observer),
    };
    Conflict { reason, ops, relaxed: Vec::new() }
}

/// Which operations read each value, and which cas replaced it.
#[derive(Default)]
struct Links {
    reads: FxHashMap<Id, Vec<usize>>,
    next: FxHashMap<Id, usize>,
}

impl Links {
    fn find(
        ops: &[Op],
        writers: &Writers,
        watch: &mut Watch<'_>,
    ) -> Result<Result<Links, Conflict>, Exhausted> {
        let mut links = Links::default();
        for (index, op) in ops.iter().enumerate().filter(|(index, _)| writers.happened[*index]) {
            watch.step()?;
            match op.act {
                Act::Read(value) => links.reads.entry(value).or_default().push(index),
                Act::Cas(from, _) => {
                    if let Some(other) = links.next.insert(from, index) {
                        return Ok(Err(twice(ops, writers, other, index)));
                    }
                }
                Act::Write(_) | Act::Differs(_) => {}
            }
        }
        Ok(Ok(links))
    }

    /// Where chains begin: the initial value, and each write that happened.
    fn roots(&self, ops: &[Op], writers: &Writers, initial: Id) -> Vec<(usize, Id)> {
        let writes = ops.iter().enumerate().filter_map(|(index, op)| match op.act {
            Act::Write(value) if writers.happened[index] => Some((index, value)),
            _ => None,
        });
        // An unobserved value may have been written several times: each is a chain of its own.
        let observed =
            |value: Id| self.reads.contains_key(&value) || self.next.contains_key(&value);
        let start = observed(initial).then_some((INITIAL, initial));
        start.into_iter().chain(writes).collect()
    }

    /// The operations of the block that begins with `root`, in a legal order.
    fn members(&self, ops: &[Op], (root, value): (usize, Id)) -> Vec<usize> {
        let mut all = vec![root];
        let mut value = value;
        loop {
            let mut reads = self.reads.get(&value).cloned().unwrap_or_default();
            reads.sort_unstable_by_key(|&index| ops[index].inv);
            all.extend(reads);
            let Some(&cas) = self.next.get(&value) else { break };
            all.push(cas);
            value = ops[cas].act.puts().unwrap_or(value);
        }
        all.retain(|&index| index != INITIAL);
        all
    }

    /// The block that begins with `root`, in layers: a writer, the reads of its value, the cas that replaced it.
    fn walk(
        &self,
        ops: &[Op],
        (root, value): (usize, Id),
        reached: &mut [bool],
    ) -> Result<Option<Block>, Conflict> {
        let mut block = Block::begin(root);
        let (mut writer, mut value) = (root, value);
        let mut layer = 0;
        loop {
            block.layer(ops, &[writer], layer, reached).map_err(|pair| backwards(ops, pair))?;
            let reads = self.reads.get(&value).map_or(&[][..], Vec::as_slice);
            block.layer(ops, reads, layer + 1, reached).map_err(|pair| backwards(ops, pair))?;
            match self.next.get(&value) {
                Some(&cas) if !reached[cas] => {
                    writer = cas;
                    value = ops[cas].act.puts().unwrap_or(value);
                    layer += 2;
                }
                _ => return Ok(Some(block)),
            }
        }
    }
}

fn backwards(ops: &[Op], (later, earlier): (Member, Member)) -> Conflict {
    let (ops, relaxed) = with_links(ops, &[earlier, later]);
    Conflict { reason: Reason::Backwards(later.op, earlier.op), ops, relaxed }
}

fn tear(ops: &[Op], a: &Block, b: &Block) -> Conflict {
    let reason = Reason::Torn([a.first.op, b.last.op, b.first.op, a.last.op]);
    let (mut members, mut relaxed) = with_links(ops, &[a.first, a.last]);
    let (more, more_relaxed) = with_links(ops, &[b.first, b.last]);
    members.extend(more);
    relaxed.extend(more_relaxed);
    Conflict { reason, ops: members, relaxed }
}

/// The members of one block with the writers that hold them together, the first of which, where it is a
/// cas, stands for a write: what came before it does not matter.
fn with_links(ops: &[Op], members: &[Member]) -> (Vec<usize>, Vec<usize>) {
    let mut all: Vec<usize> = members.iter().map(|member| member.op).collect();
    let layers = || members.iter().map(|member| member.layer / 2);
    let (low, high) = (layers().min().unwrap_or(0), layers().max().unwrap_or(0));
    let highest = members.iter().find(|member| member.layer / 2 == high);
    let mut writer = highest.and_then(|member| match member.layer % 2 {
        0 => Some(member.op),
        _ => writer_of(ops, ops[member.op].act.observes()?),
    });
    // Down from the highest layer: each writer observes the value of the one below.
    let mut relaxed = Vec::new();
    for layer in (low..=high).rev() {
        let Some(link) = writer.filter(|&link| link != INITIAL) else { break };
        all.push(link);
        if layer == low && matches!(ops[link].act, Act::Cas(..)) {
            relaxed.push(link);
        }
        writer = ops[link].act.observes().and_then(|value| writer_of(ops, value));
    }
    all.sort_unstable();
    all.dedup();
    all.retain(|&op| op != INITIAL);
    (all, relaxed)
}

/// The one writer of an observed value. Looked for only where a conflict ends the decision.
fn writer_of(ops: &[Op], value: Id) -> Option<usize> {
    ops.iter().position(|op| op.fate != Fate::Fail && op.act.puts() == Some(value))
}

fn twice(ops: &[Op], writers: &Writers, first: usize, second: usize) -> Conflict {
    let writer = ops[first].act.observes().and_then(|value| writers.of.get(&value));
    let mut members = vec![first, second];
    let relaxed = writer.filter(|&&w| matches!(ops[w].act, Act::Cas(..))).copied();
    members.extend(writer);
    Conflict {
        reason: Reason::ReplacedTwice(first, second),
        ops: members,
        relaxed: relaxed.into_iter().collect(),
    }
}

/// The circle of cas operations that `lost`, unreachable from any write, hangs on.
fn circle(ops: &[Op], writers: &Writers, lost: usize) -> Conflict {
    let mut at = lost;
    let mut path: Vec<usize> = Vec::new();
    loop {
        if let Some(begin) = path.iter().position(|&op| op == at) {
            let ops = path.split_off(begin);
            return Conflict { reason: Reason::Circle(at), ops, relaxed: Vec::new() };
        }
        path.push(at);
        match ops[at].act.observes().and_then(|value| writers.of.get(&value)) {
            Some(&writer) => at = writer,
            // Whatever observes the initial value is reached; so is a write. This cannot be.
            None => return Conflict { reason: Reason::Circle(at), ops: path, relaxed: Vec::new() },
        }
    }
}

/// An operation of a block, with its layer; [`INITIAL`] is the initial value's pseudo-write at place 0.
#[derive(Clone, Copy, Debug)]
struct Member {
    op: usize,
    layer: usize,
}

/// The operations of one chain, which stand together.
#[derive(Debug)]
struct Block {
    f: Pos,
    first: Member,
    s: Pos,
    last: Member,
}

impl Block {
    fn begin(root: usize) -> Block {
        let member = Member { op: root, layer: 0 };
        Block { f: Pos::MAX, first: member, s: 0, last: member }
    }

    /// Adds a layer; gives the operation that returned before one of an earlier layer was invoked, and that one.
    fn layer(
        &mut self,
        ops: &[Op],
        members: &[usize],
        layer: usize,
        reached: &mut [bool],
    ) -> Result<(), (Member, Member)> {
        let before = (self.s, self.last);
        for &index in members {
            let member = Member { op: index, layer };
            let (inv, res) = match ops.get(index) {
                Some(op) => {
                    reached[index] = true;
                    (op.inv, op.res)
                }
                None => (0, 0),
            };
            if index != INITIAL && res < before.0 {
                return Err((member, before.1));
            }
            if res < self.f {
                (self.f, self.first) = (res, member);
            }
            if inv > self.s {
                (self.s, self.last) = (inv, member);
            }
        }
        Ok(())
    }

    fn is_forward(&self) -> bool {
        self.f < self.s
    }
}

/// Two blocks each of which must precede the other, by their index.
fn torn(blocks: &[Block]) -> Option<(usize, usize)> {
    let mut forward: Vec<usize> = (0..blocks.len()).filter(|&i| blocks[i].is_forward()).collect();
    forward.sort_unstable_by_key(|&i| blocks[i].f);
    for pair in forward.windows(2) {
        if blocks[pair[1]].f < blocks[pair[0]].s {
            return Some((pair[0], pair[1]));
        }
    }
    (0..blocks.len()).filter(|&i| !blocks[i].is_forward()).find_map(|inner| {
        let after = forward.partition_point(|&i| blocks[i].f < blocks[inner].s);
        let outer = forward[after.checked_sub(1)?];
        (blocks[inner].f < blocks[outer].s).then_some((outer, inner))
    })
}
