//! Text of somebody who means harm: what a terminal would obey if a tool showed it as it is.

use crate::Run;

/// Sets a terminal's title, turns the direction of writing round, and makes the rest red by one byte of C1.
pub const TEXT: &str = "\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m";

/// How a tool shows that.
pub const SHOWN: &str = r"\x1b]0;owned\x07\u{202e}\u{9b}31m";

impl Run {
    /// Requires that nothing it said steers a terminal; `what` must have been shown, on stdout or stderr.
    ///
    /// # Panics
    /// With what it said.
    #[track_caller]
    pub fn shows(self, what: &str) -> Run {
        for said in [&self.stdout, &self.stderr] {
            assert!(!said.chars().any(steers), "{said:?}");
        }
        assert!((self.stdout.clone() + &self.stderr).contains(what), "{what}: {self:?}");
        self
    }
}

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
