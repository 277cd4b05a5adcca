//! Networks that have a name: each is a set of parts, and `--dry-run` prints which.

use clap::ValueEnum;

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
    /// The flags that the name stands for. Where others give a correlation of delays, too, it is netem's, which does
    /// nothing.
    pub fn flags(self) -> &'static str {
        match self {
            Preset::Slow => "--delay=50ms --jitter=10ms --distribution=normal",
            Preset::Flaky => "--loss=20%,75%",
            Preset::Lossy => "--loss=5% --duplicate=1% --corrupt=0.1%",
            Preset::Satellite => {
                "--delay=300ms --jitter=5ms --distribution=normal --loss=0.5% --rate=20mbit"
            }
            Preset::ThreeG => {
                "--delay=100ms --jitter=30ms --distribution=normal --loss=1% --rate=1600kbit"
            }
            Preset::Dialup => "--delay=90ms --jitter=10ms --distribution=normal --rate=56kbit",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impairments::Parts;

    #[test]
    fn every_preset_has_all_the_parts_that_its_flags_name_and_is_shown_as_them() {
        for preset in Preset::value_variants() {
            let flags = Parts::of_flags(preset.flags()).unwrap().shown().into_iter();
            let shown = flags.map(|(name, value)| format!("--{name}={}", value.as_str().unwrap()));
            assert_eq!(shown.collect::<Vec<_>>().join(" "), preset.flags());
        }
    }
}
