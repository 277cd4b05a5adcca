//! Notes on the elements of sets: by them a kernel tells which traffic a fault strikes, whoever made it.
//!
//! A note reads as `out`, `in tcp`, `both 53,7000-7003`, `out udp 53`, `out by:eth0` or `out but:port:22,10.0.0.9`. The
//! blocks are the elements themselves.

use breakit::except::Except;
use breakit::net::Net;
use breakit::ports::Ports;
use breakit::protocol::Protocol;
use clap::ValueEnum;

use crate::traffic::{Direction, Traffic, joined};

/// nft(8) takes 128 bytes, ipset(8) 255.
const LONGEST: usize = 120;

/// What comes before the names of interfaces. More of them than have room are not noted: it may be any.
const BY: &str = "by:";

/// What comes before what is left alone. Of more than has room the rest is not noted: it may be struck.
const BUT: &str = "but:";

/// What the rest is noted as.
const MORE: &str = "...";

/// The note for elements of `traffic`. More ports than have room are noted as the span that they lie in.
pub fn write(traffic: &Traffic) -> String {
    let mut words = vec![traffic.direction.word().to_string()];
    words.extend(traffic.protocol.map(|protocol| protocol.word().into()));
    let interfaces = format!("{BY}{}", traffic.interfaces.join(","));
    if !traffic.interfaces.is_empty() && interfaces.len() < LONGEST / 2 {
        words.push(interfaces);
    }
    let room = |words: &[String]| LONGEST.saturating_sub(words.join(" ").len() + 1);
    if let Some(span) = span(&traffic.ports) {
        let each: Vec<String> = traffic.ports.iter().map(Ports::to_string).collect();
        let each = each.join(",");
        words.push(if each.len() < room(&words) { each } else { span.to_string() });
    }
    words.extend(but(&traffic.except, room(&words)));
    words.join(" ")
}

/// As much of what is left alone as has room.
fn but(except: &Except, room: usize) -> Option<String> {
    let mut word = String::from(BUT);
    for one in except.each() {
        if word.len() + one.len() + MORE.len() + 1 > room {
            return Some(word + MORE);
        }
        word += &one;
        word.push(',');
    }
    word.pop().filter(|last| *last == ',').map(|_| word)
}

/// From the lowest to the highest of `all`; `None` where there is none.
fn span(all: &[Ports]) -> Option<Ports> {
    let first = all.iter().map(|ports| ports.first).min()?;
    let last = all.iter().map(|ports| ports.last).max()?;
    Some(Ports { first, last, transport: None })
}

/// Whether a note leaves out a part of what is left alone.
pub fn is_cut(note: &str) -> bool {
    note.ends_with(MORE)
}

/// The traffic that elements with this note stand for; what an older slownet did not note it may strike.
pub fn read(elements: &[Net], note: &str) -> Traffic {
    let (mut direction, mut protocol, mut ports) = (Direction::Both, None, Vec::new());
    let (mut interfaces, mut except) = (Vec::new(), Except::NOTHING);
    for word in note.split_whitespace() {
        if let Ok(found) = Direction::from_str(word, false) {
            direction = found;
        } else if let Ok(found) = Protocol::from_str(word, false) {
            protocol = Some(found);
        } else if let Some(names) = word.strip_prefix(BY) {
            interfaces = names.split(',').map(str::to_string).collect();
        } else if let Some(left) = word.strip_prefix(BUT) {
            let left = left.trim_end_matches(MORE).trim_end_matches(',');
            except = Except::of_words(left).unwrap_or_default();
        } else {
            ports = word.split(',').filter_map(|ports| Ports::parse(ports).ok()).collect();
        }
    }
    let traffic = Traffic::new(joined(elements), protocol, ports);
    traffic.going(direction).by(interfaces).but_for(except)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn except(words: &str) -> Except {
        Except::of_words(words).unwrap()
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let ports = |texts: &[&str]| texts.iter().map(|text| Ports::parse(text).unwrap()).collect();
        let to = vec![Net::parse("10.0.0.0/8").unwrap(), Net::parse("fd00::1").unwrap()];
        for (to, direction, protocol, ports) in [
            (vec![], Direction::Out, None, vec![]),
            (to.clone(), Direction::In, Some(Protocol::Tcp), vec![]),
            (to.clone(), Direction::Both, Some(Protocol::Udp), ports(&["53", "7000-7003"])),
            (to.clone(), Direction::Out, None, ports(&["53/udp", "80"])),
            (to, Direction::Out, Some(Protocol::Sctp), ports(&["53"])),
        ] {
            let by =
                if protocol.is_none() { vec!["eth0".to_string(), "wg-0".into()] } else { vec![] };
            let but =
                if to.is_empty() { except("port:22,10.0.0.9,fd00::/64") } else { Except::NOTHING };
            let traffic = Traffic::new(to, protocol, ports).going(direction).by(by).but_for(but);
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
        let many: Vec<String> = (0..20).map(|n| format!("10.0.0.{n}")).collect();
        let but = except(&many.join(","));
        let note = write(&Traffic::default().but_for(but.clone()));
        assert!(is_cut(&note) && note.len() <= LONGEST, "{note}");
        let read = read(&Traffic::default().elements(true), &note).except;
        assert!(read.nets.len() > 8 && read.nets.iter().all(|net| but.nets.contains(net)));
    }
}
