//! Nodes: their names, their addresses, and how to reach their network.
//!
//! Every tool takes them the same way: `-n n1..n5`, `-n n1,n2`, `-n @nodes.jsonl`, `-n @hosts.txt`, `-n -`, and for
//! hosts outside a fleet `-n db1=ssh:root@192.0.2.3,netns:blue,db3=pid:4711,me=local,db4=addr:192.0.2.4`.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::environment::variable;
use crate::escape;
use crate::exit::{Error, Result, Status};
use crate::jsonl::Lines;
use crate::parallel;

/// Where a fleet says which nodes it has.
pub const RUN: &str = "/run/breakit";

/// Where LXC keeps the containers of all fleets: a path of our own, so that a user's container n1 is never touched.
pub const LXCPATH: &str = "/var/lib/breakit/lxc";

/// A node's name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 63 characters.
///
/// So it is safe in a path, a command line, a host name and a container's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// 64 with what a name is.
    pub fn new(text: &str) -> Result<Name> {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let rest = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if first && rest && text.len() <= 63 && !text.contains("..") {
            return Ok(Name(text.to_string()));
        }
        Err(Error::usage(format!(
            "{} is no node name; take up to 63 letters, digits, '-', '_' or '.', a letter or digit first",
            escape::cited(text)
        )))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Another host, as the system's OpenSSH knows it, and as whom we act there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `user@host`, or a name of ssh_config(5).
    pub destination: String,
    /// Whether what needs root there runs through `sudo -n`, as we do not log in as root.
    pub sudo: bool,
}

impl Host {
    /// Its name or address, without the user.
    pub fn name(&self) -> &str {
        self.destination.rsplit_once('@').map_or(&self.destination, |(_, host)| host)
    }

    /// The same host as we find it when we log in: for what the login itself can tell.
    pub fn as_login(&self) -> Host {
        Host { sudo: false, ..self.clone() }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.destination)
    }
}

/// How a node's network is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// An LXC container under [`LXCPATH`], by its container name.
    Lxc(String),
    /// A network namespace that `ip netns` knows.
    Netns(String),
    /// The network of a running process.
    Pid(u32),
    /// A host that the system's OpenSSH reaches.
    Ssh(Host),
    /// This host.
    Local,
    /// Only its address is known: a client may talk to it, nobody can act on it.
    Address(IpAddr),
}

impl Via {
    fn parse(text: &str) -> Result<Via> {
        let wrong = || {
            Error::usage(format!(
                "{} says no way to a node; write ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:NUMBER, lxc:CONTAINER, addr:ADDRESS or local",
                escape::cited(text)
            ))
        };
        let word = |word: &str| Name::new(word).map(|name| name.0).map_err(|_| wrong());
        match text.split_once(':') {
            None if text == "local" => Ok(Via::Local),
            Some(("lxc", name)) => Ok(Via::Lxc(word(name)?)),
            Some(("netns", name)) => Ok(Via::Netns(word(name)?)),
            Some(("pid", number)) => number.parse().map(Via::Pid).map_err(|_| wrong()),
            Some(("addr", address)) => address.parse().map(Via::Address).map_err(|_| wrong()),
            Some((way @ ("ssh" | "ssh+sudo"), destination)) if destination_ok(destination) => {
                Ok(Via::Ssh(Host { destination: destination.to_string(), sudo: way != "ssh" }))
            }
            _ => Err(wrong()),
        }
    }
}

/// What ssh may be given as destination: nothing that a shell or ssh itself could take for something else.
fn destination_ok(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@:[]%".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Via::Lxc(name) => write!(f, "lxc:{name}"),
            Via::Netns(name) => write!(f, "netns:{name}"),
            Via::Pid(number) => write!(f, "pid:{number}"),
            Via::Ssh(host) if host.sudo => write!(f, "ssh+sudo:{host}"),
            Via::Ssh(host) => write!(f, "ssh:{host}"),
            Via::Local => f.write_str("local"),
            Via::Address(address) => write!(f, "addr:{address}"),
        }
    }
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What everybody calls it.
    pub name: Name,
    /// Its addresses, where they were said; [`crate::reach::addresses`] finds them where not.
    pub addrs: Vec<IpAddr>,
    /// How to reach its network.
    pub via: Via,
}

impl Node {
    /// The node's line, as `lxc-fleet nodes` prints it.
    pub fn line(&self) -> String {
        let addrs: Vec<String> = self.addrs.iter().map(IpAddr::to_string).collect();
        json!({ "node": self.name.as_str(), "addrs": addrs, "via": self.via.to_string() })
            .to_string()
    }

    /// Reads a node line.
    ///
    /// # Errors
    /// A clause that says what is wrong.
    pub fn parse(line: &str) -> std::result::Result<Node, String> {
        let value: Value = serde_json::from_str(line).map_err(|e| crate::op::json_clause(&e))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let name = text("node").ok_or("a node line needs \"node\": its name")?;
        let name = Name::new(name).map_err(|e| e.to_string())?;
        let addrs = match value.get("addrs") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => {
                list.iter().map(address).collect::<std::result::Result<_, _>>()?
            }
            Some(other) => {
                return Err(format!("\"addrs\" must be a list of addresses, not {other}"));
            }
        };
        let via = match (text("via"), addrs.first()) {
            (Some(via), _) => Via::parse(via).map_err(|e| e.to_string())?,
            (None, Some(address)) => Via::Address(*address),
            (None, None) => return Err(format!("node {name} has neither \"via\" nor \"addrs\"")),
        };
        Ok(Node { name, addrs, via })
    }
}

fn address(value: &Value) -> std::result::Result<IpAddr, String> {
    let text = value.as_str().ok_or_else(|| format!("an address must be a string, not {value}"))?;
    text.parse().map_err(|_| format!("{text:?} is no IPv4 or IPv6 address"))
}

/// The flag by which every tool takes nodes.
#[derive(Args, Clone, Debug, Default)]
pub struct NodesArg {
    /// Nodes: n1..n5, a list n1,n2, @FILE or - with node lines or hosts, or [NAME=]WAY (ssh:DEST, ssh+sudo:DEST, netns:NAME, pid:N, addr:A, local)
    #[arg(short = 'n', long = "nodes", value_name = "NODES")]
    pub nodes: Vec<String>,
}

impl NodesArg {
    /// The nodes, bare names looked up in the fleet; empty where the flag was not given.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn resolve(&self) -> Result<Vec<Node>> {
        resolve(&self.nodes)
    }

    /// Whether stdin is read to its end for nodes.
    pub fn reads_stdin(&self) -> bool {
        self.nodes.iter().flat_map(|spec| spec.split(',')).any(|part| part == "-")
    }

    /// The files that are read for nodes; `-` is stdin.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let parts = self.nodes.iter().flat_map(|spec| spec.split(','));
        parts.filter_map(|part| match part {
            "-" => Some(part.as_ref()),
            _ => part.strip_prefix('@').map(Path::new),
        })
    }

    /// Opens a history that comes beside these nodes; `-` is stdin.
    ///
    /// # Errors
    /// 64 where the nodes come on stdin too, and as [`Lines::open`].
    pub fn history(&self, file: &str) -> Result<Lines> {
        if file == "-" && self.reads_stdin() {
            return Err(Error::usage(
                "nodes and history cannot both come on stdin; give one as a file",
            ));
        }
        Lines::open(file.as_ref())
    }
}

/// The flag of a tool that acts on other hosts.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct SudoArg {
    /// Use sudo -n on hosts over ssh, for logins that are not root
    #[arg(long)]
    pub sudo: bool,
}

impl SudoArg {
    /// The nodes, those over ssh with sudo where the flag was given.
    pub fn of(self, mut nodes: Vec<Node>) -> Vec<Node> {
        for node in &mut nodes {
            if let Via::Ssh(host) = &mut node.via {
                host.sudo |= self.sudo;
            }
        }
        nodes
    }
}

/// The nodes that `specs` name.
///
/// # Errors
/// 64 for what is no spec, a range backwards or a node named twice; 65 for a bad node line; 66 for a name
/// that the fleet does not know, or a fleet that is not up.
pub fn resolve(specs: &[String]) -> Result<Vec<Node>> {
    named_once(specs)?;
    let mut fleet = None;
    let mut nodes = Vec::new();
    for part in specs.iter().flat_map(|spec| spec.split(',')) {
        if part == "-" {
            nodes.extend(read(Lines::open("-".as_ref())?)?);
        } else if let Some(path) = part.strip_prefix('@') {
            nodes.extend(read(Lines::open(path.as_ref())?)?);
        } else if let Some((name, way)) = part.split_once('=') {
            nodes.push(with_way(name, way)?);
        } else if part.contains(':') {
            nodes.push(named_by_way(part)?);
        } else {
            for name in expand(part)? {
                if fleet.is_none() {
                    fleet = Some(Fleet::of_environment()?.nodes()?);
                }
                nodes.push(look_up(&name, fleet.as_deref().unwrap_or_default())?);
            }
        }
    }
    once(nodes)
}

/// A node that is called as its way says: `netns:blue` is blue, `ssh:root@db1` is db1.
fn named_by_way(way: &str) -> Result<Node> {
    let via = Via::parse(way)?;
    let name = match &via {
        Via::Lxc(name) | Via::Netns(name) => name.clone(),
        Via::Pid(number) => format!("pid{number}"),
        Via::Ssh(host) => host.name().to_string(),
        Via::Address(address) => address.to_string(),
        Via::Local => "local".into(),
    };
    let nameless = |_| {
        Error::usage(format!("{} gives no name to a node; write NAME={way}", escape::cited(way)))
    };
    let name = Name::new(&name).map_err(nameless)?;
    let addrs = if let Via::Address(address) = via { vec![address] } else { Vec::new() };
    Ok(Node { name, addrs, via })
}

/// A name given twice is wrong whether or not the fleet knows it: no look-up comes before this.
fn named_once(specs: &[String]) -> Result<()> {
    let bare = |part: &&str| *part != "-" && !part.starts_with('@') && !part.contains(['=', ':']);
    let parts = specs.iter().flat_map(|spec| spec.split(',')).filter(bare);
    let names: Vec<Name> = parts.map(expand).collect::<Result<Vec<_>>>()?.concat();
    twice(names.iter())
}

/// The names that `specs` spell, without looking any up: for a tool that is about to make them.
///
/// # Errors
/// 64 for what is no name, a range backwards, or a name given twice.
pub fn names(specs: &[String]) -> Result<Vec<Name>> {
    let mut names = Vec::new();
    for part in specs.iter().flat_map(|spec| spec.split(',')) {
        names.extend(expand(part)?);
    }
    twice(names.iter())?;
    Ok(names)
}

fn with_way(name: &str, way: &str) -> Result<Node> {
    let (name, via) = (Name::new(name)?, Via::parse(way)?);
    let addrs = match via {
        Via::Address(address) => vec![address],
        _ => Vec::new(),
    };
    Ok(Node { name, addrs, via })
}

fn read(mut lines: Lines) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    while let Some((_, line)) = lines.next_line()? {
        nodes.extend(one(&line).map_err(|clause| lines.error(clause))?);
    }
    Ok(nodes)
}

/// The node of a line: JSON, `NAME=WAY`, a way, or a plain host, which ssh reaches; none for a comment.
fn one(line: &str) -> std::result::Result<Option<Node>, String> {
    let text = line.trim();
    if text.starts_with('{') {
        return Node::parse(text).map(Some);
    }
    let words = text.split('#').next().unwrap_or_default().trim();
    let clause = |error: Error| error.to_string();
    let is_way = |text: &str| text == "local" || Via::parse(text).is_ok();
    match words.split_once('=') {
        _ if words.is_empty() => Ok(None),
        Some((name, way)) => with_way(name, way).map(Some).map_err(clause),
        None if is_way(words) => named_by_way(words).map(Some).map_err(clause),
        None if destination_ok(words) => {
            named_by_way(&format!("ssh:{words}")).map(Some).map_err(clause)
        }
        None => Err(format!(
            "{} is no node line and no host; write {{\"node\": ...}}, a host as db1 or root@192.0.2.3, or NAME=WAY",
            escape::cited(words)
        )),
    }
}

fn look_up(name: &Name, fleet: &[Node]) -> Result<Node> {
    fleet.iter().find(|node| node.name == *name).cloned().ok_or_else(|| {
        let known: Vec<&str> = fleet.iter().map(|node| node.name.as_str()).collect();
        Error::no_input(format!(
            "no node {name} in fleet {}, which has {}; a host outside it is written {name}=ssh:DEST",
            fleet_name(),
            if known.is_empty() { "none".to_string() } else { known.join(", ") }
        ))
    })
}

fn once(nodes: Vec<Node>) -> Result<Vec<Node>> {
    twice(nodes.iter().map(|node| &node.name))?;
    Ok(nodes)
}

fn twice<'a>(names: impl Iterator<Item = &'a Name>) -> Result<()> {
    let mut seen = HashMap::new();
    for name in names {
        if seen.insert(name.as_str(), ()).is_some() {
            return Err(Error::usage(format!("node {name} is named twice; name each once")));
        }
    }
    Ok(())
}

/// `n1..n5` and `n01..12` as their names; anything else as itself.
fn expand(part: &str) -> Result<Vec<Name>> {
    let Some((from, to)) = part.split_once("..") else {
        return Ok(vec![Name::new(part)?]);
    };
    let wrong = |why: &str| {
        Error::usage(format!("{} is no range: {why}; write n1..n5", escape::cited(part)))
    };
    let (prefix, first) =
        split_number(from).ok_or_else(|| wrong("it must begin with a numbered name"))?;
    let last = match split_number(to) {
        Some((other, last)) if other == prefix || other.is_empty() => last,
        Some(_) => return Err(wrong("both ends must have the same name before the number")),
        None => return Err(wrong("it must end with a number")),
    };
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| wrong("the number is too large"));
    let (low, high) = (number(first)?, number(last)?);
    if low > high {
        return Err(wrong("it runs backwards"));
    }
    if high - low >= 10_000 {
        return Err(wrong("it has more than 10,000 names"));
    }
    let width = if first.starts_with('0') { first.len() } else { 0 };
    (low..=high).map(|n| Name::new(&format!("{prefix}{n:0width$}"))).collect()
}

/// `n12` as `n` and `12`.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let digits = text.chars().rev().take_while(char::is_ascii_digit).count();
    (digits > 0).then(|| text.split_at(text.len() - digits))
}

/// The fleet's name: `$BREAKIT_FLEET`, else `default` (also if it is empty).
pub fn fleet_name() -> String {
    variable("BREAKIT_FLEET").unwrap_or_else(|| "default".into())
}

/// A fleet, as all tools but `lxc-fleet` see it: a file with its nodes.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Its name.
    pub name: Name,
}

impl Fleet {
    /// The fleet that the environment names.
    ///
    /// # Errors
    /// 64 where `$BREAKIT_FLEET` is no name.
    pub fn of_environment() -> Result<Fleet> {
        let name = Name::new(&fleet_name()).map_err(|e| e.at("BREAKIT_FLEET"))?;
        Ok(Fleet { name })
    }

    /// The file with its node lines.
    pub fn node_file(&self) -> PathBuf {
        PathBuf::from(RUN).join(self.name.as_str()).join("nodes.jsonl")
    }

    /// Its nodes.
    ///
    /// # Errors
    /// 66 where it is not up.
    pub fn nodes(&self) -> Result<Vec<Node>> {
        let path = self.node_file();
        read(Lines::open(&path).map_err(|error| match error.status() {
            Status::NoInput => Error::no_input(format!(
                "fleet {} is not up ({} is not there); make it (lxc-fleet up n1..n5), or write NAME=ssh:DEST for a host outside a fleet",
                self.name,
                path.display()
            )),
            _ => error,
        })?)
    }
}

/// Does `work` for every node at once, a thread each, and gives all results in the nodes' order.
pub fn at_once<T: Send>(
    nodes: &[Node],
    work: impl Fn(&Node) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let results = parallel::each(nodes, work).into_iter().zip(nodes);
    let named = |(result, node): (std::thread::Result<Result<T>>, &Node)| match result {
        Ok(result) => result.map_err(|error| error.at(format!("node {}", node.name))),
        Err(_) => Err(Error::system(format!("node {}: the thread at work there died", node.name))),
    };
    results.map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(spec: &str) -> Vec<String> {
        names(&[spec.to_string()]).unwrap().into_iter().map(|name| name.0).collect()
    }

    #[test]
    fn ranges_and_lists_spell_names() {
        assert_eq!(spelled("n1..n3"), ["n1", "n2", "n3"]);
        assert_eq!(spelled("n08..10,db"), ["n08", "n09", "n10", "db"]);
    }

    #[test]
    fn what_is_no_name_is_refused_and_named() {
        let long = "x".repeat(300);
        for bad in [
            "../x", "n1;rm", "-v", "", "n5..n1", "n1..m3", "..n3", "n1..", "a b", "ünode", &long,
            "a..b",
        ] {
            let error = names(&[bad.to_string()]).unwrap_err();
            assert_eq!(error.status(), Status::Usage, "{bad}");
            assert!(error.to_string().len() < 240, "{error}");
        }
        assert!(names(&["n1,n2,n1".into()]).unwrap_err().to_string().contains("n1 is named twice"));
    }

    #[test]
    fn a_node_line_is_read_as_it_was_written() {
        let line =
            r#"{"node":"n1","addrs":["10.213.0.11","fd00::1"],"via":"lxc:breakit-default-n1"}"#;
        assert_eq!(Node::parse(line).unwrap().line(), line);
    }

    #[test]
    fn a_node_without_a_name_is_called_as_its_way_says() {
        for (way, name) in [
            ("netns:blue", "blue"),
            ("ssh:root@db1.example", "db1.example"),
            ("ssh+sudo:db2", "db2"),
            ("pid:4711", "pid4711"),
            ("addr:192.0.2.4", "192.0.2.4"),
        ] {
            let nodes = resolve(&[way.to_string()]).unwrap();
            assert_eq!((nodes[0].name.as_str(), nodes[0].via.to_string().as_str()), (name, way));
        }
        for (way, clause) in [
            ("addr:fd00::1", "gives no name to a node; write NAME=addr:fd00::1"),
            ("teleport:x", "says no way to a node"),
            ("netns:blue,netns:blue", "blue is named twice"),
        ] {
            let error = resolve(&[way.to_string()]).unwrap_err();
            assert!(error.to_string().contains(clause), "{error}");
        }
    }

    #[test]
    fn a_plain_list_of_hosts_is_a_list_of_nodes() {
        let of = |line: &str| one(line).unwrap().map(|n| (n.name.0.clone(), n.via.to_string()));
        for (line, name, via) in [
            ("db1", "db1", "ssh:db1"),
            ("  root@192.0.2.3  # the first", "192.0.2.3", "ssh:root@192.0.2.3"),
            ("blue=netns:x", "blue", "netns:x"),
            ("netns:x", "x", "netns:x"),
            ("ssh+sudo:admin@db2", "db2", "ssh+sudo:admin@db2"),
            ("{\"node\":\"n1\",\"via\":\"local\"}", "n1", "local"),
        ] {
            assert_eq!(of(line), Some((name.into(), via.into())), "{line}");
        }
        assert_eq!(of("# all of them"), None);
        for line in ["-oProxyCommand=x", "a b", "db1;rm", "[\"db1\"]", "..", "fd00::1"] {
            assert!(one(line).is_err(), "{line}");
        }
    }

    #[test]
    fn ways_to_a_node_are_validated() {
        for good in [
            "ssh:root@192.0.2.3",
            "ssh+sudo:admin@db1",
            "netns:blue",
            "pid:4711",
            "local",
            "addr:fd00::1",
            "lxc:breakit-x-n1",
        ] {
            assert_eq!(Via::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "ssh:-oProxyCommand=x",
            "ssh+sudo:-oProxyCommand=x",
            "ssh+doas:db1",
            "ssh:a b",
            "netns:../x",
            "pid:-1",
            "pid:x",
            "addr:host",
            "",
            "teleport:x",
        ] {
            assert_eq!(Via::parse(bad).unwrap_err().status(), Status::Usage, "{bad}");
        }
    }
}
