//! A model, found by its name.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use breakit::exit::{Error, Result, Status};
use breakit::input;

use super::case::{Case, KeyOperations};
use super::models;
use super::models::table::Table;
use super::specification::{Decided, NumberOf, Specification};

/// The object that a history is compared with.
#[derive(Clone, Debug)]
pub enum Model {
    /// One of [`MODELS`](super::models::MODELS).
    Named {
        /// What it is.
        specification: &'static Specification,
        /// The number in its name, if it takes one.
        number: Option<NonZeroU32>,
    },
    /// A user's own object.
    Table(Arc<Table>),
}

impl PartialEq for Model {
    fn eq(&self, other: &Model) -> bool {
        match (self, other) {
            (Model::Table(one), Model::Table(other)) => one == other,
            _ => {
                self.name() == other.name()
                    && self.specification().is_some() == other.specification().is_some()
            }
        }
    }
}

impl Model {
    /// The names of the models that need no number and no file.
    pub fn names() -> impl Iterator<Item = &'static str> {
        models::plain().map(|model| model.name)
    }

    /// The model of a name: a model's own, with its number if it takes one (`semaphore:3`), or `@FILE` for a table.
    ///
    /// # Errors
    /// 64 for an unknown name, 66 for a file that does not exist, 65 for one that is no table.
    pub fn of(name: &str) -> Result<Model> {
        if let Some(file) = name.strip_prefix('@') {
            return table(file);
        }
        let (word, number) = match name.split_once(':') {
            Some((word, number)) => (word, Some(number)),
            None => (name, None),
        };
        let Some(specification) = models::all().find(|model| model.name == word) else {
            return Err(unknown(name));
        };
        let number = match (specification.number(), number.map(str::parse)) {
            (None, None) => None,
            (Some(_), Some(Ok(number))) => Some(number),
            (Some(number), _) => {
                let NumberOf { what, example } = number;
                return Err(Error::usage(format!(
                    "{name:?} does not say how many {what}; write {example}"
                )));
            }
            (None, Some(_)) => return Err(unknown(name)),
        };
        Ok(Model::Named { specification, number })
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Model::Named { specification, number: None } => specification.name.into(),
            Model::Named { specification, number: Some(n) } => {
                format!("{}:{n}", specification.name)
            }
            Model::Table(table) => table.name().into(),
        }
    }

    /// What it is, unless it is a user's own.
    pub fn specification(&self) -> Option<&'static Specification> {
        match self {
            Model::Named { specification, .. } => Some(specification),
            Model::Table(_) => None,
        }
    }

    /// The operations of a key as its object has them.
    ///
    /// # Errors
    /// 65 for an operation that the object does not have, 64 for an initial value that it cannot hold.
    pub fn case(&self, key: &KeyOperations<'_>) -> Result<Box<dyn Case>> {
        let (specification, number) = match self {
            Model::Named { specification, number } => (specification, number),
            Model::Table(table) => return key.empty(Table::clone(table)),
        };
        match specification.decided {
            Decided::AsRegister { has_cas } => key.register(has_cas),
            Decided::AsObject(case) => case(key),
            Decided::AsObjectOf(_, case) => case(key, number.map_or(1, NonZeroU32::get)),
        }
    }

    /// Whether it has `cas`, if it is a register.
    pub fn register(&self) -> Option<bool> {
        match self.specification()?.decided {
            Decided::AsRegister { has_cas } => Some(has_cas),
            Decided::AsObject(_) | Decided::AsObjectOf(..) => None,
        }
    }
}

fn unknown(name: &str) -> Error {
    let names: Vec<String> = models::all().map(Specification::form).collect();
    Error::usage(format!(
        "there is no model {name:?}; take one of {}, or @FILE for a table",
        names.join(", ")
    ))
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
