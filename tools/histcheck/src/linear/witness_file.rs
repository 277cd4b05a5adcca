//! What is kept in files: orders of valid keys, and the evidence of an invalid one as SVG.
//!
//! An order is a JSON line an operation, `{"line":N}`, by the line of its invocation, with its `"key"` for those
//! who read along; the orders of all keys stand one after the other. Where several operations begin on one line,
//! as maps of EDN may, `"operation"` says which of the history it is, counted from 0.

use std::collections::HashMap;
use std::path::Path;

use breakit::exit::Result;
use breakit::jsonl::Lines;
use breakit::output::NewFile;
use serde_json::{Value, json};

use super::{Decision, KeyVerdict, explanation, fault_bands, svg as drawing};
use crate::budget::{Budget, Exhausted};
use crate::history::History;
use crate::plural::many;
use crate::read::position::Place;
use crate::values::Id;

/// Writes the orders; says what it wrote.
pub(super) fn witness(history: &History, keys: &[KeyVerdict], path: &Path) -> Result<String> {
    // Lines of JSON hold an event each.
    let by_line = history.reordered.as_ref().map(|_| by_line(history)).unwrap_or_default();
    let mut file = NewFile::create(path)?;
    let (mut found, mut missing) = (0, Vec::new());
    for key in keys {
        let order = match &key.order {
            None => continue,
            Some(Err(why)) => {
                missing.push(why);
                continue;
            }
            Some(Ok(order)) => order,
        };
        found += 1;
        for &index in order {
            let number = history.line(history.ops.get(index).inv);
            let mut line = json!({ "line": number });
            if by_line.get(&number) == Some(&None) {
                line["operation"] = index.into();
            }
            if let Some(key) = key.key {
                line["key"] = history.values.json(key);
            }
            file.write(format!("{line}\n").as_bytes())?;
        }
    }
    file.finish()?;
    let lacking = missing.first().map_or(String::new(), |why| {
        let count = many(missing.len() as u64, "valid key");
        format!("; for {count} none was found, the first as {why}")
    });
    Ok(format!("a legal order of {} is in {}{lacking}", many(found, "key"), path.display()))
}

/// The operation that begins at each line; `None` where several do.
fn by_line(history: &History) -> HashMap<u32, Option<usize>> {
    let mut lines = HashMap::new();
    for (index, op) in history.ops.iter().enumerate() {
        let at_line = lines.entry(history.line(op.inv));
        at_line.and_modify(|known| *known = None).or_insert(Some(index));
    }
    lines
}

/// For each key the operations of the history.
pub(super) type Orders = HashMap<Option<Id>, Vec<usize>>;

/// Reads orders; or says which limit was reached.
pub(super) fn orders(
    history: &History,
    path: &Path,
    budget: &Budget,
) -> Result<std::result::Result<Orders, Exhausted>> {
    let mut lines = Lines::open(path)?;
    let by_line = by_line(history);
    let mut orders = Orders::new();
    let mut watch = budget.watch();
    while let Some((number, line)) = lines.next_line()? {
        if let Err(limit) = watch.steps(1 + line.len()) {
            return Ok(Err(limit));
        }
        let wrong = |clause: &str| Place::of_line(number).error(lines.name(), clause);
        let value: Value = serde_json::from_str(&line).map_err(|_| wrong("this is no JSON"))?;
        let named = value.get("line").and_then(Value::as_u64);
        let named = named.ok_or_else(|| wrong("\"line\" must be the number of a line"))?;
        let at_line = u32::try_from(named).ok().and_then(|line| by_line.get(&line));
        let index = match (at_line, value.get("operation").and_then(Value::as_u64)) {
            (Some(&Some(index)), None) => index,
            (Some(_), Some(operation)) => usize::try_from(operation)
                .ok()
                .filter(|&index| index < history.ops.len())
                .filter(|&index| u64::from(history.line(history.ops.get(index).inv)) == named)
                .ok_or_else(|| wrong("that operation does not begin at that line"))?,
            (Some(None), None) => {
                return Err(wrong(
                    "several operations begin at that line; \"operation\" must say which",
                ));
            }
            (None, _) => return Err(wrong("no operation begins at that line")),
        };
        orders.entry(history.ops.get(index).key).or_default().push(index);
    }
    Ok(Ok(orders))
}

/// Draws the evidence of the first invalid key; says what it did.
pub(super) fn svg(history: &History, keys: &[KeyVerdict], path: &Path) -> Result<String> {
    let invalid = keys.iter().find_map(|key| match &key.decision {
        Decision::Invalid(proof) => Some((key, proof)),
        _ => None,
    });
    let Some((key, proof)) = invalid else {
        return Ok("no picture was drawn, as no key is invalid".into());
    };
    let name = key.key.map_or(String::new(), |key| format!("key {}: ", history.values.show(key)));
    let title = format!("{name}{}", explanation::because(history, proof));
    let rows = explanation::picture(history, proof);
    let ops: Vec<_> = rows.iter().map(|(op, _)| *op).collect();
    let drawn = drawing::draw(&title, &rows, &fault_bands::bands(history, &ops).0);
    let mut file = NewFile::create(path)?;
    file.write(drawn.as_bytes())?;
    file.finish()?;
    Ok(format!("a picture of it is in {}", path.display()))
}
