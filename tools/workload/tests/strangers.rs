//! `workload` among strangers: programs of `exec:` and `--nemesis` that hang, die, talk nonsense or without end, and
//! places for the history that hold up whoever writes. Everything ends in time, with its status and one clear
//! sentence, and leaves no process behind. No root needed.

#![allow(clippy::unwrap_used)]

mod runs;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use breakit_tests::process::{Run, Running, run};
use breakit_tests::{Folder, has, skip};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use runs::{end, of, well_formed, workload};
use serde_json::{Value, json};

/// Much longer than anything takes here, however busy the machine is.
const SOON: Duration = Duration::from_secs(40);

/// A client that answers reads, and treats each add as the body says, in which `r` is the request.
fn client(folder: &Folder, body: &str) -> String {
    let script = folder.write(
        "client.py",
        format!(
            r#"
import json, os, subprocess, sys, time
def say(answer): print(json.dumps(answer), flush=True)
open({pids:?}, "a").write("%d\n" % os.getpid())
for line in sys.stdin:
    r = json.loads(line)
    if r["f"] == "read":
        say({{"type": "ok", "value": []}})
        continue
    {body}
"#,
            pids = folder.file("pids").display().to_string(),
        ),
    );
    format!("exec:python3 '{script}'")
}

/// Six adds against such a client, two at a time, unless `more` says otherwise.
fn adds(folder: &Folder, body: &str, more: &str) -> Run {
    let mut command = workload("set -n a=addr:127.0.0.1");
    for (flag, value) in
        [("--ops", "6"), ("--rate", "20"), ("--concurrency", "2"), ("--timeout", "20s")]
    {
        if !more.contains(flag) {
            command.args([flag, value]);
        }
    }
    if !more.contains("--final") {
        command.arg("--no-final");
    }
    command.args(more.split_whitespace()).args(["--client", &client(folder, body)]);
    Running::start(&mut command).end(SOON)
}

/// The reasons of the adds that nobody knows the outcome of, each once.
fn reasons(lines: &[Value]) -> BTreeSet<&str> {
    let adds = lines.iter().filter(|line| line["f"] == "add" && line["type"] == "info");
    adds.map(|line| line["error"].as_str().unwrap()).collect()
}

/// Waits until every process whose id stands in the file `pids` is gone.
#[track_caller]
fn nobody_is_left(folder: &Folder) {
    let deadline = Instant::now() + SOON;
    for pid in fs::read_to_string(folder.file("pids")).unwrap().lines() {
        while std::path::Path::new("/proc").join(pid).exists() {
            assert!(Instant::now() < deadline, "{pid} is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

macro_rules! needs_python {
    () => {
        if !has("python3") {
            skip!("there is no python3");
        }
    };
}

#[test]
fn whatever_a_client_does_its_operation_is_unknown_and_nobody_is_left() {
    needs_python!();
    let child = r#"child = subprocess.Popen(["sleep", "300"]); open(sys.argv[0].replace("client.py", "pids"), "a").write("%d\n" % child.pid)"#;
    for (body, timeout, why) in [
        ("time.sleep(300)", "1500ms", "no answer within 1s500ms"),
        ("os.kill(os.getpid(), 19)", "1500ms", "no answer within 1s500ms"),
        ("os._exit(3)", "20s", "the client died (exit status: 3)"),
        ("os.kill(os.getpid(), 9)", "20s", "the client died (signal: 9 (SIGKILL))"),
        ("os.close(1); time.sleep(300)", "20s", "the client closed its output"),
        // Its own child holds the pipes: that it died is known all the same, long before the timeout.
        (&format!("{child}; os._exit(4)"), "39s", "the client died (exit status: 4)"),
        ("os.write(1, b'half a line'); os._exit(5)", "20s", "the client died (exit status: 5)"),
        (r"os.write(1, b'\xff\xfe\n')", "20s", "the client's answer is none: it is not UTF-8"),
        ("say([1])", "20s", r#"the client's answer is none: "type" must be ok, fail or info"#),
    ] {
        let folder = Folder::new("client");
        let began = Instant::now();
        let run = adds(&folder, body, &format!("--timeout {timeout}")).expect(0);
        let lines = run.lines();
        assert_eq!(well_formed(&lines)["info"], 6, "{body}: {}", run.stdout);
        assert_eq!(reasons(&lines), BTreeSet::from([why]), "{body}");
        assert!(began.elapsed() < Duration::from_secs(38), "{body}: {:?}", began.elapsed());
        assert!(run.stderr.lines().count() <= 2, "{body}: {}", run.stderr);
        nobody_is_left(&folder);
    }
}

/// A run of four adds against a program that does `start` before its first read, and `body` for each add.
fn with_a_start(folder: &Folder, start: &str, body: &str, more: &str) -> Run {
    let script = folder.write(
        "client.py",
        format!(
            r#"
import json, os, sys, time
first = not os.path.exists({pids:?})
open({pids:?}, "a").write("%d\n" % os.getpid())
{start}
for line in sys.stdin:
    r = json.loads(line)
    if r["f"] != "read":
        {body}
    print(json.dumps({{"type": "ok", "value": [] if r["f"] == "read" else r["value"]}}), flush=True)
"#,
            pids = folder.file("pids").display().to_string(),
        ),
    );
    let mut command =
        workload(&format!("set -n a=local --ops 4 --rate 20 --concurrency 2 --no-final {more}"));
    command.args(["--client", &format!("exec:python3 '{script}'")]);
    Running::start(&mut command).end(SOON).expect(0)
}

#[test]
fn the_start_of_a_program_does_not_count_toward_the_timeout_of_its_first_operation() {
    needs_python!();
    // It takes longer to start than an operation may take, and than the database may take to be ready.
    let (start, limits) = ("time.sleep(3)", "--timeout 2s --ready 1s");
    let folder = Folder::new("slow-start");
    let run = with_a_start(&folder, start, "pass", limits);
    assert_eq!(well_formed(&run.lines())["ok"], 4, "{}", run.stdout);

    // From its first read on the timeout counts as ever.
    let folder = Folder::new("slow-start-silent");
    let run = with_a_start(&folder, start, "time.sleep(300)", limits);
    assert_eq!(well_formed(&run.lines())["info"], 4, "{}", run.stdout);
    assert_eq!(reasons(&run.lines()), BTreeSet::from(["no answer within 2s"]));
    nobody_is_left(&folder);
}

#[test]
fn a_program_that_does_not_read_its_first_request_in_time_is_given_up() {
    needs_python!();
    let folder = Folder::new("never-reads");
    let run = with_a_start(
        &folder,
        "if not first: time.sleep(300)",
        "pass",
        "--timeout 20s --start-timeout 3s",
    );
    let lines = run.lines();
    assert_eq!(well_formed(&lines)["info"], 4, "{}", run.stdout);
    let why = "the client did not read its first request within 3s; see --start-timeout";
    assert_eq!(reasons(&lines), BTreeSet::from([why]));
    nobody_is_left(&folder);
}

#[test]
fn what_a_program_prints_before_it_reads_is_no_answer() {
    needs_python!();
    let folder = Folder::new("prints-first");
    let start = r#"if not first: os.write(1, b'{"type":"ok"}\n'); time.sleep(300)"#;
    let run = with_a_start(&folder, start, "pass", "--timeout 20s");
    let lines = run.lines();
    assert_eq!(well_formed(&lines)["info"], 4, "{}", run.stdout);
    let why = "the client printed a line before it read its first request";
    assert_eq!(reasons(&lines), BTreeSet::from([why]));
    nobody_is_left(&folder);
}

#[test]
fn a_client_that_prints_a_gigabyte_without_a_newline_costs_little_memory() {
    needs_python!();
    let folder = Folder::new("gigabyte");
    let body = "[os.write(1, b'x' * 1000000) for _ in range(1000)]";
    let client = client(&folder, body);
    let arguments = "set -n a=local --ops 1 --no-final --timeout 39s";
    let mut command = Command::new("python3");
    // The most memory that any of its children had is the tool's: python itself has some 10 MB.
    let measure = "import resource, subprocess, sys; s = subprocess.call(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(s)";
    command.args(["-c", measure, env!("CARGO_BIN_EXE_workload")]);
    command.args(arguments.split_whitespace()).args(["--client", &client]);
    let run = Running::start(&mut command).end(SOON).expect(0);
    assert_eq!(reasons(&run.lines()), BTreeSet::from(["the client's answer is longer than 64M"]));
    let peak: u64 = run.stderr.lines().last().unwrap().parse().unwrap();
    assert!(peak < 200_000, "{peak} KiB");
    nobody_is_left(&folder);
}

#[test]
fn the_last_lines_of_each_clients_stderr_are_shown_once_with_their_node() {
    needs_python!();
    let folder = Folder::new("traceback");
    // A traceback at each operation, with another number in it each time.
    let run = adds(&folder, "raise ValueError('no place for %s' % r['value'])", "").expect(0);
    assert_eq!(well_formed(&run.lines())["info"], 6);
    assert_eq!(
        run.stderr.matches("a client on a: ValueError: no place for ").count(),
        1,
        "{run:?}"
    );
    assert_eq!(run.stderr.matches("Traceback").count(), 1, "{run:?}");

    // What was said long before the end is counted.
    let folder = Folder::new("talkative");
    let body = "[sys.stderr.write('line %d\\n' % i) for i in range(100000)]; say({'type': 'ok'})";
    let run = adds(&folder, body, "--ops 1").expect(0);
    assert_eq!(well_formed(&run.lines())["ok"], 1);
    assert!(run.stderr.contains("a client on a: line 99999\n"), "{run:?}");
    assert!(run.stderr.contains("a client on a: (99992 lines before these)\n"), "{run:?}");
    assert!(run.stderr.lines().count() < 12, "{run:?}");

    // Those that differ in more than numbers are shown up to three, and the others counted.
    let folder = Folder::new("different");
    let body =
        "sys.stderr.write('word ' + 'x' * (r['value'] + 1)); sys.stderr.flush(); os._exit(1)";
    let run = adds(&folder, body, "").expect(0);
    assert_eq!(run.stderr.matches("a client on a: word x").count(), 3, "{run:?}");
    assert!(run.stderr.contains("3 more clients on a said other things"), "{run:?}");

    // With -v every line is shown as it comes.
    let run = adds(&Folder::new("verbose"), body, "-v").expect(0);
    assert_eq!(run.stderr.matches("a client on a: word x").count(), 6, "{run:?}");
}

#[test]
fn a_client_that_never_stops_talking_on_stderr_holds_nobody_up() {
    needs_python!();
    let folder = Folder::new("flood");
    let body = r"say({'type': 'ok'}); [os.write(2, b'y' * 100000) for _ in iter(int, 1)]";
    let run = adds(&folder, body, "--timeout 2s --final").expect(0);
    let counts = well_formed(&run.lines());
    assert!(counts["ok"] > 0 && counts["invoke"] >= 7, "{counts:?}");
    assert!(run.stderr.len() < 5000, "{}", run.stderr.len());
    nobody_is_left(&folder);
}

#[test]
fn an_answer_that_belongs_to_another_request_is_named_as_such() {
    needs_python!();
    let folder = Folder::new("late");
    // One behind, as a client is that answered late: each answer is for the request before.
    let body = r#"say({"type": "ok", "id": seen if (seen := globals().get("last")) else r["id"]}); last = r["id"]"#;
    let run = adds(&folder, body, "--concurrency 1").expect(0);
    let lines = run.lines();
    let counts = well_formed(&lines);
    assert_eq!((counts["ok"], counts["info"]), (3, 3), "{}", run.stdout);
    // The setup's read was request 1.
    let named = "the client's answer is none: it answered request 2 (add 0) when request 3 (add 1) was asked";
    assert!(reasons(&lines).contains(named), "{:?}", reasons(&lines));
    assert_eq!(run.stderr.matches("when request").count(), 1, "said once: {}", run.stderr);

    // One that was printed too much is known before the next request is sent.
    let folder = Folder::new("too-much");
    // In one piece: on a busy machine the next request may be sent before a second piece comes.
    let body =
        r#"a = json.dumps({"type": "ok", "id": r["id"]}) + "\n"; os.write(1, (a + a).encode())"#;
    let run = adds(&folder, body, "--concurrency 1 --rate 2").expect(0);
    assert_eq!(well_formed(&run.lines())["ok"], 6, "{}", run.stdout);
    assert!(run.stderr.contains("(this one is for request 2)"), "{}", run.stderr);
}

#[test]
fn a_request_has_a_number_of_its_own_and_the_addresses_of_its_node() {
    let folder = Folder::new("requests");
    let seen = folder.file("seen");
    let script = folder.write(
        "client",
        format!(
            "while read -r l; do echo \"$l\" >> {}; case $l in *read*) echo '{{\"type\":\"ok\",\"value\":[]}}';; *) echo '{{\"type\":\"ok\"}}';; esac; done",
            seen.display()
        ),
    );
    let mut command =
        workload("set -n a=addr:192.0.2.7,b=local --ops 20 --concurrency 4 --timeout 20s");
    let run = run(command.args(["--client", &format!("exec:sh '{script}'")])).expect(0);
    well_formed(&run.lines());
    let text = fs::read_to_string(seen).unwrap();
    let requests: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: BTreeSet<u64> = requests.iter().map(|r| r["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), requests.len(), "each is new");
    let of_a = requests.iter().filter(|r| r["node"] == "a");
    assert!(
        of_a.clone().count() > 5 && of_a.into_iter().all(|r| r["addrs"] == json!(["192.0.2.7"]))
    );
}

/// A client whose final reads take so many seconds, and whose node b refuses the first so often.
const FINAL: &str = r#"
import json, sys, time
refusals = int(sys.argv[2])
for line in sys.stdin:
    r = json.loads(line)
    answer = {"type": "ok"}
    if r["f"] == "read":
        answer["value"] = []
        if r.get("final"):
            time.sleep(float(sys.argv[1]))
            if r["node"] == "b" and refusals:
                refusals -= 1
                answer = {"type": "fail", "error": "still starting"}
    print(json.dumps(answer), flush=True)
"#;

/// A run of a few adds on a and b whose final reads do that.
fn with_final_reads(seconds: &str, refusals: &str, more: &str) -> Run {
    let folder = Folder::new("final");
    let script = folder.write("client.py", FINAL);
    let mut command = workload(&format!("set -n a=local,b=local --ops 4 --recovery 0s {more}"));
    command.args(["--client", &format!("exec:python3 '{script}' {seconds} {refusals}")]);
    Running::start(&mut command).end(SOON).expect(0)
}

#[test]
fn a_final_read_has_a_longer_limit_than_an_operation_and_the_end_says_which_nodes_were_read() {
    needs_python!();
    let run = with_final_reads("2.5", "0", "--timeout 2s");
    let lines = run.lines();
    well_formed(&lines);
    let both = (&json!(["a", "b"]), &json!([]));
    assert_eq!((&end(&lines)["read"], &end(&lines)["unread"]), both, "{}", run.stdout);
    assert!(run.stderr.contains("final reads came from 2 of 2 nodes: a, b"), "{}", run.stderr);

    let run = with_final_reads("30", "0", "--timeout 2s --final-timeout 1s");
    let lines = run.lines();
    assert_eq!(of(&lines, "read").len(), 4, "no time for another try");
    let why = "no answer within 1s";
    let unread = json!([{"node": "a", "why": why}, {"node": "b", "why": why}]);
    assert_eq!((&end(&lines)["read"], &end(&lines)["unread"]), (&json!([]), &unread));
    assert!(run.stderr.contains("came from 0 of 2 nodes; none, or not all, from a"), "{run:?}");

    let run = with_final_reads("0", "0", "--no-final");
    assert_eq!(end(&run.lines())["read"], Value::Null, "nothing was to be read");
}

#[test]
fn a_final_read_that_fails_is_made_again_as_an_operation_of_its_own() {
    needs_python!();
    // Five refusals: the pauses between them last 3.1 s.
    let run = with_final_reads("0", "5", "--timeout 20s --final-timeout 30s");
    let lines = run.lines();
    well_formed(&lines);
    let of_b = of(&lines, "read").into_iter().filter(|line| line["node"] == "b");
    let kinds: Vec<&str> = of_b.map(|line| line["type"].as_str().unwrap()).collect();
    let tries = ["invoke", "fail"].repeat(5);
    assert_eq!(kinds, [tries, vec!["invoke", "ok"]].concat());
    assert_eq!(end(&lines)["read"], json!(["a", "b"]));

    // One that never succeeds is given up when its time is over, and the other node is read all the same.
    let run = with_final_reads("0", "1000", "--timeout 20s --final-timeout 2s");
    let lines = run.lines();
    let unread = json!([{"node": "b", "why": "still starting"}]);
    assert_eq!((&end(&lines)["read"], &end(&lines)["unread"]), (&json!(["a"]), &unread));
}

#[test]
fn a_nemesis_that_prints_nonsense_is_quoted_three_times_and_without_end_not_at_all() {
    let mut command = workload("set --client mem --time-limit 2s");
    command.args(["--nemesis", "sh -c 'yes nonsense | head -n 5000'"]);
    let garbage = run(&mut command).expect(2);
    assert_eq!(garbage.stderr.matches("no fault line (").count(), 3, "{}", garbage.stderr);
    assert!(garbage.stderr.contains("printed 4997 more lines"), "{}", garbage.stderr);

    let line = r#"{"process":"nemesis","type":"info","f":"kill"}"#;
    let script = Folder::new("endless");
    let script =
        script.write("nemesis", format!("head -c 100000000 /dev/zero\necho\necho '{line}'\n"));
    let mut command = workload("set --client mem --time-limit 8s");
    let endless = run(command.args(["--nemesis", &format!("sh {script}")]));
    assert!(endless.stderr.contains("longer than 64M"), "{}", endless.stderr);
    let endless = endless.expect(0);
    assert_eq!(of(&endless.lines(), "kill").len(), 1, "the line after it counts");
}

#[test]
fn a_nemesis_whose_child_holds_its_stdout_is_not_waited_for() {
    if !has("setsid") {
        skip!("there is no setsid");
    }
    let folder = Folder::new("holder");
    let pid = folder.file("pid");
    let nemesis = folder.write(
        "nemesis",
        format!(
            "setsid sh -c 'echo $$ > {}; exec sleep 300' 2> /dev/null &\nexit 0\n",
            pid.display()
        ),
    );
    let began = Instant::now();
    let mut command = workload("set --client mem --time-limit 1s --nemesis");
    let run = Running::start(command.arg(format!("sh {nemesis}"))).end(SOON);
    // It left its group by itself, and is this test's to end.
    let pid = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(end(&run.expect(2).lines())["status"], "unknown");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

#[test]
fn a_history_goes_to_no_place_that_could_hold_up_the_run() {
    let folder = Folder::new("places");
    let fifo = folder.file("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let socket = folder.file("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for place in [&fifo, &socket] {
        let mut command = workload("set --client mem --ops 1 -o");
        let refused = Running::start(command.arg(place)).end(SOON).expect(64);
        assert!(refused.stderr.contains("is no file but a pipe"), "{}", refused.stderr);
        assert_eq!((refused.stdout.as_str(), refused.stderr.lines().count()), ("", 1));
    }
    run(workload("set --client mem --ops 1 -o").arg(folder.path())).expect(71);
    run(&mut workload("set --client mem --ops 1 -o /dev/null")).expect(0);
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_its_programs() {
    needs_python!();
    let folder = Folder::new("disk");
    // A limit on the size of files is a full disk to a program that ignores its signal.
    let client = client(&folder, r#"say({"type": "ok"})"#);
    let line = format!(
        "trap '' XFSZ; ulimit -f 16; exec {} set -n a=local --timeout 20s --client \"{client}\" -o {}",
        env!("CARGO_BIN_EXE_workload"),
        folder.file("h.jsonl").display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &line]).env_remove("BREAKIT_SEED");
    let full = Running::start(&mut command).end(SOON).expect(71);
    assert!(full.stderr.lines().last().unwrap().contains("cannot write to"), "{}", full.stderr);
    let written = fs::read_to_string(folder.file("h.jsonl")).unwrap();
    assert!(written.lines().count() > 10, "{written}");
    nobody_is_left(&folder);
}

#[test]
fn a_rate_beyond_what_is_possible_takes_no_memory_and_ends_in_time() {
    let began = Instant::now();
    let mut command =
        workload("set --client mem:hang --rate 1000000 --concurrency 3 --time-limit 4s");
    command.stdout(Stdio::null());
    let mut running = Running::start(&mut command);
    running.wait_until_it_catches(Signal::SIGINT);
    let status = format!("/proc/{}/status", running.pid());
    let mut peak = 0;
    while began.elapsed() < Duration::from_millis(3500) {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = now.and_then(|now| now.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(now.unwrap_or(0));
        running.stdin.take();
        std::thread::sleep(Duration::from_millis(50));
    }
    let run = running.end(SOON).expect(0);
    let lines = run.lines();
    // Some three million fell due; eight bytes each would be more than this.
    assert!(peak > 0 && peak < 24_000, "{peak} kB");
    let unsent = end(&lines)["unsent"].as_u64().unwrap();
    let sent = of(&lines, "add").iter().filter(|line| line["type"] == "invoke").count() as u64;
    // On a busy machine the end of the time is noticed late, never early.
    assert!((3_980_000..=4_400_000).contains(&(unsent + sent)), "{unsent} and {sent}");
}

#[test]
fn a_second_interrupt_changes_nothing_and_is_answered() {
    needs_python!();
    let folder = Folder::new("twice");
    let mut command = workload("set -n a=local --concurrency 4 --timeout 3s --time-limit 10m");
    let mut running =
        Running::start(command.args(["--client", &client(&folder, "time.sleep(300)")]));
    for _ in 0..3 {
        running.line(SOON);
    }
    for signal in [Signal::SIGINT, Signal::SIGINT, Signal::SIGTERM] {
        running.signal(signal);
        std::thread::sleep(Duration::from_millis(100));
    }
    let run = running.end(SOON).expect(130);
    let lines = run.lines();
    well_formed(&lines);
    assert_eq!(end(&lines)["status"], "interrupted");
    assert_eq!(end(&lines)["read"], json!(["a"]));
    assert!(run.stderr.contains("the run ends by itself"), "{}", run.stderr);
    nobody_is_left(&folder);
}

#[test]
fn a_client_that_hangs_in_setup_is_killed_by_the_first_signal() {
    needs_python!();
    let folder = Folder::new("setup");
    let script = folder.write(
        "client.py",
        format!(
            "import os, sys, time\nopen({:?}, 'a').write('%d\\n' % os.getpid())\nsys.stderr.write('connecting\\n')\ntime.sleep(300)\n",
            folder.file("pids").display().to_string()
        ),
    );
    let mut command = workload("set -n a=local --ready 10m --client");
    let running = Running::start(command.arg(format!("exec:python3 {script}")));
    let deadline = Instant::now() + SOON;
    while !folder.file("pids").exists() {
        assert!(Instant::now() < deadline, "the client was not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    running.signal(Signal::SIGINT);
    let run = running.end(SOON).expect(130);
    assert_eq!(end(&run.lines())["status"], "interrupted");
    nobody_is_left(&folder);
}
