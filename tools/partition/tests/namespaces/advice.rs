//! Commands that messages name work as they are printed.

use std::os::unix::process::CommandExt;
use std::process::Command;

use breakit_tests::Namespaces;
use breakit_tests::process::{Run, run, tool};

use crate::bed::*;

/// The commands that a message has in brackets, without our own name for help.
fn commands(stderr: &str) -> Vec<String> {
    let inside = stderr.split('(').skip(1).filter_map(|rest| rest.split(')').next());
    let named = |text: &str| {
        let text = text.strip_prefix("see ").unwrap_or(text);
        text.starts_with("partition ").then(|| text.to_string())
    };
    inside.filter_map(named).collect()
}

/// Runs a command as it was printed, on the test's host, where no fleet is up.
fn as_printed(bed: &Namespaces, command: &str) -> Run {
    let folder = std::path::Path::new(tool("partition").get_program()).parent().unwrap().to_owned();
    let mut shell = bed.shell(command);
    shell
        .env("BREAKIT_FLEET", "no-such-fleet")
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()));
    run(&mut shell)
}

#[test]
fn commands_in_place_of_a_wrong_one_work_as_they_are_printed() {
    let bed = bed!(2);
    for wrong in ["", "lst", "isolat n1 --for 100ms", "halves", "chek --table", "probe --sideways"]
    {
        let mut command = bed.tool("partition");
        command
            .env("BREAKIT_FLEET", "no-such-fleet")
            .args(wrong.split(' ').filter(|w| !w.is_empty()));
        if !wrong.is_empty() {
            command.args(["-n", &bed.spec()]);
        }
        let refused = run(&mut command).expect(64);
        let commands = commands(&refused.stderr);
        assert!(!commands.is_empty(), "{wrong}: {}", refused.stderr);
        for command in commands {
            match command.contains("cut halves") {
                // It lasts until a signal.
                true => as_printed(&bed, &format!("timeout 2 {command}")).expect(124),
                false => as_printed(&bed, &command).expect(0),
            };
        }
    }
    assert_eq!(rules(&bed, 2), "");
}

#[test]
fn who_is_not_root_can_try_it_out_as_the_message_says() {
    let nobody = |program: &std::ffi::OsStr| {
        let mut command = Command::new(program);
        command.uid(65534).gid(65534).env("BREAKIT_FLEET", "no-such-fleet").current_dir("/");
        command
    };
    let partition = tool("partition").get_program().to_owned();
    let refused = run(nobody(&partition).arg("list")).expect(77).stderr;
    let advice = refused.trim().rsplit(": ").next().unwrap();
    let mut words = advice.split(' ');
    let mut shell = nobody(words.next().unwrap().as_ref());
    shell.args(words).arg("true");
    if run(&mut shell).status != 0 {
        breakit_tests::skip!("this host lets nobody make namespaces who is not root");
    }
    let mut shell = nobody("unshare".as_ref());
    let tried = shell.args(["-Urnm".as_ref(), partition.as_os_str()]).args([
        "cut",
        "--from",
        "192.0.2.1",
        "--for",
        "100ms",
    ]);
    let lines = run(tried).expect(0).lines();
    assert_eq!(lines[0]["f"], "start-partition", "{lines:?}");
}
