//! The models by their names.

use std::path::Path;
use std::sync::Arc;

use breakit::exit::{Error, Result, Status};
use breakit::input;

use super::models::table::Table;

/// The object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Model {
    /// `read` and `write`.
    Register,
    /// `read`, `write` and `cas`, whose value is `[expected, new]`.
    CasRegister,
    /// `acquire` and `release`.
    Mutex,
    /// The same; its holder may acquire it again.
    ReentrantMutex,
    /// The same; acquires return tokens that grow.
    FencedMutex,
    /// The same with so many permits.
    Semaphore(u32),
    /// `enqueue` and `dequeue`, first in, first out.
    FifoQueue,
    /// `enqueue` and `dequeue` in any order.
    UnorderedQueue,
    /// `push` and `pop`.
    Stack,
    /// `insert` and `extract` of the least.
    PriorityQueue,
    /// `add`, `remove`, `contains` and `read`.
    Set,
    /// `inc`, `dec`, `add` and `read`.
    Counter,
    /// `fetch-add` and `read`.
    FetchAdd,
    /// `append` and `read` of a list.
    ListAppend,
    /// `put`, `append` and `get` of a string.
    KvAppend,
    /// `read`, `write` and `txn` of several registers at once.
    MultiRegister,
    /// A user's own.
    Table(Arc<Table>),
}

const PLAIN: [(&str, Model); 15] = [
    ("register", Model::Register),
    ("cas-register", Model::CasRegister),
    ("mutex", Model::Mutex),
    ("reentrant-mutex", Model::ReentrantMutex),
    ("fenced-mutex", Model::FencedMutex),
    ("fifo-queue", Model::FifoQueue),
    ("unordered-queue", Model::UnorderedQueue),
    ("stack", Model::Stack),
    ("priority-queue", Model::PriorityQueue),
    ("set", Model::Set),
    ("counter", Model::Counter),
    ("fetch-add", Model::FetchAdd),
    ("list-append", Model::ListAppend),
    ("kv-append", Model::KvAppend),
    ("multi-register", Model::MultiRegister),
];

impl Model {
    /// The names of the models that need no number and no file.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PLAIN.iter().map(|&(name, _)| name)
    }

    /// The model of a name: one of those above, `semaphore:N`, or `@FILE` for a table.
    ///
    /// # Errors
    /// 64 for a name that there is not, 66 for a file that is not there, 65 for one that is no table.
    pub fn of(name: &str) -> Result<Model> {
        if let Some((_, model)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Ok(model.clone());
        }
        if let Some(file) = name.strip_prefix('@') {
            return table(file);
        }
        let permits = name.strip_prefix("semaphore:").map(str::parse::<u32>);
        match permits {
            Some(Ok(permits)) if permits > 0 => Ok(Model::Semaphore(permits)),
            Some(_) => Err(Error::usage(format!(
                "{name:?} is no semaphore; write semaphore:3 for one of three permits"
            ))),
            None => {
                let names: Vec<&str> = Model::names().collect();
                Err(Error::usage(format!(
                    "there is no model {name:?}; take one of {}, semaphore:N, or @FILE for a table",
                    names.join(", ")
                )))
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Model::Semaphore(permits) => format!("semaphore:{permits}"),
            Model::Table(table) => table.name().into(),
            plain => {
                let known = PLAIN.iter().find(|(_, model)| model == plain);
                known.map_or("model", |&(name, _)| name).into()
            }
        }
    }
}

fn table(file: &str) -> Result<Model> {
    let text = input::text("the model", Path::new(file)).map_err(|error| match error.status() {
        Status::NoInput => Error::no_input(format!("the model {file} is not there")),
        _ => error,
    })?;
    let name = Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy());
    let table =
        Table::parse(&name, &text).map_err(|clause| Error::data(format!("{file}, {clause}")))?;
    Ok(Model::Table(Arc::new(table)))
}
