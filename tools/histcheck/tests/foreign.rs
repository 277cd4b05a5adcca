//! Inputs that are no history, or none that is read: one sentence names what each is and what to do.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::Command;

use breakit_tests::Folder;
use breakit_tests::process::{Run, run, run_with};

fn histcheck(args: &[&str], input: &str) -> Run {
    run_with(Command::new(env!("CARGO_BIN_EXE_histcheck")).args(args), input)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn what_is_no_text_is_named_with_the_way_out_whatever_format_was_asked_for() {
    let mut tar = vec![0_u8; 1024];
    tar[..11].copy_from_slice(b"history.edn");
    tar[257..262].copy_from_slice(b"ustar");
    let utf_16: Vec<u8> = "{\"process\":0}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let folder = Folder::new("foreign");
    for (name, bytes, said) in [
        ("test.jepsen", b"JEPSEN\0\0\0\x01\0\0".to_vec(), "history.edn"),
        ("store.tar.gz", gzip(&tar), "tar -xOf"),
        ("store.tar", tar, "tar -xOf"),
        ("store.zip", b"PK\x03\x04\x14\0\0\0".to_vec(), "unzip -p"),
        ("latency.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "picture"),
        ("out.jsonl", utf_16.clone(), "iconv -f UTF-16"),
        ("marked.jsonl", [b"\xff\xfe".to_vec(), utf_16].concat(), "iconv -f UTF-16"),
        ("page.html", b"<!DOCTYPE html>\n<html>".to_vec(), "download"),
    ] {
        let file = folder.write(name, &bytes);
        for format in [None, Some("--format=edn"), Some("--format=jsonl"), Some("--format=csv")] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
            let run = run(command.arg("stats").args(format).arg(&file));
            assert_eq!(run.status, 65, "{name}: {}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains(said), "{name}: {}", run.stderr);
            assert!(run.stderr.contains("line 1: column 1: "), "{name}: {}", run.stderr);
            assert_eq!(run.stderr.lines().count(), 1, "{name}: {}", run.stderr);
        }
    }
}

#[test]
fn a_followed_file_that_is_no_text_is_named_too() {
    let folder = Folder::new("followed-foreign");
    let file = folder.write("a.jsonl", b"{\0\"\0p\0r\0\n\0");
    let mut command = Command::new(env!("CARGO_BIN_EXE_histcheck"));
    let run = run(command.args(["linear", "--model", "register", "--follow"]).arg(file));
    assert_eq!(run.status, 65, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("UTF-16"), "{}", run.stderr);
}

#[test]
fn a_table_with_columns_of_other_names_is_told_which_are_missing_and_which_it_has() {
    for (header, missing) in [
        (
            "client,op,key,value,start_time,end_time,status",
            "no columns \"process\" (the client) and \"f\"",
        ),
        ("process;op;type;value", "no column \"f\" (the operation, as read)"),
        ("process,f,value", "no column \"type\" (invoke, ok, fail or info"),
        ("client\tkind\tresult", "no columns \"process\""),
    ] {
        let run = histcheck(&["stats"], &format!("{header}\n0,write,x,1,100,200,ok\n"));
        assert_eq!(run.status, 65, "{}", run.stdout);
        assert!(run.stderr.contains(missing), "{header}: {}", run.stderr);
        let last = header.split([',', ';', '\t']).next_back().unwrap();
        assert!(run.stderr.trim_end().ends_with(last), "{header}: {}", run.stderr);
    }
}

#[test]
fn objects_of_several_lines_are_read_as_jq_prints_them() {
    let event = |kind: &str, f: &str, process: u32, value: &str| {
        format!(
            "{{\n  \"process\": {process},\n  \"type\": \"{kind}\",\n  \"f\": \"{f}\",\n  \"value\": {value}\n}}\n"
        )
    };
    let history = event("invoke", "write", 0, "1")
        + &event("ok", "write", 0, "1")
        + &event("invoke", "read", 1, "null")
        + &event("ok", "read", 1, "2");
    let linear = ["linear", "--model", "register"];
    let run = histcheck(&linear, &history);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("read 2 (line 19)"), "{}", run.stdout);
    let cut = &history[..history.len() - 4];
    assert_eq!(histcheck(&linear, cut).status, 65);
    let run = histcheck(&[&linear[..], &["--lenient"]].concat(), cut);
    assert!(run.stdout.contains("1 cut short"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_verdict_of_jepsen_and_prose_are_named_as_what_they_are() {
    let run = histcheck(&["stats"], "{:valid? false,\n :workload {:valid? false}}\n");
    assert_eq!(run.status, 65, "{}", run.stdout);
    assert!(run.stderr.contains("line 1: column 1: this is a verdict"), "{}", run.stderr);
    let run = histcheck(&["stats"], "Dear reader,\nthis is no history.\n");
    assert_eq!(run.status, 65, "{}", run.stdout);
    assert!(run.stderr.contains("line 1: column 1: not JSON"), "{}", run.stderr);
    assert!(run.stderr.contains("none of the formats that are read"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn other_encodings_are_named_for_what_they_are_by_merge_too() {
    let folder = Folder::new("encodings");
    let verdict = "{\"file\":\"a\",\"check\":\"linear\",\"valid\":true,\"because\":\"x\"}\n";
    let utf_16: Vec<u8> = verdict.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_32: Vec<u8> = verdict.chars().flat_map(|char| (char as u32).to_be_bytes()).collect();
    for (bytes, said) in [(utf_16, "iconv -f UTF-16"), (utf_32, "iconv -f UTF-32")] {
        let file = folder.write("verdicts", &bytes);
        for command in ["merge", "stats"] {
            let run = run(Command::new(env!("CARGO_BIN_EXE_histcheck")).arg(command).arg(&file));
            assert_eq!(run.status, 65, "{}{}", run.stdout, run.stderr);
            assert!(run.stderr.contains(said), "{command}: {}", run.stderr);
            assert!(
                run.stderr.contains("verdicts, line 1: column 1: "),
                "{command}: {}",
                run.stderr
            );
        }
    }
    assert_eq!(histcheck(&["merge"], verdict).status, 0);
}
