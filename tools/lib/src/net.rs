//! Networks of addresses as people write them: `10.0.0.5`, `10.0.0.0/8`, `fd00::/64`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses with the same first bits; a single one where all bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Net {
    address: IpAddr,
    prefix: u8,
}

impl From<IpAddr> for Net {
    fn from(address: IpAddr) -> Net {
        let address = address.to_canonical();
        Net { address, prefix: bits(address) }
    }
}

impl Net {
    /// Reads `10.0.0.5`, `10.0.0.0/8` or `fd00::/64`; bits behind the prefix are dropped. `None` for anything else.
    pub fn parse(text: &str) -> Option<Net> {
        let (address, prefix) = match text.split_once('/') {
            None => return text.parse::<IpAddr>().ok().map(Net::from),
            Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, prefix),
        };
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|p| digits && *p <= bits(address))?;
        Some(Net { address: masked(address, prefix), prefix })
    }

    /// The network around an address whose first `prefix` bits are its own; all bits where that is more.
    pub fn around(address: IpAddr, prefix: u8) -> Net {
        let prefix = prefix.min(bits(address));
        Net { address: masked(address, prefix), prefix }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether it is of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether it is one address and no more.
    pub fn is_single(&self) -> bool {
        self.prefix == bits(self.address)
    }

    /// The address, where it is one and no more.
    pub fn single(&self) -> Option<IpAddr> {
        self.is_single().then_some(self.address)
    }

    /// Whether all of `other` lies within.
    pub fn contains(&self, other: &Net) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.prefix <= other.prefix
            && masked(other.address, self.prefix) == self.address
    }

    /// Whether it is this host's own loopback, or a part of it.
    pub fn is_loopback(&self) -> bool {
        self.address.is_loopback() && (self.prefix >= 8)
    }

    /// The same as nets that have a prefix at least: a set of the kernel does not hold a net of no bits.
    pub fn halved(self) -> Vec<Net> {
        match (self.prefix, self.address) {
            (0, IpAddr::V4(_)) => [0, 128]
                .map(|first| Net { address: Ipv4Addr::new(first, 0, 0, 0).into(), prefix: 1 })
                .into(),
            (0, IpAddr::V6(_)) => [0, 0x8000]
                .map(|first| Net {
                    address: Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(),
                    prefix: 1,
                })
                .into(),
            _ => vec![self],
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => self.address.fmt(f),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn networks_are_read_as_they_are_written_and_cut_to_their_prefix() {
        for text in ["10.0.0.5", "10.0.0.0/8", "fd00::/64", "::1", "0.0.0.0/0", "::/0"] {
            assert_eq!(net(text).to_string(), text);
        }
        assert_eq!(net("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(net("10.1.2.3/32"), net("10.1.2.3"));
        assert_eq!(net("::ffff:10.1.2.3"), net("10.1.2.3"));
        for text in ["10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "fd00::/129", "x", ""] {
            assert_eq!(Net::parse(text), None, "{text}");
        }
    }
}
