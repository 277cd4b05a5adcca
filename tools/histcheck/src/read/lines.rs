//! JSON lines: one JSON object a line. They are no text: [`super::blocks`] and [`super::line_template`] read them.

use breakit::op::Op;

use super::format::{Events, Head, Kind, Likeness, Written};

/// The format.
pub const JSONL: Kind = Kind {
    name: "jsonl",
    doc: "One JSON object a line, as `workload` writes them",
    unit: "line",
    has_real_time: true,
    is_process_optional: false,
    looks,
    events: Events::InLines,
    written: Some(WRITTEN),
};

/// How it is written.
pub const WRITTEN: Written = Written { header: String::new, event: |op| Ok(Op::line(op)) };

fn looks(head: &Head<'_>) -> Likeness {
    let is_object = head.text.starts_with(b"{");
    Likeness::Likely.only_if(
        is_object
            && match head.in_brace() {
                // An object that goes on behind its first line is one of many lines.
                Some([b'"', ..]) => head.line != b"{",
                Some([b'}', ..] | []) => true,
                _ => false,
            },
    )
}
