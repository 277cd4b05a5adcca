//! Several registers that one operation reads and writes at once: `read` and `write` with an object of names and
//! values, and `txn` with a list of `["r", name, value]` and `["w", name, value]`, done in this order. The name `:x` of EDN
//! is the name `"x"`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::linear::object::{Call, Misread, Object, Read, Rests};
use crate::linear::op::Fate;
use crate::linear::specification::{Decided, Operation, Specification};
use crate::read::edn;

/// The registers.
pub const MODELS: &[Specification] = &[Specification {
    name: "multi-register",
    doc: "Several named values: read, write, txn",
    operations: &[
        Operation::query("read"),
        Operation::change("write").of_argument(),
        Operation::change("txn").of_argument(),
    ],
    names: Some(names),
    ..Specification::decided(Decided::AsObject(|key| {
        key.beginning(MultiRegister::holding(&key.json()))
    }))
}];

/// Registers by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRegister {
    /// What these hold first, as JSON.
    named: HashMap<Arc<str>, Arc<str>>,
    /// What all others hold first.
    others: Arc<str>,
}

impl MultiRegister {
    /// Registers that hold what `initial` says: an object has the values of those that it names, and null is in the
    /// others; any other value is in all of them.
    pub fn holding(initial: &Value) -> MultiRegister {
        let Value::Object(fields) = initial else {
            return MultiRegister { named: HashMap::new(), others: text(initial) };
        };
        let named = |(name, value): (&String, &Value)| (Arc::from(name.as_str()), text(value));
        MultiRegister { named: fields.iter().map(named).collect(), others: text(&Value::Null) }
    }

    fn first(&self, name: &str) -> &Arc<str> {
        self.named.get(&*plain(name)).unwrap_or(&self.others)
    }
}

/// A register's name without what says of which kind it is: fields of an object can only be strings, so `x` there is
/// the keyword `:x` too, and `7` the number.
fn plain(name: &str) -> Cow<'_, str> {
    match serde_json::from_str(name) {
        Ok(Value::String(word)) => word.into(),
        Ok(value) => edn::keyword(&value).map_or(name.into(), |word| word.to_string().into()),
        Err(_) => name.into(),
    }
}

/// The registers that an operation names, as `--initial` can name them.
pub fn names(value: &Value) -> Vec<String> {
    let fields = value.as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    let steps = value.as_array().into_iter().flatten().filter_map(|step| step.get(1));
    fields.chain(steps.map(|name| plain(&text(name)).into_owned())).collect()
}

/// One read or write of a register.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Micro {
    is_write: bool,
    name: Arc<str>,
    value: Arc<str>,
}

/// What an operation does, in its order.
pub type Act = Arc<[Micro]>;

impl Object for MultiRegister {
    type Act = Act;
    /// The registers that hold another value than at first, in the order of their names.
    type State = Vec<(Arc<str>, Arc<str>)>;

    fn act(&self, call: &Call<'_>) -> Read<Act> {
        if call.fate == Fate::Fail {
            return Ok(None);
        }
        let value = call.value.map(|value| call.values.json(value)).unwrap_or_default();
        let micros = match (call.word, &value) {
            ("read" | "write", Value::Object(fields)) => {
                let is_write = call.word == "write";
                let micro = |(name, value)| Micro {
                    is_write,
                    name: text(&Value::from(name)),
                    value: text(value),
                };
                fields.iter().map(|(name, value)| micro((name.as_str(), value))).collect()
            }
            ("txn", Value::Array(items)) => {
                items.iter().map(micro).collect::<Result<Vec<Micro>, String>>()?
            }
            ("read", _) if call.fate == Fate::Info => return Ok(None),
            ("read" | "write", other) => {
                return Err(format!(
                    "the value of a {} must be an object of names and values, not {other}",
                    call.word
                )
                .into());
            }
            ("txn", other) => {
                return Err(format!(
                    "the value of a txn must be a list of operations, not {other}"
                )
                .into());
            }
            _ => return Err(Misread::name("multi-register", call)),
        };
        // What an operation of unknown outcome read is not known either.
        let known = micros.into_iter().filter(|micro| micro.is_write || call.fate == Fate::Ok);
        let act: Act = known.collect();
        Ok((!act.is_empty()).then_some(act))
    }

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn step(&self, state: &Self::State, act: &Act, next: &mut Vec<Self::State>) {
        let mut after = state.clone();
        for micro in act.iter() {
            let place = after.binary_search_by(|(name, _)| name.cmp(&micro.name));
            let is_initial = micro.value == *self.first(&micro.name);
            match (micro.is_write, place) {
                (true, Ok(at)) if is_initial => {
                    after.remove(at);
                }
                (true, Ok(at)) => after[at].1 = Arc::clone(&micro.value),
                (true, Err(_)) if is_initial => {}
                (true, Err(at)) => {
                    after.insert(at, (Arc::clone(&micro.name), Arc::clone(&micro.value)));
                }
                (false, Ok(at)) if after[at].1 == micro.value => {}
                (false, Err(_)) if is_initial => {}
                (false, _) => return,
            }
        }
        next.push(after);
    }

    fn is_read(&self, act: &Act) -> bool {
        act.iter().all(|micro| !micro.is_write)
    }

    fn observes(&self, act: &Act) -> bool {
        act.iter().any(|micro| !micro.is_write)
    }

    /// Who saw the value of a register that another left there may have seen that one's.
    fn rests_on(&self, observer: &Act, writer: &Act) -> Rests {
        let names =
            |seen: &Micro| left(writer, &seen.name).is_some_and(|put| put.value == seen.value);
        Rests::always_if(observed(observer).any(names))
    }
}

/// What it says about registers as they were before it.
fn observed(act: &Act) -> impl Iterator<Item = &Micro> {
    let is_own = |at: usize| act[..at].iter().any(|m| m.is_write && m.name == act[at].name);
    act.iter().enumerate().filter(move |&(at, m)| !m.is_write && !is_own(at)).map(|(_, m)| m)
}

/// The last write of a register in it.
fn left<'a>(act: &'a Act, name: &Arc<str>) -> Option<&'a Micro> {
    act.iter().rfind(|micro| micro.is_write && micro.name == *name)
}

fn micro(item: &Value) -> Result<Micro, String> {
    let wrong =
        || format!("an operation of a txn must be [\"r\" or \"w\", name, value], not {item}");
    let parts = item.as_array().ok_or_else(wrong)?;
    let [word, name, value] = parts.as_slice() else { return Err(wrong()) };
    // In EDN a word may be a keyword, and a string where a keyword is usual is marked as one.
    let is_write = match edn::word(word) {
        Some("r" | "read") => false,
        Some("w" | "write") => true,
        _ => return Err(wrong()),
    };
    let name = edn::word(name).map_or_else(|| text(name), |name| text(&name.into()));
    Ok(Micro { is_write, name, value: text(value) })
}

fn text(value: &Value) -> Arc<str> {
    value.to_string().into()
}
