//! The bed that tests lie in: built binaries, network namespaces, skips that are counted.
//!
//! A test that cannot run here says so with [`skip!`] and returns; `tests/check` counts the skips apart from
//! what passed, and with `STRICT=1` a skip is a failure.

pub mod fakes;
pub mod fleet;
pub mod folder;
pub mod hostile;
pub mod namespaces;
pub mod process;
pub mod pty;
pub mod random;
pub mod sshd;
pub mod uml;
pub mod wait;

pub use fakes::Fakes;
pub use fleet::Fleet;
pub use folder::Folder;
pub use namespaces::Namespaces;
pub use process::{Run, Running};
pub use random::Random;
pub use sshd::Sshd;
pub use uml::Uml;

/// Says why this test cannot run here, and returns from it.
///
/// The reason goes to the file `$BREAKIT_SKIPS`, where `tests/check` counts it.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        $crate::skipped(module_path!(), &format!($($why)*));
        return;
    }};
}

/// What [`skip!`] does; a failure under `STRICT=1`.
#[allow(clippy::panic)]
pub fn skipped(test: &str, why: &str) {
    use std::io::Write;
    let name = std::thread::current().name().unwrap_or(test).to_string();
    if let Some(path) = std::env::var_os("BREAKIT_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(format!("{name} skipped: {why}\n").as_bytes());
    }
    assert!(std::env::var("STRICT").as_deref() != Ok("1"), "{name} skipped: {why}");
}

/// Whether this process may make network namespaces (root, or root of a user namespace).
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether a program is installed.
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
        .split(':')
        .any(|dir| std::path::Path::new(dir).join(program).is_file())
}
