//! Whole numbers as programs write them: spreadsheets and JavaScript turn 100 into `100.0` or `1.65E12`.

use serde_json::Value;

/// The whole number below 2^64 that a value is, however it is written; `None` where it is none.
pub fn natural(value: &Value) -> Option<u64> {
    let Value::Number(number) = value else { return None };
    number.as_u64().or_else(|| of_digits(number.as_str()))
}

/// Whether a value is the -1 that Jepsen writes where it knows no time and no index.
pub fn is_minus_one(value: &Value) -> bool {
    value.as_i64() == Some(-1)
}

/// By its digits and never through floating point, which does not hold all whole numbers.
fn of_digits(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let exponent: i64 = exponent.parse().ok()?;
    let digits = [whole, fraction].concat();
    let zeros = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let mut number: u64 = digits.parse().ok()?;
    if number == 0 {
        return Some(0);
    }
    for _ in 0..zeros.min(0).unsigned_abs() {
        number.is_multiple_of(10).then_some(())?;
        number /= 10;
    }
    for _ in 0..zeros.max(0) {
        number = number.checked_mul(10)?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<u64> {
        natural(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_whole_number_is_read_however_it_is_written() {
        for (text, number) in [
            ("7", 7),
            ("100.0", 100),
            ("1.65E12", 1_650_000_000_000),
            ("1.651553368714E12", 1_651_553_368_714),
            ("12e0", 12),
            ("1200e-2", 12),
            ("0.0", 0),
            ("0e999999999", 0),
            ("18446744073709551615.0", u64::MAX),
        ] {
            assert_eq!(of(text), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_below_two_to_the_64_is_none() {
        for text in [
            "1.5",
            "1.5e0",
            "-1",
            "-1.0",
            "125e-2",
            "1e20",
            "1e999999999999",
            "1e-999999999999",
            "18446744073709551616",
            "1e99999999999999999999",
            "\"7\"",
            "null",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
