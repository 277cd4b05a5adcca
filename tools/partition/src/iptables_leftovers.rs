//! What iptables-nft makes besides our rules: the kernel's tables and built-in chains, at their first use.
//!
//! A table that was not there before should not be there after. Nothing but the kernel knows that when a cut is
//! healed by somebody else; so the cut leaves a mark in the table, an empty chain of its own that says what was
//! made for it. Who heals takes the marks, then what they speak of, if nobody else uses it by now: a built-in
//! chain with no rule and with its own policy, a table with no chain.

use std::collections::BTreeSet;

use breakit::exit::Result;

use crate::chain_names::{SHORT, short};
use crate::nftnl::{self, Place};

/// Something that would not be there without our cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// A built-in chain.
    Hook(&'static str),
    /// The table itself.
    Table,
}

/// Every mark with what it stands for. In the order of the alphabet the table comes last.
const MARKS: [(&str, Made); 5] = [
    ("tf", Made::Hook("FORWARD")),
    ("ti", Made::Hook("INPUT")),
    ("to", Made::Hook("OUTPUT")),
    ("tp", Made::Hook("PREROUTING")),
    ("tt", Made::Table),
];

impl Made {
    fn mark(self) -> &'static str {
        MARKS.iter().find(|(_, made)| *made == self).map_or("tt", |(mark, _)| mark)
    }

    /// The empty chain that marks it, for the cut called `name`.
    pub fn chain(self, name: &str) -> String {
        format!("{}_{}", short(name), self.mark())
    }
}

/// Whether this ends the name of a mark.
pub fn is_mark(end: &str) -> bool {
    MARKS.iter().any(|(mark, _)| *mark == end)
}

/// What a cut by way of `hooks` would make at `place` in the network that we are in: what is not there, and what
/// is only there because of another cut of ours, which may be healed before this one.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn would_be_made(place: Place, hooks: &[&'static str]) -> Result<BTreeSet<Made>> {
    let wanted = hooks.iter().map(|hook| Made::Hook(hook)).chain([Made::Table]);
    let Some(there) = nftnl::chains(place)? else { return Ok(wanted.collect()) };
    let marked = |made: &Made| {
        let end = format!("_{}", made.mark());
        there.iter().any(|chain| chain.starts_with(SHORT) && chain.ends_with(&end))
    };
    let missing = |made: &Made| match made {
        Made::Hook(hook) => !there.iter().any(|chain| chain == hook),
        Made::Table => false,
    };
    Ok(wanted.filter(|made| missing(made) || marked(made)).collect())
}

/// What a table is told by that has become empty, on the stdout of [`REMOVAL`]: by a program and a name.
const EMPTIED: &str = "emptied";

/// Lines of the shell that take away what marks of the cut `name` speak of; `$t` is the program and `$rules` are
/// the cut's in `$table`. The program itself refuses to take a built-in chain that has a rule, or a policy that is not its first.
pub fn removal(name: &str) -> String {
    let name = short(name);
    let hooks: String = MARKS
        .iter()
        .filter_map(|(mark, made)| match made {
            Made::Hook(hook) => Some(format!("{mark}) $t -w -t $table -X {hook} 2>/dev/null ;; ")),
            Made::Table => None,
        })
        .collect();
    format!(
        "\t\t\tfor m in $(echo \"$rules\" | sed -n 's/^:{name}_\\(t[fiopt]\\) .*/\\1/p' | sort); do\n\
         \t\t\t\t$t -w -t $table -X {name}_$m || continue\n\
         \t\t\t\tcase $m in {hooks}tt) echo {EMPTIED} $t $table ;; esac\n\
         \t\t\tdone\n"
    )
}

/// The tables that a removal found to be empty now, from its stdout.
pub fn emptied(said: &str) -> Vec<Place> {
    let of = |line: &str| {
        let mut words = line.split(' ');
        let (EMPTIED, program, table) = (words.next()?, words.next()?, words.next()?) else {
            return None;
        };
        let table = ["raw", "filter"].into_iter().find(|known| *known == table)?;
        Some(Place { ipv4: !program.starts_with("ip6"), table })
    };
    said.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_takes_what_was_made_and_says_which_tables_are_empty() {
        let script = removal("breakit_partition_7_9");
        assert!(script.contains("tp) $t -w -t $table -X PREROUTING"), "{script}");
        assert_eq!(Made::Table.chain("breakit_partition_7_9"), "bkp_7_9_tt");
        let said =
            "something\nemptied ip6tables-nft raw\nemptied iptables-nft filter\nemptied x nat\n";
        let (raw, filter) =
            (Place { ipv4: false, table: "raw" }, Place { ipv4: true, table: "filter" });
        assert_eq!(emptied(said), [raw, filter]);
        let mut marks = MARKS.map(|(mark, _)| mark);
        marks.sort_unstable();
        assert_eq!(marks.last(), Some(&"tt"), "chains go before their table");
    }
}
