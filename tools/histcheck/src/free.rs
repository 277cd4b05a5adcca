//! How much memory this process may take, as far as the system says.

use std::path::Path;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// Half of the memory that is free now, or of what the limits on this process and its control groups leave; of 2 GiB
/// where the system does not say.
pub fn half() -> usize {
    let free = [available(), address_space(), control_groups()].into_iter().flatten().min();
    // A round number, as messages name it.
    ((free.unwrap_or(2 << 30) / 2) >> 20).max(16) << 20
}

/// What the machine has left.
fn available() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: usize = rest.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The limit of `ulimit -v`.
fn address_space() -> Option<usize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
    usize::try_from(soft).ok().filter(|_| soft != RLIM_INFINITY)
}

/// The least limit of the control groups that this process is in, as that of a container.
fn control_groups() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = text.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        match (fields.next()?, fields.next()?) {
            ("", group) => least("/sys/fs/cgroup", group, "memory.max"),
            ("memory", group) => least("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"),
            _ => None,
        }
    });
    limits.min()
}

/// The least limit of a group and those that it is in.
fn least(root: &str, group: &str, file: &str) -> Option<usize> {
    let limit = |group: &Path| {
        let path = Path::new(root).join(group.strip_prefix("/").ok()?).join(file);
        // A group without a limit says "max".
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Path::new(group).ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_above_counts() {
        let root = std::env::temp_dir().join(format!("histcheck-free-{}", std::process::id()));
        for (group, limit) in [("", "max\n"), ("a", "4096\n"), ("a/b", "8192\n"), ("c", "max\n")] {
            std::fs::create_dir_all(root.join(group)).unwrap();
            std::fs::write(root.join(group).join("memory.max"), limit).unwrap();
        }
        let of = |group| least(&root.display().to_string(), group, "memory.max");
        assert_eq!([of("/a/b"), of("/a"), of("/c"), of("/")], [Some(4096), Some(4096), None, None]);
        let _ = std::fs::remove_dir_all(root);
    }
}
