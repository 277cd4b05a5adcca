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
    /// Adds the number of an event, which stands on `line` and is the `nth` of all, to those of the events before it.
    pub fn push(&mut self, numbers: &mut Vec<u32>, line: u32, nth: u32) {
        if !self.is_many && self.line.is_none_or(|only| only == line) {
            self.line = Some(line);
            numbers.push(nth);
            return;
        }
        self.are_lines(numbers);
        numbers.push(line);
    }

    /// Says that events are named by their lines from now on, and those before too.
    pub fn are_lines(&mut self, numbers: &mut [u32]) {
        if let (false, Some(line)) = (self.is_many, self.line) {
            numbers.fill(line);
        }
        self.is_many = true;
    }

    /// The line on which all events stand, if there are several; they are named by their own numbers then.
    pub fn only_line(&self) -> Option<u32> {
        self.line.filter(|_| !self.is_many)
    }

    /// Takes a single event for one that has a line for itself.
    pub fn finish(&mut self, numbers: &mut [u32]) {
        if numbers.len() < 2 {
            self.are_lines(numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(events: &[(u32, u32)]) -> (Vec<u32>, Option<u32>) {
        let (mut all, mut numbers) = (Vec::new(), Numbers::default());
        events.iter().for_each(|&(line, nth)| numbers.push(&mut all, line, nth));
        numbers.finish(&mut all);
        (all, numbers.only_line())
    }

    #[test]
    fn events_are_named_by_their_lines_unless_all_stand_on_one() {
        assert_eq!(numbers(&[(3, 1), (3, 2), (3, 5)]), (vec![1, 2, 5], Some(3)));
        assert_eq!(numbers(&[(3, 1), (3, 2), (4, 5), (3, 6)]), (vec![3, 3, 4, 3], None));
        assert_eq!(numbers(&[(3, 1)]), (vec![3], None));
        assert_eq!(numbers(&[]), (vec![], None));
    }
}
