//! Quantities as they stand on the command line: percents, rates, times. Each is checked once, here.

use std::fmt;
use std::time::Duration;

use breakit::clock;
use breakit::escape::{cited, named};
use serde::{Deserialize, Serialize};

/// A probability above 0 % and up to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Percent(f64);

impl Percent {
    /// Reads `1%`, `0.1%`.
    ///
    /// # Errors
    /// A sentence with the text and the form.
    pub fn parse(text: &str) -> Result<Percent, String> {
        let number = text
            .strip_suffix('%')
            .and_then(|digits| digits.parse::<f64>().ok())
            .ok_or_else(|| format!("{} is no percentage; write 1% or 0.5%", cited(text)))?;
        if number == 0.0 {
            return Err("0% is no fault; leave the flag out".into());
        }
        if !(0.0..=100.0).contains(&number) {
            return Err(format!(
                "{} is out of range; take more than 0% and at most 100%",
                named(text)
            ));
        }
        Ok(Percent(number))
    }

    /// The probability, 0 to 1.
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A probability, and how much each draw resembles the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// How often.
    pub percent: Percent,
    /// How much a draw depends on the last one.
    pub correlation: Option<Percent>,
}

impl Chance {
    /// Reads `20%` or `20%,75%`.
    ///
    /// # Errors
    /// As [`Percent::parse`].
    pub fn parse(text: &str) -> Result<Chance, String> {
        let (percent, correlation) = match text.split_once(',') {
            Some((percent, correlation)) => (percent, Some(Percent::parse(correlation)?)),
            None => (text, None),
        };
        Ok(Chance { percent: Percent::parse(percent)?, correlation })
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.correlation {
            Some(correlation) => write!(f, "{},{correlation}", self.percent),
            None => self.percent.fmt(f),
        }
    }
}

/// A rate in bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rate(u64);

impl Rate {
    /// One that no packet feels.
    pub const FASTEST: Rate = Rate(100_000_000_000);

    const UNITS: [(&str, u64); 4] =
        [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

    /// Reads `1mbit`, `56kbit`, `1.5gbit`. A unit is required: tc(8)'s own `1mbps` are megabytes.
    ///
    /// # Errors
    /// A sentence with the text and the form.
    pub fn parse(text: &str) -> Result<Rate, String> {
        let lower = text.to_ascii_lowercase();
        let (digits, unit) = Rate::UNITS
            .iter()
            .find_map(|(name, size)| lower.strip_suffix(name).map(|digits| (digits, *size)))
            .ok_or_else(|| {
                format!(
                    "{} is no rate; write 56kbit, 1mbit or 1.5gbit (bits a second)",
                    cited(text)
                )
            })?;
        let number: f64 =
            digits.parse().map_err(|_| format!("{} is no rate; write 1mbit", cited(text)))?;
        let bits = number * unit as f64;
        // tc counts whole bytes a second, in 64 bits; a terabit is beyond every card.
        if !(8.0..=1e12).contains(&bits) {
            return Err(format!(
                "a rate of {} is out of range; take 8bit to 1000gbit (to stop all traffic use partition)",
                named(text)
            ));
        }
        Ok(Rate(bits as u64))
    }

    /// Bits a second.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// How many bytes pass in `time`.
    pub fn bytes_in(self, time: Duration) -> u64 {
        (self.0 as f64 * time.as_secs_f64() / 8.0) as u64
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, size) = Rate::UNITS
            .into_iter()
            .find(|(_, size)| self.0.is_multiple_of(*size))
            .unwrap_or(("bit", 1));
        write!(f, "{}{name}", self.0 / size)
    }
}

/// Reads a time that a packet may be held: `50ms`, `1.5ms`, at most an hour.
///
/// # Errors
/// A sentence with the text and the form.
pub fn parse_hold(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err(format!(
            "{} is negative: no packet arrives before it was sent; write 50ms",
            named(text)
        ));
    }
    let time = if text == "0" { Duration::ZERO } else { fractional(text)? };
    if time > Duration::from_secs(3600) {
        return Err(format!(
            "{} is out of range; a packet is held for an hour at the most",
            named(text)
        ));
    }
    Ok(time)
}

/// Reads a shortest and a longest time, `10ms,40ms`, or one that is both; neither is 0.
///
/// # Errors
/// A sentence with the text and the form.
pub fn parse_holds(text: &str) -> Result<(Duration, Duration), String> {
    let (least, most) = text.split_once(',').unwrap_or((text, text));
    let (least, most) = (parse_hold(least)?, parse_hold(most)?);
    if least.is_zero() || least > most {
        return Err(format!(
            "{} is no span of time; write 20ms, or the shorter first: 10ms,40ms",
            named(text)
        ));
    }
    Ok((least, most))
}

/// `1.5ms`, which the library's durations do not know, or any of theirs.
fn fractional(text: &str) -> Result<Duration, String> {
    for (unit, seconds) in [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)] {
        if let Some(Ok(number)) = text.strip_suffix(unit).map(str::parse::<f64>)
            && let Ok(time) = Duration::try_from_secs_f64(number * seconds)
        {
            return Ok(time);
        }
    }
    clock::parse_duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_they_are_read() {
        for text in ["20%", "0.5%", "20%,75%"] {
            assert_eq!(Chance::parse(text).unwrap().to_string(), text);
        }
        for text in ["1mbit", "56kbit", "9600bit", "10gbit"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("1.5mbit").unwrap().to_string(), "1500kbit");
        assert_eq!(parse_hold("1.5ms").unwrap(), Duration::from_micros(1500));
        assert_eq!(parse_hold("1m30s").unwrap(), Duration::from_secs(90));
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_form() {
        for bad in ["101%", "-1%", "0%", "5", "x%", "NaN%", "inf%", "5%,", "5%,200%"] {
            assert!(Chance::parse(bad).is_err(), "{bad}");
        }
        for bad in ["0mbit", "-1mbit", "1", "1mbps", "mbit", "7bit", "NaNmbit", "infbit"] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
        let ms = Duration::from_millis;
        assert_eq!(parse_holds("20ms"), Ok((ms(20), ms(20))));
        assert_eq!(parse_holds("10ms,40ms"), Ok((ms(10), ms(40))));
        for bad in ["0", "0,5ms", "5ms,4ms", "5ms,", "5", ""] {
            assert!(parse_holds(bad).is_err(), "{bad}");
        }
        for bad in ["-50ms", "50", "2h", "NaNms", "infs", "1e300s"] {
            assert!(parse_hold(bad).is_err(), "{bad}");
        }
    }
}
