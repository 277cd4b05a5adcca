//! Addresses that a network's own rules translate (NAT): a service of Kubernetes, a published port of Docker.

use breakit::exit::Result;
use breakit::nat;
use breakit::net::Net;
use breakit::reach::Network;

use crate::step::{self, Step};

/// What shows the rules. That of ip_tables is asked only where its table is loaded: it would load it.
const LISTINGS: [(&str, &str); 3] = [
    ("nft", "nft list ruleset"),
    ("iptables-legacy", "iptables-legacy -w -t nat -S"),
    ("ip6tables-legacy", "ip6tables-legacy -w -t nat -S"),
];

/// Whether a rule of `network` about translating names one of `named` as where packets are sent.
///
/// # Errors
/// As [`nat::translates`] and [`Step::output`].
pub fn is_of(named: &[Net], network: &Network) -> Result<bool> {
    if named.is_empty() || !nat::translates(network)? {
        return Ok(false);
    }
    for (program, line) in LISTINGS {
        if !step::has(network, program) || program != "nft" && !is_loaded(network, program)? {
            continue;
        }
        let said = Step::new(line).output(network)?;
        let targets = targets(&String::from_utf8_lossy(&said.stdout));
        if targets.iter().any(|net| named.iter().any(|n| n.contains(net) || net.contains(n))) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_loaded(network: &Network, program: &str) -> Result<bool> {
    let file = if program.starts_with("ip6") { "ip6_tables_names" } else { "ip_tables_names" };
    Ok(step::proc_net(network, file)?.lines().any(|name| name == "nat"))
}

/// The addresses that rules match as where packets are sent, alone or in sets and maps; senders in sets are among them.
fn targets(rules: &str) -> Vec<Net> {
    let words: Vec<&str> = rules.split_whitespace().collect();
    let is_target =
        |before: &str| matches!(before, "-d" | "daddr" | "{" | "=") || before.ends_with(',');
    let net = |pair: &[&str]| match pair {
        [before, word] if is_target(before) => Net::parse(word.trim_end_matches(',')),
        _ => None,
    };
    words.windows(2).filter_map(net).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_that_packets_are_sent_to_are_found_in_rules_and_others_are_not() {
        let found = |rules: &str| targets(rules).iter().map(Net::to_string).collect::<Vec<_>>();
        let rules = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
            -A KUBE-SERVICES -d 10.96.0.10/32 -p udp -j DNAT --to-destination 10.0.0.2";
        assert_eq!(found(rules), ["10.96.0.10"]);
        let rules = "ip daddr { 10.96.0.1, 10.96.0.2 } tcp dport 443 dnat ip to 10.0.0.2:6443
            elements = { 10.96.0.7 . tcp . 443 : goto s7, 10.96.0.8 . udp . 53 : goto s8 }
            ip saddr 10.1.0.0/24 masquerade";
        assert_eq!(found(rules), ["10.96.0.1", "10.96.0.2", "10.96.0.7", "10.96.0.8"]);
    }
}
