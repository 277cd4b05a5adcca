//! All links of a run, held as one fault: all of them in force, or none.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::guardian::Guardian;
use breakit::held_fault::{Fault, Renewal};
use breakit::helper;
use breakit::lease::Lease;
use breakit::node::Node;
use breakit::op::Op;
use breakit::{jsonl, parallel};
use serde_json::{Value, json};

use crate::agent::Agents;
use crate::backend::{Choices, Wanted};
use crate::fault_id::FaultId;
use crate::line::watchdog::Watchdog;
use crate::link::Link;
use crate::link_fault::{Draw, Slow};
use crate::long_line;
use crate::networks::Networks;
use crate::qdisc::WithRoot;

/// After the lease, before the sweep: the kernel's sets count in seconds.
const MARGIN: Duration = Duration::from_secs(1);

/// How links are struck.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// By what backend.
    pub backend: Wanted,
    /// Even what an sshd sends.
    pub force: bool,
    /// Where chance comes from.
    pub seed: u64,
    /// With copies of this program on other hosts, where they are needed.
    pub agent: bool,
}

/// The links, the guardian that clears them all when we die, and the watchdog that does when we hang.
pub struct Faults {
    links: Vec<Slow>,
    agents: Option<Arc<Agents>>,
    guardian: Option<Guardian>,
    watchdog: Option<Watchdog>,
}

impl Faults {
    /// The faults, with a backend found for every node. Nothing is in force yet.
    ///
    /// # Errors
    /// As [`Slow::plan`].
    pub fn plan(links: Vec<Link>, means: Means) -> Result<Faults> {
        let Means { backend, force, seed, agent } = means;
        let (mut choices, mut networks) = (Choices::of(backend, agent), Networks::default());
        let agents = agent.then(Arc::<Agents>::default);
        let ids: Arc<[FaultId]> = FaultId::draw_all(links.len()).into();
        let links = links.into_iter().enumerate().map(|(number, link)| {
            let draw = Draw { force, seed, number };
            let ids = Arc::clone(&ids);
            Slow::plan(link, ids, draw, agents.clone(), &mut choices, &mut networks)
        });
        let links = links.collect::<Result<_>>()?;
        Ok(Faults { links, agents, guardian: None, watchdog: None })
    }

    /// Finds out on other hosts whether the lines that were planned work there.
    ///
    /// # Errors
    /// As [`Slow::try_lines`].
    pub fn try_lines(&self) -> Result<()> {
        match self.agents {
            Some(_) => all(self.each(Slow::try_lines)).map(drop),
            None => Ok(()),
        }
    }

    /// The links, each as it is struck.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().map(Slow::link)
    }

    /// Whether a process of ours carries packets: such faults cannot outlive us.
    pub fn need_their_holder(&self) -> bool {
        self.links.iter().any(Slow::needs_its_holder)
    }

    /// What would be done, a line for each node of each link.
    ///
    /// # Errors
    /// As [`Slow::rehearse`].
    pub fn rehearse(&self, lease: Lease) -> Result<Vec<Value>> {
        let lines: Vec<Vec<Value>> =
            self.links.iter().map(|link| link.rehearse(lease)).collect::<Result<_>>()?;
        Ok(lines.into_iter().flatten().collect())
    }

    /// Takes away what outlasts single windows. Where that fails the guardian tries it again.
    ///
    /// # Errors
    /// All that stood in the way.
    pub fn leave(&mut self) -> Result<()> {
        if self.guardian.is_none() {
            return Ok(());
        }
        self.clear(WithRoot::Remove)?;
        self.watchdog = None;
        self.entrust_to_lease();
        Ok(())
    }

    /// Sends the guardian home: the fault is taken back, or is to end with its lease.
    pub fn entrust_to_lease(&mut self) {
        if let Some(guardian) = self.guardian.take() {
            guardian.dismiss();
        }
    }

    /// Leaves the fault to its lease: a guardian that nothing dismisses any more sweeps then what has no
    /// timeout of its own.
    ///
    /// # Errors
    /// 71 where it cannot be posted.
    pub fn sweep_after(&mut self, lease: Lease) -> Result<()> {
        if self.guardian.is_none() {
            return Ok(());
        }
        let clear = self.clearing()?;
        // Not every sleep(1) takes fractions.
        let wait = (lease.length + MARGIN).as_secs() + 1;
        let mut sweeper = Command::new("/bin/sh");
        sweeper.args(["-c", "sleep \"$0\"; exec \"$@\"", &wait.to_string()]);
        let sweeper = Guardian::post(sweeper.arg(clear.get_program()).args(clear.get_args()))?;
        self.entrust_to_lease();
        drop(sweeper);
        Ok(())
    }

    /// Whoever finds the holder dead clears these faults, on the nodes as they were named to us.
    fn post_guardian(&mut self) -> Result<()> {
        if !self.guardian.as_mut().is_some_and(Guardian::stands) {
            self.guardian = Some(Guardian::post(&self.clearing()?)?);
        }
        Ok(())
    }

    /// Only what a process of ours carries can be stuck in it. The lease must have lapsed before it acts.
    fn post_watchdog(&mut self, lease: Lease) -> Result<()> {
        if self.need_their_holder() && self.watchdog.is_none() {
            let silence = lease.length + Duration::from_secs(1);
            self.watchdog = Some(Watchdog::post(&self.clearing()?, silence)?);
        }
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.in_force();
        }
        Ok(())
    }

    /// The command that clears these faults.
    fn clearing(&self) -> Result<Command> {
        let program = std::env::current_exe().map_err(|e| Error::io("find our own program", &e))?;
        let nodes = self.links.iter().flat_map(Slow::nodes);
        let mut nodes: Vec<String> =
            nodes.map(|node| format!("{}={}", node.name, node.via)).collect();
        nodes.sort();
        nodes.dedup();
        let ids: Vec<String> = self.links.iter().map(|link| link.id().to_string()).collect();
        let mut clear = Command::new(program);
        clear.args(helper::same_path()).args([
            "clear",
            "--quiet",
            "--id",
            &ids.join(","),
            "-n",
            &nodes.join(","),
        ]);
        Ok(clear)
    }

    /// Does `work` with all links at once.
    fn each<T: Send>(&self, work: impl Fn(&Slow) -> Result<T> + Sync) -> Vec<Result<T>> {
        let died = |_| Err(Error::system("the thread of a link died"));
        let results = parallel::each(&self.links, work).into_iter();
        results.map(|result| result.unwrap_or_else(died)).collect()
    }

    /// Prints what is too long for the start line, and gives the rest of its value.
    fn say_before(&mut self, value: Value) -> Result<Value> {
        let (pieces, rest) = long_line::split(value);
        let mut lines = pieces.into_iter().map(|piece| Op::fault(long_line::F, piece).line());
        match lines.try_for_each(|line| jsonl::print(&line)) {
            Ok(()) => Ok(rest),
            Err(error) => match self.leave() {
                Ok(()) => Err(error),
                Err(undone) => Err(Error::Many(vec![error, undone])),
            },
        }
    }

    fn clear(&self, root: WithRoot) -> Result<()> {
        all(self.each(|link| link.clear(root))).map(drop)
    }

    /// The fields of a line: those of the one link, or what they have in common and then each.
    fn value(&self, fields: impl Fn(&Slow) -> Value) -> Value {
        match &self.links[..] {
            [link] => fields(link),
            links => json!({ "links": links.iter().map(fields).collect::<Vec<_>>() }),
        }
    }
}

/// All values, or all errors.
fn all<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors).map(|()| values)
}

impl Fault for Faults {
    fn kind(&self) -> &'static str {
        "slow"
    }

    fn nodes(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.links.iter().flat_map(Slow::nodes).cloned().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes.dedup_by(|a, b| a.name == b.name);
        nodes
    }

    fn start(&mut self, lease: Lease) -> Result<Value> {
        self.post_guardian()?;
        self.post_watchdog(lease)?;
        let started = all(self.each(|link| link.start(lease)));
        if let Some(agents) = &self.agents {
            agents.dismiss();
        }
        match started {
            Ok(_) => self.say_before(self.value(Slow::value)),
            // All nodes or none: what was struck is taken back.
            Err(error) => match self.leave() {
                Ok(()) => Err(error),
                Err(undone) => Err(Error::Many(vec![error, undone])),
            },
        }
    }

    fn renew(&mut self, lease: Lease) -> Result<Renewal> {
        // Somebody may have killed it.
        self.post_guardian()?;
        self.post_watchdog(lease)?;
        let renewed = all(self.each(|link| link.renew(lease)))?;
        if renewed.iter().all(|renewed| renewed.cleared) {
            return Ok(Renewal::Healed);
        }
        let again: Vec<Value> = self
            .links
            .iter()
            .zip(&renewed)
            .filter(|(_, renewed)| !renewed.again.is_empty())
            .map(|(link, renewed)| json!({ "id": link.id().to_string(), "nodes": renewed.again }))
            .collect();
        match &again[..] {
            [] => Ok(Renewal::InForce),
            [again] => Ok(Renewal::Again(again.clone())),
            _ => Ok(Renewal::Again(json!({ "links": again }))),
        }
    }

    fn stands(&mut self) -> Result<bool> {
        Ok(all(self.each(Slow::stands))?.into_iter().any(|stands| stands))
    }

    fn heal(&mut self) -> Result<Value> {
        let cleared = self.clear(WithRoot::Keep);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.ended();
        }
        cleared?;
        let value =
            self.value(|link| json!({ "id": link.id().to_string(), "nodes": link.names() }));
        Ok(long_line::shorten(value))
    }
}
