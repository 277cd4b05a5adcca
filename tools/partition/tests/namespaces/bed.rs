//! What every test of this crate on real packets stands on.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

use breakit::exit::Error;
use breakit::node::{Node, resolve};
use breakit::reach::Network;
use breakit_tests::process::{Run, run, tool};
pub use breakit_tests::wait::{more_than, short_lease, throughout, within};
use breakit_tests::{Namespaces, Running};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

/// A bed of `$n` nodes, or a skip.
macro_rules! bed {
    ($n:expr) => {
        match breakit_tests::Namespaces::make($n) {
            Ok(bed) if breakit_tests::has("nft") => bed,
            Ok(_) => breakit_tests::skip!("nft is missing"),
            Err(why) => breakit_tests::skip!("{why}"),
        }
    };
}

/// Longer than anything takes here, also on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(40);

pub const BACKENDS: [&str; 2] = ["nft-bridge", "nft"];

pub const IPTABLES: [&str; 2] = ["ipset-nft", "ipset-legacy"];

pub fn partition(bed: &Namespaces, args: &str) -> Command {
    let mut command = bed.tool("partition");
    command.args(args.split(' ')).args(["-n", &bed.spec()]);
    command
}

pub fn done(bed: &Namespaces, args: &str) -> Run {
    run(&mut partition(bed, args))
}

/// A cut that is in force, and its start line.
pub fn cut(bed: &Namespaces, args: &str) -> (Running, Value) {
    let mut running = Running::start(&mut partition(bed, &format!("cut {args}")));
    let line = running.line(SOON);
    assert_eq!(line["f"], "start-partition", "{line}");
    (running, line)
}

/// The namespace of the test's host, where the bridge is.
pub fn host(bed: &Namespaces, program: &str, args: &[&str]) -> Output {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &bed.host(), program]).args(args);
    command.output().unwrap()
}

pub fn text(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All rules of the host and of every node.
pub fn rules(bed: &Namespaces, nodes: usize) -> String {
    let mut all = text(host(bed, "nft", &["list", "ruleset"]));
    for i in 0..nodes {
        all += &text(bed.at(i, "nft").args(["list", "ruleset"]).output().unwrap());
    }
    all
}

/// Which pings from node to node are answered, in the order (0,1), (0,2), (1,0), ...; v4 then v6.
pub fn pings(bed: &Namespaces, nodes: usize) -> Vec<(bool, bool)> {
    let pairs = (0..nodes).flat_map(|a| (0..nodes).filter(move |b| *b != a).map(move |b| (a, b)));
    std::thread::scope(|scope| {
        let threads: Vec<_> = pairs
            .map(|(a, b)| {
                scope.spawn(move || (bed.reaches(a, &bed.v4(b)), bed.reaches(a, &bed.v6(b))))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

pub fn node(bed: &Namespaces, i: usize) -> Node {
    resolve(&[bed.spec()]).unwrap().swap_remove(i)
}

pub fn inside<T: Send>(
    bed: &Namespaces,
    i: usize,
    work: impl FnOnce() -> std::io::Result<T> + Send,
) -> T {
    let network = Network::of(&node(bed, i)).unwrap();
    network.inside(|| work().map_err(|e| Error::io("work in a node", &e))).unwrap()
}

pub fn guard_of(holder: Pid) -> Pid {
    let path = format!("/proc/{holder}/task/{holder}/children");
    let children = std::fs::read_to_string(path).unwrap();
    let guards: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(guards.len(), 1, "the holder has one child, its guard");
    Pid::from_raw(guards[0])
}

/// The guards of tables whose names begin like this.
pub fn guards(table: &str) -> Vec<Pid> {
    let of = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&line).contains(&format!("guard\0{table}"));
        ours.then_some(Pid::from_raw(pid))
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(of).collect()
}

pub fn is_whole(bed: &Namespaces) -> bool {
    done(bed, "check --timeout 1s").status == 0
}

pub fn listed(bed: &Namespaces) -> Vec<Value> {
    done(bed, "list").expect(0).lines()
}

/// A TCP server at a node that answers each byte with the same byte, until the test ends.
pub fn echo(bed: &Namespaces, address: &str) -> u16 {
    let node = (0..2).find(|i| [bed.v4(*i), bed.v6(*i)].iter().any(|own| own == address)).unwrap();
    let server = inside(bed, node, || TcpListener::bind((address, 0)));
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut peer in server.incoming().flatten() {
            std::thread::spawn(move || {
                let mut byte = [0];
                while peer.read_exact(&mut byte).is_ok() && peer.write_all(&byte).is_ok() {}
            });
        }
    });
    port
}

/// A connection from node 0 to node 1, or the other way.
pub fn connect(bed: &Namespaces, address: &str, port: u16) -> std::io::Result<TcpStream> {
    let from = usize::from([bed.v4(0), bed.v6(0)].iter().any(|own| own == address));
    let to = std::net::SocketAddr::new(address.parse().unwrap(), port);
    let limit = Duration::from_secs(2);
    let made = inside(bed, from, || Ok(TcpStream::connect_timeout(&to, limit)))?;
    made.set_read_timeout(Some(limit))?;
    Ok(made)
}

/// Whether a byte comes back.
pub fn echoes(connection: &mut TcpStream) -> bool {
    connection.write_all(b"x").is_ok() && connection.read_exact(&mut [0]).is_ok()
}

/// A cut at node 0 alone, as a user there types it: no -n, no fleet.
pub fn cut_here(bed: &Namespaces, args: &str) -> (Running, Value) {
    let mut command = bed.at(0, tool("partition").get_program().to_str().unwrap());
    command.env("BREAKIT_FLEET", "no-such-fleet").arg("cut").args(args.split(' '));
    let mut running = Running::start(&mut command);
    let line = running.line(SOON);
    assert_eq!(line["f"], "start-partition", "{line}");
    (running, line)
}

pub fn healed(running: Running) -> Run {
    running.signal(Signal::SIGTERM);
    running.end(SOON).expect(143)
}

/// The rules that iptables(8) has in all networks, in both its flavours, and the sets, without their counters.
pub fn iptables_rules(bed: &Namespaces, nodes: usize) -> String {
    let script = "ipset save; for v in '' 6; do for f in nft legacy; do for t in raw filter; do \
                  ip${v}tables-$f-save -t $t 2>/dev/null | sed 's/\\[.*//' | grep -v '^#'; done; done; done";
    let saved = (0..nodes).map(|i| text(bed.at(i, "sh").args(["-c", script]).output().unwrap()));
    saved.collect()
}

/// Every backend that this host has the programs for, as `--backend` takes it.
pub fn backends() -> impl Iterator<Item = &'static str> {
    BACKENDS.iter().chain(&IPTABLES).copied().filter(|name| is_here(name))
}

fn is_here(backend: &str) -> bool {
    backend.strip_prefix("ipset-").is_none_or(|flavour| {
        breakit_tests::has("ipset") && breakit_tests::has(&format!("iptables-{flavour}"))
    })
}
