//! When a fault is in force: `--for`, `--every`, `--first`, `--time-limit`.

use std::time::Duration;

use clap::Args;

use crate::clock::{parse_duration, show};
use crate::exit::{Error, Result};

/// The flags of every tool that holds faults.
#[derive(Args, Clone, Debug, Default)]
pub struct ScheduleArgs {
    /// How long each fault stays in force [default: until a signal or the end of input]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub length: Option<Duration>,
    /// Start a fault every TIME, counted from start to start
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "length")]
    pub every: Option<Duration>,
    /// Start the first fault after TIME [default: at once, or with --every after one quiet gap]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub first: Option<Duration>,
    /// End after TIME, whatever is in force then is healed
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub time_limit: Option<Duration>,
}

/// A checked schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    first: Duration,
    length: Option<Duration>,
    every: Option<Duration>,
    limit: Option<Duration>,
}

/// One stretch in which a fault is in force, counted from the schedule's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub start: Duration,
    /// When it ends; `None` is only ended from outside.
    pub end: Option<Duration>,
}

impl ScheduleArgs {
    /// The schedule that the flags say.
    ///
    /// # Errors
    /// 64 where a fault would not end before the next one starts, or lasts no time.
    pub fn checked(&self) -> Result<Schedule> {
        if self.length == Some(Duration::ZERO) {
            return Err(Error::usage("--for 0s is no fault; give it a length"));
        }
        if let (Some(every), Some(length)) = (self.every, self.length)
            && length >= every
        {
            return Err(Error::usage(format!(
                "--for {} is not shorter than --every {}; leave a gap in which the fault is healed",
                show(length),
                show(every)
            )));
        }
        let gap =
            self.every.zip(self.length).map_or(Duration::ZERO, |(every, length)| every - length);
        Ok(Schedule {
            first: self.first.unwrap_or(gap),
            length: self.length,
            every: self.every,
            limit: self.time_limit,
        })
    }
}

impl Schedule {
    /// The windows in their order, cut off at the time limit; endless where there is none.
    pub fn windows(&self) -> impl Iterator<Item = Window> + use<> {
        let schedule = self.clone();
        (0..).map_while(move |n| schedule.window(n))
    }

    /// How long each fault lasts, where that is fixed.
    pub fn length(&self) -> Option<Duration> {
        self.length
    }

    fn window(&self, n: u32) -> Option<Window> {
        let start = match (n, self.every) {
            (0, _) => self.first,
            (_, None) => return None,
            (_, Some(every)) => self.first + every * n,
        };
        if self.limit.is_some_and(|limit| start >= limit) {
            return None;
        }
        let end = self.length.map(|length| start + length);
        Some(Window { start, end: end.into_iter().chain(self.limit).min() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &[Option<&str>; 4]) -> ScheduleArgs {
        let read = |i: usize| text[i].map(|t| parse_duration(t).unwrap());
        ScheduleArgs { length: read(0), every: read(1), first: read(2), time_limit: read(3) }
    }

    fn windows(text: &[Option<&str>; 4]) -> Vec<(u64, Option<u64>)> {
        let schedule = args(text).checked().unwrap();
        schedule
            .windows()
            .take(3)
            .map(|w| (w.start.as_secs(), w.end.map(|e| e.as_secs())))
            .collect()
    }

    #[test]
    fn one_fault_starts_at_once_and_ends_when_told() {
        assert_eq!(windows(&[None, None, None, None]), [(0, None)]);
        assert_eq!(windows(&[Some("15s"), None, None, None]), [(0, Some(15))]);
    }

    #[test]
    fn repeated_faults_count_from_start_to_start_after_one_quiet_gap() {
        assert_eq!(
            windows(&[Some("20s"), Some("30s"), None, None]),
            [(10, Some(30)), (40, Some(60)), (70, Some(90))]
        );
        assert_eq!(windows(&[Some("20s"), Some("30s"), Some("0s"), None])[0], (0, Some(20)));
    }

    #[test]
    fn the_time_limit_cuts_the_last_fault_short() {
        assert_eq!(
            windows(&[Some("20s"), Some("30s"), None, Some("45s")]),
            [(10, Some(30)), (40, Some(45))]
        );
        assert_eq!(windows(&[None, None, None, Some("5s")]), [(0, Some(5))]);
    }

    #[test]
    fn a_fault_that_would_never_be_healed_is_wrong_usage() {
        let said = args(&[Some("30s"), Some("30s"), None, None]).checked().unwrap_err();
        assert_eq!(said.status(), crate::exit::Status::Usage);
        assert!(said.to_string().contains("not shorter than --every 30s"));
    }
}
