//! Whole numbers as Clojure reads them beside those of EDN: `0x1f`, `017`, `2r101`, and `1.` for `1.0`.

/// The decimal digits of a number in another radix, with its sign; `None` where the token is none.
pub fn other_radix(token: &str) -> Option<String> {
    let (is_negative, digits) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let (radix, digits) = match digits.split_once(['r', 'R']) {
        Some((radix, digits)) => {
            (radix.parse().ok().filter(|radix| (2..=36).contains(radix))?, digits)
        }
        None => match digits.as_bytes() {
            [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
            [b'0', _, ..] => (8, &digits[1..]),
            _ => return None,
        },
    };
    let number = decimal(digits, radix)?;
    Some(if is_negative && number != "0" { format!("-{number}") } else { number })
}

/// A decimal without digits behind its point gets one, as EDN wants it.
pub fn with_fraction(token: &str) -> Option<String> {
    let (whole, rest) = token.split_once('.')?;
    let is_bare = !rest.starts_with(|first: char| first.is_ascii_digit());
    is_bare.then(|| format!("{whole}.0{rest}"))
}

/// Digits of a radix as those of 10, however many there are.
fn decimal(digits: &str, radix: u32) -> Option<String> {
    if digits.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    // The number, its lowest digits first.
    let mut decimals = vec![0_u8];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(radix)?;
        for decimal in &mut decimals {
            let sum = u32::from(*decimal) * radix + carry;
            *decimal = (sum % 10) as u8;
            carry = sum / 10;
        }
        while carry > 0 {
            decimals.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    while decimals.len() > 1 && decimals.last() == Some(&0) {
        decimals.pop();
    }
    Some(decimals.iter().rev().map(|&digit| char::from(b'0' + digit)).collect())
}

/// To turn more takes long, and nobody writes them.
const MOST_DIGITS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_another_radix_has_its_decimal_digits() {
        for (token, decimal) in [
            ("0x1f", "31"),
            ("-0XFF", "-255"),
            ("017", "15"),
            ("00", "0"),
            ("-00", "0"),
            ("2r101", "5"),
            ("36rZZ", "1295"),
            ("0xffffffffffffffffffff", "1208925819614629174706175"),
        ] {
            assert_eq!(other_radix(token).as_deref(), Some(decimal), "{token}");
        }
        for token in ["08", "0x", "0xg", "1r0", "37r1", "2r2", "2r", "r1", "1", "1.5", "", "é"] {
            assert_eq!(other_radix(token), None, "{token}");
        }
        assert_eq!(other_radix(&format!("0x{}", "f".repeat(MOST_DIGITS + 1))), None);
    }

    #[test]
    fn a_point_without_digits_behind_it_gets_one() {
        for (token, with) in
            [("1.", Some("1.0")), ("-2.e5", Some("-2.0e5")), ("1.5", None), ("1", None)]
        {
            assert_eq!(with_fraction(token).as_deref(), with, "{token}");
        }
    }
}
