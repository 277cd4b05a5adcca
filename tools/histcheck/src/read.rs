//! Reads a history: bytes to lines, lines to events, events to operations.
//!
//! | step | module |
//! |---|---|
//! | what form it has | [`format`](mod@format), [`packed`], [`foreign`] |
//! | a large file by several threads | [`parts`] |
//! | blocks of bytes to lines | [`blocks`] |
//! | an event like those before it, in lines and in other forms, faster | [`line_template`] with [`digits`] and [`words`] |
//! | a plain event, fast | [`scan`] with [`notation`] and [`plain`] |
//! | any line to an event | [`line`] |
//! | a row of plain cells to an event, fast | [`rows`] |
//! | the other forms, through a window, to events | [`text`] with [`array`], [`forms`] and [`edn`], [`log`], [`table`] and [`operations`] with [`spans`] and [`lanes`], [`transactions`] |
//! | the events alone | [`events`] |
//! | invocations and completions to operations | [`pair`], [`builder`], [`doubtful`], [`bare`], [`one_line`] |

pub mod bare;
pub mod blocks;
pub mod builder;
pub mod clause;
pub mod digits;
pub mod doubtful;
pub mod edn;
pub mod event;
pub mod events;
pub mod foreign;
pub mod format;
pub mod lanes;
pub mod line;
pub mod line_template;
pub mod notation;
pub mod object;
pub mod one_line;
pub mod origin;
pub mod packed;
pub mod pair;
pub mod parts;
pub mod plain;
pub mod position;
pub mod progress;
pub mod rows;
pub mod scan;
pub mod source_span;
pub mod span_names;
pub mod spans;
pub mod text;
pub mod times;
pub mod words;

/// Declares the modules of the formats and puts each format into [`FORMATS`].
macro_rules! formats {
    ($($module:ident: $($format:ident)*,)*) => {
        $(pub mod $module;)*

        /// All formats, in the order in which help lists them.
        pub const FORMATS: &[Format] = &[$($(Format(&$module::$format),)*)*];
    };
}

formats! {
    lines: JSONL,
    array: JSON,
    operations: OPERATIONS,
    forms: EDN,
    log: LOG,
    table: CSV,
    transactions: PLUME SESSIONS,
}

/// JSON lines: a text is taken for them that is of none of the other formats.
pub const JSON_LINES: Format = Format(&lines::JSONL);

use std::cell::{OnceCell, RefCell};
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use breakit::exit::{Error, Result, Status};
use nix::sys::stat::major;

use crate::budget::{Budget, Exhausted};
use crate::history::{Counts, History};
use crate::plural::many;
use blocks::Blocks;
use builder::Assembly;
use format::{Events, Format};
use notation::{Edn, Json};
use origin::Origin;
use packed::{Broken, Source};
use position::Place;
use progress::Progress;
use rows::Columns;
use source_span::Form;
use text::{Quick, Take, Text};

/// What a reader puts up with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tolerance {
    /// Nothing.
    #[default]
    Strict,
    /// A last line that was cut short, as a killed writer leaves it.
    CutLastLine,
}

/// How a history is to be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// What to put up with.
    pub tolerance: Tolerance,
    /// Its format; `None`: as its first bytes say.
    pub format: Option<Format>,
    /// Whether the value of every operation is `[key, value]`, as `jepsen.independent` has it.
    pub keyed: bool,
    /// Whether nobody will ask for times: they are a third of what is kept.
    pub skip_times: bool,
    /// Whether lines are taken as they come: where they carry an index, it must grow.
    pub in_order: bool,
    /// Words that are no clients, although they invoke.
    pub not_clients: &'static [String],
    /// How long it may take, and in how much memory; `None`: without a limit.
    pub budget: Option<Budget>,
}

/// Reads the history at `path`, or on stdin for `-`.
///
/// # Errors
/// 65 with file, line and column for what is no history; 66, 77, 71 where it cannot be read; 2 where a limit is
/// reached.
pub fn read_path(path: &Path, options: Options) -> Result<History> {
    if path == Path::new("-") {
        return read_pipe("stdin", Box::new(std::io::stdin()), options);
    }
    let (name, file) = open_file(path)?;
    if !parts::is_regular(&file) {
        return read_pipe(&name, Box::new(file), options);
    }
    let origin = Origin::file(path.to_path_buf(), options);
    let format = options.format.or_else(|| parts::format(&file));
    // Of a packed file it is not known how long its text is.
    let size = format.and_then(|_| file.metadata().ok()).map(|metadata| metadata.len());
    let progress = Progress::new(&name, size);
    if format.is_some_and(Format::is_lines) {
        if let Some(history) = parts::read(&name, &file, options, &progress) {
            return Ok(History { origin, ..history });
        }
        // What took all the time in parts has none left for a second reading.
        if let Some(Err(limit)) = options.budget.map(|budget| budget.spend(0)) {
            return Err(progress.ran_out(&name, limit));
        }
        // The parts were read at their places: the file still stands at its beginning.
        progress.again();
    }
    read_telling(&name, Box::new(file), origin, options, &progress)
}

/// Whether reading a file, or stdin for `-`, may wait for a writer: a pipe, a socket or a terminal.
pub fn waits(path: &Path) -> bool {
    let file = match path == Path::new("-") {
        true => std::io::stdin().as_fd().try_clone_to_owned().map(File::from),
        // Opening a FIFO would wait already.
        false => return path.metadata().is_ok_and(|metadata| may_wait(&metadata)),
    };
    file.and_then(|file| file.metadata()).is_ok_and(|metadata| may_wait(&metadata))
}

fn may_wait(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    // /dev/zero and its like always have something; what else there is of devices are terminals.
    let is_terminal = kind.is_char_device() && major(metadata.rdev()) != MEMORY_DEVICES;
    kind.is_fifo() || kind.is_socket() || is_terminal
}

/// The number by which Linux knows /dev/null, /dev/zero and /dev/full.
const MEMORY_DEVICES: u64 = 1;

/// Reads what cannot be read again.
fn read_pipe(name: &str, source: Source, options: Options) -> Result<History> {
    let (origin, source) = Origin::pipe(source, options);
    read_telling(name, source, origin, options, &Progress::none())
}

/// The name and the bytes of a file, or of stdin for `-`.
///
/// # Errors
/// 66, 77, 71 where it cannot be opened.
pub fn open(path: &Path) -> Result<(String, Source)> {
    if path == Path::new("-") {
        return Ok(("stdin".into(), Box::new(std::io::stdin())));
    }
    let (name, file) = open_file(path)?;
    Ok((name, Box::new(file)))
}

fn open_file(path: &Path) -> Result<(String, File)> {
    let name = path.display().to_string();
    let place = |e| Error::io(format!("open {name}"), &e);
    let file = File::open(path).map_err(place)?;
    if file.metadata().map_err(place)?.is_dir() {
        return Err(Error::no_input(format!(
            "{name} is a directory; name the histories in it, as {name}/*.jsonl"
        )));
    }
    Ok((name, file))
}

/// Reads a history from any reader; `name` is what it is called.
///
/// # Errors
/// As [`read_path`].
pub fn read(name: &str, source: impl Read + Send + 'static, options: Options) -> Result<History> {
    read_telling(name, Box::new(source), Origin::default(), options, &Progress::none())
}

/// How many events of other formats than JSON lines are taken between two looks at the budget.
const BETWEEN_LOOKS: u32 = 1 << 12;

fn read_telling(
    name: &str,
    source: Source,
    origin: Origin,
    options: Options,
    progress: &Progress,
) -> Result<History> {
    let (format, source) = recognise(name, source, options)?;
    let mut assembly = Assembly::new(name, format, options).expecting(progress.size());
    assembly.history().origin = origin;
    if format.is_lines() {
        let mut blocks = Blocks::new(source).within(options.budget);
        return read_lines(name, &mut blocks, assembly, progress)?.finish();
    }
    let mut text = Text::new(name, source, options.tolerance, progress)?.within(options.budget);
    let mut taken = 0_u32;
    // Each has it for itself while it takes something.
    let shared = RefCell::new(&mut assembly);
    let columns = OnceCell::new();
    let mut quick = |text: &[u8], place: Place, form: Form<'_>| {
        let mut assembly = shared.borrow_mut();
        let bytes = match form {
            Form::Object => assembly.quick::<Json>(text, place, form),
            Form::Map => assembly.quick::<Edn>(text, place, form),
            // A text has one header.
            Form::Row(header) => match columns.get_or_init(|| Columns::of(header)) {
                Some(columns) => assembly.quick_rows(text, place, form, columns),
                None => Ok(0),
            },
            Form::Log | Form::Other => Ok(0),
        }?;
        if bytes > 0 {
            assembly.spend().map_err(|limit| progress.ran_out(name, limit))?;
        }
        Ok(bytes)
    };
    each_in_text(&mut text, format, &mut quick, &mut |site, item| {
        let mut assembly = shared.borrow_mut();
        assembly.item(site, item)?;
        taken = taken.wrapping_add(1);
        match taken % BETWEEN_LOOKS {
            0 => assembly.spend().map_err(|limit| progress.ran_out(name, limit)),
            _ => Ok(()),
        }
    })?;
    assembly.finish()
}

/// Of a text whose events are all to be seen as they stand none are taken quickly.
fn none_quickly(_: &[u8], _: Place, _: Form<'_>) -> Result<usize> {
    Ok(0)
}

fn read_lines(
    name: &str,
    blocks: &mut Blocks<impl Read>,
    mut assembly: Assembly,
    progress: &Progress,
) -> Result<Assembly> {
    loop {
        let piece = match blocks.next_piece() {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(assembly),
            Err(error) => return Err(unreadable_behind(name, assembly.lines(), blocks, &error)),
        };
        assembly.piece(piece)?;
        progress.add(piece.text.len());
        assembly.spend().map_err(|limit| progress.ran_out(name, limit))?;
    }
}

/// The format of a source, and what gives all of it, unpacked.
fn recognise(name: &str, source: Source, options: Options) -> Result<(Format, Source)> {
    let broken =
        |broken: Broken| unreadable(name, Place::of_line(1).behind(&broken.head), &broken.error);
    let source = packed::unpack(source).map_err(broken)?;
    match options.format {
        Some(format) => Ok((format, source)),
        None => {
            let (head, source) = packed::look(source, Format::is_decided_by).map_err(broken)?;
            Ok((Format::of(&head), source))
        }
    }
}

fn each_in_text(
    text: &mut Text<'_>,
    format: Format,
    quick: Quick<'_>,
    take: Take<'_>,
) -> Result<()> {
    match format.events {
        // They have a way of their own.
        Events::InLines => Ok(()),
        Events::InText(each) => each(text, quick, take),
    }
}

/// The error of a source that cannot be read any more, behind so many lines.
fn unreadable_behind<R: Read>(
    name: &str,
    lines: u64,
    blocks: &Blocks<R>,
    error: &std::io::Error,
) -> Error {
    unreadable(name, Place::of_line(lines + 1).behind(blocks.rest()), error)
}

fn unreadable(name: &str, place: Place, error: &std::io::Error) -> Error {
    if let Some(limit) = error.get_ref().and_then(|inner| inner.downcast_ref::<Exhausted>()) {
        let line = place.line;
        return out_of(*limit, &format!("{name}, line {line}: {limit} within one event"));
    }
    match error.kind() {
        // Said by us and not by the system.
        ErrorKind::Unsupported if error.raw_os_error().is_none() => {
            place.error(name, &error.to_string())
        }
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            place.error(name, &format!("the packed data are damaged or cut short: {error}"))
        }
        _ => Error::io(format!("read {name}"), error),
    }
}

/// The error 2 for a limit that was reached while something was read or written.
pub fn out_of(limit: Exhausted, message: &str) -> Error {
    let what = if matches!(limit, Exhausted::Time(_)) { "more time" } else { "more memory" };
    Error::sentence(Status::Unknown, format!("{message}; give it {what}"))
}

/// Lines read, in words, nothing left out.
pub fn count_sentence(history: &History) -> String {
    let Counts {
        lines,
        invokes,
        ok,
        fail,
        faults,
        workload,
        others,
        blank,
        dropped,
        rules,
        unclosed,
        ..
    } = history.counts;
    let unknown = invokes - ok - fail;
    let mut text = format!(
        "{} read: {} ({ok} ok, {fail} fail, {unknown} info), {}",
        many(lines, history.format.unit),
        many(invokes, "operation"),
        many(faults, &format!("fault {}", history.format.unit)),
    );
    for (number, what) in [
        (workload, "of the workload"),
        (others, "of other processes"),
        (blank, "blank"),
        (rules, "between transactions"),
        (dropped, "cut short and dropped"),
    ] {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    }
    if unclosed > 0 {
        text += ", the bracket around them not closed";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Outcome;

    fn parse(text: &str) -> Result<History> {
        read("h", std::io::Cursor::new(text.to_string()), Options::default())
    }

    const INVOKE: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
    const OK: &str = r#"{"process":0,"type":"ok","f":"write","value":1}"#;

    #[test]
    fn a_pair_of_lines_is_one_operation_and_a_missing_completion_is_info() {
        let history = parse(&format!("\u{feff}{INVOKE}\r\n\n{OK}\n{INVOKE}")).unwrap();
        assert_eq!(history.counts.lines, 4);
        assert_eq!(history.counts.blank, 1);
        let ops: Vec<_> = history.ops.iter().map(|op| (op.outcome, op.inv)).collect();
        assert_eq!(ops, [(Outcome::Ok, 1), (Outcome::Info, 4)]);
    }

    #[test]
    fn what_is_no_history_is_named_with_line_and_column() {
        for (text, said) in [
            (
                format!("{INVOKE}\n{OK}\n{OK}"),
                "h, line 3: column 21: process 0 completes \"write\" and has nothing open",
            ),
            (
                format!("{INVOKE}\n{INVOKE}\n"),
                "h, line 2: column 12: process 0 invokes \"write\" while its \"write\" of line 1 is open",
            ),
            (
                format!("{INVOKE}\n{}", &OK[..20]),
                "h, line 2: column 20: not JSON: EOF while parsing a value; the last line was cut short, and --lenient drops it",
            ),
            (format!("{INVOKE}\nnope\n"), "h, line 2: column 2: not JSON: expected ident"),
            (
                format!("{INVOKE}\n{}\n", OK.replace("write", "read")),
                "line 2: column 30: process 0 completes \"read\" while its \"write\" of line 1 is open",
            ),
            (OK.replace("\"ok\"", "7"), "line 1: column 21: \"type\" must be"),
            (
                format!("{}\n{OK}\n", INVOKE.replace('{', "{\"index\":3,")),
                "line 2: column 1: this line lacks an \"index\" and line 1 has one",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.to_string().contains(said), "{text}: {error}");
            assert_eq!(error.status(), breakit::exit::Status::Data);
        }
    }

    #[test]
    fn the_index_orders_lines_where_it_is_given() {
        let text = format!(
            "{}\n{}\n",
            OK.replace('{', "{\"index\":9,"),
            INVOKE.replace('{', "{\"index\":4,")
        );
        let history = parse(&text).unwrap();
        let op = history.ops.get(0);
        assert_eq!((op.inv, op.res, op.outcome), (1, 2, Outcome::Ok));
        assert_eq!((history.line(op.inv), history.line(op.res)), (2, 1));
    }

    #[test]
    fn every_prefix_of_a_history_is_read_or_refused_and_the_lenient_reader_takes_all_of_them() {
        let odd =
            INVOKE.replace(":1}", r#":["é\u00e9\\",-1.5e-3,-0,12E+3,true,null,{"a":false}]}"#);
        let whole = format!("{INVOKE}\n{OK}\n{odd}\n");
        for length in 0..whole.len() {
            let cut = &whole.as_bytes()[..length];
            let lenient = Options { tolerance: Tolerance::CutLastLine, ..Options::default() };
            let source = std::io::Cursor::new(cut.to_vec());
            let shown = String::from_utf8_lossy(cut);
            assert!(read("h", source, lenient).is_ok(), "{shown}");
            let strict = read("h", std::io::Cursor::new(cut.to_vec()), Options::default());
            let complete = shown.is_empty() || shown.ends_with('\n') || length == whole.len() - 1;
            assert_eq!(strict.is_ok(), complete || shown.ends_with("1}"), "{shown}");
        }
    }

    #[test]
    fn a_last_line_that_no_more_bytes_could_mend_was_not_cut_short() {
        let lenient = Options { tolerance: Tolerance::CutLastLine, ..Options::default() };
        for text in [format!("{INVOKE}\r{OK}\r"), format!("{INVOKE}}}"), "nope".into()] {
            let error = read("h", std::io::Cursor::new(text.clone()), lenient).unwrap_err();
            assert!(!error.to_string().contains("--lenient"), "{text}: {error}");
        }
    }

    #[test]
    fn no_bytes_make_any_reader_panic() {
        let texts: [&[u8]; 7] = [
            concat_bytes(&[INVOKE, "\n", OK, "\n"]),
            b"[{\"process\":0,\"type\":\"invoke\",\"f\":\"r\"}, {\"process\":0,\"type\":\"ok\",\"f\":\"r\",\"value\":[1,\"\\u00e9\"]}]",
            b"[{:process 0, :type :invoke, :f :r #_x} ; y\n #t {:process 0 :type :ok :f :r :value #{1N 2/3 \\a}}]",
            b"INFO jepsen.util - 0\t:invoke\t:r\tnil\n0\t:ok\t:r\t[1 2]\t:why\n",
            b"process,type,f,value,extra\n0,invoke,r,\"[1,\"\"2\"\"]\",\n0,ok,r,,\"{}\"\n",
            b"w(1,2,0,0)\nr(1,2,1,1)\nr(1,0,1,-1)\n",
            b"w 1 2\n---\nr 1 2\n===\nw 2 3\n",
        ];
        let mut seed = 7_u64;
        let mut random = move |below: usize| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let formats = [None].into_iter().chain(FORMATS.iter().copied().map(Some));
        let formats: Vec<Option<Format>> = formats.collect();
        let (mut good, mut bad) = (0, 0);
        for round in 0..30_000 {
            let mut bytes = texts[round % texts.len()].to_vec();
            for _ in 0..random(4) {
                let at = random(bytes.len().max(1));
                if bytes.is_empty() {
                    break;
                }
                match random(5) {
                    0 => bytes[at] = random(256) as u8,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.truncate(at + 1),
                    3 => bytes.insert(at, b"\n{[(\"\\:,#0-\xc3"[random(12)]),
                    _ => {
                        let other = texts[random(texts.len())];
                        let from = random(other.len());
                        bytes.splice(at..at, other[from..].iter().copied());
                    }
                }
            }
            let options = Options {
                format: formats[random(formats.len())],
                keyed: random(4) == 0,
                tolerance: [Tolerance::Strict, Tolerance::CutLastLine][random(2)],
                skip_times: random(2) == 0,
                in_order: false,
                budget: None,
                ..Options::default()
            };
            match read("h", std::io::Cursor::new(bytes), options) {
                Ok(_) => good += 1,
                Err(error) => {
                    assert_eq!(error.status(), breakit::exit::Status::Data, "{error}");
                    bad += 1;
                }
            }
        }
        assert!(good > 1000 && bad > 1000, "{good} good, {bad} bad");
    }

    fn concat_bytes(parts: &[&str]) -> &'static [u8] {
        parts.concat().into_bytes().leak()
    }
}
