//! A person at a terminal, with a program in a node.

use breakit_tests::pty::Terminal;

use crate::bed::{Fleet, SOON, fleet, until};

/// A shell at a terminal, in which `line` runs; it says at the end with which status.
fn terminal(fleet: &Fleet, line: &str) -> Terminal {
    let line = line.replace("TOOL", env!("CARGO_BIN_EXE_lxc-fleet"));
    Terminal::start(&format!(
        "export BREAKIT_FLEET={} PS1=; {line}; echo status=$?; sleep 600",
        fleet.name
    ))
}

#[test]
fn a_shell_in_a_node_has_a_terminal_of_its_own_with_the_keys_and_the_size_of_ours() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let mut shell = terminal(&fleet, "stty rows 33 cols 77; TOOL exec -i n1 -- sh");
    until("the terminal is raw", SOON, || !shell.is_cooked());
    let mut type_and_see = |keys: &str, shown: &str| {
        shell.press(keys);
        shell.wait_for(shown, SOON);
    };
    type_and_see("tty; stty size\n", "33 77\r\n");
    type_and_see("ls /proc/self/fd | tr '\\n' _\n", "0_1_2_3_");
    // What is shown comes from the program that the key is meant for, and not from the echo of its name.
    type_and_see("sh -c 'printf be%s gun1; exec sleep 4711'\n", "begun1");
    type_and_see("\x03", "^C");
    type_and_see("echo =$?\n", "=130");
    type_and_see("sh -c 'printf be%s gun2; exec sleep 4712'\n", "begun2");
    type_and_see("\x1a", "Stopped");
    type_and_see("kill -9 %1; wait; cat; echo cat=$?\n", "cat=$?");
    type_and_see("\x04", "cat=0");
    shell.resize(50, 120);
    let deadline = std::time::Instant::now() + SOON;
    while !shell.screen().contains("50 120") {
        assert!(std::time::Instant::now() < deadline, "{}", shell.screen());
        shell.press("stty size\n");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let screen = shell.screen();
    assert!(screen.contains("/dev/pts/") && !screen.contains("\r\r\n"), "{screen:?}");
    shell.press("exit 3\n");
    shell.wait_for("status=3", SOON);
    assert!(shell.is_cooked());
}

#[test]
fn the_terminal_is_as_it_was_when_the_node_is_killed_and_when_exec_is_ended() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let shell = terminal(&fleet, "TOOL exec -i n1 -- sh");
    until("the terminal is raw", SOON, || !shell.is_cooked());
    shell.wait_for("# ", SOON);
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(fleet.init("n1")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    shell.wait_for("status=137", SOON);
    assert!(shell.is_cooked());
    drop(shell);

    until("the node has stopped", SOON, || fleet.state("n1") == "stopped");
    fleet.run(&["start", "n1"]).expect(0);
    let shell =
        terminal(&fleet, "TOOL exec -i n1 --timeout 2s -- sh -c 'trap \"\" TERM; sleep 4711'");
    until("the terminal is raw", SOON, || !shell.is_cooked());
    shell.wait_for("status=75", SOON);
    assert!(shell.is_cooked());
    let ended = terminal(&fleet, "timeout --foreground -s TERM 2 TOOL exec -i n1 -- sleep 4711");
    ended.wait_for("status=124", SOON);
    assert!(ended.is_cooked());
    assert_eq!(fleet.sh("n1", "pgrep -x sleep -a | grep 4711"), "");
    let ended = terminal(&fleet, "TOOL exec -i n1 -- sh -c 'kill -TERM $$'");
    ended.wait_for("status=143", SOON);
    assert!(ended.is_cooked());
}

#[test]
fn all_that_a_program_shows_is_shown_and_its_complaints_go_where_the_caller_wants_them() {
    let fleet = fleet!();
    fleet.run(&["up", "n1"]).expect(0);
    let long = terminal(&fleet, "TOOL exec -i n1 -- seq 30000");
    long.wait_for("\r\n30000\r\nstatus=0", SOON);
    let apart = std::env::temp_dir().join(&fleet.name);
    let line = "TOOL exec -i n1 -- sh -c 'echo shown; echo apart >&2; chmod 4777 /proc/self/fd/2'";
    let shell = terminal(&fleet, &format!("{line} 2>{}", apart.display()));
    shell.wait_for("status=0", SOON);
    assert!(!shell.screen().contains("apart\r"), "{}", shell.screen());
    assert_eq!(std::fs::read_to_string(&apart).unwrap(), "apart\n");
    std::fs::remove_file(apart).unwrap();
    // Without -i there is no terminal in the node, ours neither.
    let shell = terminal(&fleet, "TOOL exec n1 -- sh -c 'tty; cat </dev/tty || echo none'");
    shell.wait_for("none", SOON);
    assert!(shell.screen().contains("not a tty"), "{}", shell.screen());
}
