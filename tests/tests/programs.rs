//! `scripts/deps` installs every program that the tests call.
//!
//! A program counts if it is in command position somewhere in the tests' sources and scripts, and Debian's packages
//! on this machine have it: on the machine of whoever adds a call it is installed, or the new test would not pass.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use breakit_tests::skip;

/// Words that stand where a command could, and are something else: English, an argument, a builtin of the shell.
const NOT_RUN: [&str; 17] = [
    "as", "at", "bc", "column", "count", "file", "from", "link", "look", "node", "not", "open",
    "route", "time", "unzip", "write", "zstd",
];

/// What every user of Rust has, and the README asks for.
const PREREQUISITES: [&str; 2] = ["git", "make"];

/// Programs that run what their arguments name, so that any word behind them may be a command.
const RUNNERS: [&str; 15] = [
    "exec", "sudo", "env", "timeout", "xargs", "unshare", "nsenter", "chroot", "command", "nohup",
    "setsid", "time", "nice", "watch", "--",
];

/// Words of the shell behind which a command begins.
const OPENERS: [&str; 10] =
    ["then", "do", "else", "elif", "if", "while", "until", "!", "{", "trap"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The programs and the packages of the lists in `scripts/deps`, `[program]=package`.
fn installed_by_deps() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("scripts/deps")).unwrap();
    let entries = text.split('[').skip(1).filter_map(|rest| rest.split_once("]="));
    let package = |value: &str| {
        value.split(|c: char| c.is_whitespace() || c == ')').next().unwrap().to_string()
    };
    entries.flat_map(|(name, value)| [name.to_string(), package(value)]).collect()
}

/// Which package has which program, by dpkg's lists; those that every Debian has are left out.
fn programs_of_packages(dpkg: &Path) -> BTreeMap<String, String> {
    let status = fs::read_to_string(dpkg.join("status")).unwrap();
    let everywhere = required(&status);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dpkg.join("info")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(package) = name.strip_suffix(".list") else { continue };
        let package = package.split(':').next().unwrap();
        if everywhere.contains(package) {
            continue;
        }
        for file in fs::read_to_string(&path).unwrap().lines() {
            let Some((folder, program)) = file.rsplit_once('/') else { continue };
            if ["bin", "sbin"].iter().any(|bin| folder.ends_with(&format!("/{bin}"))) {
                found.insert(program.to_string(), package.to_string());
            }
        }
    }
    found
}

/// The packages that are essential, or of priority required.
fn required(status: &str) -> BTreeSet<&str> {
    let everywhere = ["Essential: yes", "Priority: required"];
    let of_all = |paragraph: &&str| paragraph.lines().any(|line| everywhere.contains(&line));
    let paragraphs = status.split("\n\n").filter(of_all);
    paragraphs
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("Package: ")))
        .collect()
}

/// The words of a shell's text that may be the name of a program to run.
fn called_by_shell(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let spaced: String = line
            .chars()
            .flat_map(|c| match c {
                ';' | '|' | '&' | '(' | ')' | '`' | '\'' | '"' => vec![' ', ';', ' '],
                c => vec![c],
            })
            .collect();
        let (mut begins, mut any) = (true, false);
        for word in spaced.split_whitespace() {
            let name = word.rsplit('/').next().unwrap();
            match word {
                ";" => (begins, any) = (true, false),
                _ if OPENERS.contains(&word) => begins = true,
                // A variable for one command.
                _ if begins && word.contains('=') => {}
                _ => {
                    if begins || any {
                        found.insert(name.to_string());
                    }
                    (begins, any) = (false, any || RUNNERS.contains(&name));
                }
            }
        }
    }
    found
}

/// The string literals of Rust, each with the code before it in its statement.
fn literals(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = source;
    let mut before = String::new();
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            let end = raw.find("\"#").unwrap_or(raw.len());
            found.push((before.clone(), raw[..end].to_string()));
            rest = raw.get(end + 2..).unwrap_or_default();
        } else if let Some(text) = rest.strip_prefix('"') {
            let (literal, after) = quoted(text);
            found.push((before.clone(), literal.clone()));
            before += &format!("\"{literal}\"");
            rest = after;
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest = &rest[rest[1..].find('\'').unwrap_or(0) + 2..];
        } else {
            if matches!(c, ';' | '{' | '}') {
                before.clear()
            } else {
                before.push(c)
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// The inside of a literal, its escapes undone as far as a shell would notice, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let (mut literal, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (literal, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => literal.push('\n'),
                // A line that goes on.
                Some((_, '\n')) => literal.push(' '),
                Some((_, other)) => literal.push(other),
                None => {}
            },
            c => literal.push(c),
        }
    }
    (literal, "")
}

/// What Rust code runs: programs that are named alone, and what its scripts run.
fn called_by_rust(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (before, literal) in literals(source) {
        let is_script = literal.contains(char::is_whitespace);
        let runs =
            ["Command::new(", "has(", ".at(", "host(", "exec", "\"--\"", "unshare", "nsenter"];
        if is_script {
            found.extend(called_by_shell(&literal));
        } else if runs.iter().any(|call| before.contains(call)) {
            found.insert(literal.rsplit('/').next().unwrap().to_string());
        }
    }
    found
}

fn files(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true if ["histories", "corpus"].contains(&name.as_str()) => {}
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// What the tests call, each with a file that does.
fn called() -> BTreeMap<String, PathBuf> {
    let mut sources = Vec::new();
    files(&root().join("tests"), &mut sources);
    files(&root().join("scripts"), &mut sources);
    files(&root().join("benches/tests"), &mut sources);
    for tool in fs::read_dir(root().join("tools")).unwrap() {
        let tool = tool.unwrap().path();
        for below in ["tests", "src"] {
            let folder = tool.join(below);
            if folder.is_dir() {
                files(&folder, &mut sources);
            }
        }
    }
    let mut all = BTreeMap::new();
    for path in sources {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let called = called_in(&path, &text);
        all.extend(called.into_iter().map(|program| (program, path.clone())));
    }
    all
}

fn called_in(path: &Path, text: &str) -> BTreeSet<String> {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    let is_script =
        text.lines().next().is_some_and(|line| line.starts_with("#!") && line.ends_with("sh"));
    let of_a_tool =
        path.to_string_lossy().contains("/src/") && !path.starts_with(root().join("tests"));
    match text.split_once("#[cfg(test)]") {
        // What a tool itself calls it finds by helper::find, which names the package.
        _ if is_rust && !runs_programs(text) => BTreeSet::new(),
        tests if is_rust && of_a_tool => {
            tests.map_or_else(BTreeSet::new, |(_, tests)| called_by_rust(tests))
        }
        _ if is_rust => called_by_rust(text),
        _ if is_script => called_by_shell(text),
        _ => BTreeSet::new(),
    }
}

/// Whether it runs anything at all; other tests have much English in their literals.
fn runs_programs(source: &str) -> bool {
    ["Command::new(", "shell(", ".sh(", ".at(", "host("].iter().any(|call| source.contains(call))
}

#[test]
fn deps_installs_what_the_tests_call() {
    let dpkg = Path::new("/var/lib/dpkg");
    if !dpkg.join("status").exists() {
        skip!("this system has no dpkg, which knows what packages programs come from");
    }
    let (known, programs) = (installed_by_deps(), programs_of_packages(dpkg));
    let missing: Vec<String> = called()
        .into_iter()
        .filter(|(name, _)| !NOT_RUN.contains(&name.as_str()))
        .filter(|(name, _)| !PREREQUISITES.contains(&name.as_str()))
        .filter_map(|(name, path)| Some((programs.get(&name)?, name, path)))
        .filter(|(package, name, _)| !known.contains(*package) && !known.contains(name))
        .map(|(package, name, path)| format!("[{name}]={package} for {}", path.display()))
        .collect();
    assert!(
        missing.is_empty(),
        "add these to scripts/deps, or to NOT_RUN here if they are not run: {missing:#?}"
    );
}

#[test]
fn a_new_call_of_a_program_is_found_wherever_it_stands() {
    let calls = |source: &str| {
        assert!(called_by_rust(source).contains("frob"), "{source}");
    };
    calls(r#"run(Command::new("frob").args(["-x"]))"#);
    calls(r#"run(&mut Command::new("/usr/sbin/frob"))"#);
    calls(r#"if !has("frob") { skip!("x") }"#);
    calls(r#"bed.at(1, "frob").output()"#);
    calls(r#"fleet.run(&["exec", "n1", "--", "frob", "-q"])"#);
    calls("fleet.run(&[\n\"exec\",\n\"n1\",\n\"--\",\n\"frob\",\n])");
    calls(r#"fleet.sh("n1", "frob -q | cat")"#);
    calls(r#"shell(&format!("cat x | frob -c"))"#);
    calls(r#"sh("cd /x && LC_ALL=C frob -c")"#);
    calls(r#"sh("for i in 1 2; do frob $i; done")"#);
    calls(r#"sh("x=$(frob y); echo $x")"#);
    calls(r#"sh("ip netns exec {name} frob -c 1")"#);
    calls(r#"sh("timeout 5 frob")"#);
    calls("let script = \"set -e\\n\\\n     frob x\\n\";");
    calls("let script = r#\"\n    set -e\n    frob x\n\"#;");
    assert!(called_by_shell("# frob\necho frob\n[ -e x ] && cat frob").iter().all(|w| w != "frob"));
    assert!(!called_by_rust("// run(\"frob x\")\nlet x = \"frob\";").contains("frob"));
}

#[test]
fn the_lists_of_deps_and_dpkg_are_read() {
    let known = installed_by_deps();
    for package in ["lxc", "nftables", "iputils-ping", "procps", "parallel", "openssh-client"] {
        assert!(known.contains(package), "{package}: {known:?}");
    }
    let status = "Package: a\nEssential: yes\n\nPackage: b\nPriority: optional\n\nPackage: c\nPriority: required\n";
    assert_eq!(required(status), BTreeSet::from(["a", "c"]));
}
