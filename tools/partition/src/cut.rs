//! A cut held in the foreground: the [`Fault`] that `partition cut` is.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use breakit::escape::beginning;
use breakit::exit::{Error, Result, Status};
use breakit::held_fault::{Fault, Renewal};
use breakit::jsonl;
use breakit::lease::Lease;
use breakit::messages;
use breakit::nat;
use breakit::node::{self, Name, Node, Via};
use breakit::op::Op;
use breakit::reach::Network;
use breakit::rng::Pcg64;
use nix::sys::stat::fstat;
use serde_json::{Map, Value, json};

use crate::apply::Rules;
use crate::backend::{self, Backend, Common, Loss, Task};
use crate::check::{self, Question};
use crate::exempt;
use crate::group;
use crate::grudge::Grudge;
use crate::grudge_lines;
use crate::guard::Guard;
use crate::interfaces;
use crate::link_local;
use crate::links::Bridges;
use crate::nft::{Nft, Refusal};
use crate::packets::{Answer, Packets};
use crate::pairs::Pairs;
use crate::parallel::all;
use crate::rules::Exempt;
use crate::shapes;
use crate::target::{Step, Target};
use crate::verify::{self, Answered};

/// How long a reachability check waits for datagrams that a cut may have dropped.
const SILENCE: Duration = Duration::from_millis(300);

/// How long a grudge and its peers may be on a start line together; longer ones are [`grudge_lines`] before it.
const ON_LINE: usize = 2200;

/// What was asked for.
#[derive(Debug)]
pub struct Wanted {
    /// What is cut off from what.
    pub target: Target,
    /// The nodes that take part.
    pub nodes: Vec<Node>,
    /// Which of their packets.
    pub packets: Packets,
    /// In a replay: what is cut each time, in order. Else empty.
    pub steps: VecDeque<Step>,
    /// What chooses.
    pub rng: Pcg64,
    /// What `rng` was made of.
    pub seed: u64,
    /// The backend that must be used.
    pub backend: Option<Backend>,
    /// Whether the connection that one sits on may be cut.
    pub force: bool,
    /// Whether the cut is measured before it is told.
    pub verify: bool,
}

/// A cut, in force or not.
#[derive(Debug)]
pub struct Cut {
    wanted: Wanted,
    nft: Nft,
    table: String,
    backend: Backend,
    /// What is tried where that lacks something, in order.
    others: VecDeque<Backend>,
    /// What was tried before and lacked something, and what.
    refused: Vec<(Backend, String)>,
    addresses: Vec<Vec<IpAddr>>,
    /// Beside them, those that are known on one link only.
    link_local: Vec<Vec<IpAddr>>,
    /// Whose could not be looked up, and why.
    link_local_unknown: Map<String, Value>,
    grudge: Grudge,
    places: Vec<Place>,
    guard: Option<Guard>,
    /// For `--verify`: which peers answered before the first cut.
    answered: Answered,
}

/// Where a table stands.
#[derive(Debug)]
struct Place {
    /// The node whose network it is; `None` for ours.
    node: Option<usize>,
    network: Network,
    /// Tells a network from a later one of the same node.
    identity: Option<(u64, u64)>,
    table: Rules,
}

/// What renewing found at one place.
enum Found {
    /// The cut, and it is in force for another lease.
    Renewed,
    /// No table of ours, although the network is the same.
    Gone,
    /// A new network: the cut was put in force anew.
    New,
    /// New addresses of nodes that it drops.
    Addresses,
    /// A node that does not run: nothing can reach it, and its table went with its network.
    Down,
}

impl Cut {
    /// Prepares a cut under the table's name `table`: everything that can be known before it is in force.
    ///
    /// # Errors
    /// What is wrong with shape or nodes; 66 where a node does not run, 69 where no backend can cut it.
    pub fn prepare(wanted: Wanted, nft: Nft, table: String) -> Result<Cut> {
        let names: Vec<Name> = wanted.nodes.iter().map(|node| node.name.clone()).collect();
        let addresses = match &wanted.target {
            // Drawn from a copy: the first window must not differ from what `plan` shows for the same seed.
            Target::Among { shape, primaries } => {
                if primaries.is_none() {
                    shape.draw(&names, &mut wanted.rng.clone())?;
                }
                backend::addresses(&wanted.nodes)?
            }
            Target::Peers(_) => backend::own_addresses(&wanted.nodes)?,
        };
        let task = Task {
            nodes: &wanted.nodes,
            addresses: &addresses,
            peers: matches!(wanted.target, Target::Peers(_)),
            outward: wanted.packets.answer == Answer::Silence
                && wanted.target.is_outward(&wanted.nodes),
        };
        let mut others = backend::choose(wanted.backend, &task)?;
        let backend = others.pop_front().unwrap_or(Backend::Nft);
        let grudge = Grudge::none(&names);
        let (refused, places, guard) = (Vec::new(), Vec::new(), None);
        let answered = Answered::default();
        let link_local = vec![Vec::new(); addresses.len()];
        Ok(Cut {
            wanted,
            nft,
            table,
            backend,
            others,
            refused,
            addresses,
            link_local,
            link_local_unknown: Map::new(),
            grudge,
            places,
            guard,
            answered,
        })
    }

    /// For `--verify` asks the peers, before anything is cut.
    ///
    /// # Errors
    /// As [`verify::ask`].
    pub fn ask_peers(&mut self) -> Result<()> {
        if let (Target::Peers(peers), true) = (&self.wanted.target, self.wanted.verify) {
            self.answered = verify::ask(&self.wanted.nodes, peers, &self.wanted.packets, SILENCE)?;
        }
        Ok(())
    }

    /// Compares what is measured with what is meant.
    fn check(&self) -> Result<()> {
        let Target::Peers(peers) = &self.wanted.target else { return self.measure() };
        let now = verify::ask(&self.wanted.nodes, peers, &self.wanted.packets, SILENCE)?;
        verify::compare(&self.wanted.nodes, peers, &self.answered, &now)
    }

    /// Says where a backend does not match what a network translates.
    fn warn_of_translation(&self) -> Result<()> {
        if !self.backend.is_iptables() {
            return Ok(());
        }
        let translates = self.translates(&self.losses()?)?;
        for (node, _) in self.wanted.nodes.iter().zip(translates).filter(|(_, does)| *does) {
            messages::error(format!(
                "{} does not match addresses that {} translates (NAT); take the backend nft",
                self.backend, node.name
            ));
        }
        Ok(())
    }

    /// Posts a guard. With `kept` it does not watch us but sweeps after that lease.
    ///
    /// # Errors
    /// As [`Guard::start`].
    pub fn post_guard(&mut self, kept: Option<Lease>) -> Result<()> {
        self.guard = Some(Guard::start(&self.table, &self.wanted.nodes, kept)?);
        Ok(())
    }

    /// Sends the guard home.
    pub fn dismiss_guard(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }

    /// What would be run first, for `--dry-run`: a script for each network, headed by whose it is.
    ///
    /// # Errors
    /// As [`Fault::start`], before anything is put in force.
    pub fn script(&mut self, lease: Lease) -> Result<String> {
        self.draw()?;
        self.look_up_link_local();
        let tables = self.tables()?;
        let heading = |node: Option<usize>| match node.map(|i| &self.wanted.nodes[i]) {
            None => "# in this network\n".to_string(),
            Some(node) => format!("# in the network of {} ({})\n", node.name, node.via),
        };
        Ok(tables
            .iter()
            .map(|(node, table)| heading(*node) + table.install(lease).text())
            .collect())
    }

    fn draw(&mut self) -> Result<()> {
        let names = self.grudge.nodes().to_vec();
        if let Some(Step { target, packets }) = self.wanted.steps.pop_front() {
            (self.wanted.target, self.wanted.packets) = (target, packets);
        }
        if let Target::Among { shape, primaries } = &mut self.wanted.target {
            if let Some(primaries) = primaries {
                *shape = shapes::primaries::of(primaries.ask(&names, &self.addresses)?);
            }
            self.grudge = shape.draw(&names, &mut self.wanted.rng)?;
        }
        Ok(())
    }

    /// All addresses that each node sends from.
    fn sources(&self) -> Vec<Vec<IpAddr>> {
        let each = self.addresses.iter().zip(&self.link_local);
        each.map(|(own, link_local)| [own.as_slice(), link_local].concat()).collect()
    }

    fn losses(&self) -> Result<Vec<Loss>> {
        match &self.wanted.target {
            Target::Among { .. } => backend::of_grudge(&self.grudge, &self.wanted.nodes),
            Target::Peers(peers) => Ok(backend::of_peers(peers, &self.wanted.nodes)),
        }
    }

    /// Looks addresses up again: a node may have come back with others. One that is down keeps its last.
    fn look_up(&mut self) {
        let found = backend::look_up(&self.wanted.nodes);
        let detail =
            |error| messages::detail(format!("its last known addresses are used: {error}"));
        let known: Vec<Option<Vec<IpAddr>>> =
            found.into_iter().map(|found| found.map_err(detail).ok()).collect();
        let mut now: Vec<Vec<IpAddr>> = known
            .iter()
            .zip(&self.addresses)
            .map(|(found, last)| found.clone().unwrap_or_else(|| last.clone()))
            .collect();
        if let Target::Among { .. } = self.wanted.target {
            backend::leave_out_shared(&mut now);
        }
        for (last, now) in self.addresses.iter_mut().zip(now) {
            // Of a node that shares all that it has by now the last ones are as good as any.
            if !now.is_empty() || matches!(self.wanted.target, Target::Peers(_)) {
                *last = now;
            }
        }
        self.look_up_link_local();
    }

    /// As [`Cut::look_up`], for the addresses that nodes have on one link only. Peers have none that we could know.
    fn look_up_link_local(&mut self) {
        if let Target::Peers(_) = self.wanted.target {
            return;
        }
        let (nodes, mut unknown) = (&self.wanted.nodes, Map::new());
        let found = link_local::of(nodes, &self.addresses);
        for ((node, last), found) in nodes.iter().zip(&mut self.link_local).zip(found) {
            match found {
                Ok(Some(now)) => *last = now,
                Ok(None) => {}
                Err(error) => {
                    messages::detail(format!("link-local addresses are not known: {error}"));
                    unknown.insert(node.name.to_string(), error.to_string().into());
                }
            }
        }
        self.link_local_unknown = unknown;
        // Of an address that two nodes have nobody can say whose a packet is.
        backend::leave_out_shared(&mut self.link_local);
    }

    fn tables(&self) -> Result<Vec<(Option<usize>, Rules)>> {
        let nodes = &self.wanted.nodes;
        let exempt: Vec<BTreeSet<Exempt>> = match self.backend {
            Backend::NftBridge => vec![BTreeSet::new(); nodes.len()],
            _ if self.wanted.force => vec![BTreeSet::new(); nodes.len()],
            _ => exempt::of(nodes, &self.sources())?,
        };
        let losses = self.losses()?;
        let on_loopback = match &self.wanted.target {
            Target::Among { .. } => true,
            Target::Peers(peers) => peers.on_loopback(),
        };
        let common = Common {
            nodes,
            addresses: &self.addresses,
            link_local: &self.link_local,
            exempt: &exempt,
            ports: &self.ports()?,
            interfaces: &self.interfaces(&losses, on_loopback)?,
            translates: &self.translates(&losses)?,
            packets: &self.wanted.packets,
            name: &self.table,
            spares_loopback: !on_loopback,
        };
        Ok(self.backend.rules(&losses, &common))
    }

    /// The bridge ports that lead to each node, where something is to be dropped at them.
    fn ports(&self) -> Result<Vec<Vec<u32>>> {
        if self.backend != Backend::NftBridge {
            return Ok(Vec::new());
        }
        let bridges = Bridges::here()?;
        let ports = node::at_once(&self.wanted.nodes, |node| bridges.ports_of(node));
        ports.into_iter().collect()
    }

    /// Whether each node's network translates addresses, where it is to be cut off from what is no node.
    fn translates(&self, losses: &[Loss]) -> Result<Vec<bool>> {
        let peers = matches!(self.wanted.target, Target::Peers(_));
        if !peers && !losses.iter().any(Loss::is_outward) {
            return Ok(Vec::new());
        }
        let of = |node: &Node| match node.via {
            Via::Address(_) => Ok(false),
            _ => network_of(Some(node))?.map_or(Ok(false), |network| nat::translates(&network)),
        };
        node::at_once(&self.wanted.nodes, of).into_iter().collect()
    }

    /// Each node's, where something is to be dropped at them.
    fn interfaces(&self, losses: &[Loss], on_loopback: bool) -> Result<Vec<Vec<String>>> {
        let outward = losses.iter().any(Loss::is_outward);
        if !outward || self.wanted.packets.answer == Answer::Reset {
            return Ok(Vec::new());
        }
        let of = |node: &Node| match network_of(Some(node)) {
            _ if matches!(node.via, Via::Address(_)) => Ok(Vec::new()),
            Ok(Some(network)) => interfaces::of(&network, on_loopback),
            Ok(None) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        node::at_once(&self.wanted.nodes, of).into_iter().collect()
    }

    /// Puts all tables in force, each network in a thread of its own; all or, on any error, none.
    fn install(&mut self, lease: Lease) -> Result<()> {
        let tables = self.tables()?;
        let (nft, nodes) = (&self.nft, &self.wanted.nodes);
        let done = all(tables, |(node, table)| {
            let Some(network) = network_of(node.map(|i| &nodes[i]))? else {
                messages::say(format!(
                    "{} does not run; it is cut off when it comes back",
                    name(nodes, node)
                ));
                return Ok(None);
            };
            let table = table.noting(&network).map_err(|error| at(nodes, node, error))?;
            let place = Place { node, identity: identity(&network), network, table };
            let made = put(nft, &place, lease).map_err(|error| at(nodes, node, error));
            Ok(Some((place, made)))
        });
        let mut errors = Vec::new();
        for result in done {
            match result {
                Ok(Some((place, made))) => {
                    // Also where it failed: a program that did not end, or a host that is out of reach by now, may
                    // have put something in force.
                    self.places.push(place);
                    errors.extend(made.err());
                }
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        let left = self.remove_each();
        // What stood in the way of the one mostly stands in the way of the other.
        errors.extend(left.into_iter().filter(|error| !errors.contains(error)).collect::<Vec<_>>());
        Error::all(errors)
    }

    /// Removes all tables, wherever they stand.
    fn remove(&mut self) -> Result<()> {
        Error::all(self.remove_each())
    }

    /// As [`Cut::remove`]; gives all that stood in the way.
    fn remove_each(&mut self) -> Vec<Error> {
        let (nft, nodes) = (&self.nft, &self.wanted.nodes);
        let done = all(std::mem::take(&mut self.places), |place| {
            let (rules, made) = (&place.table, (place.table.kind(), place.table.name()));
            nft.take_away(&place.network, made, &rules.remove())
                .map_err(|refusal| at(nodes, place.node, refusal.into()))
        });
        done.into_iter().filter_map(Result::err).collect()
    }

    /// Removes all tables because of `error`, and gives that with what stood in the way of this.
    fn taken_back(&mut self, error: Error) -> Error {
        match self.remove() {
            Ok(()) => error,
            Err(heal) => Error::Many(vec![error, heal]),
        }
    }

    /// Measures who reaches whom and compares it with the grudge.
    fn measure(&self) -> Result<()> {
        let (nodes, pairs) = (&self.wanted.nodes, self.grudge.pairs().collect::<Vec<_>>());
        let sources = self.sources();
        let (matrix, groups) = std::thread::scope(|scope| {
            let heard = scope.spawn(|| group::heard(nodes, &sources, &pairs, SILENCE));
            let matrix = check::measure(nodes, &self.addresses, &Question::default(), SILENCE);
            let died = |_| Err(Error::system("the thread that measures multicast died"));
            (matrix, heard.join().unwrap_or_else(died))
        });
        let (matrix, groups) = (matrix?, groups?);
        let name = |i: usize| nodes[i].name.as_str();
        let through: Vec<String> = self
            .grudge
            .pairs()
            .filter(|&(src, dst)| matrix.any(src, dst) == Some(true))
            .map(|(src, dst)| format!("{} to {}", name(src), name(dst)))
            .collect();
        if !through.is_empty() {
            return Err(Error::system(format!(
                "the cut is not in force: packets still pass from {}; another way than the known addresses leads there",
                through.join(", ")
            )));
        }
        if let Some((src, dst)) = groups.first() {
            return Err(Error::system(format!(
                "the cut is not in force: multicast or broadcast still passes from {} to {}, and {} pairs in all",
                name(*src),
                name(*dst),
                groups.len()
            )));
        }
        let unknown: Vec<String> =
            matrix.unknown().map(|(src, dst)| format!("{} to {}", name(src), name(dst))).collect();
        if !unknown.is_empty() {
            let unknown = format!(
                "--verify could not measure, where a node is down or not on this host: {}",
                unknown.join(", ")
            );
            messages::error(beginning(&unknown, LONGEST));
        }
        let also: Vec<String> = matrix
            .unreached()
            .filter(|&(src, dst)| !self.grudge.drops(src, dst))
            .map(|(src, dst)| format!("{} to {}", name(src), name(dst)))
            .collect();
        if !also.is_empty() {
            messages::error(format!("more is cut than this cut says: {}", also.join(", ")));
        }
        Ok(())
    }

    /// Who is cut off from whom; a grudge names also those whom it leaves alone.
    fn words(&self) -> String {
        let words = match &self.wanted.target {
            Target::Among { .. } => self.grudge.words(),
            Target::Peers(_) => self.pairs().words(),
        };
        beginning(&words, LONGEST).into()
    }

    fn pairs(&self) -> Pairs {
        let mut pairs = Pairs::default();
        for loss in self.losses().unwrap_or_default() {
            pairs.insert(loss.who());
        }
        pairs
    }

    /// What is said when it is in force: the lines before the start line, and that one's value.
    fn words_of_start(&self) -> (Vec<Value>, Value) {
        let mut value = self.value();
        let length = |name: &str| value.get(name).map_or(0, |what| what.to_string().len());
        if length("grudge") + length("peers") <= ON_LINE {
            return (Vec::new(), value);
        }
        let names =
            || self.wanted.nodes.iter().map(|node| node.name.to_string()).collect::<Vec<_>>();
        let before = match &self.wanted.target {
            Target::Among { .. } => grudge_lines::of_grudge(&self.table, &self.grudge),
            Target::Peers(peers) => grudge_lines::of_peers(&self.table, &names(), peers),
        };
        if let Value::Object(fields) = &mut value {
            fields.remove("grudge");
            fields.remove("peers");
            fields.insert("lines".into(), before.len().into());
        }
        (before, value)
    }

    fn value(&self) -> Value {
        let (shape, grudge, pairs) = match &self.wanted.target {
            Target::Among { shape, .. } => {
                (shape.words(), self.grudge.json(), self.grudge.pairs().count())
            }
            Target::Peers(peers) => {
                let pairs = self.pairs();
                (peers.words(), pairs.json(), pairs.len())
            }
        };
        let mut value = json!({
            "shape": beginning(&shape, LONGEST),
            "cut": self.words(),
            "pairs": pairs,
            "backend": self.backend.to_string(),
            "seed": self.wanted.seed,
            "table": self.table,
            "grudge": grudge,
        });
        if !self.wanted.packets.words().is_empty() {
            value["packets"] = self.wanted.packets.words().into();
        }
        if !self.refused.is_empty() {
            let why =
                |(backend, why): &(Backend, String)| (backend.to_string(), why.as_str().into());
            value["refused"] = Value::Object(self.refused.iter().map(why).collect());
        }
        if !self.link_local_unknown.is_empty() {
            value["link_local_unknown"] = Value::Object(self.link_local_unknown.clone());
        }
        if let Target::Peers(peers) = &self.wanted.target {
            value["peers"] = peers.json();
        }
        value
    }

    /// Renews `table` where it stands, or puts it in force where it does not yet; gives the place back.
    fn renew_place(
        &self,
        place: Option<Place>,
        node: Option<usize>,
        table: Rules,
        lease: Lease,
    ) -> (Option<Place>, Result<Found>) {
        let nodes = &self.wanted.nodes;
        let network = match network_of(node.map(|i| &nodes[i])) {
            Ok(Some(network)) => network,
            Ok(None) => return (None, Ok(Found::Down)),
            Err(error) => return (place, Err(error)),
        };
        let identity = identity(&network);
        let old = place.filter(|place| place.identity == identity);
        let stands = old.as_ref().is_some_and(|place| table.renews(&place.table));
        let table = match stands {
            true => table,
            false => match table.noting(&network) {
                Ok(table) => table,
                Err(error) => return (old, Err(at(nodes, node, error))),
            },
        };
        let script = if stands { table.renew(lease) } else { table.install(lease) };
        let applied = self.nft.run_script(&network, &script);
        let known = stands && old.as_ref().is_some_and(|place| table.drops_as(&place.table));
        match applied {
            Ok(()) => {
                let found = match (known, stands) {
                    (true, _) => Found::Renewed,
                    (false, true) => Found::Addresses,
                    (false, false) => Found::New,
                };
                (Some(Place { node, network, identity, table }), Ok(found))
            }
            Err(Refusal::Gone) if old.is_some() => (old, Ok(Found::Gone)),
            Err(refusal) => (old, Err(at(nodes, node, refusal.into()))),
        }
    }
}

impl Fault for Cut {
    fn kind(&self) -> &'static str {
        "partition"
    }

    fn nodes(&self) -> Vec<Node> {
        self.wanted.nodes.clone()
    }

    fn start(&mut self, lease: Lease) -> Result<Value> {
        self.look_up();
        self.draw()?;
        self.guard.iter_mut().for_each(|guard| guard.busy(lease));
        while let Err(error) = self.install(lease) {
            match self.others.pop_front() {
                Some(other) if error.status() == Status::Missing => {
                    messages::say(format!("{error}; trying the backend {other} instead"));
                    let refused = std::mem::replace(&mut self.backend, other);
                    self.refused.push((refused, error.to_string()));
                }
                _ => return Err(error),
            }
        }
        let checked = if self.wanted.verify { self.check() } else { Ok(()) };
        if let Err(error) = checked.and_then(|()| self.warn_of_translation()) {
            return Err(self.taken_back(error));
        }
        self.guard.iter_mut().for_each(|guard| guard.held(lease));
        let (before, value) = self.words_of_start();
        for line in before {
            if let Err(error) = jsonl::print(&Op::fault(grudge_lines::F, line).line()) {
                return Err(self.taken_back(error));
            }
        }
        Ok(value)
    }

    fn renew(&mut self, lease: Lease) -> Result<Renewal> {
        self.guard.iter_mut().for_each(|guard| guard.busy(lease));
        let renewed = self.renew_all(lease);
        self.guard.iter_mut().for_each(|guard| guard.held(lease));
        renewed
    }

    fn stands(&mut self) -> Result<bool> {
        let nft = &self.nft;
        let held = all(self.places.iter().collect(), |place| {
            Ok(nft.held(&place.network, &place.table)? >= place.table.size())
        });
        Ok(held.into_iter().collect::<Result<Vec<bool>>>()?.into_iter().all(|stands| stands))
    }

    fn heal(&mut self) -> Result<Value> {
        let value = json!({ "cut": self.words(), "table": self.table });
        self.remove()?;
        self.guard.iter_mut().for_each(Guard::healed);
        Ok(value)
    }
}

impl Cut {
    /// Whose network or addresses are others now: the node of a table that was made anew, or those whose addresses a
    /// table was given that stands for several.
    fn changed(&self, node: Option<usize>, before: &[Vec<IpAddr>]) -> Vec<Name> {
        let nodes = &self.wanted.nodes;
        if let Some(node) = node {
            return vec![nodes[node].name.clone()];
        }
        let others = nodes.iter().zip(before.iter().zip(self.sources()));
        let changed: Vec<Name> = others
            .filter(|(_, (before, now))| *before != now)
            .map(|(node, _)| node.name.clone())
            .collect();
        if changed.is_empty() {
            nodes.iter().map(|node| node.name.clone()).collect()
        } else {
            changed
        }
    }

    /// As [`Fault::renew`].
    fn renew_all(&mut self, lease: Lease) -> Result<Renewal> {
        let before = self.sources();
        self.look_up();
        let tables = self.tables()?;
        let mut old = std::mem::take(&mut self.places);
        let work: Vec<_> = tables
            .into_iter()
            .map(|(node, table)| {
                let same = |place: &Place| place.node == node && place.table.kind() == table.kind();
                let at = old.iter().position(same);
                (at.map(|at| old.swap_remove(at)), node, table)
            })
            .collect();
        let this = &*self;
        let found = all(work, |(place, node, table)| {
            let (place, found) = this.renew_place(place, node, table, lease);
            (node, place, found)
        });
        let (mut errors, mut again, mut gone) = (Vec::new(), Vec::new(), false);
        for (node, place, found) in found {
            self.places.extend(place);
            match found {
                Ok(Found::Renewed | Found::Down) => {}
                Ok(Found::New) => again.extend(self.changed(node, &before)),
                Ok(Found::Addresses) => again.extend(self.changed(None, &before)),
                Ok(Found::Gone) => gone = true,
                Err(error) => errors.push(error),
            }
        }
        Error::all(errors)?;
        if gone {
            return Ok(Renewal::Healed);
        }
        again.sort_by_key(|name| self.wanted.nodes.iter().position(|node| node.name == *name));
        again.dedup();
        Ok(if again.is_empty() {
            Renewal::InForce
        } else {
            Renewal::Again(json!({ "nodes": again.iter().map(Name::as_str).collect::<Vec<_>>() }))
        })
    }
}

/// The network of a node, or ours; `None` where the node does not run.
fn network_of(node: Option<&Node>) -> Result<Option<Network>> {
    match node.map(Network::of) {
        None => Ok(Some(Network::Here)),
        Some(Ok(network)) => Ok(Some(network)),
        Some(Err(error)) if error.status() == Status::NoInput => Ok(None),
        Some(Err(error)) => Err(error),
    }
}

/// Puts a table in force.
fn put(nft: &Nft, place: &Place, lease: Lease) -> Result<()> {
    let Place { network, table, .. } = place;
    nft.run_script(network, &table.install(lease)).map_err(|refusal| table.why(refusal))?;
    read_back(nft, place)
}

/// Reads the table back from the kernel: what was said is not always what was done.
fn read_back(nft: &Nft, place: &Place) -> Result<()> {
    let (found, wanted) = (nft.held(&place.network, &place.table)?, place.table.size());
    if found == wanted {
        return Ok(());
    }
    Err(Error::system(format!(
        "the kernel holds {found} of {wanted} elements of the table {}, with rules about them; does another program flush it, or were we stopped past the lease?",
        place.table.name()
    )))
}

fn identity(network: &Network) -> Option<(u64, u64)> {
    let of = |namespace: &OwnedFd| fstat(namespace).ok().map(|stat| (stat.st_dev, stat.st_ino));
    match network {
        Network::Namespace(namespace) => of(namespace),
        Network::Here | Network::Ssh(_) => Some((0, 0)),
    }
}

/// How many characters of a text that names nodes a line has.
const LONGEST: usize = 600;

fn name(nodes: &[Node], node: Option<usize>) -> String {
    node.map_or("the bridge".into(), |i| nodes[i].name.to_string())
}

fn at(nodes: &[Node], node: Option<usize>, error: Error) -> Error {
    match node {
        Some(i) => error.at(format!("node {}", nodes[i].name)),
        None => error,
    }
}
