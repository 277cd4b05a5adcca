//! The numbers by which events are named: those of their lines, or, where a whole text stands on one line, their own.

/// How the events of a text are numbered so far.
#[derive(Debug, Default)]
pub struct Numbers {
    /// The line of all events so far.
    line: Option<u32>,
    /// Whether there are events on more than one line.
    is_many: bool,
}

impl Numbers {
    /// The number of an event, which stands on `line` and is the `nth` of all. Where it is the first on another line,
    /// `renumber` gives all before it the line on which they stand.
    #[inline]
    pub fn of(&mut self, line: u32, nth: u32, renumber: impl FnOnce(u32)) -> u32 {
        if !self.is_many && self.line.is_none_or(|only| only == line) {
            self.line = Some(line);
            return nth;
        }
        self.are_lines(renumber);
        line
    }

    /// Says that events are named by their lines from now on; `renumber` as in [`Numbers::of`].
    pub fn are_lines(&mut self, renumber: impl FnOnce(u32)) {
        if let (false, Some(line)) = (self.is_many, self.line) {
            renumber(line);
        }
        self.is_many = true;
    }

    /// The line on which all events stand, if there are several; they are named by their own numbers then.
    pub fn only_line(&self) -> Option<u32> {
        self.line.filter(|_| !self.is_many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(events: &[(u32, u32)]) -> (Vec<u32>, Option<u32>) {
        let (mut all, mut numbers) = (Vec::new(), Numbers::default());
        for &(line, nth) in events {
            let number = numbers.of(line, nth, |line| all.fill(line));
            all.push(number);
        }
        (all, numbers.only_line())
    }

    #[test]
    fn events_are_named_by_their_lines_unless_all_stand_on_one() {
        assert_eq!(numbers(&[(3, 1), (3, 2), (3, 5)]), (vec![1, 2, 5], Some(3)));
        assert_eq!(numbers(&[(3, 1), (3, 2), (4, 5), (3, 6)]), (vec![3, 3, 4, 3], None));
        assert_eq!(numbers(&[]), (vec![], None));
    }
}
