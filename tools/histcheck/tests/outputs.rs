//! Files that are written: never over one that is read, whole or not at all, and never instead of a verdict.

#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use breakit_tests::process::{Run, run, shell};
use breakit_tests::{Folder, is_root, skip};

const VALID: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}
{"process":0,"type":"ok","f":"write","value":1}
{"process":1,"type":"invoke","f":"read","value":null}
{"process":1,"type":"ok","f":"read","value":1}
"#;
const ORDER: &str = "{\"line\":1}\n{\"line\":3}\n";

fn folder() -> Folder {
    let folder = Folder::new("outputs");
    folder.write("a.jsonl", VALID);
    folder.write("bad.jsonl", VALID.replace("\"read\",\"value\":1", "\"read\",\"value\":2"));
    folder.write("order", ORDER);
    folder.write("table", "start a\na go * a\n");
    folder
}

#[track_caller]
fn line(folder: &Folder, line: &str) -> Run {
    run(shell(line).current_dir(folder.path()))
}

#[track_caller]
fn text(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.file(name)).unwrap()
}

/// Whatever has no name that a test or a user gave it.
fn leftovers(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("unfinished")).collect()
}

#[test]
fn no_output_goes_over_an_input_whatever_its_names_are() {
    let folder = folder();
    std::fs::hard_link(folder.file("a.jsonl"), folder.file("hard")).unwrap();
    std::os::unix::fs::symlink("a.jsonl", folder.file("soft")).unwrap();
    for command in [
        "histcheck linear --model register --witness a.jsonl a.jsonl",
        "histcheck linear --model register --witness ./a.jsonl a.jsonl",
        "histcheck linear --model register --witness hard a.jsonl",
        "histcheck linear --model register --witness soft a.jsonl",
        "histcheck linear --model register --witness a.jsonl soft",
        "histcheck linear --model register --svg a.jsonl a.jsonl",
        "histcheck linear --model register --svg a.jsonl --follow a.jsonl",
        "histcheck linear --model register --witness a.jsonl <a.jsonl",
        "histcheck linear --model @table --witness table a.jsonl",
        "histcheck linear --model register --witness new --svg new a.jsonl",
        "histcheck linear --model register --witness order --svg order a.jsonl",
        "histcheck linear --model register a.jsonl >>a.jsonl",
        "histcheck linear --model register --follow a.jsonl >>a.jsonl",
        "histcheck linear --model register <a.jsonl >>a.jsonl",
        "histcheck verify --model register --witness order a.jsonl >>order",
        "histcheck stats a.jsonl >>hard",
        "histcheck convert --to edn a.jsonl >>a.jsonl",
        "histcheck split --shards 2 --into shards a.jsonl >>a.jsonl",
        "histcheck merge order >>order",
    ] {
        let run = line(&folder, command).expect(64);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.lines().count()),
            ("", 1),
            "{command}: {run:?}"
        );
        assert_eq!(text(&folder, "a.jsonl"), VALID, "{command}");
        assert_eq!(text(&folder, "order"), ORDER, "{command}");
        assert!(!folder.file("new").exists() && !folder.file("shards").exists(), "{command}");
    }
}

#[test]
fn what_holds_no_data_may_be_read_and_written() {
    let folder = folder();
    line(&folder, "histcheck linear --model register --witness /dev/null a.jsonl").expect(0);
    line(&folder, "histcheck linear --model register --witness /dev/null --svg /dev/null a.jsonl")
        .expect(0);
    line(&folder, "histcheck stats /dev/null >/dev/null").expect(0);
}

#[test]
fn an_order_replaces_an_older_one_at_once_and_keeps_its_mode_and_its_links() {
    let folder = folder();
    let order = folder.file("order");
    std::fs::write(&order, "older").unwrap();
    std::fs::set_permissions(&order, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("order", folder.file("link")).unwrap();
    let before = std::fs::metadata(&order).unwrap();
    let mut reader = std::fs::File::open(&order).unwrap();
    line(&folder, "histcheck linear --model register --witness link a.jsonl").expect(0);
    assert_eq!(text(&folder, "order"), ORDER);
    let after = std::fs::metadata(&order).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_ne!(after.ino(), before.ino(), "made beside it");
    assert!(folder.file("link").is_symlink());
    let mut whole = String::new();
    std::io::Read::read_to_string(&mut reader, &mut whole).unwrap();
    assert_eq!(whole, "older", "a reader of the older one is not disturbed");
    assert_eq!(leftovers(&folder), [""; 0]);
}

/// Puts a link to `victim` in the place of every file that is being made in `folder`, until `stop` says so.
fn swap_what_is_made(folder: &Path, victim: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".unfinished") {
                let _ = std::fs::remove_file(entry.path());
                let _ = std::os::unix::fs::symlink(victim, entry.path());
            }
        }
    }
}

#[test]
fn whoever_owns_the_folder_has_root_give_no_other_file_away() {
    if !is_root() {
        skip!("not root: nobody else's file can be given away");
    }
    let (folder, elsewhere) = (folder(), Folder::new("victim"));
    elsewhere.write("secret", "root's");
    let victim = elsewhere.file("secret");
    let out = folder.file("out");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap_what_is_made(folder.path(), &victim, &stop));
        for _ in 0..200 {
            let _ = std::fs::remove_file(&out);
            folder.write("out", "");
            chown(&out, Some(65534), Some(65534)).unwrap();
            std::fs::set_permissions(&out, Permissions::from_mode(0o666)).unwrap();
            line(&folder, "histcheck linear --model register --witness out a.jsonl");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let found = victim.metadata().unwrap();
    assert_eq!((found.uid(), found.gid()), (0, 0));
    assert_ne!(found.mode() & 0o777, 0o666);
}

#[test]
fn pipes_devices_and_stdout_are_written_where_they_are() {
    let folder = folder();
    let check = "histcheck linear --model register";
    let run =
        line(&folder, &format!("mkfifo pipe; cat pipe & {check} --witness pipe a.jsonl; wait"));
    assert!(run.stdout.contains("{\"line\":1}"), "{run:?}");
    line(&folder, &format!("{check} --witness /dev/stdout a.jsonl >out")).expect(0);
    let out = text(&folder, "out");
    assert!(out.starts_with(ORDER) && out.contains("a.jsonl: linear: valid"), "{out}");
    line(&folder, &format!("{check} --witness link a.jsonl; rm -f link; ln -s new link")).expect(0);
    line(&folder, &format!("{check} --witness link a.jsonl")).expect(0);
    assert_eq!(text(&folder, "new"), ORDER, "a link that led nowhere");
}

#[test]
fn a_file_that_cannot_be_written_does_not_take_the_verdict_away() {
    let folder = folder();
    for (command, status) in [
        ("histcheck linear --model register --svg /dev/full bad.jsonl", 1),
        ("histcheck linear --model register --svg no/such/folder bad.jsonl", 1),
        ("histcheck linear --model register --witness /dev/full a.jsonl", 71),
        ("histcheck linear --model register --witness no/such/folder a.jsonl", 66),
        ("histcheck linear --model register --witness . a.jsonl", 71),
    ] {
        let run = line(&folder, command).expect(status);
        assert!(run.stderr.contains("cannot write"), "{command}: {run:?}");
        assert!(run.stdout.contains(".jsonl: linear: "), "{command}: {run:?}");
    }
    assert_eq!(leftovers(&folder), [""; 0]);
}

#[test]
fn a_split_that_fails_leaves_no_shards() {
    let folder = folder();
    folder.write("broken.jsonl", format!("{VALID}nope\n"));
    line(&folder, "histcheck split --shards 3 --into shards broken.jsonl").expect(65);
    assert_eq!(std::fs::read_dir(folder.file("shards")).unwrap().count(), 0);
    let run = line(&folder, "histcheck split --shards 3 --into shards a.jsonl").expect(0);
    assert_eq!(run.stdout, "shards/shard-1.jsonl\nshards/shard-2.jsonl\nshards/shard-3.jsonl\n");
    assert_eq!(std::fs::read_dir(folder.file("shards")).unwrap().count(), 3);
}
