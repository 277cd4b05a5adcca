//! What works on a node's kernel: tried in a throw-away network namespace, never judged by version.

use breakit::exit::{Error, Result, Status};
use breakit::node::Host;
use breakit::program;
use breakit::reach::Network;
use serde_json::{Map, Value, json};

use crate::agent::{self, Agents};
use crate::classify::{Feeder, Target, chains, ipset};
use crate::fault_id::FaultId;
use crate::impairments::Parts;
use crate::impairments::entry::Shows;
use crate::line::leaving::Leaving;
use crate::line::nfqueue::Queue;
use crate::step::{self, Step};

/// Something that a backend needs, and how it is tried in a fresh namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Delay, loss and all else.
    Netem,
    /// Classes.
    Htb,
    /// Rates.
    Tbf,
    /// Timed sets that send packets into classes.
    Nft,
    /// Timed sets that send packets into a packet queue.
    NftQueue,
    /// A queue that swallows packets silently.
    Blackhole,
    /// A device that sends what comes in round by its queues, and filters that match timed sets.
    Arrival,
}

impl Need {
    /// All of them.
    pub const ALL: [Need; 7] = [
        Need::Netem,
        Need::Htb,
        Need::Tbf,
        Need::Arrival,
        Need::Blackhole,
        Need::Nft,
        Need::NftQueue,
    ];

    /// The word in what `probe` prints.
    pub fn word(self) -> &'static str {
        match self {
            Need::Netem => "netem",
            Need::Htb => "htb",
            Need::Tbf => "tbf",
            Need::Nft => "nft",
            Need::NftQueue => "nft-queue",
            Need::Blackhole => "blackhole",
            Need::Arrival => "arrival",
        }
    }

    /// What a node needs it for, and how it may come by it.
    fn remedy(self) -> &'static str {
        match self {
            Need::Netem => {
                "try modprobe sch_netem, install linux-modules-extra-$(uname -r) (Fedora, RHEL: kernel-modules-extra), or boot a kernel with CONFIG_NET_SCH_NETEM"
            }
            Need::Tbf => "try modprobe sch_tbf, or a kernel built with CONFIG_NET_SCH_TBF",
            Need::Htb => "try modprobe sch_htb, or a kernel built with CONFIG_NET_SCH_HTB",
            Need::Nft => "a kernel with CONFIG_NF_TABLES_INET has it",
            Need::NftQueue => "a kernel with CONFIG_NFT_QUEUE has it",
            Need::Blackhole => "every kernel from 2.6 with CONFIG_NET_SCHED has it",
            Need::Arrival => {
                "try modprobe -a ifb act_mirred act_skbedit cls_basic em_ipset, or take --backend nfqueue"
            }
        }
    }

    fn script(self) -> &'static str {
        match self {
            Need::Netem => "tc qdisc add dev lo root netem delay 1ms loss 1%",
            Need::Htb => {
                "tc qdisc add dev lo root handle 77: htb default 0 && tc class add dev lo parent 77: classid 77:1000 htb rate 1mbit quantum 60000"
            }
            Need::Tbf => "tc qdisc add dev lo root tbf rate 1mbit burst 1600 limit 16000",
            Need::Nft => {
                "nft 'table inet t { set s { type ipv4_addr; flags interval, timeout; }
                 chain c { type filter hook postrouting priority -150; ip daddr @s meta priority set 0x00771000; }
                 }
                 add element inet t s { 10.0.0.0/8 timeout 1000ms }'"
            }
            Need::NftQueue => {
                "nft 'table inet t { set s { type ipv4_addr; flags interval, timeout; }
                 chain c { type filter hook postrouting priority -150; ip daddr @s queue flags bypass to 4096; }
                 }'"
            }
            Need::Blackhole => "tc qdisc add dev lo root blackhole",
            Need::Arrival => {
                // Loaded by itself it would make two devices in the host's own network.
                "PATH=$PATH:/usr/sbin:/sbin modprobe -q ifb numifbs=0 2>/dev/null
                 ip link add name breakit-in type ifb && tc qdisc add dev lo ingress_block 77 ingress &&
                 ipset create t hash:net timeout 1 comment && ipset create p bitmap:port range 0-65535 &&
                 tc filter add block 77 protocol ip pref 7701 handle 0x1000 basic match 'ipset(t src) and not ipset(p dst)' \
                   action skbedit priority 77:1000 action mirred egress redirect dev breakit-in"
            }
        }
    }
}

/// A kernel: ours, or another host's.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    network: &'a Network,
    /// Whether a copy of this program may work there, if it is another host's.
    agent: bool,
}

impl<'a> Kernel<'a> {
    /// The kernel under `network`. All namespaces of this host share one.
    pub fn of(network: &'a Network) -> Kernel<'a> {
        let network = match network {
            Network::Namespace(_) => &Network::Here,
            other => other,
        };
        Kernel { network, agent: false }
    }

    /// The same, where a copy of this program may work if it is another host's.
    #[must_use]
    pub fn with_agent(self, agent: bool) -> Kernel<'a> {
        Kernel { agent, ..self }
    }

    /// Whether `need` is met; the inner error is the reason why not.
    ///
    /// # Errors
    /// 77 where we may not make a namespace, and as [`Step::output`].
    pub fn meets(self, need: Need) -> Result<std::result::Result<(), String>> {
        let met = self.tries(need.script())?;
        Ok(met.map_err(|why| match missing(&why) {
            Some(program) => format!(
                "the program {program} is missing; install the package {}",
                step::package(program)
            ),
            None => format!("{why}; {}", need.remedy()),
        }))
    }

    /// The flavour of iptables that works with ipset here.
    ///
    /// # Errors
    /// As [`Kernel::meets`].
    pub fn ipset(self, target: Target) -> Result<std::result::Result<ipset::Tables, String>> {
        let mut reasons = Vec::new();
        for flavour in chains::FLAVOURS {
            match self.tries(&ipset_script("iptables", "inet", flavour, target))? {
                Ok(()) => {
                    let v6 = ipset_script("ip6tables", "inet6", flavour, target);
                    let v6 = self.tries(&v6)?.is_ok();
                    return Ok(Ok(ipset::Tables { flavour, v6 }));
                }
                Err(why) => reasons.push(format!("iptables{flavour}: {why}")),
            }
        }
        Ok(Err(reasons.join("; ")))
    }

    /// The way to feed `target` that works here.
    ///
    /// # Errors
    /// As [`Kernel::meets`].
    pub fn feeder(self, target: Target) -> Result<std::result::Result<Feeder, String>> {
        let need = match target {
            Target::Class => Need::Nft,
            Target::Line => Need::NftQueue,
        };
        let nft = match self.meets(need)? {
            Ok(()) => return Ok(Ok(Feeder::Nft)),
            Err(why) => why,
        };
        Ok(self.ipset(target)?.map(Feeder::Ipset).map_err(|ipset| {
            format!("no timed set can send packets where they are made slow (nft: {nft}; ipset: {ipset})")
        }))
    }

    /// Whether a process of ours can receive packets from this kernel. Of another host that is taken for granted
    /// until a copy of ours tries it out.
    ///
    /// # Errors
    /// As [`Kernel::meets`].
    pub fn queue(self) -> Result<std::result::Result<(), String>> {
        if let Network::Ssh(host) = self.network {
            return Ok(self.lets_us_work(host));
        }
        tried_here(|| Queue::bind(1, Shows::Lengths, 0).map(drop))
    }

    /// Whether a process of ours can be led packets that leave an interface of this kernel. Of another host as
    /// [`Kernel::queue`].
    ///
    /// # Errors
    /// As [`Kernel::meets`].
    pub fn tap(self) -> Result<std::result::Result<(), String>> {
        if let Network::Ssh(host) = self.network {
            return Ok(self.lets_us_work(host));
        }
        let interfaces = ["lo".to_string()];
        tried_here(move || {
            let rng = breakit::rng::generator(0, "probe");
            Leaving::open(FaultId::draw(), &interfaces, Parts::default(), rng).map(drop)
        })
    }

    fn lets_us_work(self, host: &Host) -> std::result::Result<(), String> {
        if self.agent { Ok(()) } else { Err(agent::not_allowed(host)) }
    }

    fn tries(self, script: &str) -> Result<std::result::Result<(), String>> {
        let output =
            Step::new("unshare -n sh -s").fed(format!("{script}\n")).output(self.network)?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("unshare failed") || said.contains("Operation not permitted") {
            return Err(may_not_try());
        }
        let telling = said.lines().find(|line| line.contains("rror"));
        let why = telling.map_or_else(|| program::last_words(&output), |line| line.trim().into());
        Ok(Err(plain(&why)))
    }
}

/// What comes of `trial` in a fresh namespace; the inner error is the reason why it does not work.
fn tried_here(
    trial: impl FnOnce() -> Result<()> + Send + 'static,
) -> Result<std::result::Result<(), String>> {
    let tried = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
            .map_err(|errno| Error::io("make a network namespace", &errno.into()))?;
        trial()
    });
    let died = |_| Err(Error::system("the thread that tried died"));
    match tried.join().unwrap_or_else(died) {
        Err(error) if error.status() == Status::NotPermitted => Err(may_not_try()),
        tried => Ok(tried.map_err(|error| error.to_string())),
    }
}

/// The program that a shell did not find: no module of the kernel brings that.
fn missing(said: &str) -> Option<&str> {
    let said = said.trim_end().strip_suffix("not found")?.trim_end();
    let said = said.strip_suffix("command").unwrap_or(said).trim_end().strip_suffix(':')?;
    said.rsplit([' ', ':']).next().filter(|program| !program.is_empty())
}

fn may_not_try() -> Error {
    Error::not_permitted(
        "no network namespace can be made to try things in; run as root, or under unshare -Urnm",
    )
}

fn ipset_script(iptables: &str, family: &str, flavour: &str, target: Target) -> String {
    let rule = |target: &str| {
        format!(
            " && {iptables}{flavour} -w -t mangle -A POSTROUTING -m set --match-set t dst -j {target}"
        )
    };
    let mut script = format!("ipset create t hash:net family {family} timeout 1");
    script += &rule("CLASSIFY --set-class 77:1000");
    if target == Target::Line {
        script += &rule("NFQUEUE --queue-num 4096 --queue-bypass");
    }
    script
}

/// The words of tc and nft in ours, where theirs say little.
fn plain(said: &str) -> String {
    if said.contains("qdisc kind is unknown") {
        return "the kernel has no such queueing discipline".into();
    }
    said.trim_start_matches("Error: ").to_string()
}

/// What `probe` prints of one kernel: what works, why not what does not, and what would be chosen. What needs a process
/// of ours is tried out on another host by one of `agents`, if it may be copied there.
///
/// # Errors
/// As [`Kernel::meets`].
pub fn report(kernel: Kernel<'_>, agents: Option<&Agents>) -> Result<Value> {
    let mut works = Map::new();
    for need in Need::ALL {
        let met = match kernel.meets(need) {
            Err(error) if error.status() == Status::Missing => Err(error.to_string()),
            other => other?,
        };
        works.insert(need.word().into(), verdict(met));
    }
    for (word, target) in [("ipset", Target::Class), ("ipset-queue", Target::Line)] {
        works.insert(word.into(), ipset_verdict(kernel.ipset(target)?));
    }
    for (word, tap) in [("queue", false), ("tap", true)] {
        let met = match (kernel.network, agents) {
            (Network::Ssh(host), Some(agents)) => {
                agents.try_out(host, tap, !tap).map_err(|error| error.to_string())
            }
            _ if tap => kernel.tap()?,
            _ => kernel.queue()?,
        };
        works.insert(word.into(), verdict(met));
    }
    if let Some(agents) = agents {
        agents.dismiss();
    }
    Ok(Value::Object(works))
}

fn ipset_verdict(tables: std::result::Result<ipset::Tables, String>) -> Value {
    let mut line = verdict(tables.clone().map(drop));
    if let Ok(tables) = tables {
        line["iptables"] = format!("iptables{}", tables.flavour).into();
        line["ipv6"] = tables.v6.into();
    }
    line
}

fn verdict(met: std::result::Result<(), String>) -> Value {
    match met {
        Ok(()) => json!({ "works": true }),
        Err(why) => json!({ "works": false, "why": why }),
    }
}

/// Which backend each kind of fault would get, by what works.
pub fn chosen(works: &Value) -> Value {
    let met = |need: &str| works[need]["works"] == true;
    let classes = met("htb") && (met("nft") || met("ipset"));
    let netem = (met("netem") && classes).then_some("netem");
    let feeds = met("nft") || met("ipset");
    let line = (met("tap") && feeds).then_some("nfqueue");
    let incoming = (met("queue") && (met("nft-queue") || met("ipset-queue"))).then_some("nfqueue");
    json!({
        "incoming": netem.filter(|_| met("arrival") && met("ipset")).or(incoming),
        "rate": netem.or((classes && met("tbf")).then_some("htb")).or(line),
        "loss": netem.or((classes && met("blackhole")).then_some("blackhole")).or(line),
        "all": netem.or(line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_a_shell_did_not_find_is_told_from_a_kernel_that_lacks_something() {
        for said in ["sh: 1: tc: not found", "sh: line 3: tc: command not found"] {
            assert_eq!(missing(said), Some("tc"), "{said}");
        }
        for said in ["TC classifier not found.", "qdisc kind is unknown", "tc", ""] {
            assert_eq!(missing(said), None, "{said}");
        }
    }
}
