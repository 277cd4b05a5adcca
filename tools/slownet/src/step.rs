//! One command in a node's network: shown by `--dry-run`, or run.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use breakit::exit::{Error, Result};
use breakit::program;
use breakit::reach::Network;

use crate::kernel;
use crate::line;

/// None of them takes long; a lock held by another program is what we wait for.
const LIMIT: Duration = Duration::from_secs(20);

/// Where programs of administration lie on other hosts, whose ssh gives a short PATH.
pub(crate) const REMOTE_PATH: &str =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command, and what is fed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    program: String,
    args: Vec<String>,
    input: Option<String>,
    hurried: bool,
}

impl Step {
    /// A command line, its words separated by single spaces (no word of ours has one).
    pub fn new(line: impl AsRef<str>) -> Step {
        let mut words = line.as_ref().split_whitespace().map(str::to_string);
        let program = words.next().unwrap_or_default();
        Step { program, args: words.collect(), input: None, hurried: false }
    }

    /// The same with `input` on its stdin.
    #[must_use]
    pub fn fed(mut self, input: impl Into<String>) -> Step {
        self.input = Some(input.into());
        self
    }

    /// The same, and where we may nothing else on this host runs before it: the kernel drops what everybody sends
    /// while it is at work, however long others keep it waiting.
    #[must_use]
    pub fn hurried(mut self) -> Step {
        self.hurried = true;
        self
    }

    /// The step as one would type it.
    pub fn show(&self) -> String {
        let line = self.line();
        match &self.input {
            Some(input) => format!("{line} <<'END'\n{input}END"),
            None => line,
        }
    }

    fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(program::quote).collect::<Vec<_>>().join(" ")
    }

    /// Runs it and gives whatever came.
    ///
    /// # Errors
    /// 69 where the program is missing, and as [`Network::run`].
    pub fn output(&self, network: &Network) -> Result<Output> {
        let input = self.input.as_deref().map(str::as_bytes);
        if matches!(network, Network::Ssh(_)) {
            let words = [REMOTE_PATH, &self.program].into_iter().map(str::to_string);
            let mut command = network.command(Path::new("env"), words.chain(self.args.clone()))?;
            return network.reached(program::run_guarded(&mut command, input, LIMIT)?);
        }
        let mut command = program::clean(self.path()?);
        command.args(&self.args);
        // A program is in the network and at the priority of the thread that starts it.
        let start = || {
            if self.hurried {
                line::run_ahead();
            }
            program::run_guarded(&mut command, input, LIMIT)
        };
        let died = |_| Err(Error::system("the thread that ran a program died"));
        let inside = || network.inside(start);
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap_or_else(died))
    }

    /// Runs it and gives its stdout; it must succeed.
    ///
    /// # Errors
    /// As [`Step::output`]; 77, 69, 66 or 71 by what the program said.
    pub fn run(&self, network: &Network) -> Result<String> {
        let output = self.output(network)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(self.judge(&output))
    }

    /// The error that a failed program's words amount to.
    pub fn judge(&self, output: &Output) -> Error {
        let all = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = all
            .lines()
            .find(|line| line.contains("Error") || line.contains("rror:"))
            .map_or_else(|| program::last_words(output), |line| line.trim().to_string());
        let line = self.line();
        let has = |text: &str| all.contains(text);
        if has("Operation not permitted") || has("you must be root") || has("Permission denied") {
            return Error::not_permitted(format!("{line}: {said}; run as root"));
        }
        if has("qdisc kind is unknown") {
            return Error::missing(format!("{line}: the kernel lacks this queueing discipline"));
        }
        if output.status.code() == Some(127) {
            return Error::missing(format!("{line}: {said}"));
        }
        Error::system(format!("{line} failed: {said}"))
    }

    fn path(&self) -> Result<PathBuf> {
        program::find(&self.program, package(&self.program))
    }
}

/// The package that brings a program, by Debian's names.
pub fn package(program: &str) -> &str {
    match program {
        "tc" | "ip" => "iproute2",
        "nft" => "nftables",
        "unshare" => "util-linux",
        _ if program.contains("tables") => "iptables",
        other => other,
    }
}

/// Whether `program` is there: on this host looked up, on another asked.
pub fn has(network: &Network, program: &str) -> bool {
    match network {
        Network::Ssh(_) => Step::new(format!("which {program}"))
            .output(network)
            .is_ok_and(|output| output.status.success()),
        _ => program::find(program, package(program)).is_ok(),
    }
}

/// The text of a file below /proc/net of the network; empty if there is no such file.
///
/// # Errors
/// As [`Step::output`].
pub fn proc_net(network: &Network, file: &str) -> Result<String> {
    if !matches!(network, Network::Ssh(_)) {
        return Ok(kernel::proc_net(network, file).unwrap_or_default());
    }
    let output = Step::new(format!("cat /proc/net/{file}")).output(network)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_one_would_type_it() {
        assert_eq!(Step::new("tc qdisc show").show(), "tc qdisc show");
        assert_eq!(
            Step::new("nft -f -").fed("add table inet x\n").show(),
            "nft -f - <<'END'\nadd table inet x\nEND"
        );
    }
}
