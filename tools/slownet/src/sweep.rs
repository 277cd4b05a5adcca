//! Taking faults off a network, whoever put them there and whether or not that one still lives.

use std::collections::BTreeSet;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::reach::Network;

use crate::classify;
use crate::fault_id::FaultId;
use crate::ingress;
use crate::line::release_queue;
use crate::netns_lock::Turn;
use crate::qdisc::{self, Tree, WithRoot};
use crate::step::{self, Step};

/// How long packets that a fault still holds may take to leave.
const DRAIN: Duration = Duration::from_millis(500);

/// Takes the faults `ours` off: first what feeds them, so that the network is whole at once; then, when
/// their queues are empty, those. Gives the numbers of what was there. Nothing there is no error.
///
/// # Errors
/// All that stood in the way, after everything was tried.
pub fn sweep(
    network: &Network,
    ours: impl Fn(FaultId) -> bool,
    root: WithRoot,
) -> Result<BTreeSet<FaultId>> {
    let (stopped, result) = classify::stop(network, &ours);
    let mut errors: Vec<Error> = result.err().into_iter().collect();
    errors.extend(release_queue::release(network, &stopped).err());
    let mut swept: BTreeSet<FaultId> = stopped.into_iter().collect();
    match sweep_queues(network, &ours, root) {
        Ok(ids) => swept.extend(ids),
        Err(error) => errors.push(error),
    }
    Error::all(errors).map(|()| swept)
}

fn sweep_queues(
    network: &Network,
    ours: impl Fn(FaultId) -> bool,
    root: WithRoot,
) -> Result<Vec<FaultId>> {
    if !step::has(network, "tc") {
        return Ok(Vec::new());
    }
    qdisc::drain(network, &ours, DRAIN)?;
    let (mut swept, mut errors) = (Vec::new(), Vec::new());
    let _turn = Turn::wait(network)?;
    let trees = qdisc::trees(network)?;
    for tree in &trees {
        let leaves = tree.leaves.iter().map(|leaf| leaf.id).filter(|id| ours(*id));
        swept.extend(leaves);
    }
    for step in removal(&trees, &ours, root) {
        errors.extend(step.run(network).err());
    }
    // On hosts over ssh turns are not taken: a guardian may have been quicker than whoever calls clear.
    if !errors.is_empty() && removal(&qdisc::trees(network)?, &ours, root).is_empty() {
        errors.clear();
    }
    Error::all(errors).map(|()| swept)
}

fn removal(trees: &[Tree], ours: impl Fn(FaultId) -> bool, root: WithRoot) -> Vec<Step> {
    let leaving = trees.iter().filter(|tree| tree.interface != ingress::DEVICE);
    let mut steps: Vec<Step> = leaving.flat_map(|tree| qdisc::remove(tree, &ours, root)).collect();
    steps.extend(ingress::remove(trees, &ours, root));
    steps
}
