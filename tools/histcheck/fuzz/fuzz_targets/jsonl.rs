//! Lines of JSON: the fast readers and the library agree.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::run("jsonl", data));
