//! Nodes for slownet to strike, and what is measured between them.

#![allow(dead_code)] // Each test file uses what it needs.

pub mod pings;
pub mod which;
pub mod whole;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use breakit::node;
use breakit::reach::Network;
use breakit_tests::process::run;
use breakit_tests::{Namespaces, Running};
use nix::sys::signal::Signal;

pub const SOON: Duration = Duration::from_secs(60);

/// Namespaces with what this kernel must have for `needs`, or the reason why not.
pub fn bed(nodes: usize, needs: &str) -> Result<Namespaces, String> {
    let bed = Namespaces::make(nodes)?;
    let probe = run(bed.tool("slownet").arg("probe")).expect(0).lines().remove(0);
    match &probe["chosen"][needs] {
        serde_json::Value::Null => {
            Err(format!("this kernel can do no {needs}: {}", probe["works"]))
        }
        _ => Ok(bed),
    }
}

#[allow(unused_macros)]
macro_rules! bed {
    ($nodes:expr, $needs:expr) => {
        match $crate::bed::bed($nodes, $needs) {
            Ok(bed) => bed,
            Err(why) => skip!("{why}"),
        }
    };
}

pub fn set(bed: &Namespaces, nodes: &str, flags: &[&str]) -> Command {
    let mut command = bed.tool("slownet");
    command.args(["set", "-n", nodes]).args(flags);
    command
}

pub fn node(bed: &Namespaces, i: usize) -> String {
    format!("n{}=netns:{}", i + 1, bed.name(i))
}

pub fn list(bed: &Namespaces) -> Vec<serde_json::Value> {
    run(bed.tool("slownet").args(["list", "-n", &bed.spec()])).expect(0).lines()
}

/// All that slownet could have left in node `i`: queues, tables, sets, chains.
pub fn state(bed: &Namespaces, i: usize) -> String {
    ["tc qdisc show", "nft list ruleset", "ipset list -n"]
        .iter()
        .map(|line| {
            let mut words = line.split(' ');
            let mut command = bed.at(i, words.next().unwrap());
            run(command.args(words)).stdout
        })
        .collect()
}

/// How many of `count` pings from node `a` to `address` are answered.
pub fn answered(bed: &Namespaces, a: usize, address: &str, count: usize) -> usize {
    let count = count.to_string();
    let ping = run(bed.at(a, "ping").args(["-n", "-q", "-f", "-W", "0.1", "-c", &count, address]));
    let words: Vec<&str> = ping.stdout.split_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("received")).unwrap();
    words[at - 1].parse().unwrap()
}

pub fn network(bed: &Namespaces, i: usize) -> Network {
    Network::of(&node::resolve(&[node(bed, i)]).unwrap()[0]).unwrap()
}

/// Ends a fault in order: one that is killed leaves its bypass to the guardian.
pub fn end(held: Running) {
    held.signal(Signal::SIGINT);
    assert_eq!(held.end(SOON).status, 130);
}

/// How many of 20 datagrams from node `a` come to node `b`.
pub fn datagrams(bed: &Namespaces, a: usize, b: usize) -> usize {
    let socket =
        |i| network(bed, i).inside(|| Ok(UdpSocket::bind("0.0.0.0:7778").unwrap())).unwrap();
    let (sender, receiver) = (socket(a), socket(b));
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    for _ in 0..20 {
        sender.send_to(b"datagram", (bed.v4(b).as_str(), 7778)).unwrap();
    }
    (0..20).take_while(|_| receiver.recv(&mut [0; 16]).is_ok()).count()
}

/// Megabits a second that TCP carries from node `a` to node `b` within `time`.
pub fn throughput(bed: &Namespaces, a: usize, b: usize, time: Duration) -> f64 {
    let network = |i: usize| network(bed, i);
    let listener = network(b).inside(|| Ok(TcpListener::bind("0.0.0.0:7777").unwrap())).unwrap();
    let address = format!("{}:7777", bed.v4(b));
    let stream = network(a).inside(|| Ok(TcpStream::connect(address).unwrap())).unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    let sender = std::thread::spawn(move || {
        let mut stream = stream;
        let block = [0_u8; 1 << 14];
        while stream.write_all(&block).is_ok() {}
    });
    let (mut block, mut bytes, begin) = (vec![0_u8; 1 << 16], 0, Instant::now());
    while begin.elapsed() < time {
        bytes += receiver.read(&mut block).unwrap();
    }
    let rate = bytes as f64 * 8.0 / 1e6 / begin.elapsed().as_secs_f64();
    drop(receiver);
    sender.join().unwrap();
    rate
}

/// The round trips of pings from node `a` to `address`, in milliseconds, sorted.
pub fn rtts(bed: &Namespaces, a: usize, address: &str, count: usize) -> Vec<f64> {
    let count = count.to_string();
    // -U: from the user and to the user. The kernel's own stamp is put on before packets are held.
    let ping = run(bed.at(a, "ping").args(["-n", "-U", "-i", "0.01", "-c", &count, address]));
    let rtt = |line: &str| line.split("time=").nth(1)?.split(' ').next()?.parse().ok();
    let mut rtts: Vec<f64> = ping.stdout.lines().filter_map(rtt).collect();
    rtts.sort_by(f64::total_cmp);
    rtts
}

#[track_caller]
pub fn delayed_by(rtts: &[f64], count: usize, millis: f64) {
    assert_eq!(rtts.len(), count, "all come: {rtts:?}");
    assert!(rtts[0] >= millis, "none comes early: {rtts:?}");
    // A busy machine makes many late, but not all. benches/slownet measures how exact the rest are.
    let soon = rtts[count / 10];
    assert!(soon < millis + 5.0, "one in ten comes by {soon}: {rtts:?}");
}

/// A file, for as long as a test needs it.
pub struct Temporary(pub std::path::PathBuf);

impl Temporary {
    pub fn with(name: &str, text: &str) -> Temporary {
        let path = std::env::temp_dir().join(format!("slownet-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Temporary(path)
    }

    pub fn spec(&self) -> String {
        format!("@{}", self.0.display())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
