//! The ways to make a network slow, and which of them a node can go.

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::classify::{Feeder, Order, Target};
use crate::impairments::Parts;
use crate::impairments::tc::Unable;
use crate::ingress;
use crate::interface::Interface;
use crate::netem;
use crate::probe::{Kernel, Need};
use crate::qdisc::{self, Queue, Tree};
use crate::quantity::Percent;
use crate::step::Step;
use crate::traffic::{Direction, Traffic, Way};
use crate::translation;

const HTB_LIMITS: &str = "the backend htb limits the rate and does nothing else; leave the other parts out or take --backend netem";

const BY_ALL: &str = "netem and htb strike what comes in by whatever interface; leave --interface out or take --backend nfqueue";

const TRANSLATED: &str = "the node translates (NAT) an address of --to, and netem and htb see what comes in before that; name the address behind it, or take --backend nfqueue";

/// What `--backend` may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// The first that works and supports all the impairments
    Auto,
    /// The kernel's network emulator: all impairments
    Netem,
    /// A class of htb: a rate and nothing else
    Htb,
    /// A queue that drops packets: random loss and nothing else
    Blackhole,
    /// slownet's own delay line: all impairments, on this host's nodes, and with --agent on hosts over ssh
    Nfqueue,
}

/// A way to make a network slow, with all that it needs found working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// netem behind a class that a timed set feeds.
    Netem(Feeder),
    /// A slow class of htb that a timed set feeds.
    Htb(Feeder),
    /// A queue that swallows packets, into which a timed set sends some at random.
    ///
    /// Not a `drop` of nftables: that one the sender sees (TCP sends again at once, sockets with
    /// IP_RECVERR get ENOBUFS), so it would be no loss.
    Blackhole(Feeder),
    /// A delay line of ours, to which a timed set sends packets.
    Nfqueue(Feeder),
}

/// All that a choice depends on, beside the kernel of a host.
#[derive(Clone, Debug, PartialEq)]
struct Question {
    netem_cannot: Option<Unable>,
    rate_alone: bool,
    loss_alone: bool,
    line_cannot: Option<&'static str>,
    direction: Direction,
    by_name: bool,
    unseen: Option<&'static str>,
    host: Option<String>,
}

/// The choices made so far: what works is tried once, however many links there are.
#[derive(Debug)]
pub struct Choices {
    wanted: Wanted,
    /// Whether copies of this program may work on other hosts.
    agent: bool,
    made: Vec<(Question, Backend)>,
}

impl Choices {
    /// None yet.
    pub fn of(wanted: Wanted, agent: bool) -> Choices {
        Choices { wanted, agent, made: Vec::new() }
    }

    /// The backend for `parts` on the kernel under `network`.
    ///
    /// # Errors
    /// 64 where the wanted one cannot do the parts; 69 where nothing here can, with what is missing and
    /// what to do; 77 where nothing may be tried.
    pub fn choose(
        &mut self,
        parts: &Parts,
        traffic: &Traffic,
        network: &Network,
    ) -> Result<Backend> {
        let host = match network {
            Network::Ssh(host) => Some(host.to_string()),
            Network::Here | Network::Namespace(_) => None,
        };
        let question = Question {
            netem_cannot: netem::all(parts).err(),
            rate_alone: parts.only_rate().is_some(),
            loss_alone: parts.only_loss().is_some(),
            line_cannot: parts.line_cannot(traffic.direction),
            direction: traffic.direction,
            by_name: !traffic.interfaces.is_empty(),
            unseen: unseen(traffic, network)?,
            host,
        };
        let unseen = question.unseen;
        if let Some((_, backend)) = self.made.iter().find(|(asked, _)| *asked == question) {
            return Ok(backend.clone());
        }
        let kernel = Kernel::of(network).with_agent(self.agent);
        let backend = Backend::choose(self.wanted, parts, traffic, kernel, unseen)?;
        self.made.push((question, backend.clone()));
        Ok(backend)
    }
}

impl Backend {
    fn choose(
        wanted: Wanted,
        parts: &Parts,
        traffic: &Traffic,
        kernel: Kernel<'_>,
        unseen: Option<&'static str>,
    ) -> Result<Backend> {
        let direction = traffic.direction;
        if direction != Direction::Out {
            return Backend::incoming(wanted, parts, traffic, kernel, unseen);
        }
        match wanted {
            Wanted::Netem => {
                netem::all(parts).map_err(refused)?;
                Backend::netem(kernel)?.map_err(Error::missing)
            }
            Wanted::Htb => {
                parts.only_rate().ok_or_else(|| Error::usage(HTB_LIMITS))?;
                Backend::htb(kernel)?.map_err(Error::missing)
            }
            Wanted::Blackhole => {
                parts.only_loss().ok_or_else(|| {
                    Error::usage("the backend blackhole loses packets at random, without correlation, and does nothing else; leave the other parts out or take --backend netem")
                })?;
                Backend::blackhole(kernel)?.map_err(Error::missing)
            }
            Wanted::Nfqueue => Backend::wanted_line(kernel, parts, direction),
            Wanted::Auto => Backend::first(kernel, parts),
        }
    }

    /// What comes in passes no queueing discipline: it is sent round by a device that has one (see
    /// [`crate::ingress`]), or held by a delay line.
    fn incoming(
        wanted: Wanted,
        parts: &Parts,
        traffic: &Traffic,
        kernel: Kernel<'_>,
        unseen: Option<&'static str>,
    ) -> Result<Backend> {
        let direction = traffic.direction;
        let by_all = traffic.interfaces.is_empty();
        let limits = parts.only_rate().is_some() && by_all && unseen.is_none();
        match wanted {
            Wanted::Netem | Wanted::Htb if !by_all => Err(Error::usage(BY_ALL)),
            Wanted::Netem | Wanted::Htb if unseen.is_some() => {
                Err(Error::missing(unseen.unwrap_or_default()))
            }
            Wanted::Netem => {
                netem::all(parts).map_err(refused)?;
                Backend::arriving(kernel, Need::Netem)?.map_err(Error::missing)
            }
            Wanted::Htb if limits => Backend::arriving(kernel, Need::Htb)?.map_err(Error::missing),
            Wanted::Htb => Err(Error::usage(HTB_LIMITS)),
            Wanted::Blackhole => Err(Error::usage(
                "the backend blackhole strikes only what a node sends; leave --backend out, or --direction, and name the senders with -n",
            )),
            Wanted::Nfqueue => Backend::wanted_line(kernel, parts, direction),
            Wanted::Auto => {
                let netem = match netem::all(parts) {
                    _ if !by_all => Err(BY_ALL.into()),
                    Ok(_) if unseen.is_some() => Err(unseen.unwrap_or_default().into()),
                    Ok(_) => Backend::arriving(kernel, Need::Netem)?,
                    Err(unable) => Err(unable.why.into()),
                };
                let mut reasons = match netem {
                    Ok(backend) => return Ok(backend),
                    Err(why) => vec![why],
                };
                if limits {
                    match Backend::arriving(kernel, Need::Htb)? {
                        Ok(backend) => return Ok(backend),
                        Err(why) => reasons.push(why),
                    }
                }
                Backend::line(kernel, parts, direction)?
                    .map_err(|why| Error::missing(reasons.join("; ") + "; " + &why))
            }
        }
    }

    /// netem or htb for what comes in.
    fn arriving(kernel: Kernel<'_>, need: Need) -> Result<std::result::Result<Backend, String>> {
        let below = if need == Need::Htb { Need::Tbf } else { Need::Htb };
        for need in [need, below, Need::Arrival] {
            if let Err(why) = kernel.meets(need)? {
                return Ok(Err(format!("{} does not work here: {why}", need.word())));
            }
        }
        let feeder = kernel.ipset(Target::Class)?.map(Feeder::Ipset);
        Ok(feeder.map(|feeder| match need {
            Need::Netem => Backend::Netem(feeder),
            _ => Backend::Htb(feeder),
        }))
    }

    fn first(kernel: Kernel<'_>, parts: &Parts) -> Result<Backend> {
        let netem = match netem::all(parts) {
            Ok(_) => Backend::netem(kernel)?,
            Err(unable) => Err(unable.why.into()),
        };
        let mut reasons = match netem {
            Ok(backend) => return Ok(backend),
            Err(why) => vec![why],
        };
        if parts.only_rate().is_some() {
            match Backend::htb(kernel)? {
                Ok(backend) => return Ok(backend),
                Err(why) => reasons.push(why),
            }
        } else if parts.only_loss().is_some() {
            match Backend::blackhole(kernel)? {
                Ok(backend) => return Ok(backend),
                Err(why) => reasons.push(why),
            }
        }
        match Backend::line(kernel, parts, Direction::Out)? {
            Ok(backend) => return Ok(backend),
            Err(why) => reasons.push(why),
        }
        Err(Error::missing(reasons.join("; ")))
    }

    fn netem(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        if let Err(why) = kernel.meets(Need::Netem)? {
            return Ok(Err(format!("netem does not work here: {why}")));
        }
        if let Err(why) = kernel.meets(Need::Htb)? {
            return Ok(Err(format!("netem needs htb beside it, which does not work here: {why}")));
        }
        Ok(kernel.feeder(Target::Class)?.map(Backend::Netem))
    }

    fn htb(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        for need in [Need::Htb, Need::Tbf] {
            if let Err(why) = kernel.meets(need)? {
                return Ok(Err(format!("{} does not work here: {why}", need.word())));
            }
        }
        Ok(kernel.feeder(Target::Class)?.map(Backend::Htb))
    }

    fn blackhole(kernel: Kernel<'_>) -> Result<std::result::Result<Backend, String>> {
        for need in [Need::Htb, Need::Blackhole] {
            if let Err(why) = kernel.meets(need)? {
                return Ok(Err(format!("{} does not work here: {why}", need.word())));
            }
        }
        Ok(kernel.feeder(Target::Class)?.map(Backend::Blackhole))
    }

    fn wanted_line(kernel: Kernel<'_>, parts: &Parts, direction: Direction) -> Result<Backend> {
        if let Some(why) = parts.line_cannot(direction) {
            return Err(Error::usage(why));
        }
        Backend::line(kernel, parts, direction)?.map_err(Error::missing)
    }

    fn line(
        kernel: Kernel<'_>,
        parts: &Parts,
        direction: Direction,
    ) -> Result<std::result::Result<Backend, String>> {
        if let Some(why) = parts.line_cannot(direction) {
            return Ok(Err(why.into()));
        }
        for way in direction.ways() {
            let met = match way {
                Way::Out => kernel.tap()?,
                Way::In => kernel.queue()?,
            };
            if let Err(why) = met {
                return Ok(Err(format!("nfqueue does not work here: {why}")));
            }
        }
        let target = if direction == Direction::Out { Target::Class } else { Target::Line };
        Ok(kernel.feeder(target)?.map(Backend::Nfqueue))
    }

    /// The word on lines and for `--backend`.
    pub fn word(&self) -> &'static str {
        match self {
            Backend::Netem(_) => "netem",
            Backend::Htb(_) => "htb",
            Backend::Blackhole(_) => "blackhole",
            Backend::Nfqueue(_) => "nfqueue",
        }
    }

    /// What sends packets into its queue.
    pub fn feeder(&self) -> &Feeder {
        match self {
            Backend::Netem(feeder)
            | Backend::Htb(feeder)
            | Backend::Blackhole(feeder)
            | Backend::Nfqueue(feeder) => feeder,
        }
    }

    /// Where its packets go.
    pub fn target(&self) -> Target {
        match self {
            Backend::Netem(_) | Backend::Htb(_) | Backend::Blackhole(_) => Target::Class,
            Backend::Nfqueue(_) => Target::Line,
        }
    }

    /// The fields of a line: which, and what feeds it.
    pub fn json(&self) -> Value {
        json!({ "backend": self.word(), "feeder": self.feeder().word() })
    }

    /// The class and the queue below it that do what `parts` say, where the kernel does it.
    ///
    /// # Errors
    /// 64 where netem cannot.
    fn queue(&self, parts: &Parts, interfaces: &[Interface]) -> Result<Option<Queue>> {
        let mtu = interfaces.iter().map(|interface| interface.mtu).max().unwrap_or(1500);
        Ok(match self {
            Backend::Netem(_) => Some(Queue::netem(parts).map_err(refused)?),
            Backend::Htb(_) => parts.rate.map(|link| Queue::limited(parts, link, mtu)),
            Backend::Blackhole(_) => Some(Queue::blackhole()),
            Backend::Nfqueue(_) => None,
        })
    }

    /// What tc calls its queue, where it has one there.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Backend::Netem(_) => Some("netem"),
            Backend::Htb(_) => Some("tbf"),
            Backend::Blackhole(_) => Some("blackhole"),
            Backend::Nfqueue(_) => None,
        }
    }

    /// How many packets it holds at the most.
    pub fn limit(&self, parts: &Parts) -> u32 {
        match self {
            Backend::Htb(_) => qdisc::limit_behind_tbf(parts),
            _ => netem::limit(parts),
        }
    }

    /// How many of the packets go into the queue, where not all.
    pub fn share(&self, parts: &Parts) -> Option<Percent> {
        match self {
            Backend::Blackhole(_) => parts.only_loss().filter(|percent| percent.fraction() < 1.0),
            Backend::Netem(_) | Backend::Htb(_) | Backend::Nfqueue(_) => None,
        }
    }

    /// What makes its queues on the interfaces, and for what comes in by `arrivals`. Until something is sent into them they do nothing.
    ///
    /// # Errors
    /// 71 where somebody else's queue stands on an interface.
    pub fn queues(
        &self,
        order: Order<'_>,
        arrivals: &[Interface],
        parts: &Parts,
        trees: &[Tree],
    ) -> Result<Vec<Step>> {
        let all = [order.interfaces, arrivals].concat();
        let Some(queue) = self.queue(parts, &all)? else { return Ok(Vec::new()) };
        let mut steps = Vec::new();
        for tree in trees.iter().filter(|tree| concerns(order, tree)) {
            steps.extend(qdisc::add(tree, order.id, &queue, order.enter)?);
        }
        if !arrivals.is_empty() {
            steps.extend(ingress::make(trees, arrivals, order.id, &queue, order.enter)?);
        }
        Ok(steps)
    }
}

/// Why filters of tc(8) do not see which of the packets that come in are struck, if they do not.
fn unseen(traffic: &Traffic, network: &Network) -> Result<Option<&'static str>> {
    match traffic.direction.ways().contains(&Way::In) {
        true if translation::is_of(traffic.named(), network)? => Ok(Some(TRANSLATED)),
        true => Ok(ingress::cannot(traffic)),
        false => Ok(None),
    }
}

fn refused(Unable { why, leave_out }: Unable) -> Error {
    Error::usage(format!("{why}; leave {leave_out} out or take --backend nfqueue"))
}

/// Whether packets that leave there are struck.
fn concerns(order: Order<'_>, tree: &Tree) -> bool {
    order.traffic.direction.ways().contains(&Way::Out)
        && order.interfaces.iter().any(|interface| interface.name == tree.interface)
}
