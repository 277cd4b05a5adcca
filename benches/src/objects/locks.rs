//! Locks, whose holders wait for one another.

use breakit::rng::{Pcg64, RngExt};

use super::{Call, Lost, Object};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Mutex,
    /// Acquired up to three times by its holder.
    Reentrant,
    /// Each acquire gets a greater number.
    Fenced,
}

/// How far a process is.
#[derive(Clone, Copy, Default)]
struct Holder {
    /// How often it holds, and how often it means to.
    depth: u64,
    aim: u64,
    goes_down: bool,
    /// Whether an acquire returned and no release began.
    is_sure: bool,
}

/// A lock of so many permits.
pub struct Locks {
    kind: Kind,
    permits: usize,
    held: usize,
    processes: Vec<Holder>,
    token: u64,
}

impl Locks {
    pub fn new(kind: Kind, permits: usize, processes: usize) -> Locks {
        Locks { kind, permits, held: 0, processes: vec![Holder::default(); processes], token: 0 }
    }

    fn acquire(&mut self, slot: usize) -> String {
        let holder = &mut self.processes[slot];
        self.held += usize::from(holder.depth == 0);
        holder.depth += 1;
        holder.goes_down = holder.depth >= holder.aim;
        self.token += 1;
        match self.kind {
            Kind::Fenced => self.token.to_string(),
            _ => "null".into(),
        }
    }
}

impl Object for Locks {
    fn next(&mut self, slot: usize, inv: u64, rng: &mut Pcg64) -> Call {
        let aim = if self.kind == Kind::Reentrant { rng.random_range(1..=3) } else { 1 };
        let holder = &mut self.processes[slot];
        if holder.depth == 0 {
            (holder.aim, holder.goes_down) = (aim, false);
        }
        let f = if holder.goes_down { "release" } else { "acquire" };
        holder.is_sure &= !holder.goes_down;
        Call { slot, f, key: None, number: 0, argument: "null".into(), inv }
    }

    fn take_effect(&mut self, call: &Call) -> Option<String> {
        if call.f == "acquire" {
            let may = self.held < self.permits || self.processes[call.slot].depth > 0;
            return may.then(|| self.acquire(call.slot));
        }
        let holder = &mut self.processes[call.slot];
        holder.depth -= 1;
        self.held -= usize::from(holder.depth == 0);
        Some("null".into())
    }

    fn returned(&mut self, call: &Call, _: u64) {
        self.processes[call.slot].is_sure = call.f == "acquire";
    }

    fn lost(&mut self, call: &Call) {
        self.processes[call.slot] = Holder::default();
    }

    /// A dead process that held would stop all others.
    fn may_be_lost(&self, call: &Call) -> Lost {
        match (call.f, self.processes[call.slot].depth) {
            ("acquire", 0) => Lost::Always,
            ("release", 1) => Lost::Never,
            _ => Lost::Known,
        }
    }

    /// An acquire while all permits are surely held.
    fn lie(&mut self, call: &Call) -> Option<String> {
        let sure = self.processes.iter().filter(|holder| holder.is_sure).count();
        let is_new = call.f == "acquire" && self.processes[call.slot].depth == 0;
        (is_new && sure >= self.permits).then(|| self.acquire(call.slot))
    }
}
