//! Who reached whom, as trips between addresses add up to it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::net::IpAddr;

use breakit::node::Node;
use serde_json::{Map, Value, json};

use crate::peer::Net;

/// Something that was sent from one node to another, by an address of one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// Who sent.
    pub src: usize,
    /// To whom.
    pub dst: usize,
    /// Whose address it was: mostly the receiver's, but an answer comes from the address that was asked.
    pub of: usize,
    /// That address.
    pub at: IpAddr,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It came through.
    Arrived,
    /// It did not.
    Lost,
    /// Nobody can tell.
    Unsure,
}

/// Who reached whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    names: Vec<String>,
    /// For each pair between which anything could be sent.
    pairs: HashMap<(usize, usize), Counts>,
    /// Addresses of each node that say nothing about cuts.
    left_out: BTreeMap<usize, Vec<IpAddr>>,
}

/// Trips between two nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    tried: usize,
    arrived: usize,
    unsure: usize,
}

impl Counts {
    fn any(self) -> Option<bool> {
        (self.arrived > 0 || self.unsure == 0).then_some(self.arrived > 0)
    }

    fn all(self) -> Option<bool> {
        (self.unsure == 0).then_some(self.arrived == self.tried)
    }

    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Arrived => {
                self.tried += 1;
                self.arrived += 1;
            }
            Outcome::Lost => self.tried += 1,
            Outcome::Unsure => self.unsure += 1,
        }
    }
}

impl Matrix {
    /// What `trips` add up to; `networks` are those that each node has an interface in.
    pub fn of(nodes: &[Node], trips: &[Trip], networks: &[Vec<Net>]) -> Matrix {
        let left_out = private(trips, networks);
        let mut pairs: HashMap<(usize, usize), Counts> = HashMap::new();
        let counts =
            |trip: &&Trip| left_out.get(&trip.of).is_none_or(|out| !out.contains(&trip.at));
        for trip in trips.iter().filter(counts) {
            pairs.entry((trip.src, trip.dst)).or_default().add(trip.outcome);
        }
        let names = nodes.iter().map(|node| node.name.to_string()).collect();
        Matrix { names, pairs, left_out }
    }

    /// Whether anything of `src` reached `dst`; `None` where nobody could measure it.
    pub fn any(&self, src: usize, dst: usize) -> Option<bool> {
        self.pairs.get(&(src, dst)).and_then(|counts| counts.any())
    }

    /// Whether `src` reached `dst` at every address; `None` where nobody could measure it.
    pub fn all(&self, src: usize, dst: usize) -> Option<bool> {
        self.pairs.get(&(src, dst)).and_then(|counts| counts.all())
    }

    /// The pairs between which not everything passed.
    pub fn unreached(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.ordered().filter(|&(src, dst)| self.all(src, dst) == Some(false))
    }

    /// The pairs that nobody could measure.
    pub fn unknown(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.ordered().filter(|&(src, dst)| self.all(src, dst).is_none())
    }

    fn ordered(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let n = self.names.len();
        (0..n)
            .flat_map(move |src| (0..n).map(move |dst| (src, dst)))
            .filter(|(src, dst)| src != dst)
    }

    /// The addresses that were left out, for people: `10.9.0.1 (n1)`; `None` where there are none.
    pub fn left_out(&self) -> Option<String> {
        let of = |(node, addresses): (&usize, &Vec<IpAddr>)| {
            let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            format!("{} ({})", list.join(", "), self.names[*node])
        };
        let all: Vec<String> = self.left_out.iter().map(of).collect();
        match all.len() {
            0 => None,
            1..=4 => Some(all.join(", ")),
            more => Some(format!("{} and those of {} more nodes", all[..3].join(", "), more - 3)),
        }
    }

    /// As JSON: `reach[SRC][DST]` is true, false, null where nobody could measure it, or `"partly"`
    /// where some of the receiver's addresses are reached and others not.
    pub fn json(&self) -> Value {
        let cell = |src, dst| match (self.any(src, dst), self.all(src, dst)) {
            (Some(true), Some(false)) => Value::from("partly"),
            (_, all) => all.map_or(Value::Null, Value::from),
        };
        let mut rows = Map::new();
        for name in &self.names {
            rows.insert(name.clone(), json!({}));
        }
        for (src, dst) in self.ordered() {
            rows[&self.names[src]][&self.names[dst]] = cell(src, dst);
        }
        let pair = |(src, dst): (usize, usize)| json!([self.names[src], self.names[dst]]);
        let mut value = json!({
            "reach": rows,
            "unreached": self.unreached().map(pair).collect::<Vec<_>>(),
            "unknown": self.unknown().map(pair).collect::<Vec<_>>(),
        });
        if !self.left_out.is_empty() {
            let of = |(node, list): (&usize, &Vec<IpAddr>)| {
                let list: Vec<String> = list.iter().map(IpAddr::to_string).collect();
                (self.names[*node].clone(), Value::from(list))
            };
            value["left_out"] = Value::Object(self.left_out.iter().map(of).collect());
        }
        value
    }

    /// As a table for people: a row for each sender, a column for each receiver.
    pub fn table(&self) -> String {
        let width = self.names.iter().map(String::len).max().unwrap_or(0).max(6);
        let mut text = format!("{:width$}", "");
        for name in &self.names {
            let _ = write!(text, "  {name:>width$}");
        }
        text.push('\n');
        for (src, name) in self.names.iter().enumerate() {
            let _ = write!(text, "{name:width$}");
            for dst in 0..self.names.len() {
                let _ = write!(text, "  {:>width$}", self.word(src, dst));
            }
            text.push('\n');
        }
        text
    }

    fn word(&self, src: usize, dst: usize) -> &'static str {
        match (self.any(src, dst), self.all(src, dst)) {
            _ if src == dst => "-",
            (Some(true), Some(false)) => "partly",
            (Some(true), _) => "yes",
            (Some(false), _) => "no",
            (None, _) => "?",
        }
    }
}

/// The addresses of each node that no other reaches, and in whose network no other has an interface: those of
/// its own containers, or of a second network that is only its own.
///
/// A node that would have no address left keeps all: then it is cut off, and nothing else is known.
fn private(trips: &[Trip], networks: &[Vec<Net>]) -> BTreeMap<usize, Vec<IpAddr>> {
    let mut all: BTreeMap<usize, BTreeMap<IpAddr, bool>> = BTreeMap::new();
    for Trip { of, at, outcome, .. } in trips {
        let is_shared = || {
            let others = networks.iter().enumerate().filter(|(node, _)| node != of);
            others.flat_map(|(_, nets)| nets).any(|net| net.contains(&Net::from(*at)))
        };
        let common = all.entry(*of).or_default().entry(*at).or_insert_with(is_shared);
        *common |= *outcome == Outcome::Arrived;
    }
    all.retain(|_, addresses| addresses.values().any(|common| *common));
    let private = |(node, addresses): (usize, BTreeMap<IpAddr, bool>)| {
        let of = addresses.into_iter().filter(|(_, common)| !common).map(|(address, _)| address);
        (node, of.collect::<Vec<_>>())
    };
    all.into_iter().map(private).filter(|(_, addresses)| !addresses.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip(src: usize, dst: usize, at: &str, outcome: Outcome) -> Trip {
        Trip { src, dst, of: dst, at: at.parse().unwrap(), outcome }
    }

    fn nodes() -> Vec<Node> {
        breakit::node::resolve(&["n1=local,n2=netns:x".into()]).unwrap()
    }

    fn networks(of: [&[&str]; 2]) -> Vec<Vec<Net>> {
        of.map(|list| list.iter().map(|net| Net::parse(net).unwrap()).collect()).into()
    }

    #[test]
    fn an_address_in_a_network_of_its_own_says_nothing_unless_it_is_the_only_one() {
        let own = networks([&["10.0.0.0/24", "10.9.0.0/24"], &["10.0.0.0/24"]]);
        let (lost, arrived) = (Outcome::Lost, Outcome::Arrived);
        let both = |outcome| {
            let trips = [trip(1, 0, "10.0.0.1", outcome), trip(1, 0, "10.9.0.1", lost)];
            Matrix::of(&nodes(), &trips, &own)
        };
        assert_eq!(both(arrived).all(1, 0), Some(true));
        assert_eq!(both(arrived).left_out().unwrap(), "10.9.0.1 (n1)");
        assert_eq!(both(lost).all(1, 0), Some(false), "a cut off node stays one");
        let alone = Matrix::of(&nodes(), &[trip(1, 0, "10.9.0.1", lost)], &own);
        assert_eq!((alone.all(1, 0), alone.left_out()), (Some(false), None));
    }

    #[test]
    fn an_address_in_a_common_network_counts_although_nobody_reaches_it() {
        let own = networks([&["10.0.0.0/24", "fd00::/64"], &["10.0.0.0/24", "fd00::/64"]]);
        let trips =
            [trip(1, 0, "10.0.0.1", Outcome::Arrived), trip(1, 0, "fd00::1", Outcome::Lost)];
        let matrix = Matrix::of(&nodes(), &trips, &own);
        assert_eq!((matrix.any(1, 0), matrix.all(1, 0)), (Some(true), Some(false)));
        assert_eq!(matrix.json()["reach"]["n2"]["n1"], "partly");
    }
}
