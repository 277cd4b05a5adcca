//! Made-up histories written down as clients would record them, many in one file: each has a key of its own.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use serde_json::{Value, json};

use super::{Fate, Made, Random, Spec};

/// A file of histories.
pub struct Written {
    pub text: String,
    /// Which history and which of its operations begins at a line.
    pub begins: HashMap<u64, (usize, usize)>,
    /// The history of each line.
    pub keys: Vec<usize>,
}

/// Each history with its place as its key, one after the other.
pub fn written(spec: &Spec, histories: &[Vec<Made>], random: &mut Random) -> Written {
    interleaved(spec, histories, 1, random)
}

/// The same, where the lines of so many histories come in turn, in a random order.
pub fn interleaved(
    spec: &Spec,
    histories: &[Vec<Made>],
    at_once: usize,
    random: &mut Random,
) -> Written {
    let mut written = Written { text: String::new(), begins: HashMap::new(), keys: Vec::new() };
    let mut all: Vec<VecDeque<(u32, bool, usize)>> =
        histories.iter().map(|made| events(made, random)).collect();
    for (group, histories_of) in histories.chunks(at_once).enumerate() {
        let first = group * at_once;
        let mut left: Vec<usize> = (first..first + histories_of.len()).collect();
        while !left.is_empty() {
            let key = left[random.below(left.len() as u32) as usize];
            let Some((_, is_end, at)) = all[key].pop_front() else {
                left.retain(|&other| other != key);
                continue;
            };
            written.keys.push(key);
            if !is_end {
                written.begins.insert(written.keys.len() as u64, (key, at));
            }
            let line = line(spec, &histories[key][at], is_end, key);
            writeln!(written.text, "{line}").unwrap();
        }
    }
    written
}

/// The events of a history in their order: each with its place, whether it is an end, and of which operation.
fn events(made: &[Made], random: &mut Random) -> VecDeque<(u32, bool, usize)> {
    let mut events: Vec<(u32, bool, usize)> = Vec::new();
    for (at, op) in made.iter().enumerate() {
        events.push((op.inv, false, at));
        match op.fate {
            Fate::Info if goes_on(made, at) || random.below(2) == 0 => {
                events.push((op.inv, true, at));
            }
            Fate::Info => {}
            Fate::Weak => events.push((op.inv, true, at)),
            _ => events.push((op.res, true, at)),
        }
    }
    events.sort_unstable();
    events.into()
}

/// Whether its process has more operations.
fn goes_on(made: &[Made], at: usize) -> bool {
    made[at + 1..].iter().any(|op| op.process == made[at].process)
}

fn line(spec: &Spec, op: &Made, is_end: bool, key: usize) -> Value {
    let item = &spec.items[op.item];
    let (kind, value) = match (is_end, op.fate) {
        (false, _) => ("invoke", &item.argument),
        (true, Fate::Ok) => ("ok", &item.result),
        (true, Fate::Info) => ("info", &item.argument),
        (true, Fate::Weak) => ("info", &item.result),
        (true, Fate::Fail) => ("fail", &item.argument),
    };
    let process = key as i64 * 1000 + op.process;
    json!({"process": process, "type": kind, "f": item.f, "key": key, "value": value})
}
