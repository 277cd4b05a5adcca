//! `cas-register`: reads, writes and compare-and-sets of registers.

use breakit::rng::Pcg64;
use clap::Args;
use serde_json::{Value, json};

use super::{Workload, WorkloadKind};
use crate::action::{Action, Capability, RegisterAction};
use crate::generator::Generator;
use crate::generator::registers::{Registers, Turns};

/// The workload.
pub const KIND: WorkloadKind = WorkloadKind::of::<CasRegister>(
    "cas-register",
    "Reads, writes and compare-and-sets of registers. The promise: linearizability",
);

/// Its arguments.
#[derive(Args, Debug)]
pub struct CasRegister {
    /// Which registers are in use
    #[command(flatten)]
    turns: Turns,
}

impl Workload for CasRegister {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Registers, Capability::CompareAndSet]
    }

    fn promise(&self) -> Value {
        json!([{ "name": "linear", "options": { "model": "cas-register" } }])
    }

    fn first_read(&self) -> Option<Action> {
        Some(Action::Register(1, RegisterAction::Read))
    }

    fn generator(&self, random: Pcg64) -> Box<dyn Generator> {
        Box::new(Registers::new(self.turns, true, random))
    }
}
