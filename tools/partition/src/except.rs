//! What passes although a cut would drop it: ports, and addresses at either end.

use breakit::exit::{Error, Result};
use breakit::ports::Ports;

use crate::peer::{self, Net, Peer};

/// Packets that pass all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except {
    /// With one of these ports at either end.
    pub ports: Vec<Ports>,
    /// With an address in one of these networks at either end; none lies within another.
    pub nets: Vec<Net>,
}

impl Except {
    /// None.
    pub const NOTHING: Except = Except { ports: Vec::new(), nets: Vec::new() };

    /// What its words begin with.
    pub const WORD: &str = "except ";

    /// What stands before a port.
    const PORT: &str = "port:";

    /// What `said` means: `port:22`, an address, a network, or a name, which is looked up.
    ///
    /// # Errors
    /// As [`Peer::find`]; 64 for what is no port.
    pub fn find(said: &[String]) -> Result<Except> {
        let (mut ports, mut peers) = (Vec::new(), Vec::new());
        for word in said {
            match word.strip_prefix(Except::PORT) {
                Some(port) => ports.push(
                    Ports::parse(port)
                        .map_err(|why| Error::usage(format!("--except {word}: {why}")))?,
                ),
                None => peers.push(Peer::find("--except", word)?),
            }
        }
        let nets = peer::outermost(&peers).into_iter().map(|(net, _)| net).collect();
        Ok(Except { ports, nets })
    }

    /// Whether nothing passes.
    pub fn is_nothing(&self) -> bool {
        *self == Except::NOTHING
    }

    /// Those of the networks that are of one IP version.
    pub fn nets_of(&self, ipv4: bool) -> Vec<String> {
        self.nets.iter().filter(|net| net.is_ipv4() == ipv4).map(Net::to_string).collect()
    }

    /// `except port:22,10.0.0.9`; empty for nothing.
    pub fn words(&self) -> String {
        let ports = self.ports.iter().map(|ports| format!("{}{ports}", Except::PORT));
        let all: Vec<String> = ports.chain(self.nets.iter().map(Net::to_string)).collect();
        if all.is_empty() { String::new() } else { format!("{}{}", Except::WORD, all.join(",")) }
    }

    /// Reads what [`Except::words`] wrote.
    ///
    /// # Errors
    /// A clause that names what is neither a port nor a network.
    pub fn of_words(text: &str) -> std::result::Result<Except, String> {
        let mut except = Except::default();
        for word in text.strip_prefix(Except::WORD).unwrap_or(text).split(',') {
            match word.strip_prefix(Except::PORT) {
                Some(port) => except.ports.push(Ports::parse(port)?),
                None => except.nets.push(
                    Net::parse(word)
                        .ok_or_else(|| format!("{word:?} is no port and no network"))?,
                ),
            }
        }
        Ok(except)
    }
}
