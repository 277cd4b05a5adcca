//! `set`: adds elements to one set, and reads it at the end.

use breakit::rng::Pcg64;
use clap::Args;
use serde_json::{Value, json};

use super::{Workload, WorkloadKind};
use crate::action::{Action, Capability, SetAction};
use crate::generator::Generator;

/// The workload.
pub const KIND: WorkloadKind = WorkloadKind::of::<Set>(
    "set",
    "Adds elements to one set and reads it at the end. The promise: no acknowledged element is lost",
);

/// Its arguments.
#[derive(Args, Debug)]
pub struct Set {}

impl Workload for Set {
    fn needs(&self) -> &'static [Capability] {
        &[Capability::Sets]
    }

    fn promise(&self) -> Value {
        json!([{ "name": "set" }])
    }

    fn first_read(&self) -> Option<Action> {
        Some(Action::Set(SetAction::Read))
    }

    fn generator(&self, _random: Pcg64) -> Box<dyn Generator> {
        Box::new(Elements { next: 0 })
    }
}

/// Every element is new.
#[derive(Debug)]
struct Elements {
    next: u64,
}

impl Generator for Elements {
    fn next(&mut self, _process: u64) -> Action {
        let element = self.next;
        self.next += 1;
        Action::Set(SetAction::Add(element.into()))
    }

    fn final_reads(&self) -> Vec<Action> {
        vec![Action::Set(SetAction::Read)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_element_is_added_twice_and_one_read_finds_them_all() {
        let mut elements = Elements { next: 0 };
        let drawn: Vec<Value> = (0..3).map(|_| elements.next(0).value()).collect();
        assert_eq!(drawn, [json!(0), json!(1), json!(2)]);
        assert_eq!(elements.final_reads().len(), 1);
    }
}
