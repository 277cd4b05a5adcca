//! A few operations as a picture in text: time runs to the right, one row an operation.

use super::op::{Fate, Op};
use crate::history::{OPEN, Pos};

/// A row's words, which the caller knows.
#[derive(Debug, Clone)]
pub struct Row {
    /// Before the bar: who does what.
    pub label: String,
    /// After the bar: lines and remarks.
    pub remark: String,
}

/// Draws the operations, each with its row's words, as lines of equal indent.
///
/// `|--|` is an operation from its invocation to its return, `|--...` one that may take effect at any later
/// time, `x--x` one that failed. Places are ranks: what lies between is left out.
pub fn draw<A>(ops: &[Op<A>], rows: &[Row]) -> Vec<String> {
    let ranks = ranks(ops);
    let width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
    let span = ranks.len() * STEP + OPEN_TAIL.len();
    ops.iter()
        .zip(rows)
        .map(|(op, row)| {
            let bar = bar(op, &ranks);
            let line = format!("{:width$}  {bar:span$}  {}", row.label, row.remark);
            line.trim_end().to_string()
        })
        .collect()
}

const STEP: usize = 3;
const OPEN_TAIL: &str = "...";

pub(super) fn ranks<A>(ops: &[Op<A>]) -> Vec<Pos> {
    let mut ranks: Vec<Pos> =
        ops.iter().flat_map(|op| [op.inv, op.res]).filter(|&pos| pos != OPEN).collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

fn bar<A>(op: &Op<A>, ranks: &[Pos]) -> String {
    let column = |pos: Pos| ranks.partition_point(|&rank| rank < pos) * STEP;
    let from = column(op.inv);
    let edge = if op.fate == Fate::Fail { 'x' } else { '|' };
    let mut bar = " ".repeat(from);
    bar.push(edge);
    if op.res == OPEN {
        let to = ranks.len() * STEP;
        bar += &"-".repeat(to.saturating_sub(from + 1));
        bar += if op.fate == Fate::Fail { "x" } else { OPEN_TAIL };
    } else {
        let to = column(op.res);
        bar += &"-".repeat(to.saturating_sub(from + 1));
        bar.push(edge);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::op::Act;
    use crate::values::Id;

    #[test]
    fn bars_show_what_lies_before_what() {
        let op = |fate, inv, res| Op { act: Act::Write(Id(1)), fate, inv, res, source: 0 };
        let ops = [op(Fate::Ok, 10, 40), op(Fate::Info, 20, OPEN), op(Fate::Ok, 50, 51)];
        let row = |label: &str| Row { label: label.into(), remark: "r".into() };
        let picture = draw(&ops, &[row("a"), row("bb"), row("c")]);
        assert_eq!(
            picture,
            ["a   |-----|             r", "bb     |-----------...  r", "c            |--|       r",]
        );
    }
}
