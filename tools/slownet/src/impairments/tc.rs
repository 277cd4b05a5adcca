//! How netem does an impairment: words on tc's command line, and what else they need.

use std::path::PathBuf;
use std::time::Duration;

use crate::quantity::{Chance, Rate};

/// What netem and the class above it get.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Netem {
    /// Words of netem.
    pub words: Vec<String>,
    /// The folder where tc finds the table that they name.
    pub tables: Option<PathBuf>,
    /// What netem cannot do and the class can.
    pub class: Option<Bucket>,
}

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// How fast it is filled.
    pub rate: Rate,
    /// How many bytes it holds.
    pub burst: u64,
}

impl Netem {
    /// Words for netem alone.
    pub fn words(words: impl IntoIterator<Item = impl Into<String>>) -> Netem {
        Netem { words: words.into_iter().map(Into::into).collect(), ..Netem::default() }
    }

    /// Adds what another impairment needs.
    pub fn and(mut self, other: Netem) -> Netem {
        self.words.extend(other.words);
        Netem {
            words: self.words,
            tables: self.tables.or(other.tables),
            class: self.class.or(other.class),
        }
    }
}

/// What netem cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unable {
    /// Why.
    pub why: &'static str,
    /// What to leave out for netem.
    pub leave_out: &'static str,
}

/// A time as tc takes it.
pub fn time(time: Duration) -> String {
    format!("{}us", time.as_nanos() as f64 / 1000.0)
}

/// What limits the rate.
pub fn rate(rate: Rate) -> [String; 2] {
    ["rate".into(), format!("{}bit", rate.bits())]
}

/// What happens by chance.
///
/// # Errors
/// If it is correlated: netem's draws crowd around a half then.
pub fn chance(name: &str, chance: Chance) -> Result<Netem, Unable> {
    match chance.correlation {
        None => Ok(Netem::words([name.to_string(), chance.percent.to_string()])),
        Some(_) => Err(Unable {
            why: "netem strikes far fewer packets than asked where a correlation is asked for, but for --loss",
            leave_out: "the correlation",
        }),
    }
}
