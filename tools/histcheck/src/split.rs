//! `histcheck split`: a history in shards, each with all operations of its keys, to be checked apart.
//!
//! What is true of each key apart is true of each shard apart. Every shard begins with a line that says which
//! of how many it is, so that [`crate::merge`] misses none, and has all lines of processes that are words: the
//! run's first and last line, and the faults.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use breakit::op::Type;
use rustc_hash::FxHashMap;
use serde_json::json;

use crate::history::History;
use crate::read::line::{Event, Parsed};
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
    read::each_event(&name, source, options, &mut history, &mut |site, text, parsed, history| {
        match parsed {
            Parsed::Other(_) => files.iter_mut().try_for_each(|file| file.line(text)),
            Parsed::Client(event) => {
                let wrong = |(field, clause): Misfit| site.error_at(field, &name, &clause);
                let shard = router.route(event, history).map_err(wrong)?;
                files[shard].line(text)
            }
        }
    })?;
    for file in files {
        jsonl::print(&file.finish()?)?;
    }
    Ok(Status::Done)
}

/// In which field it shows that an event does not fit, and why in words.
type Misfit = (&'static str, String);

/// Which shard a process's open operation is in, and a key's shard.
#[derive(Default)]
struct Router {
    shards: u32,
    open: FxHashMap<u64, usize>,
    of_key: FxHashMap<Option<Id>, usize>,
}

impl Router {
    /// A completion goes where its invocation went, whether it says its key or not.
    fn route(&mut self, event: &Event, history: &History) -> std::result::Result<usize, Misfit> {
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
}

/// FNV-1a, and its bits mixed once more: the same key is in the same shard on every machine.
fn spread(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// A shard's file.
struct Shard {
    path: PathBuf,
    out: BufWriter<File>,
}

fn create(into: &Path, shards: u32) -> Result<Vec<Shard>> {
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
    let width = shards.to_string().len();
    let one = |number: u32| {
        let path = into.join(format!("shard-{number:0width$}.jsonl"));
        let file = File::create(&path).map_err(|e| Error::io(place("create", &path), &e))?;
        let mut shard = Shard { path, out: BufWriter::with_capacity(1 << 16, file) };
        let first = json!({
            "process": "split",
            "type": "info",
            "f": "shard",
            "value": {"shard": number, "of": shards},
        });
        shard.line(first.to_string().as_bytes())?;
        Ok(shard)
    };
    (1..=shards).map(one).collect()
}

impl Shard {
    fn line(&mut self, text: &[u8]) -> Result<()> {
        let written = self.out.write_all(text).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|e| Error::io(format!("write {}", self.path.display()), &e))
    }

    fn finish(mut self) -> Result<String> {
        self.out.flush().map_err(|e| Error::io(format!("write {}", self.path.display()), &e))?;
        Ok(self.path.display().to_string())
    }
}
