//! The other end of a cut of which only one end is ours.

use breakit::exit::Result;
pub use breakit::net::Net;
pub use breakit::peer::{Peer, outermost};

/// A cut of which only one end is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// What comes from these is lost.
    pub from: Vec<Peer>,
    /// What is sent to these is lost.
    pub to: Vec<Peer>,
}

impl Peers {
    /// Finds out whom `from` and `to` mean.
    ///
    /// # Errors
    /// As [`Peer::find`].
    pub fn find(from: &[String], to: &[String]) -> Result<Peers> {
        let all = |flag: &str, said: &[String]| {
            said.iter().map(|said| Peer::find(flag, said, &[])).collect::<Result<Vec<_>>>()
        };
        Ok(Peers { from: all("--from", from)?, to: all("--to", to)? })
    }

    /// Whether one of them is reached by the loopback interface.
    pub fn on_loopback(&self) -> bool {
        self.from.iter().chain(&self.to).flat_map(|peer| &peer.nets).any(Net::is_loopback)
    }

    /// As typed, for a line.
    pub fn json(&self) -> serde_json::Value {
        let said = |peers: &[Peer]| peers.iter().map(|peer| peer.said.clone()).collect::<Vec<_>>();
        serde_json::json!({ "from": said(&self.from), "to": said(&self.to) })
    }

    /// As typed: `--from 10.0.0.5 --to db.example`.
    pub fn words(&self) -> String {
        let said = |flag: &str, peers: &[Peer]| -> Vec<String> {
            peers.iter().map(|peer| format!("{flag} {}", peer.said)).collect()
        };
        [said("--from", &self.from), said("--to", &self.to)].concat().join(" ")
    }
}
