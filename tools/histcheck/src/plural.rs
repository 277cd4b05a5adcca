//! Counts in words.

/// `1 line`, `2 lines`.
pub fn many(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
