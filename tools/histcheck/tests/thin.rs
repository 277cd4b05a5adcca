//! A verdict of valid that rests on little says so in its sentence and to programs.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use breakit_tests::process::run_with;
use serde_json::{Value, json};

fn done(process: u64, key: Option<u64>, f: &str, kind: &str, value: &str) -> String {
    let key = key.map_or(String::new(), |key| format!("\"key\":{key},"));
    let line = |kind: &str| {
        format!(
            "{{{key}\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n"
        )
    };
    line("invoke") + &line(kind)
}

/// What a valid history's verdict rests on, which `--follow` says as well.
fn few(model: &str, lines: &str) -> Value {
    let judged = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
        command.args(["linear", "--json", "--model", model]).args(more);
        let facts = run_with(&mut command, lines).expect(0).lines().remove(0);
        let says = facts["because"].as_str().unwrap().contains("; this rests on little: ");
        assert_eq!(says, facts["rests_on_little"].is_array(), "{facts}");
        facts["rests_on_little"].clone()
    };
    let whole = judged(&[]);
    assert_eq!(judged(&["--follow"]), whole);
    whole
}

#[test]
fn where_fewer_than_half_of_the_operations_succeeded() {
    let ok: String = (0..15).map(|n| done(n, None, "read", "ok", "null")).collect();
    let failed: String = (15..210).map(|n| done(n, None, "write", "fail", "5")).collect();
    assert_eq!(
        few("register", &(ok.clone() + &failed)),
        json!(["only 15 of 210 operations succeeded"])
    );
    let some: String = (15..30).map(|n| done(n, None, "write", "fail", "5")).collect();
    assert_eq!(few("register", &(ok.clone() + &some)), Value::Null);
    // A cas that was refused is an answer.
    let refused: String = (15..210).map(|n| done(n, None, "cas", "fail", "[5,6]")).collect();
    assert_eq!(few("cas-register", &(ok + &refused)), Value::Null);
}

#[test]
fn where_hardly_anything_says_what_the_object_held() {
    let writes: String = (0..40).map(|n| done(n, None, "write", "ok", &n.to_string())).collect();
    let lines = writes + &done(50, None, "read", "ok", "39");
    assert_eq!(
        few("register", &lines),
        json!(["what the object held is known from only 1 of 41 operations"])
    );
}

#[test]
fn where_of_some_keys_nothing_was_checked() {
    let lines = done(0, Some(1), "write", "ok", "5")
        + &done(0, Some(1), "read", "ok", "5")
        + &done(0, Some(2), "write", "ok", "5");
    assert_eq!(
        few("register", &lines),
        json!(["of 1 of 2 keys no operation that succeeded says what they held"])
    );
}
