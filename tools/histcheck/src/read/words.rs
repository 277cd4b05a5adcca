//! Words that come again and again on the lines of a history, found by their bytes.

use super::digits::{eight_times, first};

/// Words of at most sixteen bytes, with the marks around them, and what they stand for. Which of them comes next nobody
/// can foresee, so that the way to it has no forks: its end is computed, and its place from its bytes.
#[derive(Debug)]
pub struct Words<T> {
    words: Vec<(u128, T)>,
    /// By place the number of a word, from 1; 0: none.
    places: [u8; PLACES],
}

impl<T> Default for Words<T> {
    fn default() -> Words<T> {
        Words { words: Vec::new(), places: [0; PLACES] }
    }
}

/// How a word ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The byte, eight times.
    byte: u64,
    /// 1 where that byte is the word's.
    own: usize,
}

impl End {
    /// That of a word between quotes.
    pub const QUOTE: End = End { byte: eight_times(b'"'), own: 1 };

    /// That of a word before a byte that is none of its own.
    pub fn before(byte: u8) -> End {
        End { byte: eight_times(byte), own: 0 }
    }
}

/// A power of two.
const PLACES: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 6;
/// That every search ends soon, most places are empty.
const MOST_WORDS: usize = PLACES / 4;

/// For each length the bytes of a word.
const MASKS: [u128; 17] = {
    let mut masks = [u128::MAX; 17];
    let mut length = 0;
    while length < 16 {
        masks[length] = !(u128::MAX << (8 * length));
        length += 1;
    }
    masks
};

/// Where a word is looked for first, among two to the power of `bits` places.
#[inline(always)]
pub fn place(word: u128, bits: u32) -> usize {
    let mixed = (word as u64 ^ (word >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - bits)) as usize
}

/// How long the word is that begins with the first of sixteen bytes and ends behind it; more than sixteen where its
/// end is not among them.
#[inline(always)]
fn length(there: u128, end: End) -> usize {
    match first((there >> 8) as u64, end.byte) {
        8 => 9 + first((there >> 72) as u64, end.byte) + end.own,
        first => 1 + first + end.own,
    }
}

/// The word at a place, with its marks, in sixteen bytes, and how long it is; `None` where it is longer.
#[inline(always)]
pub fn short(text: &[u8], at: usize, end: End) -> Option<(u128, usize)> {
    let there = u128::from_le_bytes(*text.get(at..at + 16)?.first_chunk::<16>()?);
    let length = length(there, end);
    Some((there & MASKS.get(length)?, length))
}

impl<T: Copy> Words<T> {
    /// Keeps a word, where it is short enough and not one too many.
    pub fn add(&mut self, word: &[u8], meaning: T) {
        let mut padded = [0; 16];
        let Some(place_of_word) = padded.get_mut(..word.len()) else { return };
        place_of_word.copy_from_slice(word);
        let bytes = u128::from_le_bytes(padded);
        if self.words.len() == MOST_WORDS || self.words.iter().any(|&(known, _)| known == bytes) {
            return;
        }
        self.words.push((bytes, meaning));
        let mut at = place(bytes, PLACE_BITS);
        while self.places[at] != 0 {
            at = (at + 1) % PLACES;
        }
        self.places[at] = self.words.len() as u8;
    }

    /// What the word at a place stands for, and the place behind it.
    #[inline(always)]
    pub fn find(&self, text: &[u8], at: usize, end: End) -> Option<(T, usize)> {
        let (bytes, length) = short(text, at, end)?;
        let mut place = place(bytes, PLACE_BITS);
        loop {
            let number = usize::from(self.places[place]);
            let &(word, meaning) = self.words.get(number.wrapping_sub(1))?;
            if word == bytes {
                return Some((meaning, at + length));
            }
            place = (place + 1) % PLACES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_length_are_found_whatever_places_they_share_and_no_others_are() {
        for (open, close, behind, end) in [
            ("\"", "\"", ",\"and sixteen more\"", End::QUOTE),
            (":", "", " :and sixteen more", End::before(b' ')),
        ] {
            let mut words = Words::default();
            let word =
                |number: usize| format!("{open}{}{number:02}{close}", "w".repeat(number % 13));
            (0..2 * MOST_WORDS).for_each(|number| words.add(word(number).as_bytes(), number));
            words.add(b"\"seventeen bytes\"", 0);
            for number in 0..2 * MOST_WORDS {
                let word = word(number);
                let text = [word.as_bytes(), behind.as_bytes()].concat();
                let kept = (number < MOST_WORDS).then_some((number, word.len()));
                assert_eq!(words.find(&text, 0, end), kept, "{word}");
                assert_eq!(words.find(&text[..15], 0, end), None, "{word}");
            }
            for other in ["seventeen bytes\"    ", "\"seventeen bytes\"", "\"no end of it is here"]
            {
                assert_eq!(words.find(other.as_bytes(), 0, end), None, "{other}");
            }
        }
    }
}
