//! `histcheck split`: a history in shards, each with all operations of its keys, to be checked apart.
//!
//! What is true of each key apart is true of each shard apart. Every shard begins with a line that says which
//! of how many it is, so that [`crate::merge`] misses none, and has all lines of processes that are words: the
//! run's first and last line, and the faults.

use std::path::Path;

use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use breakit::op::{Op, Process, Type};
use breakit::output::NewFile;
use rustc_hash::FxHashMap;
use serde_json::json;

use crate::checks::keys_are_independent;
use crate::convert;
use crate::history::{History, Start};
use crate::read::event::Event;
use crate::read::line::Parsed;
use crate::read::position::Place;
use crate::read::{self, Options};
use crate::values::Id;

/// Splits the history at `path` by key into `shards` files in the folder `into`; prints their names.
///
/// # Errors
/// 64 where there are shards already, 65 for what is no history, 71 where a file cannot be written.
pub fn run(path: &Path, shards: u32, into: &Path, options: Options) -> Result<Status> {
    let (name, source) = read::open(path)?;
    let mut files = create(into, shards)?;
    let mut router = Router { shards, ..Router::default() };
    let mut history = History { name: name.clone(), ..History::default() };
    let mut taken = 0_u32;
    read::events::each_event(
        &name,
        source,
        options,
        &mut history,
        &mut |site, text, parsed, history| {
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(BETWEEN_LOOKS) {
                // Where a table of values grows, both stand for a moment.
                convert::within(options.budget, history.values.bytes(), site.place, &name)?;
            }
            match parsed {
                Parsed::Other(op) => {
                    can_be_split(site.place, op)
                        .map_err(|clause| site.place.error(&name, &clause))?;
                    files.iter_mut().try_for_each(|file| line(file, text))
                }
                Parsed::Client(event) => {
                    let wrong = |(field, clause): Misfit| site.error_at(field, &name, &clause);
                    let shard = router.route(event, history).map_err(wrong)?;
                    line(&mut files[shard], text)
                }
            }
        },
    )?;
    let names: Vec<String> = files.iter().map(|file| file.path().display().to_string()).collect();
    files.into_iter().try_for_each(NewFile::finish)?;
    names.iter().try_for_each(|name| jsonl::print(name)).map(|()| Status::Done)
}

/// Refuses a history that is to be judged by a check of all keys together.
fn can_be_split(place: Place, op: &Op) -> std::result::Result<(), String> {
    if !(op.process == Process::workload() && op.f == "start") {
        return Ok(());
    }
    Start::of(place, op)?.names().try_for_each(keys_are_independent)
}

/// How much of what is written waits in memory, of all shards together, unless there are very many.
const BUFFERS: usize = 4 << 20;

/// How many events are taken between two looks at the limits.
const BETWEEN_LOOKS: u32 = 1 << 12;

/// In which field it shows that an event does not fit, and why in words.
type Misfit = (&'static str, String);

/// Which shard a process's open operation is in, and a key's shard.
#[derive(Default)]
struct Router {
    shards: u32,
    open: FxHashMap<u64, usize>,
    last_index: Option<u64>,
    of_key: FxHashMap<Option<Id>, usize>,
}

impl Router {
    /// A completion goes where its invocation went, whether it says its key or not.
    fn route(&mut self, event: &Event, history: &History) -> std::result::Result<usize, Misfit> {
        self.in_order(event)?;
        if event.kind != Type::Invoke {
            return self.open.remove(&event.process).ok_or_else(|| {
                let process = history.clients.process(event.process);
                ("type", format!("process {process} completes an operation and has nothing open"))
            });
        }
        let shards = self.shards;
        let shard = *self.of_key.entry(event.key).or_insert_with(|| {
            let text = event.key.map_or(String::new(), |key| history.values.show(key));
            (spread(text.as_bytes()) % u64::from(shards)) as usize
        });
        match self.open.insert(event.process, shard) {
            None => Ok(shard),
            Some(_) => {
                let process = history.clients.process(event.process);
                Err(("process", format!("process {process} invokes with an operation open")))
            }
        }
    }

    /// Which completion ends which operation is known only in order, and lines go out as they come.
    fn in_order(&mut self, event: &Event) -> std::result::Result<(), Misfit> {
        let Some(index) = event.index else { return Ok(()) };
        match self.last_index.replace(index) {
            Some(last) if last >= index => Err((
                "index",
                format!(
                    "\"index\" {index} is no greater than the one before it, and split takes lines as they come; \
                     sort them by their index first"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// FNV-1a, and its bits mixed once more: the same key is in the same shard on every machine.
fn spread(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

fn create(into: &Path, shards: u32) -> Result<Vec<NewFile>> {
    let place = |what: &str, path: &Path| format!("{what} {}", path.display());
    std::fs::create_dir_all(into).map_err(|e| Error::io(place("make", into), &e))?;
    let entries = std::fs::read_dir(into).map_err(|e| Error::io(place("read", into), &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(place("read", into), &e))?;
        if entry.file_name().to_string_lossy().starts_with("shard-") {
            let found = entry.path();
            return Err(Error::usage(format!(
                "{} is there already; name a folder without shards",
                found.display()
            )));
        }
    }
    // Many shards share the room of a few.
    let buffer = (BUFFERS / shards as usize).clamp(1 << 12, 1 << 16);
    let width = shards.to_string().len();
    let one = |number: u32| {
        let path = into.join(format!("shard-{number:0width$}.jsonl"));
        let mut shard = NewFile::with_buffer(&path, buffer)?;
        let first = json!({
            "process": "split",
            "type": "info",
            "f": "shard",
            "value": {"shard": number, "of": shards},
        });
        line(&mut shard, first.to_string().as_bytes())?;
        Ok(shard)
    };
    (1..=shards).map(one).collect()
}

fn line(file: &mut NewFile, text: &[u8]) -> Result<()> {
    file.write(text)?;
    file.write(b"\n")
}
