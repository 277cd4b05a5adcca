//! No packet is struck by two faults: whoever comes second is refused, and told of the first.
//!
//! Two faults on one packet would not add up: of two classes the later rule wins, of two delay lines one lets
//! the other's packets by. So a second fault would be no fault, or take the first away, and neither history
//! would be true. Parts that are to be had together stand in one fault.

use breakit::exit::{Error, Result};
use breakit::reach::Network;

use crate::fault_id::FaultId;
use crate::feed::{self, Fed};
use crate::traffic::Traffic;

/// Refuses where a fault that is none of the faults `ours` already strikes packets of `traffic` in `network`.
///
/// # Errors
/// 71 with the other fault's number and what to do, and as [`feed::all`].
pub fn refuse(network: &Network, ours: &[FaultId], traffic: &Traffic) -> Result<()> {
    let fed = feed::all(network, |id| !ours.contains(&id))?;
    let meets = |fed: &&Fed| fed.traffic.as_ref().is_some_and(|other| other.meets(traffic));
    match fed.iter().find(meets) {
        None => Ok(()),
        Some(other) => Err(Error::system(format!(
            "the fault {0} already strikes packets {1}, and no packet can have two: end it (slownet clear --id {0}), name other packets, or give all parts to one fault",
            other.id,
            other.traffic.as_ref().map(words).unwrap_or_default()
        ))),
    }
}

/// Which packets, in words.
fn words(traffic: &Traffic) -> String {
    let value = traffic.json();
    let list = |name: &str| {
        let words = value[name].as_array()?.iter().filter_map(|word| word.as_str());
        Some(words.collect::<Vec<_>>().join(","))
    };
    let mut words = match value["direction"].as_str() {
        Some("in") => "from ",
        Some("both") => "to and from ",
        _ => "to ",
    }
    .to_string();
    words += &list("to").unwrap_or_else(|| "everybody".into());
    words += &value["protocol"].as_str().map(|p| format!(" over {p}")).unwrap_or_default();
    words + &list("ports").map(|ports| format!(" on port {ports}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Direction, Ports, Prefix, Protocol};

    #[test]
    fn a_fault_is_told_by_its_packets() {
        let to = vec![Prefix::parse("10.0.0.0/8").unwrap(), Prefix::parse("10.0.0.1").unwrap()];
        let ports = vec![Ports::parse("53").unwrap(), Ports::parse("70-73").unwrap()];
        let traffic = Traffic::new(to, Some(Protocol::Udp), ports).going(Direction::Both);
        assert_eq!(words(&traffic), "to and from 10.0.0.0/8 over udp on port 53,70-73");
        assert_eq!(words(&Traffic::default()), "to everybody");
    }
}
