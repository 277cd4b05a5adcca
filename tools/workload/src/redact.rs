//! Keeping secrets out of the history: passwords in addresses, and what follows a secret's name.
//!
//! This is the last net, not the first: names that nobody thought of slip through it. It hides too much
//! rather than too little.

use shlex::{split, try_quote};

/// What a name that holds a secret has in it, in lower case, whatever stands around it.
const SECRETS: [&str; 9] =
    ["pass", "pwd", "secret", "token", "key", "credential", "auth", "bearer", "private"];

/// Names that have one of these in them and hold no secret.
const HARMLESS: [&str; 8] =
    ["keys", "opsperkey", "keyed", "keyspace", "keyspaces", "author", "authors", "bypass"];

/// Flags whose value is `USER:PASSWORD`.
const USERS: [&str; 4] = ["-u", "-U", "--user", "--proxy-user"];

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// `text`, a command or a single word, without its secrets: passwords in addresses
/// (`redis://user:secret@host`) and after a user (`-u user:secret`), values of secrets' names
/// (`DB_PASS=secret`, `token:secret`, `--password secret`), and all that follows in the same quotes where
/// such a name is a header's (`'Authorization: Bearer secret'`).
///
/// A text without a secret is given back as it is; in any other the quoting may change.
pub fn redact(text: &str) -> String {
    let words = match split(text) {
        Some(words) if words.len() > 1 || words.first().is_some_and(|word| word != text) => words,
        // A single word, or quotes that do not close: then white space alone tells words apart.
        _ => text.split_whitespace().map(String::from).collect(),
    };
    if words.len() == 1 && words[0] == text {
        return without_value(&without_user(text));
    }
    let shown = redact_all(words.clone());
    if shown == words {
        return text.to_string();
    }
    joined(&shown)
}

/// The words of a command line, redacted; a secret may be a word of its own, or several.
pub fn redact_all(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let (mut shown, mut before, mut hint) = (Vec::new(), String::new(), Hint::Nothing);
    for word in words {
        shown.push(match hint {
            Hint::Rest => {
                shown.push(HIDDEN.into());
                return shown;
            }
            Hint::Secret if !word.starts_with('-') => HIDDEN.to_string(),
            Hint::User => without_password(&word),
            Hint::Secret | Hint::Nothing => attached_user(&word).unwrap_or_else(|| redact(&word)),
        });
        hint = Hint::of(&before, &word);
        before = word;
    }
    shown
}

/// A command line of `words`, as one would type it.
fn joined(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_+=:,./@%*?[]{}".contains(c);
    let quoted: Vec<String> = words
        .iter()
        .map(|word| match try_quote(word) {
            Ok(quoted) if word.is_empty() || !word.chars().all(plain) => quoted.into_owned(),
            _ => word.clone(),
        })
        .collect();
    quoted.join(" ")
}

/// What a word says of the next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hint {
    /// Nothing.
    Nothing,
    /// It is a secret, unless it is a flag.
    Secret,
    /// It is a user, with a password perhaps.
    User,
    /// It and all after it are a secret: white space has no meaning in there.
    Rest,
}

impl Hint {
    /// What `word` says of the next, with the word `before` it.
    fn of(before: &str, word: &str) -> Hint {
        if USERS.contains(&word) {
            return Hint::User;
        }
        if ["bearer", "basic"].contains(&word.to_lowercase().as_str()) {
            return Hint::Rest;
        }
        match word.strip_suffix([':', '=']) {
            Some("") if is_secret(before) => Hint::Rest,
            Some(name) if is_secret(name) => Hint::Rest,
            None if word.starts_with('-') && !word.contains(['=', ':', ' ']) && is_secret(word) => {
                Hint::Secret
            }
            _ => Hint::Nothing,
        }
    }
}

/// Whether what goes by that name is nobody's business. `name` may have quotes and dashes around it.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
    SECRETS.iter().any(|secret| name.contains(secret)) && !HARMLESS.contains(&name.as_str())
}

/// `-uUSER:PASSWORD` and `--user=USER:PASSWORD`; `None` for any other word.
fn attached_user(word: &str) -> Option<String> {
    let flag = USERS.iter().find(|flag| match flag.starts_with("--") {
        true => word.strip_prefix(**flag).is_some_and(|rest| rest.starts_with('=')),
        false => word.starts_with(**flag) && word.len() > flag.len(),
    })?;
    let (flag, user) = word.split_at(flag.len());
    user.contains(':').then(|| format!("{flag}{}", without_password(user)))
}

fn without_password(user: &str) -> String {
    match user.split_once(':') {
        Some((name, password)) if !password.is_empty() => format!("{name}:{HIDDEN}"),
        _ => user.to_string(),
    }
}

/// `scheme://user:password@host` as `scheme://***@host`, wherever it stands in the word.
fn without_user(word: &str) -> String {
    let Some((before, rest)) = word.split_once("://") else { return word.to_string() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password with a slash in it makes no address, and is no less a password.
    let last = rest[..end].rfind('@').or_else(|| {
        let at = rest.rfind('@')?;
        rest[..end].contains(':').then_some(at)
    });
    match last {
        Some(at) => format!("{before}://{HIDDEN}@{}", without_user(&rest[at + 1..])),
        None => format!("{before}://{}", without_user(rest)),
    }
}

/// Hides what follows the first secret's name and its `=` or `:`, to the end of the word.
fn without_value(word: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || "-_.'\"\\".contains(c);
    for (at, _) in word.match_indices(['=', ':']) {
        let begin = word[..at]
            .rfind(|c| !is_name(c))
            .map_or(0, |other| other + word[other..].chars().next().map_or(1, char::len_utf8));
        if is_secret(&word[begin..at]) && at + 1 < word.len() {
            return format!("{}{HIDDEN}", &word[..=at]);
        }
    }
    word.to_string()
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
            "curl -H 'Authorization: Bearer hunter2' http://h/",
            "curl -H 'authorization: hunter2 hunter2'",
            "curl -H \"X-Api-Key: hunter2\"",
            "curl -HAuthorization:hunter2",
            "curl -H 'Proxy-Authorization: Basic hunter2'",
            "curl --oauth2-bearer hunter2",
            "curl -u me:hunter2 http://h/",
            "curl -ume:hunter2",
            "curl --user me:hunter2",
            "curl --user=me:hunter2",
            "env DB_PASS=hunter2 ./c",
            "AWS_SECRET_ACCESS_KEY=hunter2 aws s3 ls",
            "docker run -e DB_PASS=hunter2 --env=PGPASSWORD=hunter2",
            "sh -c 'sh -c \"DB_PASS=hunter2 ./c\"'",
            "sh -c 'curl -H \"Authorization: Bearer hunter2\"'",
            "psql 'host=db password=hunter2'",
            "psql 'host=db password = hunter2 user=me'",
            "./c --pass hunter2",
            "./c --pass 'hunter2 with blanks'",
            "./c --private-key 'hunter2'",
            "./c '{\"db\": {\"password\":\"hunter2\"}}'",
            "./c '{\"db\": {\"password\": \"hunter2\"}}'",
            "./c http://h/?access_token=hunter2&x=1",
            "./c a://me:hunter2@h1,b://me:hunter2@h2",
            "./c a://me:hun/hunter2@h1",
            "exec:./c --token hunter2 'open",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("hunter2") && shown.contains("***"), "{text} as {shown}");
        }
    }

    #[test]
    fn all_else_is_shown_as_it_is() {
        for text in [
            "workload set --client redis -n n1..n5 --rate 200",
            "partition cut random-halves -n n1..n5 --every 30s",
            "partition cut -n db1=ssh:root@192.0.2.3,db2=netns:blue",
            "register --keys 3 --ops-per-key 50",
            "http://db1:2379/v3  x",
            "--author me",
            "sh -c 'sleep 1; echo done'",
            "it's open",
            "",
            "-u me",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn what_stands_around_a_secret_stays() {
        for (text, shown) in [
            ("./c --pass x --fast", "./c --pass *** --fast"),
            ("curl -H 'Authorization: Bearer x' -v", "curl -H 'Authorization: ***' -v"),
            ("curl -u me:x http://h/", "curl -u me:*** http://h/"),
            ("redis://me:x@db1:6379/0", "redis://***@db1:6379/0"),
            ("sh -c 'DB_PASS=x ./c; echo \"a b\"'", r#"sh -c "DB_PASS=*** './c;' echo 'a b'""#),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn a_secret_that_is_a_word_of_its_own_is_hidden() {
        let words = ["--token", "hunter2", "-v"].map(String::from);
        assert_eq!(redact_all(words), ["--token", "***", "-v"]);
    }
}
