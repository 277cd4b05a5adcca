//! Numbers of JSON in one spelling each, however they were written and however long they are.
//!
//! Databases and their clients write the number that they were given as they like: 1.50 comes back as 1.5, 100 as
//! 1e2, -0 as 0. It is the same number, and to take it for another would be to find violations that are none. So
//! numbers are compared as numbers, by decimal arithmetic on their digits, and never through floating point, to
//! which long ones would all be the same.

/// An integer that ends with more zeros, or a fraction that begins with more, is written with an exponent: `1e999999`
/// has no million digits.
const MOST_ZEROS: u64 = 20;

/// The one spelling of the number that `text` is in JSON. An exponent beyond 64 bits is left as it is written.
pub fn canonical(text: &str) -> String {
    Decimal::of(text).map_or_else(|| text.to_string(), |decimal| decimal.text())
}

/// A number: its digits, of which neither the first nor the last is zero, as an integer times a power of ten.
struct Decimal {
    is_negative: bool,
    digits: String,
    power: i64,
}

impl Decimal {
    /// `None` where the power is beyond 64 bits.
    fn of(text: &str) -> Option<Decimal> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let digits = all.trim_end_matches('0');
        let zeros = all.len() - digits.len();
        let digits = digits.trim_start_matches('0').to_string();
        if digits.is_empty() {
            return Some(Decimal { is_negative: false, digits: "0".into(), power: 0 });
        }
        let exponent: i64 = exponent.parse().ok()?;
        let moved = i64::try_from(zeros).ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Some(Decimal { is_negative, digits, power: exponent.checked_add(moved)? })
    }

    fn text(&self) -> String {
        let Decimal { is_negative, digits, power } = self;
        let sign = if *is_negative { "-" } else { "" };
        let zeros = |count: u64| "0".repeat(count as usize);
        let after = power.unsigned_abs();
        let length = digits.len() as u64;
        match power {
            0.. if after <= MOST_ZEROS => format!("{sign}{digits}{}", zeros(after)),
            ..0 if after < length => {
                let (whole, fraction) = digits.split_at((length - after) as usize);
                format!("{sign}{whole}.{fraction}")
            }
            ..0 if after - length <= MOST_ZEROS => {
                format!("{sign}0.{}{digits}", zeros(after - length))
            }
            // As serde_json writes exponents.
            _ => format!("{sign}{digits}e{power:+}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling_however_it_is_written() {
        for (spelling, others) in [
            ("0", vec!["-0", "0.0", "-0.00e7", "0e99999999999999999999"]),
            ("1", vec!["1.0", "1e0", "1E-0", "0.1e1", "10e-1", "0.0001e+4"]),
            ("-100", vec!["-1e2", "-1E2", "-1E+2", "-100.00", "-0.1e3"]),
            ("1.5", vec!["1.50", "15e-1", "150E-2", "0.15e1"]),
            ("0.00012", vec!["12e-5", "1.2e-4", "0.000120"]),
            ("12e+30", vec!["1.2e31", "12000000000000000000000000000000", "120e29"]),
            ("-12e-30", vec!["-1.2e-29", "-0.000000000000000000000000000012"]),
            ("1e+999999999", vec!["10e999999998", "0.1e1000000000"]),
            (
                "1234567890123456789012345678901234567890.5",
                vec!["12345678901234567890123456789012345678905e-1"],
            ),
        ] {
            assert_eq!(canonical(spelling), spelling);
            for other in others {
                assert_eq!(canonical(other), spelling, "{other}");
            }
        }
    }

    #[test]
    fn numbers_that_floating_point_runs_together_stay_apart() {
        for (a, b) in [
            ("9007199254740992.0", "9007199254740993.0"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("1e400", "1e401"),
            ("1e-400", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            ("1e9223372036854775808", "1e9223372036854775809"),
        ] {
            assert_ne!(canonical(a), canonical(b), "{a} {b}");
        }
        assert_eq!(canonical("0.1e-9223372036854775808"), "0.1e-9223372036854775808");
    }

    #[test]
    fn a_spelling_is_json_and_its_own() {
        for text in ["0", "-5", "1.5", "0.001", "12e+30", "-12e-30", "1e+999999999"] {
            let number: serde_json::Number = text.parse().unwrap();
            assert_eq!((number.as_str(), canonical(text).as_str()), (text, text));
        }
    }
}
