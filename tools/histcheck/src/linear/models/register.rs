//! The registers: `read`, `write` and, as `cas-register`, `cas` with `[expected, new]`. Their object is
//! [`Register`](crate::linear::register::Register), on which most engines rest.

use crate::linear::specification::{Decided, Operation, Specification};

/// The registers.
pub const MODELS: &[Specification] = &[
    Specification {
        name: "register",
        doc: "One value: read, write",
        operations: &[READ, WRITE],
        ..Specification::decided(Decided::AsRegister { has_cas: false })
    },
    Specification {
        name: "cas-register",
        doc: "One value: read, write, cas with [expected, new]",
        operations: &[READ, WRITE, Operation::change("cas").of_argument()],
        ..Specification::decided(Decided::AsRegister { has_cas: true })
    },
];

const READ: Operation = Operation::query("read");
const WRITE: Operation = Operation::change("write").of_any_argument();
