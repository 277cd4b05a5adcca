//! One thing that a check found, as data; text and JSON are made from it.

use crate::values::Id;

/// One thing that a check found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The name of its kind in JSON: `lost`, `not-linearizable`.
    pub kind: &'static str,
    /// Of which object.
    pub key: Option<Id>,
    /// The lines of operations that show it; of many, the first ones.
    pub lines: Vec<u32>,
    /// What is wrong, in one clause.
    pub explanation: String,
    /// What text says before the evidence; empty if the sentence of the verdict says it already.
    pub title: String,
    /// What shows it to people.
    pub evidence: Evidence,
}

/// What shows a finding to people.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// The title says it all.
    Nothing,
    /// These values.
    Values(Vec<Id>),
    /// Rows of a picture, one below the other.
    Rows(Vec<String>),
}

/// One thing that a reader would ask next.
#[derive(Debug, Clone)]
pub enum Detail {
    /// A finding.
    Found(Finding),
    /// A remark or a figure, on a line of its own; it may be indented.
    Said(String),
}
