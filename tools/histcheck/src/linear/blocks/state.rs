//! What is open at one place of the history, by slots.

use crate::history::{OPEN, Pos};

/// A value of the register, by its place among those of the history.
pub(super) type Value = u32;

/// Operations, a bit a slot.
pub(super) type Slots = u128;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    Read(Value),
    Write(Value),
    Cas(Value, Value),
    Differs(Value),
}

/// The operations that have been invoked and not returned. Of ok operations each has a slot.
#[derive(Debug, Default)]
pub(super) struct Board {
    deeds: Vec<Deed>,
    res: Vec<Pos>,
    /// All slots in use.
    pub open: Slots,
    pub writes: Slots,
    pub cas: Slots,
    /// Those that are [free](super::pending::Home::is_free).
    pub free: Slots,
    differs: Slots,
    reads_of: Vec<Slots>,
    writes_of: Vec<Slots>,
    cas_from: Vec<Slots>,
}

/// The slots in a mask, lowest first.
pub(super) fn each(mut slots: Slots) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let slot = (slots != 0).then(|| slots.trailing_zeros())?;
        slots &= slots - 1;
        Some(slot)
    })
}

/// Whether a mask, of at least one slot, is of one alone.
fn is_one(slots: Slots) -> bool {
    slots & (slots - 1) == 0
}

impl Board {
    /// Nothing is open; there are so many values.
    pub fn new(values: usize) -> Board {
        let none = vec![0; values];
        Board {
            reads_of: none.clone(),
            writes_of: none.clone(),
            cas_from: none,
            ..Board::default()
        }
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        3 * self.reads_of.len() * size_of::<Slots>()
    }

    /// The slot for one more; `None` where all are in use.
    pub fn open(&mut self, deed: Deed, res: Pos) -> Option<u32> {
        let slot = self.open.trailing_ones();
        if slot == Slots::BITS {
            return None;
        }
        if slot as usize == self.deeds.len() {
            self.deeds.push(deed);
            self.res.push(OPEN);
        }
        self.deeds[slot as usize] = deed;
        self.res[slot as usize] = res;
        self.flip(deed, 1 << slot);
        Some(slot)
    }

    /// The operation in `slot` returned.
    pub fn close(&mut self, slot: u32) {
        self.flip(self.deed(slot), 1 << slot);
        self.free &= self.open;
    }

    fn flip(&mut self, deed: Deed, bit: Slots) {
        self.open ^= bit;
        match deed {
            Deed::Read(value) => self.reads_of[value as usize] ^= bit,
            Deed::Differs(_) => self.differs ^= bit,
            Deed::Write(value) => {
                self.writes ^= bit;
                self.writes_of[value as usize] ^= bit;
            }
            Deed::Cas(from, _) => {
                self.cas ^= bit;
                self.cas_from[from as usize] ^= bit;
            }
        }
    }

    /// Asks of all open operations anew which are free.
    pub fn find_free(&mut self, is_free: impl Fn(Deed) -> bool) {
        self.free = each(self.open)
            .filter(|&slot| is_free(self.deed(slot)))
            .fold(0, |all, slot| all | 1 << slot);
    }

    /// What the operation in `slot` does.
    pub fn deed(&self, slot: u32) -> Deed {
        self.deeds[slot as usize]
    }

    /// The open reads that `value` satisfies.
    pub fn satisfied(&self, value: Value) -> Slots {
        let others = |&slot: &u32| self.deed(slot) != Deed::Differs(value);
        each(self.differs)
            .filter(others)
            .fold(self.reads_of[value as usize], |all, slot| all | 1 << slot)
    }

    /// The open writes of `value`.
    pub fn writes_of(&self, value: Value) -> Slots {
        self.writes_of[value as usize]
    }

    /// The open cas that expect `value`.
    pub fn cas_from(&self, value: Value) -> Slots {
        self.cas_from[value as usize]
    }

    /// The open operations that only `value` lets happen.
    pub fn observers(&self, value: Value) -> Slots {
        self.reads_of[value as usize] | self.cas_from[value as usize]
    }

    /// The open cas that do what the operation in `slot` does.
    pub fn alike(&self, slot: u32) -> Slots {
        let deed = self.deed(slot);
        let Deed::Cas(from, _) = deed else { return 0 };
        each(self.cas_from(from))
            .filter(|&other| self.deed(other) == deed)
            .fold(0, |all, slot| all | 1 << slot)
    }

    /// Of `slots`, at least one, the operation that must return first.
    pub fn first_to_return(&self, slots: Slots) -> u32 {
        if is_one(slots) {
            return slots.trailing_zeros();
        }
        each(slots).min_by_key(|&slot| self.res[slot as usize]).unwrap_or_default()
    }

    /// Of `slots`, for each deed that occurs those that do it.
    pub fn by_deed(&self, mut slots: Slots) -> impl Iterator<Item = Slots> {
        std::iter::from_fn(move || {
            let first = (slots != 0).then(|| self.deed(slots.trailing_zeros()))?;
            let same = match first {
                _ if is_one(slots) => slots,
                Deed::Write(value) => slots & self.writes_of(value),
                _ => each(slots)
                    .filter(|&slot| self.deed(slot) == first)
                    .fold(0, |all, slot| all | 1 << slot),
            };
            slots &= !same;
            Some(same)
        })
    }
}
