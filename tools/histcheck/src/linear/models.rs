//! The objects: one file a model, with what its operations do and how its histories are decided.

pub mod counter;
pub mod fenced_mutex;
pub mod fetch_add;
pub mod kv_append;
pub mod list_append;
pub mod lock;
pub mod multi_register;
pub mod priority_queue;
pub mod queue;
pub mod register;
pub mod set;
pub mod stack;
pub mod table;
