//! Where the values of a register come from.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::Known;
use crate::values::Id;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An operation that may not have happened.
    Pending(Known),
    /// A layer.
    Layer(usize),
}

/// What is known of where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// It has no source.
    Nobody,
    /// Its only one.
    One(Source),
    /// There are several.
    Several,
}

/// So many are found sooner one after the other than by a hash, and take less memory.
const FEW: usize = 16;

/// All sources that are there.
#[derive(Debug)]
pub(super) enum Sources {
    /// In no order.
    Few(Vec<(Id, Source)>),
    Many(Box<Many>),
}

/// By their values, and how many they are. Of nearly all values there is one.
#[derive(Debug, Default)]
pub(super) struct Many {
    by_value: FxHashMap<Id, (Source, Vec<Source>)>,
    count: usize,
}

impl Default for Sources {
    fn default() -> Sources {
        Sources::Few(Vec::new())
    }
}

impl Sources {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Sources::Few(few) => few.len(),
            Sources::Many(many) => many.count,
        }
    }

    /// What is known of the sources of `value`.
    pub fn of(&self, value: Id) -> Of {
        match self {
            Sources::Few(few) => {
                let mut found = few.iter().filter(|(of, _)| *of == value);
                match (found.next(), found.next()) {
                    (None, _) => Of::Nobody,
                    (Some(&(_, only)), None) => Of::One(only),
                    (Some(_), Some(_)) => Of::Several,
                }
            }
            Sources::Many(many) => match many.by_value.get(&value) {
                None => Of::Nobody,
                Some((only, others)) if others.is_empty() => Of::One(*only),
                Some(_) => Of::Several,
            },
        }
    }

    /// The source of `value` that is sought, if it is there.
    pub fn find(&self, value: Id, is_it: impl Fn(&Source) -> bool) -> Option<Source> {
        match self {
            Sources::Few(few) => {
                few.iter().find(|(of, source)| *of == value && is_it(source)).map(|&(_, it)| it)
            }
            Sources::Many(many) => {
                let (one, others) = many.by_value.get(&value)?;
                std::iter::once(one).chain(others).find(|source| is_it(source)).copied()
            }
        }
    }

    /// One more.
    pub fn add(&mut self, value: Id, source: Source) {
        match self {
            Sources::Few(few) if few.len() < FEW => few.push((value, source)),
            Sources::Few(few) => {
                let mut many = Many::default();
                few.drain(..).for_each(|(value, source)| many.add(value, source));
                many.add(value, source);
                *self = Sources::Many(Box::new(many));
            }
            Sources::Many(many) => many.add(value, source),
        }
    }

    /// One less, if it is there.
    pub fn remove(&mut self, value: Id, source: &Source) {
        match self {
            Sources::Few(few) => {
                if let Some(at) = few.iter().position(|it| it.0 == value && it.1 == *source) {
                    few.swap_remove(at);
                }
            }
            Sources::Many(many) => many.remove(value, source),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        let (few, many) = match self {
            Sources::Few(few) => (few.as_slice(), None),
            Sources::Many(many) => (&[][..], Some(&many.by_value)),
        };
        let many = many.into_iter().flat_map(|many| many.values());
        let many = many.flat_map(|(one, others)| std::iter::once(one).chain(others));
        few.iter().map(|(_, source)| source).chain(many)
    }
}

impl Many {
    fn add(&mut self, value: Id, source: Source) {
        match self.by_value.entry(value) {
            Entry::Vacant(free) => {
                free.insert((source, Vec::new()));
            }
            Entry::Occupied(mut known) => known.get_mut().1.push(source),
        }
        self.count += 1;
    }

    fn remove(&mut self, value: Id, source: &Source) {
        let Some((one, others)) = self.by_value.get_mut(&value) else { return };
        if let Some(at) = others.iter().position(|other| other == source) {
            others.remove(at);
        } else if one != source {
            return;
        } else if others.is_empty() {
            self.by_value.remove(&value);
        } else {
            *one = others.remove(0);
        }
        self.count -= 1;
    }
}
