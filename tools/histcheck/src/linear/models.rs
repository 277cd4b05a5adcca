//! The objects: one file a model, or a family of models, with what its operations do and how its histories are decided.
//!
//! A new model is a new file with its [`MODELS`](register::MODELS), and a line in the list below.

use super::specification::{Argument, Operation, Specification};

pub mod table;

/// Declares the module of each family and puts its models into [`MODELS`].
macro_rules! families {
    ($($family:ident,)*) => {
        $(pub mod $family;)*

        /// All models that have a name, by family.
        pub const MODELS: &[&[Specification]] = &[$($family::MODELS,)*];
    };
}

families! {
    register,
    lock,
    fenced_mutex,
    queue,
    stack,
    priority_queue,
    set,
    counter,
    fetch_add,
    list_append,
    kv_append,
    multi_register,
}

/// All models that have a name.
pub fn all() -> impl Iterator<Item = &'static Specification> {
    MODELS.iter().copied().flatten()
}

/// All models whose name is whole without a number.
pub fn plain() -> impl Iterator<Item = &'static Specification> {
    all().filter(|model| model.number().is_none())
}

/// Whether an operation of this name changes an object of some model by its argument, and that may be null.
pub fn changes_by_null(word: &str) -> bool {
    is_any(word, |operation| {
        operation.changes && operation.argument == Argument::Required { may_be_null: true }
    })
}

/// Whether it depends on its argument what an operation of this name changes in an object of some model.
pub fn changes_by_argument(word: &str) -> bool {
    is_any(word, |operation| {
        operation.changes && matches!(operation.argument, Argument::Required { .. })
    })
}

/// Whether an operation of this name returns what an object of some model holds, and takes no argument.
pub fn is_read(word: &str) -> bool {
    is_any(word, |operation| !operation.changes && operation.argument == Argument::None)
}

fn is_any(word: &str, of: impl Fn(&Operation) -> bool) -> bool {
    let operations = all().flat_map(|model| model.operations);
    operations.filter(|operation| operation.word == word).any(of)
}
