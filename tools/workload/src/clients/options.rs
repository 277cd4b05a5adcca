//! What stands after the colon of `--client NAME:...`: words and `word=value` with commas between.

use breakit::exit::{Error, Result};

/// The options of one client, each checked to be one that it has.
#[derive(Debug)]
pub struct Options<'a> {
    client: &'static str,
    given: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Options<'a> {
    /// Reads `text` for `client`, which has the options `known`: `port=` takes a value, `serializable` none.
    ///
    /// # Errors
    /// 64 for an option that the client does not have, one given twice, and a value missing or too many.
    pub fn read(
        client: &'static str,
        text: Option<&'a str>,
        known: &[&str],
    ) -> Result<Options<'a>> {
        let mut given: Vec<(&str, Option<&str>)> = Vec::new();
        for word in text.into_iter().flat_map(|text| text.split(',')) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let form = if value.is_some() { format!("{name}=") } else { name.to_string() };
            if !known.contains(&form.as_str()) {
                return Err(Error::usage(format!(
                    "client {client} has no option {word:?}; it takes {}",
                    listed(known)
                )));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(Error::usage(format!("client {client}: {name} is given twice")));
            }
            given.push((name, value));
        }
        Ok(Options { client, given })
    }

    /// Whether the bare word `name` was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// The value given to `name`.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.given.iter().find(|(given, _)| *given == name).and_then(|(_, value)| *value)
    }

    /// The port number given to `name`, else `default`.
    ///
    /// # Errors
    /// 64 for what is no port number.
    pub fn port(&self, name: &str, default: u16) -> Result<u16> {
        let Some(text) = self.value(name) else { return Ok(default) };
        text.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
            Error::usage(format!(
                "client {}: {name}={text} is no port; write a number from 1 to 65535",
                self.client
            ))
        })
    }
}

fn listed(known: &[&str]) -> String {
    let shown: Vec<String> = known
        .iter()
        .map(|name| match name.strip_suffix('=') {
            Some(name) => format!("{name}={}", name.to_uppercase()),
            None => (*name).to_string(),
        })
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::exit::Status;

    const KNOWN: [&str; 2] = ["serializable", "port="];

    fn read(text: &str) -> Result<Options<'_>> {
        Options::read("etcd", Some(text), &KNOWN)
    }

    #[test]
    fn words_and_values_are_told_apart() {
        let options = read("serializable,port=7000").unwrap();
        assert!(options.has("serializable"));
        assert_eq!(options.port("port", 2379).unwrap(), 7000);
        let none = Options::read("etcd", None, &KNOWN).unwrap();
        assert!(!none.has("serializable"));
        assert_eq!(none.port("port", 2379).unwrap(), 2379);
    }

    #[test]
    fn what_the_client_does_not_have_is_wrong_usage_and_what_it_has_is_listed() {
        for bad in ["", "fast", "port", "serializable=yes", "port=1,port=2"] {
            assert_eq!(read(bad).unwrap_err().status(), Status::Usage, "{bad}");
        }
        let said = read("fast").unwrap_err().to_string();
        assert!(said.contains("serializable, port=PORT"), "{said}");
        for bad in ["port=0", "port=x", "port=65536"] {
            assert_eq!(read(bad).unwrap().port("port", 1).unwrap_err().status(), Status::Usage);
        }
    }
}
