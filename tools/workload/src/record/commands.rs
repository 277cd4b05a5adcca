//! What a history says of command lines: the parsed arguments of our own tools, and of any other program its name.
//!
//! A secret looks like any other word (`-phunter2`), so that no list of suspicious names would find each one. Therefore
//! a word is recorded only if one of our own parsers knows what it is.

use breakit::program::typed;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};

/// What is recorded in place of words that are left out.
pub const LEFT_OUT: &str = "...";

/// How much of a command line is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// What is known to hold no secret.
    Known,
    /// All words, as `--record-commands` asks for.
    All,
}

impl Record {
    /// The words of a command as the history has them. `words` begins with the program's name.
    pub fn command(self, words: &[String]) -> Vec<String> {
        match self {
            Record::All => words.to_vec(),
            Record::Known => known(words).unwrap_or_else(|| name_alone(words)),
        }
    }

    /// A command that is one word of another.
    pub fn text(self, command: &str) -> String {
        shlex::split(command).map_or_else(|| LEFT_OUT.into(), |words| typed(self.command(&words)))
    }
}

/// The words of a command of one of our own tools that causes faults; `None` for any other.
fn known(words: &[String]) -> Option<Vec<String>> {
    let shown = |id: &str, value: &str| match id {
        // A command of the user's own.
        "primaries" => Some(Record::Known.text(value)),
        _ => Some(value.to_string()),
    };
    let parser = match words.first()?.as_str() {
        "partition" => partition::cli::Cli::command(),
        "slownet" => slownet::cli::Cli::command(),
        "lxc-fleet" => lxc_fleet::cli::Cli::command(),
        _ => return None,
    };
    parsed(parser, words, &shown)
}

/// The name of a program, and [`LEFT_OUT`] for its arguments.
pub fn name_alone(words: &[String]) -> Vec<String> {
    let (name, rest) = words.split_first().map_or(("", words), |(name, rest)| (name, rest));
    let left_out = (!rest.is_empty()).then_some(LEFT_OUT);
    std::iter::once(name).chain(left_out).map(String::from).collect()
}

/// A value as it is shown, by the id of its argument; `None` leaves the argument out.
pub type Shown<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// Subcommands whose arguments are the user's own: what `lxc-fleet exec` runs, and what `push` copies.
const OF_USERS: [&str; 2] = ["exec", "push"];

/// A command line written anew from what the parser found in it; `None` if it finds the line wrong, or
/// if its subcommand is one of [`OF_USERS`].
pub fn parsed(mut parser: Command, words: &[String], shown: Shown) -> Option<Vec<String>> {
    parser.build();
    let matches = parser.clone().try_get_matches_from(words).ok()?;
    let mut line = vec![parser.get_name().to_string()];
    let (mut level, mut at) = (&parser, &matches);
    loop {
        let below = at.subcommand();
        line.extend(arguments(level, at, below.is_some(), shown));
        let Some((name, further)) = below else { return Some(line) };
        if OF_USERS.contains(&name) {
            return None;
        }
        line.push(name.to_string());
        (level, at) = (level.find_subcommand(name)?, further);
    }
}

/// The arguments of one level of subcommands, in the order in which they were given.
fn arguments(level: &Command, found: &ArgMatches, has_below: bool, shown: Shown) -> Vec<String> {
    let mut placed: Vec<(usize, Vec<String>)> = level
        .get_arguments()
        // Those are found at every level; they are written at the last.
        .filter(|arg| !(has_below && arg.is_global_set()))
        .filter(|arg| found.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
        .flat_map(|arg| occurrences(arg, found, shown))
        .collect();
    placed.sort_by_key(|(index, _)| *index);
    placed.into_iter().flat_map(|(_, words)| words).collect()
}

/// Where an argument was given, and the words that give it again.
fn occurrences(arg: &Arg, found: &ArgMatches, shown: Shown) -> Vec<(usize, Vec<String>)> {
    let id = arg.get_id().as_str();
    let indices: Vec<usize> = found.indices_of(id).into_iter().flatten().collect();
    let flag = arg
        .get_long()
        .map(|long| format!("--{long}"))
        .or_else(|| arg.get_short().map(|short| format!("-{short}")));
    if !takes_values(arg) {
        let count =
            if let ArgAction::Count = arg.get_action() { found.get_count(id).into() } else { 1 };
        let first = indices.first().copied().unwrap_or_default();
        let flags = flag.filter(|_| shown(id, "").is_some());
        return flags.map(|flag| (first, vec![flag; count])).into_iter().collect();
    }
    let values = found.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy());
    let values = values.filter_map(|value| shown(id, &value));
    indices
        .into_iter()
        .zip(values)
        .map(|(index, value)| match &flag {
            // So that it is not taken for a flag.
            Some(flag) if value.starts_with('-') => (index, vec![format!("{flag}={value}")]),
            Some(flag) => (index, vec![flag.clone(), value]),
            None => (index, vec![value]),
        })
        .collect()
}

fn takes_values(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        Record::Known.text(text)
    }

    #[test]
    fn the_commands_of_our_own_tools_are_recorded_whole() {
        for text in [
            "partition cut isolate n1,n2 --nodes n1..n5 --first 4s --for 12s",
            "partition cut random-halves --nodes db1=ssh:root@192.0.2.3,db2=netns:blue --every 30s --for 10s",
            "partition cut grudge - --nodes n1..n3",
            "partition replay history.jsonl --nodes n1..n5",
            "slownet set --delay 80ms --jitter 20ms --nodes n1..n5 --for 10s",
            "lxc-fleet kill n1 --for 5s",
            // A node, and not the subcommand of this name.
            "lxc-fleet kill exec --for 5s",
        ] {
            assert_eq!(line(text), text);
        }
        assert_eq!(
            line("partition cut halves -n n1..n5 -v"),
            "partition cut halves --nodes n1..n5 --verbose"
        );
    }

    #[test]
    fn of_any_other_command_the_name_alone_is_recorded() {
        for (text, shown) in [
            ("redis-cli -a hunter2", "redis-cli ..."),
            ("mysql -phunter2", "mysql ..."),
            ("env DB_PASS=hunter2 partition cut halves", "env ..."),
            ("./break-it", "./break-it"),
            ("lxc-fleet exec n1 -- redis-cli -a hunter2", "lxc-fleet ..."),
            ("lxc-fleet -v push hunter2 n1:/etc/password", "lxc-fleet ..."),
            // Not a command line of the tool, whatever it is.
            ("partition cut halves --password hunter2", "partition ..."),
            ("partition cut halves -n n1 'hunter2 --x", "..."),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn a_command_within_a_command_is_judged_by_itself() {
        let inner = "partition cut primaries --nodes n1..n3 --primaries";
        assert_eq!(
            line(&format!("{inner} 'redis-cli -a hunter2 role'")),
            format!("{inner} 'redis-cli ...'")
        );
    }
}
