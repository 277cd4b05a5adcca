//! The bed's own terminal is a real one: a key reaches what runs at it.

use std::time::Duration;

use breakit_tests::pty::Terminal;

#[test]
fn an_interrupt_key_reaches_every_process_of_a_pipeline() {
    let limit = Duration::from_secs(10);
    let mut terminal = Terminal::start(
        "(trap 'echo first' INT; echo up; sleep 9; :) | (trap 'echo second >&2' INT; cat)",
    );
    terminal.wait_for("up", limit);
    terminal.press("\x03");
    let (_, screen) = terminal.end(limit);
    assert!(screen.contains("second"), "{screen}");
}
