//! What in a history contradicts itself, so that its verdict may be of something else than its writer meant.

use crate::history::{History, Operation};
use crate::values::{Id, NULL};

/// Warnings, a sentence each.
pub fn warnings(history: &History) -> Vec<String> {
    [times_go_back(history), keys_in_values(history)].into_iter().flatten().collect()
}

fn times_go_back(history: &History) -> Option<String> {
    let (pos, back) = history.times_go_back?;
    let seconds = back as f64 / 1e9;
    Some(format!(
        "times go back: that of line {} is {seconds} s before one on an earlier line; the order is that of the lines, \
         so if these are logs of several clients one behind the other, sort them by time",
        history.line(pos)
    ))
}

/// Whether values are pairs throughout and reads ask for `[key, null]`, as `jepsen.independent` has them.
fn keys_in_values(history: &History) -> Option<String> {
    let pair = |id: Id| history.values.list(id).filter(|items| items.len() == 2);
    let is_pair = |op: Operation| op.key.is_none() && op.value.and_then(pair).is_some();
    if history.ops.is_empty() || !history.ops.iter().all(is_pair) {
        return None;
    }
    let asks = |id: Id| pair(id).is_some_and(|items| items[0] != NULL && items[1] == NULL);
    history.values.ids().any(asks).then(|| {
        "every value is a pair and reads ask for [KEY, null]; if these are keys and values, as jepsen.independent \
         writes them, add --keyed"
            .into()
    })
}
