//! Which of the packets between two ends a cut is about, and what becomes of them.

use std::fmt;

use breakit::exit::{Error, Result};
use breakit::ports::Ports;
pub use breakit::protocol::Protocol;
use clap::ValueEnum;

use breakit::except::Except;

/// A share of packets, in thousandths of a percent: more than none, and all at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// Every packet.
    pub const ALL: Share = Share(Share::WHOLE);

    /// What [`Share::parts`] are parts of.
    pub const WHOLE: u32 = 100_000;

    /// Reads `20%`, `20` or `0.5%`. For use as a clap `value_parser`.
    ///
    /// # Errors
    /// A sentence that names the text and the bounds.
    pub fn parse(text: &str) -> std::result::Result<Share, String> {
        let wrong = || format!("{text:?} is no share of packets; write 0.001% to 100%");
        let number: f64 =
            text.strip_suffix('%').unwrap_or(text).trim().parse().map_err(|_| wrong())?;
        let parts = (number * 1000.0).round();
        if !(1.0..=f64::from(Share::WHOLE)).contains(&parts) {
            return Err(wrong());
        }
        Ok(Share(parts as u32))
    }

    /// How many of [`Share::WHOLE`].
    pub fn parts(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1000.0)
    }
}

/// What the sender of a packet hears of its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, as of a cable that is cut.
    #[default]
    Silence,
    /// A TCP reset, or that the port is unreachable, as of a firewall that rejects.
    Reset,
}

/// Which packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Of this protocol only.
    pub protocol: Option<Protocol>,
    /// With one of these ports at either end; empty: whatever the port.
    pub ports: Vec<Ports>,
    /// Only those that open a TCP connection: what is established stays.
    pub opening: bool,
    /// How many of them.
    pub share: Share,
    /// What their sender hears.
    pub answer: Answer,
    /// Which of them pass all the same.
    pub except: Except,
}

impl Packets {
    /// All of them, in silence.
    pub const ALL: Packets = Packets {
        protocol: None,
        ports: Vec::new(),
        opening: false,
        share: Share::ALL,
        answer: Answer::Silence,
        except: Except::NOTHING,
    };

    /// The packets, if there can be such.
    ///
    /// # Errors
    /// 64 where the conditions exclude one another.
    pub fn checked(self) -> Result<Packets> {
        let protocol = self.protocol.filter(|protocol| *protocol != Protocol::Tcp);
        match protocol {
            Some(protocol) if self.opening => Err(Error::usage(format!(
                "--new-only is about TCP connections, and --protocol {} has none; leave one of the two out",
                protocol.word()
            ))),
            Some(Protocol::Icmp) if !self.ports.is_empty() => {
                Err(Error::usage("ICMP has no ports; leave --port or --protocol icmp out"))
            }
            _ => match self.ports.iter().find(|ports| !self.may_have(ports)) {
                None => Ok(self),
                Some(ports) => Err(Error::usage(format!(
                    "--port {ports} is of another protocol than --protocol or --new-only asks for; leave one of them out"
                ))),
            },
        }
    }

    /// Whether whatever passes between two ends is lost.
    pub fn is_all(&self) -> bool {
        Packets { answer: Answer::Silence, ..self.clone() } == Packets::ALL
    }

    /// Which protocols these packets can be of, where that is not any: what opens a connection is TCP, and
    /// ports without another word are those of TCP and UDP.
    pub fn protocols(&self) -> Option<Vec<Protocol>> {
        match (self.protocol, self.opening, self.ports.is_empty()) {
            (Some(protocol), ..) => Some(vec![protocol]),
            (None, true, _) => Some(vec![Protocol::Tcp]),
            (None, false, false) => {
                let all = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
                Some(all.into_iter().filter(|of| !self.ports_of(*of).is_empty()).collect())
            }
            (None, false, true) => None,
        }
    }

    /// Those of the ports that packets of `protocol` may have.
    pub fn ports_of(&self, protocol: Protocol) -> Vec<Ports> {
        breakit::protocol::ports_of(protocol, &self.ports, self.protocol)
    }

    /// Whether these packets can have such a port at all.
    fn may_have(&self, ports: &Ports) -> bool {
        let asked = self.protocol.or(self.opening.then_some(Protocol::Tcp));
        asked.zip(ports.transport).is_none_or(|(asked, of)| asked == Protocol::from(of))
    }

    /// For people and for `list`: `tcp port 5432,8000-8010, new connections only, 20%, rejected, except port:22`; empty
    /// for all.
    pub fn words(&self) -> String {
        let except = self.except.words();
        let ports = self.ports.iter().map(Ports::to_string).collect::<Vec<_>>().join(",");
        let protocol = self.protocol.map(Protocol::word).unwrap_or_default();
        let port = if ports.is_empty() { String::new() } else { format!("port {ports}") };
        let share = if self.share == Share::ALL { String::new() } else { self.share.to_string() };
        let new = if self.opening { "new connections only" } else { "" };
        let rejected = if self.answer == Answer::Reset { "rejected" } else { "" };
        let what = [protocol, &port].into_iter().filter(|word| !word.is_empty());
        let what = what.collect::<Vec<_>>().join(" ");
        let parts = [what.as_str(), new, &share, rejected, &except];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// Reads what [`Packets::words`] wrote.
    ///
    /// # Errors
    /// A clause that names what is none of its words.
    pub fn of_words(text: &str) -> std::result::Result<Packets, String> {
        let mut packets = Packets::ALL;
        // Ports are joined by bare commas, parts by a comma and a blank.
        for part in text.split(", ").filter(|part| !part.is_empty()) {
            match part {
                "new connections only" => packets.opening = true,
                "rejected" => packets.answer = Answer::Reset,
                except if except.starts_with(Except::WORD) => {
                    packets.except = Except::of_words(except)?;
                }
                share if share.ends_with('%') => packets.share = Share::parse(share)?,
                _ => packets.read_what(part)?,
            }
        }
        Ok(packets)
    }

    fn read_what(&mut self, part: &str) -> std::result::Result<(), String> {
        let (protocol, ports) = match part.split_once("port ") {
            None => (part, ""),
            Some((protocol, ports)) => (protocol.trim(), ports),
        };
        if !protocol.is_empty() {
            self.protocol = Some(Protocol::from_str(protocol, false)?);
        }
        for port in ports.split(',').filter(|port| !port.is_empty()) {
            self.ports.push(Ports::parse(port)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_they_are_written_and_nonsense_is_refused() {
        for (text, shown) in [("20", "20%"), ("0.5%", "0.5%"), ("100%", "100%")] {
            assert_eq!(Share::parse(text).unwrap().to_string(), shown);
        }
        for text in ["101%", "0", "-1", "NaN", "inf", "", "%", "0.0001%"] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn packets_are_read_from_their_own_words() {
        let port = |text| Ports::parse(text).unwrap();
        for packets in [
            Packets::ALL,
            Packets { protocol: Some(Protocol::Udp), ..Packets::ALL },
            Packets { ports: vec![port("80"), port("8000-8010")], ..Packets::ALL },
            Packets {
                protocol: Some(Protocol::Tcp),
                ports: vec![port("5432")],
                opening: true,
                share: Share::parse("20%").unwrap(),
                answer: Answer::Reset,
                except: Except::of_words("except port:22,port:53/udp,10.0.0.9,fd00::/64").unwrap(),
            },
            Packets { ports: vec![port("38412/sctp"), port("53/udp")], ..Packets::ALL },
        ] {
            assert_eq!(Packets::of_words(&packets.words()).unwrap(), packets);
        }
        assert!(Packets::of_words("sideways").is_err());
    }

    #[test]
    fn conditions_that_exclude_one_another_are_refused() {
        let icmp = Packets { protocol: Some(Protocol::Icmp), ..Packets::ALL };
        let ports = Packets { ports: vec![Ports::parse("1-2").unwrap()], ..icmp.clone() };
        assert!(ports.checked().unwrap_err().to_string().contains("ICMP has no ports"));
        assert!(Packets { opening: true, ..icmp }.checked().is_err());
        let udp = Packets { ports: vec![Ports::parse("53/udp").unwrap()], ..Packets::ALL };
        assert!(Packets { opening: true, ..udp.clone() }.checked().is_err());
        assert!(Packets { protocol: Some(Protocol::Tcp), ..udp }.checked().is_err());
    }

    #[test]
    fn ports_are_of_tcp_and_udp_unless_said_otherwise() {
        let of = |words: &str| {
            let ports = words.split(' ').map(|port| Ports::parse(port).unwrap()).collect();
            let packets = Packets { ports, ..Packets::ALL };
            let protocols = packets.protocols().unwrap();
            protocols.iter().map(|p| (p.word(), packets.ports_of(*p).len())).collect::<Vec<_>>()
        };
        assert_eq!(of("80"), [("tcp", 1), ("udp", 1)]);
        assert_eq!(of("80/tcp 53/udp 90/tcp"), [("tcp", 2), ("udp", 1)]);
        assert_eq!(of("80 38412/sctp"), [("tcp", 1), ("udp", 1), ("sctp", 1)]);
    }
}
