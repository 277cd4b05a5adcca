//! The lines of an operation in the history.

use breakit::node::Node;
use breakit::op::{Op, Process, Type};
use serde_json::Value;

use crate::action::{Action, Outcome};

/// The line that says that an operation is sent.
pub fn invocation(process: u64, node: &Node, action: &Action) -> Op {
    let mut op = Op::now(Process::Client(process), Type::Invoke, action.f());
    op.key = action.key();
    op.value = Some(action.value());
    op.node = Some(node.name.to_string());
    op
}

/// The line that says what came of it.
pub fn completion(process: u64, node: &Node, action: &Action, outcome: Outcome) -> Op {
    let mut op = invocation(process, node, action);
    let error = |why: String| Some(Value::from(why));
    match outcome {
        Outcome::Ok(value) => (op.kind, op.value) = (Type::Ok, Some(value)),
        Outcome::Fail(why) => (op.kind, op.error) = (Type::Fail, error(why)),
        Outcome::Info(why) => (op.kind, op.error) = (Type::Info, error(why)),
    }
    op
}
