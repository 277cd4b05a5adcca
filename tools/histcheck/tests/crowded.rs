//! Registers with a hundred operations open at once, over five values: each can be explained in very many ways.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::process::Command;

use breakit_tests::Random;
use breakit_tests::process::{Run, run_with};

const VALUES: u32 = 5;

/// An open operation; `outcome` once it took effect.
struct Open {
    f: &'static str,
    argument: String,
    cas: (u32, u32),
    outcome: Option<(&'static str, String)>,
}

/// Processes that always have an operation open on a register.
struct Crowd {
    random: Random,
    holds: u32,
    text: String,
}

impl Crowd {
    fn line(&mut self, process: usize, kind: &str, f: &str, value: &str) {
        writeln!(self.text, r#"{{"process":{process},"type":"{kind}","f":"{f}","value":{value}}}"#)
            .unwrap();
    }

    fn invoke(&mut self, process: usize) -> Open {
        let cas = (self.random.below(VALUES), self.random.below(VALUES));
        let (f, argument) = match self.random.below(3) {
            0 => ("read", "null".to_string()),
            1 => ("write", cas.1.to_string()),
            _ => ("cas", format!("[{},{}]", cas.0, cas.1)),
        };
        self.line(process, "invoke", f, &argument);
        Open { f, argument, cas, outcome: None }
    }

    fn take_effect(&mut self, open: &mut Open) {
        let is_done = open.f != "cas" || open.cas.0 == self.holds;
        if open.f != "read" && is_done {
            self.holds = open.cas.1;
        }
        let value = if open.f == "read" { self.holds.to_string() } else { open.argument.clone() };
        open.outcome = Some((if is_done { "ok" } else { "fail" }, value));
    }

    /// A history of so many operations, which begins with a write and ends with two reads one after the other.
    fn history(processes: usize, operations: usize, is_false_at_the_end: bool) -> String {
        let mut crowd = Crowd { random: Random(0x5eed), holds: 0, text: String::new() };
        crowd.line(processes, "invoke", "write", "0");
        crowd.line(processes, "ok", "write", "0");
        let mut open: Vec<Option<Open>> =
            (0..processes).map(|process| Some(crowd.invoke(process))).collect();
        let mut begun = processes;
        while open.iter().any(Option::is_some) {
            let process = crowd.random.index(processes);
            let Some(one) = &mut open[process] else { continue };
            let Some((kind, value)) = one.outcome.clone() else {
                crowd.take_effect(one);
                continue;
            };
            let f = one.f;
            crowd.line(process, kind, f, &value);
            open[process] = (begun < operations).then(|| crowd.invoke(process));
            begun += 1;
        }
        let seen = [crowd.holds, (crowd.holds + u32::from(is_false_at_the_end)) % VALUES];
        for value in seen {
            crowd.line(processes, "invoke", "read", "null");
            crowd.line(processes, "ok", "read", &value.to_string());
        }
        crowd.text
    }
}

fn linear(history: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    let args = ["linear", "--model", "cas-register", "--timeout", "40s"];
    run_with(command.args(args), history)
}

#[test]
fn a_hundred_open_operations_on_a_cas_register_are_decided() {
    let run = linear(&Crowd::history(100, 10_000, false));
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("decided by search"), "{}", run.stdout);
}

#[test]
fn two_reads_of_two_values_after_a_crowd_of_fifty_are_a_violation() {
    let run = linear(&Crowd::history(50, 10_000, true));
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("not linearizable"), "{}", run.stdout);
}
