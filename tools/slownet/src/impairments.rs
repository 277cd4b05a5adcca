//! What a bad network does to packets: the impairments, one a file, and those that one fault has, its parts.
//!
//! A new impairment is a new file with its [`Impairment`], and a line in the list below. Flags, fields of links, lines
//! of a run, replay, netem's words, our own delay line and the choice of a backend follow from that.

use std::time::Duration;

use breakit::exit::{Error, Result};
use clap::{Args, Parser};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::preset::Preset;
use crate::traffic::Direction;
use entry::{Held, Impairment, Shown, Shows, shown_if};

pub mod correlated;
pub mod entry;
pub mod strike;
pub mod tc;

/// Declares the module of each impairment, its flags, and its place in [`Parts`].
macro_rules! impairments {
    ($($name:ident: $impairment:ident,)*) => {
        $(pub mod $name;)*

        $(pub use $name::$impairment;)*

        /// The flags of all impairments.
        #[derive(Args, Debug)]
        #[group(skip)]
        struct Flags {
            $(#[command(flatten)] $name: <$impairment as Impairment>::Flags,)*
        }

        /// All that is done to packets. At least one impairment is there.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct Parts {
            $(
                #[doc = concat!("[`", stringify!($impairment), "`], if packets are struck so.")]
                pub $name: Option<$impairment>,
            )*
            /// How many packets may be held at once; [`crate::netem::limit`] computes it where it is not said.
            pub limit: Option<u32>,
        }

        impl Parts {
            fn read(flags: &Flags, preset: Parts, limit: Option<u32>) -> Result<Parts> {
                Ok(Parts { $($name: $impairment::read(&flags.$name, preset.$name)?,)* limit })
            }

            /// The impairments that are there, in the order of the list.
            pub fn all(&self) -> impl Iterator<Item = &dyn Impairment> {
                let all = [$(self.$name.as_ref().map(|there| there as &dyn Impairment),)*];
                all.into_iter().flatten()
            }
        }
    };
}

impairments! {
    delay: Delay,
    loss: Loss,
    duplicate: Duplicate,
    reorder: Reorder,
    corrupt: Corrupt,
    rate: Bottleneck,
    slot: Slot,
}

/// What happens to packets. Single flags replace the parts of a preset.
#[derive(Args, Debug)]
#[group(skip)]
pub struct PartsArgs {
    /// Start from a preset: the impairments of a named network
    #[arg(long, value_name = "NAME", value_enum)]
    preset: Option<Preset>,
    /// What happens to them
    #[command(flatten)]
    flags: Flags,
    /// Hold at most N packets at once [default: computed from delay and rate]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

/// The flags alone.
#[derive(Parser, Debug)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    parts: PartsArgs,
}

impl Parts {
    /// What the flags ask for, on top of the preset's parts.
    ///
    /// # Errors
    /// 64 where there is no impairment, or one needs another.
    pub fn of(args: &PartsArgs) -> Result<Parts> {
        let preset = args.preset.map(|preset| Parts::of_flags(preset.flags())).transpose()?;
        Parts::read(&args.flags, preset.unwrap_or_default(), args.limit)?.checked()
    }

    /// What flags ask for that are written as on the command line, with a blank between two.
    ///
    /// # Errors
    /// As [`Parts::of`].
    pub fn of_flags(flags: &str) -> Result<Parts> {
        let line = Line::try_parse_from(flags.split(' '));
        Parts::of(&line.map_err(|error| Error::usage(error.to_string()))?.parts)
    }

    fn checked(self) -> Result<Parts> {
        if self.all().next().is_none() {
            return Err(Error::usage(
                "nothing is asked for; give --delay, --loss, --rate or another fault, or a --preset",
            ));
        }
        self.all().try_for_each(|impairment| impairment.check(&self))?;
        Ok(self)
    }

    /// How much of each packet our own line must see.
    pub fn needs(&self) -> Shows {
        self.all().map(Impairment::needs).max().unwrap_or(Shows::Bursts)
    }

    /// Why our own line cannot do them in that direction, and what to do.
    pub fn line_cannot(&self, direction: Direction) -> Option<&'static str> {
        self.all().find_map(|impairment| impairment.line_cannot(direction))
    }

    /// Whether no packet is held for longer than `moment`.
    pub fn are_at_once(&self, moment: Duration) -> bool {
        self.all().all(|impairment| impairment.holds() != Held::WithLoad)
            && self.longest() <= moment
    }

    /// The longest that a packet is held on purpose, but for the rare tail of a distribution.
    pub fn longest(&self) -> Duration {
        let times = self.all().map(|impairment| match impairment.holds() {
            Held::UpTo(time) => time,
            Held::WithLoad => Duration::ZERO,
        });
        times.sum()
    }

    /// Their flags with their values, as `set` takes them; switches come last.
    pub fn shown(&self) -> Vec<Shown> {
        let mut flags: Vec<Shown> = self.all().flat_map(Impairment::shown).collect();
        flags.extend(shown_if("limit", self.limit));
        flags.sort_by_key(|(_, value)| value.is_boolean());
        flags
    }

    /// The parts as an object, for lines.
    pub fn json(&self) -> Value {
        let fields = self.shown().into_iter().map(|(name, value)| (name.to_string(), value));
        Value::Object(fields.collect::<Map<String, Value>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_seen_of_packets_than_what_is_done_to_them_needs() {
        for (flags, shown) in [
            ("--delay=5ms", Shows::Bursts),
            ("--delay=5ms --jitter=1ms", Shows::Lengths),
            ("--delay=5ms --loss=1%", Shows::Lengths),
            ("--loss=1% --corrupt=1% --rate=1mbit", Shows::Bytes),
        ] {
            assert_eq!(Parts::of_flags(flags).unwrap().needs(), shown, "{flags}");
        }
    }

    #[test]
    fn what_a_simpler_queue_can_do_is_all_there_is() {
        let parts = |flags| Parts::of_flags(flags).unwrap();
        for (flags, rate, loss) in [
            ("--rate=1mbit --burst=5000 --limit=9", true, false),
            ("--rate=1mbit --loss=1%", false, false),
            ("--loss=1%", false, true),
            ("--loss=1%,25%", false, false),
            ("--loss=1% --limit=9", false, false),
        ] {
            let parts = parts(flags);
            assert_eq!(parts.only_rate().is_some(), rate, "{flags}");
            assert_eq!(parts.only_loss().is_some(), loss, "{flags}");
        }
    }

    #[test]
    fn packets_are_held_as_long_as_all_parts_hold_them() {
        let ms = Duration::from_millis;
        let parts = |flags| Parts::of_flags(flags).unwrap();
        assert_eq!(parts("--delay=5ms --jitter=1ms --slot=1ms,3ms").longest(), ms(12));
        assert!(parts("--loss=1%").are_at_once(Duration::ZERO));
        assert!(
            !parts("--delay=5ms").are_at_once(ms(4)) && parts("--delay=5ms").are_at_once(ms(5))
        );
        assert!(!parts("--rate=1gbit").are_at_once(ms(1000)), "as the load is");
    }

    #[test]
    fn parts_that_need_or_contradict_each_other_are_refused() {
        for (flags, clause) in [
            ("--limit=5", "nothing is asked for"),
            ("--jitter=5ms", "--jitter needs --delay"),
            ("--delay=5ms --correlation=5%", "need --jitter"),
            ("--distribution=normal", "need --delay and --jitter"),
            ("--keep-order", "--keep-order needs --jitter"),
            ("--delay=5ms --jitter=0 --keep-order", "--keep-order needs --jitter"),
            ("--reorder=5%", "--reorder needs --delay"),
            ("--delay=0 --reorder=5%", "--reorder needs --delay"),
            ("--delay=5ms --jitter=1ms --keep-order --reorder=5%", "contradict"),
            ("--loss=1% --burst=5000", "--burst needs --rate"),
            ("--loss-state=1%,1%,1%,1%,1%,1%", "five"),
            ("--loss-gemodel=1%,1%,1%,1%,1%", "four"),
        ] {
            let error = Parts::of_flags(flags).unwrap_err();
            assert!(error.to_string().contains(clause), "{flags}: {error}");
        }
    }

    #[test]
    fn flags_replace_those_of_a_preset_one_by_one() {
        for (flags, shown) in [
            (
                "--preset=slow --jitter=5ms",
                r#"{"delay":"50ms","jitter":"5ms","distribution":"normal"}"#,
            ),
            ("--preset=slow --jitter=0", r#"{"delay":"50ms"}"#),
            (
                "--preset=dialup --burst=5000 --limit=9 --keep-order",
                r#"{"delay":"90ms","jitter":"10ms","distribution":"normal","rate":"56kbit","burst":"5000","limit":"9","keep-order":true}"#,
            ),
            ("--preset=flaky --loss-state=5%", r#"{"loss-state":"5%"}"#),
        ] {
            assert_eq!(Parts::of_flags(flags).unwrap().json().to_string(), shown, "{flags}");
        }
    }
}
