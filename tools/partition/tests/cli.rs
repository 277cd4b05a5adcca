//! `partition` without root and without a network: plans, scripts, and what is refused.

use std::os::unix::process::CommandExt;
use std::process::Command;

use breakit_tests::process::{Run, run, run_with, tool};
use breakit_tests::{Fakes, has, hostile, skip};
use partition::shapes::SHAPES;

fn partition(args: &str) -> Command {
    let mut command = tool("partition");
    command.args(args.split(' ')).env_remove("BREAKIT_SEED").env("BREAKIT_FLEET", "no-such-fleet");
    command
}

fn plan(args: &str) -> Run {
    run(&mut partition(&format!("plan {args}")))
}

/// Nodes whose addresses are known, so that nobody has to be asked.
const KNOWN: &str = r#"{"node":"n1","addrs":["10.9.0.1","fd09::1"],"via":"local"}
{"node":"n2","addrs":["10.9.0.2","fd09::2"],"via":"ssh:n2.example"}
{"node":"n3","addrs":["10.9.0.3"],"via":"ssh:n3.example"}
"#;

#[test]
fn a_plan_is_one_line_of_json_and_nothing_else_on_stdout() {
    let run = plan("isolate n1,n2 -n n1..n5").expect(0);
    assert_eq!(
        run.stdout,
        "{\"n1\":[\"n3\",\"n4\",\"n5\"],\"n2\":[\"n3\",\"n4\",\"n5\"],\"n3\":[\"n1\",\"n2\"],\
         \"n4\":[\"n1\",\"n2\"],\"n5\":[\"n1\",\"n2\"]}\n"
    );
    assert!(run.stderr.starts_with("partition: isolate n1,n2, seed "), "{}", run.stderr);
}

#[test]
fn the_seed_comes_from_the_flag_or_else_from_the_environment() {
    let flag = plan("random-halves -n n1..n20 --seed 7").expect(0).stdout;
    let mut command = partition("plan random-halves -n n1..n20");
    let environment = run(command.env("BREAKIT_SEED", "7")).expect(0).stdout;
    assert_eq!(flag, environment);
    assert_ne!(flag, plan("random-halves -n n1..n20 --seed 8").expect(0).stdout);
    run(command.env("BREAKIT_SEED", "seven")).expect(64);
}

#[test]
fn a_plan_read_back_as_a_grudge_is_the_same_plan() {
    let examples = SHAPES.iter().flat_map(|entry| {
        entry.examples.iter().map(|arguments| format!("{} {arguments}", entry.name))
    });
    for shape in examples {
        let shape = shape.trim();
        let made = plan(&format!("{shape} -n n1..n9 --seed 3")).expect(0).stdout;
        for again in ["plan -", "plan grudge -"] {
            let read = run_with(&mut partition(&format!("{again} -n n1..n9")), &made).expect(0);
            assert_eq!(read.stdout, made);
        }
    }
}

#[test]
fn a_dry_run_prints_the_script_and_needs_no_root() {
    if !has("nft") {
        skip!("nft is missing");
    }
    let mut command =
        partition("cut one-way n1 n2 -n - --dry-run --backend nft --force --lease 2s");
    let run = run_with(command.uid(65534).gid(65534), KNOWN).expect(0);
    assert!(run.stdout.starts_with("# in the network of n2 (ssh:n2.example)\n"), "{}", run.stdout);
    assert!(run.stdout.contains("{ 10.9.0.1 timeout 2000ms comment \"n1 n2\" }"), "{}", run.stdout);
    assert!(run.stdout.contains("{ fd09::1 timeout 2000ms comment \"n1 n2\" }"), "{}", run.stdout);
    assert!(!run.stdout.contains("10.9.0.2"), "{}", run.stdout);
}

#[test]
fn the_login_that_we_sit_on_is_let_pass_unless_force_is_given() {
    if !has("nft") {
        skip!("nft is missing");
    }
    let login = |force: &str| {
        let line = format!("cut isolate n1 -n - --dry-run --backend nft{force}");
        let nodes = KNOWN.lines().next().unwrap().to_string()
            + "\n"
            + r#"{"node":"n9","addrs":["10.9.0.9"],"via":"local"}"#;
        let mut command = partition(&line);
        command.env("SSH_CONNECTION", "10.9.0.9 50000 10.9.0.1 2222");
        run_with(&mut command, &nodes).expect(0).stdout
    };
    let kept = login("");
    assert!(kept.contains("ip saddr 10.9.0.9 tcp dport 2222 accept"), "{kept}");
    assert!(kept.contains("ip saddr 10.9.0.1 tcp sport 2222 accept"), "{kept}");
    let forced = login(" --force");
    assert!(!forced.contains("2222"), "{forced}");
}

#[test]
fn whoever_is_not_root_is_told_what_to_do() {
    for line in ["cut halves -n a=pid:1,b=local", "list", "heal", "check -n a=pid:1,b=local"] {
        let run = run(partition(line).uid(65534).gid(65534)).expect(77);
        assert!(run.stderr.contains("needs root"), "{line}: {}", run.stderr);
        assert!(run.stderr.contains("unshare -Urnm"), "{line}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn what_is_wrong_is_one_sentence_with_the_right_status() {
    if !has("nft") {
        skip!("nft is missing");
    }
    for (line, status, clause) in [
        ("plan", 64, "which cut? take one of: isolate"),
        ("plan sideways -n n1..n3", 64, "\"sideways\" is no shape; take one of: isolate"),
        ("cut isolat n1 -n n1..n3", 64, "\"isolat\" is no shape; did you mean isolate?"),
        (
            "isolate n1 -n n1..n3",
            64,
            "did you mean (partition cut isolate n1 -n n1..n3) or (partition plan isolate n1 -n n1..n3)?",
        ),
        (
            "cutt halves -n n1..n3",
            64,
            "\"cutt\" is no command; did you mean (partition cut halves -n n1..n3)?",
        ),
        ("halve --for 1s -n n1,n2", 64, "did you mean (partition cut halves --for 1s -n 'n1,n2')?"),
        ("lst --sideways", 64, "did you mean list? (see partition list --help)"),
        (
            "sideways",
            64,
            "\"sideways\" is no command; take one of: plan, cut, replay, heal, list, check, probe",
        ),
        ("plan halves n1 -n n1..n3", 64, "halves takes nothing"),
        ("plan halves -n n1", 64, "two nodes at least, and there is one"),
        ("plan isolate n1..n3 -n n1..n3", 64, "names all nodes"),
        ("plan isolate n7 -n n1..n3", 66, "n7 is none of the nodes n1,n2,n3"),
        ("plan isolate ../x -n n1..n3", 64, "\"../x\" is no range"),
        ("plan isolate n1;rm -n n1..n3", 64, "no node name"),
        ("plan halves -n n1,n2,n1", 64, "n1 is named twice"),
        ("plan halves -n n5..n1", 64, "runs backwards"),
        ("plan one-way n1 -n n1..n3", 64, "one-way takes two groups"),
        ("plan grudge /no/such/file -n n1..n3", 66, "cannot read the grudge /no/such/file"),
        ("plan halves", 66, "fleet no-such-fleet is not up"),
        ("cut halves -n n1..n3", 66, "fleet no-such-fleet is not up"),
        ("cut halves -n a=local,b=local --for 5s --every 3s", 64, "not shorter than --every"),
        ("cut halves -n a=local,b=local --lease 10ms", 64, "--lease 10ms is out of range"),
        ("cut halves -n a=local,b=local --lease 1x", 64, "no duration"),
        ("cut halves -n a=local,b=local --keep --for 1s --every 2s", 64, "cannot be used with"),
        ("cut halves -n a=local,b=local --keep --first 3s", 64, "cannot be used with"),
        ("cut halves -n a=local,b=local --keep --for 30d", 64, "a lease takes 1s to 24h"),
        ("cut halves -n a=local,b=local --keep --for 10ms", 64, "a lease takes 1s to 24h"),
        ("check -n a=local,b=local --timeout 0s", 64, "no time for anything to arrive"),
        ("cut halves -n a=local,b=local --backend carrier-pigeon", 64, "carrier-pigeon"),
        ("cut halves -n a=local,b=local --primaries true", 64, "goes with the shape primaries"),
        (
            "cut primaries -n a=local,b=local --primaries no-such-program",
            69,
            "no program no-such-program",
        ),
        ("cut - -n -", 64, "cannot both come on stdin"),
        ("cut halves --from 10.0.0.5", 64, "go without a shape"),
        ("cut --to 10.0.0.5 --verify --loss 5%", 64, "--verify cannot tell a share"),
        ("cut --from 10.0.0.256", 64, "--from \"10.0.0.256\" is no address"),
        ("cut --from 10.0.0.0/33", 64, "is no address, no network"),
        ("cut --to no-such-host.invalid", 66, "--to no-such-host.invalid: the name has no address"),
        ("cut --from 10.0.0.5 --port 90-80", 64, "runs backwards; write 80-90"),
        ("cut --from 10.0.0.5 --port 70000", 64, "no port"),
        ("cut --from 10.0.0.5 --protocol carrier", 64, "carrier"),
        ("cut --from 10.0.0.5 --loss 101%", 64, "\"101%\" is no share"),
        ("cut --from 10.0.0.5 --loss 0", 64, "\"0\" is no share"),
        ("cut --from 10.0.0.5 --loss -5%", 64, "-5"),
        ("cut --from 10.0.0.5 --protocol udp --new-only", 64, "--new-only is about TCP"),
        ("cut --from 10.0.0.5 --protocol icmp --port 80", 64, "ICMP has no ports"),
        ("cut --from 10.0.0.5 --proto icmp --port 80", 64, "ICMP has no ports"),
        ("cut halves -n a=local,b=local --every 3s --for 1s --jitter 1s", 64, "--jitter"),
        ("cut halves -n a=local,b=local --verify --loss 20%", 64, "--verify measures whole cuts"),
        ("cut --from 10.0.0.5 --backend nft-bridge --dry-run", 69, "nft-bridge: it cuts nodes"),
        (
            "cut halves -n a=local,b=local --every 3s --for 1s --stagger 2s",
            64,
            "--stagger 2s together",
        ),
    ] {
        let run = run(&mut partition(line)).expect(status);
        assert!(run.stderr.contains(clause), "{line}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{line}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{line}");
    }
}

#[test]
fn primaries_are_named_on_stdin_as_well_as_behind_the_word() {
    let named = plan("primaries n1 n3 -n n1..n5 --seed 7").expect(0).stdout;
    for input in ["n1\nn3\n", "n1 n3", "n1,n3\n\n"] {
        let read = run_with(&mut partition("plan primaries - -n n1..n5 --seed 7"), input).expect(0);
        assert_eq!(read.stdout, named);
    }
    for (input, status, clause) in [
        ("", 65, "stdin: it names no primary"),
        ("n1\n../x\n", 65, "stdin: line 2: \"../x\" is no range"),
        ("n9\n", 66, "n9 is none of the nodes"),
    ] {
        let refused = run_with(&mut partition("plan primaries - -n n1..n5"), input).expect(status);
        assert!(refused.stderr.contains(clause), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    run(&mut partition("plan primaries - -n -")).expect(64);
}

#[test]
fn a_bad_grudge_names_its_place() {
    for (grudge, clause) in [
        ("{\"n1\":[\"n2\"]", "stdin: line 1: column 12: not JSON"),
        ("{\"n1\":[\"n9\"]}", "stdin: \"n9\" is none of the nodes n1,n2,n3"),
        ("[1]", "stdin: a grudge is a map"),
    ] {
        let run = run_with(&mut partition("plan - -n n1..n3"), grudge).expect(65);
        assert!(run.stderr.contains(clause), "{}", run.stderr);
    }
    let run = run_with(&mut partition("plan - -n n1..n3"), "{}").expect(65);
    assert!(run.stderr.contains("cuts nobody"), "{}", run.stderr);
}

#[test]
fn what_others_wrote_steers_no_terminal() {
    let unknown = format!("--{}", hostile::TEXT);
    run(tool("partition").arg(unknown)).expect(64).shows(r"\u{202e}");
    let file = format!("/nowhere/{}\nhealed", hostile::TEXT);
    let missing = run(tool("partition").args(["replay", &file, "--dry-run", "-n", "n1=local"]));
    let shown = format!("{}\\nhealed", hostile::SHOWN);
    assert_eq!(missing.expect(66).shows(&shown).stderr.lines().count(), 1);
    let line = format!(r#"{{"node":"{}","via":"local"}}"#, "\\u001b]0;x\u{202e}");
    run_with(&mut partition("plan halves -n -"), &line).expect(65).shows(r"\u{202e}");
}

#[test]
fn helpers_come_from_the_systems_folders_or_from_those_of_path() {
    let fakes = Fakes::new(&["ssh", "nft", "ip", "sh"]);
    let list = "list -n n1=ssh:root@127.0.0.1";
    let mut command = partition(list);
    fakes.first_in_path(&mut command);
    // Whether an sshd lets us in here does not matter.
    run(&mut command);
    fakes.are_left_alone();
    run(command.arg("--path").arg(fakes.path()));
    fakes.were_run_with_a_clean_environment();
    run(&mut partition(&format!("{list} --path /nowhere"))).expect(66);
}

#[test]
fn the_command_that_names_primaries_is_the_users() {
    if !has("nft") || !has("ip") {
        skip!("nft or ip is missing");
    }
    let fakes = Fakes::new(&["who-is-primary"]);
    let mut command = partition("cut primaries --dry-run -n n1=local,n2=addr:198.51.100.7");
    command.args(["--primaries", "who-is-primary"]);
    fakes.first_in_path(&mut command);
    run(&mut command);
    assert!(fakes.ran().is_some_and(|names| names.contains(&"BASH_ENV".to_string())));
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    let mut unset = tool("partition");
    let unset = run(unset
        .args(["plan", "halves", "--seed", "1"])
        .env_remove("BREAKIT_FLEET")
        .env_remove("BREAKIT_SEED"));
    let mut empty = tool("partition");
    let empty = run(empty
        .args(["plan", "halves", "--seed", "1"])
        .env("BREAKIT_FLEET", "")
        .env("BREAKIT_SEED", ""));
    assert!([0, 66].contains(&unset.status), "{unset:?}");
    assert_eq!(
        (empty.status, empty.stdout, empty.stderr),
        (unset.status, unset.stdout, unset.stderr)
    );
}

#[test]
fn the_tools_name_alone_is_answered_by_its_commands() {
    let bare = run(&mut tool("partition")).expect(64);
    let said = "partition: which command? plan, cut, replay, heal, list, check, probe (see partition --help)\n";
    assert_eq!((bare.stdout.as_str(), bare.stderr.as_str()), ("", said));
}

#[test]
fn nodes_are_a_plain_list_of_hosts_or_named_by_their_ways() {
    let file = std::env::temp_dir().join(format!("breakit-hosts-list-{}", std::process::id()));
    std::fs::write(&file, "# the cluster\ndb1\nroot@192.0.2.3 # the second\n\nblue=netns:x\n")
        .unwrap();
    let planned = plan(&format!("isolate db1 -n @{}", file.display())).expect(0).lines();
    assert_eq!(planned[0]["db1"], serde_json::json!(["192.0.2.3", "blue"]));
    std::fs::write(&file, "db1\n-oProxyCommand=x\n").unwrap();
    let refused = plan(&format!("isolate db1 -n @{}", file.display())).expect(65).stderr;
    assert!(refused.contains("line 2"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    let planned = plan("isolate blue -n netns:blue,pid:4711").expect(0).lines();
    assert_eq!(planned[0]["blue"], serde_json::json!(["pid4711"]));
}

#[test]
fn help_and_the_manual_list_every_shape() {
    let manual = include_str!("../../../man/partition.1");
    let helps =
        ["plan", "cut"].map(|of| run(tool("partition").args([of, "--help"])).expect(0).stdout);
    for entry in SHAPES {
        let item = manual.lines().any(|line| {
            line.strip_prefix(".It Cm ").and_then(|rest| rest.split(' ').next()) == Some(entry.name)
        });
        assert!(item, "{} is not in the manual", entry.name);
        assert!(helps.iter().all(|help| help.contains(entry.doc)), "{}", entry.name);
    }
}
