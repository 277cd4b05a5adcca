//! When a fault is in force: `--for`, `--every`, `--stagger`, `--first`, `--time-limit`; or as it once was.

use std::time::Duration;

use clap::Args;

use crate::clock::{parse_duration, show};
use crate::exit::{Error, Result};
use crate::rng::{self, RngExt};
use crate::signal::Watch;

/// The flags of every tool that holds faults.
#[derive(Args, Clone, Debug, Default)]
pub struct ScheduleArgs {
    /// How long each fault stays in force [default: until a signal]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub length: Option<Duration>,
    /// Start a fault every TIME, counted from start to start
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "length")]
    pub every: Option<Duration>,
    /// Start the first fault after TIME [default: at once, or with --every after one gap between faults]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub first: Option<Duration>,
    /// End after TIME, and heal the fault in force
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub time_limit: Option<Duration>,
    /// With --every: start each fault up to TIME later, by a random delay
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "every")]
    pub stagger: Option<Duration>,
    /// End at the end of stdin too, which must be a pipe, a socket or a terminal; else stdin is not read
    #[arg(long)]
    pub until_eof: bool,
}

/// A checked schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Regular(Regular),
    /// As a history has them.
    Given(Vec<Window>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Regular {
    first: Duration,
    length: Option<Duration>,
    every: Option<Duration>,
    limit: Option<Duration>,
    stagger: Option<Stagger>,
}

/// How much later than on the beat a fault may start, and what the chance of it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stagger {
    most: Duration,
    seed: u64,
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
    /// Has `watch` end waits at the end of input, if that was asked for. `taken` is what else reads stdin to its end,
    /// as errors call it: "the nodes".
    ///
    /// # Errors
    /// 64 if stdin is taken, or has no end to wait for.
    pub fn watch_input(&self, watch: &mut Watch, taken: Option<&str>) -> Result<()> {
        match (self.until_eof, taken) {
            (false, _) => Ok(()),
            (true, None) => watch.end_with_input(),
            (true, Some(what)) => Err(Error::usage(format!(
                "--until-eof waits for the end of stdin, where {what} come from; give them as a file"
            ))),
        }
    }

    /// The schedule that the flags say; what is left to chance follows from `$BREAKIT_SEED`, if that is set.
    ///
    /// # Errors
    /// 64 where a fault would not end before the next one starts, or lasts no time, or none would come.
    pub fn checked(&self) -> Result<Schedule> {
        let seed = if self.stagger.is_some() { rng::seed(None)? } else { 0 };
        self.checked_with(seed)
    }

    /// As [`ScheduleArgs::checked`]; what is left to chance follows from `seed`.
    ///
    /// # Errors
    /// As there.
    pub fn checked_with(&self, seed: u64) -> Result<Schedule> {
        if self.length == Some(Duration::ZERO) {
            return Err(Error::usage("--for 0s is no fault; give it a length"));
        }
        if let (Some(every), Some(length)) = (self.every, self.length) {
            self.leaves_a_gap(every, length)?;
        }
        let gap =
            self.every.zip(self.length).map_or(Duration::ZERO, |(every, length)| every - length);
        let first = self.first.unwrap_or(gap);
        if let Some(limit) = self.time_limit.filter(|limit| *limit <= first) {
            return Err(Error::usage(format!(
                "--time-limit {} ends before the first fault, which starts after {}; give it more time, or --first 0s",
                show(limit),
                show(first)
            )));
        }
        Ok(Schedule(Kind::Regular(Regular {
            first,
            length: self.length,
            every: self.every,
            limit: self.time_limit,
            stagger: self.stagger.map(|most| Stagger { most, seed }),
        })))
    }

    fn leaves_a_gap(&self, every: Duration, length: Duration) -> Result<()> {
        if length >= every {
            return Err(Error::usage(format!(
                "--for {} is not shorter than --every {}; leave a gap in which the fault is healed",
                show(length),
                show(every)
            )));
        }
        match self.stagger {
            Some(stagger) if length.saturating_add(stagger) >= every => Err(Error::usage(format!(
                "--for {} and --stagger {} together are not shorter than --every {}; leave a gap in which the fault is healed",
                show(length),
                show(stagger),
                show(every)
            ))),
            _ => Ok(()),
        }
    }
}

impl Schedule {
    /// Exactly these windows, which must be in order and not overlap.
    pub fn of(windows: Vec<Window>) -> Schedule {
        Schedule(Kind::Given(windows))
    }

    /// The windows in their order, cut off at the time limit; endless where there is none.
    pub fn windows(&self) -> Box<dyn Iterator<Item = Window> + Send> {
        match self.0.clone() {
            Kind::Given(windows) => Box::new(windows.into_iter()),
            Kind::Regular(regular) => {
                let mut late = regular.lateness();
                Box::new((0..).map_while(move |n| regular.window(n, late())))
            }
        }
    }

    /// How long each fault lasts, where that is fixed.
    pub fn length(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Regular(regular) => regular.length,
            Kind::Given(_) => None,
        }
    }
}

impl Regular {
    /// Gives how late each fault is, one after the other.
    fn lateness(&self) -> impl FnMut() -> Duration + Send + use<> {
        let stagger = self.stagger;
        let mut rng = stagger.map(|stagger| rng::generator(stagger.seed, "stagger"));
        move || match (stagger, &mut rng) {
            (Some(stagger), Some(rng)) => {
                let most = u64::try_from(stagger.most.as_micros()).unwrap_or(u64::MAX);
                Duration::from_micros(rng.random_range(0..=most))
            }
            _ => Duration::ZERO,
        }
    }

    fn window(&self, n: u32, late: Duration) -> Option<Window> {
        let start = match (n, self.every) {
            (0, _) => self.first,
            (_, None) => return None,
            (_, Some(every)) => self.first + every * n,
        } + late;
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
        ScheduleArgs {
            length: read(0),
            every: read(1),
            first: read(2),
            time_limit: read(3),
            stagger: None,
            until_eof: false,
        }
    }

    fn staggered(stagger: &str) -> ScheduleArgs {
        ScheduleArgs {
            stagger: parse_duration(stagger).ok(),
            ..args(&[Some("1s"), Some("4s"), Some("0s"), None])
        }
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

    #[test]
    fn a_time_limit_that_lets_no_fault_come_is_wrong_usage() {
        for text in [
            [Some("15s"), Some("30s"), None, Some("15s")],
            [None, None, Some("5s"), Some("4s")],
            [None, None, None, Some("0s")],
        ] {
            let said = args(&text).checked().unwrap_err();
            assert_eq!(said.status(), crate::exit::Status::Usage);
            assert!(said.to_string().contains("ends before the first fault"), "{said}");
        }
    }

    #[test]
    fn staggered_faults_start_late_by_chance_as_their_seed_says_and_never_meet() {
        let starts = |seed: u64| -> Vec<Window> {
            staggered("2s").checked_with(seed).unwrap().windows().take(200).collect()
        };
        let windows = starts(7);
        for (n, window) in (0..).zip(&windows) {
            let late = window.start - Duration::from_secs(4) * n;
            assert!(late <= Duration::from_secs(2), "{late:?}");
            assert_eq!(window.end, Some(window.start + Duration::from_secs(1)));
        }
        assert!(windows.windows(2).all(|pair| pair[0].end < Some(pair[1].start)));
        assert!(windows.iter().any(|w| w.start.as_millis() % 4000 > 1500));
        assert_eq!(windows, starts(7));
        assert_ne!(windows, starts(8));
        let said = staggered("3s").checked_with(7).unwrap_err().to_string();
        assert!(said.contains("--for 1s and --stagger 3s together"), "{said}");
    }

    #[test]
    fn given_windows_come_as_they_were_given() {
        let second = Duration::from_secs;
        let given = vec![
            Window { start: second(3), end: Some(second(5)) },
            Window { start: second(9), end: None },
        ];
        assert_eq!(Schedule::of(given.clone()).windows().collect::<Vec<_>>(), given);
    }
}
