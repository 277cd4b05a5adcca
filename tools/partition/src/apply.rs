//! Puts rules in force, by whichever program they are for, and finds again what stands.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use breakit::exit::{Error, Result, Status};
use breakit::lease::Lease;
use breakit::program;
use breakit::reach::Network;

use crate::iptables::{self, Chains, Flavour};
use crate::iptables_leftovers;
use crate::kernel_rules::{KernelRules, Kind};
use crate::listing;
use crate::nft::{Nft, Refusal};
use crate::nftnl;
use crate::packets::Answer;
use crate::privilege::not_permitted;
use crate::rules::{self, Family, Table};

/// Rules of a cut in one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// A table for nft(8).
    Nft(Table),
    /// Chains and sets for iptables(8) and ipset(8).
    Iptables(Chains),
}

/// What is to be run, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// By nft(8), as one transaction.
    Nft(String),
    /// By a shell.
    Shell(String),
}

impl Script {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Script::Nft(text) | Script::Shell(text) => text,
        }
    }
}

impl Rules {
    /// What makes them.
    pub fn kind(&self) -> Kind {
        match self {
            Rules::Nft(table) => Kind::Nft(table.family),
            Rules::Iptables(chains) => Kind::Iptables(chains.flavour),
        }
    }

    /// The name that all rules of one cut share.
    pub fn name(&self) -> &str {
        match self {
            Rules::Nft(table) => &table.name,
            Rules::Iptables(chains) => &chains.name,
        }
    }

    /// The same with what their program will make for them in `network` besides, where that can be taken back:
    /// on other hosts it stays, empty.
    ///
    /// # Errors
    /// 71 where the kernel does not say.
    pub fn noting(mut self, network: &Network) -> Result<Rules> {
        if let Rules::Iptables(chains) = &mut self
            && chains.flavour == Flavour::Nft
            && !matches!(network, Network::Ssh(_))
        {
            let places = chains.places();
            let makes = || {
                let of = |(place, hooks): &(nftnl::Place, Vec<&'static str>)| {
                    Ok((*place, iptables_leftovers::would_be_made(*place, hooks)?))
                };
                places.iter().map(of).collect()
            };
            chains.makes = network.inside(makes)?;
        }
        Ok(self)
    }

    /// Puts them in force.
    pub fn install(&self, lease: Lease) -> Script {
        match self {
            Rules::Nft(table) => Script::Nft(table.install(lease)),
            Rules::Iptables(chains) => Script::Shell(chains.install(lease)),
        }
    }

    /// Why these rules could not be put in force, as far as the refusal and they themselves tell.
    pub fn why(&self, refusal: Refusal) -> Error {
        match (refusal, self) {
            (Refusal::Gone, Rules::Nft(table))
                if table.family == Family::Bridge && table.packets.answer == Answer::Reset =>
            {
                Error::missing(
                    "the kernel cannot reject on a bridge: it lacks the module nft_reject_bridge (CONFIG_NFT_BRIDGE_REJECT)",
                )
            }
            (refusal, _) => refusal.into(),
        }
    }

    /// Renews their lease; fails where they are gone.
    pub fn renew(&self, lease: Lease) -> Script {
        match self {
            Rules::Nft(table) => Script::Nft(table.renew(lease)),
            Rules::Iptables(chains) => Script::Shell(chains.renew(lease)),
        }
    }

    /// Removes them.
    pub fn remove(&self) -> Script {
        match self {
            Rules::Nft(table) => Script::Nft(table.remove()),
            Rules::Iptables(chains) => Script::Shell(chains.remove()),
        }
    }

    /// How many elements the kernel must hold.
    pub fn size(&self) -> usize {
        match self {
            Rules::Nft(table) => table.size(),
            Rules::Iptables(chains) => chains.size(),
        }
    }

    /// Whether rules that stand need only be renewed to be these.
    pub fn renews(&self, standing: &Rules) -> bool {
        match (self, standing) {
            (Rules::Nft(new), Rules::Nft(old)) => {
                (&new.interfaces, new.translated) == (&old.interfaces, old.translated)
            }
            (Rules::Iptables(_), Rules::Iptables(_)) => true,
            _ => false,
        }
    }

    /// Whether both drop the same.
    pub fn drops_as(&self, other: &Rules) -> bool {
        match (self, other) {
            (Rules::Nft(a), Rules::Nft(b)) => a.drops == b.drops,
            (Rules::Iptables(a), Rules::Iptables(b)) => a.drops == b.drops,
            _ => false,
        }
    }
}

impl KernelRules {
    /// Removes them.
    pub fn remove(&self) -> Script {
        match self.kind {
            Kind::Nft(family) => Script::Nft(rules::remove(family, &self.name)),
            Kind::Iptables(_) => Script::Shell(iptables::remove(&self.name)),
        }
    }
}

impl Nft {
    /// Runs a script by its program.
    ///
    /// # Errors
    /// [`Refusal`]; nothing of the script is in force then.
    pub fn run_script(
        &self,
        network: &Network,
        script: &Script,
    ) -> std::result::Result<(), Refusal> {
        match script {
            Script::Nft(text) => self.apply(network, text),
            Script::Shell(text) => {
                let output = shell(network, text)?;
                tidy(network, &String::from_utf8_lossy(&output.stdout))?;
                if output.status.success() { Ok(()) } else { Err(refusal(network, &output)) }
            }
        }
    }

    /// Removes what one kind has made under a name in a network; `script` does it on another host.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn take_away(
        &self,
        network: &Network,
        (kind, name): (Kind, &str),
        script: &Script,
    ) -> std::result::Result<(), Refusal> {
        match (kind, network) {
            (Kind::Nft(family), Network::Here | Network::Namespace(_)) => {
                Ok(network.inside(|| nftnl::remove(family, name))?)
            }
            _ => match self.run_script(network, script) {
                // Then there is none of ours either.
                Err(Refusal::NoTables) => Ok(()),
                other => other,
            },
        }
    }

    /// All that stands of ours in a network. Where nft(8) is missing there may still be rules of iptables(8).
    ///
    /// # Errors
    /// 77 and 71, as the programs say; 69 where none of them is there.
    pub fn all_standing(&self, network: &Network) -> Result<Vec<KernelRules>> {
        let tables = match self.standing(network) {
            Err(error) if error.status() == Status::Missing && has_iptables(network) => Vec::new(),
            other => other?,
        };
        let output = shell(network, iptables::LISTING)?;
        let listing = String::from_utf8_lossy(&output.stdout);
        Ok(tables.into_iter().chain(listing::read(&listing)).collect())
    }

    /// How many elements of these rules the kernel holds and drops by: none where a rule is gone.
    ///
    /// # Errors
    /// As the programs say.
    pub fn held(&self, network: &Network, rules: &Rules) -> Result<usize> {
        let standing = match rules {
            Rules::Nft(table) if !matches!(network, Network::Ssh(_)) => {
                return network.inside(|| held_here(table));
            }
            Rules::Nft(table) => self.table(network, table.family, &table.name)?,
            Rules::Iptables(chains) => {
                let output = shell(network, iptables::LISTING)?;
                let all = listing::read(&String::from_utf8_lossy(&output.stdout));
                all.into_iter().find(|standing| standing.name == chains.name)
            }
        };
        Ok(standing.filter(|found| found.in_force).map_or(0, |found| found.elements.len()))
    }
}

/// As [`Nft::held`], in the network that we are in.
fn held_here(table: &Table) -> Result<usize> {
    if nftnl::rules(table.family, &table.name)? < table.rules_at_least() {
        return Ok(0);
    }
    nftnl::elements(table.family, &table.name, &table.set_names())
}

/// Takes away tables that the script has left empty, and that are there because of us.
fn tidy(network: &Network, said: &str) -> Result<()> {
    let emptied = iptables_leftovers::emptied(said);
    if emptied.is_empty() || matches!(network, Network::Ssh(_)) {
        return Ok(());
    }
    network.inside(|| emptied.into_iter().try_for_each(nftnl::remove_empty))
}

fn has_iptables(network: &Network) -> bool {
    matches!(network, Network::Ssh(_))
        || [Flavour::Nft, Flavour::Legacy]
            .iter()
            .any(|flavour| program::find(flavour.program(), "iptables").is_ok())
}

/// A script runs a dozen programs, and a slow or busy host takes seconds for some of them.
pub const LIMIT: Duration = Duration::from_secs(60);

/// In a process group of its own: ^C is for us, who must finish first.
fn shell(network: &Network, script: &str) -> Result<Output> {
    let path = "PATH=\"$PATH:/usr/sbin:/sbin\"\nexport PATH LC_ALL=C\n";
    let script = path.to_string() + script;
    network.run_guarded(Path::new("sh"), ["-s"], Some(script.as_bytes()), LIMIT)
}

fn refusal(network: &Network, output: &Output) -> Refusal {
    let said = String::from_utf8_lossy(&output.stderr);
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["Permission denied", "Operation not permitted", "must be root"]) {
        return not_permitted(network).into();
    }
    if says(&["does not exist", "No chain/target/match", "No such file"]) {
        return Refusal::Gone;
    }
    if let Some(line) = said.lines().find(|line| line.contains("unable to initialize table")) {
        return Error::missing(no_table(line)).into();
    }
    let last = program::last_words(output);
    if output.status.code() == Some(127) || says(&["not found"]) {
        return Error::missing(format!("{last}; install the packages iptables and ipset")).into();
    }
    if says(&["kernel", "not supported", "Invalid argument", "Couldn't load"]) {
        return Error::missing(format!("the kernel cannot do this for iptables: {last}")).into();
    }
    Error::system(format!("iptables refused: {last}")).into()
}

/// What somebody is told whose kernel has not the table that `line` speaks of.
fn no_table(line: &str) -> String {
    if line.contains("ip6tables") {
        return format!(
            "IPv6 packets would still pass, this kernel has no table for them: {line}; load it (modprobe -a ip6table_raw ip6table_filter), or turn IPv6 off in the nodes"
        );
    }
    format!(
        "this kernel lacks a table of iptables: {line}; load it (modprobe -a iptable_raw iptable_filter)"
    )
}
