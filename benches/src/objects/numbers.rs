//! A number that grows by one: counted up and read, half and half.

use breakit::rng::{Pcg64, RngExt};

use super::{Call, Object};

/// A number.
pub struct Number {
    /// What adds one: `inc`, or `fetch-add`, which says what it found.
    add: &'static str,
    value: u64,
    /// How many adds returned.
    sure: u64,
}

impl Number {
    pub fn new(add: &'static str) -> Number {
        Number { add, value: 0, sure: 0 }
    }
}

impl Object for Number {
    /// The number of a call is how many adds had returned before it.
    fn next(&mut self, slot: usize, inv: u64, rng: &mut Pcg64) -> Call {
        let is_read = rng.random_bool(0.5);
        let (f, argument) = if is_read { ("read", "null") } else { (self.add, "1") };
        Call { slot, f, key: None, number: self.sure, argument: argument.into(), inv }
    }

    fn take_effect(&mut self, call: &Call) -> Option<String> {
        let before = self.value;
        self.value += u64::from(call.f != "read");
        Some(match call.f {
            "fetch-add" => format!("[1,{before}]"),
            "inc" => "1".into(),
            _ => before.to_string(),
        })
    }

    fn returned(&mut self, call: &Call, _: u64) {
        self.sure += u64::from(call.f != "read");
    }

    /// Less than was surely added by then.
    fn lie(&mut self, call: &Call) -> Option<String> {
        let less = call.number.checked_sub(1)?;
        (call.f == "read").then(|| less.to_string())
    }
}
