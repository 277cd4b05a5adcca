//! A few operations as a picture in text: time runs to the right, one row an operation.

use super::fault_bands::Band;
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

/// Draws the operations, each with its row's words, and below them the faults, as lines of equal indent.
///
/// `|--|` is an operation from its invocation to its return, `|--...` one that may take effect at any later
/// time, `x--x` one that failed, `~~~` a fault in force. Places are ranks: what lies between is left out.
pub fn draw<A>(ops: &[Op<A>], rows: &[Row], bands: &[Band]) -> Vec<String> {
    let ranks = ranks(ops);
    let labels = rows.iter().map(|row| &row.label).chain(bands.iter().map(|band| &band.label));
    let width = labels.map(|label| label.chars().count()).max().unwrap_or(0);
    let span = ranks.len() * STEP + OPEN_TAIL.len();
    let line = |label: &str, bar: String, remark: &str| {
        let line = format!("{label:width$}  {bar:span$}  {remark}");
        line.trim_end().to_string()
    };
    let ops = ops.iter().zip(rows).map(|(op, row)| line(&row.label, bar(op, &ranks), &row.remark));
    let bands = bands.iter().map(|band| line(&band.label, stretch(band, &ranks), &band.remark));
    ops.chain(bands).collect()
}

/// From behind the last rank before the fault to before the first behind it.
fn stretch(band: &Band, ranks: &[Pos]) -> String {
    let (from, until) = band.columns(ranks);
    let from = (from * STEP).saturating_sub(STEP - 1);
    let until = if band.until == OPEN { ranks.len() * STEP } else { until * STEP - 1 };
    format!("{}{}", " ".repeat(from), "~".repeat(until.saturating_sub(from).max(1)))
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
        let picture = draw(&ops, &[row("a"), row("bb"), row("c")], &[]);
        assert_eq!(
            picture,
            ["a   |-----|             r", "bb     |-----------...  r", "c            |--|       r",]
        );
    }

    #[test]
    fn a_band_lies_between_what_came_before_its_fault_and_what_came_behind() {
        let op = |inv, res| Op { act: (), fate: Fate::Ok, inv, res, source: 0 };
        let ops = [op(10, 20), op(30, 40)];
        let row = Row { label: "a".into(), remark: String::new() };
        for (from, until, drawn) in [
            (15, 35, " ~~~~~~~"),
            (1, 25, "~~~~~"),
            (21, 22, "    ~"),
            (35, OPEN, "       ~~~~~"),
            (1, OPEN, "~~~~~~~~~~~~"),
        ] {
            let band = Band { label: "x".into(), remark: String::new(), from, until };
            let picture = draw(&ops, &[row.clone(), row.clone()], &[band]);
            assert_eq!(picture[0], "a  |--|");
            assert_eq!(picture[1], "a        |--|");
            assert_eq!(picture[2], format!("x  {drawn}"), "{from} to {until}");
        }
    }
}
