//! A few operations as a standalone SVG: the diagram for a report or a bug tracker.

use std::fmt::Write;

use breakit::escape;

use super::diagram::{Row, ranks};
use super::fault_bands::Band;
use super::op::{Fate, Op};
use crate::history::OPEN;

const ROW: usize = 28;
const STEP: usize = 26;
/// Of a character of the label, on average.
const CHARACTER: usize = 8;
const MARGIN: usize = 16;

/// Draws the operations, each with its words, under a title, with the faults as bands behind them. Time runs to the
/// right; places are ranks.
pub fn draw(title: &str, rows: &[(Op<()>, Row)], bands: &[Band]) -> String {
    let ops: Vec<Op<()>> = rows.iter().map(|(op, _)| *op).collect();
    let ranks = ranks(&ops);
    let widest = |words: Vec<&String>| {
        words.iter().map(|word| word.chars().count()).max().unwrap_or(0) * CHARACTER
    };
    let labels = rows.iter().map(|(_, row)| &row.label).chain(bands.iter().map(|band| &band.label));
    let remarks =
        rows.iter().map(|(_, row)| &row.remark).chain(bands.iter().map(|band| &band.remark));
    let left = MARGIN + widest(labels.collect()) + MARGIN;
    let right = left + (ranks.len() + 1) * STEP;
    let width = (right + MARGIN + widest(remarks.collect()))
        .max(MARGIN * 2 + title.chars().count() * CHARACTER);
    let height = MARGIN * 2 + ROW * (rows.len() + bands.len() + 1);
    let column = |pos| left + ranks.partition_point(|&rank| rank < pos) * STEP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"13\">\n\
         <title>{0}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"{1}\" font-weight=\"bold\">{0}</text>\n",
        escaped(title),
        MARGIN + 8,
    );
    for (at, band) in bands.iter().enumerate() {
        let y = MARGIN + ROW * (rows.len() + at + 1);
        let (before, until) = band.columns(&ranks);
        let from = (left + before * STEP).saturating_sub(STEP / 2);
        let to = if band.until == OPEN { right } else { left + until * STEP - STEP / 2 };
        let words = Row { label: band.label.clone(), remark: band.remark.clone() };
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#fb6a4a\" fill-opacity=\"0.2\"/>",
            MARGIN + ROW - 6,
            to.saturating_sub(from).max(3),
            y + 16 - (MARGIN + ROW - 6),
        );
        write_words(&mut svg, &words, y + 13, right + MARGIN);
    }
    for (at, (op, row)) in rows.iter().enumerate() {
        let y = MARGIN + ROW * (at + 1);
        let (from, to) = (column(op.inv), if op.res == OPEN { right } else { column(op.res) });
        let (fill, dash) = match op.fate {
            Fate::Ok if op.res != OPEN => ("#c6dbef", ""),
            Fate::Ok | Fate::Info => ("#fdd0a2", " stroke-dasharray=\"5 3\""),
            Fate::Fail => ("#dddddd", " stroke-dasharray=\"2 2\""),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{from}\" y=\"{y}\" width=\"{}\" height=\"16\" fill=\"{fill}\" stroke=\"#333333\"{dash}/>",
            to - from,
        );
        write_words(&mut svg, row, y + 13, right + MARGIN);
    }
    svg += "</svg>\n";
    svg
}

/// What stands before a row and behind it.
fn write_words(svg: &mut String, row: &Row, y: usize, right: usize) {
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>\n<text x=\"{right}\" y=\"{y}\" fill=\"#555555\">{}</text>",
        escaped(&row.label),
        escaped(&row.remark),
    );
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // XML has no control characters; and what turns the direction of writing would turn that of the label.
    for character in escape::line(text).chars() {
        match character {
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '&' => safe += "&amp;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_history_says_is_text_and_never_markup() {
        let op = Op { act: (), fate: Fate::Ok, inv: 1, res: 2, source: 0 };
        let row = Row { label: "<b>&\"".into(), remark: "\u{7}".into() };
        let svg = draw("a < b", &[(op, row)], &[]);
        assert!(svg.contains("&lt;b&gt;&amp;&quot;") && svg.contains("a &lt; b"), "{svg}");
        assert!(!svg.contains('\u{7}'), "{svg}");
    }
}
