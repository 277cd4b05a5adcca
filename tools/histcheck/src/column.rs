//! A column of a table that takes no room while nobody has a value in it.

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

#[cfg(test)]
mod tests {
    use super::*;

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
