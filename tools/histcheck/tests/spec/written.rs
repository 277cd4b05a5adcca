//! Made-up histories written down as clients would record them, many in one file: each has a key of its own.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{Fate, Made, Random, Spec};

/// A file of histories.
pub struct Written {
    pub text: String,
    /// Which history and which of its operations begins at a line.
    pub begins: HashMap<u64, (usize, usize)>,
}

/// Each history with its place as its key.
pub fn written(spec: &Spec, histories: &[Vec<Made>], random: &mut Random) -> Written {
    let mut written = Written { text: String::new(), begins: HashMap::new() };
    let mut lines = 0;
    for (key, made) in histories.iter().enumerate() {
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
        for (_, is_end, at) in events {
            lines += 1;
            if !is_end {
                written.begins.insert(lines, (key, at));
            }
            let line = line(spec, &made[at], is_end, key);
            writeln!(written.text, "{line}").unwrap();
        }
    }
    written
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
