//! How much time and memory a decision may take before it is `unknown`.

use std::time::{Duration, Instant};

use breakit::size::{parse_size, show_size};

use crate::memory;

/// The limits of one check of one history.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    started: Instant,
    /// What may be spent of it from then on.
    time: Duration,
    /// What was asked for, as messages name it.
    timeout: Duration,
    /// The same of memory.
    memory: usize,
    /// What is left of it.
    bytes: usize,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// `--timeout`.
    Time(Duration),
    /// `--memory`, in bytes.
    Memory(usize),
}

impl std::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exhausted::Time(time) => {
                write!(f, "--timeout {} ran out", breakit::clock::show(*time))
            }
            Exhausted::Memory(bytes) => write!(f, "--memory {} ran out", show_size(*bytes as u64)),
        }
    }
}

impl std::error::Error for Exhausted {}

impl Budget {
    /// Starts now.
    pub fn start(time: Duration, bytes: usize) -> Budget {
        Budget { started: Instant::now(), time, timeout: time, memory: bytes, bytes }
    }

    /// Says which limit is reached by a search that holds `bytes` now; or by the whole program, whatever it holds.
    ///
    /// # Errors
    /// The limit.
    pub fn spend(&self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.bytes || self.is_overdrawn() {
            return Err(Exhausted::Memory(self.memory));
        }
        if self.started.elapsed() > self.time {
            return Err(Exhausted::Time(self.timeout));
        }
        Ok(())
    }

    /// Asks before the program takes so many bytes more.
    ///
    /// # Errors
    /// The limit that would be reached.
    pub fn room_for(&self, bytes: usize) -> Result<(), Exhausted> {
        match memory::held().saturating_add(bytes) > self.memory.saturating_add(memory::BESIDE) {
            true => Err(Exhausted::Memory(self.memory)),
            false => self.spend(0),
        }
    }

    /// Whether the program holds more than it may. Asked in no time, where a single step may take much.
    #[inline]
    pub fn is_overdrawn(&self) -> bool {
        memory::held() > self.memory.saturating_add(memory::BESIDE)
    }

    /// No limit, for what is small.
    pub fn none() -> Budget {
        Budget::start(Duration::MAX, usize::MAX)
    }

    /// Looks at the limits now and then, where there are many small steps.
    pub fn watch(&self) -> Watch<'_> {
        Watch { budget: self, steps: 0 }
    }

    /// What a search says that stopped because of its memory.
    pub fn out_of_memory(&self) -> Exhausted {
        Exhausted::Memory(self.memory)
    }

    /// The same limits once `bytes` are taken.
    ///
    /// # Errors
    /// The limit that this reaches.
    pub fn taking(&self, bytes: usize) -> Result<Budget, Exhausted> {
        self.spend(bytes)?;
        Ok(Budget { bytes: self.bytes - bytes, ..*self })
    }

    /// The same limits of which `time` is spent already.
    #[must_use]
    pub fn after(&self, time: Duration) -> Budget {
        let started = self.started.checked_sub(time).unwrap_or(self.started);
        Budget { started, ..*self }
    }

    /// The same limit of memory, and none of time.
    #[must_use]
    pub fn without_end(&self) -> Budget {
        Budget { time: Duration::MAX, ..*self }
    }

    /// The same limits with at most `time` from now on.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Budget {
        Budget { started: Instant::now(), time: self.time_left().min(time), ..*self }
    }

    /// How much time is left.
    pub fn time_left(&self) -> Duration {
        self.time.saturating_sub(self.started.elapsed())
    }

    /// The same limits where `threads` searches run at once.
    #[must_use]
    pub fn shared_by(&self, threads: usize) -> Budget {
        Budget { bytes: self.bytes / threads.max(1), ..*self }
    }
}

/// The steps of a way to decide, counted.
#[derive(Debug)]
pub struct Watch<'b> {
    budget: &'b Budget,
    steps: usize,
}

/// How many steps are taken between two looks at the limits.
const BETWEEN_LOOKS: usize = 1 << 12;

impl Watch<'_> {
    /// One step more.
    ///
    /// # Errors
    /// The limit that is reached.
    #[inline]
    pub fn step(&mut self) -> Result<(), Exhausted> {
        self.steps(1)
    }

    /// So many steps more.
    ///
    /// # Errors
    /// The limit that is reached.
    #[inline]
    pub fn steps(&mut self, count: usize) -> Result<(), Exhausted> {
        self.steps += count;
        if self.steps < BETWEEN_LOOKS {
            return Ok(());
        }
        self.steps = 0;
        self.budget.spend(0)
    }
}

/// Reads an amount of memory. For use as a clap `value_parser`.
///
/// # Errors
/// As [`parse_size`], and for more than a process can have.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let bytes = parse_size(text)?;
    usize::try_from(bytes).map_err(|_| format!("{text:?} is more than a process can have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_says_which_limit_was_reached() {
        // More than the tests beside this one hold.
        let most = 1 << 40;
        let budget = Budget::start(Duration::ZERO, most);
        assert_eq!(budget.spend(most + 1), Err(Exhausted::Memory(most)));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(budget.spend(0), Err(Exhausted::Time(Duration::ZERO)));
        let budget = Budget::start(Duration::from_secs(60), most).taking(most / 2);
        let spent =
            budget.map(|budget| (budget.spend(most / 2), budget.shared_by(2).spend(most / 2)));
        assert_eq!(spent, Ok((Ok(()), Err(Exhausted::Memory(most)))), "named as it was asked for");
    }

    #[test]
    fn small_steps_come_to_the_limit_too() {
        let budget = Budget::start(Duration::ZERO, 1 << 40);
        std::thread::sleep(Duration::from_millis(1));
        let mut watch = budget.watch();
        assert!((0..BETWEEN_LOOKS).any(|_| watch.step().is_err()));
        assert!(Budget::none().watch().steps(BETWEEN_LOOKS).is_ok());
    }
}
