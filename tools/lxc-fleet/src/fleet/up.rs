//! `up`: makes nodes and starts them. What is there stays, what died is started, what is missing is made.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use breakit::clock;
use breakit::exit::{Error, Result, Status};
use breakit::messages;
use breakit::node::{Name, Node, Via, names};
use breakit::program;
use breakit::reach::Network;
use breakit::size::show_size;

use crate::cli::UpArgs;
use crate::fleet::down;
use crate::fleet::fleet_group;
use crate::fleet::hosts_file;
use crate::fleet::select;
use crate::fleet::state::{self, Make, Member, State};
use crate::host::views::{self, Views};
use crate::image::Image;
use crate::image::busybox;
use crate::image::chroot;
use crate::network;
use crate::network::nat;
use crate::network::walls;
use crate::node::container::{self, Condition, Container, at_once};
use crate::node::disk;
use crate::node::ids::{self, Ids};
use crate::node::launch;
use crate::node::node_files;
use crate::node::seccomp;
use crate::places::BASE;
use crate::step::{self, Step};
use crate::store;

/// How long a node's kernel may take to answer: a first SYN and two more.
const ANSWER: Duration = Duration::from_secs(4);

/// Makes and starts the nodes.
///
/// # Errors
/// One sentence for each node that could not be made; what was new and failed is removed again.
pub fn up(args: &UpArgs) -> Result<Status> {
    let begun = Instant::now();
    let fleet = select::fleet()?;
    let specs: Vec<String> = args.nodes.iter().chain(&args.named).cloned().collect();
    let wanted = names(&specs)?;
    program::find("lxc-start", "lxc")?;
    if args.dry_run {
        return step::print(&shown(&fleet, &wanted, args)?);
    }
    chroot::refuse()?;

    let _lock = state::lock(&fleet)?;
    let plan = remember(&fleet, &wanted, args)?;
    let made = make(&fleet, &plan);
    if let Err(error) = made {
        return Err(undo(&fleet, &plan, error));
    }
    let count = wanted.len();
    messages::say(format!(
        "{count} {} up in fleet {fleet} after {}",
        if count == 1 { "node is" } else { "nodes are" },
        clock::show(Duration::from_millis(begun.elapsed().as_millis() as u64))
    ));
    Ok(Status::Done)
}

/// What is to be done.
pub struct Plan {
    /// What the fleet is about to have.
    pub state: State,
    /// The nodes that were asked for.
    pub containers: Vec<Container>,
    /// Those of them that were not there before.
    new: Vec<String>,
}

impl Plan {
    fn disks_fit(&self, size: Option<u64>) -> Result<()> {
        size.map_or(Ok(()), |size| disk::fit(self.new.len(), size))
    }
}

/// Opens the store and writes down what the fleet is about to have.
fn remember(fleet: &Name, wanted: &[Name], args: &UpArgs) -> Result<Plan> {
    let _all = state::lock_all()?;
    let before = state::load(fleet)?;
    let planned = store::open(&args.store)
        .and_then(|()| plan(fleet, before.clone(), wanted, args, Image::ready))
        .and_then(|plan| plan.disks_fit(args.disk).map(|()| plan));
    let remember = |plan: Plan| {
        step::take(remembering(fleet, before.as_ref(), &plan.state).into_iter().collect())?;
        Ok(plan)
    };
    match planned.and_then(remember) {
        Ok(plan) => Ok(plan),
        Err(error) => {
            let released = store::release();
            if state::load(fleet).is_ok_and(|state| state.is_none()) {
                state::forget_run_dir(fleet);
            }
            Err(released.err().map_or(error.clone(), |more| Error::Many(vec![error, more])))
        }
    }
}

/// The step that writes down what the fleet is about to have, if that is new.
fn remembering<'a>(fleet: &'a Name, before: Option<&State>, state: &'a State) -> Option<Step<'a>> {
    let line = || format!("# remember the fleet in {BASE}/fleets/{fleet}.json");
    (before != Some(state)).then(|| Step::told(line(), || state::save(fleet, state)))
}

/// The lines of a dry run.
fn shown(fleet: &Name, wanted: &[Name], args: &UpArgs) -> Result<Vec<String>> {
    let before = state::load(fleet)?;
    let plan = plan(fleet, before.clone(), wanted, args, Image::could_be_ready)?;
    let mut lines = step::shown(store::opening(&args.store)?)?;
    let busybox = |container: &Container| container.member.image == "busybox";
    if plan.containers.iter().any(busybox) {
        lines.extend(busybox::shown_making()?);
    }
    lines.extend(remembering(fleet, before.as_ref(), &plan.state).map_or(Ok(vec![]), Step::shown)?);
    lines.extend(step::shown(groundwork(fleet, &plan.state))?);
    lines.extend(fleet_group::making(fleet, plan.state.memory()).shown()?);
    let views = Views::default();
    for container in &plan.containers {
        lines.extend(step::shown(raising(container, &views)?)?);
    }
    lines.extend(step::shown(ending(fleet, &plan))?);
    Ok(lines)
}

/// Plans an `up`; `ready` sees to it that an image is there.
///
/// # Errors
/// 64 where a node that is there was made otherwise or the subnet is full, 71 where no subnet is free, and
/// whatever `ready` finds.
pub fn plan(
    fleet: &Name,
    before: Option<State>,
    wanted: &[Name],
    args: &UpArgs,
    ready: impl Fn(&Image) -> Result<()>,
) -> Result<Plan> {
    args.limits.possible()?;
    let mut state = match before {
        Some(state) if args.privileged && state.ids.are_mapped() => {
            return Err(Error::usage(format!(
                "fleet {fleet} is there, and its nodes live in a user namespace; take it down first: lxc-fleet down"
            )));
        }
        Some(state) if args.nat && !state.nat => {
            return Err(Error::usage(format!(
                "fleet {fleet} is there, and its nodes have no way out; take it down first: lxc-fleet down"
            )));
        }
        Some(state) => state,
        None => State { nat: args.nat, ..State::new(network::free_subnet()?, ids(args)?) },
    };
    if state.nat {
        nat::possible()?;
    }
    state.memory = args.fleet_memory.or(state.memory);
    state.allow_host.extend(&args.allow_host);
    state.allow_host.sort_unstable();
    state.allow_host.dedup();
    let new: Vec<Name> =
        wanted.iter().filter(|name| state.member(name.as_str()).is_none()).cloned().collect();
    let image = args.image.as_deref();
    for member in state.members.iter().filter(|m| wanted.iter().any(|name| name.as_str() == m.name))
    {
        stays(member, image, args)?;
        ready(&Image::parse(&member.image)?)?;
    }
    select::no_clash(fleet, &new)?;
    if !new.is_empty() {
        let image = image.unwrap_or("host");
        ready(&Image::parse(image)?)?;
        let (show, allow, limits) = (&args.show[..], &args.allow[..], &args.limits);
        for name in &new {
            state.add(name, Make { image, show, allow, limits, disk: args.disk })?;
        }
    }
    let members = wanted.iter().filter_map(|name| state.member(name.as_str()));
    let containers = members.map(|member| Container::new(fleet, &state, member)).collect();
    let new = new.iter().map(Name::to_string).collect();
    Ok(Plan { containers, new, state })
}

fn ids(args: &UpArgs) -> Result<Ids> {
    if args.privileged {
        return Ok(Ids::Host);
    }
    let taken: Vec<Ids> = state::readable()?.into_iter().map(|(_, state)| state.ids).collect();
    ids::free(&taken)
}

/// A node that is there keeps its image, what it sees, what it may do and its limits.
fn stays(member: &Member, image: Option<&str>, args: &UpArgs) -> Result<()> {
    let name = &member.name;
    if let Some(image) = image.filter(|image| *image != member.image) {
        return Err(Error::usage(format!(
            "node {name} is there with image {}, not {image}; take it down first: lxc-fleet down {name}",
            member.image
        )));
    }
    if let Some(size) = args.disk.filter(|size| member.disk != Some(*size)) {
        let has = member
            .disk
            .map_or("no disk of its own".into(), |has| format!("a disk of {}", show_size(has)));
        return Err(Error::usage(format!(
            "node {name} is there and has {has}, not one of {}; take it down first: lxc-fleet down {name}",
            show_size(size)
        )));
    }
    if let Some(path) = args.show.iter().find(|path| !member.show.contains(path)) {
        return Err(Error::usage(format!(
            "node {name} is there and does not see {}; take it down first: lxc-fleet down {name}",
            path.display()
        )));
    }
    if args.allow.iter().any(|allow| !member.allow.contains(allow)) {
        return Err(Error::usage(format!(
            "node {name} is there without --allow {}; take it down first: lxc-fleet down {name}",
            seccomp::words(&args.allow)
        )));
    }
    if let Some(option) = member.limits.differs(&args.limits) {
        return Err(Error::usage(format!(
            "node {name} is there with another {option}; take it down first: lxc-fleet down {name}"
        )));
    }
    Ok(())
}

fn make(fleet: &Name, plan: &Plan) -> Result<()> {
    // Looking the host over takes as long as making the network.
    let views = std::thread::scope(|scope| {
        let views = scope.spawn(|| views(fleet, &plan.containers));
        let made = step::take(groundwork(fleet, &plan.state));
        let views = views.join().unwrap_or_else(|_| Err(Error::system("a thread died")));
        made.and(views)
    })?;
    fleet_group::making(fleet, plan.state.memory()).take()?;
    container::all(at_once(&plan.containers, |container| step::take(raising(container, &views)?)))?;
    step::take(ending(fleet, plan))
}

/// The steps that make what the nodes of a fleet share.
fn groundwork<'a>(fleet: &'a Name, state: &'a State) -> Vec<Step<'a>> {
    let mut steps = network::making(fleet, state.subnet, state.nat);
    steps.extend([walls::raising(fleet, state), hosts_file::writing(fleet, state)]);
    steps
}

/// The steps that make one node run.
fn raising<'a>(container: &'a Container, views: &'a Views) -> Result<Vec<Step<'a>>> {
    let (fleet, number) = (container.fleet(), container.member.number);
    if !container.is_stopped()? {
        return Ok(network::joining(fleet, number).into_iter().collect());
    }
    let image = Image::parse(&container.member.image)?;
    let root = container.root(&image);
    let id = container.id();
    let start = move || {
        container.start()?;
        // LXC has joined the interface to the bridge, if that was not removed under it.
        step::take(network::joining(fleet, number).into_iter().collect())
    };
    Ok(vec![
        node_files::preparing(container, image, views.get(&container.member.show)),
        Step::new(move || launch::shown(&id, &root), start),
    ])
}

/// The last steps of an `up`.
fn ending<'a>(fleet: &'a Name, plan: &'a Plan) -> Vec<Step<'a>> {
    vec![
        Step::silent(|| views::sweep(fleet)),
        Step::silent(|| frames_pass(fleet, &plan.containers)),
        state::telling(fleet, &plan.state),
    ]
}

/// What the nodes that do not run need to see of the host: it is looked over once for all that see the same.
fn views(fleet: &Name, containers: &[Container]) -> Result<Views> {
    let mut views = Views::default();
    for container in containers {
        if Image::parse(&container.member.image)?.shows_host() && container.is_stopped()? {
            views.add(fleet, &container.member.show, container.ids().base())?;
        }
    }
    Ok(views)
}

/// Where bridged frames go through iptables, a policy of DROP there would cut every node from every other.
fn frames_pass(fleet: &Name, containers: &[Container]) -> Result<()> {
    let [a, b, ..] = containers else { return Ok(()) };
    if !network::bridged_frames_are_filtered() || a.condition()? != Condition::Running {
        return Ok(());
    }
    let node = Node {
        name: Name::new(&a.member.name)?,
        addrs: vec![a.address().into()],
        via: Via::Lxc(a.id()),
    };
    let to = b.address();
    if Network::of(&node)?.inside(|| Ok(answers(to)))? {
        return Ok(());
    }
    let bridge = network::bridge(fleet);
    Err(Error::system(format!(
        "frames between nodes are dropped: this host sends them through iptables (br_netfilter), whose FORWARD refuses them; allow them with iptables -I FORWARD -i {bridge} -o {bridge} -j ACCEPT, or set net.bridge.bridge-nf-call-iptables to 0"
    )))
}

/// Whether the kernel of the node at `address` answers, from the network that we are in: a port without a listener
/// refuses. No program of a node takes part, as we hold the fleet's lock.
fn answers(address: Ipv4Addr) -> bool {
    const DISCARD: u16 = 9;
    match TcpStream::connect_timeout(&SocketAddr::from((address, DISCARD)), ANSWER) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
    }
}

/// Removes what was new, so that a failed `up` leaves what was there before.
fn undo(fleet: &Name, plan: &Plan, error: Error) -> Error {
    let fresh: Vec<Container> =
        plan.containers.iter().filter(|c| plan.new.contains(&c.member.name)).cloned().collect();
    match down::take_down(fleet, &fresh) {
        Ok(()) => error,
        Err(more) => Error::Many(vec![error, more]),
    }
}
