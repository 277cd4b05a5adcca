//! The protocols above IP that faults tell apart.

use clap::ValueEnum;

use crate::ports::{Ports, Transport};

/// A protocol above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// ICMP, and ICMPv6 except neighbour discovery
    Icmp,
    /// SCTP
    Sctp,
}

impl From<Transport> for Protocol {
    fn from(transport: Transport) -> Protocol {
        match transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
            Transport::Sctp => Protocol::Sctp,
        }
    }
}

impl Protocol {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Icmp => "icmp",
            Protocol::Sctp => "sctp",
        }
    }

    /// Its number in IP headers.
    pub fn number(self, ipv4: bool) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Icmp => {
                if ipv4 {
                    1
                } else {
                    58
                }
            }
            Protocol::Sctp => 132,
        }
    }
}

/// Those of `ports` that packets of `protocol` may have: ports without another word are those of TCP and UDP, or of
/// the protocol that was `asked` for.
pub fn ports_of(protocol: Protocol, ports: &[Ports], asked: Option<Protocol>) -> Vec<Ports> {
    let plain = matches!(protocol, Protocol::Tcp | Protocol::Udp) || asked == Some(protocol);
    let of = |ports: &&Ports| ports.transport.map_or(plain, |of| Protocol::from(of) == protocol);
    ports.iter().filter(of).copied().collect()
}
