//! `histcheck convert`: a history in another format, without loss.

use std::path::Path;

use breakit::exit::{Result, Status};
use breakit::jsonl;
use breakit::messages;
use breakit::op::{Op, Type};
use serde_json::Value;

use crate::budget::Budget;
use crate::clients::Clients;
use crate::plural::many;
use crate::read::format::Written;
use crate::read::position::Place;
use crate::read::text::Item;
use crate::read::{self, Options};

/// So many bytes go out at once.
const BATCH: usize = 1 << 16;

/// Reads the history at `path` and writes it on stdout as `to`.
///
/// # Errors
/// 65 for what is no history or cannot be said in that format; where stdout takes nothing more.
pub fn run(path: &Path, to: Written, options: Options) -> Result<Status> {
    let (name, source) = read::open(path)?;
    let mut out = (to.header)();
    let (mut blank, mut remarks, mut cut, mut unclosed) = (0_u64, 0_u64, 0_u64, false);
    let mut clients = Clients::except(options.not_clients);
    let format = read::events::each(&name, source, options, &mut |site, item| {
        match item {
            Item::Blank => blank += 1,
            Item::Remark => remarks += 1,
            Item::Cut => cut += 1,
            // What they separate is told apart by process and line.
            Item::Rule => {}
            Item::Unclosed => unclosed = true,
            item @ (Item::Op(_) | Item::InLane(..)) => {
                let Some(mut op) = item.event() else { return Ok(()) };
                let wrong = |clause: String| site.error_at("value", &name, &clause);
                if options.keyed && clients.number(&op.process, op.kind).is_some() {
                    unwrap_key(&mut op).map_err(wrong)?;
                }
                out += &written(&op, to).map_err(wrong)?;
                out.push('\n');
            }
        }
        if out.len() >= BATCH {
            within(options.budget, 0, site.place, &name)?;
            jsonl::print_text(&out)?;
            out.clear();
        }
        Ok(())
    })?;
    jsonl::print_text(&out)?;
    for (number, what) in
        [(blank, "blank"), (remarks, "of a log that are no events"), (cut, "cut short")]
    {
        if number > 0 {
            messages::say(format!("{name}: left out: {} {what}", many(number, "line")));
        }
    }
    if unclosed {
        messages::say(format!("{name}: the bracket around its events is not closed"));
    }
    if !format.has_real_time {
        messages::say(format!(
            "{name}: it does not say which transaction ended before one of another session began; the \
             order of the lines written here says nothing of it either"
        ));
    }
    Ok(Status::Done)
}

/// Refuses to go on beyond a limit, of which `place` says how far it let us come, or where `more` bytes would reach it.
///
/// # Errors
/// 2 where it is reached.
pub fn within(budget: Option<Budget>, more: usize, place: Place, name: &str) -> Result<()> {
    match budget.map_or(Ok(()), |budget| budget.room_for(more)) {
        Ok(()) => Ok(()),
        Err(limit) => Err(read::out_of(limit, &format!("{name}, line {}: {limit}", place.line))),
    }
}

/// Values within one another deeper than this are not written: `serde_json` reads 127 levels, of which a line and
/// what EDN wraps take some.
const DEEPEST: usize = 100;

/// An event in a format, without its newline.
///
/// # Errors
/// In words, where that cannot hold it, or could not be read again.
pub fn written(op: &Op, to: Written) -> std::result::Result<String, String> {
    let values = [&op.key, &op.value, &op.error].into_iter().flatten().chain(op.extra.values());
    if values.into_iter().any(|value| is_deeper(value, DEEPEST)) {
        return Err(format!("more than {DEEPEST} values within one another"));
    }
    (to.event)(op)
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match (value, levels) {
        (Value::Array(_) | Value::Object(_), 0) => true,
        (Value::Array(items), _) => items.iter().any(|item| is_deeper(item, levels - 1)),
        (Value::Object(fields), _) => fields.values().any(|item| is_deeper(item, levels - 1)),
        _ => false,
    }
}

/// Of a client's event `[key, value]` to key and value, as `--keyed` says. A completion without a value has those of
/// its invocation.
fn unwrap_key(op: &mut Op) -> std::result::Result<(), String> {
    if op.key.is_some() {
        return Ok(());
    }
    match op.value.take() {
        Some(Value::Array(mut pair)) if pair.len() == 2 => {
            op.value = pair.pop();
            op.key = pair.pop();
            Ok(())
        }
        Some(other) => Err(format!("with --keyed the value must be [key, value], not {other}")),
        None if op.kind != Type::Invoke => Ok(()),
        None => Err("with --keyed every operation has a value [key, value]".into()),
    }
}
