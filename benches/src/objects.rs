//! The simulated processes on any object but a register: those of [`simulation`](crate::simulation), for objects some
//! of whose operations wait until they can take effect. It then takes as long to answer as it would have otherwise.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, Write};

use breakit::rng::{Pcg64, RngExt, generator};

use crate::simulation::{NANOS, THINK, Time, WAIT, exponential};
use crate::{Cli, Model};

mod containers;
mod lists;
mod locks;
mod numbers;
mod sets;

/// What a process asks for.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which process, whatever its name is now.
    pub slot: usize,
    /// The operation's name.
    pub f: &'static str,
    pub key: Option<u64>,
    /// The number that it is about: an element, a piece, or nothing.
    pub number: u64,
    /// The argument, as JSON.
    pub argument: String,
    /// The line of its invocation.
    pub inv: u64,
}

/// Whether an operation whose outcome nobody learns took effect.
pub enum Lost {
    /// It is never one of these: what follows would be lost too.
    Known,
    Always,
    Never,
    /// One in two.
    Half,
}

/// An object and what is known of it.
pub trait Object {
    /// What a process asks for next.
    fn next(&mut self, slot: usize, inv: u64, rng: &mut Pcg64) -> Call;
    /// Takes effect; the result as JSON. `None`: not now.
    fn take_effect(&mut self, call: &Call) -> Option<String>;
    /// It returned with its result, in this line.
    fn returned(&mut self, _call: &Call, _line: u64) {}
    /// Nobody knows what became of it; its process goes on as another.
    fn lost(&mut self, _call: &Call) {}
    /// Whether its outcome may be unknown.
    fn may_be_lost(&self, _call: &Call) -> Lost {
        Lost::Half
    }
    /// Takes effect with a result that is false for certain, if it returns at once, where there is one.
    fn lie(&mut self, call: &Call) -> Option<String>;
}

fn object(cli: &Cli) -> Box<dyn Object> {
    let processes = cli.processes.max(1) as usize;
    match cli.model {
        Model::Mutex => Box::new(locks::Locks::new(locks::Kind::Mutex, 1, processes)),
        Model::ReentrantMutex => Box::new(locks::Locks::new(locks::Kind::Reentrant, 1, processes)),
        Model::FencedMutex => Box::new(locks::Locks::new(locks::Kind::Fenced, 1, processes)),
        Model::Semaphore => Box::new(locks::Locks::new(locks::Kind::Mutex, 2, processes)),
        Model::FifoQueue => Box::new(containers::Container::new(containers::Kind::Fifo, processes)),
        Model::UnorderedQueue => {
            Box::new(containers::Container::new(containers::Kind::Bag, processes))
        }
        Model::Stack => Box::new(containers::Container::new(containers::Kind::Stack, processes)),
        Model::PriorityQueue => {
            Box::new(containers::Container::new(containers::Kind::Priority, processes))
        }
        Model::Set => Box::new(sets::Set::default()),
        Model::Counter => Box::new(numbers::Number::new("inc")),
        Model::FetchAdd => Box::new(numbers::Number::new("fetch-add")),
        Model::ListAppend => Box::new(lists::Lists::new(lists::Kind::Lists, cli.keys)),
        Model::Register | Model::Cas | Model::KvAppend => {
            Box::new(lists::Lists::new(lists::Kind::Strings, cli.keys))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Invoke,
    Effect,
    Return,
}

struct Open {
    call: Call,
    is_info: bool,
    is_lost: bool,
    /// How long it takes from its effect to its return.
    rest: Time,
    result: Option<String>,
}

/// A simulation, ready to run.
pub struct Simulation<'a> {
    cli: &'a Cli,
    rng: Pcg64,
    object: Box<dyn Object>,
    events: BinaryHeap<Reverse<(Time, usize, Step)>>,
    open: Vec<Option<Open>>,
    /// Those that cannot take effect yet.
    waiting: VecDeque<usize>,
    names: Vec<u64>,
    started: u64,
    line: u64,
    bad_done: bool,
}

impl<'a> Simulation<'a> {
    /// A simulation of what the command line says.
    pub fn new(cli: &'a Cli) -> Simulation<'a> {
        let processes = cli.processes.max(1) as usize;
        let mut rng = generator(cli.seed, "history");
        let events = (0..processes)
            .map(|slot| Reverse((exponential(&mut rng, THINK), slot, Step::Invoke)))
            .collect();
        Simulation {
            cli,
            rng,
            object: object(cli),
            events,
            open: (0..processes).map(|_| None).collect(),
            waiting: VecDeque::new(),
            names: (0..processes as u64).collect(),
            started: 0,
            line: 0,
            bad_done: !cli.bad,
        }
    }

    /// Runs it to its end and writes the lines. Says whether a false result was planted, where one was asked for.
    pub fn write(mut self, out: &mut impl Write) -> io::Result<bool> {
        let mut time = 0;
        while let Some(Reverse((at, slot, step))) = self.events.pop() {
            time = at.max(time);
            match step {
                Step::Invoke if self.started == self.cli.ops => {}
                Step::Invoke => self.invoke(time, slot, out)?,
                Step::Effect => {
                    self.take_effect(time, slot);
                    self.wake(time);
                }
                Step::Return => self.complete(time, slot, out)?,
            }
        }
        Ok(self.bad_done)
    }

    fn invoke(&mut self, time: Time, slot: usize, out: &mut impl Write) -> io::Result<()> {
        self.line += 1;
        let call = self.object.next(slot, self.line, &mut self.rng);
        let wants_info = self.rng.random_range(0..1000) < self.cli.info;
        let coin = self.rng.random_bool(0.5);
        let (is_info, is_lost) = match self.object.may_be_lost(&call) {
            Lost::Known => (false, false),
            Lost::Always => (wants_info, wants_info),
            Lost::Never => (wants_info, false),
            Lost::Half => (wants_info, wants_info && coin),
        };
        self.started += 1;
        let wait = exponential(&mut self.rng, WAIT);
        let until = self.rng.random_range(0..=wait);
        self.events.push(Reverse((time + until, slot, Step::Effect)));
        self.say(time, slot, "invoke", &call, &call.argument, out)?;
        let rest = wait - until + 1;
        self.open[slot] = Some(Open { call, is_info, is_lost, rest, result: None });
        Ok(())
    }

    fn take_effect(&mut self, time: Time, slot: usize) {
        let Some(open) = &mut self.open[slot] else { return };
        let is_late = open.call.inv >= self.cli.ops / 100 * 198;
        if open.is_lost {
            self.events.push(Reverse((time + open.rest, slot, Step::Return)));
        } else if !self.bad_done
            && is_late
            && !open.is_info
            && let Some(lie) = self.object.lie(&open.call)
        {
            open.result = Some(lie);
            self.bad_done = true;
            // Before anything else happens.
            self.events.push(Reverse((0, slot, Step::Return)));
        } else if let Some(result) = self.object.take_effect(&open.call) {
            open.result = Some(result);
            self.events.push(Reverse((time + open.rest, slot, Step::Return)));
        } else {
            self.waiting.push_back(slot);
        }
    }

    /// Those that waited try again, in the order in which they came.
    fn wake(&mut self, time: Time) {
        for _ in 0..self.waiting.len() {
            if let Some(slot) = self.waiting.pop_front() {
                self.take_effect(time, slot);
            }
        }
    }

    fn complete(&mut self, time: Time, slot: usize, out: &mut impl Write) -> io::Result<()> {
        let Some(Open { call, is_info, result, .. }) = self.open[slot].take() else {
            return Ok(());
        };
        let think = exponential(&mut self.rng, THINK);
        self.events.push(Reverse((time + think, slot, Step::Invoke)));
        self.line += 1;
        if is_info {
            self.say(time, slot, "info", &call, &call.argument, out)?;
            self.object.lost(&call);
            self.names[slot] += self.names.len() as u64;
        } else {
            self.say(time, slot, "ok", &call, &result.unwrap_or_default(), out)?;
            self.object.returned(&call, self.line);
        }
        Ok(())
    }

    fn say(
        &self,
        time: Time,
        slot: usize,
        kind: &str,
        call: &Call,
        value: &str,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (time, name, f) = (time * NANOS, self.names[slot], call.f);
        write!(out, r#"{{"time":{time},"process":{name},"type":"{kind}","f":"{f}","#)?;
        if let Some(key) = call.key {
            write!(out, r#""key":{key},"#)?;
        }
        writeln!(out, r#""value":{value},"node":"n{}"}}"#, slot % 5 + 1)
    }
}
