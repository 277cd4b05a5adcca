//! Notices about the clients' programs: each is shown once, as every program would cause it again.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use breakit::messages;

/// For how many programs of a node the last lines are shown; lines that differ only in numbers count once.
const SHOWN: usize = 3;

/// The notices of a run. Dropped, it says how many were not shown.
#[derive(Debug, Default)]
pub struct Notices(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said: HashSet<(String, &'static str)>,
    /// By node.
    last_lines: BTreeMap<String, LastLines>,
}

#[derive(Debug, Default)]
struct LastLines {
    shown: HashSet<String>,
    others: u64,
}

impl Notices {
    /// Shows a sentence about a node, unless one of that kind was shown.
    pub fn once(&self, node: &str, kind: &'static str, sentence: impl FnOnce() -> String) {
        if self.lock().said.insert((node.to_string(), kind)) {
            messages::error(sentence());
        }
    }

    /// Shows the last lines of a program's stderr, unless the same or too much was shown of its node.
    pub fn last_lines(&self, node: &str, lines: &[String], before: u64) {
        if lines.is_empty() {
            return;
        }
        let mut state = self.lock();
        let of_node = state.last_lines.entry(node.to_string()).or_default();
        let gist = without_numbers(lines);
        if of_node.shown.contains(&gist) {
            return;
        }
        if of_node.shown.len() == SHOWN {
            of_node.others += 1;
            return;
        }
        of_node.shown.insert(gist);
        if before > 0 {
            messages::error(format!("a client on {node}: ({before} lines before these)"));
        }
        for line in lines {
            messages::error(format!("a client on {node}: {line}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A notice that was shown stays shown.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        for (node, LastLines { others, .. }) in &self.lock().last_lines {
            if *others > 0 {
                messages::error(format!(
                    "{others} more clients on {node} said other things; -v shows all of them"
                ));
            }
        }
    }
}

/// The lines with every number, and every word that begins with a digit, made the same: the value that could not be
/// written, a port, a time.
fn without_numbers(lines: &[String]) -> String {
    let mut gist = String::new();
    let mut in_number = false;
    for c in lines.join("\n").chars() {
        let digit = c.is_ascii_digit();
        if digit && !in_number {
            gist.push('0');
        }
        in_number = digit || (in_number && c.is_ascii_alphanumeric());
        if !in_number {
            gist.push(c);
        }
    }
    gist
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_numbers_alone_is_the_same() {
        let gist = |text: &str| without_numbers(&[text.to_string()]);
        assert_eq!(gist("KeyError: 17 at 0x7f3a"), gist("KeyError: 4 at 0x55ee9"));
        assert_ne!(gist("KeyError: 17"), gist("ValueError: 17"));
        assert_ne!(gist("n1"), gist("m1"));
    }
}
