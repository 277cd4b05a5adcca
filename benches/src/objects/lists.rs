//! Lists and strings that grow at their end: read and appended to, half and half. A list has a key, and makes way for
//! one with another key once it is long, as Jepsen's do; a string is now and then put in place of all.

use breakit::rng::{Pcg64, RngExt};

use super::{Call, Object};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lists,
    Strings,
}

/// An append makes a list so long at most.
const LONG: usize = 32;
/// So many lists are there at once, where nobody says how many.
const AT_ONCE: u64 = 10;

/// A piece of a list or string; a string's first one may be a put.
#[derive(Clone, Copy)]
struct Piece {
    number: u64,
    inv: u64,
    /// Where its append returned.
    res: u64,
}

#[derive(Default)]
struct List {
    key: u64,
    pieces: Vec<Piece>,
    begun: usize,
}

/// All of them.
pub struct Lists {
    kind: Kind,
    has_keys: bool,
    lists: Vec<List>,
    /// Those that made way and may still be asked for.
    old: std::collections::HashMap<u64, Vec<Piece>>,
    keys: u64,
    numbers: u64,
}

impl Lists {
    pub fn new(kind: Kind, keys: u64) -> Lists {
        let count = match (kind, keys) {
            (Kind::Lists, 0) => AT_ONCE,
            (Kind::Strings, 0) => 1,
            (_, keys) => keys,
        };
        let lists = (0..count).map(|key| List { key, ..List::default() }).collect();
        let has_keys = kind == Kind::Lists || keys > 0;
        Lists { kind, has_keys, lists, old: Default::default(), keys: count, numbers: 0 }
    }

    fn words(&self) -> [&'static str; 2] {
        match self.kind {
            Kind::Lists => ["read", "append"],
            Kind::Strings => ["get", "append"],
        }
    }

    fn pieces(&mut self, key: Option<u64>) -> &mut Vec<Piece> {
        let key = key.unwrap_or_default();
        match self.lists.iter().position(|list| list.key == key) {
            Some(at) => &mut self.lists[at].pieces,
            None => self.old.entry(key).or_default(),
        }
    }

    fn shown(&self, pieces: &[Piece]) -> String {
        let numbers: Vec<String> = pieces.iter().map(|piece| piece.number.to_string()).collect();
        match self.kind {
            Kind::Lists => format!("[{}]", numbers.join(",")),
            Kind::Strings => {
                format!("\"{}\"", numbers.iter().map(|n| format!("{n};")).collect::<String>())
            }
        }
    }

    /// A list that has had all its appends makes way.
    fn rotate(&mut self, at: usize) {
        if self.kind == Kind::Lists && self.lists[at].begun == LONG {
            let next = List { key: self.keys, ..List::default() };
            self.keys += 1;
            let List { key, pieces, .. } = std::mem::replace(&mut self.lists[at], next);
            self.old.insert(key, pieces);
        }
    }
}

impl Object for Lists {
    fn next(&mut self, slot: usize, inv: u64, rng: &mut Pcg64) -> Call {
        let at = rng.random_range(0..self.lists.len());
        let is_put = self.kind == Kind::Strings && rng.random_range(0..8) == 0;
        let is_read = rng.random_bool(0.5);
        self.rotate(at);
        let key = self.has_keys.then_some(self.lists[at].key);
        let [read, append] = self.words();
        if is_read {
            return Call { slot, f: read, key, number: 0, argument: "null".into(), inv };
        }
        self.lists[at].begun += 1;
        self.numbers += 1;
        let number = self.numbers;
        let argument = match self.kind {
            Kind::Lists => number.to_string(),
            Kind::Strings => format!("\"{number};\""),
        };
        Call { slot, f: if is_put { "put" } else { append }, key, number, argument, inv }
    }

    fn take_effect(&mut self, call: &Call) -> Option<String> {
        let pieces = self.pieces(call.key);
        if call.number == 0 {
            let pieces = pieces.clone();
            return Some(self.shown(&pieces));
        }
        if call.f == "put" {
            pieces.clear();
        }
        pieces.push(Piece { number: call.number, inv: call.inv, res: u64::MAX });
        Some(call.argument.clone())
    }

    fn returned(&mut self, call: &Call, line: u64) {
        let mut pieces = self.pieces(call.key).iter_mut();
        if let Some(piece) = pieces.find(|piece| piece.number == call.number) {
            piece.res = line;
        }
    }

    /// All up to the last piece that was surely there before the read began, without that piece: one that was
    /// appended after what the string begins with was surely there.
    fn lie(&mut self, call: &Call) -> Option<String> {
        let is_string = self.kind == Kind::Strings;
        let pieces = self.pieces(call.key).clone();
        let last = pieces.iter().rposition(|piece| piece.res < call.inv)?;
        let is_based = !is_string || last > 0 && pieces[0].res < pieces[last].inv;
        (call.number == 0 && is_based).then(|| self.shown(&pieces[..last]))
    }
}
