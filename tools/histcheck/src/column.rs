//! Columns of a table that take no room while nobody has a value in them.

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

/// Numbers of which most fit in a byte of their row: places of processes, ids of nodes. Those that do not are kept
/// here.
#[derive(Debug)]
pub struct Overflow(Sparse<u32>);

/// No number, and its byte.
pub const NOTHING: u32 = u32::MAX;
const NO_BYTE: u8 = u8::MAX;
/// The byte of a number that does not fit.
const ELSEWHERE: u8 = NO_BYTE - 1;

impl Overflow {
    /// Where all numbers fit.
    pub fn new() -> Overflow {
        Overflow(Sparse::new(NOTHING))
    }

    /// The number whose byte stands in a row.
    #[inline]
    pub fn number(&self, row: usize, byte: u8) -> u32 {
        match byte {
            NO_BYTE => NOTHING,
            ELSEWHERE => self.0.get(row),
            byte => u32::from(byte),
        }
    }

    /// The byte for the number of a row.
    #[inline]
    pub fn byte(&mut self, row: usize, number: u32) -> u8 {
        match number {
            NOTHING => NO_BYTE,
            0..=253 => number as u8,
            _ => self.keep(row, number),
        }
    }

    #[inline(never)]
    fn keep(&mut self, row: usize, number: u32) -> u8 {
        self.0.set(row, number);
        ELSEWHERE
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_comes_back_from_its_byte_and_what_overflowed() {
        let numbers = [3, NOTHING, 253, 254, 0, 255, 256, NOTHING - 1, 7];
        for first in 0..numbers.len() {
            let mut overflow = Overflow::new();
            let turned: Vec<u32> =
                numbers.iter().cycle().skip(first).take(numbers.len()).copied().collect();
            let bytes: Vec<u8> = turned
                .iter()
                .enumerate()
                .map(|(row, &number)| overflow.byte(row, number))
                .collect();
            let back = bytes.iter().enumerate().map(|(row, &byte)| overflow.number(row, byte));
            assert!(back.eq(turned), "{bytes:?}");
            assert_eq!(bytes.iter().filter(|&&byte| byte == ELSEWHERE).count(), 4);
        }
        let mut overflow = Overflow::new();
        assert_eq!((overflow.byte(9, 253), overflow.bytes()), (253, 0));
        let byte = overflow.byte(9, 1000);
        let again = overflow.byte(9, 2000);
        assert_eq!((byte, overflow.number(9, again)), (again, 2000));
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
