//! The number by which the kernel's parts of one fault belong together.

use std::fmt;

use breakit::escape::cited;
use breakit::exit::Error;

/// A fault's number: the minor of its traffic class, and the end of its tables' and sets' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(u16);

impl FaultId {
    /// One drawn from the system. Never from a seed: two runs with one seed must not meet in one class.
    pub fn draw() -> FaultId {
        // Below those that the kernel gives to queueing disciplines: one of ours is called so.
        FaultId(rand::random_range(0x1000..=0x7fff))
    }

    /// So many, each another one.
    pub fn draw_all(count: usize) -> Vec<FaultId> {
        let mut drawn = Vec::new();
        while drawn.len() < count {
            let id = FaultId::draw();
            if !drawn.contains(&id) {
                drawn.push(id);
            }
        }
        drawn
    }

    /// Reads four hexadecimal digits.
    ///
    /// # Errors
    /// A sentence with the text and the form.
    pub fn parse(text: &str) -> Result<FaultId, String> {
        let id = if text.len() == 4 { u16::from_str_radix(text, 16).ok() } else { None };
        id.filter(|id| (0x1000..=0xffef).contains(id)).map(FaultId).ok_or_else(|| {
            format!("{} is no fault of ours; slownet list shows them, such as 3f2a", cited(text))
        })
    }

    /// The number of the fault whose kernel object is called `name`, where it is one of ours.
    pub fn of_object(name: &str) -> Option<FaultId> {
        let rest =
            name.strip_prefix("breakit_slow_").or_else(|| name.strip_prefix("breakit-slow-"))?;
        FaultId::parse(rest.get(..4)?).ok()
    }

    /// Its packet queue for what comes in, if it has a delay line there.
    pub fn queue(self) -> u16 {
        self.0
    }

    /// The fault whose packet queue has that number, if it can be one of ours.
    pub fn of_queue(number: u16) -> Option<FaultId> {
        (0x1000..=0xffef).contains(&number).then_some(FaultId(number))
    }

    /// Its class of traffic, which is the priority of packets in it: major 77, minor this.
    pub fn class(self) -> u32 {
        0x0077 << 16 | u32::from(self.0)
    }

    /// The class as nft's `meta priority` takes it.
    pub fn priority(self) -> String {
        format!("{:#010x}", self.class())
    }
}

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl std::str::FromStr for FaultId {
    type Err = Error;

    fn from_str(text: &str) -> Result<FaultId, Error> {
        FaultId::parse(text).map_err(Error::usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_is_written() {
        let id = FaultId::draw();
        assert_eq!(FaultId::parse(&id.to_string()), Ok(id));
        assert_eq!(FaultId::of_object(&format!("breakit_slow_{id}")), Some(id));
        assert_eq!(FaultId::of_object(&format!("breakit-slow-{id}-4")), Some(id));
        for foreign in ["filter", "breakit_slow_", "breakit_slow_x", "breakit_partition"] {
            assert_eq!(FaultId::of_object(foreign), None);
        }
        for bad in ["", "+123", "12345", "0000", "ffff", "xyzw"] {
            assert!(FaultId::parse(bad).is_err(), "{bad}");
        }
    }
}
