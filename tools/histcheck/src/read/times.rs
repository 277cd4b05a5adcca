//! Whether the times of lines go back, which contradicts their order.
//!
//! Threads that write one history take their times a little before they write, so that small steps back say nothing.
//! Logs of several clients put one behind the other go back by most of the run.

use crate::history::Pos;

/// The times of lines so far, in the order of these.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// The least, and where it is.
    least: Option<(u64, Pos)>,
    latest: u64,
    /// The longest step back from the latest time before it, and where it is.
    back: (u64, Pos),
}

/// A step back counts if it is longer than this part of the time from the first to the last line.
const PART: u64 = 10;

impl Times {
    /// Takes the time of the line at a place.
    #[inline]
    pub fn take(&mut self, time: u64, pos: Pos) {
        if time >= self.latest && self.least.is_some() {
            self.latest = time;
        } else {
            self.out_of_order(time, pos);
        }
    }

    #[inline(never)]
    fn out_of_order(&mut self, time: u64, pos: Pos) {
        self.latest = self.latest.max(time);
        self.back = self.back.max((self.latest - time, pos));
        if self.least.is_none_or(|(least, _)| time < least) {
            self.least = Some((time, pos));
        }
    }

    /// Takes those of the lines that follow, whose places come `after`.
    pub fn join(&mut self, part: Times, after: Pos) {
        let Some((least, at)) = part.least else { return };
        self.take(least, at + after);
        self.back = self.back.max((part.back.0, part.back.1 + after));
        self.latest = self.latest.max(part.latest);
    }

    /// Where the times go back and by how many nanoseconds, if that says something.
    pub fn go_back(&self) -> Option<(Pos, u64)> {
        let (least, _) = self.least?;
        let (back, pos) = self.back;
        (back > (self.latest - least) / PART).then_some((pos, back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[u64]) -> Times {
        let mut all = Times::default();
        (1..).zip(times).for_each(|(pos, &time)| all.take(time, pos));
        all
    }

    #[test]
    fn times_go_back_where_a_step_is_longer_than_a_tenth_of_all() {
        for (times, back) in [
            (&[][..], None),
            (&[5], None),
            (&[0, 0, 0], None),
            (&[0, 10, 20, 30, 12, 15], Some((5, 18))),
            (&[7, 100, 95, 200], None),
            (&[50, 0, 60], Some((2, 50))),
            (&[1_000_000, 1_000_100, 1_000_050], Some((3, 50))),
        ] {
            assert_eq!(of(times).go_back(), back, "{times:?}");
        }
    }

    #[test]
    fn parts_joined_are_as_the_whole() {
        let times = [5, 9, 3, 8, 20, 18, 1, 30, 2];
        for cut in 0..=times.len() {
            let mut joined = of(&times[..cut]);
            joined.join(of(&times[cut..]), cut as u32);
            assert_eq!(joined.go_back().map(|(_, back)| back), Some(28), "{cut}");
        }
    }
}
