//! The word that somebody meant who mistyped it.

/// How alike two words must be, from 0 to 1: one wrong letter of four, or two that are swapped.
const ALIKE: f64 = 0.7;

/// The one of `words` that is most like `typed`, if any is like it.
pub fn closest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer is no mistyped word, and would only cost time.
    if typed.len() > 40 {
        return None;
    }
    let likeness = |word: &str| strsim::normalized_damerau_levenshtein(typed, word);
    let all = words.into_iter().map(|word| (likeness(word), word));
    let alike = all.filter(|(likeness, _)| *likeness >= ALIKE);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_is_known_and_another_one_is_not() {
        let words = ["isolate", "halves", "random-halves", "bridge"];
        for (typed, meant) in [
            ("isolat", Some("isolate")),
            ("isloate", Some("isolate")),
            ("halfs", None),
            ("halvs", Some("halves")),
            ("random-halfs", Some("random-halves")),
            ("sideways", None),
            ("", None),
            (&"isolate".repeat(1000), None),
        ] {
            assert_eq!(closest(typed, words), meant, "{typed}");
        }
    }
}
