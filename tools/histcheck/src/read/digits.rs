//! Numbers and strings, eight bytes at a time.
//!
//! What follows a number or a string is for the caller to look at.

/// Eight bytes; `None` so near the end of the text that they are not there.
#[inline(always)]
pub fn eight(text: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*text.get(at..at + 8)?.first_chunk::<8>()?))
}

/// Of eight bytes the value of each as a digit, and how many from the first on are digits.
#[inline(always)]
pub fn digits(there: u64) -> (u64, u32) {
    let values = there ^ 0x3030_3030_3030_3030;
    // A byte above 9 sets its highest bit; what it carries goes only to bytes behind it.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & HIGHEST;
    (values, others.trailing_zeros() / 8)
}

/// The number of the first `count` of eight digits; `count` is 1 to 8.
#[inline(always)]
pub fn number(values: u64, count: u32) -> u64 {
    let values = values << (64 - 8 * count);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = (pairs >> 16 & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    low.wrapping_add(high) >> 32
}

/// Whether no number begins with these eight bytes, the first `count` of which are digits. How many there are is not to
/// be foreseen, that they are none is.
#[inline(always)]
pub fn is_none(there: u64, count: u32) -> bool {
    (count == 0) | ((count > 1) & (there as u8 == b'0'))
}

/// A number of at most 16 digits, and the place behind it.
#[inline(always)]
pub fn natural(text: &[u8], at: usize) -> Option<(u64, usize)> {
    let there = eight(text, at)?;
    let (values, count) = digits(there);
    if is_none(there, count) {
        return None;
    }
    let first = number(values, count);
    if count < 8 {
        return Some((first, at + count as usize));
    }
    let (values, count) = digits(eight(text, at + 8)?);
    if count == 0 {
        return Some((first, at + 8));
    }
    let scale = [0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let number = first * scale[count as usize] + number(values, count);
    if count < 8 {
        return Some((number, at + 8 + count as usize));
    }
    // 17 digits and more are for the scanner.
    (!text.get(at + 16)?.is_ascii_digit()).then_some((number, at + 16))
}

/// The place behind a number of at most 16 digits.
#[inline(always)]
pub fn skip_natural(text: &[u8], at: usize) -> Option<usize> {
    let there = eight(text, at)?;
    let (_, first) = digits(there);
    if is_none(there, first) {
        return None;
    }
    if first < 8 {
        return Some(at + first as usize);
    }
    let (_, second) = digits(eight(text, at + 8)?);
    let end = at + 8 + second as usize;
    (second < 8 || !text.get(end)?.is_ascii_digit()).then_some(end)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// Eight times a byte.
pub const fn eight_times(byte: u8) -> u64 {
    byte as u64 * ONES
}

/// Of eight bytes the highest bit of each that is the one that stands in `wanted` eight times; bits above the first of
/// them may be set by mistake.
#[inline(always)]
fn equal(there: u64, wanted: u64) -> u64 {
    let others = there ^ wanted;
    others.wrapping_sub(ONES) & !others & HIGHEST
}

/// Of eight bytes the place of the first that is the one that stands in `wanted` eight times; 8 where there is none.
#[inline(always)]
pub fn first(there: u64, wanted: u64) -> usize {
    equal(there, wanted).trailing_zeros() as usize / 8
}

/// The place of the first byte from `at` on that is a quote, a backslash, a control character, or of no ASCII text;
/// `None` where the text ends before.
#[inline(always)]
pub fn end_of_plain(text: &[u8], mut at: usize) -> Option<usize> {
    while let Some(there) = eight(text, at) {
        let below_blank = there.wrapping_sub(eight_times(b' ')) & !there;
        let marks = equal(there, eight_times(b'"')) | equal(there, eight_times(b'\\'));
        let found = (below_blank | there) & HIGHEST | marks;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = text.get(at..)?;
    let is_end = |&byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1f | 0x80..);
    rest.iter().position(is_end).map(|more| at + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_ends_at_the_first_byte_that_is_not_plain_wherever_that_is() {
        for byte in 0..=255_u8 {
            let is_plain = (b' '..=0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
            for before in 0..20 {
                for after in 0..10 {
                    let text =
                        ["a!".repeat(before).as_bytes(), &[byte], &vec![b'"'; after]].concat();
                    let found = end_of_plain(&text, before);
                    let expected = match (is_plain, after) {
                        (false, _) => Some(2 * before),
                        (true, 0) => None,
                        (true, _) => Some(2 * before + 1),
                    };
                    assert_eq!(found, expected, "{byte} behind {before} and before {after}");
                }
            }
        }
    }
}
