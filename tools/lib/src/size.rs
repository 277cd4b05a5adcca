//! Amounts of bytes, as people write them: `500M`, `1.5G`.

/// The units, in powers of 1024, the largest first.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

/// Reads `500M`, `1.5G`, `65536`: bytes, in powers of 1024. For use as a clap `value_parser`.
///
/// # Errors
/// A sentence that names the text and shows the form.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parsed(text)
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| format!("{text:?} is no size; write 500M or 1.5G"))
}

fn parsed(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "" => 0,
        letter => {
            UNITS
                .iter()
                .find(|(unit, _)| letter.eq_ignore_ascii_case(unit.encode_utf8(&mut [0; 4])))?
                .1
        }
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // Nine digits say a thousandth of a byte of the largest unit; there is no half byte.
    if !is_plain(whole)
        || !is_plain(fraction)
        || fraction.len() > 9
        || (unit == 0 && number.contains('.'))
    {
        return None;
    }
    let scale = 10u128.pow(fraction.len() as u32);
    let (whole, fraction) = (whole.parse::<u128>().ok()?, fraction.parse::<u128>().ok()?);
    let scaled = whole.checked_mul(scale)?.checked_add(fraction)?.checked_mul(1 << unit)?;
    u64::try_from(scaled / scale).ok()
}

/// The amount in the largest unit that divides it: `512M`, `1000 bytes`.
pub fn show_size(bytes: u64) -> String {
    let fits = |&&(_, shift): &&(char, u32)| bytes >> shift > 0 && bytes.is_multiple_of(1 << shift);
    match UNITS.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

/// The amount in a unit that is easily read, cut off to one digit behind the point: `3.9G`.
pub fn show_about(bytes: u64) -> String {
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            match (tenths / 10, tenths % 10) {
                (whole, 0) => format!("{whole}{unit}"),
                (whole, tenth) => format!("{whole}.{tenth}{unit}"),
            }
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in
            [("100", 100), ("4k", 4096), ("512M", 512 << 20), ("1.5G", 3 << 29), ("0.5T", 1 << 39)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(
            [show_size(512 << 20), show_size(3 << 29), show_size(7)],
            ["512M", "1536M", "7 bytes"]
        );
        assert_eq!(
            [show_about(3 << 29), show_about((4 << 30) + 5), show_about(7)],
            ["1.5G", "4G", "7 bytes"]
        );
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for wrong in [
            "",
            "0",
            "M",
            "-1",
            "3X",
            "1.5",
            "1.G",
            ".5G",
            "1..5G",
            "1 G",
            "99999999999G",
            "0.0000000001G",
            "1MB",
        ] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
