//! Links: whose packets, which of them, and what happens to them; read from lines that say one each.
//!
//! A line has the flags of `set` as its fields, and names its ends: `{"from":"n1","to":"n2","delay":"40ms"}`.
//! A line `{"region":"eu","nodes":"n1,n2"}` gives nodes a name in common for the lines after it.

use std::collections::BTreeMap;

use breakit::escape::{beginning, named};
use breakit::except::Except;
use breakit::exit::{Error, Result};
use breakit::jsonl::Lines;
use breakit::node::{self, Node};
use breakit::reach;
use clap::Parser;
use serde_json::{Map, Value};

use crate::cli::TrafficArgs;
use crate::impairments::{Parts, PartsArgs};
use crate::traffic::{Traffic, Whom};
use breakit::net::Net;

/// A link.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Whose packets.
    pub nodes: Vec<Node>,
    /// Which of them.
    pub traffic: Traffic,
    /// What happens to them.
    pub parts: Parts,
    /// With which nodes, where they were named, and their addresses.
    pub named: BTreeMap<String, Vec<Net>>,
    /// Those nodes.
    pub peers: Vec<Node>,
}

/// The flags that a line may have as fields, read as the command line reads them.
#[derive(Parser, Debug)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Fields {
    #[command(flatten)]
    parts: PartsArgs,
    #[command(flatten)]
    traffic: TrafficArgs,
}

/// Names that lines may use.
#[derive(Debug, Default)]
pub struct Names {
    nodes: Vec<Node>,
    regions: BTreeMap<String, Vec<Node>>,
}

/// Reads links, one a line; `nodes` are those that they may name, beside those of the fleet.
///
/// # Errors
/// 65 with file and line for what is no link, names nobody or strikes what an earlier one strikes; 66 where
/// there is no link at all.
pub fn read(mut lines: Lines, nodes: Vec<Node>) -> Result<Vec<Link>> {
    let mut names = Names::of(nodes);
    let mut links: Vec<(u64, Link)> = Vec::new();
    while let Some((number, line)) = lines.next_line()? {
        if line.trim().is_empty() {
            continue;
        }
        let object = object(&line).map_err(|clause| lines.error(clause))?;
        let read = match object.get("region") {
            Some(_) => names.add_region(&object).map(|()| Vec::new()),
            None => names.links(&object),
        };
        for link in read.map_err(|error| lines.error(error.to_string()))? {
            if let Some((earlier, _)) = links.iter().find(|(_, other)| other.meets(&link)) {
                return Err(lines.error(format!(
                    "packets that line {earlier} strikes already: only one link can have them; put their parts on one line"
                )));
            }
            links.push((number, link));
        }
    }
    if links.is_empty() {
        return Err(Error::no_input(
            "the file has no link; write {\"from\":\"n1\",\"to\":\"n2\",\"delay\":\"40ms\"}",
        ));
    }
    Ok(links.into_iter().map(|(_, link)| link).collect())
}

fn object(line: &str) -> std::result::Result<Map<String, Value>, String> {
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!(
            "a link is an object such as {{\"from\":\"n1\"}}, not {}",
            named(&other.to_string())
        )),
        Err(error) => Err(breakit::op::json_clause(&error)),
    }
}

impl Link {
    /// The link from `nodes` to `to` with those of its packets that `which` says, among the nodes `known`.
    ///
    /// # Errors
    /// As [`Except::find`] and [`Traffic::checked`].
    pub fn new(
        nodes: Vec<Node>,
        to: Whom,
        parts: Parts,
        which: &TrafficArgs,
        known: &[Node],
    ) -> Result<Link> {
        let Whom { blocks, named, nodes: peers } = to;
        let traffic = Traffic::new(blocks, which.protocol, which.port.clone()).checked()?;
        let traffic = traffic.going(which.direction).by(which.interface.clone());
        let traffic = traffic.but_for(Except::find(&which.except, known)?);
        Ok(Link { nodes, traffic, parts, named, peers })
    }

    /// The link that parts and traffic say, from `nodes` to `to`; fields are called as the flags of `set`.
    ///
    /// # Errors
    /// 64 with the field that is wrong.
    pub fn of_fields(
        nodes: Vec<Node>,
        to: Whom,
        fields: &Map<String, Value>,
        names: &Names,
    ) -> Result<Link> {
        let said = fields.iter().filter(|(_, value)| **value != Value::Bool(false));
        let flags = said.map(|(name, value)| flag(name, value));
        let flags: Vec<String> = flags.collect::<Result<_>>()?;
        let fields = Fields::try_parse_from(flags).map_err(|error| first_line(&error))?;
        Link::new(nodes, to, Parts::of(&fields.parts)?, &fields.traffic, &names.nodes)
    }

    /// Its traffic and its parts as the fields of a line.
    pub fn json(&self) -> Value {
        let mut line = self.traffic.json();
        line["parts"] = self.parts.json();
        line
    }

    /// Whether a packet may be of both links.
    pub fn meets(&self, other: &Link) -> bool {
        let same_node = |node: &Node| other.nodes.iter().any(|other| other.name == node.name);
        self.nodes.iter().any(same_node) && self.traffic.meets(&other.traffic)
            || other.nodes.iter().any(|node| self.faces(node, &other.traffic))
    }

    /// Whether packets of this link may be of the traffic `other` that `node` has, at their other end.
    pub fn faces(&self, node: &Node, other: &Traffic) -> bool {
        let of = |node: &Node| -> Vec<Net> {
            // Without addresses it exchanges no packets.
            reach::addresses(node).unwrap_or_default().into_iter().map(Net::from).collect()
        };
        let mut ours = self.nodes.iter().filter(|ours| ours.name != node.name);
        self.traffic.faces(other)
            && self.traffic.is_with(&of(node))
            && ours.any(|ours| other.is_with(&of(ours)))
    }
}

fn flag(name: &str, value: &Value) -> Result<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(_) => strings(name, value)?.join(","),
        Value::Bool(true) => return Ok(format!("--{}", name.replace('_', "-"))),
        _ => {
            return Err(Error::usage(format!(
                "\"{}\" must be text, not {}",
                named(name),
                named(&value.to_string())
            )));
        }
    };
    Ok(format!("--{}={text}", name.replace('_', "-")))
}

/// How much of it one glance takes, with the name of the file and the line's number.
const LONGEST_CLAUSE: usize = 120;

/// What clap says first; what follows is about command lines.
fn first_line(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.trim_start_matches("error: ").replace("unexpected argument", "unknown field");
    let line = line.trim_end_matches(" found");
    Error::usage(beginning(&line.replace("'--", "'"), LONGEST_CLAUSE))
}

/// A text, or a list of texts.
fn strings(name: &str, value: &Value) -> Result<Vec<String>> {
    let wrong = || {
        Error::usage(format!(
            "\"{name}\" must be a text or a list of texts, not {}",
            named(&value.to_string())
        ))
    };
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(list) => {
            list.iter().map(|one| one.as_str().map(str::to_string).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

impl Names {
    /// The names of `nodes`, beside those of the fleet.
    pub fn of(nodes: Vec<Node>) -> Names {
        Names { nodes, ..Names::default() }
    }

    fn add_region(&mut self, object: &Map<String, Value>) -> Result<()> {
        let field = |name: &str| {
            object.get(name).ok_or_else(|| Error::usage(format!("a region needs \"{name}\"")))
        };
        let region = field("region")?.as_str().unwrap_or_default();
        let region = node::Name::new(region)?;
        if let Some(name) = object.keys().find(|name| *name != "region" && *name != "nodes") {
            return Err(Error::usage(format!(
                "a region has no \"{}\"; it has \"nodes\"",
                named(name)
            )));
        }
        let nodes = self.nodes(&strings("nodes", field("nodes")?)?)?;
        match self.regions.insert(region.to_string(), nodes) {
            None => Ok(()),
            Some(_) => Err(Error::usage(format!("the region {region} is there already"))),
        }
    }

    /// The link that a line says, and with `"both":true` the one back.
    fn links(&self, object: &Map<String, Value>) -> Result<Vec<Link>> {
        let mut fields = object.clone();
        let from = fields
            .shift_remove("from")
            .ok_or_else(|| Error::usage("a link needs \"from\": whose packets"))?;
        let from = strings("from", &from)?;
        let to = fields.shift_remove("to").map(|to| strings("to", &to)).transpose()?;
        let both = match fields.shift_remove("both") {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(other) => {
                return Err(Error::usage(format!(
                    "\"both\" must be true or false, not {}",
                    named(&other.to_string())
                )));
            }
        };
        let to = to.unwrap_or_default();
        let link = |from: &[String], to: &[String]| {
            Link::of_fields(self.nodes(from)?, self.whom(to)?, &fields, self)
        };
        let mut links = vec![link(&from, &to)?];
        if both {
            if to.is_empty() {
                return Err(Error::usage("\"both\" needs \"to\": the nodes at the other end"));
            }
            links.push(link(&to, &from)?);
        }
        Ok(links)
    }

    /// Regions and nodes by their names.
    ///
    /// # Errors
    /// As [`node::resolve`].
    pub fn nodes(&self, specs: &[String]) -> Result<Vec<Node>> {
        let mut found: Vec<Node> = Vec::new();
        for part in specs.iter().flat_map(|spec| spec.split(',')) {
            match self.regions.get(part) {
                Some(nodes) => found.extend(nodes.iter().cloned()),
                None if part.contains('=') => found.extend(node::resolve(&[part.to_string()])?),
                None => {
                    for name in node::names(&[part.to_string()])? {
                        found.push(self.node(&name)?);
                    }
                }
            }
        }
        Ok(found)
    }

    fn node(&self, name: &node::Name) -> Result<Node> {
        match self.nodes.iter().find(|node| node.name == *name) {
            Some(node) => Ok(node.clone()),
            None => Ok(node::resolve(&[name.to_string()])?.remove(0)),
        }
    }

    /// Addresses and blocks as they are, regions and nodes with all their addresses.
    fn whom(&self, specs: &[String]) -> Result<Whom> {
        let mut whom = Whom::default();
        for part in specs.iter().flat_map(|spec| spec.split(',')) {
            match Net::parse(part) {
                Some(prefix) => whom.blocks.push(prefix),
                None => whom.add(&self.nodes(&[part.to_string()])?)?,
            }
        }
        Ok(whom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Node> {
        let line =
            |n: u8| format!(r#"{{"node":"n{n}","addrs":["10.0.0.{n}"],"via":"netns:x{n}"}}"#);
        (1..=4).map(|n| Node::parse(&line(n)).unwrap()).collect()
    }

    fn links(text: &str) -> Result<Vec<Link>> {
        read(Lines::new("links", std::io::Cursor::new(text.to_string())), nodes())
    }

    fn shown(link: &Link) -> String {
        let names: Vec<&str> = link.nodes.iter().map(|node| node.name.as_str()).collect();
        format!("{} {} {}", names.join(","), link.traffic.json()["to"], link.parts.json())
    }

    #[test]
    fn regions_and_links_both_ways_are_read_as_the_flags_would_be() {
        let text = r#"{"region":"eu","nodes":"n1,n2"}
            {"region":"us","nodes":["n3"]}

            {"from":"eu","to":"us","delay":"45ms","jitter":"2ms","both":true}
            {"from":"n1","to":"n2","loss":"1%","port":[5432,"7000-7003"],"protocol":"tcp"}"#;
        let links = links(&text.replace("[5432,", "[\"5432\",")).unwrap();
        let delay = r#"{"delay":"45ms","jitter":"2ms","distribution":"uniform"}"#;
        assert_eq!(shown(&links[0]), format!(r#"n1,n2 ["10.0.0.3"] {delay}"#));
        assert_eq!(shown(&links[1]), format!(r#"n3 ["10.0.0.1","10.0.0.2"] {delay}"#));
        assert_eq!(shown(&links[2]), r#"n1 ["10.0.0.2"] {"loss":"1%"}"#);
        assert_eq!(links[2].traffic.json()["ports"], serde_json::json!(["5432", "7000-7003"]));
    }

    #[test]
    fn what_is_no_link_is_named_by_its_line() {
        for (line, clause) in [
            ("7", "a link is an object"),
            ("{", "line 1: column"),
            (r#"{"to":"n1","delay":"5ms"}"#, "needs \"from\""),
            (r#"{"from":"n1"}"#, "nothing is asked for"),
            (r#"{"from":"n1","delay":"-5ms"}"#, "negative"),
            (r#"{"from":"n1","delay":"5ms","dely":"5ms"}"#, "unknown field 'dely"),
            (r#"{"from":"n1","delay":{}}"#, "\"delay\" must be text"),
            (r#"{"from":"n1","delay":"5ms","both":true}"#, "\"both\" needs \"to\""),
            (r#"{"from":"n1","delay":"5ms","both":1}"#, "true or false"),
            (r#"{"region":"eu"}"#, "needs \"nodes\""),
            (r#"{"region":"eu","nodes":"n1","to":"n2"}"#, "has no \"to\""),
        ] {
            let error = links(line).unwrap_err();
            assert_eq!(error.status(), breakit::exit::Status::Data, "{line}");
            assert!(error.to_string().contains(clause), "{line}: {error}");
        }
        assert_eq!(links("").unwrap_err().status(), breakit::exit::Status::NoInput);
    }

    #[test]
    fn no_packet_is_of_two_links() {
        let two = |a: &str, b: &str| {
            let line = |rest: &str| format!(r#"{{"from":"n1","delay":"5ms"{rest}}}"#);
            links(&format!("{}\n{}", line(a), line(b))).map(drop)
        };
        let to = |to: &str, rest: &str| format!(r#","to":"{to}"{rest}"#);
        assert!(two(&to("n2", ""), &to("n3", "")).is_ok());
        let error = two(&to("n2", ""), &to("10.0.0.0/8", "")).unwrap_err().to_string();
        assert!(error.contains("line 2: packets that line 1 strikes already"), "{error}");
        assert!(two("", &to("n2", "")).is_err());
        let (tcp, udp) = (r#","protocol":"tcp""#, r#","protocol":"udp""#);
        assert!(two(&to("n2", tcp), &to("n2", udp)).is_ok());
        let direction = r#","direction":"in""#;
        assert!(two(&to("n2", direction), &to("n2", "")).is_ok());
        let (low, high) = (r#","port":"1-5""#, r#","port":"6-9""#);
        assert!(two(&to("n2", low), &to("n2", high)).is_ok());
        assert!(two(&to("n2", low), &to("n2", r#","port":"5""#)).is_err());
        assert!(two(&to("n2", low), &to("n2", tcp)).is_err());
    }
}
