//! The tree of queues on an interface: our root, and below it one class for each fault.
//!
//! Our root is an htb that passes everything on at once, except what a timed set sends into a class. So it
//! may stay when its holder is dead: without the set's elements it harms nobody. A root that somebody else
//! put there is kept below it (see [`crate::kept`]), or never touched.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use breakit::exit::{Error, Result};
use breakit::reach::Network;
use serde_json::Value;

use crate::fault_id::FaultId;
use crate::gate::{self, Gate};
use crate::impairments::tc::{Bucket, Netem, Unable};
use crate::impairments::{Bottleneck, Parts};
use crate::interface::parse;
use crate::kept::{self, Kept};
use crate::kernel;
use crate::netem;
use crate::step::Step;

/// What a class must not slow down by itself: tc's largest round rate.
const UNLIMITED: &str = "rate 100gbit ceil 100gbit burst 1m cburst 1m";

/// What one class may send before it is another's turn; htb's own guess is a warning at high rates.
const QUANTUM: &str = "quantum 60000";

/// What stands at the root of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// What the kernel puts there by itself.
    Default,
    /// Ours.
    Ours,
    /// Somebody else's, as tc shows it.
    Foreign(String),
}

/// A class to make, and the queue below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    class: String,
    leaf: String,
    /// What stands below the leaf.
    below: Option<String>,
    /// Where tc finds the table that the leaf needs.
    tables: Option<PathBuf>,
}

impl Queue {
    /// netem with `parts`, below a class that does by itself only what netem cannot.
    ///
    /// # Errors
    /// What netem cannot do, nor the class.
    pub fn netem(parts: &Parts) -> std::result::Result<Queue, Unable> {
        let Netem { words, tables, class } = netem::all(parts)?;
        let class = class.map_or_else(|| UNLIMITED.into(), class_for);
        Ok(Queue { class, leaf: format!("netem {}", words.join(" ")), below: None, tables })
    }

    /// A bucket of tokens (tbf) that lets no more pass than `rate`, of packets of `mtu` bytes at the most.
    ///
    /// A class of htb with that rate would let bursts of TCP pass whole, up to 64 KiB: at 300 kbit/s nothing for two
    /// seconds, and then twice the rate. tbf cuts them into packets.
    pub fn limited(parts: &Parts, link: Bottleneck, mtu: u32) -> Queue {
        let limit = limit_behind_tbf(parts);
        // What it could not let pass at once it would drop.
        let burst = burst(link).max(u64::from(mtu) + LINK_HEADER);
        let bytes = u64::from(limit).saturating_mul(burst).min(u64::from(u32::MAX));
        let leaf = format!("tbf rate {}bit burst {burst}b limit {bytes}b", link.rate.bits());
        let below = Some(format!("pfifo limit {limit}"));
        Queue { class: UNLIMITED.into(), leaf, below, tables: None }
    }

    /// A queue that swallows all it gets, and tells the sender that it was sent.
    pub fn blackhole() -> Queue {
        Queue { class: UNLIMITED.into(), leaf: "blackhole".into(), below: None, tables: None }
    }
}

/// A class that lets no more pass than the bucket.
fn class_for(Bucket { rate, burst }: Bucket) -> String {
    let bits = rate.bits();
    format!("rate {bits}bit ceil {bits}bit burst {burst}b cburst {burst}b")
}

/// What may pass at once before the rate is felt.
fn burst(link: Bottleneck) -> u64 {
    // What accrues in 2 ms, and at least a full packet: less cannot be handed out evenly by a timer.
    let burst = link.rate.bytes_in(Duration::from_millis(2)).max(1600);
    link.burst.map_or(burst, u64::from)
}

/// The header of Ethernet with two tags of VLANs.
const LINK_HEADER: u64 = 22;

/// The packets that a sender on the node itself may have in a queue, whatever its rate: TCP sends bursts of up to
/// 64 KiB, and waits for the first before it sends a third.
const BURSTS: u32 = 256;

/// How many packets fit behind a bucket of tokens.
pub fn limit_behind_tbf(parts: &Parts) -> u32 {
    parts.limit.unwrap_or_else(|| netem::limit(parts).max(BURSTS))
}

/// The queue of one fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Whose it is.
    pub id: FaultId,
    /// `netem`, `tbf` if only the rate is limited, `blackhole` if packets are only lost.
    pub kind: String,
    /// Its settings, as tc prints them.
    pub options: Value,
    /// How many packets it holds now.
    pub held: u64,
}

/// The tree of one interface.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The interface.
    pub interface: String,
    /// The interface's number, if the kernel of this host was asked.
    pub index: Option<u32>,
    /// What stands at its root.
    pub root: Root,
    /// Our faults there.
    pub leaves: Vec<Leaf>,
    /// The user's own queue, which is kept below our root, or can be.
    pub kept: Option<Kept>,
    /// What stands where packets come in.
    pub gate: Gate,
}

impl Tree {
    /// That of an interface which nobody has touched.
    pub fn fresh(interface: &str) -> Tree {
        let interface = interface.to_string();
        Tree {
            interface,
            index: None,
            root: Root::Default,
            leaves: Vec::new(),
            kept: None,
            gate: Gate::Open,
        }
    }
}

/// The trees of all interfaces of a network. On this host their leaves have no options.
///
/// # Errors
/// 69 without tc, 77 and 71 as the system says.
pub fn trees(network: &Network) -> Result<Vec<Tree>> {
    match kernel::qdiscs(network) {
        Some(qdiscs) => with_kept(network, &qdiscs?),
        None => trees_with_options(network),
    }
}

/// The trees of all interfaces of a network, with the options of their leaves.
///
/// # Errors
/// As [`trees`].
pub fn trees_with_options(network: &Network) -> Result<Vec<Tree>> {
    let text = Step::new("tc -s -j qdisc show").run(network)?;
    with_kept(network, &parse::<Vec<Value>>(&text, "tc qdisc")?)
}

/// The trees, with the user's own queues that are kept below ours.
fn with_kept(network: &Network, qdiscs: &[Value]) -> Result<Vec<Tree>> {
    let mut trees = read(qdiscs);
    for tree in trees.iter_mut().filter(|tree| tree.root == Root::Ours) {
        let dev = &tree.interface;
        if qdiscs.iter().any(|q| q["dev"] == **dev && q["parent"] == kept::CLASS) {
            let shown = Step::new(format!("tc qdisc show dev {dev}")).run(network)?;
            tree.kept = shown.lines().find_map(|line| Kept::below_ours(line, dev));
        }
    }
    Ok(trees)
}

/// Looks whether the user's own queues at the roots of `interfaces` can be kept.
///
/// # Errors
/// As [`Kept::at_root`].
pub fn look_at_roots(network: &Network, trees: &mut [Tree], interfaces: &[String]) -> Result<()> {
    let foreign = |tree: &&mut Tree| {
        matches!(tree.root, Root::Foreign(_)) && interfaces.contains(&tree.interface)
    };
    for tree in trees.iter_mut().filter(foreign) {
        tree.kept = Kept::at_root(network, &tree.interface)?;
    }
    Ok(())
}

/// The trees that `tc -j qdisc show` tells of.
pub fn read(qdiscs: &[Value]) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    for qdisc in qdiscs.iter().filter(|qdisc| qdisc["root"] == true) {
        let interface = qdisc["dev"].as_str().unwrap_or_default().to_string();
        let root = judge(qdisc);
        let of_here = qdiscs.iter().filter(|leaf| leaf["dev"] == qdisc["dev"]);
        let leaves = match root {
            Root::Ours => of_here.filter_map(leaf).collect(),
            _ => Vec::new(),
        };
        let gate = gate::of(qdiscs, &qdisc["dev"]);
        let index = qdisc["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok());
        trees.push(Tree { interface, index, root, leaves, kept: None, gate });
    }
    trees
}

fn judge(qdisc: &Value) -> Root {
    match (qdisc["kind"].as_str(), qdisc["handle"].as_str()) {
        (Some("htb"), Some("77:")) => Root::Ours,
        // The kernel gives its own no handle.
        (_, Some("0:")) => Root::Default,
        (kind, handle) => {
            Root::Foreign(format!("{} {}", kind.unwrap_or("qdisc"), handle.unwrap_or("?")))
        }
    }
}

fn leaf(qdisc: &Value) -> Option<Leaf> {
    let minor = qdisc["parent"].as_str()?.strip_prefix("77:")?;
    Some(Leaf {
        id: FaultId::parse(minor).ok()?,
        kind: qdisc["kind"].as_str()?.to_string(),
        options: qdisc["options"].clone(),
        held: qdisc["qlen"].as_u64().unwrap_or(0),
    })
}

/// What makes the class of a fault on an interface that has `tree`; where it is there already, it is changed
/// in place, so that nobody's packets are lost. `enter` is what runs a command in its network.
///
/// # Errors
/// 71 where somebody else's root stands there.
pub fn add(tree: &Tree, id: FaultId, queue: &Queue, enter: &str) -> Result<Vec<Step>> {
    let dev = &tree.interface;
    let mut steps = Vec::new();
    match (&tree.root, &tree.kept) {
        (Root::Ours, _) => {}
        (Root::Foreign(_), Some(kept)) => {
            steps.extend(kept.keep(dev, &format!("{UNLIMITED} {QUANTUM}")));
        }
        (Root::Default, _) => {
            let add = format!("tc qdisc add dev {dev} root handle 77: htb default 0");
            steps.push(Step::new(add).hurried());
        }
        (Root::Foreign(what), None) => {
            return Err(Error::system(format!(
                "{dev} has a queue of somebody else that could not be put back ({what}): take --backend nfqueue, or, if nobody needs it: {enter}tc qdisc del dev {dev} root"
            )));
        }
    }
    let there = tree.leaves.iter().any(|leaf| leaf.id == id);
    let verb = if there { "change" } else { "add" };
    let Queue { class, leaf, below, tables } = queue;
    let tables = tables.as_ref().map(|folder| format!("env TC_LIB_DIR={} ", folder.display()));
    let tables = tables.unwrap_or_default();
    steps.push(Step::new(format!(
        "tc class {verb} dev {dev} parent 77: classid 77:{id} htb {class} {QUANTUM}"
    )));
    // The kernel's own handles begin at 8000.
    let handle = below.as_ref().map_or_else(String::new, |_| format!("handle {id}: "));
    steps.push(Step::new(format!(
        "{tables}tc qdisc {verb} dev {dev} parent 77:{id} {handle}{leaf}"
    )));
    steps.extend(
        below
            .iter()
            .map(|below| Step::new(format!("tc qdisc {verb} dev {dev} parent {id}:1 {below}"))),
    );
    Ok(steps)
}

/// Waits until the queues of the faults `ours` are empty, `limit` at the most: what they hold was sent while
/// the fault was in force, and dropping it would be a fault of its own.
///
/// # Errors
/// As [`trees`].
pub fn drain(network: &Network, ours: impl Fn(FaultId) -> bool, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let held: u64 = trees(network)?
            .iter()
            .flat_map(|tree| &tree.leaves)
            .filter(|leaf| ours(leaf.id))
            .map(|leaf| leaf.held)
            .sum();
        if held == 0 || Instant::now() >= deadline {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a root of ours is taken away when no fault is left below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithRoot {
    /// Yes: the interface is then as it was.
    Remove,
    /// No: another window of the same holder follows, and changing a root loses the packets of that moment,
    /// everybody's.
    Keep,
}

/// What takes the faults `ours` off an interface that has `tree`, and perhaps our root.
pub fn remove(tree: &Tree, ours: impl Fn(FaultId) -> bool, root: WithRoot) -> Vec<Step> {
    let dev = &tree.interface;
    if tree.root != Root::Ours {
        return Vec::new();
    }
    if root == WithRoot::Remove && tree.leaves.iter().all(|leaf| ours(leaf.id)) {
        let ours = Step::new(format!("tc qdisc del dev {dev} root handle 77:")).hurried();
        return std::iter::once(ours).chain(tree.kept.iter().map(|k| k.put_back(dev))).collect();
    }
    remove_classes(tree, ours)
}

/// What takes the faults `ours` off, and leaves the root.
pub fn remove_classes(tree: &Tree, ours: impl Fn(FaultId) -> bool) -> Vec<Step> {
    let dev = &tree.interface;
    tree.leaves
        .iter()
        .filter(|leaf| ours(leaf.id))
        .map(|leaf| Step::new(format!("tc class del dev {dev} classid 77:{}", leaf.id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ours() -> Vec<Value> {
        vec![
            json!({"kind":"noqueue","handle":"0:","dev":"lo","root":true,"options":{}}),
            json!({"kind":"htb","handle":"77:","dev":"eth0","root":true,"options":{}}),
            json!({"kind":"netem","handle":"8001:","dev":"eth0","parent":"77:3f2a","options":{"limit":9},"qlen":4}),
            json!({"kind":"tbf","handle":"4000:","dev":"eth0","parent":"77:4000","options":{}}),
            json!({"kind":"pfifo","handle":"8002:","dev":"eth0","parent":"4000:1","options":{},"qlen":3}),
            json!({"kind":"netem","handle":"9:","dev":"eth1","root":true,"options":{}}),
        ]
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Step::show).collect()
    }

    #[test]
    fn a_rate_with_a_burst_is_the_class_s_and_the_rest_netem_s() {
        let parts = |flags| Parts::of_flags(flags).unwrap();
        let netem = |flags| Queue::netem(&parts(flags)).unwrap();
        let queue = netem("--preset=dialup --burst=5000");
        assert_eq!(queue.class, "rate 56000bit ceil 56000bit burst 5000b cburst 5000b");
        assert!(queue.leaf.starts_with("netem limit 50 delay") && !queue.leaf.contains("rate"));
        let queue = netem("--preset=dialup");
        assert!(queue.leaf.ends_with("rate 56000bit") && queue.class == UNLIMITED);
        let queue = netem("--preset=dialup --burst=5000 --keep-order");
        assert!(queue.leaf.ends_with("rate 100000000000bit") && queue.class != UNLIMITED);
        let limited = |flags, mtu| {
            let parts = parts(flags);
            Queue::limited(&parts, parts.rate.unwrap(), mtu)
        };
        let leaf = limited("--rate=56kbit --burst=5000", 1500).leaf;
        assert_eq!(leaf, "tbf rate 56000bit burst 5000b limit 1280000b");
        let whole = limited("--rate=56kbit", 9000).leaf;
        assert_eq!(limited("--rate=56kbit --burst=1600", 9000).leaf, whole, "a whole packet");
        assert!(whole.contains("burst 9022b"));
    }

    #[test]
    fn roots_are_told_apart() {
        let trees = read(&ours());
        let roots: Vec<&Root> = trees.iter().map(|tree| &tree.root).collect();
        assert_eq!(roots, [&Root::Default, &Root::Ours, &Root::Foreign("netem 9:".into())]);
        assert_eq!(trees[1].leaves.iter().map(|l| l.held).collect::<Vec<_>>(), [4, 0]);
    }

    #[test]
    fn a_foreign_root_is_refused_with_the_remedy() {
        let queue = Queue::netem(&Parts::of_flags("--preset=slow").unwrap()).unwrap();
        let error =
            add(&read(&ours())[2], FaultId::draw(), &queue, "ip netns exec a ").unwrap_err();
        assert!(
            error.to_string().ends_with(": ip netns exec a tc qdisc del dev eth1 root"),
            "{error}"
        );
    }

    #[test]
    fn a_fault_that_is_there_is_changed_in_place() {
        let queue = Queue::netem(&Parts::of_flags("--preset=flaky").unwrap()).unwrap();
        let id = FaultId::parse("3f2a").unwrap();
        let steps = add(&read(&ours())[1], id, &queue, "").unwrap();
        assert!(shown(&steps).iter().all(|line| line.contains(" change ")), "{steps:?}");
        let steps = add(&read(&ours())[0], id, &queue, "").unwrap();
        assert!(shown(&steps).iter().all(|line| line.contains(" add ")), "{steps:?}");
    }

    #[test]
    fn the_root_stays_while_another_fault_needs_it() {
        let tree = &read(&ours())[1];
        let id = FaultId::parse("3f2a").unwrap();
        assert_eq!(
            shown(&remove(tree, |i| i == id, WithRoot::Remove)),
            ["tc class del dev eth0 classid 77:3f2a"]
        );
        let all = |root| shown(&remove(tree, |_| true, root));
        assert_eq!(all(WithRoot::Remove), ["tc qdisc del dev eth0 root handle 77:"]);
        assert_eq!(all(WithRoot::Keep).len(), 2);
        // Whatever else runs: meanwhile nobody's packets leave.
        let root = Step::new("tc qdisc del dev eth0 root handle 77:").hurried();
        assert_eq!(remove(tree, |_| true, WithRoot::Remove), [root]);
        assert!(remove(&read(&ours())[2], |_| true, WithRoot::Remove).is_empty());
    }
}
