//! An object's states and effects as small numbers, with a table of what follows what.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::linear::object::Object;
use crate::memory;

/// A state, by its place in the [`Machine`].
pub(super) type State = u32;
/// An effect: all operations with the same argument and result have one.
pub(super) type Class = u32;

/// More classes than this, and what follows is computed each time: the table would be mostly empty.
const MOST_COLUMNS: usize = 1024;
/// The most entries of the table.
const MOST_ENTRIES: usize = 1 << 24;

const NOT_ASKED: u32 = u32::MAX;
const NOTHING: u32 = u32::MAX - 1;
const SEVERAL: u32 = 1 << 31;

/// Remembers states and steps.
pub(super) struct Machine<'o, O: Object> {
    object: &'o O,
    classes: Vec<O::Act>,
    is_read: Vec<bool>,
    states: Vec<O::State>,
    ids: FxHashMap<O::State, State>,
    /// A row a state: what each class makes of it.
    rows: Vec<Box<[u32]>>,
    several: Vec<Box<[State]>>,
    fresh: Vec<O::State>,
    next: Vec<State>,
    /// How many steps were computed since somebody asked.
    computed: usize,
    /// What the whole program held before.
    begun: usize,
}

/// So many states are never forgotten.
const FEW: usize = 64;
/// Nor is anything as long as the search takes less memory than this, in bytes.
const MUCH: usize = 16 << 20;

/// So many computed steps may take a while, where states are large.
const MANY: usize = 64;

impl<'o, O: Object> Machine<'o, O> {
    pub fn new(object: &'o O, classes: Vec<O::Act>) -> Machine<'o, O> {
        let is_read = classes.iter().map(|act| object.is_read(act)).collect();
        Machine {
            object,
            classes,
            is_read,
            states: Vec::new(),
            ids: FxHashMap::default(),
            rows: Vec::new(),
            several: Vec::new(),
            fresh: Vec::new(),
            next: Vec::new(),
            computed: 0,
            begun: memory::held(),
        }
    }

    pub fn id(&mut self, state: &O::State) -> State
    where
        O::State: Hash,
    {
        if let Some(&id) = self.ids.get(state) {
            return id;
        }
        let id = self.states.len() as State;
        self.states.push(state.clone());
        self.ids.insert(state.clone(), id);
        id
    }

    pub fn is_read(&self, class: Class) -> bool {
        self.is_read[class as usize]
    }

    /// Whether an endless supply of info operations leads to few states only.
    pub fn is_bounded(&self) -> bool {
        self.object.is_bounded()
    }

    /// Whether `class` can happen on `state`.
    pub fn can(&mut self, state: State, class: Class) -> bool {
        !self.step(state, class).is_empty()
    }

    /// Whether an info operation that leaves `after` may be of use to `class`.
    pub fn prompts(&self, after: State, class: Class) -> bool {
        self.object.prompts(&self.states[after as usize], &self.classes[class as usize])
    }

    /// The states that `class` may leave behind.
    pub fn step(&mut self, state: State, class: Class) -> &[State] {
        let (row, column) = (state as usize, class as usize);
        match self.rows.get(row).map_or(NOT_ASKED, |row| row[column]) {
            NOT_ASKED => self.compute(state, class),
            NOTHING => &[],
            many if many & SEVERAL != 0 => &self.several[(many & !SEVERAL) as usize],
            one => {
                self.next.clear();
                self.next.push(one);
                &self.next
            }
        }
    }

    fn compute(&mut self, state: State, class: Class) -> &[State] {
        self.computed += 1;
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.clear();
        let act = &self.classes[class as usize];
        self.object.step(&self.states[state as usize], act, &mut fresh);
        self.next.clear();
        for state in &fresh {
            let id = self.id(state);
            if !self.next.contains(&id) {
                self.next.push(id);
            }
        }
        self.fresh = fresh;
        self.remember(state, class);
        &self.next
    }

    fn remember(&mut self, state: State, class: Class) {
        let columns = self.classes.len();
        let wanted = state as usize + 1;
        if columns > MOST_COLUMNS || wanted * columns > MOST_ENTRIES {
            return;
        }
        while self.rows.len() < wanted {
            self.rows.push(vec![NOT_ASKED; columns].into_boxed_slice());
        }
        self.rows[state as usize][class as usize] = match self.next.as_slice() {
            [] => NOTHING,
            &[one] => one,
            many => {
                self.several.push(many.into());
                SEVERAL | (self.several.len() as u32 - 1)
            }
        };
    }

    /// Whether many steps were computed since this was last said: time to look at the budget.
    pub fn has_worked(&mut self) -> bool {
        let is_much = self.computed >= MANY;
        if is_much {
            self.computed = 0;
        }
        is_much
    }

    /// Whether it remembers so much that it is worth to forget what is over.
    pub fn is_full(&self) -> bool {
        self.states.len() > FEW && memory::held() > self.begun.saturating_add(MUCH)
    }

    /// Forgets everything but one state, which has the number that is returned from now on; all others are void.
    pub fn keep_only(&mut self, state: State) -> State {
        let kept = self.states.swap_remove(state as usize);
        self.states.clear();
        self.ids.clear();
        self.rows.clear();
        self.several.clear();
        self.id(&kept)
    }

    /// The memory that it takes, roughly. What a state holds on the heap the budget sees by itself.
    pub fn bytes(&self) -> usize {
        let state = 2 * size_of::<O::State>() + 48;
        self.states.len() * state + self.rows.len() * self.classes.len() * 4
    }
}
