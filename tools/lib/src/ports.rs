//! Ports as people write them: `5432`, `8000-8010`, `postgresql`, `5432/tcp`.

use std::fmt;

use crate::escape::cited;

/// Where the system keeps the names of ports.
const SERVICES: &str = "/etc/services";

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Transport {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        }
    }

    fn of_word(word: &str) -> Option<Transport> {
        [Transport::Tcp, Transport::Udp, Transport::Sctp].into_iter().find(|of| of.word() == word)
    }
}

/// A port, or a range of them with both its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
    /// Of this protocol only, where that was said.
    pub transport: Option<Transport>,
}

impl Ports {
    /// Reads `5432`, `8000-8010`, a name of /etc/services, or one of them with `/tcp`, `/udp` or `/sctp` behind it.
    /// For use as a clap `value_parser`.
    ///
    /// # Errors
    /// A sentence that names the text and shows the form.
    pub fn parse(text: &str) -> Result<Ports, String> {
        let wrong = || {
            format!(
                "{} is no port; write 1 to 65535, a range 8000-8010, a name of {SERVICES}, or 5432/tcp",
                cited(text)
            )
        };
        let (port, transport) = match text.split_once('/') {
            None => (text, None),
            Some((port, word)) => (port, Some(Transport::of_word(word).ok_or_else(wrong)?)),
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            let services = std::fs::read_to_string(SERVICES).unwrap_or_default();
            let number = named(&services, port, transport).ok_or_else(wrong)?;
            return Ok(Ports { first: number, last: number, transport });
        }
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        let (first, last) = port.split_once('-').unwrap_or((port, port));
        let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
        if first > last {
            return Err(format!("the range of ports {port} runs backwards; write {last}-{first}"));
        }
        Ok(Ports { first, last, transport })
    }

    /// Whether it is more than one.
    pub fn is_range(self) -> bool {
        self.first < self.last
    }

    /// The numbers, with `between` in a range.
    pub fn numbers(self, between: &str) -> String {
        match self.is_range() {
            false => self.first.to_string(),
            true => format!("{}{between}{}", self.first, self.last),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.numbers("-"))?;
        match self.transport {
            None => Ok(()),
            Some(transport) => write!(f, "/{}", transport.word()),
        }
    }
}

/// The port that services(5) gives a name or an alias, of that protocol or else of the first that has it.
fn named(services: &str, name: &str, transport: Option<Transport>) -> Option<u16> {
    services.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (official, place) = (words.next()?, words.next()?);
        let (number, protocol) = place.split_once('/')?;
        let known = Transport::of_word(protocol)?;
        let is_named = official == name || words.any(|alias| alias == name);
        let is_meant = transport.is_none_or(|transport| transport == known);
        (is_named && is_meant).then(|| number.parse().ok().filter(|port| *port > 0)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_written_and_nonsense_is_refused() {
        for text in ["5432", "8000-8010", "65535", "53/udp", "8000-8010/sctp"] {
            assert_eq!(Ports::parse(text).unwrap().to_string(), text);
        }
        for text in
            ["0", "65536", "-1", "x/", "", "1-", "8010-8000", "53/icmp", "/tcp", "no such service"]
        {
            assert!(Ports::parse(text).is_err(), "{text}");
        }
        assert!(Ports::parse("8010-8000").unwrap_err().contains("write 8000-8010"));
    }

    #[test]
    fn names_are_those_of_the_file_of_services_with_their_aliases() {
        let services = "# names\npostgresql\t5432/tcp\t\tpostgres # PostgreSQL\nntp 123/udp\n\
                        odd\nhttp-alt 8080/tcp webcache\nbgp 179/tcp\nbgp 180/sctp\nx 1/ddp\n";
        assert_eq!(named(services, "postgres", None), Some(5432));
        assert_eq!(named(services, "http-alt", Some(Transport::Tcp)), Some(8080));
        assert_eq!(named(services, "bgp", Some(Transport::Sctp)), Some(180));
        for (name, of) in
            [("PostgreSQL", None), ("odd", None), ("x", None), ("ntp", Some(Transport::Tcp))]
        {
            assert_eq!(named(services, name, of), None, "{name}");
        }
    }
}
