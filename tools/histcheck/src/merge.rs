//! `histcheck merge`: the verdicts on the shards of a history as one verdict on all of it.
//!
//! Invalid outranks unknown, which outranks valid. A shard without a verdict makes the whole unknown, unless
//! another is invalid. In a shard there may be nothing to check, as when its keys were only written; that says
//! nothing of the whole, unless it is so in all of them.
//!
//! What a verdict says of each key is passed over and never held, but for the line that it stands in.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use breakit::exit::{Error, Result, Status};
use breakit::input;
use breakit::jsonl::Lines;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::budget::{Budget, Exhausted};
use crate::checks::keys_are_independent;
use crate::last_words::End;
use crate::plural::many;
use crate::read::position::Place;
use crate::read::{foreign, waits};
use crate::report::Form;
use crate::verdict::{Answer, Verdict};

/// Merges the verdicts in `files`, JSON lines as `--json` prints them; one verdict for each check. Each file may take
/// so much time, and all that is read so much memory; what was not read by then is missing.
///
/// # Errors
/// 65 for what is no verdict; where a file cannot be read, or stdout takes nothing more.
pub fn run(files: &[PathBuf], form: Form, time: Duration, memory: usize) -> Result<Status> {
    let mut checks: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    let mut unread = None;
    for (number, file) in files.iter().enumerate() {
        if let Some(limit) = read(file, Budget::start(time, memory), &mut checks)? {
            let whole = many(files.len() as u64, "file");
            let what = format!("{limit} when {number} of {whole} had been read; give it more");
            unread = Some(what);
            break;
        }
    }
    for check in checks.keys() {
        keys_are_independent(check).map_err(Error::usage)?;
    }
    let mut status = Status::Done;
    if checks.is_empty() {
        checks.insert("none".into(), Vec::new());
    }
    for (check, told) in checks {
        let verdict = merge(&told, unread.as_deref());
        status = status.worst(verdict.answer.status());
        Error::unless_reader_gone(form.merged(&check, &verdict))?;
    }
    Ok(status)
}

/// The line that is told if the memory ends before the verdict.
pub fn last_words(end: End, form: Form) -> String {
    let because = match end {
        End::Refused => "the system gives no more memory",
        End::Budget => "--memory ran out while the verdicts were read; give it more",
    };
    let verdict = Verdict::new(Answer::Unknown, because);
    form.merged_lines("none", &verdict)
}

/// Reads the verdicts in a file. The limit that was reached before its end, if one was.
fn read(
    path: &Path,
    budget: Budget,
    checks: &mut BTreeMap<String, Vec<Told>>,
) -> Result<Option<Exhausted>> {
    let limit = Rc::new(Cell::new(None));
    let mut lines = within(path, budget, &limit)?;
    loop {
        let line = match lines.next_line() {
            Ok(Some((_, line))) => line,
            Ok(None) => return Ok(None),
            Err(error) => return limit.get().map_or(Err(error), |limit| Ok(Some(limit))),
        };
        let told = Told::of(&line).map_err(|clause| lines.error(clause))?;
        checks.entry(told.check.clone()).or_default().push(told);
    }
}

/// The lines of a file, or of stdin for `-`, which end in an error where a limit is reached, and it is known then.
fn within(path: &Path, budget: Budget, limit: &Rc<Cell<Option<Exhausted>>>) -> Result<Lines> {
    input::not_stdout(path)?;
    let (is_stdin, name) = (path == Path::new("-"), input::name(path));
    let source: Box<dyn Read> = match is_stdin {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(|e| Error::io(format!("open {name}"), &e))?),
    };
    // Verdicts that PowerShell's > wrote.
    let (mut source, mut head) = (source, Vec::new());
    let looked = source.by_ref().take(foreign::ENOUGH as u64).read_to_end(&mut head);
    looked.map_err(|e| Error::io(format!("read {name}"), &e))?;
    if let Some(what) = foreign::encoding(&head) {
        return Err(Place::of_line(1).error(&name, what));
    }
    let source: Box<dyn Read> = Box::new(io::Cursor::new(head).chain(source));
    // Who reads a pipe waits for its writer, and that is not our time.
    let budget = if waits(path) { budget.without_end() } else { budget };
    Ok(Lines::new(name, Rationed { source, budget, limit: Rc::clone(limit) }).of_any_length())
}

/// Bytes as long as the budget lasts.
struct Rationed {
    source: Box<dyn Read>,
    budget: Budget,
    limit: Rc<Cell<Option<Exhausted>>>,
}

impl Read for Rationed {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if let Err(limit) = self.budget.spend(0) {
            self.limit.set(Some(limit));
            return Err(io::Error::other(limit.to_string()));
        }
        self.source.read(to)
    }
}

/// The fields of a verdict, but for its keys.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Fields, D::Error> {
        from.deserialize_map(WithoutKeys).map(Fields)
    }
}

struct WithoutKeys;

impl<'de> Visitor<'de> for WithoutKeys {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a verdict")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut from: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            match name.as_str() {
                "keys" => drop(from.next_value::<IgnoredAny>()?),
                _ => drop(fields.insert(name, from.next_value()?)),
            }
        }
        Ok(fields)
    }
}

/// A verdict as it was told.
#[derive(Debug, Clone)]
struct Told {
    file: String,
    check: String,
    answer: Answer,
    because: String,
    /// Which shard of how many.
    shard: Option<(u64, u64)>,
    counts: Map<String, Value>,
    /// The first reason why it rests on little, where it does.
    thin: Option<String>,
}

impl Told {
    fn of(line: &str) -> std::result::Result<Told, String> {
        let none = "column 1: this is no verdict as histcheck --json prints it";
        let Fields(value) = serde_json::from_str(line).map_err(|error| match error.is_data() {
            true => none.into(),
            false => breakit::op::json_clause(&error),
        })?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_string);
        let answer = match value.get("valid") {
            Some(Value::Bool(true)) => Answer::Valid,
            Some(Value::Bool(false)) => Answer::Invalid,
            Some(Value::String(word)) if word == "unknown" => match value.get("nothing_checked") {
                Some(Value::Bool(true)) => Answer::Unchecked,
                _ => Answer::Unknown,
            },
            _ => return Err(none.into()),
        };
        let part = |name: &str| value.get("shard")?.get(name)?.as_u64();
        Ok(Told {
            file: text("file").unwrap_or_default(),
            check: text("check").unwrap_or_else(|| "none".into()),
            answer,
            because: text("because").or_else(|| text("error")).unwrap_or_default(),
            shard: part("shard").zip(part("of")),
            thin: value
                .get("rests_on_little")
                .and_then(|why| Some(why.get(0)?.as_str()?.to_string())),
            counts: value.get("counts").and_then(Value::as_object).cloned().unwrap_or_default(),
        })
    }

    /// Why it rests on little, where it does: a shard without any operation has nothing to rest on.
    fn thin(&self) -> Option<&str> {
        let is_empty = self.counts.get("operations").and_then(Value::as_u64) == Some(0);
        match self.answer == Answer::Unchecked && !is_empty {
            true => Some(&self.because),
            false => self.thin.as_deref(),
        }
    }
}

fn merge(told: &[Told], unread: Option<&str>) -> Verdict {
    let (answer, because) = judge(told, unread);
    let mut verdict = Verdict::new(answer, because);
    if answer == Answer::Valid {
        verdict = verdict.resting_on_little(thin(told).into_iter().collect());
    }
    for one in told.iter().filter(|one| one.answer == Answer::Invalid) {
        verdict.say(format!("{}: invalid: {}", one.file, one.because));
    }
    for one in told.iter().filter(|one| one.answer.status() == Status::Unknown) {
        verdict.say(format!("{}: unknown: {}", one.file, one.because));
    }
    verdict.fact("verdicts", told.len());
    verdict.fact("counts", counts(told));
    verdict
}

/// What all of them say; and why some were not read, if so.
fn judge(told: &[Told], unread: Option<&str>) -> (Answer, String) {
    let of = |answer: Answer| told.iter().filter(move |one| one.answer == answer);
    if let Some(first) = of(Answer::Invalid).next() {
        let (bad, all) = (of(Answer::Invalid).count(), told.len());
        let what = format!(
            "{bad} of {} invalid: {}: {}",
            many(all as u64, "verdict"),
            first.file,
            first.because
        );
        return (Answer::Invalid, what);
    }
    if let Some(why) = unread.map(str::to_string).or_else(|| incomplete(told)) {
        return (Answer::Unknown, why);
    }
    if let Some(first) = of(Answer::Unknown).next() {
        return (Answer::Unknown, format!("{}: {}", first.file, first.because));
    }
    match told.iter().find(|one| one.answer == Answer::Valid) {
        Some(_) => {
            (Answer::Valid, format!("{}, none of them invalid", many(told.len() as u64, "verdict")))
        }
        None => (Answer::Unchecked, "nothing was checked".into()),
    }
}

/// How many of them rest on little, and why the first does.
fn thin(told: &[Told]) -> Option<String> {
    let mut few = told.iter().filter_map(|one| Some((&one.file, one.thin()?)));
    let (file, why) = few.next()?;
    let verdicts = many(told.len() as u64, "verdict");
    Some(format!("{} of {verdicts} do; of {file}, {why}", 1 + few.count()))
}

/// Why these are not the verdicts on one whole history, where they are not.
fn incomplete(told: &[Told]) -> Option<String> {
    if told.is_empty() {
        return Some("there is no verdict to merge".into());
    }
    let totals: BTreeSet<u64> = told.iter().filter_map(|one| Some(one.shard?.1)).collect();
    let &total = totals.first()?;
    // A shard that could not be read does not say which it is; it is missing, then.
    let of_a_whole = |one: &Told| one.shard.is_none() && one.answer == Answer::Valid;
    if totals.len() > 1 || told.iter().any(of_a_whole) {
        return Some("these are verdicts on shards of more than one history".into());
    }
    let mut there = BTreeSet::new();
    for one in told {
        let Some((shard, _)) = one.shard else { continue };
        if !there.insert(shard) {
            return Some(format!("shard {shard} of {total} has two verdicts"));
        }
    }
    let missing = (1..=total).find(|shard| !there.contains(shard))?;
    Some(format!(
        "{} of {total} shards have no verdict, the first of them shard {missing}",
        total - there.len() as u64
    ))
}

/// Counts added; lines that stand in every shard are counted once.
fn counts(told: &[Told]) -> Value {
    let mut sum: Map<String, Value> = Map::new();
    for (name, value) in told.iter().flat_map(|one| &one.counts) {
        let value = value.as_u64().unwrap_or_default();
        let so_far = sum.get(name).and_then(Value::as_u64).unwrap_or_default();
        let in_all = ["fault_lines", "workload_lines", "other_lines"].contains(&name.as_str());
        let new = if in_all { so_far.max(value) } else { so_far + value };
        sum.insert(name.clone(), new.into());
    }
    Value::Object(sum)
}
