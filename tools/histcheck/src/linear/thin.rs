//! What a verdict of valid rests on, where that is little.

use super::KeyVerdict;
use crate::history::History;
use crate::plural::many;

/// Below one in so many operations, those that succeeded are few.
const FEW_SUCCEEDED: usize = 2;
/// Below one in so many operations, those that say what the object held are few.
const FEW_OBSERVE: usize = 20;

/// Why the verdict on keys that are all valid rests on little, a clause each; nothing where it does not.
pub fn clauses(history: &History, keys: &[KeyVerdict]) -> Vec<String> {
    let observations: usize = keys.iter().map(|key| key.observations).sum();
    let operations: usize = keys.iter().map(|key| key.operations).sum();
    let unseen = keys.iter().filter(|key| key.observations == 0).count();
    let mut clauses = Vec::new();
    // Lines are counted in 31 bits. A cas that was refused is an answer, and observes.
    let succeeded = (history.counts.ok as usize).max(observations);
    let out_of = |count: usize| format!("only {count} of {}", many(operations as u64, "operation"));
    if succeeded * FEW_SUCCEEDED < operations {
        clauses.push(format!("{} succeeded", out_of(succeeded)));
    } else if observations * FEW_OBSERVE < operations {
        clauses.push(format!("what the object held is known from {}", out_of(observations)));
    }
    if unseen > 0 {
        clauses.push(format!(
            "of {unseen} of {} keys no operation that succeeded says what they held",
            keys.len()
        ));
    }
    clauses
}
