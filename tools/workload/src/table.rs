//! A table whose entries are the modules of a folder.

/// Declares the modules and the table of their `KIND`s, in this order: a new entry is its file and its name here.
///
/// `cargo fmt` does not find modules that a macro declares; `rustfmt FILE` formats them, and `tests/check` looks at
/// every file.
macro_rules! table {
    ($(#[$about:meta])* $table:ident: $kind:ty = $($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        $(#[$about])*
        pub static $table: &[$kind] = &[$($module::KIND),*];
    };
}

pub(crate) use table;
