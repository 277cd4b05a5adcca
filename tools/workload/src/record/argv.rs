//! What the first line says of the command line of this run.

use clap::CommandFactory;

use super::commands::{LEFT_OUT, Record, name_alone, parsed};
use crate::cli::Cli;
use crate::clients::options::Options;
use crate::clients::{self, Takes};

/// The command line of this process, `--dry-run` left out: the line that is planned is that of the run.
pub fn argv(record: Record) -> Vec<String> {
    let given: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if record == Record::All {
        return given.into_iter().filter(|word| word != "--dry-run").collect();
    }
    let shown = |id: &str, value: &str| match id {
        "dry_run" => None,
        "client" => Some(client(record, value)),
        "nemesis" => Some(record.text(value)),
        _ => Some(value.to_string()),
    };
    parsed(Cli::command(), &given, &shown).unwrap_or_else(|| name_alone(&given))
}

/// The value of `--client` as the history has it: options that the client knows, and of a command what its `record`
/// allows.
fn client(record: Record, spec: &str) -> String {
    let Some((name, given)) = spec.split_once(':') else { return spec.to_string() };
    if record == Record::All {
        return spec.to_string();
    }
    match clients::named(name).map(|(kind, _)| (kind, &kind.takes)) {
        Ok((_, Takes::Word(_))) => spec.to_string(),
        Ok((_, Takes::Command(_))) => format!("{name}:{}", record.text(given)),
        Ok((kind, Takes::Options(_))) if Options::read(kind, Some(given)).is_ok() => {
            spec.to_string()
        }
        _ => format!("{name}:{LEFT_OUT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_recorded_by_its_name() {
        for (spec, shown) in [
            ("mem:stale", "mem:stale"),
            ("etcd", "etcd"),
            ("exec:./client --token hunter2", "exec:./client ..."),
            ("exec:./client", "exec:./client"),
            ("etcd:serializable,port=1", "etcd:serializable,port=1"),
            ("redis://me:hunter2@db1", "redis:..."),
            ("nosuch:hunter2", "nosuch:..."),
        ] {
            assert_eq!(client(Record::Known, spec), shown);
            assert_eq!(client(Record::All, spec), spec);
        }
    }
}
