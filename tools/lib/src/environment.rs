//! The variables that are ours: `BREAKIT_FLEET`, `BREAKIT_SEED`.

/// The value of a variable; `None` if it is not set or empty, as in `BREAKIT_FLEET= lxc-fleet up n1`.
///
/// Bytes that are not UTF-8 become U+FFFD, which is part of no name and no number: so they are refused, not ignored.
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}
