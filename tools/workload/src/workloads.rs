//! The workloads: each puts one promise of a database to the test.
//!
//! A workload is one file in `workloads/` and its name in [`WORKLOADS`]. The subcommand, its help and completions,
//! the promise on the first line and the messages are derived from that.

use std::fmt::Debug;

use breakit::rng::Pcg64;
use clap::{ArgMatches, Args, Command};
use serde_json::Value;

use crate::action::{Action, Capability};
use crate::generator::Generator;
use crate::table::table;

table! {
    /// All workloads, in the order of the help.
    WORKLOADS: WorkloadKind =
        register,
        cas_register,
        set,
}

/// A workload with the arguments of its command line.
pub trait Workload: Debug {
    /// What a client must support to run it.
    fn needs(&self) -> &'static [Capability];

    /// The promise as the first line states it, for `histcheck`.
    fn promise(&self) -> Value;

    /// A read that finds nothing in a place where nothing was written; `None` if the workload has no such read.
    fn first_read(&self) -> Option<Action>;

    /// What is done once the load is over and the faults are healed.
    fn final_phase(&self) -> FinalPhase {
        FinalPhase::ReadEverything
    }

    /// Draws the operations of a run.
    fn generator(&self, random: Pcg64) -> Box<dyn Generator>;
}

/// What is done once the load is over and the faults are healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalPhase {
    /// Nothing.
    Nothing,
    /// When the nodes agree, or the time for it is over, [`Generator::final_reads`] are made on each of them.
    ReadEverything,
}

/// A workload as the command line names it.
#[derive(Debug)]
pub struct WorkloadKind {
    /// Its name on the command line and on the first line.
    pub name: &'static str,
    /// What it does and which promise it tests, in one line.
    pub about: &'static str,
    /// Adds its own arguments to its subcommand.
    pub arguments: fn(Command) -> Command,
    /// The workload that a command line describes.
    pub parse: fn(&ArgMatches) -> Result<Box<dyn Workload>, clap::Error>,
}

impl WorkloadKind {
    /// The entry of the workload whose arguments are `W`.
    pub const fn of<W: Workload + Args + 'static>(
        name: &'static str,
        about: &'static str,
    ) -> WorkloadKind {
        WorkloadKind {
            name,
            about,
            arguments: W::augment_args,
            parse: |found| Ok(Box::new(W::from_arg_matches(found)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakit::rng::generator;

    /// Each workload with its default arguments.
    fn all() -> impl Iterator<Item = (&'static WorkloadKind, Box<dyn Workload>)> {
        WORKLOADS.iter().map(|kind| {
            let command = (kind.arguments)(Command::new(kind.name));
            let found = command.get_matches_from([kind.name]);
            (kind, (kind.parse)(&found).unwrap())
        })
    }

    #[test]
    fn a_workload_asks_a_client_for_nothing_that_it_does_not_say_it_needs() {
        for (kind, workload) in all() {
            let mut drawing = workload.generator(generator(1, "test"));
            let mut asked: Vec<Action> = (0..500)
                .map(|_| {
                    let action = drawing.next(0);
                    drawing.learn(0, &action, &action.done());
                    action
                })
                .collect();
            asked.extend(workload.first_read());
            asked.extend(drawing.final_reads());
            for action in &asked {
                assert!(workload.needs().contains(&action.needs()), "{}: {action:?}", kind.name);
            }
            for need in workload.needs() {
                assert!(
                    asked.iter().any(|action| action.needs() == *need),
                    "{}: {need:?}",
                    kind.name
                );
            }
        }
    }

    #[test]
    fn a_seed_repeats_the_sequence_and_another_seed_does_not() {
        for (kind, workload) in all().filter(|(kind, _)| kind.name != "set") {
            let drawn = |seed| {
                let mut drawing = workload.generator(generator(seed, "test"));
                (0..200).map(|_| drawing.next(0)).collect::<Vec<_>>()
            };
            assert_eq!(drawn(7), drawn(7), "{}", kind.name);
            assert_ne!(drawn(7), drawn(8), "{}", kind.name);
        }
    }
}
