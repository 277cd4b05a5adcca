//! What is in force on a node, read from its kernel.

use breakit::exit::{Result, Status};
use breakit::node::Node;
use breakit::reach::Network;
use serde_json::{Value, json};

use crate::classify::{self, Fed, Target};
use crate::fault_id::FaultId;
use crate::line::{release_queue, tap};
use crate::qdisc::{self, Leaf, Tree};
use crate::step;

/// A line for each fault on each interface of `node`; a queue that nothing feeds any more says so.
///
/// # Errors
/// As [`Network::of`], and what the system says.
pub fn lines(node: &Node) -> Result<Vec<Value>> {
    let network = match Network::of(node) {
        Ok(network) => network,
        // What does not run has no fault.
        Err(error) if error.status() == Status::NoInput => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let fed = classify::all(&network, |_| true)?;
    let trees = qdisc::trees_with_options(&network)?;
    let name = node.name.as_str();
    let mut lines = Vec::new();
    for tree in &trees {
        lines.extend(tree.leaves.iter().map(|leaf| queue(name, &network, tree, leaf, &fed)));
    }
    let has_queue = |fed: &Fed| trees.iter().flat_map(|tree| &tree.leaves).any(|l| l.id == fed.id);
    let lines_there = lines_at_work(&network)?;
    let without = fed.iter().filter(|fed| !has_queue(fed));
    let listening = |fed: &Fed| lines_there.contains(&fed.id);
    lines.extend(without.map(|fed| set(name, &network, fed, listening(fed))));
    Ok(lines)
}

fn queue(node: &str, network: &Network, tree: &Tree, leaf: &Leaf, fed: &[Fed]) -> Value {
    let fed = fed.iter().find(|fed| fed.id == leaf.id);
    let in_force = fed.is_some_and(|fed| fed.strikes(network, Target::Class));
    let mut line = json!({
        "node": node, "id": leaf.id.to_string(), "in_force": in_force,
        "backend": if leaf.kind == "tbf" { "htb" } else { &leaf.kind },
        "interface": tree.interface,
    });
    extend(&mut line, fed.map(Fed::json));
    line["queue"] = leaf.options.clone();
    line
}

/// A set that feeds a delay line; where nobody listens there any more it strikes nobody.
fn set(node: &str, network: &Network, fed: &Fed, listening: bool) -> Value {
    let in_force = listening && fed.strikes(network, Target::Line);
    let mut line = json!({ "node": node, "id": fed.id.to_string(), "in_force": in_force });
    if listening {
        line["backend"] = "nfqueue".into();
    }
    extend(&mut line, Some(fed.json()));
    line
}

/// The faults whose delay line is at work: a process has bound its packet queue, or has its device open.
fn lines_at_work(network: &Network) -> Result<Vec<FaultId>> {
    let queues = release_queue::queues(network)?;
    let devices = step::proc_net(network, "dev")?;
    let bound = queues.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let open = devices.lines().filter_map(|line| tap::fault(line.trim_start().split(':').next()?));
    Ok(bound.filter_map(FaultId::of_queue).chain(open).collect())
}

fn extend(line: &mut Value, more: Option<Value>) {
    if let (Value::Object(fields), Some(Value::Object(more))) = (line, more) {
        fields.extend(more);
    }
}
