//! Which operations belong to which key: the rows of each, by a counting sort, and nothing at all where there is
//! only one.

use rustc_hash::FxHashMap;

use crate::history::Operations;
use crate::values::Id;

/// The keys of a history, in the order of their first appearance, with their operations.
#[derive(Debug)]
pub struct Keys {
    keys: Vec<Key>,
    /// The operations of all keys, one key after the other; none where one key has them all.
    rows: Vec<u32>,
}

#[derive(Debug)]
struct Key {
    id: Option<Id>,
    /// Where its operations end in [`Keys::rows`].
    end: usize,
}

/// The operations of one key, in the order of their invocations.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'k> {
    /// So many, from the first on.
    All(usize),
    /// These.
    Some(&'k [u32]),
}

impl Rows<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Rows::All(count) => *count,
            Rows::Some(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the operation at a place among these.
    #[inline]
    pub fn get(&self, place: usize) -> usize {
        match self {
            Rows::All(_) => place,
            Rows::Some(rows) => rows[place] as usize,
        }
    }

    /// Their indices.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|place| self.get(place))
    }
}

impl Keys {
    /// The keys of these operations.
    pub(crate) fn of(ops: &Operations) -> Keys {
        if !ops.has_keys() && !ops.is_empty() {
            return Keys { keys: vec![Key { id: None, end: ops.len() }], rows: Vec::new() };
        }
        let mut keys: Vec<Key> = Vec::new();
        let mut places = Places::new(ops);
        for index in 0..ops.len() {
            let id = ops.key(index);
            let place = places.of(id, keys.len());
            if place == keys.len() {
                keys.push(Key { id, end: 0 });
            }
            keys[place].end += 1;
        }
        let rows = if keys.len() < 2 { Vec::new() } else { sorted(ops, &mut keys, &mut places) };
        Keys { keys, rows }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.keys.len() * size_of::<Key>() + self.rows.len() * size_of::<u32>()
    }

    /// The key at a place, with its operations.
    pub fn get(&self, place: usize) -> (Option<Id>, Rows<'_>) {
        let Key { id, end } = self.keys[place];
        if self.rows.is_empty() {
            return (id, Rows::All(end));
        }
        let begin = place.checked_sub(1).map_or(0, |before| self.keys[before].end);
        (id, Rows::Some(&self.rows[begin..end]))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Option<Id>, Rows<'_>)> {
        (0..self.len()).map(|place| self.get(place))
    }
}

/// The rows sorted by key. Where a key's rows end is how many it has before and where that is after.
fn sorted(ops: &Operations, keys: &mut [Key], places: &mut Places) -> Vec<u32> {
    let mut begin = 0;
    for key in &mut *keys {
        let count = std::mem::replace(&mut key.end, begin);
        begin += count;
    }
    let mut rows = vec![0; ops.len()];
    for index in 0..ops.len() {
        let key = &mut keys[places.of(ops.key(index), usize::MAX)];
        // There are fewer operations than lines, and these are counted in 31 bits.
        rows[key.end] = index as u32;
        key.end += 1;
    }
    rows
}

/// The place of each key: by its number in an array, where the keys are numbers that lie close together, else by
/// its hash.
struct Places {
    lowest: u32,
    near: Vec<u32>,
    far: FxHashMap<Option<Id>, u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Places {
    fn new(ops: &Operations) -> Places {
        let ids = || (0..ops.len()).filter_map(|index| ops.key(index)).map(|id| id.0);
        let (lowest, highest) =
            ids().fold((u32::MAX, 0), |(low, high), id| (low.min(id), high.max(id)));
        let span = highest.saturating_sub(lowest) as usize + 1;
        // More room than the rows themselves would take is too much.
        let near = if span <= ops.len() { vec![NOWHERE; span] } else { Vec::new() };
        Places { lowest, near, far: FxHashMap::default() }
    }

    /// Its place; `next` where it has none yet.
    #[inline]
    fn of(&mut self, key: Option<Id>, next: usize) -> usize {
        let near = key.and_then(|id| self.near.get_mut(id.0.wrapping_sub(self.lowest) as usize));
        // There are fewer keys than lines.
        let place = match near {
            Some(place) => {
                if *place == NOWHERE {
                    *place = next as u32;
                }
                *place
            }
            None => *self.far.entry(key).or_insert(next as u32),
        };
        place as usize
    }
}
