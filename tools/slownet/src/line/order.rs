//! What lines are opened by, in this process or in its copy on another host.

use breakit::lease::Lease;

use super::Place;
use crate::fault_id::FaultId;
use crate::impairments::Parts;

/// Lines to open.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// Of which fault.
    pub id: FaultId,
    /// What they do.
    pub parts: &'a Parts,
    /// Where chance comes from.
    pub seed: u64,
    /// Where each stands, and what chance is drawn for there.
    pub places: Vec<(Place, String)>,
    /// How long those on another host go on without a word from us.
    pub lease: Lease,
}
