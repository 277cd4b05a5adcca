//! A host of network namespaces: one that plays the host, with a bridge, and one for each node.
//!
//! Nothing of it touches the namespace that the test runs in.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Namespaces that live as long as this value.
///
/// The host's is [`Namespaces::host`]; node `i` (from 0) is called `n1`, `n2`, ... with addresses
/// `10.77.0.11`, `10.77.0.12`, ... and `fd77::11`, `fd77::12`, ...; the bridge `br0` has `.1` and `::1`.
#[derive(Debug)]
pub struct Namespaces {
    prefix: String,
    nodes: usize,
}

impl Namespaces {
    /// Makes them.
    ///
    /// # Errors
    /// Why that is not possible here: not root, or a program is missing.
    ///
    /// # Panics
    /// Where the system refuses although we are root.
    #[track_caller]
    pub fn make(nodes: usize) -> Result<Namespaces, &'static str> {
        if !crate::is_root() {
            return Err("not root: network namespaces need it (or unshare -Urnm)");
        }
        if !crate::has("ip") || !crate::has("ping") {
            return Err("ip or ping is missing; install the packages iproute2 and iputils-ping");
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = Namespaces { prefix: format!("bk{}-{count}", std::process::id()), nodes };
        made.build();
        Ok(made)
    }

    #[track_caller]
    fn build(&self) {
        let host = self.host();
        let mut script = format!("set -e\nip netns add {host}\n");
        let inside = format!("ip -n {host}");
        script += &format!(
            "{inside} link set lo up\n{inside} link add br0 type bridge\n{inside} link set br0 up\n\
             {inside} addr add 10.77.0.1/24 dev br0\n{inside} addr add fd77::1/64 dev br0 nodad\n"
        );
        for i in 0..self.nodes {
            let (name, last) = (self.name(i), i + 11);
            let node = format!("ip -n {name}");
            script += &format!(
                "ip netns add {name}\n{inside} link add v{i} type veth peer name eth0 netns {name}\n\
                 {inside} link set v{i} master br0 up\n{node} link set lo up\n{node} link set eth0 up\n\
                 {node} addr add 10.77.0.{last}/24 dev eth0\n{node} addr add fd77::{last}/64 dev eth0 nodad\n\
                 {node} route add default via 10.77.0.1\n"
            );
        }
        must(&script);
    }

    /// The name, for `ip netns`, of the namespace that plays the host.
    pub fn host(&self) -> String {
        format!("{}-host", self.prefix)
    }

    /// The name, for `ip netns`, of node `i`'s namespace.
    pub fn name(&self, i: usize) -> String {
        format!("{}-n{}", self.prefix, i + 1)
    }

    /// Node `i`'s IPv4 address.
    pub fn v4(&self, i: usize) -> String {
        format!("10.77.0.{}", i + 11)
    }

    /// Node `i`'s IPv6 address.
    pub fn v6(&self, i: usize) -> String {
        format!("fd77::{}", i + 11)
    }

    /// All nodes as a tool takes them: `n1=netns:NAME,n2=netns:NAME`.
    pub fn spec(&self) -> String {
        (0..self.nodes)
            .map(|i| format!("n{}=netns:{}", i + 1, self.name(i)))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// A built tool run in the host's namespace.
    pub fn tool(&self, name: &str) -> Command {
        let tool = crate::process::tool(name);
        self.wrap(&self.host(), &tool)
    }

    /// A shell command line in the host's namespace.
    pub fn shell(&self, line: &str) -> Command {
        self.wrap(&self.host(), &crate::process::shell(line))
    }

    /// A program run in node `i`'s namespace.
    pub fn at(&self, i: usize, program: &str) -> Command {
        self.wrap(&self.name(i), &Command::new(program))
    }

    fn wrap(&self, namespace: &str, inner: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    /// Whether one ping from node `a` to `address` is answered within a second.
    pub fn reaches(&self, a: usize, address: &str) -> bool {
        let mut ping = self.at(a, "ping");
        ping.args(["-n", "-q", "-c", "1", "-W", "1", address]);
        ping.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let names = (0..self.nodes).map(|i| self.name(i)).chain([self.host()]);
        let script: String = names.map(|name| format!("ip netns del {name}\n")).collect();
        let _ = Command::new("sh").args(["-c", &script]).output();
    }
}

#[track_caller]
fn must(script: &str) {
    let output = Command::new("sh").args(["-c", script]).output();
    match output {
        Ok(output) if output.status.success() => {}
        other => panic!("{script}\n{other:?}"),
    }
}
