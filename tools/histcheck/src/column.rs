//! Columns of a table that take no more room than their values need: none while nobody has a value, and a byte
//! each while all values are small.

/// Values by row; rows that nobody set have `none`.
#[derive(Debug)]
pub struct Sparse<T> {
    none: T,
    data: Vec<T>,
}

impl<T: Copy + PartialEq> Sparse<T> {
    /// A column without values.
    pub fn new(none: T) -> Sparse<T> {
        Sparse { none, data: Vec::new() }
    }

    /// The value of a row.
    #[inline]
    pub fn get(&self, row: usize) -> T {
        self.data.get(row).copied().unwrap_or(self.none)
    }

    /// Sets the value of a row.
    #[inline]
    pub fn set(&mut self, row: usize, value: T) {
        if row == self.data.len() && row > 0 {
            self.data.push(value);
        } else if let Some(place) = self.data.get_mut(row) {
            *place = value;
        } else if value != self.none {
            self.data.resize(row, self.none);
            self.data.push(value);
        }
    }

    /// Makes room for so many rows, where there are values at all.
    pub fn reserve(&mut self, rows: usize) {
        if !self.data.is_empty() {
            self.data.reserve(rows.saturating_sub(self.data.len()));
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<T>()
    }

    /// Puts the rows of another column behind our first `rows`, each changed by `rename`.
    pub fn append(&mut self, rows: usize, other: Sparse<T>, rename: impl Fn(T) -> T) {
        if other.data.is_empty() {
            return;
        }
        self.data.resize(rows, self.none);
        let renamed = other.data.into_iter().map(|value| match value == other.none {
            true => self.none,
            false => rename(value),
        });
        self.data.extend(renamed);
    }
}

/// Numbers by row, most of them small: places of processes, ids of nodes. Rows that nobody set have [`NOTHING`].
#[derive(Debug)]
pub enum Narrow {
    /// All that were set so far fit in a byte.
    Bytes(Sparse<u8>),
    /// One of them did not.
    Wide(Sparse<u32>),
}

/// What a row of [`Narrow`] has that nobody set.
pub const NOTHING: u32 = u32::MAX;
/// The same in a byte.
const NO_BYTE: u8 = u8::MAX;

impl Narrow {
    /// A column without values.
    pub fn new() -> Narrow {
        Narrow::Bytes(Sparse::new(NO_BYTE))
    }

    /// The number in a row.
    #[inline]
    pub fn get(&self, row: usize) -> u32 {
        match self {
            Narrow::Bytes(column) => widened(column.get(row)),
            Narrow::Wide(column) => column.get(row),
        }
    }

    /// Sets the number in a row.
    #[inline]
    pub fn set(&mut self, row: usize, number: u32) {
        match self {
            Narrow::Bytes(column) => match narrowed(number) {
                Some(byte) => column.set(row, byte),
                None => self.set_wide(row, number),
            },
            Narrow::Wide(column) => column.set(row, number),
        }
    }

    /// Makes room for so many rows, where there are values at all.
    pub fn reserve(&mut self, rows: usize) {
        match self {
            Narrow::Bytes(column) => column.reserve(rows),
            Narrow::Wide(column) => column.reserve(rows),
        }
    }

    /// Puts the rows of another column behind our first `rows`, each changed by `rename`.
    pub fn append(&mut self, rows: usize, other: Narrow, rename: impl Fn(u32) -> u32) {
        let others = match &other {
            Narrow::Bytes(column) => column.data.len(),
            Narrow::Wide(column) => column.data.len(),
        };
        for row in 0..others {
            let number = other.get(row);
            let renamed = if number == NOTHING { NOTHING } else { rename(number) };
            self.set(rows + row, renamed);
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Narrow::Bytes(column) => column.bytes(),
            Narrow::Wide(column) => column.bytes(),
        }
    }

    #[cold]
    fn set_wide(&mut self, row: usize, number: u32) {
        let mut wide = Sparse::new(NOTHING);
        if let Narrow::Bytes(column) = self {
            wide.data.reserve(column.data.capacity());
            wide.data.extend(column.data.iter().map(|&byte| widened(byte)));
        }
        wide.set(row, number);
        *self = Narrow::Wide(wide);
    }
}

#[inline]
fn widened(byte: u8) -> u32 {
    if byte == NO_BYTE { NOTHING } else { u32::from(byte) }
}

#[inline]
fn narrowed(number: u32) -> Option<u8> {
    match number {
        NOTHING => Some(NO_BYTE),
        _ => u8::try_from(number).ok().filter(|&byte| byte != NO_BYTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_column_holds_any_number_whenever_it_comes() {
        let numbers = [3, NOTHING, 254, 255, 0, 256, NOTHING, u32::MAX - 1];
        for first in 0..numbers.len() {
            let mut column = Narrow::new();
            let turned = || numbers.iter().cycle().skip(first).take(numbers.len());
            turned().enumerate().for_each(|(row, &number)| column.set(row, number));
            let rows: Vec<u32> = (0..numbers.len()).map(|row| column.get(row)).collect();
            assert!(rows.iter().eq(turned()), "{rows:?}");
            column.set(1, 7);
            assert_eq!((column.get(1), column.get(99)), (7, NOTHING));
        }
        let mut column = Narrow::new();
        column.append(2, Narrow::new(), |number| number);
        let mut other = Narrow::new();
        [1, NOTHING, 2].into_iter().enumerate().for_each(|(row, number)| other.set(row, number));
        column.append(2, other, |number| number * 1000);
        let rows: Vec<u32> = (0..6).map(|row| column.get(row)).collect();
        assert_eq!(rows, [NOTHING, NOTHING, 1000, NOTHING, 2000, NOTHING]);
    }

    #[test]
    fn a_column_holds_what_was_set_and_nothing_takes_no_room() {
        let mut column = Sparse::new(0_u8);
        (0..5).for_each(|row| column.set(row, 0));
        assert_eq!(column.data.capacity(), 0);
        column.set(7, 9);
        column.set(8, 0);
        column.set(2, 4);
        let rows: Vec<u8> = (0..10).map(|row| column.get(row)).collect();
        assert_eq!(rows, [0, 0, 4, 0, 0, 0, 0, 9, 0, 0]);
    }

    #[test]
    fn columns_are_put_behind_one_another_whatever_they_hold() {
        let other = || {
            let mut other = Sparse::new(0_u8);
            other.set(1, 3);
            other
        };
        let mut column = Sparse::new(0_u8);
        column.append(2, other(), |value| value + 10);
        column.append(5, Sparse::new(0), |value| value);
        column.append(6, other(), |value| value);
        let rows: Vec<u8> = (0..9).map(|row| column.get(row)).collect();
        assert_eq!(rows, [0, 0, 0, 13, 0, 0, 0, 3, 0]);
    }
}
