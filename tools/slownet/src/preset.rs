//! Networks that have a name: each is a set of parts, and `--dry-run` prints which.

use std::time::Duration;

use clap::ValueEnum;

use crate::distribution::Distribution;
use crate::parts::{Delay, Jitter, Loss, Parts};
use crate::quantity::{Chance, Rate};

/// A named bad network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// 50 ms ± 10 ms (normal): Jepsen's slow network
    Slow,
    /// 20 % loss in bursts: Jepsen's flaky network
    Flaky,
    /// 5 % loss, 1 % duplicates, 0.1 % corrupt packets
    Lossy,
    /// A geostationary link: 300 ms each way, 0.5 % loss, 20 Mbit/s
    Satellite,
    /// A 3G phone: 100 ms ± 30 ms, 1 % loss, 1.6 Mbit/s
    #[value(name = "3g")]
    ThreeG,
    /// A modem: 90 ms ± 10 ms, 56 kbit/s
    Dialup,
}

impl Preset {
    /// What the name stands for.
    pub fn parts(self) -> Parts {
        let text = match self {
            Preset::Slow => ["50ms", "10ms", "", "", "", ""],
            Preset::Flaky => ["", "", "20%,75%", "", "", ""],
            Preset::Lossy => ["", "", "5%", "1%", "0.1%", ""],
            Preset::Satellite => ["300ms", "5ms", "0.5%", "", "", "20mbit"],
            Preset::ThreeG => ["100ms", "30ms", "1%", "", "", "1600kbit"],
            Preset::Dialup => ["90ms", "10ms", "", "", "", "56kbit"],
        };
        let [delay, jitter, loss, duplicate, corrupt, rate] = text;
        let time = |text: &str| crate::quantity::parse_hold(text).ok();
        let chance = |text: &str| Chance::parse(text).ok();
        Parts {
            delay: time(delay).map(|mean| Delay { time: mean, jitter: time(jitter).map(normal) }),
            loss: chance(loss).map(Loss::Random),
            duplicate: chance(duplicate),
            corrupt: chance(corrupt),
            rate: Rate::parse(rate).ok(),
            ..Parts::default()
        }
    }
}

/// A normal spread. Where others give a correlation, too, it is netem's, which does nothing.
fn normal(time: Duration) -> Jitter {
    Jitter { time, distribution: Distribution::Normal, correlation: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_all_the_parts_that_its_table_names() {
        let flags = |preset: Preset| {
            preset.parts().checked().unwrap().flags().into_iter().map(|f| f.0).collect::<Vec<_>>()
        };
        let delay = ["delay", "jitter", "distribution"];
        assert_eq!(flags(Preset::Slow), delay);
        assert_eq!(flags(Preset::Flaky), ["loss"]);
        assert_eq!(flags(Preset::Lossy), ["loss", "duplicate", "corrupt"]);
        assert_eq!(flags(Preset::Satellite), [&delay[..], &["loss", "rate"]].concat());
        assert_eq!(flags(Preset::ThreeG), [&delay[..], &["loss", "rate"]].concat());
        assert_eq!(flags(Preset::Dialup), [&delay[..], &["rate"]].concat());
    }
}
