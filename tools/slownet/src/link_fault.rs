//! One link: parts put in force on nodes, renewed, and taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use breakit::exit::{Error, Result, Status};
use breakit::lease::Lease;
use breakit::messages;
use breakit::nat;
use breakit::node::{self, Host, Node, Via};
use breakit::reach::{Identity, Network};
use serde_json::{Value, json};

use crate::advice;
use crate::agent::Agents;
use crate::backend::{Backend, Choices};
use crate::classify::{Order, Target};
use crate::fault_id::FaultId;
use crate::ingress;
use crate::interface::{self, Interface};
use crate::line::{Place, order};
use crate::lines::Lines;
use crate::link::Link;
use crate::netns_lock::Turn;
use crate::networks::Networks;
use crate::overlap;
use crate::qdisc::{self, Tree, WithRoot};
use crate::ssh_exempt;
use crate::step::Step;
use crate::sweep;
use crate::traffic::{Traffic, Way};
use breakit::net::Net;

/// What a link is struck with.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Strike even what an sshd sends.
    pub force: bool,
    /// Where chance comes from.
    pub seed: u64,
    /// Which of the links this is: none draws what another draws.
    pub number: usize,
}

/// A bad network on some nodes.
pub struct Slow {
    id: FaultId,
    /// The links of this run: they are known not to meet.
    ids: Arc<[FaultId]>,
    link: Link,
    draw: Draw,
    backends: BTreeMap<String, Backend>,
    /// What it has at each node where it was put in force.
    there: Mutex<BTreeMap<String, There>>,
    lines: Mutex<BTreeMap<String, Lines>>,
    /// Copies of this program on other hosts, if there may be some.
    agents: Option<Arc<Agents>>,
}

/// What puts the fault in force on one node: the queues, and then what feeds them, so that it begins at one
/// instant and its lease counts from there.
struct Steps {
    /// The interfaces that struck packets leave by.
    leaving: Vec<String>,
    /// The interfaces that get its queues.
    queued: Vec<String>,
    /// All interfaces by which its packets leave or come in.
    interfaces: Vec<u32>,
    /// The addresses of the node's interfaces.
    addresses: BTreeSet<(u32, String)>,
    queues: Vec<Step>,
    feed: Vec<Step>,
}

/// What a fault has at a node.
#[derive(Clone, Debug)]
struct There {
    /// The node's network at that time.
    network: Option<Identity>,
    /// The interfaces that have its queues.
    queued: Vec<String>,
    /// All interfaces by which its packets leave or come in.
    interfaces: Vec<u32>,
    /// The addresses of the node's interfaces at that time.
    addresses: BTreeSet<(u32, String)>,
}

/// What a renewal found on all nodes.
#[derive(Debug)]
pub struct Renewed {
    /// The nodes where it was put in force again: they came back with a new network.
    pub again: Vec<String>,
    /// Whether somebody cleared it everywhere.
    pub cleared: bool,
}

/// Which of a node's queues are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    All,
    Some,
    None,
}

/// What a renewal found on one node.
enum Found {
    InForce,
    Again,
    Cleared,
    Down,
}

impl Slow {
    /// The fault, with a backend found for every node. Nothing is in force yet.
    ///
    /// # Errors
    /// As [`Networks::add`], [`Choices::choose`] and [`Network::of`].
    pub fn plan(
        link: Link,
        ids: Arc<[FaultId]>,
        draw: Draw,
        agents: Option<Arc<Agents>>,
        choices: &mut Choices,
        networks: &mut Networks,
    ) -> Result<Slow> {
        let mut backends: BTreeMap<String, Backend> = BTreeMap::new();
        for node in &link.nodes {
            let at = |error: Error| error.at(format!("node {}", node.name));
            let network = Network::of(node).map_err(at)?;
            networks.add(node, &network)?;
            let chosen = choices.choose(&link.parts, &link.traffic, &network);
            backends.insert(node.name.to_string(), chosen.map_err(at)?);
        }
        Ok(Slow {
            id: ids.get(draw.number).copied().unwrap_or_else(FaultId::draw),
            ids,
            link,
            draw,
            backends,
            there: Mutex::default(),
            lines: Mutex::default(),
            agents,
        })
    }

    /// Its number.
    pub fn id(&self) -> FaultId {
        self.id
    }

    /// What is struck, and with what.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whose packets.
    pub fn nodes(&self) -> &[Node] {
        &self.link.nodes
    }

    /// Whether a process of ours carries packets: such a fault cannot outlive us.
    pub fn needs_its_holder(&self) -> bool {
        self.backends.values().any(|backend| backend.target() == Target::Line)
    }

    /// Finds out on other hosts whether lines work there, with a copy of this program on each.
    ///
    /// # Errors
    /// As [`Agents::try_out`].
    pub fn try_lines(&self) -> Result<()> {
        let ways = self.link.traffic.direction.ways();
        let (tap, queue) = (ways.contains(&Way::Out), ways.contains(&Way::In));
        let tried = node::at_once(&self.link.nodes, |node| match self.host_of_line(node) {
            Some((host, agents)) => agents.try_out(host, tap, queue),
            None => Ok(()),
        });
        Error::all(tried.into_iter().filter_map(Result::err).collect())
    }

    /// The other host on which the node's lines are, and what copies this program there.
    fn host_of_line<'a>(&'a self, node: &'a Node) -> Option<(&'a Host, &'a Agents)> {
        let is_line = self.backend(node).is_ok_and(|backend| backend.target() == Target::Line);
        match (&node.via, &self.agents) {
            (Via::Ssh(host), Some(agents)) if is_line => Some((host, agents)),
            _ => None,
        }
    }

    /// What would be done, a line for each node.
    ///
    /// # Errors
    /// As [`Fault::start`].
    pub fn rehearse(&self, lease: Lease) -> Result<Vec<Value>> {
        overlap::refuse_at_other_ends(&self.ids, &self.link)?;
        let plans = node::at_once(&self.link.nodes, |node| {
            let network = Network::of(node)?;
            overlap::refuse(&network, &self.ids, &self.link, node)?;
            let Steps { queues, feed, .. } = self.steps(node, &network, lease)?;
            let backend = self.backend(node)?;
            let (backend, limit) = (backend.word(), backend.limit(&self.link.parts));
            let mut line =
                json!({ "node": node.name.as_str(), "backend": backend, "limit": limit });
            let mut run = Vec::new();
            if let Some((_, agents)) = self.host_of_line(node) {
                line["agent"] = true.into();
                run.push(agents.show()?);
            }
            run.extend(queues.iter().chain(&feed).map(Step::show));
            line["run"] = run.into();
            Ok(line)
        });
        plans.into_iter().collect()
    }

    fn backend(&self, node: &Node) -> Result<&Backend> {
        self.backends
            .get(node.name.as_str())
            .ok_or_else(|| Error::system(format!("no backend was chosen for node {}", node.name)))
    }

    fn steps(&self, node: &Node, network: &Network, lease: Lease) -> Result<Steps> {
        // First: what changes meanwhile is seen by the next renewal.
        let addresses = interface::addresses_up(network)?;
        let translated = self.is_translated(network)?;
        let interfaces = self.interfaces(network, translated)?;
        let (seat, enter) = (self.seat(network), advice::enter(node));
        let (backend, traffic) = (self.backend(node)?, &self.link.traffic);
        let share = backend.share(&self.link.parts);
        let order = Order {
            id: self.id,
            target: backend.target(),
            traffic,
            share,
            translated,
            enter: &enter,
            interfaces: &interfaces,
            seat: &seat,
            lease,
        };
        let feed = backend.feeder().start(order, network)?;
        let arrivals = self.arrivals(backend, network)?;
        let leaving = order.traffic.direction.ways().contains(&Way::Out);
        let leaving: Vec<String> =
            interfaces.iter().filter(|_| leaving).map(|at| at.name.clone()).collect();
        let mut trees = qdisc::trees(network)?;
        if backend.kind().is_some() {
            qdisc::look_at_roots(network, &mut trees, &leaving)?;
        }
        let queues = backend.queues(order, &arrivals, &self.link.parts, &trees)?;
        let mut queued = leaving.clone();
        queued.extend((!arrivals.is_empty()).then(|| ingress::DEVICE.to_string()));
        let interfaces = interfaces.iter().chain(&arrivals).map(|at| at.index).collect();
        Ok(Steps { leaving, queued, interfaces, addresses, queues, feed })
    }

    /// Whether the network may give packets other addresses or ports than those that the traffic names.
    fn is_translated(&self, network: &Network) -> Result<bool> {
        let traffic = &self.link.traffic;
        let names = !traffic.named().is_empty()
            || !traffic.ports.is_empty()
            || !traffic.except.is_nothing();
        Ok(names && nat::translates(network)?)
    }

    /// The interfaces that packets of the link leave by. What is translated takes the route of another address.
    fn interfaces(&self, network: &Network, translated: bool) -> Result<Vec<Interface>> {
        let traffic = &self.link.traffic;
        let mut found = interface::find(network, traffic, &self.link.named)?;
        if translated && traffic.interfaces.is_empty() {
            // Where there are no others the packets go by those of the route, or not at all.
            let all = interface::find(network, &Traffic::default(), &self.link.named);
            found.extend(all.unwrap_or_default());
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.dedup();
        }
        Ok(found)
    }

    /// The interfaces whose arrivals go into a class: all, for routes back need not be routes there.
    fn arrivals(&self, backend: &Backend, network: &Network) -> Result<Vec<Interface>> {
        let arriving = self.link.traffic.direction.ways().contains(&Way::In);
        match backend.target() {
            Target::Class if arriving => {
                interface::find(network, &Traffic::default(), &self.link.named)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn seat(&self, network: &Network) -> Vec<u16> {
        if self.draw.force { Vec::new() } else { ssh_exempt::ports(network) }
    }

    fn strike(&self, node: &Node, lease: Lease) -> Result<()> {
        let network = Network::of(node)?;
        // Until all is in force: whoever comes next must see whose packets are taken.
        let _turn = Turn::wait(&network)?;
        overlap::refuse(&network, &self.ids, &self.link, node)?;
        let steps = self.steps(node, &network, lease)?;
        let run = |step: &Step| {
            messages::detail(format!("{}: {}", node.name, step.show()));
            step.run(&network).map(drop)
        };
        steps.queues.iter().try_for_each(run)?;
        self.verify_queues(node, &network, &steps.queued)?;
        self.open_lines(node, &steps.leaving, lease)?;
        steps.feed.iter().try_for_each(run)?;
        self.verify_fed(node, &network)?;
        // On hosts that take long to reach its lease may have ended meanwhile, or counts from now on.
        if self.line_is_dead(node, &network, lease) {
            return Err(Error::system(
                "the delay line ended before packets were sent to it; take a longer --lease",
            ));
        }
        let Steps { queued, interfaces, addresses, .. } = steps;
        let now = There { network: network.identity(), queued, interfaces, addresses };
        if let Ok(mut there) = self.there.lock() {
            there.insert(node.name.to_string(), now);
        }
        Ok(())
    }

    /// Opens the node's delay lines, where its backend is one; those of an earlier network end.
    fn open_lines(&self, node: &Node, leaving: &[String], lease: Lease) -> Result<()> {
        if self.backend(node)?.target() != Target::Line {
            return Ok(());
        }
        // One that is left of an earlier try has what the new one needs.
        let before = self.lines.lock().ok().and_then(|mut l| l.remove(node.name.as_str()));
        drop(before);
        let place = |way: &Way| match way {
            Way::Out => (Place::Leaving(leaving.to_vec()), self.purpose(node, *way)),
            Way::In => (Place::Arriving, self.purpose(node, *way)),
        };
        let order = order::Order {
            id: self.id,
            parts: &self.link.parts,
            seed: self.draw.seed,
            places: self.link.traffic.direction.ways().iter().map(place).collect(),
            lease,
        };
        let opened = Lines::open(node, self.agents.as_deref(), &order)?;
        if let Ok(mut lines) = self.lines.lock() {
            lines.insert(node.name.to_string(), opened);
        }
        Ok(())
    }

    /// What chance is drawn for.
    fn purpose(&self, node: &Node, way: Way) -> String {
        let name = match way {
            Way::Out => node.name.to_string(),
            Way::In => format!("to {}", node.name),
        };
        match self.draw.number {
            0 => name,
            number => format!("{name}, link {number}"),
        }
    }

    /// Whether the node has a delay line that is not at work any more; all others go on for another lease.
    fn line_is_dead(&self, node: &Node, network: &Network, lease: Lease) -> bool {
        // Only while it is asked they are no other's: a host far away keeps nobody else waiting.
        let lines = self.lines.lock().ok().and_then(|mut l| l.remove(node.name.as_str()));
        let Some(lines) = lines else { return false };
        let work = lines.work(network, lease);
        if let Ok(mut all) = self.lines.lock() {
            all.insert(node.name.to_string(), lines);
        }
        !work
    }

    /// Reads back from the kernel that every queue is there.
    fn verify_queues(&self, node: &Node, network: &Network, interfaces: &[String]) -> Result<()> {
        let Some(kind) = self.backend(node)?.kind() else { return Ok(()) };
        let trees = qdisc::trees(network)?;
        for interface in interfaces {
            let here = trees.iter().filter(|tree| tree.interface == *interface);
            let mut leaves = here.flat_map(|tree| &tree.leaves);
            if !leaves.any(|leaf| leaf.id == self.id && leaf.kind == kind) {
                return Err(Error::system(format!(
                    "the kernel took the commands, but {interface} has no queue {kind}; another program changes queues there"
                )));
            }
        }
        Ok(())
    }

    /// Reads back from the kernel that the queues are fed.
    fn verify_fed(&self, node: &Node, network: &Network) -> Result<()> {
        match self.is_fed(node, network)? {
            true => Ok(()),
            false => Err(Error::system(
                "the kernel took the commands, but the set that sends packets into the fault is not there; another program changes the firewall there",
            )),
        }
    }

    fn there(&self, node: &Node) -> Option<There> {
        self.there.lock().ok()?.get(node.name.as_str()).cloned()
    }

    /// Whether packets of the link go by an interface of the node that was not there when it was struck. That is asked
    /// only if the node has new addresses.
    fn has_new_interfaces(&self, node: &Node, network: &Network) -> Result<bool> {
        let Some(before) = self.there(node) else { return Ok(false) };
        let addresses = interface::addresses_up(network)?;
        if addresses.is_subset(&before.addresses) {
            return Ok(false);
        }
        let translated = self.is_translated(network)?;
        let arrivals = self.arrivals(self.backend(node)?, network);
        // Where it finds no interface there is none that is new.
        let now = [self.interfaces(network, translated), arrivals].into_iter().flatten().flatten();
        let is_new = now.map(|at| at.index).any(|index| !before.interfaces.contains(&index));
        if let Ok(mut there) = self.there.lock()
            && let Some(there) = there.get_mut(node.name.as_str()).filter(|_| !is_new)
        {
            there.addresses.extend(addresses);
        }
        Ok(is_new)
    }

    fn renew_at(&self, node: &Node, lease: Lease) -> Result<Found> {
        let network = match Network::of(node) {
            Ok(network) => network,
            // A node that does not run has no network to make slow.
            Err(error) if error.status() == Status::NoInput => return Ok(Found::Down),
            Err(error) => return Err(error),
        };
        let is_another =
            !self.is_struck(node, &network) || self.line_is_dead(node, &network, lease);
        if is_another || self.has_new_interfaces(node, &network)? && self.is_fed(node, &network)? {
            return self.strike(node, lease).map(|()| Found::Again);
        }
        match self.queues_left(node, &network)? {
            Left::All => {}
            Left::Some => return self.strike(node, lease).map(|()| Found::Again),
            Left::None => return Ok(Found::Cleared),
        }
        let renewed = self
            .backend(node)?
            .feeder()
            .renew(self.id, &self.link.traffic, lease)
            .iter()
            .try_for_each(|step| step.run(&network).map(drop));
        match renewed {
            // Somebody may have taken the table away, or flushed it beside its sets.
            _ if !self.is_fed(node, &network)? => Ok(Found::Cleared),
            Ok(()) => Ok(Found::InForce),
            Err(error) => Err(error),
        }
    }

    /// Whether it strikes any of its nodes still, or will again: one that is down, or came back with a new network.
    ///
    /// # Errors
    /// All that stood in the way.
    pub fn stands(&self) -> Result<bool> {
        let stands = node::at_once(&self.link.nodes, |node| match Network::of(node) {
            Ok(network) => Ok(!self.is_struck(node, &network)
                || self.is_fed(node, &network)?
                    && (self.queues_left(node, &network)? != Left::None
                        || self.has_new_interfaces(node, &network)?)),
            Err(error) if error.status() == Status::NoInput => Ok(true),
            Err(error) => Err(error),
        });
        Ok(stands.into_iter().collect::<Result<Vec<bool>>>()?.into_iter().any(|stands| stands))
    }

    /// Which of the queues that the fault has at `node` are left. What went with its interface is not missed.
    fn queues_left(&self, node: &Node, network: &Network) -> Result<Left> {
        let Some(There { queued, interfaces, .. }) = self.there(node) else {
            return Ok(Left::All);
        };
        if queued.is_empty() || self.backend(node)?.kind().is_none() {
            return Ok(Left::All);
        }
        let trees = qdisc::trees(network)?;
        // One of the same name that was made anew never had one.
        let is_same = |tree: &&Tree| {
            tree.interface == ingress::DEVICE
                || tree.index.is_none_or(|at| interfaces.contains(&at))
        };
        let there = trees.iter().filter(|tree| queued.contains(&tree.interface)).filter(is_same);
        let (with, without): (Vec<&Tree>, Vec<&Tree>) =
            there.partition(|tree| tree.leaves.iter().any(|leaf| leaf.id == self.id));
        Ok(match (with.is_empty(), without.is_empty()) {
            (_, true) => Left::All,
            (false, false) => Left::Some,
            (true, false) => Left::None,
        })
    }

    /// Whether this network of the node is the one where it was put in force.
    fn is_struck(&self, node: &Node, network: &Network) -> bool {
        self.there(node).is_some_and(|there| there.network == network.identity())
    }

    fn is_fed(&self, node: &Node, network: &Network) -> Result<bool> {
        let backend = self.backend(node)?;
        backend.feeder().feeds(network, self.id, backend.target(), &self.link.traffic)
    }

    /// Ends the delay lines. First nothing more is sent to them; then they let out what they hold; and only
    /// then the chains go, for with a hook the kernel drops all that is queued in its network.
    fn end_lines(&self) {
        if let Ok(mut lines) = self.lines.lock() {
            if lines.is_empty() {
                return;
            }
            // What could not be starved is swept all the same, and says then what stood in the way.
            drop(node::at_once(&self.link.nodes, |node| self.starve(node)));
            let ended: Vec<Lines> = std::mem::take(&mut *lines).into_values().collect();
            std::thread::scope(|scope| {
                for lines in ended {
                    scope.spawn(|| drop(lines));
                }
            });
        }
    }

    fn starve(&self, node: &Node) -> Result<()> {
        let network = Network::of(node)?;
        for step in self.backend(node)?.feeder().starve(self.id) {
            step.output(&network)?;
        }
        Ok(())
    }

    /// Takes it off all nodes.
    ///
    /// # Errors
    /// All that stood in the way, after everything was tried.
    pub fn clear(&self, root: WithRoot) -> Result<()> {
        self.end_lines();
        let swept = node::at_once(&self.link.nodes, |node| match Network::of(node) {
            Ok(network) => sweep::sweep(&network, |id| id == self.id, root).map(drop),
            Err(error) if error.status() == Status::NoInput => Ok(()),
            Err(error) => Err(error),
        });
        Error::all(swept.into_iter().filter_map(Result::err).collect())
    }

    /// The fields of a line: whom it strikes, how, with what.
    pub fn value(&self) -> Value {
        let mut value = json!({ "id": self.id.to_string(), "nodes": self.names() });
        let mut kinds: Vec<&Backend> = self.backends.values().collect();
        kinds.dedup();
        match kinds[..] {
            [backend] => join(&mut value, backend.json()),
            _ => {
                let each = self.backends.iter().map(|(n, b)| (n.clone(), b.word().into()));
                value["backend"] = Value::Object(each.collect());
            }
        }
        join(&mut value, self.link.traffic.json());
        if !self.link.named.is_empty() {
            let words = |blocks: &Vec<Net>| blocks.iter().map(Net::to_string).collect();
            let named = self.link.named.iter().map(|(name, blocks)| (name.clone(), words(blocks)));
            value["to_nodes"] = Value::Object(named.collect());
        }
        value["parts"] = self.link.parts.json();
        if self.link.nodes.iter().any(|node| self.host_of_line(node).is_some()) {
            value["agent"] = true.into();
        }
        if self.needs_its_holder() {
            value["seed"] = self.draw.seed.into();
        }
        value
    }

    /// The names of its nodes.
    pub fn names(&self) -> Vec<&str> {
        self.link.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// Puts it in force on all nodes; where that fails on one, on others it is in force.
    ///
    /// # Errors
    /// All that stood in the way.
    pub fn start(&self, lease: Lease) -> Result<()> {
        overlap::refuse_at_other_ends(&self.ids, &self.link)?;
        let struck = node::at_once(&self.link.nodes, |node| self.strike(node, lease));
        Error::all(struck.into_iter().filter_map(Result::err).collect())
    }

    /// Extends it for another lease.
    ///
    /// # Errors
    /// All that stood in the way.
    pub fn renew(&self, lease: Lease) -> Result<Renewed> {
        let found = node::at_once(&self.link.nodes, |node| self.renew_at(node, lease));
        let (mut again, mut cleared, mut errors) = (Vec::new(), 0, Vec::new());
        for (node, found) in self.link.nodes.iter().zip(found) {
            match found {
                Ok(Found::InForce) => {}
                Ok(Found::Down) => messages::detail(format!("node {} is down", node.name)),
                Ok(Found::Again) => again.push(node.name.to_string()),
                Ok(Found::Cleared) => cleared += 1,
                Err(error) => errors.push(error),
            }
        }
        Error::all(errors)?;
        Ok(Renewed { again, cleared: cleared > 0 && cleared == self.link.nodes.len() })
    }
}

fn join(value: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (value, more) {
        fields.extend(more);
    }
}
