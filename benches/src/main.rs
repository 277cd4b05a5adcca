//! `generate`: a history of a simulated object, linearizable by construction, for benchmarks.
//!
//! Each process thinks for an exponential time (mean 1) and then waits for an answer for another (mean 10),
//! so about nine in ten processes are busy at any moment: harder than most real runs. An operation takes
//! effect at a moment drawn inside its interval. `--info` makes a share of them indeterminate: they never
//! return, and half of them took effect. The same arguments give the same bytes for ever.
//!
//! `--bad` plants one false read after 99 % of the history. That of a register is of a value a thousand writes old. That
//! of a cas is of a value that all operations put all the time except the indeterminate ones, which would explain
//! it, and those after 99 %: once none that puts it is open any more, a read begins and sees another value, and
//! the next read to begin finds it again. So it is false whatever took effect, and no single operation shows it. That of
//! another object is told where it is made, in `objects`: it too is false whatever took effect.

mod objects;
mod simulation;

use std::io::Write;

use breakit::exit::{Error, Result, Status};
use clap::{Parser, ValueEnum};

/// Generates a history for benchmarks on stdout.
#[derive(Parser, Debug)]
#[command(name = "generate")]
pub struct Cli {
    /// Of which object
    model: Model,
    /// How many operations
    #[arg(long, default_value_t = 1_000_000)]
    ops: u64,
    /// How many processes
    #[arg(long, default_value_t = 20)]
    processes: u64,
    /// Over how many keys; 0: no key field at all
    #[arg(long, default_value_t = 0)]
    keys: u64,
    /// Share of indeterminate operations, in per mille
    #[arg(long, default_value_t = 0)]
    info: u32,
    /// Plant one false read near the end
    #[arg(long)]
    bad: bool,
    /// Seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The objects.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Reads and writes of unique values, half and half
    Register,
    /// Reads, writes and cas over five values, a third each
    Cas,
    /// Acquires and releases; who finds it held waits
    Mutex,
    /// The same, acquired up to three times by its holder
    ReentrantMutex,
    /// The same, with a greater number for each acquire
    FencedMutex,
    /// The same, with two permits
    Semaphore,
    /// Enqueues of unique values and dequeues, half and half
    FifoQueue,
    /// The same in no order
    UnorderedQueue,
    /// Pushes of unique values and pops, half and half
    Stack,
    /// Inserts of unique numbers and extracts of the least, half and half
    PriorityQueue,
    /// Adds, removes and contains of a thousand elements, a third each
    Set,
    /// Reads and increments, half and half
    Counter,
    /// Reads and fetch-adds of one, half and half
    FetchAdd,
    /// Reads and appends, half and half, of ten lists that change
    ListAppend,
    /// Gets, appends and some puts of pieces of a string
    KvAppend,
}

fn run(cli: Cli) -> Result<Status> {
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let written = match cli.model {
        Model::Register | Model::Cas => simulation::Simulation::new(&cli).write(&mut out),
        _ => objects::Simulation::new(&cli).write(&mut out),
    };
    let planted = written.map_err(|e| Error::output(&e))?;
    out.flush().map_err(|e| Error::output(&e))?;
    if !planted {
        return Err(Error::usage(
            "nothing came that could be a false result; take more --ops or fewer --keys",
        ));
    }
    Ok(Status::Done)
}

fn main() -> std::process::ExitCode {
    breakit::tool::main("generate", run)
}
