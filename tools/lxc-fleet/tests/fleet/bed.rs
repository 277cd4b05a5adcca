//! A fleet of its own for each test, taken down when the test ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use breakit_tests::Running;
use breakit_tests::process::{Run, run};
use breakit_tests::wait::within;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Much longer than anything takes here, however busy the machine is.
pub const SOON: Duration = Duration::from_secs(40);

/// The package manager asks a server far away, and more than once.
pub const BUILT: Duration = Duration::from_secs(300);

/// A fleet with a name of its own; taken down when the test ends, however it ends.
pub struct Fleet {
    pub name: String,
}

impl Fleet {
    pub fn new() -> Fleet {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // No name is the beginning of another: what is left of one is looked for by it.
        Fleet { name: format!("t{}-{count:02}", std::process::id()) }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lxc-fleet"));
        command.args(args).env("BREAKIT_FLEET", &self.name).env_remove("BREAKIT_SEED");
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }

    /// As [`Fleet::run`], for what has the package manager fetch its lists.
    pub fn build(&self, args: &[&str]) -> Run {
        Running::start(&mut self.command(args)).end(BUILT)
    }

    /// What a shell script in a node says.
    pub fn sh(&self, node: &str, script: &str) -> String {
        self.run(&["exec", node, "--", "sh", "-c", script]).stdout
    }

    pub fn state(&self, node: &str) -> String {
        self.run(&["ls", node, "--json"]).lines()[0]["state"].as_str().unwrap().to_string()
    }

    pub fn init(&self, node: &str) -> i32 {
        self.run(&["ls", node, "--json"]).lines()[0]["pid"].as_i64().unwrap() as i32
    }

    pub fn address(&self, node: &str) -> String {
        let line = self.run(&["nodes", node]).expect(0).lines()[0].clone();
        line["addrs"][0].as_str().unwrap().to_string()
    }

    pub fn bridge(&self) -> String {
        let name = format!("bk-{}", self.name);
        assert!(name.len() <= 15, "{name} is not the bridge's name");
        name
    }

    /// The control groups of programs in its nodes, of all hierarchies.
    pub fn program_groups(&self) -> String {
        let script = format!("find /sys/fs/cgroup -type d -path '*{}*' -name 'exec-*'", self.name);
        run(Command::new("sh").args(["-c", &script])).stdout
    }

    pub fn files(&self) -> PathBuf {
        Path::new("/var/lib/breakit/store/nodes").join(&self.name)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.command(&["down", "-q"]).stdin(Stdio::null()).status();
    }
}

/// A fleet, or the test ends where there can be none.
macro_rules! fleet {
    () => {{
        if let Some(why) = breakit_tests::Fleet::impossible() {
            breakit_tests::skip!("{why}");
        }
        $crate::bed::Fleet::new()
    }};
}
pub(crate) use fleet;

pub fn sh(script: &str) -> Run {
    run(Command::new("sh").args(["-c", script]))
}

#[track_caller]
pub fn until(what: &str, limit: Duration, holds: impl FnMut() -> bool) {
    within(limit, what, holds);
}

/// Starts a command and kills it `millis` milliseconds later.
pub fn strike(command: &mut Command, millis: u64) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child: Child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(millis));
    let _ = child.kill();
    child.wait().unwrap();
}
