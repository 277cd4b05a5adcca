//! The sequential specification of each model, and a few operations of each whose histories are worth trying.

use serde_json::{Value, json};

use super::{Act, Fate, Item, Made, State};

type Step = Box<dyn Fn(&State, &Act, i64, bool) -> Vec<State> + Send + Sync>;

/// One model.
pub struct Spec {
    /// As `--model` takes it; `@` for the table, whose text is [`TABLE`].
    pub model: String,
    pub initial: State,
    /// As `--initial` takes it, where that is not left out.
    pub begins_with: Option<Value>,
    pub items: Vec<Item>,
    /// Whether it matters whose an operation is.
    pub has_owners: bool,
    /// Whether a cas that failed says something.
    pub fail_observes: bool,
    /// Which of the values 1, 2, ... each item names, where one value is as good as another.
    names: Option<Vec<Vec<i64>>>,
    differs: Vec<Option<Act>>,
    step: Step,
}

impl Spec {
    fn new(model: &str, initial: &[i64], items: Vec<Item>, step: Step) -> Spec {
        Spec {
            model: model.into(),
            initial: initial.to_vec(),
            begins_with: None,
            differs: vec![None; items.len()],
            items,
            has_owners: false,
            fail_observes: false,
            names: None,
            step,
        }
    }

    /// What `histcheck` must be told of it; the table lies in the current folder as [`TABLE_FILE`].
    pub fn options(&self) -> Vec<String> {
        let model = self.model.replace('@', &format!("@{TABLE_FILE}"));
        let mut options = vec!["--model".into(), model];
        options.extend(self.fail_observes.then(|| "--fail-observes".into()));
        if let Some(initial) = &self.begins_with {
            options.extend(["--initial".into(), initial.to_string()]);
        }
        options
    }

    /// Its values can change their names.
    fn renamed(mut self) -> Spec {
        let named = |item: &Item| match &item.act {
            Act::Read(v) | Act::Write(v) | Act::Put(v) | Act::Take(v) => vec![*v],
            Act::Add(v) | Act::Remove(v) | Act::Contains(v, _) => vec![*v],
            Act::Cas(a, b) => vec![*a, *b],
            Act::Append(list) | Act::Whole(list) => list.clone(),
            other => panic!("{other:?} names no values"),
        };
        self.names = Some(self.items.iter().map(named).collect());
        self
    }

    /// It holds something at first. That has a name of its own, which no other value can take.
    fn beginning(mut self, initial: &[i64], shown: Value) -> Spec {
        self.initial = initial.to_vec();
        self.begins_with = Some(shown);
        self.names = None;
        self
    }

    fn owned(mut self) -> Spec {
        self.has_owners = true;
        self
    }

    fn with_fails_that_observe(mut self) -> Spec {
        self.fail_observes = true;
        let differs = |item: &Item| match item.act {
            Act::Cas(from, _) => Some(Act::Differs(from)),
            _ => None,
        };
        self.differs = self.items.iter().map(differs).collect();
        self
    }

    /// The states that `act` may leave behind; where its result is not known, those of any result.
    pub fn step(&self, state: &State, act: &Act, process: i64, known: bool) -> Vec<State> {
        (self.step)(state, act, process, known)
    }

    /// What a failed operation says, where it says something.
    pub fn differs(&self, made: &Made) -> Option<&Act> {
        self.differs[made.item].as_ref().filter(|_| made.fate == Fate::Fail)
    }

    /// How many values are named once this item is taken, where `named` were; `None` for one that skips a name.
    pub fn names(&self, item: usize, mut named: i64) -> Option<i64> {
        for &value in self.names.as_ref().map_or(&[][..], |names| &names[item]) {
            if value > named + 1 {
                return None;
            }
            named = named.max(value);
        }
        Some(named)
    }
}

fn item(f: &'static str, argument: Value, result: Value, act: Act) -> Item {
    Item { f, argument, result, act }
}

/// 0 is null.
fn value(number: i64) -> Value {
    match number {
        0 => Value::Null,
        other => other.into(),
    }
}

fn read(v: i64) -> Item {
    item("read", Value::Null, value(v), Act::Read(v))
}

fn write(v: i64) -> Item {
    item("write", value(v), value(v), Act::Write(v))
}

fn cas(from: i64, to: i64) -> Item {
    let pair = json!([value(from), value(to)]);
    item("cas", pair.clone(), pair, Act::Cas(from, to))
}

/// Where it is, if that is legal.
fn stay(state: &State, legal: bool) -> Vec<State> {
    if legal { vec![state.clone()] } else { Vec::new() }
}

fn register(state: &State, act: &Act, _: i64, known: bool) -> Vec<State> {
    let now = state[0];
    match *act {
        Act::Read(v) => stay(state, !known || now == v),
        Act::Differs(v) => stay(state, now != v),
        Act::Write(v) => vec![vec![v]],
        Act::Cas(from, to) if now == from => vec![vec![to]],
        Act::Cas(..) => stay(state, !known),
        ref other => panic!("a register has no {other:?}"),
    }
}

fn registers(model: &str, values: i64, with_cas: bool) -> Spec {
    let mut items = Vec::new();
    for v in 0..=values {
        items.extend([read(v), write(v)]);
        if with_cas {
            items.extend((0..=values).map(|to| cas(v, to)));
        }
    }
    Spec::new(model, &[0], items, Box::new(register)).renamed()
}

fn locked(model: &str, admits: fn(&State, i64) -> bool) -> Spec {
    let items = vec![
        item("acquire", Value::Null, Value::Null, Act::Acquire(0)),
        item("release", Value::Null, Value::Null, Act::Release),
    ];
    let step = move |state: &State, act: &Act, process: i64, _: bool| {
        let mut after = state.clone();
        match act {
            Act::Acquire(_) if admits(state, process) => after.push(process),
            Act::Release => match state.iter().position(|&holder| holder == process) {
                Some(at) => drop(after.remove(at)),
                None => return Vec::new(),
            },
            _ => return Vec::new(),
        }
        after.sort_unstable();
        vec![after]
    };
    Spec::new(model, &[], items, Box::new(step)).owned()
}

/// Holder, or 0, and the last token.
fn fenced() -> Spec {
    let acquire = |token: i64| item("acquire", Value::Null, token.into(), Act::Acquire(token));
    let mut items: Vec<Item> = (1..=3).map(acquire).collect();
    items.push(item("release", Value::Null, Value::Null, Act::Release));
    let step = |state: &State, act: &Act, process: i64, known: bool| {
        let (holder, last) = (state[0], state[1]);
        match *act {
            Act::Acquire(_) if holder != 0 => Vec::new(),
            // Any token may have come back: one less than all that are known, between them, or more than all.
            Act::Acquire(_) if !known => {
                (last + 1..=4.max(last + 1)).map(|token| vec![process + 1, token]).collect()
            }
            Act::Acquire(token) if token > last => vec![vec![process + 1, token]],
            Act::Release if holder == process + 1 => vec![vec![0, last]],
            _ => Vec::new(),
        }
    };
    // Tokens may be as small as one likes; of less than one only as many matter as there are operations.
    Spec::new("fenced-mutex", &[0, -9], items, Box::new(step)).owned()
}

/// In which order values leave.
#[derive(Clone, Copy)]
enum Leaves {
    First,
    Last,
    Least,
    Any,
}

fn container(model: &str, put: &'static str, take: &'static str, leaves: Leaves) -> Spec {
    let mut items = Vec::new();
    for v in 1..=3 {
        items.push(item(put, v.into(), v.into(), Act::Put(v)));
        items.push(item(take, Value::Null, v.into(), Act::Take(v)));
    }
    items.push(item(take, Value::Null, Value::Null, Act::Take(0)));
    let step = move |state: &State, act: &Act, _: i64, known: bool| {
        let may_leave = |&at: &usize| match leaves {
            Leaves::First => at == 0,
            Leaves::Last => at + 1 == state.len(),
            Leaves::Least => state.iter().all(|&other| other >= state[at]),
            Leaves::Any => true,
        };
        match *act {
            Act::Put(v) => vec![state.iter().copied().chain([v]).collect()],
            Act::Take(0) if known => stay(state, state.is_empty()),
            Act::Take(_) if !known && state.is_empty() => stay(state, true),
            Act::Take(v) => {
                let out = (0..state.len()).filter(may_leave);
                let out = out.filter(|&at| !known || state[at] == v);
                let left = |at: usize| {
                    let mut left = state.clone();
                    left.remove(at);
                    left
                };
                out.map(left).collect()
            }
            ref other => panic!("a container has no {other:?}"),
        }
    };
    let spec = Spec::new(model, &[], items, Box::new(step));
    if matches!(leaves, Leaves::Least) { spec } else { spec.renamed() }
}

fn set() -> Spec {
    let mut items = Vec::new();
    for v in 1..=2 {
        items.push(item("add", v.into(), v.into(), Act::Add(v)));
        items.push(item("remove", v.into(), v.into(), Act::Remove(v)));
        for there in [true, false] {
            let result = json!([v, there]);
            items.push(item("contains", v.into(), result, Act::Contains(v, there)));
        }
    }
    for list in [&[][..], &[1], &[2], &[1, 2]] {
        let backwards: Vec<i64> = list.iter().rev().copied().collect();
        items.push(item("read", Value::Null, json!(backwards), Act::Whole(list.to_vec())));
    }
    let step = |state: &State, act: &Act, _: i64, known: bool| match act {
        Act::Add(v) => {
            let mut after = state.clone();
            after.push(*v);
            after.sort_unstable();
            after.dedup();
            vec![after]
        }
        Act::Remove(v) => vec![state.iter().copied().filter(|other| other != v).collect()],
        Act::Contains(v, there) => stay(state, !known || state.contains(v) == *there),
        Act::Whole(list) => stay(state, !known || state == list),
        other => panic!("a set has no {other:?}"),
    };
    Spec::new("set", &[], items, Box::new(step)).renamed()
}

fn counter() -> Spec {
    let mut items = vec![
        item("inc", Value::Null, Value::Null, Act::Add(1)),
        item("inc", 2.into(), 2.into(), Act::Add(2)),
        item("dec", Value::Null, Value::Null, Act::Add(-1)),
        item("add", 1.into(), 1.into(), Act::Add(1)),
    ];
    items.extend((-1..=3).map(|n| item("read", Value::Null, n.into(), Act::Read(n))));
    let step = |state: &State, act: &Act, _: i64, known: bool| match *act {
        Act::Add(n) => vec![vec![state[0] + n]],
        Act::Read(n) => stay(state, !known || state[0] == n),
        ref other => panic!("a counter has no {other:?}"),
    };
    Spec::new("counter", &[0], items, Box::new(step))
}

fn fetch_add() -> Spec {
    let add = |added: i64, before: i64| {
        item("fetch-add", added.into(), json!([added, before]), Act::FetchAdd(added, before))
    };
    let mut items = vec![add(0, 1), add(2, 0), add(2, 1), add(-1, 1), add(-1, 2)];
    items.extend((0..=2).map(|before| add(1, before)));
    items.extend((0..=3).map(|n| item("read", Value::Null, n.into(), Act::Read(n))));
    let step = |state: &State, act: &Act, _: i64, known: bool| match *act {
        Act::FetchAdd(n, before) if !known || before == state[0] => vec![vec![state[0] + n]],
        Act::FetchAdd(..) => Vec::new(),
        Act::Read(n) => stay(state, !known || state[0] == n),
        ref other => panic!("fetch-add has no {other:?}"),
    };
    Spec::new("fetch-add", &[0], items, Box::new(step))
}

/// Mostly adds of nothing, which find something and put nothing.
fn fetch_adds_of_nothing() -> Spec {
    let mut spec = fetch_add();
    let nothing =
        |before: i64| item("fetch-add", 0.into(), json!([0, before]), Act::FetchAdd(0, before));
    spec.items.extend([nothing(0), nothing(2), nothing(1), nothing(3)]);
    spec.differs = vec![None; spec.items.len()];
    spec
}

fn appended(state: &State, act: &Act, _: i64, known: bool) -> Vec<State> {
    match act {
        Act::Append(more) => vec![state.iter().chain(more).copied().collect()],
        Act::Put(letter) => vec![vec![*letter]],
        Act::Whole(list) => stay(state, !known || state == list),
        other => panic!("nothing that grows has {other:?}"),
    }
}

fn list_append() -> Spec {
    let append = |v: i64| item("append", v.into(), v.into(), Act::Append(vec![v]));
    let whole = |list: &[i64]| item("read", Value::Null, json!(list), Act::Whole(list.to_vec()));
    let mut items: Vec<Item> = (1..=3).map(append).collect();
    let lists: [&[i64]; 7] = [&[], &[1], &[2], &[1, 2], &[2, 1], &[1, 1], &[1, 2, 3]];
    items.extend(lists.map(whole));
    Spec::new("list-append", &[], items, Box::new(appended)).renamed()
}

/// Strings of the letters a, b and c, which are 1, 2 and 3.
fn kv_append() -> Spec {
    let text = |letters: &[i64]| -> Value {
        letters.iter().map(|&n| [' ', 'a', 'b', 'c'][n as usize]).collect::<String>().into()
    };
    let mut items = Vec::new();
    for letter in [1, 3] {
        items.push(item("put", text(&[letter]), text(&[letter]), Act::Put(letter)));
    }
    let pieces: [&[i64]; 4] = [&[], &[1], &[2], &[1, 2]];
    items.extend(pieces.map(|p| item("append", text(p), text(p), Act::Append(p.to_vec()))));
    let strings: [&[i64]; 7] = [&[], &[1], &[2], &[1, 2], &[3, 1], &[1, 1], &[1, 2, 1]];
    items.extend(strings.map(|s| item("get", Value::Null, text(s), Act::Whole(s.to_vec()))));
    Spec::new("kv-append", &[], items, Box::new(appended))
}

/// The registers x and y.
fn multi_register() -> Spec {
    let object = |values: [Option<i64>; 2]| {
        let named = ["x", "y"].into_iter().zip(values);
        let there = named.filter_map(|(name, v)| Some((name.to_string(), value(v?))));
        Value::Object(there.collect())
    };
    let micros = |is_write: bool, values: [Option<i64>; 2]| {
        let named = values.into_iter().enumerate();
        named.filter_map(|(at, v)| Some((is_write, at, v?))).collect::<Vec<_>>()
    };
    let mut items = Vec::new();
    for values in [[Some(1), None], [None, Some(1)], [Some(1), Some(1)], [Some(0), None]] {
        let shown = object(values);
        items.push(item("write", shown.clone(), shown.clone(), Act::Txn(micros(true, values))));
        items.push(item("read", Value::Null, shown, Act::Txn(micros(false, values))));
    }
    let split = [Some(1), Some(0)];
    items.push(item("read", Value::Null, object(split), Act::Txn(micros(false, split))));
    let swap = json!([["r", "x", 1], ["w", "x", null], ["w", "y", 1], ["r", "y", 1]]);
    let asked = json!([["r", "x", null], ["w", "x", null], ["w", "y", 1], ["r", "y", null]]);
    let does = vec![(false, 0, 1), (true, 0, 0), (true, 1, 1), (false, 1, 1)];
    items.push(item("txn", asked, swap, Act::Txn(does)));
    let step = |state: &State, act: &Act, _: i64, known: bool| {
        let Act::Txn(micros) = act else { panic!("registers have no {act:?}") };
        let mut after = state.clone();
        for &(is_write, name, value) in micros {
            if is_write {
                after[name] = value;
            } else if known && after[name] != value {
                return Vec::new();
            }
        }
        vec![after]
    };
    Spec::new("multi-register", &[0, 0], items, Box::new(step))
}

/// A user's own model, with an operation that may end in two ways, one that is refused, and ones that change nothing.
pub const TABLE: &str = "\
start a
a go   1 b
a go   2 a
b go   * c   # from b and c it goes wherever it likes
b go   1 a
c back * a
b back * a
c back 1 b
a look 5 a
b look 6 b
c look 6 c
";

/// What the file is called that holds [`TABLE`].
pub const TABLE_FILE: &str = "table.model";

/// The rows of [`TABLE`]; states a, b, c are 0, 1, 2, and value 0 is any.
const ROWS: [(i64, &str, i64, i64); 10] = [
    (0, "go", 1, 1),
    (0, "go", 2, 0),
    (1, "go", 0, 2),
    (1, "go", 1, 0),
    (2, "back", 0, 0),
    (1, "back", 0, 0),
    (2, "back", 1, 1),
    (0, "look", 5, 0),
    (1, "look", 6, 1),
    (2, "look", 6, 2),
];

fn table() -> Spec {
    let go = |word: &'static str, v: i64| item(word, Value::Null, v.into(), Act::Go(word, v));
    let items = vec![
        go("go", 1),
        go("go", 2),
        go("go", 3),
        go("back", 1),
        go("back", 2),
        go("look", 5),
        go("look", 6),
    ];
    let step = |state: &State, act: &Act, _: i64, known: bool| {
        let Act::Go(word, value) = *act else { panic!("the table has no {act:?}") };
        let fits = |row: &&(i64, &str, i64, i64)| {
            row.0 == state[0] && row.1 == word && (!known || row.2 == 0 || row.2 == value)
        };
        ROWS.iter().filter(fits).map(|row| vec![row.3]).collect()
    };
    Spec::new("@", &[0], items, Box::new(step))
}

/// Hands a macro all that [`spec`] knows: the name of a test, and that of the model.
macro_rules! with_every_model {
    ($tests:ident) => {
        $tests! {
            register "register"
            cas_register "cas-register"
            cas_register_with_fails_that_observe "cas-register with fails that observe"
            cas_register_from_1 "cas-register from 1"
            mutex "mutex"
            reentrant_mutex "reentrant-mutex"
            semaphore_of_one "semaphore:1"
            semaphore_of_two "semaphore:2"
            fenced_mutex "fenced-mutex"
            fifo_queue "fifo-queue"
            unordered_queue "unordered-queue"
            stack "stack"
            priority_queue "priority-queue"
            set "set"
            counter "counter"
            counter_from_1 "counter from 1"
            fetch_add "fetch-add"
            fetch_add_from_1 "fetch-add from 1"
            list_append "list-append"
            list_append_from_1 "list-append from 1"
            kv_append "kv-append"
            kv_append_from_a "kv-append from a"
            multi_register "multi-register"
            multi_register_from_x "multi-register from x"
            table "@"
        }
    };
}
pub(crate) use with_every_model;

macro_rules! names {
    ($($test:ident $name:literal)*) => { &[$($name),*] };
}

/// The names of all that [`spec`] knows.
pub const MODELS: &[&str] = with_every_model!(names);

/// The specification of a model.
pub fn spec(name: &str) -> Spec {
    match name {
        "register" => registers(name, 3, false),
        "cas-register" => registers(name, 2, true),
        "cas-register with fails that observe" => {
            registers("cas-register", 2, true).with_fails_that_observe()
        }
        "cas-register from 1" => registers("cas-register", 2, true).beginning(&[1], json!(1)),
        "mutex" | "semaphore:1" => locked(name, |holders, _| holders.is_empty()),
        "reentrant-mutex" => {
            locked(name, |holders, process| holders.iter().all(|&holder| holder == process))
        }
        "semaphore:2" => locked(name, |holders, _| holders.len() < 2),
        "fenced-mutex" => fenced(),
        "fifo-queue" => container(name, "enqueue", "dequeue", Leaves::First),
        "unordered-queue" => container(name, "enqueue", "dequeue", Leaves::Any),
        "stack" => container(name, "push", "pop", Leaves::Last),
        "priority-queue" => container(name, "insert", "extract", Leaves::Least),
        "set" => set(),
        "counter" => counter(),
        "counter from 1" => counter().beginning(&[1], json!(1)),
        "fetch-add" => fetch_add(),
        "fetch-add of nothing" => fetch_adds_of_nothing(),
        "fetch-add from 1" => fetch_add().beginning(&[1], json!(1)),
        "list-append" => list_append(),
        "list-append from 1" => list_append().beginning(&[1], json!([1])),
        "kv-append" => kv_append(),
        "kv-append from a" => kv_append().beginning(&[1], json!("a")),
        "multi-register" => multi_register(),
        "multi-register from x" => multi_register().beginning(&[1, 0], json!({"x": 1})),
        "@" => table(),
        other => panic!("there is no model {other}"),
    }
}
