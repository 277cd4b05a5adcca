//! Notes on the elements of sets: by them a kernel tells which traffic a fault strikes, whoever made it.
//!
//! A note reads as `out`, `in tcp`, `both 53,7000-7003`, `out udp 53` or `out by:eth0`. The blocks are the elements themselves.

use clap::ValueEnum;

use crate::traffic::{Direction, Ports, Prefix, Protocol, Traffic};

/// nft(8) takes 128 bytes, ipset(8) 255.
const LONGEST: usize = 120;

/// What comes before the names of interfaces. More of them than have room are not noted: it may be any.
const BY: &str = "by:";

/// The note for elements of `traffic`. More ports than have room are noted as the span that they lie in.
pub fn write(traffic: &Traffic) -> String {
    let mut words = vec![traffic.direction.word().to_string()];
    words.extend(traffic.protocol.map(|protocol| protocol.word().into()));
    let interfaces = format!("{BY}{}", traffic.interfaces.join(","));
    if !traffic.interfaces.is_empty() && interfaces.len() < LONGEST / 2 {
        words.push(interfaces);
    }
    let room = LONGEST.saturating_sub(words.join(" ").len() + 1);
    if let Some(span) = Ports::span(&traffic.ports) {
        let each: Vec<String> = traffic.ports.iter().map(|ports| ports.show("-")).collect();
        let each = each.join(",");
        words.push(if each.len() < room { each } else { span.show("-") });
    }
    words.join(" ")
}

/// The traffic that elements with this note stand for; what an older slownet did not note it may strike.
pub fn read(elements: &[Prefix], note: &str) -> Traffic {
    let (mut direction, mut protocol, mut ports) = (Direction::Both, None, Vec::new());
    let mut interfaces = Vec::new();
    for word in note.split_whitespace() {
        if let Ok(found) = Direction::from_str(word, false) {
            direction = found;
        } else if let Ok(found) = Protocol::from_str(word, false) {
            protocol = Some(found);
        } else if let Some(names) = word.strip_prefix(BY) {
            interfaces = names.split(',').map(str::to_string).collect();
        } else {
            ports = word.split(',').filter_map(|ports| Ports::parse(ports).ok()).collect();
        }
    }
    Traffic::new(Prefix::joined(elements), protocol, ports).going(direction).by(interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_read_again() {
        let ports = |texts: &[&str]| texts.iter().map(|text| Ports::parse(text).unwrap()).collect();
        let to = vec![Prefix::parse("10.0.0.0/8").unwrap(), Prefix::parse("fd00::1").unwrap()];
        for (to, direction, protocol, ports) in [
            (vec![], Direction::Out, None, vec![]),
            (to.clone(), Direction::In, Some(Protocol::Tcp), vec![]),
            (to.clone(), Direction::Both, Some(Protocol::Udp), ports(&["53", "7000-7003"])),
            (to, Direction::Out, None, ports(&["53"])),
        ] {
            let by =
                if protocol.is_none() { vec!["eth0".to_string(), "wg-0".into()] } else { vec![] };
            let traffic = Traffic::new(to, protocol, ports).going(direction).by(by);
            let elements = [traffic.elements(true), traffic.elements(false)].concat();
            assert_eq!(read(&elements, &write(&traffic)), traffic, "{}", write(&traffic));
        }
    }

    #[test]
    fn more_ports_than_have_room_are_noted_as_their_span() {
        let ports = (0..60).map(|n| Ports::parse(&format!("{}", 1000 + 7 * n)).unwrap()).collect();
        let note = write(&Traffic::new(vec![], None, ports));
        assert_eq!(note, "out 1000-1413");
        let many: Vec<String> = (0..20).map(|n| format!("interface{n}")).collect();
        assert_eq!(write(&Traffic::default().by(many)), "out");
    }
}
