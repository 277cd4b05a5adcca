//! The events of a history, one after the other, for whoever makes no history of them.

use breakit::exit::Result;
use breakit::op::Op;

use super::blocks::{self, Blocks, RawLine};
use super::clause::Clause;
use super::format::Format;
use super::line::{self, Parsed};
use super::line_template::{self, Layouts};
use super::notation::Json;
use super::packed::Source;
use super::progress::Progress;
use super::source_span::Site;
use super::text::{Item, Take, Text};
use super::{Options, builder, each_in_text, none_quickly, recognise, scan, unreadable_behind};
use crate::clients::Clients;
use crate::history::History;

/// Takes every event of a history, of whatever process, as it stands; returns its format.
///
/// # Errors
/// As [`super::read_path`], and whatever `take` says.
pub fn each(name: &str, source: Source, options: Options, take: Take<'_>) -> Result<Format> {
    let (format, source) = recognise(name, source, options)?;
    if !format.is_lines() {
        let none = Progress::none();
        let text = Text::new(name, source, options.tolerance, &none)?;
        each_in_text(&mut text.within(options.budget), format, &mut none_quickly, take)?;
        return Ok(format);
    }
    let mut blocks = Blocks::new(source).within(options.budget);
    let mut number = 0;
    loop {
        let raw = match blocks.next_line() {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(format),
            Err(error) => return Err(unreadable_behind(name, number, &blocks, &error)),
        };
        number = raw.number;
        let site = Site::line(number, raw.text);
        if raw.text.trim_ascii().is_empty() {
            take(site, Item::Blank)?;
            continue;
        }
        let item = match line::json(raw.text).and_then(|value| Ok(Op::of(value)?)) {
            Ok(op) => Item::Op(Box::new(op)),
            Err(clause) => builder::cut(name, raw, clause, options.tolerance)?,
        };
        take(site, item)?;
    }
}

/// What an event of a history is taken by: where it stands, its text in JSON, what it is, and the history whose values
/// and words it has.
pub type TakeEvent<'a> = &'a mut dyn FnMut(Site<'_>, &[u8], &Parsed, &History) -> Result<()>;

/// Takes every event of a history with its text in JSON; values and words go into `history`.
///
/// # Errors
/// As [`each`].
pub fn each_event(
    name: &str,
    source: Source,
    options: Options,
    history: &mut History,
    take: TakeEvent<'_>,
) -> Result<()> {
    history.clients = Clients::except(options.not_clients);
    let (format, source) = recognise(name, source, options)?;
    if format.is_lines() {
        return each_event_in_lines(name, source, options, history, take);
    }
    let none = Progress::none();
    let mut text = Text::new(name, source, options.tolerance, &none)?.within(options.budget);
    each_in_text(&mut text, format, &mut none_quickly, &mut |site, item| {
        let Some(op) = item.event() else { return Ok(()) };
        let text = op.line();
        let mut parsed = line::of(*op, history).map_err(|wrong| site.error(name, wrong))?;
        keyed(&mut parsed, options, site, name, history)?;
        take(site, text.as_bytes(), &parsed, history)
    })
}

fn each_event_in_lines(
    name: &str,
    source: Source,
    options: Options,
    history: &mut History,
    take: TakeEvent<'_>,
) -> Result<()> {
    let mut layouts = Layouts::new(true);
    let mut blocks = Blocks::new(source).within(options.budget);
    let mut number = 0;
    loop {
        let piece = match blocks.next_piece() {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(()),
            Err(error) => return Err(unreadable_behind(name, number, &blocks, &error)),
        };
        let text = piece.text;
        let mut at = 0;
        while at < text.len() {
            number += 1;
            let rest = &text[at..];
            let mut event = line_template::NOTHING;
            let known = layouts.event::<Json>(text, at, &mut history.values, &mut event);
            let (mut parsed, line, next) = match known {
                Some(next) => (Parsed::Client(event), blocks::bare(&text[at..next]), next),
                None => {
                    let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                    let line = blocks::bare(&rest[..end]);
                    let next = at + end;
                    if line.trim_ascii().is_empty() {
                        at = next;
                        continue;
                    }
                    let whole = end < rest.len() || piece.whole;
                    let raw = RawLine { number, text: line, whole };
                    match event_of(raw, &rest[..end], &mut layouts, history) {
                        Ok(parsed) => (parsed, line, next),
                        Err(clause) => {
                            builder::cut(name, raw, clause, options.tolerance)?;
                            return Ok(());
                        }
                    }
                }
            };
            let site = Site::line(number, line);
            keyed(&mut parsed, options, site, name, history)?;
            take(site, line, &parsed, history)?;
            at = next;
        }
    }
}

/// Takes the value of a client's event apart, where that was asked for.
fn keyed(
    parsed: &mut Parsed,
    options: Options,
    site: Site<'_>,
    name: &str,
    history: &History,
) -> Result<()> {
    match parsed {
        Parsed::Client(event) if options.keyed => event
            .unwrap_key(&history.values)
            .map_err(|clause| site.error_at("value", name, &clause)),
        _ => Ok(()),
    }
}

fn event_of(
    raw: RawLine<'_>,
    whole: &[u8],
    layouts: &mut Layouts,
    history: &mut History,
) -> std::result::Result<Parsed, Clause> {
    match scan::line(raw.text, history) {
        Some((event, end)) => {
            if raw.whole {
                layouts.learn::<Json>(&whole[..end], &whole[end..], &event);
            }
            Ok(Parsed::Client(event))
        }
        None => line::parse(raw.text, history),
    }
}
