//! Taking faults off a network, whoever put them there and whether or not that one still lives.

use std::collections::BTreeSet;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::reach::Network;

use crate::arrival;
use crate::fault_id::FaultId;
use crate::feed;
use crate::line::stuck;
use crate::qdisc::{self, WithRoot};
use crate::step::{self, Step};
use crate::turn::Turn;

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
    let (stopped, result) = feed::stop(network, &ours);
    let mut errors: Vec<Error> = result.err().into_iter().collect();
    errors.extend(stuck::release(network, &stopped).err());
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
    let leaving = trees.iter().filter(|tree| tree.interface != arrival::DEVICE);
    let mut steps: Vec<Step> = leaving.flat_map(|tree| qdisc::remove(tree, &ours, root)).collect();
    steps.extend(arrival::remove(&trees, &ours, root));
    for step in steps {
        errors.extend(step.run(network).err());
    }
    Error::all(errors).map(|()| swept)
}
