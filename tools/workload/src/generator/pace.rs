//! When operations fall due: at a mean rate, at random (a Poisson process), whatever became of earlier ones.

use std::time::Duration;

use breakit::rng::{Pcg64, RngExt, generator};

/// The moments at which operations fall due, counted from the begin of the load; endless.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: f64,
    at: f64,
    random: Pcg64,
}

impl Pace {
    /// `rate` operations a second on average.
    pub fn new(rate: f64, seed: u64) -> Pace {
        Pace { rate, at: 0.0, random: generator(seed, "pace") }
    }
}

impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // 1 - u is never 0, whose logarithm is not a number one could wait for.
        let gap = -(1.0 - self.random.random::<f64>()).ln() / self.rate;
        self.at += gap;
        Some(Duration::try_from_secs_f64(self.at).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_rate_is_the_one_that_was_asked_for() {
        let last = Pace::new(200.0, 1).nth(20_000 - 1).unwrap().as_secs_f64();
        assert!((95.0..105.0).contains(&last), "{last}");
    }

    #[test]
    fn moments_never_go_back() {
        let moments: Vec<Duration> = Pace::new(1000.0, 2).take(1000).collect();
        assert!(moments.is_sorted());
    }
}
