//! The simulated processes and the object they share.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use breakit::rng::{Pcg64, RngExt, generator};

use crate::{Cli, Model};

/// Simulated time in thousandths of the mean thinking time.
pub type Time = u64;

/// The mean time that a process thinks, and waits for an answer.
pub const THINK: f64 = 1_000.0;
pub const WAIT: f64 = 10_000.0;
/// So many nanoseconds of history time make one unit.
pub const NANOS: u64 = 1_000;
/// A false read of a register goes this many writes back.
const STALE: u64 = 1_000;
/// Over how many values a cas goes.
const VALUES: u64 = 5;
/// Of these the value that a planted read finds. No indeterminate operation puts it, or the read might be explained.
const PLANTED: u64 = VALUES - 1;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Invoke,
    Effect,
    Return,
}

#[derive(Clone, Copy)]
enum What {
    Read,
    Write(u64),
    Cas(u64, u64),
}

#[derive(Clone, Copy)]
struct Open {
    number: u64,
    key: u64,
    what: What,
    info: bool,
    lost: bool,
    /// What a read saw, or whether a cas matched; known once it took effect.
    seen: Option<u64>,
    matched: bool,
    /// How far the planted value was gone when it was invoked.
    gone: Gone,
}

/// How far the planted value is gone from a key, so that a read of it is false for certain: first nothing that puts
/// it is open any more, nor begun again; then a read that began after that has seen another value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    No,
    NobodyPuts,
    SeenOverwritten,
}

/// A simulation, ready to run.
pub struct Simulation<'a> {
    cli: &'a Cli,
    rng: Pcg64,
    events: BinaryHeap<Reverse<(Time, u64, Step)>>,
    open: Vec<Option<Open>>,
    names: Vec<u64>,
    values: Vec<Option<u64>>,
    written: Vec<u64>,
    gone: Vec<Gone>,
    started: u64,
    bad_done: bool,
}

impl<'a> Simulation<'a> {
    /// A simulation of what the command line says.
    pub fn new(cli: &'a Cli) -> Simulation<'a> {
        let keys = cli.keys.max(1) as usize;
        let processes = cli.processes.max(1);
        let mut rng = generator(cli.seed, "history");
        let events = (0..processes)
            .map(|p| Reverse((exponential(&mut rng, THINK), p, Step::Invoke)))
            .collect();
        Simulation {
            cli,
            rng,
            events,
            open: vec![None; processes as usize],
            names: (0..processes).collect(),
            values: vec![None; keys],
            written: vec![0; keys],
            gone: vec![Gone::No; keys],
            started: 0,
            bad_done: !cli.bad,
        }
    }

    /// Runs it to its end and writes the lines. Says whether a false read was planted, where one was asked for.
    pub fn write(mut self, out: &mut impl Write) -> io::Result<bool> {
        while let Some(Reverse((time, process, step))) = self.events.pop() {
            match step {
                Step::Invoke if self.started == self.cli.ops => {}
                Step::Invoke => self.invoke(time, process, out)?,
                Step::Effect => self.take_effect(process),
                Step::Return => self.complete(time, process, out)?,
            }
        }
        Ok(self.bad_done)
    }

    fn invoke(&mut self, time: Time, process: u64, out: &mut impl Write) -> io::Result<()> {
        let key = self.rng.random_range(0..self.values.len() as u64);
        let drawn = self.draw(key);
        let info = self.rng.random_range(0..1000) < self.cli.info;
        let lost = info && self.rng.random_bool(0.5);
        let what = if info || self.is_late(self.started) { self.spared(drawn) } else { drawn };
        let (number, gone) = (self.started, self.gone[key as usize]);
        let open = Open { number, key, what, info, lost, seen: None, matched: true, gone };
        self.started += 1;
        self.open[process as usize] = Some(open);
        let wait = exponential(&mut self.rng, WAIT);
        let effect = time + self.rng.random_range(0..=wait);
        self.events.push(Reverse((effect, process, Step::Effect)));
        self.events.push(Reverse((time + wait + 1, process, Step::Return)));
        let value = match what {
            What::Read => "null".to_string(),
            What::Write(value) => value.to_string(),
            What::Cas(from, to) => format!("[{from},{to}]"),
        };
        self.line(time, process, "invoke", &open, &value, out)
    }

    fn draw(&mut self, key: u64) -> What {
        match self.cli.model {
            Model::Register if self.rng.random_bool(0.5) => What::Read,
            Model::Register => {
                let written = &mut self.written[key as usize];
                *written += 1;
                What::Write(*written)
            }
            _ => match self.rng.random_range(0..3) {
                0 => What::Read,
                1 => What::Write(self.rng.random_range(0..VALUES)),
                _ => What::Cas(self.rng.random_range(0..VALUES), self.rng.random_range(0..VALUES)),
            },
        }
    }

    fn take_effect(&mut self, process: u64) {
        let Some(open) = &mut self.open[process as usize] else { return };
        let value = &mut self.values[open.key as usize];
        match open.what {
            _ if open.lost => {}
            What::Read => open.seen = *value,
            What::Write(new) => *value = Some(new),
            What::Cas(from, to) => {
                open.matched = *value == Some(from);
                if open.matched {
                    *value = Some(to);
                }
            }
        }
    }

    fn complete(&mut self, time: Time, process: u64, out: &mut impl Write) -> io::Result<()> {
        let Some(mut open) = self.open[process as usize].take() else { return Ok(()) };
        self.events.push(Reverse((
            time + exponential(&mut self.rng, THINK),
            process,
            Step::Invoke,
        )));
        self.spoil(&mut open);
        let (kind, value) = match open.what {
            What::Read if open.info => ("info", "null".into()),
            What::Read => ("ok", open.seen.map_or("null".into(), |v| v.to_string())),
            What::Write(value) => (if open.info { "info" } else { "ok" }, value.to_string()),
            What::Cas(from, to) => {
                let kind = match (open.info, open.matched) {
                    (true, _) => "info",
                    (false, true) => "ok",
                    (false, false) => "fail",
                };
                (kind, format!("[{from},{to}]"))
            }
        };
        self.line(time, process, kind, &open, &value, out)?;
        self.note_gone(&open);
        if open.info {
            self.names[process as usize] += self.names.len() as u64;
        }
        Ok(())
    }

    /// Whether the operation comes after 99 % of all, where false reads are planted.
    fn is_late(&self, number: u64) -> bool {
        number >= self.cli.ops / 100 * 99
    }

    /// The same operation; where a false read is to be planted, with another value for one that it must not put.
    fn spared(&self, what: What) -> What {
        let other = self.started % PLANTED;
        match what {
            _ if self.bad_done || self.cli.model != Model::Cas => what,
            What::Write(PLANTED) => What::Write(other),
            What::Cas(from, PLANTED) => What::Cas(from, other),
            _ => what,
        }
    }

    /// Makes the first fit read after 99 % of the history a false one.
    fn spoil(&mut self, open: &mut Open) {
        let (What::Read, Some(seen)) = (open.what, open.seen) else { return };
        if self.bad_done || !self.is_late(open.number) || open.info {
            return;
        }
        let stale = match self.cli.model {
            Model::Register => seen.saturating_sub(STALE).max(1),
            _ if open.gone == Gone::SeenOverwritten => PLANTED,
            _ => seen,
        };
        if stale != seen {
            open.seen = Some(stale);
            self.bad_done = true;
        }
    }

    /// What is known of the planted value, now that `open` returns with what it saw.
    fn note_gone(&mut self, open: &Open) {
        let key = open.key as usize;
        if self.bad_done || !self.is_late(self.started) {
            return;
        }
        let puts = |open: &Open| {
            open.key as usize == key
                && matches!(open.what, What::Write(PLANTED) | What::Cas(_, PLANTED))
        };
        if self.gone[key] == Gone::No && !self.open.iter().flatten().any(puts) {
            self.gone[key] = Gone::NobodyPuts;
        }
        let saw_another = !open.info && open.seen.is_some_and(|seen| seen != PLANTED);
        if open.gone == Gone::NobodyPuts && saw_another {
            self.gone[key] = Gone::SeenOverwritten;
        }
    }

    fn line(
        &self,
        time: Time,
        process: u64,
        kind: &str,
        open: &Open,
        value: &str,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let f = match open.what {
            What::Read => "read",
            What::Write(_) => "write",
            What::Cas(..) => "cas",
        };
        let (time, name) = (time * NANOS, self.names[process as usize]);
        write!(out, r#"{{"time":{time},"process":{name},"type":"{kind}","f":"{f}","#)?;
        if self.cli.keys > 0 {
            write!(out, r#""key":{},"#, open.key)?;
        }
        writeln!(out, r#""value":{value},"node":"n{}"}}"#, process % 5 + 1)
    }
}

/// Drawn from the exponential distribution of this mean.
pub fn exponential(rng: &mut Pcg64, mean: f64) -> Time {
    let uniform: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    (-uniform.ln() * mean) as Time
}
