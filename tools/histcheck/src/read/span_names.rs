//! The names of the times of a whole operation.

/// What the times between which an operation lies are called.
pub const NAMES: [(&str, &str); 6] = [
    ("start", "end"),
    ("start_time", "end_time"),
    ("invoke", "complete"),
    ("invoke_time", "complete_time"),
    ("call", "return"),
    ("call_time", "return_time"),
];
