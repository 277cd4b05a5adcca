//! `workload` as its users run it: histories, phases, ends, nemeses, clients of one's own. No root needed.

#![allow(clippy::unwrap_used)]

mod runs;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::workload::clients::{CLIENTS, Takes};
use breakit_tests::process::{Run, Running, json_lines, run};
use breakit_tests::wait::{throughout, wait_until_full};
use breakit_tests::{Fakes, Folder, hostile, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runs::{end, of, well_formed, workload};
use serde_json::{Value, json};

/// Much longer than anything takes here, however busy the machine is.
const SOON: Duration = Duration::from_secs(40);

fn names_of_workloads() -> impl Iterator<Item = &'static str> {
    ::workload::workloads::WORKLOADS.iter().map(|kind| kind.name)
}

#[test]
fn every_workload_and_client_has_its_place_in_the_manual_with_all_that_it_takes() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../man/workload.1");
    let page = fs::read_to_string(page).unwrap();
    let items: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".It Cm ")).collect();
    let item = |name: &str| items.iter().find(|item| item.split(' ').next() == Some(name));
    for name in names_of_workloads() {
        assert!(item(name).is_some(), "man/workload.1 says nothing of the workload {name}");
    }
    for kind in CLIENTS {
        let item = item(kind.name);
        let item = item.unwrap_or_else(|| panic!("man/workload.1: no client {}", kind.name));
        let taken = match kind.takes {
            Takes::Word(word) | Takes::Command(word) => vec![format!("Ar {word}")],
            Takes::Options(options) => options
                .iter()
                .map(|option| match option.value {
                    Some(value) => format!("Cm {}= Ns Ar {value}", option.name),
                    None => format!("Cm {}", option.name),
                })
                .collect(),
        };
        for one in taken {
            assert!(item.contains(&one), "man/workload.1, client {}: no {one}", kind.name);
        }
    }
}

#[test]
fn every_workload_makes_a_whole_history_that_counts_itself() {
    for name in names_of_workloads() {
        let run = run(&mut workload(&format!("{name} --client mem --time-limit 500ms"))).expect(0);
        let lines = run.lines();
        let counts = well_formed(&lines);
        let (start, end) = (&lines[0]["value"], end(&lines));
        assert_eq!(start["workload"], name);
        assert_eq!(start["nodes"], json!(["m1", "m2", "m3"]));
        assert!(start["argv"].as_array().unwrap().contains(&json!(name)), "{start}");
        assert_eq!(end["status"], "done");
        assert_eq!(end["ops"], counts["invoke"]);
        assert_eq!(end["ok"], counts["ok"]);
        assert!(counts["ok"] > 40, "{counts:?}");
    }
}

#[test]
fn the_first_line_states_the_promise() {
    for (name, promise) in [
        ("set", json!([{"name": "set"}])),
        ("register", json!([{"name": "linear", "options": {"model": "register"}}])),
        ("cas-register", json!([{"name": "linear", "options": {"model": "cas-register"}}])),
    ] {
        let run = run(&mut workload(&format!("{name} --client mem --ops 3"))).expect(0);
        assert_eq!(run.lines()[0]["value"]["check"], promise);
    }
}

/// The requests of a run in the order of their lines.
fn requests(arguments: &str) -> Vec<(Value, Value, Value)> {
    let lines = run(&mut workload(arguments)).expect(0).lines();
    let invokes = lines.iter().filter(|line| line["type"] == "invoke");
    invokes.map(|l| (l["f"].clone(), l["key"].clone(), l["value"].clone())).collect()
}

#[test]
fn a_seed_repeats_the_requests() {
    let arguments =
        "register --client mem --ops 150 --rate 2000 --no-final --keys 2 --ops-per-key 20";
    let first = requests(&format!("{arguments} --seed 7"));
    assert_eq!(first.len(), 150);
    assert_eq!(first, requests(&format!("{arguments} --seed 7")));
    assert_ne!(first, requests(&format!("{arguments} --seed 8")));
}

#[test]
fn the_environments_seed_counts_where_the_flag_is_absent() {
    let seed = |command: &mut Command| {
        let lines = run(command.env("BREAKIT_SEED", "41")).expect(0).lines();
        lines[0]["value"]["seed"].clone()
    };
    assert_eq!(seed(&mut workload("set --client mem --ops 1")), 41);
    assert_eq!(seed(&mut workload("set --client mem --ops 1 --seed 42")), 42);
}

#[test]
fn operations_fall_due_at_the_rate_that_was_asked_for() {
    let run = run(&mut workload("set --client mem --rate 400 --time-limit 1s --seed 3")).expect(0);
    let lines = run.lines();
    // On a busy machine some of those that fell due find no time any more.
    let unsent = end(&lines)["unsent"].as_u64().unwrap_or(0) as usize;
    let adds = of(&lines, "add").len() / 2 + unsent;
    assert!((330..=470).contains(&adds), "{adds} adds in a second at 400/s, {unsent} unsent");
}

#[test]
fn final_reads_go_to_every_node_and_are_marked() {
    let lines = run(&mut workload("set --client mem --ops 50 --rate 1000")).expect(0).lines();
    well_formed(&lines);
    let reads = of(&lines, "read");
    assert_eq!(reads.len(), 6);
    assert!(reads.iter().all(|line| line["final"] == true));
    for node in ["m1", "m2", "m3"] {
        let read = reads.iter().find(|l| l["node"] == node && l["type"] == "ok").unwrap();
        assert_eq!(read["value"].as_array().unwrap().len(), 50);
    }
    assert_eq!(of(&lines, "recovery")[0]["value"]["agreed"], true);
    let without = run(&mut workload("set --client mem --ops 5 --no-final")).expect(0).lines();
    assert!(of(&without, "read").is_empty());
}

#[test]
fn nodes_that_never_agree_are_read_when_the_time_for_recovery_is_over() {
    let arguments = "set --client mem:split --time-limit 800ms --recovery 600ms";
    let lines = run(&mut workload(arguments)).expect(0).lines();
    let recovery = &of(&lines, "recovery")[0]["value"];
    assert_eq!(recovery["agreed"], false);
    let lasted = Duration::from_nanos(recovery["lasted"].as_u64().unwrap());
    assert!(lasted < SOON, "{recovery}");
    assert_eq!(of(&lines, "read").len(), 6);
}

#[test]
fn an_operation_of_which_nobody_knows_ends_its_process() {
    let arguments =
        "set --client mem:hang --time-limit 1s --timeout 50ms --rate 500 --concurrency 4 --seed 1";
    let lines = run(&mut workload(arguments)).expect(0).lines();
    let counts = well_formed(&lines);
    assert!(counts["info"] >= 3, "{counts:?}");
    let info = lines.iter().find(|l| l["type"] == "info" && l["f"] == "add").unwrap();
    let next = info["process"].as_u64().unwrap() + 4;
    assert!(lines.iter().any(|line| line["process"] == next), "no process {next}");
    assert!(info["error"].as_str().unwrap().contains("no answer within 50ms"), "{info}");
}

#[test]
fn operations_that_find_no_free_process_say_when_they_were_due() {
    let folder = Folder::new("due");
    let slow = folder.write(
        "slow",
        "while read -r line; do sleep 0.05; case $line in *read*) echo '{\"type\":\"ok\",\"value\":[]}';; *) echo '{\"type\":\"ok\"}';; esac; done",
    );
    let mut command =
        workload("set -n a=local --rate 200 --concurrency 2 --time-limit 2s --no-final");
    let lines = run(command.arg("--client").arg(format!("exec:sh {slow}"))).expect(0).lines();
    well_formed(&lines);
    let waited = lines.iter().filter(|l| {
        l["due"].as_u64().is_some_and(|due| l["time"].as_u64().unwrap() > due + 50_000_000)
    });
    assert!(waited.count() > 5);
    assert!(end(&lines)["unsent"].as_u64().unwrap() > 50, "{}", end(&lines));
}

#[test]
fn process_numbers_begin_where_they_are_told_to() {
    let lines =
        run(&mut workload("set --client mem --ops 20 --process-base 1000")).expect(0).lines();
    assert_eq!(lines[0]["value"]["process_base"], 1000);
    assert!(lines.iter().filter_map(|line| line["process"].as_u64()).all(|p| p >= 1000));
}

#[test]
fn with_a_file_the_whole_history_is_in_both_places() {
    let folder = Folder::new("both");
    let file = folder.write("h.jsonl", "yesterday\n");
    let run = run(workload("register --client mem --ops 30").args(["-o", &file])).expect(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), run.stdout);
    well_formed(&run.lines());
}

#[test]
fn an_interrupted_run_reads_writes_its_last_line_and_dies_of_the_signal() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut running = Running::start(&mut workload("set --client mem --time-limit 1m"));
        for _ in 0..50 {
            running.line(SOON);
        }
        running.signal(signal);
        let run = running.end(SOON).expect(status);
        let lines = run.lines();
        well_formed(&lines);
        assert_eq!(end(&lines)["status"], "interrupted");
        assert_eq!(of(&lines, "read").len(), 6, "final reads on three nodes");
    }
}

#[test]
fn kill_9_leaves_at_most_one_cut_line() {
    let folder = Folder::new("kill9");
    for round in 0..5 {
        let file = folder.file("h.jsonl");
        let mut command = workload("register --client mem --rate 5000 --concurrency 20");
        let mut running = Running::start(command.arg("-o").arg(&file));
        for _ in 0..30 {
            running.line(SOON);
        }
        std::thread::sleep(Duration::from_millis(37 * round));
        running.signal(Signal::SIGKILL);
        let run = running.end(SOON).expect(137);
        for text in [run.stdout, fs::read_to_string(&file).unwrap()] {
            let (whole, cut): (Vec<&str>, Vec<&str>) =
                text.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
            assert!(whole.len() > 20, "{} lines", whole.len());
            assert!(cut.len() <= 1 && cut.first().is_none_or(|c| text.trim_end().ends_with(c)));
        }
    }
}

/// Reads a few lines of a run's stdout and closes it.
fn read_and_leave(command: &mut Command) -> Run {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..5 {
        reader.read_line(&mut String::new()).unwrap();
    }
    drop(reader);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let status = child.wait().unwrap().code().unwrap_or(-1);
    Run { status, stdout: String::new(), stderr }
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly_and_heals() {
    let folder = Folder::new("reader");
    let nemesis = folder.write("nemesis", nemesis_script(&folder));
    let began = Instant::now();
    let mut command = workload("set --client mem --time-limit 1m -q");
    let run = read_and_leave(command.arg("--nemesis").arg(format!("sh {nemesis}"))).expect(0);
    assert_eq!(run.stderr, "");
    assert!(began.elapsed() < SOON, "not by its time limit of a minute");
    assert_eq!(fs::read_to_string(folder.file("healed")).unwrap(), "healed\n");
}

#[test]
fn a_reader_that_leaves_does_not_cut_the_file_short() {
    let folder = Folder::new("reader-file");
    let mut command = workload("set --client mem --time-limit 1m");
    read_and_leave(command.arg("-o").arg(folder.file("h.jsonl"))).expect(0);
    let lines = json_lines(&folder.file("h.jsonl"));
    well_formed(&lines);
    assert_eq!(end(&lines)["status"], "reader-gone");
    assert_eq!(of(&lines, "read").len(), 6);
}

#[test]
fn a_reader_that_holds_us_up_is_recorded() {
    let mut command =
        workload("register --client mem --time-limit 4s --rate 5000 --concurrency 50");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // A pipe holds 64 KiB, some 700 lines: at this rate it is full long before the time limit.
    wait_until_full(&stdout);
    throughout(Duration::from_millis(300), "the run waits for its reader", || {
        matches!(child.try_wait(), Ok(None))
    });
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    well_formed(&lines);
    let stalls = of(&lines, "stall");
    assert!(
        stalls.iter().any(|line| line["value"]["lasted"].as_u64().unwrap() > 100_000_000),
        "{stalls:?}"
    );
}

/// A nemesis that starts a fault, heals on TERM, and notes that it did; and when it is ready to.
fn nemesis_script(folder: &Folder) -> String {
    let line = |f: &str| {
        format!(
            r#"{{"time":5,"process":"nemesis","type":"info","f":"{f}","value":{{"seed":"'$BREAKIT_SEED'"}}}}"#
        )
    };
    format!(
        "exec 2> /dev/null\ntrap 'echo healed > {}; echo '\\''{}'\\''; exit 0' TERM\necho '{}'\n: > {}\nwhile :; do sleep 0.02; done\n",
        folder.file("healed").display(),
        line("stop-partition").replace("'$BREAKIT_SEED'", "x"),
        line("start-partition"),
        folder.file("ready").display()
    )
}

/// Waits until a nemesis has written that file.
#[track_caller]
fn wait_for(folder: &Folder, name: &str, limit: Duration) {
    let deadline = Instant::now() + limit;
    while !folder.file(name).exists() {
        assert!(Instant::now() < deadline, "not {name} within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_lines_of_a_nemesis_enter_the_history_and_it_is_healed_before_the_final_reads() {
    let folder = Folder::new("nemesis");
    let nemesis = folder.write("nemesis", nemesis_script(&folder));
    let mut command = workload("set --client mem --time-limit 2s --seed 99");
    let lines = run(command.args(["--nemesis", &format!("sh '{nemesis}'")])).expect(0).lines();
    well_formed(&lines);
    assert_eq!(end(&lines)["faults"], 1);
    let start = of(&lines, "start-partition")[0];
    assert_eq!((&start["time"], &start["value"]["seed"]), (&json!(5), &json!("99")));
    let place = |f: &str| lines.iter().position(|line| line["f"] == f).unwrap();
    assert!(place("start-partition") < place("stop-partition"));
    assert!(place("stop-partition") < place("read"));
}

#[test]
fn a_reader_that_hangs_holds_up_no_healing() {
    let folder = Folder::new("hanging-reader");
    let nemesis = folder.write("nemesis", nemesis_script(&folder));
    let mut command =
        workload("register --client mem --time-limit 1m --rate 5000 --concurrency 50");
    command.args(["--nemesis", &format!("sh {nemesis}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    wait_for(&folder, "ready", SOON);
    // Nobody reads: the pipe is full after some 700 lines, and every process of the load waits to write.
    wait_until_full(child.stdout.as_ref().unwrap());
    throughout(Duration::from_millis(200), "the run waits for its reader", || {
        matches!(child.try_wait(), Ok(None))
    });
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    wait_for(&folder, "healed", SOON);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    well_formed(&lines);
    assert_eq!(end(&lines)["status"], "interrupted");
}

/// A run whose stdout is a pipe that nobody reads, and that is full after some 700 lines.
struct Unread {
    folder: Folder,
    child: std::process::Child,
    began: Instant,
}

impl Unread {
    fn start(name: &str, more: &str) -> Unread {
        let folder = Folder::new(name);
        let nemesis = folder.write("nemesis", nemesis_script(&folder));
        let mut command =
            workload(&format!("register --client mem --rate 5000 --concurrency 50 {more}"));
        command.args(["--nemesis", &format!("sh {nemesis}")]);
        if name.ends_with("file") {
            command.arg("-o").arg(folder.file("h.jsonl"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let unread = Unread { child: command.spawn().unwrap(), folder, began: Instant::now() };
        wait_for(&unread.folder, "ready", SOON);
        unread
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for its end; then reads what stood in the pipe.
    fn end(mut self, limit: Duration) -> (Run, Folder) {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > limit {
                self.child.kill().unwrap();
                panic!("it did not end {limit:?} after the start");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        use std::os::unix::process::ExitStatusExt;
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        (Run { status, stdout, stderr }, self.folder)
    }
}

#[test]
fn a_reader_that_neither_reads_nor_leaves_holds_up_neither_time_limit_nor_signal_nor_file() {
    let limited = Unread::start("unread-limit", "--time-limit 2s");
    let filed = Unread::start("unread-file", "--time-limit 2s");
    let signalled = Unread::start("unread-signal", "--time-limit 10m");
    // Before the reader is given up, which is 5 s after it took something for the last time.
    let limit = Duration::from_millis(4500);
    wait_for(&limited.folder, "healed", limit);
    wait_for(&filed.folder, "healed", limit);
    for signal in [Signal::SIGINT, Signal::SIGINT, Signal::SIGTERM] {
        signalled.signal(signal);
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_for(&signalled.folder, "healed", limit);

    let (limited, _folder) = limited.end(SOON);
    assert_eq!(limited.status, 71, "{}", limited.stderr);
    assert!(limited.stderr.contains("took nothing for 5s and was given up"), "{}", limited.stderr);
    let (whole, cut): (Vec<&str>, Vec<&str>) =
        limited.stdout.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
    assert!(whole.len() > 300 && cut.len() <= 1, "{} whole, {cut:?} cut", whole.len());
    // No request left whose line could not be written.
    let ops = limited.stderr.split_once(" operations").unwrap().0.rsplit(' ').next().unwrap();
    assert!(ops.parse::<usize>().unwrap() < 1000, "{}", limited.stderr);

    let (signalled, _folder) = signalled.end(SOON);
    assert_eq!(signalled.status, 130, "{}", signalled.stderr);

    let (filed, folder) = filed.end(SOON);
    assert_eq!(filed.status, 0, "{}", filed.stderr);
    assert!(filed.stderr.contains("the whole history is in"), "{}", filed.stderr);
    let lines = json_lines(&folder.file("h.jsonl"));
    // Twice what a pipe holds.
    assert!(well_formed(&lines)["invoke"] > 800, "the load went on");
    assert_eq!(end(&lines)["status"], "done");
    assert!(of(&lines, "read").iter().any(|line| line["final"] == true));
}

#[test]
fn kill_9_leaves_no_client_program_behind() {
    let folder = Folder::new("kill9-exec");
    let pids = folder.file("pids");
    // The last program is the one that was started: the kernel's signal reaches it, not what it starts.
    let client = folder.write(
        "client",
        format!(
            "echo $$ >> {}\nwhile read -r l; do case $l in *read*) echo '{{\"type\":\"ok\",\"value\":[]}}';; *) echo '{{\"type\":\"ok\"}}';; esac; done; exec sleep 100",
            pids.display()
        ),
    );
    let mut command = workload("set -n a=local --time-limit 1m --concurrency 4");
    let mut running = Running::start(command.args(["--client", &format!("exec:sh {client}")]));
    for _ in 0..40 {
        running.line(SOON);
    }
    running.signal(Signal::SIGKILL);
    running.end(SOON).expect(137);
    let begun = fs::read_to_string(&pids).unwrap();
    assert_eq!(begun.lines().count(), 5, "one to prove the place empty, one for each process");
    begun.lines().for_each(buried);
}

/// Waits until a process is gone, which it is when init has buried it.
fn buried(pid: &str) {
    let pid = Pid::from_raw(pid.parse().unwrap());
    let deadline = Instant::now() + SOON;
    while kill(pid, None).is_ok() {
        assert!(Instant::now() < deadline, "{pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_nemesis_that_brings_nothing_into_force_makes_the_run_unknown() {
    let mut command = workload("set --client mem --time-limit 300ms");
    let run = run(command.args(["--nemesis", "true"])).expect(2);
    assert_eq!(end(&run.lines())["status"], "unknown");
}

#[test]
fn a_nemesis_that_fails_is_said_and_recorded() {
    let mut command = workload("set --client mem --time-limit 300ms");
    let run = run(command.args(["--nemesis", "sh -c 'echo no luck >&2; echo nonsense; exit 3'"]))
        .expect(71);
    assert!(run.stderr.contains("no luck"), "{}", run.stderr);
    assert!(run.stderr.contains("no fault line"), "{}", run.stderr);
    assert!(run.stderr.contains("failed (exit status: 3)"), "{}", run.stderr);
    let lines = run.lines();
    well_formed(&lines);
    assert_eq!(of(&lines, "nemesis-failed").len(), 1);
}

#[test]
fn a_nemesis_whose_fault_ended_early_is_named_and_gives_the_run_its_status() {
    let folder = Folder::new("early");
    for (field, status, expected) in [
        ("\"healed\":\"by another\"", 3, 3),
        ("\"lapsed\":7", 3, 3),
        ("\"lapsed\":7", 0, 3),
        // What `heal` says of others' cuts, and a status that means something else.
        ("\"healed\":\"by partition heal\"", 0, 0),
        ("\"cut\":\"n1 | n2\"", 3, 71),
    ] {
        let line = |f: &str, value: &str| {
            format!(
                "echo '{{\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"{f}-partition\",\"value\":{{{value}}}}}'\n"
            )
        };
        let script = line("start", "") + &line("stop", field) + &format!("exit {status}\n");
        let script = folder.write("early.sh", script);
        let mut command = workload("set --client mem --time-limit 300ms --nemesis");
        let run = run(command.arg(format!("sh {script}"))).expect(expected);
        let lines = run.lines();
        well_formed(&lines);
        assert_eq!(end(&lines)["status"], "done");
        let named = usize::from(expected == 3);
        assert_eq!(of(&lines, "nemesis-ended-early").len(), named, "{field}");
        assert_eq!(run.stderr.contains("ended before its time"), named == 1, "{}", run.stderr);
        let reason = end(&lines)["reason"].to_string();
        assert_eq!(reason.contains("ended before its time"), named == 1, "{reason}");
    }
}

#[test]
fn kill_9_heals_through_the_nemesis() {
    let folder = Folder::new("kill9-nemesis");
    let nemesis = folder.write("nemesis", nemesis_script(&folder));
    let mut command = workload("set --client mem --time-limit 1m");
    let mut running = Running::start(command.args(["--nemesis", &format!("sh {nemesis}")]));
    while running.line(SOON)["f"] != "start-partition" {}
    running.signal(Signal::SIGKILL);
    running.end(SOON).expect(137);
    wait_for(&folder, "healed", SOON);
}

/// A register or set in files, one for each key: what a user might write in an evening.
const FILE_CLIENT: &str = r#"
import fcntl, json, os, sys
root = sys.argv[1]
for line in sys.stdin:
    ask = json.loads(line)
    path = os.path.join(root, ask["prefix"] + "." + str(ask.get("key", "set")))
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        held = json.loads(text) if text else None
        f, value = ask["f"], ask["value"]
        answer = {"type": "ok"}
        if f == "read":
            answer["value"] = held if "key" in ask else held or []
        elif f == "cas" and held != value[0]:
            answer = {"type": "fail", "error": "found %s" % held}
        else:
            new = (held or []) + [value] if f == "add" else value[1] if f == "cas" else value
            file.truncate(0)
            file.write(json.dumps(new))
            file.flush()
    print(json.dumps(answer), flush=True)
"#;

#[test]
fn a_client_in_another_language_carries_every_workload() {
    if !breakit_tests::has("python3") {
        breakit_tests::skip!("there is no python3");
    }
    let folder = Folder::new("exec");
    let client = folder.write("client.py", FILE_CLIENT);
    for name in names_of_workloads() {
        let arguments =
            format!("{name} -n a=local,b=local --ops 120 --concurrency 4 --rate 300 --timeout 20s");
        let spec = format!("exec:python3 '{client}' {}", folder.path().display());
        let lines = run(workload(&arguments).args(["--client", &spec])).expect(0).lines();
        let counts = well_formed(&lines);
        assert!(counts["ok"] > 80, "{counts:?}");
        assert_eq!(of(&lines, "recovery")[0]["value"]["agreed"], true);
        assert_eq!(end(&lines)["info"], 0);
    }
}

/// Runs one add after another against a shell client that treats them as `script` says.
fn adds(script: &str, more: &str) -> Run {
    let client = format!(
        "exec:sh -c 'while read -r l; do case $l in *read*) echo {{\\\"type\\\":\\\"ok\\\",\\\"value\\\":[]}};; *) {script};; esac; done'"
    );
    let arguments = format!("set -n a=local --ops 4 --concurrency 1 --no-final {more}");
    run(workload(&arguments).args(["--client", &client]))
}

#[test]
fn a_client_that_dies_answers_garbage_or_nothing_leaves_its_operation_unknown() {
    for (script, timeout, why) in [
        ("exit 3", "20s", "the client died (exit status: 3)"),
        ("echo whatever", "20s", "the client's answer is none"),
        ("sleep 100", "300ms", "no answer within 300ms"),
    ] {
        let run = adds(script, &format!("--timeout {timeout}")).expect(0);
        let lines = run.lines();
        assert_eq!(well_formed(&lines)["info"], 4, "{script}");
        let infos: Vec<_> =
            lines.iter().filter(|l| l["type"] == "info" && l["f"] == "add").collect();
        assert!(infos[0]["error"].as_str().unwrap().contains(why), "{}", infos[0]);
    }
    let garbage = adds("echo whatever", "--timeout 20s").expect(0);
    assert_eq!(garbage.stderr.matches("whatever").count(), 1, "said once: {}", garbage.stderr);
}

#[test]
fn a_line_too_many_from_a_client_is_not_the_next_requests_answer() {
    let folder = Folder::new("stray");
    let (seen, starts) = (folder.file("seen"), folder.file("starts"));
    // Each add is noted, and answered with an ok and a stray one; the third is answered with a fail first.
    let client = folder.write(
        "client",
        format!(
            r#"echo $$ >> {starts}
ok='{{"type":"ok"}}'
while read -r l; do
  case $l in
    *read*) echo '{{"type":"ok","value":[]}}' ;;
    *:3,*) printf '%s\n%s\n' '{{"type":"fail","error":"no"}}' "$ok" ;;
    *) echo "$l" >> {seen}; printf '%s\n%s\n' "$ok" "$ok" ;;
  esac
done"#,
            starts = starts.display(),
            seen = seen.display()
        ),
    );
    let mut command =
        workload("set -n a=local --ops 6 --concurrency 1 --timeout 20s --rate 50 --no-final");
    let run = run(command.args(["--client", &format!("exec:sh {client}")])).expect(0);
    let lines = run.lines();
    well_formed(&lines);
    let acknowledged: Vec<&Value> =
        lines.iter().filter(|l| l["f"] == "add" && l["type"] == "ok").collect();
    let seen = fs::read_to_string(seen).unwrap();
    assert_eq!(acknowledged.len(), seen.lines().count(), "{lines:?}");
    assert_eq!(of(&lines, "add").iter().filter(|l| l["type"] == "fail").count(), 1);
    assert_eq!(run.stderr.matches("more than one line").count(), 1, "said once: {}", run.stderr);
    let starts = fs::read_to_string(starts).unwrap();
    assert_eq!(starts.lines().count(), 7, "one for the setup, a fresh one for every add");
}

#[test]
fn a_client_that_ends_after_each_answer_is_started_anew_and_loses_nothing() {
    // The seed's moments lie far enough apart for it to be gone.
    let run =
        adds("echo {\\\"type\\\":\\\"ok\\\"}; exit 0", "--timeout 20s --rate 1 --seed 1").expect(0);
    assert_eq!(well_formed(&run.lines())["ok"], 4, "{}", run.stdout);
    assert!(!run.stderr.contains("more than one line"), "{}", run.stderr);
}

#[test]
fn no_client_program_outlives_the_run() {
    let folder = Folder::new("orphans");
    let pids = folder.file("pids");
    let script = format!("echo $$ >> {}; sleep 100", pids.display());
    adds(&script, "--timeout 300ms").expect(0);
    fs::read_to_string(&pids).unwrap().lines().for_each(buried);
}

#[test]
fn a_client_that_is_never_ready_is_error_75_and_the_history_says_so() {
    let mut command = workload("set -n a=local --ready 300ms");
    let run = run(command.args(["--client", "exec:false"])).expect(75);
    assert!(run.stderr.contains("node a"), "{}", run.stderr);
    let lines = run.lines();
    assert_eq!(end(&lines)["status"], "failed");
    assert_eq!(end(&lines)["ops"], 0);
}

#[test]
fn a_place_that_is_not_empty_is_refused() {
    let mut command = workload("set -n a=local --prefix mine");
    let client = r#"exec:sh -c 'while read -r l; do echo "{\"type\":\"ok\",\"value\":[1]}"; done'"#;
    let run = run(command.args(["--client", client])).expect(71);
    assert!(run.stderr.contains("give another --prefix"), "{}", run.stderr);
}

#[test]
fn bad_input_is_one_sentence_and_its_own_status() {
    for (arguments, status, words) in [
        ("set --client nosuch", 64, "no client \"nosuch\""),
        ("set --client mem:nosuch", 64, "mem has no fault"),
        ("set --client mem -n a=local", 64, "leave out -n"),
        ("set --client exec:cat", 64, "name the nodes with -n"),
        ("set --client exec:", 64, "names no program"),
        ("set --client exec:no-such-program -n a=local", 69, "no program no-such-program"),
        ("set --client mem --nemesis no-such-program", 69, "no program no-such-program"),
        ("set --client mem --nemesis 'x", 64, "stands open"),
        ("set --client mem --rate 0", 64, "from 0.000001 to 1000000"),
        ("set --client mem --rate nan", 64, "from 0.000001 to 1000000"),
        ("set --client mem --concurrency 0", 64, "concurrency"),
        ("set --client mem --timeout 0s", 64, "--timeout 0s"),
        // What no clock and no number of a process can hold.
        ("set --client mem --rate 1e-20", 64, "from 0.000001 to 1000000"),
        ("set --client mem --time-limit 18446744073709551615s", 64, "10 years"),
        ("set --client mem --timeout 18446744073709551615s", 64, "10 years"),
        ("set --client mem --recovery 4000days", 64, "10 years"),
        ("set --client mem --process-base 18446744073709551615", 64, "--process-base"),
        ("set --client mem --time-limit 5", 64, "write 30s"),
        ("set --client mem --keys 3", 64, "--keys"),
        ("set --client mem --prefix ../x", 64, "is no prefix"),
        ("set --client mem -o /no/such/folder/h", 66, "/no/such/folder/h"),
        ("set", 64, "--client"),
        ("", 64, "subcommand"),
    ] {
        let run = run(&mut workload(arguments)).expect(status);
        assert!(run.stderr.contains(words), "{arguments}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{arguments}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments}");
    }
}

#[test]
fn the_longest_times_and_the_lowest_rate_are_no_trouble_for_the_clock() {
    let arguments = "set --client mem --ops 3 --timeout 3650days --time-limit 3650days --ready 3650days --recovery 3650days";
    let lines = run(&mut workload(arguments)).expect(0).lines();
    assert_eq!(well_formed(&lines)["ok"], 6, "three adds, three reads");
    let run = run(&mut workload("set --client mem --rate 0.000001 --time-limit 300ms")).expect(0);
    assert_eq!(end(&run.lines())["ops"], 3, "the final reads");
}

#[test]
fn a_loop_that_reads_its_input_beside_us_gets_every_line() {
    let line = format!(
        "printf '1\\n2\\n3\\n' | while read x; do {} set --client mem --ops 1 --no-final -q > /dev/null; echo $x; done",
        env!("CARGO_BIN_EXE_workload")
    );
    let run = run(Command::new("sh").args(["-c", &line])).expect(0);
    assert_eq!(run.stdout, "1\n2\n3\n");
}

#[test]
fn no_secret_stands_on_the_first_line_unless_all_words_are_to_be_recorded() {
    let command = || workload("set -n a=local --ops 1 --no-final");
    let client = "exec:sh -c 'while read l; do echo {\\\"type\\\":\\\"ok\\\",\\\"value\\\":[]}; done' --password hunter2 db://me:hunter2@host";
    let lines = run(command().args(["--client", client])).expect(0).lines();
    let argv = &lines[0]["value"]["argv"];
    let expected =
        ["workload", "set", "--nodes", "a=local", "--ops", "1", "--no-final", "--client"];
    assert_eq!(argv, &json!([&expected[..], &["exec:sh ..."]].concat()));
    let lines = run(command().args(["--client", client, "--record-commands"])).expect(0).lines();
    assert!(lines[0]["value"]["argv"].as_array().unwrap().contains(&json!(client)), "{}", lines[0]);
}

#[test]
fn no_secret_of_a_nemesis_stands_in_the_history() {
    let folder = Folder::new("secrets");
    let script = folder.write("nemesis", "exit 3\n");
    let mut command = workload("set --client mem --time-limit 200ms --no-final");
    for secret in [
        "-H 'Authorization: Bearer hunter2'",
        "-u me:hunter3",
        "DB_PASS=hunter4",
        "AWS_SECRET_ACCESS_KEY=hunter5",
        "--pass hunter6",
        "redis://me:hunter7@db1",
        "-a hunter8",
        "-phunter9",
    ] {
        command.arg("--nemesis").arg(format!("sh {script} {secret}"));
    }
    let run = run(&mut command).expect(71);
    let lines = run.lines();
    assert_eq!(of(&lines, "nemesis-failed").len(), 8);
    assert!(end(&lines)["reason"].as_str().unwrap().contains("sh ..."), "{}", end(&lines));
    assert!(!run.stdout.contains("hunter"), "{}", run.stdout);
    assert!(!run.stderr.contains("hunter"), "{}", run.stderr);
}

#[test]
fn no_secret_of_a_client_stands_in_the_reason_of_a_run_that_failed() {
    let mut command = workload("set -n a=local --ready 200ms");
    let run = run(command.args(["--client", "exec:false --password hunter2"])).expect(75);
    assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"), "{run:?}");
}

#[test]
fn a_dry_run_prints_the_first_line_and_the_phases_and_touches_nothing() {
    let folder = Folder::new("dry");
    let ran = folder.file("ran");
    let script = folder.write("touches", format!("touch {}\n", ran.display()));
    let file = folder.write("h.jsonl", "yesterday\n");
    let mut command = workload(
        "set -n a=local,b=local --concurrency 3 --time-limit 20s --seed 5 --prefix mine --dry-run",
    );
    command.args(["-o", &file, "--client", &format!("exec:sh {script}")]);
    let lines = run(command.args(["--nemesis", &format!("sh '{script}' --pass hunter2")]))
        .expect(0)
        .lines();
    let (first, phases) = lines.split_first().unwrap();
    assert_eq!((&first["f"], &first["time"]), (&json!("start"), &Value::Null));
    let start = &first["value"];
    assert_eq!((&start["seed"], &start["prefix"]), (&json!(5), &json!("mine")));
    assert!(start["wall"].is_null() && !start["argv"].to_string().contains("dry-run"), "{start}");
    let names: Vec<&str> = phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!(names, ["setup", "load", "healing", "recovery", "final reads"]);
    let load = &phases[1];
    assert_eq!(load["lasts"], "20s");
    assert_eq!(load["clients"][0]["processes"], json!([0, 2]));
    assert_eq!(
        load["clients"][1],
        json!({"node": "b", "addrs": load["clients"][1]["addrs"], "processes": [1]})
    );
    assert_eq!(phases[2]["at_most"], "31s", "--start-timeout and --timeout");
    let argv = load["nemeses"][0].as_array().unwrap();
    assert!(argv[0].as_str().unwrap().ends_with("/sh"), "{load}");
    assert_eq!(argv[1..], [json!("...")]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "yesterday\n");
    assert!(!ran.exists(), "something was run");
}

#[test]
fn a_full_disk_is_said_and_ends_the_run() {
    if !std::path::Path::new("/dev/full").exists() {
        breakit_tests::skip!("there is no /dev/full");
    }
    let run = run(&mut workload("set --client mem -o /dev/full")).expect(71);
    assert!(run.stderr.contains("/dev/full"), "{}", run.stderr);
}

#[test]
fn what_others_wrote_steers_no_terminal() {
    run(workload("set").arg(format!("--{}", hostile::TEXT))).expect(64).shows(r"\u{202e}");
    let mut command = workload("set --client mem -o");
    let missing = run(command.arg(format!("/nowhere/{}\nvalid", hostile::TEXT))).expect(66);
    let shown = format!("{}\\nvalid", hostile::SHOWN);
    assert_eq!(missing.shows(&shown).stderr.lines().count(), 1);
}

#[test]
fn helpers_come_from_the_systems_folders_or_from_those_of_path() {
    let (in_path, named) = (Fakes::new(&["ssh"]), Fakes::new(&["ssh"]));
    let mut command = workload("set --client redis -n n1=ssh:root@127.0.0.1 --path");
    in_path.first_in_path(command.arg(named.path()));
    let running = Running::start(&mut command);
    let deadline = Instant::now() + SOON;
    while named.ran().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    named.were_run_with_a_clean_environment();
    in_path.are_left_alone();
    running.signal(Signal::SIGTERM);
    running.end(SOON).expect(143);
}

#[test]
fn a_nemesis_of_ours_is_the_one_beside_us_and_any_other_is_found_as_its_user_finds_it() {
    let fakes = Fakes::new(&["partition", "my-nemesis"]);
    let planned = |nemesis: &str| {
        let mut command = workload("set --client mem --dry-run --nemesis");
        fakes.first_in_path(command.arg(nemesis));
        run(&mut command).expect(0).stdout
    };
    let folder = fakes.path().display().to_string();
    assert!(planned("my-nemesis x").contains(&format!("{folder}/my-nemesis")));
    let ours = env!("CARGO_BIN_EXE_workload").replace("/workload", "/partition");
    match std::path::Path::new(&ours).exists() {
        true => assert!(planned("partition cut halves").contains(&ours)),
        false => skip!("partition is not built beside workload"),
    }
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    let words = "set --client redis --dry-run -n no-such-node";
    let unset = run(workload(words).env_remove("BREAKIT_FLEET")).expect(66);
    let empty = run(workload(words).env("BREAKIT_FLEET", "").env("BREAKIT_SEED", "")).expect(66);
    assert_eq!(empty.stderr, unset.stderr);
    run(workload("set --client mem --dry-run").env("BREAKIT_SEED", "")).expect(0);
}
