//! What can be wrong with elements of a set.

use crate::plural::many;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Acknowledged, and no final read has it.
    Lost,
    /// Never acknowledged, but read once, and no final read has it.
    Vanished,
    /// Read, and never added.
    Unexpected,
    /// Read when every add of it that had begun was one that failed.
    Aborted,
    /// Read before its first add began.
    Early,
    /// More than once in one read.
    Duplicated,
    /// A node's final read lacks it, and another node's has it.
    Missing,
}

/// When a finding makes a history invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// At once: no later read can excuse it.
    AtAnyTime,
    /// At the end of the run, by its final reads.
    AtTheEnd,
    /// Never: it is a remark.
    Never,
}

impl Kind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Kind; 7] = [
        Kind::Lost,
        Kind::Vanished,
        Kind::Unexpected,
        Kind::Aborted,
        Kind::Early,
        Kind::Duplicated,
        Kind::Missing,
    ];

    /// The kinds that a history has one list of elements for; what is missing has one for each node.
    pub fn of_all_nodes() -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| *kind != Kind::Missing)
    }

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lost => "lost",
            Kind::Vanished => "vanished",
            Kind::Unexpected => "unexpected",
            Kind::Aborted => "aborted",
            Kind::Early => "early",
            Kind::Duplicated => "duplicated",
            Kind::Missing => "missing",
        }
    }

    /// The word before a list of such elements in text.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Lost => "lost",
            Kind::Vanished => "read once and gone",
            Kind::Unexpected => "never added and yet read",
            Kind::Aborted => "read although every add failed until then",
            Kind::Early => "read before their add began",
            Kind::Duplicated => "twice in one read",
            Kind::Missing => "missing on a node",
        }
    }

    /// The clause about `count` such elements in a history with `judged` elements that final reads must have.
    pub fn sentence(self, count: usize, judged: usize) -> String {
        let number = elements(count);
        match self {
            Kind::Lost => format!("{count} of {judged} acknowledged writes were lost"),
            Kind::Vanished => format!("{number} had been read and are gone"),
            Kind::Unexpected | Kind::Early | Kind::Duplicated => {
                format!("{number} {}", self.label())
            }
            Kind::Aborted => format!("{number} read although every add of them failed until then"),
            Kind::Missing => "nodes differ in their final reads".into(),
        }
    }

    /// When it makes a history invalid.
    pub fn weight(self) -> Weight {
        match self {
            Kind::Unexpected | Kind::Aborted | Kind::Early => Weight::AtAnyTime,
            Kind::Lost | Kind::Vanished | Kind::Missing => Weight::AtTheEnd,
            Kind::Duplicated => Weight::Never,
        }
    }
}

/// `1 element`, `2 elements`.
pub fn elements(number: usize) -> String {
    many(number as u64, "element")
}
