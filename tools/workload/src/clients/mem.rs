//! `--client mem`: a small replicated store inside `workload` itself, for first steps and tests.
//!
//! It has three copies, a log of writes, and a primary that changes now and then. Each of its faults has a name and is
//! asked for by it: `mem:stale`. Without a fault it is linearizable: a write is acknowledged when all copies have it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::messages;
use breakit::node::{Name, Node, Via};
use breakit::rng::{Pcg64, RngExt, generator};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Answer, Client, ClientKind, Database, Opened, Purpose, RunOptions, Takes};
use crate::action::{Action, Capability, Outcome, RegisterAction, SetAction};

/// The client.
pub const KIND: ClientKind = ClientKind {
    name: "mem",
    about: "A small replicated store inside workload itself, for first steps and tests",
    takes: Takes::Word("FAULT"),
    supports: Capability::ALL,
    database,
};

/// What the store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing.
    None,
    /// Reads are served by whichever copy is asked, and copies lag.
    Stale,
    /// Writes are acknowledged before any other copy has them, and the primary fails over.
    Lossy,
    /// Some writes are refused and take effect all the same.
    Dirty,
    /// One copy stops following, for good.
    Split,
    /// A compare-and-set compares at one moment and sets at a later one.
    Race,
    /// Some operations are never answered, and take effect late or never. No promise is broken.
    Hang,
}

impl Fault {
    const NAMES: [(&'static str, Fault); 6] = [
        ("stale", Fault::Stale),
        ("lossy", Fault::Lossy),
        ("dirty", Fault::Dirty),
        ("split", Fault::Split),
        ("race", Fault::Race),
        ("hang", Fault::Hang),
    ];

    fn named(option: Option<&str>) -> Result<Fault> {
        let Some(word) = option else { return Ok(Fault::None) };
        Self::NAMES.iter().find(|(name, _)| *name == word).map(|(_, fault)| *fault).ok_or_else(
            || {
                let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                Error::usage(format!("mem has no fault {word:?}; it has {}", names.join(", ")))
            },
        )
    }

    /// How far copy number `copy` (from 0) may be behind the log; the primary of the moment never is.
    fn lag(self, copy: usize) -> Duration {
        match self {
            Fault::Stale | Fault::Lossy => Duration::from_millis(40 + 40 * copy as u64),
            _ => Duration::ZERO,
        }
    }

    /// How long a primary stays one.
    fn term(self) -> Duration {
        match self {
            Fault::Lossy => Duration::from_millis(350),
            _ => Duration::from_millis(900),
        }
    }
}

/// After this long the third copy of `mem:split` stops following.
const SPLIT_AFTER: Duration = Duration::from_millis(400);

/// The copies.
const COPIES: usize = 3;

/// The store, for `--client mem[:FAULT]`.
///
/// # Errors
/// 64 for a fault that it does not have.
pub fn database(option: Option<&str>, options: &RunOptions) -> Result<Arc<dyn Database>> {
    let fault = Fault::named(option)?;
    let random = generator(options.seed, "mem");
    let nodes = (1..=COPIES)
        .map(|n| {
            let name = Name::new(&format!("m{n}"))?;
            Ok(Node { name, addrs: Vec::new(), via: Via::Local })
        })
        .collect::<Result<Vec<Node>>>()?;
    let store = Store {
        fault,
        log: Vec::new(),
        copies: Default::default(),
        primary: 0,
        began: Instant::now(),
        elected: Instant::now(),
        random,
    };
    Ok(Arc::new(Mem { nodes, store: Arc::new(Mutex::new(store)) }))
}

struct Mem {
    nodes: Vec<Node>,
    store: Arc<Mutex<Store>>,
}

impl Database for Mem {
    fn own_nodes(&self) -> Vec<Node> {
        self.nodes.clone()
    }

    fn time_limit(&self) -> Duration {
        Duration::from_millis(1500)
    }

    fn recovery(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn set_up<'a>(&'a self, _nodes: &'a [Node], _prefix: &'a str) -> Answer<'a, Result<()>> {
        Box::pin(async {
            messages::say("mem is a store inside workload itself, for first steps and tests");
            let mut store = lock(&self.store);
            store.began = Instant::now();
            store.elected = store.began;
            Ok(())
        })
    }

    fn open<'a>(&'a self, node: &'a Node, prefix: &'a str, purpose: Purpose) -> Opened<'a> {
        Box::pin(async move {
            let copy = self.nodes.iter().position(|own| own.name == node.name);
            let copy = copy.ok_or_else(|| format!("mem has no node {}", node.name))?;
            let (store, prefix) = (Arc::clone(&self.store), prefix.to_string());
            let client: Box<dyn Client> = Box::new(Connection { store, prefix, copy, purpose });
            Ok(client)
        })
    }
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    // A poisoned store still holds whole copies: nothing in it is changed in two steps.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Connection {
    store: Arc<Mutex<Store>>,
    prefix: String,
    copy: usize,
    purpose: Purpose,
}

impl Client for Connection {
    fn invoke<'a>(&'a mut self, action: &'a Action) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let (there, back, fate) = lock(&self.store).draw();
            sleep(there).await;
            let place = Place::of(&self.prefix, action);
            let Some(change) = Change::of(action) else {
                let copy = self.reads_from();
                let value = lock(&self.store).read(copy, &place);
                sleep(back).await;
                return Outcome::Ok(value);
            };
            let done = self.change(place, change, back, fate).await;
            done.map_or_else(Outcome::Fail, |()| action.done())
        })
    }
}

impl Connection {
    /// The copy that serves a read: the primary, unless this very copy was asked for.
    fn reads_from(&self) -> Option<usize> {
        let stale = lock(&self.store).fault == Fault::Stale;
        (stale || self.purpose == Purpose::FinalRead).then_some(self.copy)
    }

    /// Carries out a change, or says why it did not.
    async fn change(
        &self,
        place: Place,
        change: Change,
        back: Duration,
        fate: Fate,
    ) -> std::result::Result<(), String> {
        match fate {
            Fate::Normal => {}
            Fate::RefusedYetDone => {
                // That it fails here as well is no matter: the answer is a refusal either way.
                let _ = lock(&self.store).change(place, &change);
                return Err("refused (and done all the same: this is mem:dirty)".into());
            }
            Fate::Unanswered { late } => {
                if let Some(late) = late {
                    let (store, change) = (Arc::clone(&self.store), change.clone());
                    tokio::spawn(async move {
                        sleep(late).await;
                        // The answer is not waited for any more.
                        let _ = lock(&store).change(place, &change);
                    });
                }
                return std::future::pending().await;
            }
        }
        let done = match change {
            Change::CompareAndSet(ref expected, ref new) if self.races() => {
                let found = lock(&self.store).read(None, &place);
                sleep(Duration::from_millis(5)).await;
                let set = Change::Set(new.clone());
                compare(expected, &found).and_then(|()| lock(&self.store).change(place, &set))
            }
            ref change => lock(&self.store).change(place, change),
        };
        sleep(back).await;
        done
    }

    fn races(&self) -> bool {
        lock(&self.store).fault == Fault::Race
    }
}

/// What becomes of a write.
enum Fate {
    Normal,
    RefusedYetDone,
    Unanswered { late: Option<Duration> },
}

/// Where a value lies: a register or a set, by the run's prefix and the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    name: String,
    /// Decides what a read finds if nothing was written.
    kind: PlaceKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PlaceKind {
    Register,
    Set,
}

impl Place {
    fn of(prefix: &str, action: &Action) -> Place {
        match action {
            Action::Register(key, _) => {
                Place { name: format!("{prefix}/{key}"), kind: PlaceKind::Register }
            }
            Action::Set(_) => Place { name: prefix.to_string(), kind: PlaceKind::Set },
        }
    }

    fn empty(&self) -> Value {
        match self.kind {
            PlaceKind::Register => Value::Null,
            PlaceKind::Set => Value::Array(Vec::new()),
        }
    }
}

/// What a write asks for.
#[derive(Clone, Debug)]
enum Change {
    Set(Value),
    CompareAndSet(Value, Value),
    Add(Value),
}

impl Change {
    /// What an action changes; `None` for a read.
    fn of(action: &Action) -> Option<Change> {
        match action.clone() {
            Action::Register(_, RegisterAction::Read) | Action::Set(SetAction::Read) => None,
            Action::Register(_, RegisterAction::Write(value)) => Some(Change::Set(value)),
            Action::Register(_, RegisterAction::CompareAndSet { expected, new }) => {
                Some(Change::CompareAndSet(expected, new))
            }
            Action::Set(SetAction::Add(element)) => Some(Change::Add(element)),
        }
    }
}

fn compare(expected: &Value, found: &Value) -> std::result::Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("expected {expected}, found {found}"))
}

/// One write in the log: what it makes of its place, and when it was made.
struct Entry {
    at: Instant,
    place: Place,
    effect: Effect,
}

enum Effect {
    Put(Value),
    Append(Value),
}

/// One of the copies: the log up to `applied`, carried out.
#[derive(Default)]
struct Copy {
    values: HashMap<Place, Value>,
    applied: usize,
}

impl Copy {
    fn apply(&mut self, entry: &Entry) {
        let value = self.values.entry(entry.place.clone()).or_insert_with(|| entry.place.empty());
        match (&entry.effect, value) {
            (Effect::Put(new), value) => *value = new.clone(),
            (Effect::Append(element), Value::Array(elements)) => elements.push(element.clone()),
            (Effect::Append(element), value) => *value = Value::Array(vec![element.clone()]),
        }
        self.applied += 1;
    }
}

struct Store {
    fault: Fault,
    log: Vec<Entry>,
    copies: [Copy; COPIES],
    primary: usize,
    began: Instant,
    elected: Instant,
    random: Pcg64,
}

impl Store {
    /// The way to the primary, the way back, and what becomes of a write: drawn for each operation.
    fn draw(&mut self) -> (Duration, Duration, Fate) {
        let mut way = || Duration::from_micros(self.random.random_range(200..2500));
        let (there, back) = (way(), way());
        let chance: f64 = self.random.random();
        let late = Duration::from_millis(self.random.random_range(0..3000));
        let fate = match self.fault {
            Fault::Dirty if chance < 0.1 => Fate::RefusedYetDone,
            Fault::Hang if chance < 0.01 => Fate::Unanswered { late: Some(late) },
            Fault::Hang if chance < 0.02 => Fate::Unanswered { late: None },
            _ => Fate::Normal,
        };
        (there, back, fate)
    }

    fn read(&mut self, copy: Option<usize>, place: &Place) -> Value {
        self.catch_up();
        let copy = &self.copies[copy.unwrap_or(self.primary)];
        copy.values.get(place).cloned().unwrap_or_else(|| place.empty())
    }

    fn change(&mut self, place: Place, change: &Change) -> std::result::Result<(), String> {
        self.catch_up();
        let effect = match change {
            Change::Set(value) => Effect::Put(value.clone()),
            Change::Add(element) => Effect::Append(element.clone()),
            Change::CompareAndSet(expected, new) => {
                let held = &self.copies[self.primary].values;
                let found = held.get(&place).cloned().unwrap_or_else(|| place.empty());
                compare(expected, &found)?;
                Effect::Put(new.clone())
            }
        };
        self.log.push(Entry { at: Instant::now(), place, effect });
        self.catch_up();
        Ok(())
    }

    /// Brings everything to the present: an election that is due, and what each copy should have by now.
    fn catch_up(&mut self) {
        let now = Instant::now();
        self.replicate(now);
        if now.duration_since(self.elected) >= self.fault.term() {
            self.fail_over(now);
        }
    }

    fn replicate(&mut self, now: Instant) {
        for (number, copy) in self.copies.iter_mut().enumerate() {
            let lag = if number == self.primary { Duration::ZERO } else { self.fault.lag(number) };
            // The copy that is cut off keeps the state that it had when the split came.
            let cut = self.fault == Fault::Split && number == COPIES - 1;
            while let Some(entry) = self.log.get(copy.applied)
                && now >= entry.at + lag
                && !(cut && entry.at >= self.began + SPLIT_AFTER)
            {
                copy.apply(entry);
            }
        }
    }

    /// Another copy becomes the primary. It first gets all that the log holds; in `mem:lossy` it does not, and what it
    /// does not have is lost on all copies.
    fn fail_over(&mut self, now: Instant) {
        self.elected = now;
        let candidates = if self.fault == Fault::Split { COPIES - 1 } else { COPIES };
        self.primary = (self.primary + 1) % candidates;
        if self.fault != Fault::Lossy {
            return self.replicate(now);
        }
        let kept = self.copies[self.primary].applied;
        if kept < self.log.len() {
            self.log.truncate(kept);
        }
        for copy in &mut self.copies {
            if copy.applied > kept {
                *copy = Copy::default();
                self.log[..kept].iter().for_each(|entry| copy.apply(entry));
            }
        }
    }
}
