//! The delay line at work: long packets, other lines beside it, and what becomes of a flow when it dies or hangs.

#![allow(clippy::unwrap_used)]

mod bed;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use breakit_tests::process::run;
use breakit_tests::{Namespaces, Running, skip};
use nix::sys::signal::Signal;

use bed::*;

/// Namespaces where the kernel has a packet queue, or the reason why not.
fn queued(nodes: usize) -> Result<Namespaces, String> {
    let bed = Namespaces::make(nodes)?;
    let probe = run(bed.tool("slownet").arg("probe")).expect(0).lines().remove(0);
    match &probe["works"]["queue"]["works"] {
        serde_json::Value::Bool(true) => Ok(bed),
        _ => Err(format!("this kernel has no packet queue: {}", probe["works"]["queue"])),
    }
}

macro_rules! queued {
    ($nodes:expr) => {
        match queued($nodes) {
            Ok(bed) => bed,
            Err(why) => skip!("{why}"),
        }
    };
}

/// A line on node `i`, in force.
fn line(bed: &Namespaces, i: usize, flags: &[&str]) -> Running {
    let flags = [&["--backend", "nfqueue"], flags].concat();
    let mut held = Running::start(&mut set(bed, &node(bed, i), &flags));
    assert_eq!(held.line(SOON)["f"], "start-slow");
    held
}

/// A flow of TCP from one node to another whose bytes are numbers that count up, so that one that is missing,
/// doubled or out of its place is seen.
struct Flow {
    received: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flow {
    fn start(bed: &Namespaces, from: usize, to: usize) -> Flow {
        let bind = || Ok(TcpListener::bind("0.0.0.0:0").unwrap());
        let listener = network(bed, to).inside(bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = format!("{}:{port}", bed.v4(to));
        let connect = || Ok(TcpStream::connect(address).unwrap());
        let sender = network(bed, from).inside(connect).unwrap();
        let receiver = listener.accept().unwrap().0;
        let (received, stop) = (Arc::default(), Arc::default());
        let mut flow = Flow { received, stop, threads: Vec::new() };
        let stop = Arc::clone(&flow.stop);
        flow.threads.push(std::thread::spawn(move || send(sender, &stop)));
        let received = Arc::clone(&flow.received);
        flow.threads.push(std::thread::spawn(move || receive(receiver, &received)));
        flow
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Waits for so many more bytes; fails where they do not come.
    #[track_caller]
    fn flows(&self, bytes: u64, within: Duration) {
        let (begin, before) = (Instant::now(), self.received());
        while self.received() < before + bytes {
            assert!(begin.elapsed() < within, "{} of {bytes} bytes", self.received() - before);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All that was sent has come, in its order.
    #[track_caller]
    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

fn send(mut stream: TcpStream, stop: &AtomicBool) {
    let mut next = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let block: Vec<u8> = (next..next + 8192).flat_map(u64::to_le_bytes).collect();
        stream.write_all(&block).unwrap();
        next += 8192;
    }
}

fn receive(mut stream: TcpStream, received: &AtomicU64) {
    let mut block = vec![0_u8; 1 << 16];
    for round in 0_u64.. {
        match stream.read_exact(&mut block) {
            Ok(()) => {}
            Err(_) => return,
        }
        let numbers = block.chunks_exact(8).map(|n| u64::from_le_bytes(n.try_into().unwrap()));
        assert!(numbers.eq(round * 8192..(round + 1) * 8192), "bytes are not those that were sent");
        received.fetch_add(block.len() as u64, Ordering::SeqCst);
    }
}

#[test]
fn packets_longer_than_those_of_ordinary_links_are_held_whole() {
    let bed = queued!(2);
    let (host, a, b) = (bed.host(), bed.name(0), bed.name(1));
    let script = format!(
        "set -e; for port in v0 v1 br0; do ip -n {host} link set $port mtu 9000; done
         ip -n {a} link set eth0 mtu 9000; ip -n {b} link set eth0 mtu 9000"
    );
    run(Command::new("sh").args(["-c", &script])).expect(0);
    let _line = line(&bed, 0, &["--delay", "20ms"]);
    for size in ["56", "900", "1500", "3900", "4000", "8900"] {
        // Pings carry bytes that count up, and complain of others.
        let mut ping = bed.at(0, "ping");
        ping.args(["-n", "-M", "do", "-i", "0.02", "-c", "10", "-W", "5", "-s", size, &bed.v4(1)]);
        let said = run(&mut ping).expect(0).stdout;
        assert!(said.contains(" 10 received") && !said.contains("wrong"), "{said}");
    }
    let flow = Flow::start(&bed, 0, 1);
    flow.flows(10 << 20, SOON);
    flow.end();
}

#[test]
fn a_flow_comes_whole_and_in_order_whichever_way_it_is_held() {
    let bed = queued!(2);
    for (node, direction, jitter) in
        [(0, "out", "0"), (1, "in", "0"), (0, "out", "3ms"), (1, "in", "3ms")]
    {
        let flags = ["--delay", "5ms", "--jitter", jitter, "--direction", direction];
        let held = line(&bed, node, &flags);
        let flow = Flow::start(&bed, 0, 1);
        flow.flows(4 << 20, SOON);
        end(held);
        flow.flows(4 << 20, SOON);
        flow.end();
    }
}

/// Where each thread of a line may run, as the kernel writes it.
fn processors(held: &Running) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", held.pid())).unwrap();
    // A thread may end meanwhile.
    let status = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("status")).ok()
    };
    let list = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.map(|list| list.trim().to_owned())
    };
    tasks.filter_map(status).filter_map(list).collect()
}

#[test]
fn a_line_that_holds_nothing_stays_on_a_processor_while_many_packets_come_and_no_longer() {
    let bed = queued!(2);
    for (node, direction) in [(0, "out"), (1, "in")] {
        let held = line(&bed, node, &["--delay", "0", "--direction", direction]);
        let given = processors(&held).remove(0);
        let free = || processors(&held).iter().all(|list| *list == given);
        let stays = || processors(&held).iter().any(|list| list.parse::<usize>().is_ok());
        if stays() {
            skip!("of one processor there is no choice");
        }
        assert!(free(), "nobody is busy yet: {:?}", processors(&held));
        let flow = Flow::start(&bed, 0, 1);
        assert!(within(SOON, stays), "{direction}: {:?}", processors(&held));
        flow.end();
        // One by one, and from both sides: it looks where it runs when a packet comes.
        let ping = || drop(rtts(&bed, 1, &bed.v4(0), 3));
        let given_back = || {
            ping();
            free()
        };
        assert!(within(SOON, given_back), "{direction}: {:?}", processors(&held));
        end(held);
    }
}

#[test]
fn a_flow_goes_on_at_once_where_its_line_is_killed_and_at_the_end_of_the_lease_where_it_hangs() {
    let bed = queued!(2);
    for (node, direction) in [(0, "out"), (1, "in")] {
        let flags = ["--delay", "20ms", "--lease", "90s", "--direction", direction];
        let held = line(&bed, node, &flags);
        let flow = Flow::start(&bed, 0, 1);
        flow.flows(1 << 20, SOON);
        held.signal(Signal::SIGKILL);
        // Long before the lease ends, what was lost with the line is sent again.
        flow.flows(20 << 20, SOON);
        flow.end();
        held.end(SOON).expect(137);

        let held =
            line(&bed, node, &["--delay", "20ms", "--lease", "2s", "--direction", direction]);
        let flow = Flow::start(&bed, 0, 1);
        flow.flows(1 << 20, SOON);
        held.signal(Signal::SIGSTOP);
        // Its packets that lie in the queue of what hangs are released, or it would stand still for ever.
        flow.flows(20 << 20, SOON);
        held.signal(Signal::SIGCONT);
        flow.flows(1 << 20, SOON);
        held.signal(Signal::SIGINT);
        flow.end();
        held.end(SOON);
    }
}

#[test]
fn delays_to_two_peers_are_kept_while_a_third_is_sent_all_that_goes() {
    let bed = queued!(4);
    let (near, far, busy) = (bed.v4(1), bed.v4(2), bed.v4(3));
    let _lines = [("10ms", &near), ("50ms", &far), ("30ms", &busy)]
        .map(|(delay, to)| line(&bed, 0, &["--delay", delay, "--to", to]));
    let flow = Flow::start(&bed, 0, 3);
    flow.flows(1 << 20, SOON);
    let before = flow.received();
    for (address, millis) in [(&near, 10.0), (&far, 50.0)] {
        let rtts = rtts(&bed, 0, address, 100);
        assert_eq!(rtts.len(), 100, "all come");
        assert!(rtts[0] >= millis, "none comes early: {rtts:?}");
        // Their own delay and not their neighbour's; how exact is measured by benches/slownet.
        assert!(rtts[10] < millis + 8.0, "{millis} ms: {rtts:?}");
    }
    assert!(flow.received() > before + (1 << 20), "the third was busy");
    flow.end();
}

#[test]
fn no_table_is_loaded_by_looking_for_chains_in_it() {
    let bed = queued!(1);
    let names = || {
        run(bed
            .at(0, "sh")
            .args(["-c", "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names"]))
        .stdout
    };
    let before = names();
    let held = line(&bed, 0, &["--delay", "5ms"]);
    let in_force = names();
    held.signal(Signal::SIGINT);
    held.end(SOON).expect(130);
    // The set itself may need one, where iptables is the legacy one.
    assert_eq!(names(), in_force, "before: {before}");
}

#[test]
fn a_line_to_nodes_that_are_named_stands_where_they_receive_and_all_commands_say_so() {
    let bed = queued!(3);
    let before: Vec<String> = (0..3).map(|i| state(&bed, i)).collect();
    let to = node(&bed, 1);
    let held = |flags: &[&str]| {
        let flags = [&["--backend", "nfqueue", "--delay", "30ms", "--to", &to], flags].concat();
        Running::start(&mut set(&bed, &node(&bed, 0), &flags))
    };
    for (flags, stands, from) in [(&[][..], "n2", 0), (&["--direction", "out"], "n1", 1)] {
        let mut held = held(flags);
        let value = held.line(SOON)["value"].clone();
        assert_eq!(value["nodes"], serde_json::json!([stands]));
        assert_eq!(value["to"], serde_json::json!([bed.v4(from), bed.v6(from)]));
        assert_eq!(value["direction"], if stands == "n2" { "in" } else { "out" });
        let listed = list(&bed);
        assert_eq!((listed.len(), &listed[0]["node"]), (1, &stands.into()), "{listed:?}");
        assert_eq!((&listed[0]["id"], &listed[0]["in_force"]), (&value["id"], &true.into()));
        assert_eq!(listed[0]["to"], value["to"]);
        for address in [bed.v4(1), bed.v6(1)] {
            delayed_by(&rtts(&bed, 0, &address, 20), 20, 30.0);
        }
        // Only what node 1 sends to node 2.
        for (a, b) in [(0, 2), (2, 1)] {
            assert!(rtts(&bed, a, &bed.v4(b), 20)[2] < 30.0, "{a} to {b}");
        }
        held.signal(Signal::SIGKILL);
        assert!(within(SOON, || (0..3).all(|i| state(&bed, i) == before[i])));
        held.end(SOON).expect(137);
    }
    let mut held = held(&["--lease", "2s"]);
    let id = held.line(SOON)["value"]["id"].clone();
    let cleared = run(bed.tool("slownet").args(["clear", "-n", &to])).expect(0).lines();
    assert_eq!((&cleared[0]["value"]["id"], &cleared[0]["value"]["nodes"][0]), (&id, &"n2".into()));
    assert_eq!(held.end(SOON).expect(3).lines()[1]["value"]["healed"], "by another");
}

#[test]
fn a_line_stays_at_the_sender_where_the_receiver_could_not_do_the_same() {
    let bed = queued!(3);
    let (one, both) = (node(&bed, 0), format!("{},{}", node(&bed, 1), node(&bed, 2)));
    let stands = |from: &str, flags: &[&str]| {
        let flags = [&["--backend", "nfqueue", "--dry-run"], flags].concat();
        let lines = run(&mut set(&bed, from, &flags)).expect(0).lines();
        let nodes = lines[1..].iter().map(|line| line["node"].as_str().unwrap());
        nodes.collect::<Vec<_>>().join(",") + " " + lines[0]["direction"].as_str().unwrap()
    };
    let to = node(&bed, 1);
    assert_eq!(stands(&one, &["--delay", "5ms", "--loss", "1%", "--to", &both]), "n2,n3 in");
    assert_eq!(stands(&both, &["--delay", "5ms", "--to", &one]), "n1 in");
    assert_eq!(stands(&one, &["--rate", "5mbit", "--to", &to]), "n2 in", "one of each");
    // What two receivers cannot share; what cannot be doubled; whom nobody named, or not all of them.
    assert_eq!(stands(&one, &["--rate", "5mbit", "--to", &both]), "n1 out");
    assert_eq!(stands(&one, &["--loss", "20%,75%", "--to", &both]), "n1 out");
    assert_eq!(stands(&one, &["--delay", "5ms", "--duplicate", "1%", "--to", &to]), "n1 out");
    assert_eq!(stands(&one, &["--delay", "5ms", "--to", &bed.v4(1)]), "n1 out");
    assert_eq!(stands(&one, &["--delay", "5ms", "--to", &format!("{to},10.9.9.9")]), "n1 out");
    assert_eq!(stands(&one, &["--delay", "5ms"]), "n1 out");
    // Behind a router, which may translate addresses.
    let routed = "del 10.77.0.12/24 dev eth0;add 10.77.0.12/32 dev eth0";
    for change in routed.split(';') {
        run(bed.at(1, "ip").arg("addr").args(change.split(' '))).expect(0);
    }
    assert_eq!(stands(&one, &["--delay", "5ms", "--to", &to]), "n1 out");
}

#[test]
fn a_line_stays_at_the_sender_where_it_would_meet_another_of_its_run() {
    let bed = queued!(2);
    let links = Temporary::with(
        "sides",
        r#"{"from":"n1","to":"n2","delay":"20ms"}
{"from":"n2","to":"n1","direction":"in","delay":"40ms"}
"#,
    );
    let mut command = bed.tool("slownet");
    let flags = ["set", &links.spec(), "-n", &bed.spec(), "--backend", "nfqueue"];
    let mut held = Running::start(command.args(flags));
    let value = held.line(SOON)["value"].clone();
    assert_eq!(value["links"][0]["direction"], "out", "{value}");
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 20), 20, 60.0);
    end(held);
}

#[test]
fn what_is_stuck_in_a_line_that_hangs_is_let_go_and_other_lines_keep_what_they_hold() {
    let bed = queued!(3);
    // Somebody else's rules: with the last rule of a table goes a hook, and with that the kernel drops all there is.
    for program in ["iptables", "ip6tables"] {
        let rule = ["-w", "-t", "mangle", "-A", "PREROUTING", "-p", "sctp", "-j", "ACCEPT"];
        run(bed.at(1, program).args(rule)).expect(0);
    }
    let incoming = |from: usize, delay: &str| {
        let (one, from) = (node(&bed, 1), bed.v4(from));
        let flags = ["--direction", "in", "--to", &from, "--delay", delay, "--lease", "90s"];
        let flags = [&flags[..], &["--backend", "nfqueue"]].concat();
        let mut held = Running::start(&mut set(&bed, &one, &flags));
        let value = held.line(SOON)["value"].clone();
        (held, value)
    };
    let ((slow, _), (hangs, value)) = (incoming(0, "5s"), incoming(2, "20ms"));
    if value["feeder"] == "nft" {
        skip!(
            "a table of nft has a hook of its own, with which the kernel drops all that is queued"
        );
    }
    hangs.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(300));
    let socket = |i: usize| {
        network(&bed, i).inside(|| Ok(UdpSocket::bind("0.0.0.0:7779").unwrap())).unwrap()
    };
    let (near, far, receiver) = (socket(0), socket(2), socket(1));
    for _ in 0..10 {
        near.send_to(b"s", (bed.v4(1).as_str(), 7779)).unwrap();
        far.send_to(b"h", (bed.v4(1).as_str(), 7779)).unwrap();
    }
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(receiver.recv(&mut [0; 9]).is_err(), "one hangs and the other takes five seconds");
    let id = value["id"].as_str().unwrap();
    run(bed.tool("slownet").args(["clear", "-n", &node(&bed, 1), "--id", id])).expect(0);
    receiver.set_read_timeout(Some(SOON)).unwrap();
    let came: Vec<u8> = (0..20)
        .map_while(|_| {
            let mut byte = [0; 1];
            receiver.recv(&mut byte).ok().map(|_| byte[0])
        })
        .collect();
    assert_eq!(came, [[b'h'; 10], [b's'; 10]].concat());
    hangs.signal(Signal::SIGCONT);
    hangs.signal(Signal::SIGINT);
    hangs.end(SOON);
    end(slow);
}
