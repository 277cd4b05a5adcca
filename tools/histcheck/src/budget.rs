//! How much time and memory a decision may take before it is `unknown`.

use std::time::{Duration, Instant};

/// The limits of one check of one history.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    started: Instant,
    time: Duration,
    /// What was asked for, as messages name it.
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
            Exhausted::Memory(bytes) => write!(f, "--memory {} ran out", show_bytes(*bytes)),
        }
    }
}

impl Budget {
    /// Starts now.
    pub fn start(time: Duration, bytes: usize) -> Budget {
        Budget { started: Instant::now(), time, memory: bytes, bytes }
    }

    /// Says which limit is reached by a search that holds `bytes` now.
    ///
    /// # Errors
    /// The limit.
    pub fn spend(&self, bytes: usize) -> Result<(), Exhausted> {
        if bytes > self.bytes {
            return Err(Exhausted::Memory(self.memory));
        }
        if self.started.elapsed() > self.time {
            return Err(Exhausted::Time(self.time));
        }
        Ok(())
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

    /// The same limits with at most `time` from now on.
    #[must_use]
    pub fn at_most(&self, time: Duration) -> Budget {
        let left = self.time.saturating_sub(self.started.elapsed());
        Budget { started: Instant::now(), time: left.min(time), ..*self }
    }

    /// The same limits where `threads` searches run at once.
    #[must_use]
    pub fn shared_by(&self, threads: usize) -> Budget {
        Budget { bytes: self.bytes / threads.max(1), ..*self }
    }
}

/// Reads `512M`, `2G`, `65536`: bytes, in powers of 1024. For use as a clap `value_parser`.
///
/// # Errors
/// A sentence that names the text and shows the form.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is no amount of memory; write 512M or 2G");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: usize = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|&bytes| bytes > 0).ok_or_else(wrong)
}

fn show_bytes(bytes: usize) -> String {
    let units = [(30, "G"), (20, "M"), (10, "K")];
    let fitting =
        units.iter().find(|(shift, _)| bytes >> shift > 0 && bytes.is_multiple_of(1 << shift));
    match fitting {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{} bytes", bytes),
    }
}

/// Half of the memory that is free now; 1 GiB where the system does not say.
pub fn half_of_free() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    kib.map_or(1 << 30, |kib| (kib / 2 / 1024).max(16) << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_are_read_and_shown() {
        assert_eq!(parse_bytes("512M"), Ok(512 << 20));
        assert_eq!(show_bytes(512 << 20), "512M");
        assert_eq!(parse_bytes("100"), Ok(100));
        for wrong in ["", "0", "M", "1.5G", "-1", "3X", "99999999999G"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_budget_says_which_limit_was_reached() {
        let budget = Budget::start(Duration::ZERO, 10);
        assert_eq!(budget.spend(11), Err(Exhausted::Memory(10)));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(budget.spend(0), Err(Exhausted::Time(Duration::ZERO)));
        let budget = Budget::start(Duration::from_secs(60), 10).taking(4);
        let spent = budget.map(|budget| (budget.spend(6), budget.shared_by(2).spend(4)));
        assert_eq!(spent, Ok((Ok(()), Err(Exhausted::Memory(10)))), "named as it was asked for");
    }
}
