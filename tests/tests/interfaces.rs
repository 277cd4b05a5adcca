//! Help, manual pages, completions and README say the same of every tool.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use breakit::exit::Status;
use breakit_tests::Folder;
use breakit_tests::process::{run, shell, tool};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn parsers() -> [Command; 5] {
    [
        lxc_fleet::cli::Cli::command(),
        partition::cli::Cli::command(),
        slownet::cli::Cli::command(),
        workload::cli::Cli::command(),
        histcheck::cli::Cli::command(),
    ]
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn page(name: &str) -> String {
    text(&format!("man/{name}.1"))
}

/// The command itself and all below it, as `partition cut`.
fn all_commands(command: &Command) -> Vec<(String, Command)> {
    let mut found = vec![(command.get_name().to_string(), command.clone())];
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        for (name, below) in all_commands(sub) {
            found.push((format!("{} {name}", command.get_name()), below));
        }
    }
    found
}

fn visible_flags(command: &Command) -> BTreeSet<String> {
    let flags = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let names = |arg: &clap::Arg| {
        let other = arg.get_visible_aliases().unwrap_or_default();
        arg.get_long().into_iter().chain(other).map(str::to_string).collect::<Vec<_>>()
    };
    flags.flat_map(names).collect()
}

#[test]
fn completions_are_what_the_parsers_say() {
    for mut command in parsers() {
        let name = command.get_name().to_string();
        for (shell, file) in [
            (Shell::Bash, format!("{name}.bash")),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let mut made = Vec::new();
            clap_complete::generate(shell, &mut command, &name, &mut made);
            let path = root().join("completions").join(&file);
            if std::env::var_os("BLESS").is_some() {
                fs::write(&path, &made).unwrap();
            }
            let kept = fs::read(&path).unwrap_or_default();
            assert!(kept == made, "completions/{file} is stale; run make completions");
        }
    }
}

#[test]
fn every_flag_and_subcommand_stands_in_the_manual_page() {
    for parser in parsers() {
        let name = parser.get_name().to_string();
        let page = page(&name);
        let mut missing = BTreeSet::new();
        for (path, command) in all_commands(&parser) {
            for flag in visible_flags(&command) {
                // mdoc writes --for as "Fl -for".
                let written = format!("Fl -{flag}");
                let whole = |at: usize| {
                    !page[at + written.len()..]
                        .starts_with(|c: char| c.is_alphanumeric() || c == '-')
                };
                if !page.match_indices(&written).any(|(at, _)| whole(at)) {
                    missing.insert(format!("{path} --{flag}"));
                }
            }
            if path.contains(' ') && !command.is_hide_set() && !page.contains(command.get_name()) {
                missing.insert(path);
            }
        }
        assert!(missing.is_empty(), "man/{name}.1 says nothing of {missing:?}");
    }
}

#[test]
fn every_model_and_every_check_has_its_section_in_the_manual_page() {
    let page = page("histcheck").replace(": Ns Ar N", ":N");
    for model in histcheck::linear::models::all() {
        let item = format!("\n.It Cm {}\n", model.form());
        assert!(page.contains(&item), "histcheck(1) has no section on the model {}", model.name);
    }
    for check in histcheck::checks::CHECKS {
        let item = format!(".It Cm {}\n", check.name);
        assert!(page.contains(&item), "histcheck(1) has no section on the check {}", check.name);
        let folder = root().join("tests/histories").join(check.name);
        let has_histories = folder.is_dir() || ["stats", "verify"].contains(&check.name);
        assert!(has_histories, "no histories for the check {}: {}", check.name, folder.display());
    }
}

/// What a flag takes: the name of its value, whether it may be given several times, and its short form.
fn takes(arg: &clap::Arg) -> String {
    let values: Vec<&str> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let values = if arg.get_action().takes_values() { values.join(" ") } else { "nothing".into() };
    let short = arg.get_short().map_or(String::new(), |short| format!(", -{short}"));
    format!("{values}{short}")
}

/// Flags whose values are of different kinds: operations a second and bits a second; the format that a history is
/// converted to and the peers that packets go to; the prefix of keys and whether names have one.
const DIFFERENT: [&str; 3] = ["rate", "to", "prefix"];

#[test]
fn a_flag_of_one_name_takes_the_same_in_every_tool() {
    let mut known: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for tool in parsers() {
        for (_, command) in all_commands(&tool) {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let Some(name) = arg.get_long() else { continue };
                let tools = known.entry(name.into()).or_default().entry(takes(arg)).or_default();
                tools.insert(tool.get_name().into());
            }
        }
    }
    for (name, meanings) in known {
        let tools: BTreeSet<&String> = meanings.values().flatten().collect();
        let is_alike = tools.len() < 2 || meanings.len() == 1;
        assert!(is_alike || DIFFERENT.contains(&name.as_str()), "--{name}: {meanings:?}");
    }
}

#[test]
fn the_manual_says_how_long_evidence_is_looked_for() {
    let seconds = histcheck::linear::evidence::PATIENCE.as_secs();
    let said = format!("could not be established within {seconds} seconds");
    assert!(page("histcheck").contains(&said), "histcheck(1) does not say: {said}");
}

#[test]
fn the_manual_page_names_no_flag_that_is_not_there() {
    for parser in parsers() {
        let name = parser.get_name().to_string();
        let mut known: BTreeSet<String> = ["help", "version"].map(String::from).into();
        for (_, command) in all_commands(&parser) {
            known.extend(visible_flags(&command));
        }
        for (at, _) in page(&name).match_indices("Fl -") {
            let page = page(&name);
            let flag: String =
                page[at + 4..].chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
            assert!(
                known.contains(flag.trim_end_matches('-')),
                "man/{name}.1: --{flag} is no flag of {name}"
            );
        }
    }
}

#[test]
fn every_manual_page_has_the_exit_statuses_of_the_library() {
    for parser in parsers() {
        let name = parser.get_name().to_string();
        let page = page(&name);
        let section = page.split(".Sh EXIT STATUS").nth(1).unwrap_or_default();
        let section = section.split("\n.Sh ").next().unwrap_or_default();
        let listed: Vec<u8> = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It ")?.trim().parse().ok())
            .collect();
        let codes: Vec<u8> = Status::TABLE.iter().map(|(status, _)| status.code()).collect();
        assert_eq!(listed, codes, "man/{name}.1, EXIT STATUS");
    }
}

/// Pages of ours that others cite, with the names under which they are installed.
#[test]
fn a_page_of_ours_is_cited_under_the_name_that_it_is_installed_with() {
    let install = text("scripts/install");
    assert!(install.contains("man5/breakit-history.5") && install.contains("man7"), "{install}");
    let pages = fs::read_dir(root().join("man")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let cited = text.lines().filter_map(|line| line.split_once("Xr ").map(|(_, name)| name));
        let other = cited.filter(|name| name.starts_with("history ")).count();
        assert_eq!(other, 0, "{}: history(5) is installed as breakit-history(5)", page.display());
    }
}

#[test]
fn every_manual_page_has_all_its_sections_in_order() {
    for parser in parsers() {
        let page = page(parser.get_name());
        let sections: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix(".Sh ")).collect();
        let wanted = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "INPUT",
            "OUTPUT",
            "EXIT STATUS",
            "SIGNALS",
            "EXAMPLES",
            "SEE ALSO",
        ];
        let found: Vec<&str> = sections.iter().copied().filter(|s| wanted.contains(s)).collect();
        assert_eq!(found, wanted, "man/{}.1", parser.get_name());
    }
}

/// The command lines of a page's EXAMPLES: its `.Dl` lines and the lines of its `.Bd` blocks, continued ones joined.
fn examples(page: &str) -> Vec<String> {
    let section = page.split(".Sh EXAMPLES").nth(1).unwrap_or_default();
    let section = section.split("\n.Sh ").next().unwrap_or_default().replace("\\e\n", " ");
    let mut block = false;
    let mut found = Vec::new();
    for line in section.lines() {
        match line {
            _ if line.starts_with(".Bd") => block = true,
            _ if line.starts_with(".Ed") => block = false,
            _ if block => found.push(line.to_string()),
            _ => found.extend(line.strip_prefix(".Dl ").map(str::to_string)),
        }
    }
    found.into_iter().map(|line| line.replace("\\&", "").replace("\\-", "-")).collect()
}

/// The simple commands of a shell line that are ours, as words; quoted parts stay whole.
fn our_commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut quote = None;
    let mut started = false;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, started) = (Some(c), true),
            (None, ' ' | '|' | ';' | '&' | '>') => {
                if started || !word.is_empty() {
                    commands.last_mut().unwrap().push(std::mem::take(&mut word));
                }
                started = false;
                if c != ' ' {
                    commands.push(Vec::new());
                }
            }
            (None, c) => word.push(c),
        }
    }
    if started || !word.is_empty() {
        commands.last_mut().unwrap().push(word);
    }
    let names: Vec<String> = parsers().iter().map(|parser| parser.get_name().to_string()).collect();
    commands.retain(|words| words.first().is_some_and(|word| names.contains(word)));
    commands
}

#[test]
fn every_example_of_the_manual_pages_and_the_readme_is_a_command_line_that_its_tool_takes() {
    let mut sources: Vec<(String, Vec<String>)> = Vec::new();
    for name in ["lxc-fleet", "partition", "slownet", "workload", "histcheck"] {
        sources.push((format!("man/{name}.1"), examples(&page(name))));
    }
    for file in ["man/breakit.7", "man/history.5"] {
        sources.push((file.into(), examples(&text(file))));
    }
    let readme = text("README.md").replace("\\\n", " ");
    let code =
        readme.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_string).collect();
    sources.push(("README.md".into(), code));
    for (source, lines) in sources {
        let commands: Vec<_> = lines.iter().flat_map(|line| our_commands(line)).collect();
        assert!(source.ends_with('5') || !commands.is_empty(), "{source} has no example");
        for words in commands {
            let parser = parsers().into_iter().find(|p| p.get_name() == words[0]).unwrap();
            if let Err(error) = parser.try_get_matches_from(&words) {
                panic!("{source}: {words:?}\n{error}");
            }
        }
    }
}

#[test]
fn every_example_that_needs_nothing_but_the_built_in_store_runs() {
    let folder = Folder::new("examples");
    let mut count = 0;
    for name in ["workload", "histcheck"] {
        for line in examples(&page(name)) {
            if !line.contains("--client mem")
                || line.contains("lxc-fleet")
                || line.contains(" cut ")
            {
                continue;
            }
            let done = run(shell(&line).current_dir(folder.path()));
            assert!([0, 1].contains(&done.status), "man/{name}.1: {line}\n{done:?}");
            count += 1;
        }
    }
    assert!(count >= 2, "the pages have {count} examples that anybody can run at once");
}

#[test]
fn every_tool_answers_help_and_version_on_stdout_and_wrong_usage_on_stderr() {
    for parser in parsers() {
        let name = parser.get_name().to_string();
        let help = run(tool(&name).arg("--help")).expect(0);
        assert!(help.stdout.contains("Usage:") && help.stderr.is_empty(), "{name}: {help:?}");
        let version = run(tool(&name).arg("--version")).expect(0);
        assert_eq!(version.stdout, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        let wrong = run(tool(&name).arg("--no-such-flag")).expect(64);
        assert!(wrong.stdout.is_empty());
        assert!(wrong.stderr.starts_with(&format!("{name}: ")), "{}", wrong.stderr);
        assert_eq!(wrong.stderr.lines().count(), 1, "one sentence: {}", wrong.stderr);
    }
}
