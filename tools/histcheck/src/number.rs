//! Numbers of JSON in one spelling each, however they were written and however long they are.
//!
//! Databases and their clients write the number that they were given as they like: 1.50 comes back as 1.5, 100 as
//! 1e2, -0 as 0. It is the same number, and to take it for another would be to find violations that are none. So
//! numbers are compared as numbers, by decimal arithmetic on their digits, and never through floating point, to
//! which long ones would all be the same.

/// An integer that ends with more zeros, or a fraction that begins with more, is written with an exponent: `1e999999`
/// has no million digits.
const MOST_ZEROS: u64 = 20;

/// The one spelling of the number that `text` is in JSON.
pub fn canonical(text: &str) -> String {
    Decimal::of(text).text()
}

/// A number: its digits, of which neither the first nor the last is zero, as an integer times a power of ten.
struct Decimal {
    is_negative: bool,
    digits: String,
    power: Power,
}

impl Decimal {
    fn of(text: &str) -> Decimal {
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
            return Decimal { is_negative: false, digits: "0".into(), power: Power::Near(0) };
        }
        // No text has 2^63 digits.
        let moved = zeros as i64 - fraction.len() as i64;
        Decimal { is_negative, digits, power: Power::of(exponent, moved) }
    }

    fn text(&self) -> String {
        let Decimal { is_negative, digits, power } = self;
        let sign = if *is_negative { "-" } else { "" };
        let zeros = |count: u64| "0".repeat(count as usize);
        let power = match power {
            Power::Near(power) => *power,
            Power::Far(power) => return format!("{sign}{digits}e{power}"),
        };
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

/// A power of ten.
enum Power {
    Near(i64),
    /// One that 64 bits may not hold, with its sign, and no zeros in front.
    Far(String),
}

impl Power {
    /// The sum of an exponent as it is written and of how many places the point was moved.
    fn of(exponent: &str, moved: i64) -> Power {
        let is_negative = exponent.starts_with('-');
        let digits = exponent.trim_start_matches(['+', '-']).trim_start_matches('0');
        // One of fewer than 19 digits stays within 64 bits when the length of a text is added to it.
        if digits.len() < 19 {
            let size = digits.bytes().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
            return Power::Near(if is_negative { moved - size } else { size + moved });
        }
        let outwards = if is_negative { -moved } else { moved };
        let sign = if is_negative { '-' } else { '+' };
        Power::Far(format!("{sign}{}", sum(digits, outwards)))
    }
}

/// The digits of `number`, which has at least 19 of them, plus `small`, which is less in size: no sum is negative.
fn sum(number: &str, small: i64) -> String {
    let mut carry = i128::from(small);
    let mut digits: Vec<u8> = number.bytes().map(|digit| digit - b'0').collect();
    for digit in digits.iter_mut().rev() {
        if carry == 0 {
            break;
        }
        let all = i128::from(*digit) + carry;
        *digit = all.rem_euclid(10) as u8;
        carry = all.div_euclid(10);
    }
    let text: String = digits.iter().map(|digit| char::from(digit + b'0')).collect();
    let text = if carry > 0 { format!("{carry}{text}") } else { text };
    text.trim_start_matches('0').to_string()
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
            ("1e9223372036854775808", "1e-9223372036854775808"),
        ] {
            assert_ne!(canonical(a), canonical(b), "{a} {b}");
        }
    }

    #[test]
    fn an_exponent_of_any_length_is_added_to() {
        for (spelling, others) in [
            (
                "1e+9223372036854775808",
                vec!["10e9223372036854775807", "0.1E+009223372036854775809"],
            ),
            (
                "-1e-9223372036854775809",
                vec!["-0.1e-9223372036854775808", "-10e-9223372036854775810"],
            ),
            (
                "1e+10000000000000000000",
                vec!["10e9999999999999999999", "0.01e10000000000000000002"],
            ),
            // From 19 digits to 18 and back.
            ("1e+999999999999999999", vec!["0.1e1000000000000000000", "10e999999999999999998"]),
            ("1e-1000000000000000000", vec!["10e-1000000000000000001", "0.1e-999999999999999999"]),
            ("12e+99999999999999999999999999999998", vec!["1.2e99999999999999999999999999999999"]),
        ] {
            assert_eq!(canonical(spelling), spelling);
            for other in others {
                assert_eq!(canonical(other), spelling, "{other}");
            }
        }
    }

    #[test]
    fn a_spelling_is_json_and_its_own() {
        for text in ["0", "-5", "1.5", "0.001", "12e+30", "-12e-30", "1e+999999999"] {
            let number: serde_json::Number = text.parse().unwrap();
            assert_eq!((number.as_str(), canonical(text).as_str()), (text, text));
        }
    }
}
