//! The delay line at work: long packets, other lines beside it, and what becomes of a flow when it dies or hangs.

#![allow(clippy::unwrap_used)]

mod bed;

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use breakit_tests::process::run;
use breakit_tests::wait::is_within;
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
fn what_a_host_sends_goes_on_as_it_would_have_when_its_line_lets_it_go() {
    let _bed = queued!(1);
    let count = std::process::id();
    let folder = std::env::temp_dir().join(format!("slownet-whole-{count}"));
    std::fs::create_dir_all(&folder).unwrap();
    whole::put_into(&folder);
    let tool = breakit_tests::process::tool("slownet");
    let mut wrong = Ok(());
    // A packet that a busy machine keeps from its receiver for long is no packet that is lost.
    for _ in 0..3 {
        let mut script = Command::new("bash");
        script.arg(folder.join("whole.sh")).arg(tool.get_program());
        let run = run(script.args([&format!("w{count}"), "nfqueue", "iptables"]));
        wrong = whole::judge(&run.stdout).map_err(|why| format!("{why}\n{}", run.stderr));
        if wrong.is_ok() {
            break;
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    wrong.unwrap();
}

#[test]
fn packets_of_a_tunnel_without_headers_of_a_link_are_held_as_others() {
    let bed = queued!(1);
    let mut python = bed.at(0, "python3");
    python.args(["-c", include_str!("bed/tunnel.py")]);
    python.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut tunnel = python.spawn().unwrap();
    let mut lines = std::io::BufReader::new(tunnel.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let held = line(&bed, 0, &["--delay", "30ms", "--interface", "tunnel0"]);
    tunnel.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let shown: Vec<String> = lines.map(Result::unwrap).collect();
    let millis = |line: &String| line.strip_suffix(" 1").and_then(|ms| ms.parse::<f64>().ok());
    assert_eq!(shown.len(), 10, "{shown:?}");
    assert!(shown.iter().all(|line| millis(line).is_some_and(|ms| ms >= 30.0)), "{shown:?}");
    assert!(shown.iter().any(|line| millis(line).is_some_and(|ms| ms < 60.0)), "{shown:?}");
    assert!(tunnel.wait().unwrap().success());
    end(held);
}

#[test]
fn an_interface_that_is_made_anew_is_struck_again() {
    let bed = queued!(2);
    let (host, a) = (bed.host(), bed.name(0));
    let mut held = line(&bed, 0, &["--delay", "30ms", "--lease", "3s"]);
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 20), 20, 30.0);
    let script = format!(
        "set -e; ip -n {a} link del eth0
         ip -n {host} link add v0 type veth peer name eth0 netns {a}
         ip -n {host} link set v0 master br0 up; ip -n {a} link set eth0 up
         ip -n {a} addr add 10.77.0.11/24 dev eth0"
    );
    run(Command::new("sh").args(["-c", &script])).expect(0);
    // A renewal comes each second.
    assert_eq!(held.line(SOON)["f"], "renew-slow");
    assert!(bed.reaches(0, &bed.v4(1)));
    delayed_by(&rtts(&bed, 0, &bed.v4(1), 20), 20, 30.0);
    end(held);
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
        assert!(is_within(SOON, stays), "{direction}: {:?}", processors(&held));
        flow.end();
        // One by one, and from both sides: it looks where it runs when a packet comes.
        let ping = || drop(rtts(&bed, 1, &bed.v4(0), 3));
        let given_back = || {
            ping();
            free()
        };
        assert!(is_within(SOON, given_back), "{direction}: {:?}", processors(&held));
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
