//! What is in force on a node, read from its kernel.

use breakit::exit::Result;
use breakit::node::Node;
use breakit::reach::Network;
use serde_json::{Value, json};

use crate::fault_id::FaultId;
use crate::feed::{self, Fed, Target};
use crate::line::stuck;
use crate::qdisc::{self, Leaf, Tree};
use crate::traffic::Way;

/// A line for each fault on each interface of `node`; a queue that nothing feeds any more says so.
///
/// # Errors
/// As [`Network::of`], and what the system says.
pub fn lines(node: &Node) -> Result<Vec<Value>> {
    let network = Network::of(node)?;
    let fed = feed::all(&network, |_| true)?;
    let trees = qdisc::trees_with_options(&network)?;
    let name = node.name.as_str();
    let mut lines = Vec::new();
    for tree in &trees {
        lines.extend(tree.leaves.iter().map(|leaf| queue(name, &network, tree, leaf, &fed)));
    }
    let has_queue = |fed: &Fed| trees.iter().flat_map(|tree| &tree.leaves).any(|l| l.id == fed.id);
    let queues = bound_queues(&network)?;
    let without = fed.iter().filter(|fed| !has_queue(fed));
    let listening =
        |id: FaultId| [Way::Out, Way::In].iter().any(|way| queues.contains(&id.queue(*way)));
    lines.extend(without.map(|fed| set(name, &network, fed, listening(fed.id))));
    Ok(lines)
}

fn queue(node: &str, network: &Network, tree: &Tree, leaf: &Leaf, fed: &[Fed]) -> Value {
    let fed = fed.iter().find(|fed| fed.id == leaf.id);
    let in_force = fed.is_some_and(|fed| fed.strikes(network, Target::Class));
    let mut line = json!({
        "node": node, "id": leaf.id.to_string(), "in_force": in_force,
        "backend": if leaf.kind == "pfifo" { "htb" } else { &leaf.kind },
        "interface": tree.interface,
    });
    extend(&mut line, fed.map(Fed::json));
    line["queue"] = leaf.options.clone();
    line
}

/// A set that feeds a delay line; where nobody listens there any more it strikes nobody.
fn set(node: &str, network: &Network, fed: &Fed, listening: bool) -> Value {
    let in_force = listening && fed.strikes(network, Target::Queue);
    let mut line = json!({ "node": node, "id": fed.id.to_string(), "in_force": in_force });
    if listening {
        line["backend"] = "nfqueue".into();
    }
    extend(&mut line, Some(fed.json()));
    line
}

/// The packet queues that a process listens to.
fn bound_queues(network: &Network) -> Result<Vec<u16>> {
    Ok(stuck::queues(network)?
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect())
}

fn extend(line: &mut Value, more: Option<Value>) {
    if let (Value::Object(fields), Some(Value::Object(more))) = (line, more) {
        fields.extend(more);
    }
}
