//! The names of chains and sets of ours, which are shorter than those of tables.

use crate::rules::PREFIX;

/// What chains and sets of ours are called in place of [`PREFIX`]: a chain's name has 28 letters at the most.
pub const SHORT: &str = "bkp_";

/// A cut's name in chains and sets.
pub fn short(name: &str) -> String {
    format!("{SHORT}{}", name.strip_prefix(PREFIX).unwrap_or(name))
}
