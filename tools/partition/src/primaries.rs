//! Who is primary at this moment: asked of a command, anew before each cut.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::helper;
use breakit::node::Name;
use breakit::program;

/// A database that does not say within this who its primary is has none.
const LIMIT: Duration = Duration::from_secs(10);

/// A command that prints the primaries, by name or address, among whatever else it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primaries {
    text: String,
    program: PathBuf,
    args: Vec<String>,
}

impl Primaries {
    /// Splits `text` by the shell's quoting rules, without any expansion, and looks for its program.
    ///
    /// # Errors
    /// 64 where it is empty or a quote stands open, 69 where the program is missing.
    pub fn of(text: &str) -> Result<Primaries> {
        let words = shlex::split(text).unwrap_or_default();
        let (name, args) = words.split_first().ok_or_else(|| {
            Error::usage(format!(
                "--primaries {text:?} is no command, or a quote stands open; close it"
            ))
        })?;
        let program = helper::written(name).ok_or_else(|| {
            Error::missing(format!(
                "--primaries: there is no program {name}; install it or write its whole path"
            ))
        })?;
        Ok(Primaries { text: text.into(), program, args: args.to_vec() })
    }

    /// The nodes that the command names now.
    ///
    /// # Errors
    /// 71 where it fails, 75 where it does not end within 10 s, 65 where it names none of `nodes`.
    pub fn ask(&self, nodes: &[Name], addresses: &[Vec<IpAddr>]) -> Result<Vec<Name>> {
        let said = program::succeed(Command::new(&self.program).args(&self.args), None, LIMIT)
            .map_err(|error| error.at("--primaries"))?;
        let named = among(&said, nodes, addresses);
        if named.is_empty() {
            return Err(Error::data(format!(
                "--primaries {:?} printed the name or address of none of the nodes; it said {:?}",
                self.text,
                said.trim().chars().take(200).collect::<String>()
            )));
        }
        Ok(named)
    }
}

/// The nodes whose name or address is a word of `said`.
fn among(said: &str, nodes: &[Name], addresses: &[Vec<IpAddr>]) -> Vec<Name> {
    let words: Vec<&str> = said.split([' ', '\t', '\n', '\r', ',', '"']).collect();
    let named = |(name, own): &(&Name, &Vec<IpAddr>)| {
        words.iter().any(|word| {
            *word == name.as_str()
                || word.parse().is_ok_and(|address: IpAddr| own.contains(&address))
        })
    };
    nodes.iter().zip(addresses).filter(named).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_is_found_by_name_or_address_among_other_words() {
        let nodes: Vec<Name> = ["n1", "n2", "n10"].map(|n| Name::new(n).unwrap()).into();
        let addresses: Vec<Vec<IpAddr>> =
            ["10.0.0.1", "fd00::2", "10.0.0.10"].map(|a| vec![a.parse().unwrap()]).into();
        let found = |said: &str| -> Vec<String> {
            among(said, &nodes, &addresses).iter().map(Name::to_string).collect()
        };
        assert_eq!(found("10.0.0.10\n6379\n"), ["n10"]);
        assert_eq!(found("1) \"fd00:0::2\"\n2) \"6379\""), ["n2"]);
        assert_eq!(found("n1,n2"), ["n1", "n2"]);
        assert!(found("10.0.0.9 n100").is_empty());
    }

    #[test]
    fn a_command_that_is_none_is_refused() {
        for text in ["", "'open"] {
            assert_eq!(Primaries::of(text).unwrap_err().status(), breakit::exit::Status::Usage);
        }
        let missing = Primaries::of("no-such-program x").unwrap_err();
        assert_eq!(missing.status(), breakit::exit::Status::Missing);
    }
}
