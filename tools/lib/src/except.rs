//! What passes although a fault would strike it: ports, and addresses at either end.

use crate::exit::{Error, Result};
use crate::net::Net;
use crate::node::Node;
use crate::peer::{self, Peer};
use crate::ports::Ports;

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

    /// What `said` means: `port:22`, an address, a network, or a name, which is looked up, first among `known` nodes.
    ///
    /// # Errors
    /// As [`Peer::find`]; 64 for what is no port.
    pub fn find(said: &[String], known: &[Node]) -> Result<Except> {
        let (mut ports, mut peers) = (Vec::new(), Vec::new());
        for word in said {
            match word.strip_prefix(Except::PORT) {
                Some(port) => ports.push(Ports::parse(port).map_err(|why| {
                    // What is long is cited behind it.
                    let word = if word.len() > 40 { "" } else { word };
                    Error::usage(format!("{}: {why}", format!("--except {word}").trim_end()))
                })?),
                None => peers.push(Peer::find("--except", word, known)?),
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

    /// Each of them: `port:22`, `10.0.0.9`.
    pub fn each(&self) -> Vec<String> {
        let ports = self.ports.iter().map(|ports| format!("{}{ports}", Except::PORT));
        ports.chain(self.nets.iter().map(Net::to_string)).collect()
    }

    /// `except port:22,10.0.0.9`; empty for nothing.
    pub fn words(&self) -> String {
        let all = self.each();
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
