//! What each model lists of itself is what `histcheck` does.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

use breakit_tests::process::run_with;
use histcheck::linear::models;
use histcheck::linear::specification::{Argument, Operation, Specification};

/// A name that the command line takes.
fn name(model: &Specification) -> String {
    model.form().replace(":N", ":2")
}

/// What `histcheck` writes about a history of one operation.
fn about(model: &Specification, word: &str, argument: &str) -> String {
    let event =
        |kind: &str| format!(r#"{{"process":0,"type":"{kind}","f":"{word}","value":{argument}}}"#);
    let history = format!("{}\n{}\n", event("invoke"), event("info"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    run_with(command.args(["linear", "--model", &name(model)]), &history).stderr
}

#[test]
fn a_model_has_the_operations_that_it_lists_and_no_others() {
    let words: BTreeSet<&str> =
        models::all().flat_map(|model| model.operations).map(|operation| operation.word).collect();
    for model in models::all() {
        assert!(!model.operations.is_empty(), "{} lists no operation", model.name);
        for word in &words {
            let is_listed = model.operations.iter().any(|operation| operation.word == *word);
            let is_refused = about(model, word, "null").contains("has no operation");
            assert_eq!(is_refused, !is_listed, "{}: {word}", model.name);
        }
    }
}

#[test]
fn a_model_takes_null_for_an_argument_where_it_lists_that_it_does() {
    for model in models::all() {
        for Operation { word, argument, changes } in model.operations {
            let is_refused = !about(model, word, "null").is_empty();
            let is_needed = *argument == Argument::Required { may_be_null: false };
            assert_eq!(is_refused, is_needed && *changes, "{}: {word}", model.name);
        }
    }
}

#[test]
fn each_model_has_a_name_and_a_line_of_its_own() {
    let all: Vec<&Specification> = models::all().collect();
    let names: BTreeSet<&str> = all.iter().map(|model| model.name).collect();
    let lines: BTreeSet<&str> = all.iter().map(|model| model.doc).collect();
    assert_eq!((names.len(), lines.len()), (all.len(), all.len()));
}
