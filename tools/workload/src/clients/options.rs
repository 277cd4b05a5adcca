//! The options of `--client NAME:...`: words and `word=value` with commas between.

use breakit::exit::{Error, Result};

use super::{ClientKind, Takes};

/// An option that a client takes.
#[derive(Debug)]
pub struct ClientOption {
    /// Its name.
    pub name: &'static str,
    /// What its value is called, if it has one: the `N` of `port=N`.
    pub value: Option<&'static str>,
}

impl ClientOption {
    /// An option that is a bare word.
    pub const fn word(name: &'static str) -> ClientOption {
        ClientOption { name, value: None }
    }

    /// An option with a value.
    pub const fn with(name: &'static str, value: &'static str) -> ClientOption {
        ClientOption { name, value: Some(value) }
    }

    fn usage(&self) -> String {
        self.value.map_or_else(|| self.name.into(), |value| format!("{}={value}", self.name))
    }
}

/// The options as they are written, with `between` between them.
pub fn listed(known: &[ClientOption], between: &str) -> String {
    known.iter().map(ClientOption::usage).collect::<Vec<_>>().join(between)
}

/// The options that were given to a client, each checked to be one that it takes.
#[derive(Debug)]
pub struct Options<'a> {
    client: &'static str,
    given: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Options<'a> {
    /// Reads `text` for `client`.
    ///
    /// # Errors
    /// 64 for an option that the client does not take, one given twice, and a value missing or too many.
    pub fn read(client: &ClientKind, text: Option<&'a str>) -> Result<Options<'a>> {
        let (name, known) = match client.takes {
            Takes::Options(known) => (client.name, known),
            Takes::Word(_) | Takes::Command(_) => (client.name, &[][..]),
        };
        let mut given: Vec<(&str, Option<&str>)> = Vec::new();
        for word in text.into_iter().flat_map(|text| text.split(',')) {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, None),
            };
            let takes =
                |one: &ClientOption| one.name == option && one.value.is_some() == value.is_some();
            if !known.iter().any(takes) {
                return Err(Error::usage(format!(
                    "client {name} has no option {word:?}; it takes {}",
                    listed(known, ", ")
                )));
            }
            if given.iter().any(|(other, _)| *other == option) {
                return Err(Error::usage(format!("client {name}: {option} is given twice")));
            }
            given.push((option, value));
        }
        Ok(Options { client: name, given })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{etcd, exec};
    use breakit::exit::Status;

    fn read(text: &str) -> Result<Options<'_>> {
        Options::read(&etcd::KIND, Some(text))
    }

    #[test]
    fn words_and_values_are_told_apart() {
        let options = read("serializable,port=7000").unwrap();
        assert!(options.has("serializable"));
        assert_eq!(options.port("port", 2379).unwrap(), 7000);
        let none = Options::read(&etcd::KIND, None).unwrap();
        assert!(!none.has("serializable"));
        assert_eq!(none.port("port", 2379).unwrap(), 2379);
    }

    #[test]
    fn what_the_client_does_not_take_is_wrong_usage_and_what_it_takes_is_listed() {
        for bad in ["", "fast", "port", "serializable=yes", "port=1,port=2"] {
            assert_eq!(read(bad).unwrap_err().status(), Status::Usage, "{bad}");
        }
        assert!(Options::read(&exec::KIND, Some("port=1")).is_err());
        let said = read("fast").unwrap_err().to_string();
        assert!(said.contains("serializable, port=N"), "{said}");
        for bad in ["port=0", "port=x", "port=65536"] {
            assert_eq!(read(bad).unwrap().port("port", 1).unwrap_err().status(), Status::Usage);
        }
    }
}
