//! Our chains of iptables as the kernel has them: found without loading tables that nobody had, and taken away.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use breakit::exit::{Error, Result};
use breakit::reach::Network;

use super::mangle;
use crate::fault_id::FaultId;
use crate::kernel;
use crate::step::{self, Step};
use crate::traffic::Way;

/// The flavours of iptables, in the order in which they are tried: the system's own choice first.
pub const FLAVOURS: [&str; 3] = ["", "-legacy", "-nft"];

/// The chain of a fault for what goes out; the names of its other chains and of its sets begin with it.
pub fn name(id: FaultId) -> String {
    format!("breakit-slow-{id}")
}

/// The chain of a fault for a way, and the one from which it hangs.
pub fn hung(id: FaultId, way: Way) -> (String, &'static str) {
    match way {
        Way::Out => (name(id), "POSTROUTING"),
        Way::In => (format!("{}-in", name(id)), "PREROUTING"),
    }
}

/// Whether packets are sent into the fault's chain of that way and family, by whichever flavour: somebody who
/// flushes the table takes the rules away and leaves the sets. What cannot be told is believed.
pub fn stand(network: &Network, id: FaultId, v4: bool, way: Way) -> bool {
    let there: Vec<String> =
        programs(v4).into_iter().filter(|program| step::has(network, program)).collect();
    there.is_empty() || there.iter().any(|program| stand_by(network, program, id, v4, way))
}

/// The same of one program that is there.
pub fn stand_by(network: &Network, program: &str, id: FaultId, v4: bool, way: Way) -> bool {
    let (chain, hook) = hung(id, way);
    if !is_legacy(network, program)
        && let Some(Ok(rules)) = kernel::rules(network, mangle::of_version(v4), mangle::NAME)
    {
        return rules.iter().any(|rule| rule.chain == hook && rule.names(&chain))
            && rules.iter().any(|rule| rule.chain == chain && rule.names(SET_MATCH));
    }
    let rules = || Step::new(format!("{program} -w -t mangle -S")).output(network);
    may_hold(network, program, v4)
        && rules().map_or(true, |rules| {
            !rules.status.success() || leads(&String::from_utf8_lossy(&rules.stdout), &chain, hook)
        })
}

/// The match of iptables by which our rules ask for a set.
const SET_MATCH: &str = "set";

/// Whether a listing has the jump to the chain and a rule in it that matches a set.
fn leads(rules: &str, chain: &str, hook: &str) -> bool {
    let (jump, rule) = (format!("-A {hook} -j {chain}"), format!("-A {chain} "));
    rules.lines().any(|line| line == jump)
        && rules.lines().any(|line| line.starts_with(&rule) && line.contains("--match-set"))
}

/// Takes the chains of the fault away.
///
/// # Errors
/// All that stood in the way.
pub fn stop(network: &Network, id: FaultId) -> Result<()> {
    let mut errors = Vec::new();
    for v4 in [true, false] {
        for program in programs(v4) {
            if may_hold(network, &program, v4) {
                errors.extend(stop_with(network, id, &program, v4).err());
            }
        }
    }
    Error::all(errors)
}

fn programs(v4: bool) -> [String; 3] {
    FLAVOURS.map(|flavour| format!("{}{flavour}", if v4 { "iptables" } else { "ip6tables" }))
}

/// Whether the program is there and the kernel has its table mangle. Asking the program itself would load or
/// make that table, which then stays.
fn may_hold(network: &Network, program: &str, v4: bool) -> bool {
    step::has(network, program)
        && match is_legacy(network, program) {
            true => has_legacy_table(network, v4),
            false => mangle::may_be_there(network, v4),
        }
}

fn is_legacy(network: &Network, program: &str) -> bool {
    if program.ends_with("-legacy") || program.ends_with("-nft") {
        return program.ends_with("-legacy");
    }
    if matches!(network, Network::Ssh(_)) {
        return says_nothing_of_nf_tables(network, program);
    }
    // The programs of this host are the same for all its networks.
    static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(program.to_string()).or_insert_with(|| says_nothing_of_nf_tables(network, program))
}

fn says_nothing_of_nf_tables(network: &Network, program: &str) -> bool {
    let version = Step::new(format!("{program} --version")).output(network);
    // Before there were two flavours there was only this one, and it did not say so.
    version.is_ok_and(|version| !String::from_utf8_lossy(&version.stdout).contains("nf_tables"))
}

fn has_legacy_table(network: &Network, v4: bool) -> bool {
    let file = format!("{}_tables_names", if v4 { "ip" } else { "ip6" });
    if let Some(names) = kernel::proc_net(network, &file) {
        return names.lines().any(|name| name == "mangle");
    }
    let file = format!("/proc/net/{file}");
    let Ok(names) = Step::new(format!("cat {file}")).output(network) else { return true };
    match names.status.success() {
        true => String::from_utf8_lossy(&names.stdout).lines().any(|name| name == "mangle"),
        // Without the file there is no such iptables in the kernel; one that we may not read says nothing.
        false => !String::from_utf8_lossy(&names.stderr).contains("No such file"),
    }
}

fn stop_with(network: &Network, id: FaultId, program: &str, v4: bool) -> Result<()> {
    let listed = Step::new(format!("{program} -w -t mangle -S")).output(network)?;
    let rules = String::from_utf8_lossy(&listed.stdout);
    let has = |line: &str| rules.lines().any(|rule| rule == line);
    let (mut script, mut chains) = (String::new(), Vec::new());
    for (chain, hook) in [Way::Out, Way::In].map(|way| hung(id, way)) {
        if !has(&format!("-N {chain}")) {
            continue;
        }
        // Where somebody flushed the table it is not there any more.
        if has(&format!("-A {hook} -j {chain}")) {
            script += &format!("-D {hook} -j {chain}\n");
        }
        script += &format!("-F {chain}\n-X {chain}\n");
        chains.push(chain);
    }
    let of_ours = |rule: &str| chains.iter().any(|c| rule.starts_with(&format!("-A {c} ")));
    let made = rules.lines().any(|rule| of_ours(rule) && rule.contains(mangle::MADE));
    if script.is_empty() {
        return Ok(());
    }
    if made && mangle::remove_with(network, v4, &chains) {
        return Ok(());
    }
    let delete = Step::new(format!("{program}-restore --noflush -w"));
    delete.fed(format!("*mangle\n{script}COMMIT\n")).run(network)?;
    if made {
        // Another fault's chains may have gone meanwhile.
        mangle::remove_with(network, v4, &[]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_leads_somewhere_only_with_its_jump_and_its_rules() {
        let jump = "-A POSTROUTING -j breakit-slow-3f2a\n";
        let rule =
            "-A breakit-slow-3f2a -o eth0 -m set --match-set breakit-slow-3f2a-4 dst -j NFQUEUE\n";
        let leads = |rules: &str| leads(rules, "breakit-slow-3f2a", "POSTROUTING");
        assert!(leads(&format!("-N breakit-slow-3f2a\n{jump}{rule}")));
        for flushed in ["", jump, rule, "-N breakit-slow-3f2a\n"] {
            assert!(!leads(flushed), "{flushed}");
        }
        let login = "-A breakit-slow-3f2a -p tcp -m tcp --sport 22 -j RETURN\n";
        assert!(!leads(&format!("{jump}{login}")));
    }
}
