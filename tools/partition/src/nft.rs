//! Running nft(8) in a network, and understanding what it says.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::program;
use breakit::reach::Network;
use serde_json::Value;

use crate::kernel_rules::{Element, KernelRules, Kind};
use crate::privilege::not_permitted;
use crate::rules::{Family, PREFIX};

/// Longer than any transaction takes; a node over ssh may be slow to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// The program, found.
#[derive(Clone, Debug)]
pub struct Nft {
    /// `None` where it is missing on this host: other hosts may have it.
    program: Option<PathBuf>,
}

/// Why nft did not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The table that the script speaks of is not there.
    Gone,
    /// There can be no table at all: this kernel has no nf_tables, or none that it may load.
    NoTables,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Error(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            Refusal::Error(error) => error,
            Refusal::NoTables => Error::missing(
                "this kernel has no nf_tables; load it (modprobe nf_tables), or take a backend of iptables",
            ),
            Refusal::Gone => Error::missing(
                "the kernel lacks a part that this cut needs; load its modules, or take another --backend",
            ),
        }
    }
}

impl Nft {
    /// Looks for the program.
    pub fn find() -> Nft {
        Nft { program: program::find("nft", "nftables").ok() }
    }

    /// Where it is on this host.
    ///
    /// # Errors
    /// 69 naming the package.
    pub fn program(&self) -> Result<&PathBuf> {
        self.program.as_ref().ok_or_else(|| {
            Error::missing("the program nft is missing; install the package nftables")
        })
    }

    /// Runs a script as one transaction.
    ///
    /// # Errors
    /// [`Refusal`]; nothing of the script was done then.
    pub fn apply(&self, network: &Network, script: &str) -> std::result::Result<(), Refusal> {
        let output = self.run(network, &["-f", "-"], Some(script))?;
        if output.status.success() { Ok(()) } else { Err(refusal(network, &output)) }
    }

    /// The tables of ours in a network, with the elements that have not expired.
    ///
    /// # Errors
    /// 77 and 71, as nft says.
    pub fn standing(&self, network: &Network) -> Result<Vec<KernelRules>> {
        let tables = self.json(network, &["-j", "list", "tables"])?.unwrap_or_default();
        let mut found = Vec::new();
        for (family, name) in tables.iter().filter_map(our_table) {
            found.extend(self.table(network, family, &name)?);
        }
        Ok(found)
    }

    /// One table of ours; `None` where it is not there.
    ///
    /// # Errors
    /// 77 and 71, as nft says.
    pub fn table(
        &self,
        network: &Network,
        family: Family,
        name: &str,
    ) -> Result<Option<KernelRules>> {
        let objects = self.json(network, &["-j", "list", "table", family.word(), name])?;
        Ok(objects.map(|objects| KernelRules {
            kind: Kind::Nft(family),
            name: name.into(),
            elements: objects.iter().flat_map(elements).collect(),
            packets: objects.iter().find_map(comment).unwrap_or_default(),
            in_force: are_led_to(&objects),
        }))
    }

    /// The objects that a listing names; `None` where what was asked for is not there.
    fn json(&self, network: &Network, args: &[&str]) -> Result<Option<Vec<Value>>> {
        let mut wrong = String::new();
        // On a busy machine nft was seen to succeed and to print an empty line, once in thousands of listings.
        for _ in 0..3 {
            let output = self.run(network, args, None)?;
            if !output.status.success() {
                return match refusal(network, &output) {
                    Refusal::Gone | Refusal::NoTables => Ok(None),
                    Refusal::Error(error) => Err(error),
                };
            }
            match serde_json::from_slice::<Value>(&output.stdout) {
                Ok(mut value) => match value["nftables"].take() {
                    Value::Array(objects) => return Ok(Some(objects)),
                    other => wrong = other.to_string(),
                },
                Err(error) => wrong = format!("no JSON: {error}"),
            }
        }
        Err(Error::system(format!("nft {} says {wrong}", args.join(" "))))
    }

    /// In a process group of its own: ^C is for us, who must finish the transaction first.
    fn run(&self, network: &Network, args: &[&str], script: Option<&str>) -> Result<Output> {
        let program = match network {
            // Wherever that host keeps it.
            Network::Ssh(_) => PathBuf::from("nft"),
            _ => self.program()?.clone(),
        };
        let script = script.map(str::as_bytes);
        let output = network.run_guarded(&program, args.iter().copied(), script, LIMIT)?;
        match (network, output.status.code()) {
            (Network::Ssh(host), Some(127)) => Err(Error::missing(format!(
                "the program nft is missing on {host}; install the package nftables there"
            ))),
            _ => Ok(output),
        }
    }
}

fn refusal(network: &Network, output: &Output) -> Refusal {
    let said = String::from_utf8_lossy(&output.stderr);
    if has_no_tables(&said) {
        return Refusal::NoTables;
    }
    if said.contains("Operation not permitted") {
        return not_permitted(network).into();
    }
    if said.contains("No such file or directory") {
        return Refusal::Gone;
    }
    let first = said.lines().find(|line| line.contains("Error")).unwrap_or("it did not say why");
    if said.contains("not supported") {
        return Error::missing(format!("the kernel's nf_tables cannot do this: {first}")).into();
    }
    Error::system(format!("nft refused: {first}")).into()
}

/// Whether nft tells of a kernel without nf_tables: nobody answers on netlink's nfnetlink, or not for that part.
fn has_no_tables(said: &str) -> bool {
    let unanswered = ["Invalid argument", "Protocol not supported", "Operation not supported"];
    said.lines().any(|line| {
        (line.contains("cache initialization failed")
            || line.contains("Unable to initialize Netlink socket"))
            && unanswered.iter().any(|why| line.contains(why))
    })
}

fn our_table(object: &Value) -> Option<(Family, String)> {
    let table = object.get("table")?;
    let name = table.get("name")?.as_str().filter(|name| name.starts_with(PREFIX))?;
    let word = table.get("family")?.as_str()?;
    let family = Family::ALL.into_iter().find(|family| family.word() == word)?;
    Some((family, name.to_string()))
}

fn elements(object: &Value) -> impl Iterator<Item = Element> + '_ {
    let list = object.get("set").and_then(|set| set.get("elem")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(element)
}

/// Whether every set that holds something is named by a rule.
fn are_led_to(objects: &[Value]) -> bool {
    let named: String =
        objects.iter().filter_map(|object| object.get("rule")).map(Value::to_string).collect();
    let leads = |set: &Value| {
        set.get("name")
            .and_then(Value::as_str)
            .is_some_and(|name| named.contains(&format!("\"@{name}\"")))
    };
    let holding = objects.iter().filter(|object| elements(object).next().is_some());
    holding.filter_map(|object| object.get("set")).all(leads)
}

/// The comment of a rule.
fn comment(object: &Value) -> Option<String> {
    Some(object.get("rule")?.get("comment")?.as_str()?.to_string())
}

fn element(object: &Value) -> Option<Element> {
    let element = object.get("elem")?;
    let key = match element.get("val")? {
        Value::String(address) => address.clone(),
        net if net.get("prefix").is_some() => {
            let prefix = net.get("prefix")?;
            format!("{}/{}", prefix.get("addr")?.as_str()?, prefix.get("len")?.as_u64()?)
        }
        pair => {
            let parts = pair.get("concat")?.as_array()?;
            parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
    };
    Some(Element {
        who: element.get("comment").and_then(Value::as_str).unwrap_or_default().into(),
        key,
        expires: element.get("expires").and_then(Value::as_u64).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_told_from_those_of_others() {
        let ours = r#"{"table":{"family":"bridge","name":"breakit_partition_1_2","handle":2}}"#;
        let ours = our_table(&serde_json::from_str(ours).unwrap());
        assert_eq!(ours, Some((Family::Bridge, "breakit_partition_1_2".into())));
        for other in [
            r#"{"table":{"family":"inet","name":"filter"}}"#,
            r#"{"table":{"family":"ip","name":"breakit_partition_1_2"}}"#,
            r#"{"metainfo":{"version":"1.0.6"}}"#,
        ] {
            assert_eq!(our_table(&serde_json::from_str(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn a_kernel_without_nf_tables_is_told_from_one_that_refuses() {
        for said in [
            "Error: cache initialization failed: Invalid argument",
            "netlink: Error: cache initialization failed: Operation not supported\n",
            "mnl.c:60: Unable to initialize Netlink socket: Protocol not supported",
        ] {
            assert!(has_no_tables(said), "{said}");
        }
        for said in [
            "netlink: Error: cache initialization failed: Operation not permitted",
            "mnl.c:60: Unable to initialize Netlink socket: Too many open files",
            "/dev/stdin:1:1-9: Error: Could not process rule: Operation not supported",
            "/dev/stdin:1:1-9: Error: Could not process rule: Invalid argument",
        ] {
            assert!(!has_no_tables(said), "{said}");
        }
    }

    #[test]
    fn a_set_that_no_rule_names_drops_nothing() {
        let full = |name: &str| {
            format!(r#"{{"set":{{"name":"{name}","elem":[{{"elem":{{"val":"10.0.0.1"}}}}]}}}}"#)
        };
        let empty = r#"{"set":{"name":"cut6"}}"#.to_string();
        let rule = r#"{"rule":{"expr":[{"match":{"right":"@cut4"}},{"drop":null}]}}"#.to_string();
        let read = |objects: &[&String]| {
            let objects: Vec<Value> =
                objects.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            are_led_to(&objects)
        };
        assert!(read(&[&full("cut4"), &empty, &rule]));
        assert!(!read(&[&full("cut4"), &empty]));
        assert!(!read(&[&full("cut4"), &full("cut6"), &rule]), "IPv6 packets pass");
    }

    #[test]
    fn a_sets_elements_are_read_with_their_nodes_and_their_time() {
        let set = r#"{"set":{"name":"cut4","elem":[
            {"elem":{"val":{"concat":["10.0.0.1","10.0.0.2"]},"timeout":2,"expires":1,"comment":"n1 n2"}},
            {"elem":{"val":"10.0.0.1","timeout":2,"expires":2,"comment":"n1 n2"}},
            {"elem":{"val":{"prefix":{"addr":"10.0.0.0","len":8}},"timeout":2,"expires":2,"comment":"a n2"}}]}}"#;
        let set: Value = serde_json::from_str(set).unwrap();
        let read: Vec<Element> = elements(&set).collect();
        assert_eq!(read[0].key, "10.0.0.1 10.0.0.2");
        assert_eq!(
            (read[1].key.as_str(), read[1].expires, read[1].who.as_str()),
            ("10.0.0.1", 2, "n1 n2")
        );
        assert_eq!((read[2].key.as_str(), read.len()), ("10.0.0.0/8", 3));
    }
}
