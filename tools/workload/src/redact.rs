//! Keeping secrets out of the history: passwords in addresses, and words that follow a secret's name.

/// Names whose value is nobody's business, in lower case.
const NAMES: [&str; 7] = ["password", "passwd", "pwd", "secret", "token", "auth", "apikey"];

/// `text` with every password in an address (`redis://user:secret@host`) and every value of a secret's name
/// (`--password secret`, `PASSWORD=secret`, `token:secret`) replaced by `***`.
pub fn redact(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut named = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let gap = &piece[word.len()..];
        let (shown, names) = if named && !word.is_empty() && !word.starts_with('-') {
            ("***".to_string(), false)
        } else {
            (without_value(&without_user(word)), is_name(word))
        };
        hidden.push_str(&shown);
        hidden.push_str(gap);
        named = names || (named && word.is_empty());
    }
    hidden
}

/// The words of a command line, redacted; a secret may be a word of its own.
pub fn redact_all(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut named = false;
    let mut shown = Vec::new();
    for word in words {
        let secret = named && !word.starts_with('-');
        named = is_name(&word);
        shown.push(if secret { "***".into() } else { redact(&word) });
    }
    shown
}

/// Whether the next word is a secret: `--password`, not `--password=x`.
fn is_name(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && ends_as_name(word)
}

fn ends_as_name(word: &str) -> bool {
    let lower = word.to_lowercase();
    let letters = lower.trim_end_matches(['"', '\'']).replace(['-', '_'], "");
    NAMES.iter().any(|name| letters.ends_with(name))
}

fn without_user(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_string() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
        None => word.to_string(),
    }
}

fn without_value(word: &str) -> String {
    match word.find(['=', ':']) {
        Some(at) if ends_as_name(&word[..at]) && at + 1 < word.len() => {
            format!("{}***", &word[..=at])
        }
        _ => word.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        for text in [
            "exec:./c redis://me:hunter2@db1:6379/0",
            "--password hunter2",
            "REDIS_PASSWORD=hunter2 ./c",
            "--auth=hunter2",
            "token:hunter2",
            "./c --api-key hunter2 --fast",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn all_else_is_shown_as_it_is() {
        for text in [
            "workload set --client redis -n n1..n5 --rate 200",
            "partition cut random-halves -n n1..n5 --every 30s",
            "http://db1:2379/v3  x",
            "--author me",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_secret_that_is_a_word_of_its_own_is_hidden() {
        let words = ["--token", "hunter2", "-v"].map(String::from);
        assert_eq!(redact_all(words), ["--token", "***", "-v"]);
    }
}
