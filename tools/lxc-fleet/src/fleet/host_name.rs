//! Host names: a node of a fleet has its own, by which programs in all nodes find it.

use breakit::exit::{Error, Result};
use breakit::node::Name;

/// What every /etc/hosts says already, of the host itself or of a group of hosts.
const TAKEN: [&str; 12] = [
    "localhost",
    "localhost4",
    "localhost6",
    "localdomain",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];

/// Whether a node of a fleet may have this name: no underscore, no dot, and nothing that means another host.
///
/// # Errors
/// 64 for one that it may not have.
pub fn checked(name: &Name) -> Result<()> {
    let text = name.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.chars().all(plain) || text.ends_with('-') {
        return Err(Error::usage(format!(
            "{name} is no host name; a node of a fleet has letters, digits and '-' only"
        )));
    }
    // Host names are the same in capitals.
    if TAKEN.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(Error::usage(format!(
            "{name} is each host's name for itself or for several hosts, and cannot be a node's; take another name"
        )));
    }
    if is_a_number(text) {
        return Err(Error::usage(format!(
            "{name} is a number, which programs take for an address; put a letter in front, as in n{text}"
        )));
    }
    Ok(())
}

/// Whether inet_aton(3) takes it for an address.
fn is_a_number(text: &str) -> bool {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => text.chars().all(|c| c.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_means_another_host_is_no_nodes() {
        for taken in ["localhost", "LocalHost", "ip6-loopback", "1", "0x7f", "a_b", "a.b", "n-"] {
            assert!(checked(&Name::new(taken).unwrap()).is_err(), "{taken}");
        }
        for free in ["n1", "1n", "localhost1", "local-host", "0xyz", "db", "ip6"] {
            checked(&Name::new(free).unwrap()).unwrap();
        }
    }
}
