//! `register`: reads and writes of registers.

use breakit::rng::Pcg64;
use clap::Args;
use serde_json::{Value, json};

use super::{Workload, WorkloadKind};
use crate::action::{Action, Capability, RegisterAction};
use crate::generator::Generator;
use crate::generator::registers::{Registers, Turns};

/// The workload.
pub const KIND: WorkloadKind = WorkloadKind::of::<Register>(
    "register",
    "Reads and writes of registers; each value is written once. The promise: linearizability",
);

/// Its arguments.
#[derive(Args, Debug)]
pub struct Register {
    /// Which registers are in use
    #[command(flatten)]
    turns: Turns,
}

impl Workload for Register {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Registers]
    }

    fn promise(&self) -> Value {
        json!([{ "name": "linear", "options": { "model": "register" } }])
    }

    fn first_read(&self) -> Option<Action> {
        Some(Action::Register(1, RegisterAction::Read))
    }

    fn generator(&self, random: Pcg64) -> Box<dyn Generator> {
        Box::new(Registers::new(self.turns, false, random))
    }
}
