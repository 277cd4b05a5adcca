//! The interfaces by which a network sends: asked of ip(8) there, on this host and on others alike.

use std::path::PathBuf;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::program;
use breakit::reach::Network;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);

/// The interfaces that packets leave `network` by, loopback among them only `with_loopback`.
///
/// An interface that is a part of another (a port of a bridge, a leg of a bond) is left out: what goes by it
/// has been seen before.
///
/// # Errors
/// 69 where ip(8) is missing, 71 where it fails.
pub fn of(network: &Network, with_loopback: bool) -> Result<Vec<String>> {
    let program = match network {
        Network::Ssh(_) => PathBuf::from("ip"),
        _ => program::find("ip", "iproute2")?,
    };
    let output = network.run(&program, ["-j", "link", "show"], None, LIMIT)?;
    if !output.status.success() {
        let why = program::last_words(&output);
        return Err(Error::system(format!("ip -j link show failed: {why}")));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    names(&said, with_loopback)
        .ok_or_else(|| Error::system(format!("ip -j link show says no list of links: {said}")))
}

fn names(said: &str, with_loopback: bool) -> Option<Vec<String>> {
    let links: Value = serde_json::from_str(said).ok()?;
    let loopback = |link: &Value| link["link_type"].as_str() == Some("loopback");
    let names = links.as_array()?.iter().filter(|link| link.get("master").is_none());
    let names = names.filter(|link| with_loopback || !loopback(link));
    // What the kernel itself refuses in a name cannot end the quotes that nft reads it in, but for one.
    let names = names.filter_map(|link| link["ifname"].as_str()).filter(|name| !name.contains('"'));
    Some(names.map(str::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_a_bridge_are_left_out_and_loopback_is_where_nobody_asks_for_it() {
        let said = r#"[{"ifname":"lo","link_type":"loopback"},{"ifname":"eth0","link_type":"ether"},
            {"ifname":"v1","master":"br0","link_type":"ether"},{"ifname":"br0","link_type":"ether"}]"#;
        assert_eq!(names(said, false).unwrap(), ["eth0", "br0"]);
        assert_eq!(names(said, true).unwrap(), ["lo", "eth0", "br0"]);
        assert_eq!(names("{}", true), None);
    }
}
